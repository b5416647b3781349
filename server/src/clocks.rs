//! Clocks of a server: one that tells the date, and one that never steps.
//!
//! - H13 Rates use the second one, so a step of the first locks nothing out.

use fastness_auth::Time;
use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Clocks of a server.
#[derive(Clone, Copy)]
pub(crate) struct ServerClocks {
    /// Wall clock, for the lifetimes of tokens.
    pub(crate) wall: fn() -> Time,
    /// Clock that never steps, for rates.
    pub(crate) monotonic: fn() -> Time,
}

/// Returns the wall clock.
pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(0).plus(since)
}

/// Returns the time since the first call, which no step of the wall clock changes.
pub(crate) fn monotonic() -> Time {
    static START: OnceLock<Instant> = OnceLock::new();
    Time(0).plus(START.get_or_init(Instant::now).elapsed())
}
