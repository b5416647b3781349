//! The state that the handles of a store share, and the guard of its writer lock.

use super::close::close;
use super::options::StoreOptions;
use super::recover::OpenedAs;
use super::wait_graph::{ThreadId, WaitGraph};
use super::writer::{Versions, WriterState};
use super::writer_lock::{LockRefused, WriterLock};
use crate::conc::{Arc, LazyLock, OnceLock, thread_number};
use crate::error::{Error, Result};
use crate::instance::error::InstanceError;
use std::any::Any;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

const HELD: &str = "N2: the writer lock is held until the guard is dropped";

/// The threads of the process that wait for a writer lock.
static WAITING: LazyLock<WaitGraph> = LazyLock::new(WaitGraph::new);

fn this_thread() -> ThreadId {
    ThreadId(thread_number())
}

/// The state that the handles of a store share.
#[derive(Debug)]
pub(crate) struct SharedStore {
    pub(crate) options: StoreOptions,
    pub(crate) path: PathBuf,
    pub(crate) format_version: u32,
    pub(crate) versions: Versions,
    lock: WriterLock<Box<WriterState>>,
    pub(crate) opened: OpenedAs,
    is_closed: bool,
    /// State of the floor above, one for all handles.
    pub(super) attached: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl SharedStore {
    pub(crate) fn new(
        options: StoreOptions,
        format_version: u32,
        writer: WriterState,
        opened: OpenedAs,
    ) -> Self {
        let path = writer.tip.pager.path().to_path_buf();
        let versions = Versions::new(&writer.tip);
        let lock = WriterLock::new(writer.into());
        let (is_closed, attached) = (false, OnceLock::new());
        Self { options, path, format_version, versions, lock, opened, is_closed, attached }
    }
}

impl SharedStore {
    /// Returns the number of writers that wait for the lock.
    #[cfg(any(test, feature = "inspect"))]
    pub(crate) fn waiting_writers(&self) -> u64 {
        self.lock.waiting()
    }
}

impl SharedStore {
    /// Closes the file.
    ///
    /// # Errors
    /// If the disk is full or fails: the next opening recovers the file. [`Error::Poisoned`] after
    /// a failure that left the disk unknown.
    pub(crate) fn close(mut self) -> Result<()> {
        self.close_once()
    }

    fn close_once(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.is_closed, true) || self.opened.read_only {
            return Ok(());
        }
        let writer = self.lock.try_lock(this_thread());
        let mut writer = writer.expect("N2: the last handle of a store is dropped with a writer");
        if writer.poisoned || self.versions.group.has_failed() {
            return Err(Error::Poisoned { path: self.path.clone() });
        }
        close(&self.versions, &mut writer)
    }
}

impl Drop for SharedStore {
    fn drop(&mut self) {
        // If this fails, the next opening recovers the file.
        drop(self.close_once());
    }
}

/// The guard of the writer lock; a drop releases the lock, also in a panic.
#[derive(Debug)]
pub(crate) struct WriteGuard<S: Deref<Target = SharedStore>> {
    shared: S,
    /// `None` only while it is dropped.
    writer: Option<Box<WriterState>>,
}

impl<S: Deref<Target = SharedStore>> WriteGuard<S> {
    /// Takes the writer lock, and waits for it if `waits` allows that.
    pub(crate) fn new(shared: S, waits: bool) -> Result<Self> {
        let path = || shared.path.clone();
        if shared.opened.read_only {
            return Err(Error::ReadOnly { path: path() });
        }
        let thread = this_thread();
        let locked = match waits {
            true => shared.lock.lock(thread, &WAITING),
            false => shared.lock.try_lock(thread),
        };
        let writer = locked.map_err(|refused| match refused {
            LockRefused::HeldByCaller => InstanceError::InTransaction { path: path() },
            LockRefused::Deadlock => InstanceError::Deadlock { path: path() },
            LockRefused::Busy => InstanceError::BlockingForbidden { path: path() },
        })?;
        let failed = writer.poisoned || shared.versions.group.has_failed();
        let poisoned = failed.then(|| Error::Poisoned { path: path() });
        let mut guard = Self { shared, writer: Some(writer) };
        guard.lock_count += 1;
        if let Some(poisoned) = poisoned {
            return Err(poisoned);
        }
        if guard.replay_log()? {
            guard.shared.versions.publish(&guard.tip);
        }
        Ok(guard)
    }

    /// Records that the calling thread holds the lock now.
    pub(crate) fn move_here(&self) {
        self.shared.lock.used_by(this_thread());
    }

    /// Returns the shared state and the writer.
    pub(crate) fn parts(&mut self) -> (&S, &mut WriterState) {
        (&self.shared, self.writer.as_mut().expect(HELD))
    }
}

impl<S: Deref<Target = SharedStore>> Deref for WriteGuard<S> {
    type Target = WriterState;

    fn deref(&self) -> &WriterState {
        self.writer.as_ref().expect(HELD)
    }
}

impl<S: Deref<Target = SharedStore>> DerefMut for WriteGuard<S> {
    fn deref_mut(&mut self) -> &mut WriterState {
        self.parts().1
    }
}

impl<S: Deref<Target = SharedStore>> Drop for WriteGuard<S> {
    fn drop(&mut self) {
        if let Some(mut writer) = self.writer.take() {
            writer.cancel_spill();
            self.shared.lock.unlock(writer);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Error, InstanceError, Store, StoreOptions};
    use std::sync::{Barrier, Mutex};
    use std::thread;

    fn store() -> Store {
        StoreOptions::new().in_memory().unwrap()
    }

    #[test]
    fn writers_begin_in_the_order_in_which_they_asked() {
        const WRITERS: u64 = 6;
        let (store, order) = (store(), Mutex::new(Vec::new()));
        for _ in 0..20 {
            let first = store.write().unwrap();
            thread::scope(|scope| {
                for number in 0..WRITERS {
                    let (store, order) = (&store, &order);
                    scope.spawn(move || {
                        let txn = store.write().unwrap();
                        order.lock().unwrap().push(number);
                        drop(txn);
                    });
                    while store.shared().waiting_writers() <= number {
                        thread::yield_now();
                    }
                }
                drop(first);
            });
            let order = std::mem::take(&mut *order.lock().unwrap());
            assert_eq!(order, (0..WRITERS).collect::<Vec<_>>(), "N4");
        }
    }

    #[test]
    fn a_thread_is_refused_a_second_transaction() {
        let store = store();
        let txn = store.write().unwrap();
        let is_refused =
            |error: Error| matches!(error, Error::Instance(InstanceError::InTransaction { .. }));
        assert!(is_refused(store.write().unwrap_err()));
        assert!(is_refused(store.sync().unwrap_err()));
        assert!(is_refused(store.compact().unwrap_err()));
        drop(txn);
        store.write().unwrap().commit().unwrap();
    }

    #[test]
    fn a_thread_that_would_close_a_circle_of_waits_is_refused() {
        let stores = [store(), store(), store()];
        for _ in 0..20 {
            let (barrier, refused) = (Barrier::new(stores.len()), Mutex::new(0));
            thread::scope(|scope| {
                for number in 0..stores.len() {
                    let (stores, barrier, refused) = (&stores, &barrier, &refused);
                    scope.spawn(move || {
                        let outer = stores[number].write().unwrap();
                        barrier.wait();
                        match stores[(number + 1) % stores.len()].write() {
                            Ok(inner) => drop(inner),
                            Err(error) => {
                                let deadlock = matches!(
                                    error,
                                    Error::Instance(InstanceError::Deadlock { .. })
                                );
                                assert!(deadlock, "N5: {error}");
                                *refused.lock().unwrap() += 1;
                            }
                        }
                        drop(outer);
                    });
                }
            });
            assert_eq!(*refused.lock().unwrap(), 1, "N5");
        }
    }

    #[test]
    fn a_transaction_belongs_to_the_thread_that_used_it_last() {
        let store = store();
        let mut txn = store.write().unwrap();
        thread::scope(|scope| {
            let (used, is_used) = std::sync::mpsc::channel();
            let store = &store;
            scope.spawn(move || {
                txn.tree("t").unwrap().insert(b"key", b"value").unwrap();
                used.send(()).unwrap();
                while store.shared().waiting_writers() == 0 {
                    thread::yield_now();
                }
                txn.commit().unwrap();
            });
            is_used.recv().unwrap();
            // It waits, and is not refused.
            let txn = store.write().unwrap();
            drop(txn);
        });
        assert_eq!(store.snapshot().tree("t").len(), 1);
    }
}
