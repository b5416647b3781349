//! State of a worker thread, so that the supervisor detects one that hangs.

use crate::findings::Origin;
use crate::limits::Limits;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The activity of a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Activity {
    Idle,
    Plan(Origin),
    Shrink,
}

/// The slot of one worker.
pub(crate) struct WorkerSlot {
    activity: Mutex<(Activity, Instant)>,
    exited: AtomicBool,
    abandoned: AtomicBool,
}

impl Default for WorkerSlot {
    fn default() -> Self {
        Self {
            activity: Mutex::new((Activity::Idle, Instant::now())),
            exited: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
        }
    }
}

impl WorkerSlot {
    pub(crate) fn set_activity(&self, activity: Activity) {
        *lock(&self.activity) = (activity, Instant::now());
    }

    pub(crate) fn activity(&self) -> Activity {
        lock(&self.activity).0
    }

    /// Whether the worker has exited or hangs; marks a hanging worker as abandoned.
    pub(crate) fn is_finished(&self, limits: Limits) -> bool {
        let activity = lock(&self.activity);
        let limit = match activity.0 {
            Activity::Idle => return self.has_exited(),
            Activity::Plan(_) => limits.hang,
            Activity::Shrink => limits.hang + limits.shrink,
        };
        let stuck = activity.1.elapsed() > limit;
        if stuck {
            self.abandoned.store(true, Ordering::SeqCst);
        }
        stuck || self.has_exited()
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::SeqCst)
    }

    pub(crate) fn has_exited(&self) -> bool {
        self.exited.load(Ordering::SeqCst)
    }

    /// Returns a guard that marks the worker as exited when dropped, also by a panic.
    pub(crate) fn exit_guard(&self) -> ExitGuard<'_> {
        ExitGuard(&self.exited)
    }
}

pub(crate) struct ExitGuard<'a>(&'a AtomicBool);

impl Drop for ExitGuard<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::Pair;
    use fastness_sim::check::{CANARY, Twin};
    use std::time::Duration;

    #[test]
    fn a_worker_whose_plan_hangs_is_abandoned() {
        let pair = Pair { check: &CANARY, twin: Twin::Plain };
        let origin = Origin { pair, number: 0, plan_seed: 0 };
        let patient = Limits::seconds(1);
        let strict = Limits { hang: Duration::ZERO, ..patient };
        let slot = WorkerSlot::default();
        assert!(!slot.is_finished(strict), "a worker between plans is not stuck");
        slot.set_activity(Activity::Plan(origin));
        assert!(!slot.is_finished(patient));
        std::thread::sleep(Duration::from_millis(1));
        assert!(slot.is_finished(strict));
        assert!(slot.is_abandoned());
    }

    #[test]
    fn a_worker_that_panics_is_marked_as_exited() {
        let slot = WorkerSlot::default();
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _guard = slot.exit_guard();
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(outcome.is_err());
        assert!(slot.has_exited());
    }
}
