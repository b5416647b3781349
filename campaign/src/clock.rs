//! CPU time of a thread, so that a busy machine does not make the store look slow.
//!
//! Linux reports it in `/proc/thread-self/schedstat` with a resolution of a few milliseconds, which
//! suits sums. Other systems fall back to wall time.

use std::fs;
use std::ops::{AddAssign, Sub};
use std::time::{Duration, Instant};

const SCHEDSTAT: &str = "/proc/thread-self/schedstat";

/// A start time of the calling thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadClock {
    core: Option<Duration>,
    wall: Instant,
}

/// Elapsed time by both clocks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Elapsed {
    pub(crate) core: Duration,
    pub(crate) wall: Duration,
}

impl ThreadClock {
    pub(crate) fn now() -> Self {
        Self { core: core_time(), wall: Instant::now() }
    }

    /// Returns the time since the start; the same thread must call it.
    pub(crate) fn elapsed(self) -> Elapsed {
        let wall = self.wall.elapsed();
        let core = self.core.zip(core_time()).map(|(then, now)| now.saturating_sub(then));
        Elapsed { core: core.unwrap_or(wall), wall }
    }
}

impl AddAssign for Elapsed {
    fn add_assign(&mut self, other: Self) {
        self.core += other.core;
        self.wall += other.wall;
    }
}

impl Sub for Elapsed {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            core: self.core.saturating_sub(other.core),
            wall: self.wall.saturating_sub(other.wall),
        }
    }
}

/// The first number is the CPU time in nanoseconds.
fn core_time() -> Option<Duration> {
    let text = fs::read_to_string(SCHEDSTAT).ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_not_working() {
        let clock = ThreadClock::now();
        std::thread::sleep(Duration::from_millis(50));
        if clock.core.is_some() {
            assert!(clock.elapsed().core < Duration::from_millis(40));
        }
        let mut sum = 0_u64;
        while clock.wall.elapsed() < Duration::from_millis(200) {
            sum = sum.wrapping_add(1);
        }
        assert!(clock.elapsed().core > Duration::from_millis(5), "{sum}");
    }
}
