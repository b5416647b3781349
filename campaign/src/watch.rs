//! Where a worker says what it is doing, so that the watcher notices when it no longer ends.

use crate::engine::{Limits, lock};
use crate::findings::Origin;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// What a worker is doing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Doing {
    Nothing,
    Plan(Origin),
    Shrink,
}

/// The place of one worker.
pub(crate) struct Seat {
    doing: Mutex<(Doing, Instant)>,
    left: AtomicBool,
    given_up: AtomicBool,
}

impl Default for Seat {
    fn default() -> Self {
        Self {
            doing: Mutex::new((Doing::Nothing, Instant::now())),
            left: AtomicBool::new(false),
            given_up: AtomicBool::new(false),
        }
    }
}

impl Seat {
    pub(crate) fn take(&self, doing: Doing) {
        *lock(&self.doing) = (doing, Instant::now());
    }

    pub(crate) fn doing(&self) -> Doing {
        lock(&self.doing).0
    }

    /// Whether the worker has gone home, or is stuck and was just given up.
    pub(crate) fn is_gone(&self, limits: Limits) -> bool {
        let doing = lock(&self.doing);
        let limit = match doing.0 {
            Doing::Nothing => return self.has_left(),
            Doing::Plan(_) => limits.hang,
            Doing::Shrink => limits.hang + limits.shrink,
        };
        let stuck = doing.1.elapsed() > limit;
        if stuck {
            self.given_up.store(true, Ordering::SeqCst);
        }
        stuck || self.has_left()
    }

    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::SeqCst)
    }

    pub(crate) fn has_left(&self) -> bool {
        self.left.load(Ordering::SeqCst)
    }

    /// Returns a guard that notes, also on a panic, that the worker has left.
    pub(crate) fn leave_on_drop(&self) -> Leave<'_> {
        Leave(&self.left)
    }
}

pub(crate) struct Leave<'a>(&'a AtomicBool);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::Pair;
    use fastness_sim::check::{CANARY, Twin};
    use std::time::Duration;

    #[test]
    fn a_plan_that_does_not_end_costs_its_worker_the_seat() {
        let pair = Pair { check: &CANARY, twin: Twin::Plain };
        let origin = Origin { pair, number: 0, plan_seed: 0 };
        let patient = Limits::seconds(1);
        let strict = Limits { hang: Duration::ZERO, ..patient };
        let seat = Seat::default();
        assert!(!seat.is_gone(strict), "a worker between plans is not stuck");
        seat.take(Doing::Plan(origin));
        assert!(!seat.is_gone(patient));
        std::thread::sleep(Duration::from_millis(1));
        assert!(seat.is_gone(strict));
        assert!(seat.is_given_up());
    }

    #[test]
    fn a_worker_that_panics_leaves_its_seat() {
        let seat = Seat::default();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _leaves = seat.leave_on_drop();
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(outcome.is_err());
        assert!(seat.has_left());
    }
}
