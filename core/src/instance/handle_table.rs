//! The handle table: counts the handles of each file, and lets one thread at a time open, close,
//! delete, compact or reset it.
//!
//! A thread *claims* a path for such an operation. The table's lock is held only to look a path up
//! and to claim it; file access and callbacks run under the claim and without the lock. A claim
//! blocks other operations on its path, and none on other paths.
//!
//! - J1 The global count of a path is the number of pairs of thread and kind with a handle; the
//!   local count of a thread is the number of its handles.
//! - J3 An operation that fails, also by a panic, leaves counts unchanged and the path unclaimed.
//! - J4 One thread at a time claims a path; a path is deleted or reset only without handles.
//! - J5 A thread that holds a claim, or is in a transaction, never waits for a claim, which rules
//!   out deadlocks; a thread that must not block never waits either.
//! - J7 A file is closed when its last handle is dropped, on any thread, without the lock; the next
//!   opening finds it closed.
//!
//! Model: loom-tests, `instances`.

use super::holder::{InstanceKind, ThreadNumber};
use crate::conc::{Arc, Condvar, Guard, Mutex};
use crate::fault::{self, Fault};
use crate::sorted::Sorted;
use std::fmt;
use std::path::{Path, PathBuf};

/// The reason of a refused call.
#[derive(Debug)]
pub(crate) enum Refusal<C> {
    /// The file is open under this unequal configuration.
    Configuration(Arc<C>),
    /// The file is open; the count is that of pairs of thread and kind.
    Open(usize),
    /// Another thread has claimed the path, and this thread holds a claim or is in a transaction.
    AtWork,
    /// Another thread has claimed the path, and this thread must not block.
    BlockingForbidden,
    /// The handle was closed.
    Closed,
    /// The handle belongs to another thread.
    OtherThread,
    /// A transaction of this thread uses the handle.
    InTransaction,
}

/// A request to open a file.
pub(crate) struct OpenRequest<'a, C> {
    pub(crate) path: &'a Path,
    pub(crate) configuration: &'a Arc<C>,
    pub(crate) kind: InstanceKind,
    pub(crate) thread: ThreadNumber,
}

/// The open files, by path.
pub(crate) struct HandleTable<C, F> {
    paths: Mutex<PathTable<C, F>>,
    changed: Condvar,
}

struct PathTable<C, F> {
    entries: Sorted<PathBuf, PathEntry<C, F>>,
    /// Threads that must not block, once for each mark.
    non_blocking: Vec<ThreadNumber>,
    /// Threads in a transaction, once for each transaction.
    in_transaction: Vec<ThreadNumber>,
}

/// A path that is claimed, open or both.
struct PathEntry<C, F> {
    claimed: Option<Claimant>,
    open: Option<OpenFile<C, F>>,
}

/// The holder of a claim.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Claimant {
    /// A thread, whose operation may run callbacks.
    Thread(ThreadNumber),
    /// The thread that dropped the last handle, and now closes the file.
    Closing,
}

struct OpenFile<C, F> {
    configuration: Arc<C>,
    file: Arc<F>,
    /// The kinds for which the file was prepared, in the order of [`InstanceKind`].
    prepared: [bool; 2],
    /// Handles by thread and kind; none is 0.
    holders: Sorted<(ThreadNumber, InstanceKind), usize>,
}

impl<C, F> OpenFile<C, F> {
    fn count(&mut self, holder: (ThreadNumber, InstanceKind)) {
        *self.holders.get_or_insert_with(holder, Default::default) += 1;
    }
}

impl<C, F> PathTable<C, F> {
    fn is_at_work(&self, thread: ThreadNumber) -> bool {
        let claims = |entry: &PathEntry<C, F>| entry.claimed == Some(Claimant::Thread(thread));
        self.in_transaction.contains(&thread) || self.entries.values().any(claims)
    }

    fn open(&mut self, path: &Path) -> Option<&mut OpenFile<C, F>> {
        self.entries.get_mut(path)?.open.as_mut()
    }

    fn claim(&mut self, path: &Path, claimant: Claimant) {
        let free = || PathEntry { claimed: None, open: None };
        let entry = self.entries.get_or_insert_with(path.to_path_buf(), free);
        assert!(entry.claimed.is_none(), "J4: {} is claimed twice", path.display());
        entry.claimed = Some(claimant);
    }
}

impl<C, F> Default for HandleTable<C, F> {
    fn default() -> Self {
        let paths = PathTable {
            entries: Sorted::new(),
            non_blocking: Vec::new(),
            in_transaction: Vec::new(),
        };
        Self { paths: Mutex::new(paths), changed: Condvar::new() }
    }
}

impl<C, F> fmt::Debug for HandleTable<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandleTable(..)")
    }
}

impl<C: PartialEq, F> HandleTable<C, F> {
    /// Opens a file, or adds a handle to an open one. `prepare` opens the file, or prepares the
    /// given open file for a further kind. It runs under a claim on the path, so it may run
    /// callbacks.
    pub(crate) fn open<E: From<Refusal<C>>>(
        self: &Arc<Self>,
        request: &OpenRequest<'_, C>,
        prepare: impl FnOnce(Option<&Arc<F>>) -> Result<Arc<F>, E>,
    ) -> Result<FileHandle<C, F>, E> {
        let OpenRequest { path, configuration, kind, thread } = *request;
        let mut paths = self.wait_unclaimed(path, thread)?;
        if let Some(open) = paths.open(path) {
            if *open.configuration != **configuration {
                if fault::on(Fault::Mv07) {
                    open.count((thread, kind));
                }
                return Err(Refusal::Configuration(Arc::clone(&open.configuration)).into());
            }
            if open.prepared[kind as usize] {
                return Ok(self.add_handle(open, request));
            }
        }
        let claim = self.claim(paths, path, thread);
        // Cloned after the claim, so that every return drops it before the claim.
        let known = self.paths.lock().open(path).map(|open| Arc::clone(&open.file));
        let file = prepare(known.as_ref())?;
        drop(known);
        let mut paths = self.paths.lock();
        let entry = paths.entries.get_mut(path).expect("J4: a claimed path has an entry");
        let open = entry.open.get_or_insert_with(|| OpenFile {
            configuration: Arc::clone(configuration),
            file,
            prepared: [false; 2],
            holders: Sorted::new(),
        });
        open.prepared[kind as usize] = true;
        let handle = self.add_handle(open, request);
        drop(paths);
        drop(claim);
        Ok(handle)
    }

    /// Runs an operation on a file without handles. No thread opens the file meanwhile.
    pub(crate) fn exclusively<T, E: From<Refusal<C>>>(
        &self,
        path: &Path,
        thread: ThreadNumber,
        body: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut paths = self.wait_unclaimed(path, thread)?;
        if let Some(open) = paths.open(path) {
            return Err(Refusal::Open(open.holders.len()).into());
        }
        let claim = self.claim(paths, path, thread);
        let outcome = body();
        drop(claim);
        outcome
    }

    /// Waits until the path is unclaimed, if this thread may wait.
    fn wait_unclaimed(
        &self,
        path: &Path,
        thread: ThreadNumber,
    ) -> Result<Guard<'_, PathTable<C, F>>, Refusal<C>> {
        let mut paths = self.paths.lock();
        while paths.entries.get(path).is_some_and(|entry| entry.claimed.is_some()) {
            if paths.is_at_work(thread) {
                return Err(Refusal::AtWork);
            }
            if paths.non_blocking.contains(&thread) {
                return Err(Refusal::BlockingForbidden);
            }
            paths = self.changed.wait(paths);
        }
        Ok(paths)
    }

    fn claim<'a>(
        &'a self,
        mut paths: Guard<'_, PathTable<C, F>>,
        path: &'a Path,
        thread: ThreadNumber,
    ) -> ClaimGuard<'a, C, F> {
        paths.claim(path, Claimant::Thread(thread));
        ClaimGuard { table: self, path }
    }

    /// Creates a handle and counts it.
    fn add_handle(
        self: &Arc<Self>,
        open: &mut OpenFile<C, F>,
        request: &OpenRequest<'_, C>,
    ) -> FileHandle<C, F> {
        let OpenRequest { path, kind, thread, .. } = *request;
        open.count((thread, kind));
        let state = HandleState { file: Some(Arc::clone(&open.file)), uses: 0 };
        let (table, path) = (Arc::clone(self), path.to_path_buf());
        FileHandle { table, path, kind, thread, state: Mutex::new(state) }
    }
}

impl<C, F> HandleTable<C, F> {
    /// Returns the number of pairs of thread and kind that have the file open.
    pub(crate) fn global_count(&self, path: &Path) -> usize {
        self.paths.lock().open(path).map_or(0, |open| open.holders.len())
    }

    /// Returns the number of a thread's handles of the file.
    pub(crate) fn local_count(&self, path: &Path, thread: ThreadNumber) -> usize {
        let mut paths = self.paths.lock();
        let Some(open) = paths.open(path) else { return 0 };
        let own = open.holders.iter().filter(|((holder, _), _)| *holder == thread);
        own.map(|(_, handles)| handles).sum()
    }

    /// Returns whether a thread holds the lock now.
    pub(crate) fn is_locked(&self) -> bool {
        self.paths.try_lock().is_none()
    }

    /// Forbids a thread to block.
    pub(crate) fn forbid_blocking(&self, thread: ThreadNumber) {
        self.paths.lock().non_blocking.push(thread);
    }

    /// Returns whether a thread must not block.
    pub(crate) fn is_non_blocking(&self, thread: ThreadNumber) -> bool {
        self.paths.lock().non_blocking.contains(&thread)
    }

    /// Undoes one [`HandleTable::forbid_blocking`].
    pub(crate) fn allow_blocking(&self, thread: ThreadNumber) {
        remove_one(&mut self.paths.lock().non_blocking, thread);
    }

    /// Marks a thread as in a transaction until the mark is dropped: meanwhile it does not wait for
    /// a claim, because a thread with a claim may wait for the transaction.
    pub(crate) fn mark_in_transaction(&self, thread: ThreadNumber) -> TransactionMark<'_, C, F> {
        self.paths.lock().in_transaction.push(thread);
        TransactionMark { table: self, thread }
    }

    /// Removes a handle from the counts, and closes the file after the last one. Never waits.
    fn remove_handle(&self, path: &Path, holder: (ThreadNumber, InstanceKind)) {
        let mut paths = self.paths.lock();
        let open = paths.open(path).expect("J1: the file of a handle is open");
        let handles = open.holders.get_mut(&holder).expect("J1: a handle is counted");
        *handles -= 1;
        if *handles == 0 {
            open.holders.remove(&holder);
        }
        // The holder of a claim closes the file itself.
        let is_claimed = paths.entries.get(path).is_some_and(|entry| entry.claimed.is_some());
        if !is_claimed {
            paths.claim(path, Claimant::Closing);
            drop(paths);
            drop(ClaimGuard { table: self, path });
        }
    }

    /// Releases a claim, and closes the file if it has no handles.
    fn release_claim(&self, path: &Path) {
        let mut paths = self.paths.lock();
        let entry = paths.entries.get_mut(path).expect("J4: a claimed path has an entry");
        let unheld = entry.open.take_if(|open| open.holders.is_empty());
        if let Some(open) = unheld.filter(|_| !fault::on(Fault::Mv09)) {
            // Closing writes; the claim makes openings wait until the file is closed.
            drop(paths);
            drop(open);
            paths = self.paths.lock();
        }
        if let Some(entry) = paths.entries.get_mut(path) {
            entry.claimed = None;
            if entry.open.is_none() {
                paths.entries.remove(path);
            }
        }
        drop(paths);
        self.changed.notify_all();
    }
}

fn remove_one(threads: &mut Vec<ThreadNumber>, thread: ThreadNumber) {
    if let Some(at) = threads.iter().position(|one| *one == thread) {
        threads.swap_remove(at);
    }
}

/// Marks a thread as in a transaction.
pub(crate) struct TransactionMark<'a, C, F> {
    table: &'a HandleTable<C, F>,
    thread: ThreadNumber,
}

impl<C, F> Drop for TransactionMark<'_, C, F> {
    fn drop(&mut self) {
        remove_one(&mut self.table.paths.lock().in_transaction, self.thread);
    }
}

/// A claim on a path, released when dropped, also by a panic.
struct ClaimGuard<'a, C, F> {
    table: &'a HandleTable<C, F>,
    path: &'a Path,
}

impl<C, F> Drop for ClaimGuard<'_, C, F> {
    fn drop(&mut self) {
        self.table.release_claim(self.path);
    }
}

/// A handle to an open file. It belongs to the thread that opened it. Any thread may drop it, which
/// decreases the counts of its own thread.
pub(crate) struct FileHandle<C, F> {
    table: Arc<HandleTable<C, F>>,
    path: PathBuf,
    kind: InstanceKind,
    thread: ThreadNumber,
    state: Mutex<HandleState<F>>,
}

struct HandleState<F> {
    /// `None` once closed.
    file: Option<Arc<F>>,
    /// The number of running calls that use the file.
    uses: usize,
}

impl<C, F> FileHandle<C, F> {
    pub(crate) const fn kind(&self) -> InstanceKind {
        self.kind
    }

    /// Returns whether both are open handles of one thread, one kind and one file.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let file = |handle: &Self| handle.state.lock().file.as_ref().map(Arc::as_ptr);
        let (ours, theirs) = (file(self), file(other));
        let alike = self.thread == other.thread && self.kind == other.kind;
        alike && ours.is_some() && ours == theirs
    }

    /// Runs `body` with the file, on the handle's own thread, unless the handle is closed.
    pub(crate) fn with<T, E: From<Refusal<C>>>(
        &self,
        thread: ThreadNumber,
        body: impl FnOnce(&F) -> Result<T, E>,
    ) -> Result<T, E> {
        if thread != self.thread {
            return Err(Refusal::OtherThread.into());
        }
        let mut state = self.state.lock();
        let file = state.file.clone().ok_or(Refusal::Closed)?;
        state.uses += 1;
        drop(state);
        let guard = UseGuard { handle: self };
        let outcome = body(&file);
        drop(file);
        drop(guard);
        outcome
    }

    /// Closes the handle; returns whether it was open.
    pub(crate) fn close(&self, thread: ThreadNumber) -> Result<bool, Refusal<C>> {
        if thread != self.thread {
            return Err(Refusal::OtherThread);
        }
        if self.state.lock().uses > 0 {
            return Err(Refusal::InTransaction);
        }
        Ok(self.release())
    }

    fn release(&self) -> bool {
        // Dropped first: the table then has the last reference, and drops it without the lock.
        let file = self.state.lock().file.take();
        let was_open = file.is_some();
        drop(file);
        if was_open {
            self.table.remove_handle(&self.path, (self.thread, self.kind));
        }
        was_open
    }
}

impl<C, F> Drop for FileHandle<C, F> {
    fn drop(&mut self) {
        self.release();
    }
}

impl<C, F> fmt::Debug for FileHandle<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_open = self.state.lock().file.is_some();
        let mut debug = f.debug_struct("FileHandle");
        debug.field("path", &self.path).field("kind", &self.kind);
        debug.field("thread", &self.thread).field("is_open", &is_open).finish()
    }
}

/// A running call that uses the file of a handle.
struct UseGuard<'a, C, F> {
    handle: &'a FileHandle<C, F>,
}

impl<C, F> Drop for UseGuard<'_, C, F> {
    fn drop(&mut self) {
        self.handle.state.lock().uses -= 1;
    }
}
