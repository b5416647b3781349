//! Clocks: the time of the world, and that of a machine whose clock is wrong.
//!
//! - The time of the world never goes back; that of a machine does whatever its clock is set to.

use fastness::Time;
use std::time::Duration;

/// The time of the world, and by how much the clock of one machine is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clock {
    now: Time,
    wrong_ms: i64,
}

impl Clock {
    /// Starts at a time, with a clock that is right.
    #[must_use]
    pub const fn new(now: Time) -> Self {
        Self { now, wrong_ms: 0 }
    }

    /// Returns what time it is.
    #[must_use]
    pub const fn now(&self) -> Time {
        self.now
    }

    /// Returns what time the machine takes it to be.
    #[must_use]
    pub const fn shown(&self) -> Time {
        Time(self.now.0.saturating_add(self.wrong_ms))
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
    }

    /// Sets the clock of the machine, ahead or behind.
    pub const fn set_wrong(&mut self, wrong_ms: i64) {
        self.wrong_ms = wrong_ms;
    }
}
