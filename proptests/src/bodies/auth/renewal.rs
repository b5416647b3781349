//! Any sequence of events for the token refresher.
//!
//! Three bytes encode an event and the step of the clock before it, which may be negative. A model
//! written from docs/auth.md#token-renewal runs in parallel: it knows the open request and whether
//! the session runs.

use fastness_auth::refresh::{RefreshInput, RefreshOutput};
use fastness_auth::{
    AuthError, BACKOFF_MAX, Backoff, NetworkError, Permission, RENEWAL_MARGIN, Refresher,
    RequestId, Time, Token,
};
use std::time::Duration;

/// Maximum number of events.
const EVENTS_MAX: usize = 200;

/// Clock steps in milliseconds; the plan selects size and sign.
const STEPS: [i64; 8] = [0, 1, 499, 10_000, 60_000, 300_000, 86_400_000, i64::MAX / 2];

struct RenewalHarness {
    refresher: Refresher,
    now: Time,
    /// All requests so far; only the last may be open.
    requests: Vec<RequestId>,
    open: Option<RequestId>,
    is_running: bool,
    /// Whether a new network restarts it.
    restarts_online: bool,
}

/// A token with a lifetime of 1600 s, renewed twice, then refused early by the server.
const STEADY: &[[u8; 3]] =
    &[[0, 0, 0], [3, 0, 100], [9, 0, 0], [3, 0, 100], [9, 0, 0], [3, 4, 100], [6, 4, 0]];
/// No network, failures, late tokens, a late answer, a permanent refusal.
const FAILURES: &[[u8; 3]] = &[
    [7, 0, 0],
    [0, 0, 0],
    [8, 4, 0],
    [4, 0, 0],
    [9, 0, 0],
    [3, 0, 5],
    [9, 0, 0],
    [3, 0, 0],
    [5, 0, 0],
    [9, 0, 0],
    [4, 0, 1],
];
/// A clock that jumps in both directions, and sessions that close and open.
const JUMPS: &[[u8; 3]] = &[
    [0, 7, 0],
    [4, 0, 2],
    [2, 31, 0],
    [9, 0, 0],
    [3, 30, 7],
    [2, 7, 0],
    [1, 0, 0],
    [5, 0, 0],
    [0, 31, 0],
];

/// Returns seed plans.
pub(super) fn seeds() -> impl Iterator<Item = Vec<u8>> {
    let plans = [STEADY, FAILURES, JUMPS].into_iter();
    (0..).zip(plans).map(|(jitter, plan)| [&[jitter], plan.as_flattened()].concat())
}

/// Runs a plan: the first byte selects jitter, the others are events.
pub(super) fn renewal(bytes: &[u8]) {
    let Some((first, events)) = bytes.split_first() else { return };
    let backoff = match first % 2 {
        0 => Backoff::new(),
        _ => Backoff::jittered(u64::from(*first)),
    };
    let mut harness = RenewalHarness {
        refresher: Refresher::new(backoff),
        now: Time::from_seconds(1_500_000_000),
        requests: Vec::new(),
        open: None,
        is_running: false,
        restarts_online: false,
    };
    for event in events.chunks_exact(3).take(EVENTS_MAX) {
        harness.event(event[0], event[1], event[2]);
    }
    harness.recovers();
}

pub(super) fn token() -> Token {
    Token {
        value: "value".into(),
        identity: "identity".to_owned(),
        path: "/~/default".to_owned(),
        expires_seconds: 1_512_345_678,
        permissions: Permission::KNOWN.to_vec(),
        is_admin: true,
    }
}

impl RenewalHarness {
    fn event(&mut self, kind: u8, step: u8, detail: u8) {
        let by = STEPS[usize::from(step % 8)];
        self.now = Time(match step / 8 % 4 {
            // Most steps go forward.
            3 => self.now.0.saturating_sub(by),
            _ => self.now.0.saturating_add(by),
        });
        let last = self.requests.last().copied().unwrap_or_default();
        match kind % 10 {
            0 => self.apply(RefreshInput::Start),
            1 => self.apply(RefreshInput::Stop),
            2 => self.wake(),
            3 => self.apply(RefreshInput::Response(last, Ok(self.granted(detail)))),
            4 => self.apply(RefreshInput::Response(last, Err(failure(detail)))),
            5 => self.stale(detail),
            6 => self.apply(RefreshInput::Expired),
            7 => self.apply(RefreshInput::Offline),
            8 => self.apply(RefreshInput::Online),
            _ => {
                self.now = self.refresher.deadline().unwrap_or(self.now);
                self.apply(RefreshInput::Wake);
            }
        }
    }

    /// Returns a token with a long, short or negative lifetime.
    fn granted(&self, detail: u8) -> Token {
        let seconds = match detail % 8 {
            7 => i64::MAX,
            6 => i64::MIN,
            5 => -3_600,
            shift => i64::from(detail) << shift,
        };
        Token { expires_seconds: (self.now.0 / 1000).saturating_add(seconds), ..token() }
    }

    /// An early wake-up has no effect, and neither has an unexpected answer.
    fn wake(&mut self) {
        let is_early = self.refresher.deadline().is_none_or(|at| self.now < at);
        let requests = self.requests.len();
        self.apply(RefreshInput::Wake);
        assert!(!is_early || self.requests.len() == requests, "U10: asked before the time");
    }

    fn stale(&mut self, detail: u8) {
        let Some(id) = self.requests.get(usize::from(detail)).copied() else { return };
        if Some(id) == self.open {
            return;
        }
        let mut outputs = Vec::new();
        for outcome in [Ok(token()), Err(failure(0)), Err(failure(1))] {
            let (deadline, open) = (self.refresher.deadline(), self.refresher.in_flight());
            self.refresher.handle(self.now, RefreshInput::Response(id, outcome), &mut outputs);
            let cap = deadline.map(|at| at.min(self.now.plus(BACKOFF_MAX)));
            let kept = [deadline, cap].contains(&self.refresher.deadline());
            assert!(kept && outputs.is_empty(), "U9: a late answer changed something");
            assert_eq!(self.refresher.in_flight(), open, "U9: a late answer closed a request");
        }
    }

    fn apply(&mut self, input: RefreshInput) {
        let mut answered = None;
        if let RefreshInput::Response(id, outcome) = &input
            && Some(*id) == self.open
        {
            (answered, self.open) = (Some(outcome.clone()), None);
        }
        if matches!(input, RefreshInput::Start | RefreshInput::Stop) {
            (self.is_running, self.open) = (input == RefreshInput::Start, None);
            self.restarts_online = false;
        }
        if input == RefreshInput::Online && std::mem::take(&mut self.restarts_online) {
            self.is_running = true;
        }
        let mut outputs = Vec::new();
        self.refresher.handle(self.now, input, &mut outputs);
        let token = answered.as_ref().and_then(|outcome| outcome.as_ref().ok());
        for output in outputs {
            match output {
                RefreshOutput::RequestToken(id) => self.ask(id),
                RefreshOutput::Deliver(handed) => {
                    assert_eq!(Some(&handed), token, "U9: a token from nowhere");
                    self.planned(&handed);
                }
                RefreshOutput::Waiting(error) => {
                    let delivered = answered.as_ref().and_then(|outcome| outcome.as_ref().err());
                    assert_eq!(delivered, Some(&error), "U9: a failure from nowhere");
                    assert!(error.is_retryable(), "U8: not retried by itself");
                }
                RefreshOutput::Failed(error) => {
                    let delivered = answered.as_ref().and_then(|outcome| outcome.as_ref().err());
                    assert_eq!(delivered, Some(&error), "U9: a failure from nowhere");
                    assert!(!error.is_retryable(), "U8: given up too early");
                    self.is_running = false;
                    self.restarts_online = !error.is_from_server();
                }
            }
        }
        assert_eq!(self.refresher.in_flight(), self.open, "U9: requests are miscounted");
        let waits = self.refresher.deadline().is_some() || self.open.is_some();
        assert_eq!(waits, self.is_running, "U11: over in silence, or going on after the end");
    }

    fn ask(&mut self, id: RequestId) {
        assert!(self.is_running && self.open.is_none(), "U9: two requests at a time");
        assert!(!self.requests.contains(&id), "U9: a number comes twice");
        self.requests.push(id);
        self.open = Some(id);
    }

    /// Checks the next renewal after a token was handed over.
    fn planned(&self, token: &Token) {
        let at = self.refresher.deadline().expect("U11: there is a deadline");
        let in_time = token.expires().minus(RENEWAL_MARGIN);
        if in_time > self.now {
            assert_eq!(at, in_time, "U10: not renewed in time");
            return;
        }
        let left = token.expires().since(self.now);
        let longest = if left.is_zero() { BACKOFF_MAX } else { left / 2 };
        let longest = longest.max(Duration::from_millis(500));
        assert!(at <= self.now.plus(longest), "U10: a late token is left to lapse");
    }

    /// A network, or time alone, always leads to another request.
    fn recovers(mut self) {
        if !self.is_running {
            return;
        }
        if let Some(id) = self.open {
            self.apply(RefreshInput::Response(id, Err(failure(0))));
        }
        let requests = self.requests.len();
        // Twice, in case there is no network when a renewal is due.
        for _ in 0..2 {
            if self.requests.len() == requests && self.refresher.deadline() < Some(Time::NEVER) {
                self.event(9, 0, 0);
            }
        }
        let is_for_ever = self.refresher.deadline() >= Some(Time::NEVER.minus(BACKOFF_MAX * 2));
        assert!(self.requests.len() > requests || is_for_ever, "U11: time alone does not help");
    }
}

/// Retries help for even details.
fn failure(detail: u8) -> AuthError {
    match detail % 4 {
        0 => AuthError::from_network(NetworkError::Refused),
        1 => AuthError::from_response(401, br#"{"code": 615}"#),
        2 => AuthError::from_response(503, b""),
        _ => AuthError::from_network(NetworkError::Tls),
    }
}
