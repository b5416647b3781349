//! MVCC snapshots: the published state, and the pins of its readers.
//!
//! - N1 A state is pinned from the time a reader can see it until its last reader drops it.
//!   `oldest` never exceeds a pinned commit, nor one that can still be pinned. A pinned state never
//!   changes.
//!
//! Model: loom-tests, `pins`.

use crate::conc::{Arc, AtomicUsize, Mutex, Ordering};
use crate::unit::CommitId;
use std::collections::VecDeque;
use std::ops::Deref;

/// The state that readers start from.
#[derive(Debug)]
pub(crate) struct Published<T> {
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    /// `None` only while it is changed in place, with the lock held.
    current: Option<Arc<T>>,
    pin: Arc<Pin>,
    /// Pins of earlier states that may have readers, oldest first.
    older: VecDeque<Arc<Pin>>,
}

#[derive(Debug)]
struct Pin {
    commit: CommitId,
    readers: AtomicUsize,
}

/// A state that a reader has pinned.
#[derive(Debug)]
pub(crate) struct Pinned<T> {
    value: Arc<T>,
    pin: Arc<Pin>,
}

const CURRENT: &str = "N1: a state is published, unless a change in place panicked";

impl Pin {
    fn new(commit: CommitId) -> Arc<Self> {
        Arc::new(Self { commit, readers: AtomicUsize::new(0) })
    }
}

impl<T> Inner<T> {
    /// Replaces the current state and returns it.
    fn replace(&mut self, commit: CommitId, value: Arc<T>) -> Arc<T> {
        assert!(self.pin.commit <= commit, "N1: {commit} is published over a later commit");
        let pin = std::mem::replace(&mut self.pin, Pin::new(commit));
        self.older.push_back(pin);
        self.current.replace(value).expect(CURRENT)
    }

    fn current(&self) -> &Arc<T> {
        self.current.as_ref().expect(CURRENT)
    }
}

impl<T> Published<T> {
    pub(crate) fn new(commit: CommitId, current: Arc<T>) -> Self {
        let pin = Pin::new(commit);
        let (current, older) = (Some(current), VecDeque::new());
        Self { inner: Mutex::new(Inner { current, pin, older }) }
    }

    /// Pins the current state.
    pub(crate) fn pin(&self) -> Pinned<T> {
        let inner = self.inner.lock();
        // Counted under the lock: the writer cannot publish and read the count in between.
        inner.pin.readers.fetch_add(1, Ordering::Relaxed);
        Pinned { value: Arc::clone(inner.current()), pin: Arc::clone(&inner.pin) }
    }

    /// Replaces the current state by a later one and returns it; `None` if the current one is as
    /// late already.
    pub(crate) fn advance(&self, commit: CommitId, value: Arc<T>) -> Option<Arc<T>> {
        let mut inner = self.inner.lock();
        (inner.pin.commit < commit).then(|| inner.replace(commit, value))
    }

    /// Replaces the current state.
    pub(crate) fn publish(&self, commit: CommitId, value: Arc<T>) {
        let last = self.inner.lock().replace(commit, value);
        drop(last);
    }

    /// Changes the current state in place, if it is `own` and has no other holder; readers block
    /// meanwhile. `None`, and nothing has changed, if it has one or `body` returns `None`.
    pub(crate) fn change<R>(
        &self,
        commit: CommitId,
        own: &mut Arc<T>,
        body: impl FnOnce(&mut T) -> Option<R>,
    ) -> Option<R> {
        let mut inner = self.inner.lock();
        if !Arc::ptr_eq(inner.current(), own) {
            return None;
        }
        inner.current = None;
        let changed = Arc::get_mut(own).and_then(body);
        inner.current = Some(Arc::clone(own));
        if changed.is_some() {
            // Its earlier pins were dropped, or the state would have a holder.
            match Arc::get_mut(&mut inner.pin) {
                Some(pin) => pin.commit = commit,
                None => inner.pin = Pin::new(commit),
            }
        }
        changed
    }

    /// Returns the current state without pinning it.
    pub(crate) fn current(&self) -> Arc<T> {
        Arc::clone(self.inner.lock().current())
    }

    /// Tells whether no state has readers.
    pub(crate) fn is_idle(&self) -> bool {
        let inner = self.inner.lock();
        let idle = |pin: &Arc<Pin>| pin.readers.load(Ordering::Acquire) == 0;
        idle(&inner.pin) && inner.older.iter().all(idle)
    }

    /// Returns the oldest commit that a reader has pinned or can still pin.
    pub(crate) fn oldest(&self) -> CommitId {
        let mut inner = self.inner.lock();
        // Acquire: the reads of the last reader happen before the next writes of the writer.
        while let Some(pin) = inner.older.front()
            && pin.readers.load(Ordering::Acquire) == 0
        {
            inner.older.pop_front();
        }
        inner.older.front().map_or(inner.pin.commit, |pin| pin.commit)
    }
}

impl<T> Clone for Pinned<T> {
    fn clone(&self) -> Self {
        self.pin.readers.fetch_add(1, Ordering::Relaxed);
        Self { value: Arc::clone(&self.value), pin: Arc::clone(&self.pin) }
    }
}

impl<T> Drop for Pinned<T> {
    fn drop(&mut self) {
        let before = self.pin.readers.fetch_sub(1, Ordering::Release);
        assert!(before > 0, "N1: a pin is dropped twice");
    }
}

impl<T> Deref for Pinned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
