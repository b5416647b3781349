//! The published state, and who still reads an older one.
//!
//! - N1 A state is pinned from when a reader can see it to when its last reader is gone; `oldest`
//!   never exceeds a pinned commit, nor one that can still be pinned. What a reader holds never
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
    /// There unless it is being changed, with the lock held.
    current: Option<Arc<T>>,
    pin: Arc<Pin>,
    /// States that were published before and may have readers, oldest first.
    older: VecDeque<Arc<Pin>>,
}

#[derive(Debug)]
struct Pin {
    commit: CommitId,
    readers: AtomicUsize,
}

/// A state that a reader holds.
#[derive(Debug)]
pub(crate) struct Pinned<T> {
    value: Arc<T>,
    pin: Arc<Pin>,
}

const CURRENT: &str = "N1: the current state is there, but for a panic while it was changed";

impl Pin {
    fn new(commit: CommitId) -> Arc<Self> {
        Arc::new(Self { commit, readers: AtomicUsize::new(0) })
    }
}

impl<T> Inner<T> {
    /// Puts another state in the place of the current one and returns that.
    fn replace(&mut self, commit: CommitId, value: Arc<T>) -> Arc<T> {
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
        // Counted under the lock: the writer cannot publish, and so not look, in between.
        inner.pin.readers.fetch_add(1, Ordering::Relaxed);
        Pinned { value: Arc::clone(inner.current()), pin: Arc::clone(&inner.pin) }
    }

    /// Replaces the current state by a later one and returns it; does nothing if it is as late
    /// already.
    pub(crate) fn advance(&self, commit: CommitId, value: Arc<T>) -> Option<Arc<T>> {
        let mut inner = self.inner.lock();
        (inner.pin.commit < commit).then(|| inner.replace(commit, value))
    }

    /// Replaces the current state.
    pub(crate) fn publish(&self, commit: CommitId, value: Arc<T>) {
        let last = self.inner.lock().replace(commit, value);
        drop(last);
    }

    /// Changes the current state where it is, if it is `own` and nobody but this and `own` holds
    /// it; readers wait meanwhile. `None`, and nothing has changed, if somebody does, or `body`
    /// returns that.
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
            // Who pinned it as it was is gone, or would hold it.
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

    /// Tells whether nobody holds a state.
    pub(crate) fn is_idle(&self) -> bool {
        let inner = self.inner.lock();
        let idle = |pin: &Arc<Pin>| pin.readers.load(Ordering::Acquire) == 0;
        idle(&inner.pin) && inner.older.iter().all(idle)
    }

    /// Returns the oldest commit that a reader holds or can still get.
    pub(crate) fn oldest(&self) -> CommitId {
        let mut inner = self.inner.lock();
        // Acquire: what the last reader read happened before what the writer writes next.
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
        self.pin.readers.fetch_sub(1, Ordering::Release);
    }
}

impl<T> Deref for Pinned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
