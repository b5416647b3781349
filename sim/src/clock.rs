//! Simulated clocks: true time, and the local clock of a machine with a skew.
//!
//! - True time never goes back; local time follows the skew.

use fastness::Time;
use std::time::Duration;

/// The true time, and the skew of one machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clock {
    now: Time,
    skew_ms: i64,
}

impl Clock {
    /// Starts at a time, without skew.
    #[must_use]
    pub const fn new(now: Time) -> Self {
        Self { now, skew_ms: 0 }
    }

    /// Returns the true time.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// Returns the local time of the machine.
    #[must_use]
    pub const fn local_time(&self) -> Time {
        Time(self.now.0.saturating_add(self.skew_ms))
    }

    /// Advances time.
    pub fn advance(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    /// Sets the skew of the machine.
    pub const fn set_skew(&mut self, skew_ms: i64) {
        self.skew_ms = skew_ms;
    }
}
