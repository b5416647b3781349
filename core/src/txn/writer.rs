//! The state of the one writer, and the versions that readers and waiting writers see.

use super::failure::{Failure, WriteResult};
use super::group_commit::{GroupCommit, NotDurable};
use super::header::{other_slot, write_slot};
use super::log::LogLimits;
use super::pins::Published;
use super::replay::{PendingLog, Replayed};
use super::state::{CommitState, ONE_SYNC_PAGES_MAX, SPILL_BYTES_MIN};
use crate::conc::Arc;
use crate::error::{Error, Result};
use crate::fault::{self, Fault};
use crate::page::HeaderSlot;
use crate::space::{Draft, Pins, Space};
use crate::unit::{CommitId, PageId};
use crate::vfs::Vfs;
use std::path::PathBuf;

/// The published state, and the last durable commit.
#[derive(Debug)]
pub(crate) struct Versions {
    pub(crate) published: Published<CommitState>,
    pub(crate) group: GroupCommit<Arc<CommitState>>,
}

impl Versions {
    /// Starts from a durable state.
    pub(crate) fn new(state: &Arc<CommitState>) -> Self {
        let commit = state.commit;
        let published = Published::new(commit, Arc::clone(state));
        Self { published, group: GroupCommit::new(commit) }
    }

    /// Publishes a durable state.
    pub(crate) fn publish(&self, state: &Arc<CommitState>) {
        // Before any writer returns that waits for an earlier commit: this state has it.
        self.published.publish(state.commit, Arc::clone(state));
        self.group.set_durable(state.commit);
    }

    /// Waits until a commit is durable and published. If the record could not be written, and is
    /// not in the file, `roll_back` tells whether the commit was rolled back.
    pub(crate) fn wait_for(
        &self,
        commit: CommitId,
        roll_back: &mut dyn FnMut() -> bool,
    ) -> Result<()> {
        let sync = |state: &Arc<CommitState>| {
            let written = state.log.write(&state.pager, self.group.durable());
            written.map_err(|failure| match failure {
                Failure::Undone(error) if roll_back() => Failure::Undone(error),
                Failure::Undone(error) | Failure::DiskUnknown(error) => Failure::DiskUnknown(error),
            })?;
            state.pager.sync().map_err(Failure::DiskUnknown)
        };
        let publish = |commit, state| self.published.advance(commit, state);
        match self.group.wait_durable(commit, sync, publish) {
            Ok(()) => Ok(()),
            Err(NotDurable::FailedBefore) if fault::on(Fault::Fs11) => Ok(()),
            Err(NotDurable::SyncFailed(error)) => Err(error),
            Err(NotDurable::FailedBefore) => Err(self.poisoned()),
        }
    }

    /// Runs a body that syncs the file by itself, while no other sync is in progress.
    pub(crate) fn exclusively<R>(&self, body: impl FnOnce() -> WriteResult<R>) -> WriteResult<R> {
        let outcome = self.group.exclusively(body);
        outcome.unwrap_or_else(|| Err(Failure::Undone(self.poisoned())))
    }

    fn poisoned(&self) -> Error {
        Error::Poisoned { path: self.published.current().pager.path().into() }
    }
}

/// The state of the one writer.
#[derive(Debug)]
pub(crate) struct WriterState {
    /// Read from the space tree on first use.
    pub(crate) space: Option<Space>,
    /// The pages that the open transaction wrote before its commit.
    pub(crate) spilled: Spilled,
    /// A transaction spills no fewer bytes of changed nodes at once.
    pub(crate) spill_bytes_min: usize,
    /// The last commit, which may not be durable yet: the next transaction starts from it.
    pub(crate) tip: Arc<CommitState>,
    /// Number of times that the writer lock was taken.
    pub(crate) lock_count: u64,
    /// The last commit that changed the one before it in place.
    pub(crate) in_place: Option<CommitId>,
    /// The page of the slot that holds the base.
    pub(crate) slot_page: PageId,
    /// Both slots hold the base, and the slot on `slot_page` is durable.
    pub(crate) slots_agree: bool,
    /// Both slots that hold the base are durable.
    pub(crate) slots_durable: bool,
    /// A slot says that the log was begun.
    pub(crate) log_marked: bool,
    /// The log that opening found, until it is replayed for the first write transaction.
    pending: Option<PendingLog>,
    /// `None` if the format of the file has no log.
    pub(crate) log_limits: Option<LogLimits>,
    /// Set while the file's name may not be durable, which is not a link: its creator may have died
    /// before the sync of the directory.
    pub(crate) unsynced_name: Option<(Arc<dyn Vfs>, PathBuf)>,
    /// A checkpoint of more pages syncs them before its slot.
    pub(crate) one_sync_pages_max: usize,
    /// The file is not in its place yet, and is synced before it gets there.
    pub(crate) defers_sync: bool,
    /// The state of the disk is unknown.
    pub(crate) poisoned: bool,
}

/// The pages that the open transaction has spilled.
#[derive(Debug, Default)]
pub(crate) struct Spilled {
    pub(crate) draft: Option<Draft>,
    /// Bytes of all nodes in memory at which the transaction is examined again.
    pub(crate) next_bytes: usize,
}

/// The states that are still needed: the commits that readers may need, and the last durable one.
#[derive(Clone, Debug)]
pub(crate) struct Needs {
    pub(crate) pins: Pins,
    pub(crate) durable: CommitId,
}

impl WriterState {
    /// The writer of a file whose base has its slot on `slot_page`.
    pub(crate) fn new(tip: Arc<CommitState>, slot_page: PageId, slots_agree: bool) -> Self {
        Self {
            space: None,
            spilled: Spilled::default(),
            spill_bytes_min: SPILL_BYTES_MIN,
            tip,
            lock_count: 0,
            in_place: None,
            slot_page,
            slots_agree,
            slots_durable: false,
            log_marked: false,
            pending: None,
            log_limits: None,
            unsynced_name: None,
            one_sync_pages_max: ONE_SYNC_PAGES_MAX,
            defers_sync: false,
            poisoned: false,
        }
    }

    /// The writer of a file with a log, which is replayed for the first write transaction, or at
    /// once if it cannot be read otherwise.
    pub(crate) fn with_log(
        pending: PendingLog,
        slot_page: PageId,
        slots_agree: bool,
    ) -> Result<Self> {
        let view = pending.view()?;
        let mut writer = match view {
            Some(view) => Self::new(Arc::new(view), slot_page, slots_agree),
            None => Self::new(Arc::clone(pending.base()), slot_page, slots_agree),
        };
        writer.tip.log.tail().resume(&pending.scan);
        let now = writer.tip.commit() != pending.commit();
        if !pending.scan.is_empty() {
            writer.pending = Some(pending);
        }
        if now {
            writer.replay_log()?;
        }
        Ok(writer)
    }

    /// Replays the log that opening found, and tells whether there was one.
    pub(crate) fn replay_log(&mut self) -> Result<bool> {
        let Some(pending) = &self.pending else { return Ok(false) };
        let Replayed { state, ops, freed } = pending.replay()?;
        assert!(state.commit >= self.tip.commit, "L1: replay ends at {}", state.commit);
        self.tip = Arc::new(state);
        self.tip.log.tail().count_replayed(ops, freed);
        self.pending = None;
        Ok(true)
    }

    /// Sets how long the log may become, as the options and the file's format allow.
    pub(crate) fn start_log(&mut self) -> Result<()> {
        match self.log_limits {
            Some(limits) => self.tip.log.tail().set_limits(&self.tip.pager, limits),
            None => Ok(()),
        }
    }

    /// Writes the slot of a durable commit over the other slot. The copy need not reach the disk:
    /// the next checkpoint replaces it, and not the slot that is durable.
    pub(crate) fn copy_slot(&mut self, slot: &HeaderSlot) -> Result<()> {
        self.write_other_slot(slot, true)?;
        self.slots_agree = true;
        Ok(())
    }

    /// Writes the slot of the base, which is durable, over a slot that must not be read again; not
    /// as a copy, so that the file does not look closed. If the process dies before the next sync,
    /// the next opening sees the write in the system's cache, and must still sync it.
    pub(crate) fn replace_other_slot(&mut self) -> Result<()> {
        (self.log_marked, self.slots_agree) = (false, false);
        self.write_other_slot(&self.tip.slot, false)
    }

    fn write_other_slot(&self, slot: &HeaderSlot, copy: bool) -> Result<()> {
        let (pager, page) = (&self.tip.pager, other_slot(self.slot_page));
        let slot = HeaderSlot { settled: true, copy, logged: self.log_marked, ..slot.clone() };
        write_slot(pager, pager.batch()?, &slot, page)
    }

    /// Copies the slot of the base.
    pub(crate) fn copy_base_slot(&mut self) -> Result<()> {
        let tip = Arc::clone(&self.tip);
        self.copy_slot(&tip.slot)
    }

    /// Copies the slot of the base, durably.
    pub(crate) fn secure_slots(&mut self) -> Result<()> {
        self.copy_base_slot()?;
        self.tip.pager.sync()?;
        self.slots_durable = true;
        Ok(())
    }

    /// Prepares the file for the first record of a log: the slot that is not needed says that there
    /// is a log, and the name of the file is durable.
    pub(crate) fn begin_log(&mut self) -> WriteResult<()> {
        let mut begun = Ok(());
        if !self.log_marked {
            self.log_marked = true;
            begun = self.copy_base_slot();
        }
        begun.and_then(|()| self.sync_name()).map_err(Failure::disk_unknown)
    }

    /// Makes the name of the file durable, if it may not be.
    pub(crate) fn sync_name(&mut self) -> Result<()> {
        let pager = &self.tip.pager;
        match self.unsynced_name.take() {
            Some((vfs, path)) if !fault::on(Fault::Fs02) => {
                vfs.sync_dir(&path).map_err(|e| pager.io(&e))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Returns the states that are still needed.
    pub(crate) fn needs(&self, versions: &Versions) -> Needs {
        let base = self.tip.slot.commit;
        // While the other slot holds an older base, its pages are needed as well.
        let durable = match (self.slots_agree, self.slots_durable) {
            (_, true) => base.next(),
            (true, false) => versions.group.durable(),
            (false, false) => base,
        };
        let mut pins = versions.published.pins();
        if fault::on(Fault::Mv01) {
            pins = Pins { older: Vec::new(), current: self.tip.commit() };
        }
        Needs { pins, durable }
    }
}

#[cfg(test)]
mod tests {
    use crate::txn::group_commit::{Failure, GroupCommit, NotDurable};
    use crate::unit::CommitId;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn after_a_panic_in_an_exclusive_sync_no_commit_is_durable() {
        let group = GroupCommit::new(CommitId(0));
        let panics = || group.exclusively::<(), ()>(|| panic!("the test panics"));
        let panicked = catch_unwind(AssertUnwindSafe(panics));
        assert!(panicked.is_err() && group.has_failed());
        group.set_last(CommitId(1), ());
        let outcome = group.wait_durable(CommitId(1), |()| Ok::<_, Failure<()>>(()), |_, ()| ());
        assert!(matches!(outcome, Err(NotDurable::FailedBefore)));
        assert!(group.exclusively::<(), ()>(|| Ok(())).is_none());
    }
}
