//! The answers of the workers to health checks.
//!
//! - H16 Concurrent checks share one question to the workers, and none is older than [`FRESH`].

use fastness_auth::Time;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Age up to which an answer counts.
const FRESH: Duration = Duration::from_secs(1);

/// Time and result of the last check.
#[derive(Default)]
pub(super) struct Liveness(Mutex<Option<(Time, bool)>>);

impl Liveness {
    /// Returns a fresh result, or asks. A check that waits for another one gets its result.
    pub(super) fn check(&self, clock: fn() -> Time, ask: impl FnOnce() -> bool) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, is_alive)) = *last
            && clock().since(at) < FRESH
        {
            return is_alive;
        }
        let is_alive = ask();
        *last = Some((clock(), is_alive));
        is_alive
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicI64, Ordering};

    #[test]
    fn checks_within_a_second_ask_once() {
        static NOW_MS: AtomicI64 = AtomicI64::new(5000);
        let clock = || Time(NOW_MS.load(Ordering::Relaxed));
        let liveness = Liveness::default();
        assert!(liveness.check(clock, || true));
        assert!(liveness.check(clock, || panic!("H16: the result is fresh")));
        NOW_MS.store(6000, Ordering::Relaxed);
        assert!(!liveness.check(clock, || false), "H16: the result is old");
        assert!(!liveness.check(clock, || panic!("H16: the result is fresh")));
    }
}
