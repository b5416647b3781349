//! Registry of open files: counts of handles, and the one lock for opening, deleting and resetting.
//!
//! A thread *claims* a path while it opens, closes, deletes, compacts or resets the file. It holds
//! the lock only to read the table and to claim; file operations and the app's code run with a
//! claim and without the lock. A claim excludes others from one path only.
//!
//! - J1 The global count of a path is the number of pairs of thread and kind that hold a handle;
//!   the local count of a thread is the number of its handles.
//! - J3 A failure, also a panic, leaves counts as they were and the path free.
//! - J4 One thread at a time claims a path, and it is deleted or reset only without handles.
//! - J5 A thread with a claim, or in a transaction, never waits for a claim, so no thread waits for
//!   ever; a thread that must not block never waits.
//! - J7 Dropping the last handle closes the file, on any thread, without the lock; the next opener
//!   finds it closed.
//!
//! Model: loom-tests, `instances`.

use super::number::{InstanceKind, ThreadNumber};
use crate::conc::{Arc, Condvar, Guard, Mutex};
use crate::fault::{self, Fault};
use crate::sorted::Sorted;
use std::fmt;
use std::path::{Path, PathBuf};

/// Reasons of the registry to refuse.
#[derive(Debug)]
pub(crate) enum Refused<C> {
    /// The file is open under another configuration: this one.
    Configuration(Arc<C>),
    /// The file is open, by this many pairs of thread and kind.
    Open(usize),
    /// Another thread works on the file, and this thread on some file.
    AtWork,
    /// Another thread works on the file, and this thread must not block.
    BlockingForbidden,
    /// The handle was closed.
    Closed,
    /// The handle belongs to another thread.
    OtherThread,
    /// The handle is in use by a transaction further up.
    InUse,
}

/// A request to open a path.
pub(crate) struct OpenRequest<'a, C> {
    pub(crate) path: &'a Path,
    pub(crate) configuration: &'a Arc<C>,
    pub(crate) kind: InstanceKind,
    pub(crate) thread: ThreadNumber,
}

/// The open files, by path.
pub(crate) struct Registry<C, F> {
    table: Mutex<PathTable<C, F>>,
    changed: Condvar,
}

struct PathTable<C, F> {
    entries: Sorted<PathBuf, PathEntry<C, F>>,
    /// Threads that must not block, once for each mark.
    non_blocking: Vec<ThreadNumber>,
    /// Threads in a transaction, once for each.
    working: Vec<ThreadNumber>,
}

/// A path that is claimed or open, or both.
struct PathEntry<C, F> {
    claimed: Option<ClaimReason>,
    open: Option<Open<C, F>>,
}

/// The reason of a claim.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ClaimReason {
    /// A thread's work, which may run the app's code.
    Of(ThreadNumber),
    /// Closing the file after its last handle was dropped, on any thread.
    Closing,
}

struct Open<C, F> {
    configuration: Arc<C>,
    file: Arc<F>,
    /// The kinds that the file is ready for, in the order of [`InstanceKind`].
    ready: [bool; 2],
    /// Handles by thread and kind; none is 0.
    holders: Sorted<(ThreadNumber, InstanceKind), usize>,
}

impl<C, F> PathTable<C, F> {
    fn is_at_work(&self, thread: ThreadNumber) -> bool {
        let claims = |entry: &PathEntry<C, F>| entry.claimed == Some(ClaimReason::Of(thread));
        self.working.contains(&thread) || self.entries.values().any(claims)
    }

    fn open(&mut self, path: &Path) -> Option<&mut Open<C, F>> {
        self.entries.get_mut(path)?.open.as_mut()
    }

    fn claim(&mut self, path: &Path, work: ClaimReason) {
        let free = || PathEntry { claimed: None, open: None };
        let entry = self.entries.get_or_insert_with(path.to_path_buf(), free);
        assert!(entry.claimed.is_none(), "J4: {} is claimed twice", path.display());
        entry.claimed = Some(work);
    }
}

impl<C, F> Default for Registry<C, F> {
    fn default() -> Self {
        let table =
            PathTable { entries: Sorted::new(), non_blocking: Vec::new(), working: Vec::new() };
        Self { table: Mutex::new(table), changed: Condvar::new() }
    }
}

impl<C, F> fmt::Debug for Registry<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registry(..)")
    }
}

impl<C: PartialEq, F> Registry<C, F> {
    /// Opens a file, or adds a handle to an open one. `make_ready` opens the file, or prepares the
    /// open one for a new kind. It runs with a claim on the path, so it may run the app's code.
    pub(crate) fn open<E: From<Refused<C>>>(
        self: &Arc<Self>,
        request: &OpenRequest<'_, C>,
        make_ready: impl FnOnce(Option<&Arc<F>>) -> Result<Arc<F>, E>,
    ) -> Result<RegistryHandle<C, F>, E> {
        let OpenRequest { path, configuration, kind, thread } = *request;
        let mut table = self.unclaimed(path, thread)?;
        if let Some(open) = table.open(path) {
            if *open.configuration != **configuration {
                if fault::on(Fault::Mv07) {
                    *open.holders.get_or_insert_with((thread, kind), Default::default) += 1;
                }
                return Err(Refused::Configuration(Arc::clone(&open.configuration)).into());
            }
            if open.ready[kind as usize] {
                return Ok(self.hold(open, request));
            }
        }
        let claim = self.claim(table, path, thread);
        // Declared after the claim, so that every return drops it first.
        let known = self.table.lock().open(path).map(|open| Arc::clone(&open.file));
        let file = make_ready(known.as_ref())?;
        drop(known);
        let mut table = self.table.lock();
        let entry = table.entries.get_mut(path).expect("J4: a claimed path has an entry");
        let open = entry.open.get_or_insert_with(|| Open {
            configuration: Arc::clone(configuration),
            file,
            ready: [false; 2],
            holders: Sorted::new(),
        });
        open.ready[kind as usize] = true;
        let handle = self.hold(open, request);
        drop(table);
        drop(claim);
        Ok(handle)
    }

    /// Runs `body` while the file is closed and cannot be opened.
    pub(crate) fn alone<T, E: From<Refused<C>>>(
        &self,
        (path, thread): (&Path, ThreadNumber),
        body: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut table = self.unclaimed(path, thread)?;
        if let Some(open) = table.open(path) {
            return Err(Refused::Open(open.holders.len()).into());
        }
        let claim = self.claim(table, path, thread);
        let outcome = body();
        drop(claim);
        outcome
    }

    /// Waits until the path has no claim, if this thread may.
    fn unclaimed(
        &self,
        path: &Path,
        thread: ThreadNumber,
    ) -> Result<Guard<'_, PathTable<C, F>>, Refused<C>> {
        let mut table = self.table.lock();
        while table.entries.get(path).is_some_and(|entry| entry.claimed.is_some()) {
            if table.is_at_work(thread) {
                return Err(Refused::AtWork);
            }
            if table.non_blocking.contains(&thread) {
                return Err(Refused::BlockingForbidden);
            }
            table = self.changed.wait(table);
        }
        Ok(table)
    }

    fn claim<'a>(
        &'a self,
        mut table: Guard<'_, PathTable<C, F>>,
        path: &'a Path,
        thread: ThreadNumber,
    ) -> Claim<'a, C, F> {
        table.claim(path, ClaimReason::Of(thread));
        Claim { registry: self, path }
    }

    /// Counts a handle.
    fn hold(
        self: &Arc<Self>,
        open: &mut Open<C, F>,
        request: &OpenRequest<'_, C>,
    ) -> RegistryHandle<C, F> {
        let OpenRequest { path, kind, thread, .. } = *request;
        *open.holders.get_or_insert_with((thread, kind), Default::default) += 1;
        let state = HandleState { file: Some(Arc::clone(&open.file)), uses: 0 };
        let (registry, path) = (Arc::clone(self), path.to_path_buf());
        RegistryHandle { registry, path, kind, thread, state: Mutex::new(state) }
    }
}

impl<C, F> Registry<C, F> {
    /// Returns how many pairs of thread and kind have the file open.
    pub(crate) fn global_count(&self, path: &Path) -> usize {
        self.table.lock().open(path).map_or(0, |open| open.holders.len())
    }

    /// Returns how many handles a thread has to the file.
    pub(crate) fn local_count(&self, path: &Path, thread: ThreadNumber) -> usize {
        let mut table = self.table.lock();
        let Some(open) = table.open(path) else { return 0 };
        let own = open.holders.iter().filter(|((holder, _), _)| *holder == thread);
        own.map(|(_, handles)| handles).sum()
    }

    /// Returns whether a thread holds the lock at this moment.
    pub(crate) fn is_locked(&self) -> bool {
        self.table.try_lock().is_none()
    }

    /// Marks a thread that must not wait.
    pub(crate) fn forbid_blocking_on(&self, thread: ThreadNumber) {
        self.table.lock().non_blocking.push(thread);
    }

    /// Returns whether a thread must not wait.
    pub(crate) fn must_not_block(&self, thread: ThreadNumber) -> bool {
        self.table.lock().non_blocking.contains(&thread)
    }

    /// Removes one mark.
    pub(crate) fn allow_blocking_on(&self, thread: ThreadNumber) {
        take_one(&mut self.table.lock().non_blocking, thread);
    }

    /// Notes that a thread is in a transaction, for which others may wait with a claim. The thread
    /// does not wait for a claim until the returned mark is dropped.
    pub(crate) fn work(&self, thread: ThreadNumber) -> TransactionMark<'_, C, F> {
        self.table.lock().working.push(thread);
        TransactionMark { registry: self, thread }
    }

    /// Uncounts a handle, and closes the file if it was the last. Never waits.
    fn leave(&self, path: &Path, holder: (ThreadNumber, InstanceKind)) {
        let mut table = self.table.lock();
        let open = table.open(path).expect("J1: the file of a handle is open");
        let handles = open.holders.get_mut(&holder).expect("J1: a handle is counted");
        *handles -= 1;
        if *handles == 0 {
            open.holders.remove(&holder);
        }
        // A thread with a claim on the path closes it.
        let is_claimed = table.entries.get(path).is_some_and(|entry| entry.claimed.is_some());
        if !is_claimed {
            table.claim(path, ClaimReason::Closing);
            drop(table);
            drop(Claim { registry: self, path });
        }
    }

    /// Drops a claim, and closes the file if it has no handles.
    fn unclaim(&self, path: &Path) {
        let mut table = self.table.lock();
        let entry = table.entries.get_mut(path).expect("J4: a claimed path has an entry");
        let unused = entry.open.take_if(|open| open.holders.is_empty());
        if let Some(open) = unused {
            // Closing writes; the claim keeps openers waiting until the file is closed.
            if fault::on(Fault::Mv09) {
                drop(open);
            } else {
                drop(table);
                drop(open);
                table = self.table.lock();
            }
        }
        if let Some(entry) = table.entries.get_mut(path) {
            entry.claimed = None;
            if entry.open.is_none() {
                table.entries.remove(path);
            }
        }
        drop(table);
        self.changed.notify_all();
    }
}

fn take_one(threads: &mut Vec<ThreadNumber>, thread: ThreadNumber) {
    if let Some(at) = threads.iter().position(|one| *one == thread) {
        threads.swap_remove(at);
    }
}

/// A thread is in a transaction.
pub(crate) struct TransactionMark<'a, C, F> {
    registry: &'a Registry<C, F>,
    thread: ThreadNumber,
}

impl<C, F> Drop for TransactionMark<'_, C, F> {
    fn drop(&mut self) {
        take_one(&mut self.registry.table.lock().working, self.thread);
    }
}

/// The right to work on a path, released on drop, also by a panic.
struct Claim<'a, C, F> {
    registry: &'a Registry<C, F>,
    path: &'a Path,
}

impl<C, F> Drop for Claim<'_, C, F> {
    fn drop(&mut self) {
        self.registry.unclaim(self.path);
    }
}

/// A handle to an open file. It belongs to the thread that opened it; any thread may drop it.
pub(crate) struct RegistryHandle<C, F> {
    registry: Arc<Registry<C, F>>,
    path: PathBuf,
    kind: InstanceKind,
    thread: ThreadNumber,
    state: Mutex<HandleState<F>>,
}

struct HandleState<F> {
    /// `None` once closed.
    file: Option<Arc<F>>,
    /// Number of calls that use the file.
    uses: usize,
}

impl<C, F> RegistryHandle<C, F> {
    pub(crate) const fn kind(&self) -> InstanceKind {
        self.kind
    }

    /// Returns whether both are handles of one thread, of one kind, to one open file.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let file = |handle: &Self| handle.state.lock().file.as_ref().map(Arc::as_ptr);
        let (ours, theirs) = (file(self), file(other));
        let alike = self.thread == other.thread && self.kind == other.kind;
        alike && ours.is_some() && ours == theirs
    }

    /// Uses the file, on the handle's own thread, until it is closed.
    pub(crate) fn with<T, E: From<Refused<C>>>(
        &self,
        thread: ThreadNumber,
        body: impl FnOnce(&F) -> Result<T, E>,
    ) -> Result<T, E> {
        if thread != self.thread {
            return Err(Refused::OtherThread.into());
        }
        let mut state = self.state.lock();
        let file = state.file.clone().ok_or(Refused::Closed)?;
        state.uses += 1;
        drop(state);
        let used = CallGuard { handle: self };
        let outcome = body(&file);
        drop(file);
        drop(used);
        outcome
    }

    /// Closes the handle; returns whether it was open.
    pub(crate) fn close(&self, thread: ThreadNumber) -> Result<bool, Refused<C>> {
        if thread != self.thread {
            return Err(Refused::OtherThread);
        }
        if self.state.lock().uses > 0 {
            return Err(Refused::InUse);
        }
        Ok(self.release())
    }

    fn release(&self) -> bool {
        // Dropped first: the registry then drops the last reference, without the lock.
        let file = self.state.lock().file.take();
        let was_open = file.is_some();
        drop(file);
        if was_open {
            self.registry.leave(&self.path, (self.thread, self.kind));
        }
        was_open
    }
}

impl<C, F> Drop for RegistryHandle<C, F> {
    fn drop(&mut self) {
        self.release();
    }
}

impl<C, F> fmt::Debug for RegistryHandle<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_open = self.state.lock().file.is_some();
        let mut debug = f.debug_struct("RegistryHandle");
        debug.field("path", &self.path).field("kind", &self.kind);
        debug.field("thread", &self.thread).field("is_open", &is_open).finish()
    }
}

/// A call that uses the file of a handle.
struct CallGuard<'a, C, F> {
    handle: &'a RegistryHandle<C, F>,
}

impl<C, F> Drop for CallGuard<'_, C, F> {
    fn drop(&mut self) {
        self.handle.state.lock().uses -= 1;
    }
}
