//! A value that threads wait for a change of.
//!
//! - CS5 No wake-up is lost: a wait returns once the value is as it is wanted.
//!
//! Explored with loom: loom-tests/tests/merges.rs.

use crate::conc::{Condvar, Guard, Mutex};
use std::time::Duration;

/// A value that threads wait for a change of.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Watched<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Mutex::new(value), changed: Condvar::new() }
    }

    pub(crate) fn lock(&self) -> Guard<'_, T> {
        self.value.lock()
    }

    /// Changes the value, and wakes the threads that wait.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let outcome = change(&mut self.value.lock());
        self.changed.notify_all();
        outcome
    }

    /// Wakes the threads that wait, because something else has changed that they look at.
    pub(crate) fn wake(&self) {
        drop(self.value.lock());
        self.changed.notify_all();
    }

    /// Waits until `poll` returns a result; none if no time is left.
    pub(crate) fn wait<R>(
        &self,
        mut left: impl FnMut() -> Duration,
        mut poll: impl FnMut(&T) -> Option<R>,
    ) -> Option<R> {
        let mut value = self.value.lock();
        loop {
            if let Some(outcome) = poll(&value) {
                return Some(outcome);
            }
            let left = left();
            if left.is_zero() {
                return None;
            }
            value = self.changed.wait_for(value, left);
        }
    }
}
