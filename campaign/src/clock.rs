//! How long a thread has had a core, so that a busy machine does not make the store look slow.
//!
//! Linux says so in `/proc/thread-self/schedstat`, in steps of some milliseconds, which is good for
//! sums; elsewhere the time that passed has to do.

use std::fs;
use std::ops::{AddAssign, Sub};
use std::time::{Duration, Instant};

const SCHEDSTAT: &str = "/proc/thread-self/schedstat";

/// A moment in the life of the thread that asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    core: Option<Duration>,
    wall: Instant,
}

/// Time that passed, by both clocks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Passed {
    pub(crate) core: Duration,
    pub(crate) wall: Duration,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { core: core_time(), wall: Instant::now() }
    }

    /// Returns what passed since then; asked by the same thread.
    pub(crate) fn passed(self) -> Passed {
        let wall = self.wall.elapsed();
        let core = self.core.zip(core_time()).map(|(then, now)| now.saturating_sub(then));
        Passed { core: core.unwrap_or(wall), wall }
    }
}

impl AddAssign for Passed {
    fn add_assign(&mut self, other: Self) {
        self.core += other.core;
        self.wall += other.wall;
    }
}

impl Sub for Passed {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            core: self.core.saturating_sub(other.core),
            wall: self.wall.saturating_sub(other.wall),
        }
    }
}

/// The first number is the nanoseconds spent on a core.
fn core_time() -> Option<Duration> {
    let text = fs::read_to_string(SCHEDSTAT).ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_not_working() {
        let moment = Moment::now();
        std::thread::sleep(Duration::from_millis(50));
        if moment.core.is_some() {
            assert!(moment.passed().core < Duration::from_millis(40));
        }
        let mut sum = 0_u64;
        while moment.wall.elapsed() < Duration::from_millis(200) {
            sum = sum.wrapping_add(1);
        }
        assert!(moment.passed().core > Duration::from_millis(5), "{sum}");
    }
}
