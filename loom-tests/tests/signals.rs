//! Threads that wait for changes while others commit.
//!
//! - W4 No wake-up is lost: every thread that waits returns once there are changes for it. Loom
//!   reports a deadlock.

use crate::conc::{AtomicUsize, Ordering};
use crate::core_signal::{Signal, Signals};
use crate::explore::{Bound, explore};
use loom::sync::Arc;
use loom::thread;
use std::time::Duration;

/// A store as waiting threads see it: the last visible commit, and the signals.
#[derive(Default)]
struct SignalsModel {
    visible: AtomicUsize,
    signals: Signals,
}

impl SignalsModel {
    /// Makes a commit visible, and wakes.
    fn commit(&self) {
        self.visible.fetch_add(1, Ordering::AcqRel);
        self.signals.wake();
    }

    /// Waits for a commit after `last`, and returns the last visible one.
    fn wait(&self, signal: &Signal, last: usize) -> usize {
        let look = || Some(self.visible.load(Ordering::Acquire)).filter(|seen| *seen > last);
        signal.wait(Duration::ZERO, look).expect("W4: woken without changes")
    }
}

#[test]
fn a_waiting_thread_misses_no_commit() {
    explore(Bound { preemptions: 3, executions_min: 50 }, || {
        let world = Arc::new(SignalsModel::default());
        let signal = world.signals.begin();
        let writers = [1, 1].map(|commits| {
            let world = Arc::clone(&world);
            thread::spawn(move || (0..commits).for_each(|_| world.commit()))
        });
        let mut seen = 0;
        while seen < 2 {
            seen = world.wait(&signal, seen);
        }
        for writer in writers {
            writer.join().unwrap();
        }
    });
}

#[test]
fn every_waiting_thread_is_woken() {
    explore(Bound { preemptions: 2, executions_min: 50 }, || {
        let world = Arc::new(SignalsModel::default());
        let waiters = [(), ()].map(|()| {
            let (world, signal) = (Arc::clone(&world), world.signals.begin());
            thread::spawn(move || world.wait(&signal, 0))
        });
        world.commit();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), 1, "W4: the commit is visible");
        }
    });
}
