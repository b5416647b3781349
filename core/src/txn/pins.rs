//! MVCC snapshots: the published state, and the pins of its readers.
//!
//! - N1 A state is pinned from the time a reader can see it until its last reader drops it. `pins`
//!   has every commit that is pinned, or can still be pinned. A pinned state never changes.
//! - G3 A state without readers takes no memory once a later one is published.
//!
//! Model: loom-tests, `pins`.

use crate::conc::{Arc, AtomicUsize, Mutex, Ordering};
use crate::fault::{self, Fault};
use crate::space::Pins;
use crate::unit::CommitId;
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
    /// Pins of earlier states that had readers when they were replaced, oldest first.
    older: Vec<Arc<Pin>>,
    /// Pins after the last removal of those without readers.
    alive: usize,
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

    /// Tells whether a reader holds the pin. Once a later state is published, a pin without readers
    /// never gets one again.
    fn is_held(&self) -> bool {
        // Acquire: the reads of the last reader happen before the next writes of the writer.
        self.readers.load(Ordering::Acquire) > 0
    }
}

impl<T> Inner<T> {
    /// Replaces the current state and returns it.
    fn replace(&mut self, commit: CommitId, value: Arc<T>) -> Arc<T> {
        assert!(self.pin.commit <= commit, "N1: {commit} is published over a later commit");
        let pin = std::mem::replace(&mut self.pin, Pin::new(commit));
        if pin.is_held() || fault::on(Fault::Fs27) {
            if self.older.len() > 2 * self.alive + 16 {
                self.drop_released();
            }
            self.older.push(pin);
        }
        self.current.replace(value).expect(CURRENT)
    }

    /// Drops the pins without readers.
    fn drop_released(&mut self) {
        let first_held = self.older.iter().position(|pin| pin.is_held());
        let mut place = 0;
        self.older.retain(|pin| {
            place += 1;
            pin.is_held() || fault::on(Fault::Fs27) && first_held.is_some_and(|it| it < place)
        });
        self.alive = self.older.len();
    }

    fn current(&self) -> &Arc<T> {
        self.current.as_ref().expect(CURRENT)
    }
}

impl<T> Published<T> {
    pub(crate) fn new(commit: CommitId, current: Arc<T>) -> Self {
        let pin = Pin::new(commit);
        let (current, older) = (Some(current), Vec::new());
        Self { inner: Mutex::new(Inner { current, pin, older, alive: 0 }) }
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
        !inner.pin.is_held() && !inner.older.iter().any(|pin| pin.is_held())
    }

    /// Returns the commits that readers have pinned or can still pin.
    pub(crate) fn pins(&self) -> Pins {
        let mut inner = self.inner.lock();
        inner.drop_released();
        let older = inner.older.iter().map(|pin| pin.commit).collect();
        Pins { older, current: inner.pin.commit }
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
