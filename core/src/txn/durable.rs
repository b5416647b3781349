//! Making written commits durable: one sync for all that wait.
//!
//! Whoever finds no sync under way starts one, for everything written so far, and the others wait
//! for it or for the next. So while one syncs, the next transactions run and are written. A commit
//! that has to sync on its own, as a checkpoint has, waits until no sync is under way.
//!
//! - N3 A commit counts as durable only after a sync that began when it was written returned `Ok`.
//!   After one that failed, none does. One sync is under way at a time: of several, the system may
//!   tell any of them that writing failed, and tells only one.
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
    /// The last that is written, and what it holds.
    written: (CommitId, T),
    syncing: bool,
    /// Somebody waits for the sync to end, to sync alone; nobody else begins one before.
    awaited: bool,
    failed: bool,
    /// How many commits the last sync made durable.
    shared: u64,
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

impl<T> Drop for Syncing<'_, T> {
    fn drop(&mut self) {
        let mut progress = self.owner.progress.lock();
        progress.syncing = false;
        if let Some(target) = self.target.filter(|_| self.done) {
            progress.shared = target.0.saturating_sub(progress.durable.0);
            progress.durable = progress.durable.max(target);
        }
        progress.failed |= !self.done;
        drop(progress);
        self.owner.changed.notify_all();
    }
}

impl<T: Clone> Durable<T> {
    pub(crate) fn new(commit: CommitId, value: T) -> Self {
        let progress = Progress {
            durable: commit,
            written: (commit, value),
            syncing: false,
            awaited: false,
            failed: false,
            shared: 0,
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

    /// Notes a commit that is written.
    pub(crate) fn written(&self, commit: CommitId, value: T) {
        self.progress.lock().written = (commit, value);
    }

    /// Notes a commit that is durable already.
    pub(crate) fn reached(&self, commit: CommitId, value: T) {
        let mut progress = self.progress.lock();
        progress.written = (commit, value);
        progress.durable = progress.durable.max(commit);
        drop(progress);
        self.changed.notify_all();
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

    /// Waits a little for as many commits as shared the last sync: their writers were let go
    /// together and come back together. Returns the last that is written then.
    fn gather(&self, expected: u64) -> (CommitId, T) {
        for _ in 0..YIELDS {
            let progress = self.progress.lock();
            // Who waits to sync alone keeps others from writing.
            if progress.written.0.0 >= expected || progress.awaited {
                break;
            }
            drop(progress);
            yield_now();
        }
        self.progress.lock().written.clone()
    }

    /// Waits until a written commit is durable, syncing if nobody else does. `publish` is told what
    /// a sync made durable, before anybody who waited goes on; what it returns is dropped after.
    ///
    /// # Errors
    /// [`Lost`] if a sync failed.
    pub(crate) fn reach<E, R>(
        &self,
        commit: CommitId,
        mut sync: impl FnMut(&T) -> Result<(), E>,
        mut publish: impl FnMut(CommitId, T) -> R,
    ) -> Result<(), Lost<E>> {
        loop {
            let mut progress = self.progress.lock();
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
            let expected = progress.durable.0 + progress.shared;
            drop(progress);
            let mut syncing = Syncing { owner: self, target: None, done: false };
            let (target, value) = self.gather(expected);
            sync(&value).map_err(Lost::Sync)?;
            if self.has_failed() && !fault::on(Fault::Fs15) {
                return Err(Lost::Before);
            }
            let late = fault::on(Fault::Fs14).then(|| self.progress.lock().written.0);
            let replaced = publish(target, value);
            syncing.target = late.or(Some(target));
            syncing.done = true;
            drop(syncing);
            drop(replaced);
        }
    }
}
