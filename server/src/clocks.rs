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

/// The time of a connection: begins as the wall clock, and never steps.
pub(crate) struct ConnectionClock {
    clocks: ServerClocks,
    /// Wall clock and monotonic clock at the beginning.
    begun: (Time, Time),
}

impl ConnectionClock {
    pub(crate) fn new(clocks: ServerClocks) -> Self {
        Self { clocks, begun: ((clocks.wall)(), (clocks.monotonic)()) }
    }

    pub(crate) fn now_ms(&self) -> u64 {
        let (wall, monotonic) = self.begun;
        millis(wall.plus((self.clocks.monotonic)().since(monotonic)))
    }

    /// Returns a point of the wall clock in the time of the connection.
    pub(crate) fn at_ms(&self, time: Time) -> u64 {
        let left = time.since((self.clocks.wall)()).as_millis();
        self.now_ms().saturating_add(u64::try_from(left).unwrap_or(u64::MAX))
    }
}

/// Returns milliseconds since 1970.
pub(crate) fn millis(time: Time) -> u64 {
    u64::try_from(time.0).unwrap_or_default()
}
