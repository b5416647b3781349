//! Group commit: the first waiting writer writes and syncs for all that wait.
//!
//! A writer that finds no sync in progress starts one, for all commits so far. The others wait for
//! this sync or for the next, and further transactions run meanwhile. A commit that has to sync on
//! its own, as a checkpoint does, waits until no sync is in progress.
//!
//! - N3 A commit counts as durable only after it was written, and after a sync that began later
//!   returned `Ok`. After a failed sync, no commit does. One sync runs at a time: the system
//!   reports a failed write to one of several concurrent syncs only.
//!
//! Model: loom-tests, `group_commit`.

use crate::conc::{Condvar, Mutex, YIELDS, yield_now};
use crate::fault::{self, Fault};
use crate::unit::CommitId;

/// The last durable commit of a file, and the last commit, which is to be made durable.
#[derive(Debug)]
pub(crate) struct GroupCommit<T> {
    progress: Mutex<Progress<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct Progress<T> {
    /// The last commit known to be durable.
    durable: CommitId,
    /// The last commit, and its state if that is not durable.
    last: (CommitId, Option<T>),
    syncing: bool,
    /// A writer waits to sync alone; no other sync begins before its own.
    exclusive_wanted: bool,
    failed: bool,
    /// The commit that the next sync waits for, for a short time.
    expected: u64,
}

/// A failed write, by the state that it leaves the disk in.
#[derive(Debug)]
pub(crate) enum Failure<E> {
    /// The write had no effect, neither on the disk nor on the state that later commits start from.
    Undone(E),
    /// The state of the disk is unknown: no later commit may be acknowledged.
    DiskUnknown(E),
}

impl<E> Failure<E> {
    /// Makes the failure of a sync or of a header write.
    pub(crate) fn disk_unknown(error: E) -> Self {
        if fault::on(Fault::Cr11) { Self::Undone(error) } else { Self::DiskUnknown(error) }
    }

    pub(crate) fn into_error(self) -> E {
        let (Self::Undone(error) | Self::DiskUnknown(error)) = self;
        error
    }
}

/// The reason why a commit is not known to be durable.
#[derive(Debug)]
pub(crate) enum NotDurable<E> {
    /// This sync failed.
    SyncFailed(E),
    /// An earlier sync failed.
    FailedBefore,
}

/// Guard of a sync in progress. Dropping it ends the sync, also after a panic.
struct Syncing<'a, T> {
    owner: &'a GroupCommit<T>,
    /// The commit that it makes durable, with all before it.
    target: Option<CommitId>,
    succeeded: bool,
}

impl<T> Progress<T> {
    /// Removes and returns the state of the last commit if the commit is durable: no sync needs it.
    fn take_durable(&mut self) -> Option<T> {
        if self.last.0 <= self.durable { self.last.1.take() } else { None }
    }
}

impl<T> Drop for Syncing<'_, T> {
    fn drop(&mut self) {
        let mut progress = self.owner.progress.lock();
        assert!(progress.syncing, "N3: a sync ended twice");
        progress.syncing = false;
        if let Some(target) = self.target.filter(|_| self.succeeded) {
            // The writers of this sync probably commit again, beside those that arrived meanwhile.
            let shared = target.0.saturating_sub(progress.durable.0);
            progress.expected = progress.last.0.0 + shared;
            progress.durable = progress.durable.max(target);
        }
        progress.failed |= !self.succeeded;
        let state = progress.take_durable();
        drop(progress);
        self.owner.changed.notify_all();
        drop(state);
    }
}

impl<T: Clone> GroupCommit<T> {
    /// Starts from a durable commit.
    pub(crate) fn new(commit: CommitId) -> Self {
        let progress = Progress {
            durable: commit,
            last: (commit, None),
            syncing: false,
            exclusive_wanted: false,
            failed: false,
            expected: 0,
        };
        Self { progress: Mutex::new(progress), changed: Condvar::new() }
    }

    /// Returns the last commit known to be durable.
    pub(crate) fn durable(&self) -> CommitId {
        self.progress.lock().durable
    }

    /// Returns whether a sync failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.progress.lock().failed
    }

    /// Returns whether a sync is in progress.
    pub(crate) fn is_syncing(&self) -> bool {
        self.progress.lock().syncing
    }

    /// Returns whether a writer waits to sync alone.
    #[allow(dead_code, reason = "for `inspect` and the loom models")]
    pub(crate) fn is_exclusive_wanted(&self) -> bool {
        self.progress.lock().exclusive_wanted
    }

    /// Records a failure of the disk outside of a sync: no sync in progress counts.
    pub(crate) fn fail(&self) {
        self.progress.lock().failed = true;
        self.changed.notify_all();
    }

    /// Sets the last commit, which is to be made durable. After a rollback it is an earlier one.
    pub(crate) fn set_last(&self, commit: CommitId, state: T) {
        let mut progress = self.progress.lock();
        let before = std::mem::replace(&mut progress.last, (commit, Some(state)));
        let state = progress.take_durable();
        drop(progress);
        drop((before, state));
    }

    /// Sets the last commit, which is durable already.
    pub(crate) fn set_durable(&self, commit: CommitId) {
        let mut progress = self.progress.lock();
        let before = std::mem::replace(&mut progress.last, (commit, None));
        progress.durable = progress.durable.max(commit);
        drop(progress);
        self.changed.notify_all();
        drop(before);
    }

    /// Runs a body that syncs by itself, while no other sync is in progress; `None` after a failed
    /// sync. If the body leaves the disk unknown or panics, no later sync begins.
    pub(crate) fn exclusively<R, E>(
        &self,
        body: impl FnOnce() -> Result<R, Failure<E>>,
    ) -> Option<Result<R, Failure<E>>> {
        let mut progress = self.progress.lock();
        progress.exclusive_wanted = true;
        while progress.syncing && !fault::on(Fault::Fs15) {
            progress = self.changed.wait(progress);
        }
        progress.exclusive_wanted = false;
        if progress.failed {
            return None;
        }
        progress.syncing = true;
        drop(progress);
        let mut syncing = Syncing { owner: self, target: None, succeeded: false };
        let outcome = body();
        syncing.succeeded = !matches!(outcome, Err(Failure::DiskUnknown(_)));
        Some(outcome)
    }

    /// Waits a short time for the writers that the last sync released, and for those that came
    /// meanwhile: they share the next sync. Returns the last commit then.
    fn gather(&self, expected: u64) -> (CommitId, Option<T>) {
        for _ in 0..YIELDS {
            let progress = self.progress.lock();
            // A writer that waits to sync alone holds the writer lock: no further commit comes.
            if progress.last.0.0 >= expected || progress.exclusive_wanted {
                break;
            }
            drop(progress);
            yield_now();
        }
        self.progress.lock().last.clone()
    }

    /// Waits until a commit is durable. If no sync is in progress, `sync` writes all commits so far
    /// and syncs. `publish` receives the last durable commit before any waiting writer returns; its
    /// result is dropped afterwards.
    ///
    /// # Errors
    /// [`NotDurable`] if a sync failed.
    pub(crate) fn wait_durable<E, R>(
        &self,
        commit: CommitId,
        mut sync: impl FnMut(&T) -> Result<(), Failure<E>>,
        mut publish: impl FnMut(CommitId, T) -> R,
    ) -> Result<(), NotDurable<E>> {
        loop {
            let mut progress = self.progress.lock();
            assert!(progress.last.0 >= commit, "N3: commit {commit} was rolled back");
            if progress.durable >= commit {
                return Ok(());
            }
            if progress.failed {
                return Err(NotDurable::FailedBefore);
            }
            if progress.syncing || progress.exclusive_wanted {
                drop(self.changed.wait(progress));
                continue;
            }
            progress.syncing = true;
            let expected = progress.expected;
            drop(progress);
            let mut syncing = Syncing { owner: self, target: None, succeeded: false };
            let (target, Some(state)) = self.gather(expected) else {
                // A checkpoint made the commit durable.
                syncing.succeeded = true;
                continue;
            };
            if let Err(failure) = sync(&state) {
                syncing.succeeded = matches!(failure, Failure::Undone(_));
                return Err(NotDurable::SyncFailed(failure.into_error()));
            }
            if self.has_failed() && !fault::on(Fault::Fs15) {
                return Err(NotDurable::FailedBefore);
            }
            let late = fault::on(Fault::Fs14).then(|| self.progress.lock().last.0);
            let replaced = publish(target, state);
            syncing.target = late.or(Some(target));
            syncing.succeeded = true;
            drop(syncing);
            drop(replaced);
        }
    }
}
