//! Log of requests: one line for each, with the account and the caller, within a rate for each
//! source.
//!
//! - H10 A line contains the name of the request, identities and the status, but no input of the
//!   client.
//! - H15 A source beyond its rate causes no more lines; the next line says how many are missing.
//!   Changes of accounts are always logged.

use crate::clocks::ServerClocks;
use fastness_auth::server::{AddressEvent, Event, RateLimiter, Response};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Log of requests.
pub(crate) struct RequestLog {
    rate_limiter: Arc<Mutex<RateLimiter>>,
    clocks: ServerClocks,
    /// Lines that were left out since the last one.
    suppressed: AtomicU64,
    /// Lines that were left out in total.
    left_out: AtomicU64,
    /// Number of the next request.
    next: AtomicU64,
}

/// Request that was answered.
#[derive(Clone, Copy)]
pub(crate) struct AnsweredRequest {
    pub(crate) id: u64,
    pub(crate) peer: Option<IpAddr>,
    /// Name of the call.
    pub(crate) call: &'static str,
    pub(crate) duration: Duration,
}

impl RequestLog {
    pub(crate) fn new(rate_limiter: Arc<Mutex<RateLimiter>>, clocks: ServerClocks) -> Self {
        Self {
            rate_limiter,
            clocks,
            suppressed: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
            next: AtomicU64::new(1),
        }
    }

    /// Returns the number of a new request.
    pub(crate) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Logs a request.
    pub(crate) fn record(&self, request: &AnsweredRequest, answer: &Response) {
        let event = answer.event();
        if !event.is_change() && !self.may_log(request.peer) {
            self.leave_out();
            return;
        }
        self.report_suppressed();
        write_line(request, answer);
    }

    /// Logs that a connection was refused.
    pub(crate) fn record_refused(&self, peer: IpAddr) {
        if self.may_log(Some(peer)) {
            self.report_suppressed();
            tracing::warn!(%peer, "too many connections");
        } else {
            self.leave_out();
        }
    }

    /// Returns the number of lines that were left out.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    fn leave_out(&self) {
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        self.left_out.fetch_add(1, Ordering::Relaxed);
    }

    fn may_log(&self, peer: Option<IpAddr>) -> bool {
        let Some(peer) = peer else { return true };
        let mut limiter = self.rate_limiter.lock().unwrap_or_else(PoisonError::into_inner);
        limiter.try_acquire_event((self.clocks.monotonic)(), AddressEvent::Line, peer).is_ok()
    }

    fn report_suppressed(&self) {
        let count = self.suppressed.swap(0, Ordering::Relaxed);
        if count > 0 {
            tracing::warn!(count, "lines of sources beyond their rate were left out");
        }
    }
}

fn write_line(request: &AnsweredRequest, answer: &Response) {
    let AnsweredRequest { id: request, peer, call, duration } = *request;
    let (event, status, code) = (answer.event(), answer.status(), answer.code().number());
    let (account, by) = (event.account().unwrap_or("-"), event.caller().unwrap_or("-"));
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    let outcome = event.name();
    if let Event::Failed(error) = event {
        tracing::error!(request, ?peer, call, status, micros, %error, "failed");
    } else if let Event::Reused(_) = event {
        tracing::warn!(request, ?peer, call, status, account, micros, "{outcome}");
    } else {
        tracing::info!(request, ?peer, call, status, code, account, by, micros, "{outcome}");
    }
}
