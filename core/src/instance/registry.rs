//! Who has which file open: counting, and the one lock for opening, deleting and resetting.
//!
//! A path is *claimed* while somebody opens, closes, deletes, compacts or resets its file. The lock
//! is held only to look at the table and to claim; files are touched, and the app's code runs, with
//! a claim and without the lock. So a claim keeps others from one path, never from another.
//!
//! - J1 The global count of a path is the number of pairs of thread and kind that hold a handle;
//!   the local count of a thread is the number of its handles.
//! - J3 What failed, also by a panic, leaves counts as they were and the path free.
//! - J4 A path is claimed by one at a time, and deleted or reset only while nobody holds it.
//! - J5 Who has a claim, or is in a transaction, never waits for a claim, so nobody waits for ever;
//!   UI threads never do.
//! - J7 A file is closed when its last handle goes, on whichever thread, without the lock; the next
//!   to open finds it closed.
//!
//! Model: loom-tests, `instances`.

use super::number::{InstanceKind, ThreadNumber};
use crate::conc::{Arc, Condvar, Guard, Mutex};
use crate::fault::{self, Fault};
use crate::sorted::Sorted;
use std::fmt;
use std::path::{Path, PathBuf};

/// Why the registry refuses.
#[derive(Debug)]
pub(crate) enum Refused<C> {
    /// The file is open under another configuration: this one.
    Configuration(Arc<C>),
    /// So many pairs of thread and kind have the file open.
    Open(usize),
    /// Another thread is at work on the file, and this one on some file.
    AtWork,
    /// Another thread is at work on the file, and this is a UI thread.
    UiThread,
    /// The handle was closed.
    Closed,
    /// The handle belongs to another thread.
    OtherThread,
    /// The handle is in use by a transaction further up.
    InUse,
}

/// Who opens what.
pub(crate) struct Opener<'a, C> {
    pub(crate) path: &'a Path,
    pub(crate) configuration: &'a Arc<C>,
    pub(crate) kind: InstanceKind,
    pub(crate) thread: ThreadNumber,
}

/// The open files, by path.
pub(crate) struct Registry<C, F> {
    table: Mutex<Table<C, F>>,
    changed: Condvar,
}

struct Table<C, F> {
    entries: Sorted<PathBuf, Entry<C, F>>,
    /// UI threads, as often as they are marked.
    ui: Vec<ThreadNumber>,
    /// Threads in a transaction, as often as they are.
    working: Vec<ThreadNumber>,
}

/// A path that is claimed or open, or both.
struct Entry<C, F> {
    claimed: Option<Work>,
    open: Option<Open<C, F>>,
}

/// What a path is claimed for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    /// A thread does something that may run the app's code.
    Of(ThreadNumber),
    /// The last handle is gone, wherever it was dropped, and the file is being closed.
    Closing,
}

struct Open<C, F> {
    configuration: Arc<C>,
    file: Arc<F>,
    /// For which kinds the file was made ready, in the order of [`InstanceKind`].
    ready: [bool; 2],
    /// Handles by thread and kind; none is 0.
    holders: Sorted<(ThreadNumber, InstanceKind), usize>,
}

impl<C, F> Table<C, F> {
    fn is_at_work(&self, thread: ThreadNumber) -> bool {
        let claims = |entry: &Entry<C, F>| entry.claimed == Some(Work::Of(thread));
        self.working.contains(&thread) || self.entries.values().any(claims)
    }

    fn open(&mut self, path: &Path) -> Option<&mut Open<C, F>> {
        self.entries.get_mut(path)?.open.as_mut()
    }

    fn claim(&mut self, path: &Path, work: Work) {
        let free = || Entry { claimed: None, open: None };
        let entry = self.entries.get_or_insert_with(path.to_path_buf(), free);
        assert!(entry.claimed.is_none(), "J4: {} is claimed twice", path.display());
        entry.claimed = Some(work);
    }
}

impl<C, F> Default for Registry<C, F> {
    fn default() -> Self {
        let table = Table { entries: Sorted::new(), ui: Vec::new(), working: Vec::new() };
        Self { table: Mutex::new(table), changed: Condvar::new() }
    }
}

impl<C, F> fmt::Debug for Registry<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registry(..)")
    }
}

impl<C: PartialEq, F> Registry<C, F> {
    /// Opens a file, or adds a handle to one that is open. `make_ready` opens the file, or makes
    /// the open one that it is given ready for a kind that it has not been opened for yet; it runs
    /// with a claim on the path, so it may run the app's code.
    pub(crate) fn open<E: From<Refused<C>>>(
        self: &Arc<Self>,
        opener: &Opener<'_, C>,
        make_ready: impl FnOnce(Option<&Arc<F>>) -> Result<Arc<F>, E>,
    ) -> Result<Held<C, F>, E> {
        let Opener { path, configuration, kind, thread } = *opener;
        let mut table = self.unclaimed(path, thread)?;
        if let Some(open) = table.open(path) {
            if *open.configuration != **configuration {
                if fault::on(Fault::Mv07) {
                    *open.holders.get_or_insert_with((thread, kind), Default::default) += 1;
                }
                return Err(Refused::Configuration(Arc::clone(&open.configuration)).into());
            }
            if open.ready[kind as usize] {
                return Ok(self.hold(open, opener));
            }
        }
        let claim = self.claim(table, path, thread);
        // After the claim, so that on every way out it is given back before.
        let known = self.table.lock().open(path).map(|open| Arc::clone(&open.file));
        let file = make_ready(known.as_ref())?;
        drop(known);
        let mut table = self.table.lock();
        let entry = table.entries.get_mut(path).expect("J4: what is claimed has an entry");
        let open = entry.open.get_or_insert_with(|| Open {
            configuration: Arc::clone(configuration),
            file,
            ready: [false; 2],
            holders: Sorted::new(),
        });
        open.ready[kind as usize] = true;
        let held = self.hold(open, opener);
        drop(table);
        drop(claim);
        Ok(held)
    }

    /// Does something to a file that nobody has open, and that nobody opens meanwhile.
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

    /// Waits until nobody has a claim on the path, if this thread may.
    fn unclaimed(
        &self,
        path: &Path,
        thread: ThreadNumber,
    ) -> Result<Guard<'_, Table<C, F>>, Refused<C>> {
        let mut table = self.table.lock();
        while table.entries.get(path).is_some_and(|entry| entry.claimed.is_some()) {
            if table.is_at_work(thread) {
                return Err(Refused::AtWork);
            }
            if table.ui.contains(&thread) {
                return Err(Refused::UiThread);
            }
            table = self.changed.wait(table);
        }
        Ok(table)
    }

    fn claim<'a>(
        &'a self,
        mut table: Guard<'_, Table<C, F>>,
        path: &'a Path,
        thread: ThreadNumber,
    ) -> Claim<'a, C, F> {
        table.claim(path, Work::Of(thread));
        Claim { registry: self, path }
    }

    /// Counts a handle.
    fn hold(self: &Arc<Self>, open: &mut Open<C, F>, opener: &Opener<'_, C>) -> Held<C, F> {
        let Opener { path, kind, thread, .. } = *opener;
        *open.holders.get_or_insert_with((thread, kind), Default::default) += 1;
        let state = State { file: Some(Arc::clone(&open.file)), uses: 0 };
        let (registry, path) = (Arc::clone(self), path.to_path_buf());
        Held { registry, path, kind, thread, state: Mutex::new(state) }
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

    /// Tells whether somebody has the lock at this moment.
    pub(crate) fn is_locked(&self) -> bool {
        self.table.try_lock().is_none()
    }

    /// Marks a thread as one that must not wait.
    pub(crate) fn mark_ui(&self, thread: ThreadNumber) {
        self.table.lock().ui.push(thread);
    }

    /// Tells whether a thread must not wait.
    pub(crate) fn is_ui(&self, thread: ThreadNumber) -> bool {
        self.table.lock().ui.contains(&thread)
    }

    /// Takes back one mark.
    pub(crate) fn unmark_ui(&self, thread: ThreadNumber) {
        take_one(&mut self.table.lock().ui, thread);
    }

    /// Notes that a thread is in a transaction, for which others may wait with a claim: until what
    /// is returned is dropped, it does not wait for a claim.
    pub(crate) fn work(&self, thread: ThreadNumber) -> Working<'_, C, F> {
        self.table.lock().working.push(thread);
        Working { registry: self, thread }
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
        // With a claim on it, whoever claimed it closes it.
        let is_claimed = table.entries.get(path).is_some_and(|entry| entry.claimed.is_some());
        if !is_claimed {
            table.claim(path, Work::Closing);
            drop(table);
            drop(Claim { registry: self, path });
        }
    }

    /// Takes back a claim, and closes the file if nobody holds it.
    fn unclaim(&self, path: &Path) {
        let mut table = self.table.lock();
        let entry = table.entries.get_mut(path).expect("J4: what is claimed has an entry");
        let unheld = entry.open.take_if(|open| open.holders.is_empty());
        if let Some(open) = unheld {
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
pub(crate) struct Working<'a, C, F> {
    registry: &'a Registry<C, F>,
    thread: ThreadNumber,
}

impl<C, F> Drop for Working<'_, C, F> {
    fn drop(&mut self) {
        take_one(&mut self.registry.table.lock().working, self.thread);
    }
}

/// The right to work on a path; dropped, also by a panic, it is free again.
struct Claim<'a, C, F> {
    registry: &'a Registry<C, F>,
    path: &'a Path,
}

impl<C, F> Drop for Claim<'_, C, F> {
    fn drop(&mut self) {
        self.registry.unclaim(self.path);
    }
}

/// A handle to an open file. It belongs to the thread that opened it; dropped anywhere, it is
/// uncounted there.
pub(crate) struct Held<C, F> {
    registry: Arc<Registry<C, F>>,
    path: PathBuf,
    kind: InstanceKind,
    thread: ThreadNumber,
    state: Mutex<State<F>>,
}

struct State<F> {
    /// None once closed.
    file: Option<Arc<F>>,
    /// How many calls are using the file.
    uses: usize,
}

impl<C, F> Held<C, F> {
    pub(crate) const fn kind(&self) -> InstanceKind {
        self.kind
    }

    /// Tells whether both are handles of one thread, of one kind, to one open file.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let file = |held: &Self| held.state.lock().file.as_ref().map(Arc::as_ptr);
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
        let used = Use { held: self };
        let outcome = body(&file);
        drop(file);
        drop(used);
        outcome
    }

    /// Closes the handle; tells whether it was open.
    pub(crate) fn close(&self, thread: ThreadNumber) -> Result<bool, Refused<C>> {
        if thread != self.thread {
            return Err(Refused::OtherThread);
        }
        if self.state.lock().uses > 0 {
            return Err(Refused::InUse);
        }
        Ok(self.let_go())
    }

    fn let_go(&self) -> bool {
        // Given back first: the registry's own is then the last, and drops it without the lock.
        let file = self.state.lock().file.take();
        let was_open = file.is_some();
        drop(file);
        if was_open {
            self.registry.leave(&self.path, (self.thread, self.kind));
        }
        was_open
    }
}

impl<C, F> Drop for Held<C, F> {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl<C, F> fmt::Debug for Held<C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_open = self.state.lock().file.is_some();
        let mut debug = f.debug_struct("Held");
        debug.field("path", &self.path).field("kind", &self.kind);
        debug.field("thread", &self.thread).field("is_open", &is_open).finish()
    }
}

/// A call that uses the file of a handle.
struct Use<'a, C, F> {
    held: &'a Held<C, F>,
}

impl<C, F> Drop for Use<'_, C, F> {
    fn drop(&mut self) {
        self.held.state.lock().uses -= 1;
    }
}
