//! The one place that picks concurrency primitives. The loom models include the modules that use
//! it with a `conc` of their own, made of loom's.
//!
//! Locks here never poison: a panic of ours is a broken invariant, and a panic of a caller happens
//! outside every lock.

pub(crate) use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::sync::{Arc, LazyLock, OnceLock, Weak};

/// How often a waiting thread yields before it sleeps or syncs: tens of microseconds.
pub(crate) const YIELDS: usize = 256;

pub(crate) use std::thread::yield_now;

/// Returns a number that no other thread of the process ever has.
pub(crate) fn thread_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    std::thread_local! {
        static NUMBER: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}

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
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Takes the lock if it is free.
    pub(crate) fn try_lock(&self) -> Option<Guard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(std::sync::TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => None,
        }
    }
}

/// Wakes those who wait for a [`Mutex`]'s content to change.
#[derive(Debug, Default)]
pub(crate) struct Condvar(std::sync::Condvar);

impl Condvar {
    pub(crate) const fn new() -> Self {
        Self(std::sync::Condvar::new())
    }

    pub(crate) fn wait<'a, T>(&self, guard: Guard<'a, T>) -> Guard<'a, T> {
        self.0.wait(guard).unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Waits while the condition holds, and at most for the given time.
    pub(crate) fn wait_while<'a, T>(
        &self,
        guard: Guard<'a, T>,
        timeout: std::time::Duration,
        mut condition: impl FnMut() -> bool,
    ) -> Guard<'a, T> {
        let waited = self.0.wait_timeout_while(guard, timeout, |_| condition());
        waited.unwrap_or_else(std::sync::PoisonError::into_inner).0
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// The end of a wait of a thread. No state depends on the clock that it reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Option<std::time::Instant>);

#[expect(clippy::disallowed_methods, reason = "the length of a wait is no input of the core")]
impl Deadline {
    /// Returns the end of a wait that begins now; a time that no clock reaches never ends.
    pub(crate) fn after(timeout: std::time::Duration) -> Self {
        Self(std::time::Instant::now().checked_add(timeout))
    }

    /// Returns the time until it.
    pub(crate) fn left(self) -> std::time::Duration {
        let left =
            |end: std::time::Instant| end.saturating_duration_since(std::time::Instant::now());
        self.0.map_or(std::time::Duration::MAX, left)
    }
}

/// A place for a shared value that is read without a lock and replaced at any time.
pub(crate) struct Swap<T>(arc_swap::ArcSwapOption<T>);

/// Keeps the value of a [`Swap`] alive while it is read.
pub(crate) type Loaded<T> = arc_swap::Guard<Option<Arc<T>>>;

impl<T> Swap<T> {
    pub(crate) fn new(value: Option<Arc<T>>) -> Self {
        Self(arc_swap::ArcSwapOption::new(value))
    }

    pub(crate) fn load(&self) -> Loaded<T> {
        self.0.load()
    }

    pub(crate) fn store(&self, value: Option<Arc<T>>) {
        self.0.store(value);
    }

    pub(crate) fn into_inner(self) -> Option<Arc<T>> {
        self.0.into_inner()
    }
}

impl<T> Default for Swap<T> {
    fn default() -> Self {
        Self::new(None)
    }
}

impl<T> std::fmt::Debug for Swap<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Swap(..)")
    }
}
