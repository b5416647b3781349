//! Time of a connection: milliseconds since 1970 that no step of the wall clock changes.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A clock that began with the wall clock and never steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SteadyClock {
    start: Instant,
    start_ms: u64,
}

impl SteadyClock {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now(), start_ms: wall_ms() }
    }

    /// Returns the time.
    pub(crate) fn now_ms(&self) -> u64 {
        let since = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.start_ms.saturating_add(since)
    }
}

/// Returns the wall clock, in milliseconds since 1970.
pub(crate) fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
