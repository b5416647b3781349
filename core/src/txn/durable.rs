//! Making commits durable: one who writes and syncs for all that wait.
//!
//! Whoever finds no sync under way starts one, for all that was committed so far: it writes that
//! and syncs. The others wait for it or for the next. So while one syncs, the next transactions
//! run. A commit that has to sync on its own, as a checkpoint has, waits until no sync is under
//! way.
//!
//! - N3 A commit counts as durable only after it was written, and a sync that began then returned
//!   `Ok`. After one that failed, none does. One sync is under way at a time: of several, the
//!   system may tell any of them that writing failed, and tells only one.
//!
//! Model: loom-tests, `durable`.

use crate::conc::{Condvar, Mutex, YIELDS, yield_now};
use crate::fault::{self, Fault};
use crate::unit::CommitId;

/// How far a file is durable, and what to publish then.
#[derive(Debug)]
pub(crate) struct Durable<T> {
    progress: Mutex<Progress<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Progress<T> {
    /// The last commit known to be durable.
    durable: CommitId,
    /// The last there is, and what it holds if it is not durable.
    last: (CommitId, Option<T>),
    syncing: bool,
    /// Somebody waits for the sync to end, to sync alone; nobody else begins one before.
    awaited: bool,
    failed: bool,
    /// The commit that the next sync waits for, a little.
    expected: u64,
}

/// Why writing or syncing failed.
#[derive(Debug)]
pub(crate) struct Failure<E> {
    pub(crate) error: E,
    /// The disk, and what others go on from, are as if it had not been tried.
    pub(crate) undone: bool,
}

/// Why a commit is not known to be durable.
#[derive(Debug)]
pub(crate) enum Lost<E> {
    /// This sync failed.
    Sync(E),
    /// An earlier one did.
    Before,
}

/// Ends a sync also by a panic.
struct Syncing<'a, T> {
    owner: &'a Durable<T>,
    /// What it makes durable for all that wait.
    target: Option<CommitId>,
    done: bool,
}

impl<T> Progress<T> {
    /// Returns what the last commit holds, if it need not be held any more.
    fn let_go(&mut self) -> Option<T> {
        if self.last.0 <= self.durable { self.last.1.take() } else { None }
    }
}

impl<T> Drop for Syncing<'_, T> {
    fn drop(&mut self) {
        let mut progress = self.owner.progress.lock();
        progress.syncing = false;
        if let Some(target) = self.target.filter(|_| self.done) {
            // Who waited for this sync comes back, and who came meanwhile is there already.
            let shared = target.0.saturating_sub(progress.durable.0);
            progress.expected = progress.last.0.0 + shared;
            progress.durable = progress.durable.max(target);
        }
        progress.failed |= !self.done;
        let held = progress.let_go();
        drop(progress);
        self.owner.changed.notify_all();
        drop(held);
    }
}

impl<T: Clone> Durable<T> {
    pub(crate) fn new(commit: CommitId) -> Self {
        let progress = Progress {
            durable: commit,
            last: (commit, None),
            syncing: false,
            awaited: false,
            failed: false,
            expected: 0,
        };
        Self { progress: Mutex::new(progress), changed: Condvar::new() }
    }

    /// Returns the last commit known to be durable.
    pub(crate) fn durable(&self) -> CommitId {
        self.progress.lock().durable
    }

    /// Tells whether a sync failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.progress.lock().failed
    }

    /// Tells whether a sync is under way.
    pub(crate) fn is_syncing(&self) -> bool {
        self.progress.lock().syncing
    }

    /// Tells whether somebody waits to sync alone.
    #[allow(dead_code, reason = "for `inspect` and the loom models")]
    pub(crate) fn is_awaited(&self) -> bool {
        self.progress.lock().awaited
    }

    /// Notes that the disk failed otherwise: no sync that has not ended yet counts.
    pub(crate) fn fail(&self) {
        self.progress.lock().failed = true;
        self.changed.notify_all();
    }

    /// Notes the last commit there is, which is to be written, or that it is another one after
    /// all.
    pub(crate) fn note(&self, commit: CommitId, value: T) {
        let mut progress = self.progress.lock();
        let held = std::mem::replace(&mut progress.last, (commit, Some(value)));
        let value = progress.let_go();
        drop(progress);
        drop((held, value));
    }

    /// Notes a last commit that is durable already.
    pub(crate) fn reached(&self, commit: CommitId) {
        let mut progress = self.progress.lock();
        let held = std::mem::replace(&mut progress.last, (commit, None));
        progress.durable = progress.durable.max(commit);
        drop(progress);
        self.changed.notify_all();
        drop(held);
    }

    /// Runs what syncs by itself while no other sync is under way; `None` after one that failed.
    /// If `body` leaves the disk unknown, or panics, that is noted before another sync begins.
    pub(crate) fn alone<R>(
        &self,
        unknown: &mut bool,
        body: impl FnOnce(&mut bool) -> R,
    ) -> Option<R> {
        let mut progress = self.progress.lock();
        progress.awaited = true;
        while progress.syncing && !fault::on(Fault::Fs15) {
            progress = self.changed.wait(progress);
        }
        progress.awaited = false;
        if progress.failed {
            return None;
        }
        progress.syncing = true;
        drop(progress);
        let mut syncing = Syncing { owner: self, target: None, done: false };
        let outcome = body(unknown);
        syncing.done = !*unknown;
        Some(outcome)
    }

    /// Waits a little for those whom the last sync let go, and those who came meanwhile: they come
    /// together. Returns the last commit there is then.
    fn gather(&self, expected: u64) -> (CommitId, Option<T>) {
        for _ in 0..YIELDS {
            let progress = self.progress.lock();
            // Who waits to sync alone keeps others from writing.
            if progress.last.0.0 >= expected || progress.awaited {
                break;
            }
            drop(progress);
            yield_now();
        }
        self.progress.lock().last.clone()
    }

    /// Waits until a commit is durable; if nobody else does, `sync` writes all that was committed
    /// and syncs. `publish` is told what that made durable, before anybody who waited goes on; what
    /// it returns is dropped after.
    ///
    /// # Errors
    /// [`Lost`] if that failed.
    pub(crate) fn reach<E, R>(
        &self,
        commit: CommitId,
        mut sync: impl FnMut(&T) -> Result<(), Failure<E>>,
        mut publish: impl FnMut(CommitId, T) -> R,
    ) -> Result<(), Lost<E>> {
        loop {
            let mut progress = self.progress.lock();
            assert!(progress.last.0 >= commit, "N3: commit {commit} was taken back");
            if progress.durable >= commit {
                return Ok(());
            }
            if progress.failed {
                return Err(Lost::Before);
            }
            if progress.syncing || progress.awaited {
                drop(self.changed.wait(progress));
                continue;
            }
            progress.syncing = true;
            let expected = progress.expected;
            drop(progress);
            let mut syncing = Syncing { owner: self, target: None, done: false };
            let (target, Some(value)) = self.gather(expected) else {
                // Somebody made it durable otherwise.
                syncing.done = true;
                continue;
            };
            if let Err(Failure { error, undone }) = sync(&value) {
                syncing.done = undone;
                return Err(Lost::Sync(error));
            }
            if self.has_failed() && !fault::on(Fault::Fs15) {
                return Err(Lost::Before);
            }
            let late = fault::on(Fault::Fs14).then(|| self.progress.lock().last.0);
            let replaced = publish(target, value);
            syncing.target = late.or(Some(target));
            syncing.done = true;
            drop(syncing);
            drop(replaced);
        }
    }
}
