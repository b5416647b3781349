//! How long a thread has had a core, so that a busy machine does not make the store look slow.
//!
//! Linux says so in `/proc/thread-self/schedstat`; elsewhere the time that passed has to do.

use std::fs;
use std::time::{Duration, Instant};

const SCHEDSTAT: &str = "/proc/thread-self/schedstat";

/// A moment in the life of the thread that asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    core: Option<Duration>,
    wall: Instant,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { core: core_time(), wall: Instant::now() }
    }

    /// Returns the time that this same thread has had a core since then.
    pub(crate) fn elapsed(self) -> Duration {
        let core = self.core.zip(core_time()).map(|(then, now)| now.saturating_sub(then));
        core.unwrap_or_else(|| self.wall.elapsed())
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
            assert!(moment.elapsed() < Duration::from_millis(40));
        }
        let mut sum = 0_u64;
        while moment.wall.elapsed() < Duration::from_millis(200) {
            sum = sum.wrapping_add(1);
        }
        assert!(moment.elapsed() > Duration::from_millis(5), "{sum}");
    }
}
