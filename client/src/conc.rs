//! The concurrency primitives of what threads of a file share. The loom models include the modules
//! that use it with a `conc` of their own, made of loom's.
//!
//! Locks here never poison: a callback of the app that panics happens outside of every lock.

use std::sync::PoisonError;
use std::time::Duration;

/// A mutual exclusion lock.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

/// The guard of a [`Mutex`].
pub(crate) type Guard<'a, T> = std::sync::MutexGuard<'a, T>;

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> Guard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes those who wait for a [`Mutex`]'s content to change.
#[derive(Debug, Default)]
pub(crate) struct Condvar(std::sync::Condvar);

impl Condvar {
    pub(crate) const fn new() -> Self {
        Self(std::sync::Condvar::new())
    }

    /// Waits for a notification, or for the time.
    pub(crate) fn wait_for<'a, T>(&self, guard: Guard<'a, T>, time: Duration) -> Guard<'a, T> {
        self.0.wait_timeout(guard, time).unwrap_or_else(PoisonError::into_inner).0
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}
