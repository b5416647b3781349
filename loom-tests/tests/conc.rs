//! Core's `conc`, made of loom's primitives: the same names, explored instead of executed.

pub(crate) use loom::sync::atomic::{AtomicUsize, Ordering};
pub(crate) use std::sync::{Arc, Weak};

/// Once is enough to explore both outcomes.
pub(crate) const YIELDS: usize = 1;

pub(crate) use loom::thread::yield_now;

/// A mutual exclusion lock.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

/// The guard of a [`Mutex`].
pub(crate) type Guard<'a, T> = loom::sync::MutexGuard<'a, T>;

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> Guard<'_, T> {
        self.0.lock().unwrap()
    }

    pub(crate) fn try_lock(&self) -> Option<Guard<'_, T>> {
        self.0.try_lock().ok()
    }
}

/// Wakes those who wait for a [`Mutex`]'s content to change.
#[derive(Debug, Default)]
pub(crate) struct Condvar(loom::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(loom::sync::Condvar::new())
    }

    pub(crate) fn wait<'a, T>(&self, guard: Guard<'a, T>) -> Guard<'a, T> {
        self.0.wait(guard).unwrap()
    }

    /// Waits. No time passes in a model: a lost wake-up is a deadlock.
    pub(crate) fn wait_for<'a, T>(
        &self,
        guard: Guard<'a, T>,
        _time: std::time::Duration,
    ) -> Guard<'a, T> {
        self.wait(guard)
    }

    /// Waits while the condition holds. No time passes in a model: a lost wake-up is a deadlock.
    pub(crate) fn wait_while<'a, T>(
        &self,
        mut guard: Guard<'a, T>,
        _timeout: std::time::Duration,
        mut condition: impl FnMut() -> bool,
    ) -> Guard<'a, T> {
        while condition() {
            guard = self.wait(guard);
        }
        guard
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}
