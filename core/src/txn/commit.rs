//! Commit: a finished transaction becomes the last state of the file.
//!
//! A small commit is appended to the log. If the log has no room, or the file has no log, a
//! checkpoint writes the trees. Then group commit makes the record durable: the first waiting
//! writer writes and syncs for all of them, and the acknowledgement follows.

use super::changes::{EditedChanges, TxnChanges};
use super::checkpoint::{CheckpointPlan, checkpoint};
use super::failure::{Failure, WriteResult};
use super::in_place::commit_in_place;
use super::log::{Appended, LogEntry};
use super::state::CommitState;
use super::trees::Trees;
use super::writer::{Versions, WriterState};
use crate::conc::Arc;
use crate::error::{ArgumentError, Error, FileErrorCause, Result};
use crate::fault::{self, Fault};
use crate::page::{NUMBERS_END, TreeCatalog};
use crate::sorted::Sorted;
use crate::tree::TreeEdit;
use crate::unit::{CommitId, VALUE_BYTES_MAX};

/// The time at which a commit is durable, and so what a crash may undo.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// The commit is durable when the call returns.
    #[default]
    Immediate,
    /// The commit does not wait for the disk: readers see it at once, and a crash may undo it
    /// together with all commits after it. It becomes durable with the next
    /// [`Durability::Immediate`] commit, with [`Store::sync`](crate::Store::sync), or when the
    /// store is closed. The one commit that finds the log full waits for a checkpoint.
    None,
}

/// A commit that has its number, by the wait that is left for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// No wait is left.
    Done(CommitId),
    /// The transaction changed nothing, and the commit that it started from may not be durable yet.
    AwaitsEarlier(CommitId),
    /// The commit is in the buffer of the log.
    Buffered(Appended),
}

impl Stage {
    pub(crate) const fn commit(&self) -> CommitId {
        match self {
            Self::Done(commit) | Self::AwaitsEarlier(commit) => *commit,
            Self::Buffered(appended) => appended.commit,
        }
    }
}

/// The writer within a commit, and the versions that it adds to.
struct Committing<'a> {
    versions: &'a Versions,
    writer: &'a mut WriterState,
}

/// Makes the changes a commit.
pub(crate) fn commit(
    versions: &Versions,
    writer: &mut WriterState,
    changes: TxnChanges,
    durability: Durability,
) -> Result<Stage> {
    // Until this returns: after a panic, no transaction may build on half a commit.
    writer.poisoned = true;
    let outcome = Committing { versions, writer }.commit(changes, durability);
    settle_failure(versions, writer, outcome)
}

/// Starts making the last commit durable, and returns its number, which the caller waits for.
pub(crate) fn flush_last(versions: &Versions, writer: &mut WriterState) -> Result<CommitId> {
    let outcome = Committing { versions, writer }.flush_last();
    settle_failure(versions, writer, outcome)
}

/// Poisons the writer after a failure that leaves the disk unknown (C3).
fn settle_failure<T>(
    versions: &Versions,
    writer: &mut WriterState,
    outcome: WriteResult<T>,
) -> Result<T> {
    writer.poisoned = matches!(outcome, Err(Failure::DiskUnknown(_)));
    if writer.poisoned {
        // No waiting writer is acknowledged.
        versions.group.fail();
    }
    outcome.map_err(Failure::into_error)
}

impl Committing<'_> {
    fn commit(&mut self, mut changes: TxnChanges, durability: Durability) -> WriteResult<Stage> {
        if changes.failed {
            return Err(Error::TransactionFailed.into());
        }
        if self.versions.group.has_failed() {
            return Err(Error::Poisoned { path: changes.base.pager.path().into() }.into());
        }
        changes.prune();
        if changes.trees.is_empty() {
            // The transaction may have read a commit that is not durable yet.
            return match durability {
                Durability::Immediate => self.flush_last().map(Stage::AwaitsEarlier),
                Durability::None => Ok(Stage::Done(changes.base.commit())),
            };
        }
        let commit = changes.base.commit().next();
        if commit.0 >= NUMBERS_END && !fault::on(Fault::Fs42) {
            // No later opening would read it (D4).
            let path = changes.base.pager.path();
            return Err(Error::file(path, FileErrorCause::CommitLimit).into());
        }
        let (record, ops) = (changes.record(), changes.journal.ops);
        let awaited = durability == Durability::Immediate;
        let entry = record.as_deref();
        let entry = entry.map(|changes| LogEntry { commit, ops, changes, freed: &[], awaited });
        if let Some(entry) = &entry
            && !awaited
        {
            match commit_in_place(&self.versions.published, self.writer, changes, entry) {
                Ok(()) => return Ok(Stage::Done(commit)),
                Err(refused) => changes = refused,
            }
        }
        let mut changes = changes.apply_buffered()?;
        if let Some(entry) = &entry
            && let Some(stage) = self.append_to_log(&mut changes, entry)?
        {
            return Ok(stage);
        }
        let versions = self.versions;
        versions.exclusively(|| self.write_trees(changes, commit))
    }

    /// Makes the changes a checkpoint.
    fn write_trees(&mut self, changes: EditedChanges, commit: CommitId) -> WriteResult<Stage> {
        let Self { versions, writer } = self;
        if !writer.slots_agree && writer.tip.commit() > writer.tip.slot.commit {
            // Commits without durability left no copy of the base's slot, and the checkpoint frees
            // pages of the base.
            writer.secure_slots().map_err(Failure::disk_unknown)?;
        }
        let needs = writer.needs(versions);
        let plan = CheckpointPlan { commit, needs, truncate_at: None };
        let state = checkpoint(writer, changes, plan)?;
        assert!(state.commit == commit, "C2: the checkpoint of {commit} has another number");
        writer.tip = Arc::clone(&state);
        versions.publish(&state);
        Ok(Stage::Done(commit))
    }

    /// Appends the changes to the log, to be written by the next sync; `None` if there is no room.
    fn append_to_log(
        &mut self,
        changes: &mut EditedChanges,
        entry: &LogEntry<'_>,
    ) -> WriteResult<Option<Stage>> {
        let EditedChanges { base, trees, freed } = changes;
        let LogEntry { commit, ops, awaited, .. } = *entry;
        let (log, pager, bytes) = (&base.log, &base.pager, entry.changes.len());
        if !log.tail().has_room(ops, bytes) {
            return Ok(None);
        }
        if awaited {
            self.writer.begin_log()?;
        }
        let mut tail = log.tail();
        // The buffered commits may have been written meanwhile, on whole pages.
        if !tail.has_room(ops, bytes) {
            return Ok(None);
        }
        if awaited || tail.is_awaited() {
            tail.allocate(pager, bytes)?;
        }
        let trees = merged(base, std::mem::take(trees))?;
        let state = Arc::new(CommitState { commit, trees, ..CommitState::clone(base) });
        let appended = tail.append(&LogEntry { freed, ..*entry });
        let is_full = !awaited && tail.is_full(0);
        drop(tail);
        if is_full {
            self.write_buffered(base, appended)?;
        }
        self.writer.tip = Arc::clone(&state);
        if fault::txn::publish_in_flight(self.versions, base, &state)? {
            return Ok(Some(Stage::Done(commit)));
        }
        if awaited {
            self.versions.group.set_last(commit, state);
            return Ok(Some(Stage::Buffered(appended)));
        }
        self.versions.published.publish(commit, state);
        Ok(Some(Stage::Done(commit)))
    }

    /// Writes a full buffer although no writer waits for it. If a sync is in progress, a later
    /// commit does. If the write fails, the last commit is retracted before another thread can
    /// write it.
    fn write_buffered(&mut self, base: &CommitState, last: Appended) -> WriteResult<()> {
        let Self { versions, writer } = self;
        if versions.group.is_syncing() {
            return Ok(());
        }
        let (log, pager) = (&base.log, &base.pager);
        let mut write = || -> WriteResult<()> {
            log.tail().allocate(pager, 0)?;
            writer.begin_log()?;
            log.write(pager, versions.group.durable())
        };
        versions.exclusively(|| {
            let has_buffered = log.tail().has_buffered();
            let written = if has_buffered { write() } else { Ok(()) };
            written.inspect_err(|_| log.tail().retract(last))
        })
    }

    fn flush_last(&mut self) -> WriteResult<CommitId> {
        let Self { versions, writer } = self;
        let tip = Arc::clone(&writer.tip);
        let commit = tip.commit();
        if versions.group.durable() == commit {
            return Ok(commit);
        }
        if tip.log.tail().has_buffered() {
            writer.begin_log()?;
        }
        let mut tail = tip.log.tail();
        if tail.has_buffered() {
            tail.allocate(&tip.pager, 0)?;
            tail.set_awaited();
        }
        drop(tail);
        versions.group.set_last(commit, tip);
        Ok(commit)
    }
}

/// Returns the trees of a commit in the log.
fn merged(base: &CommitState, changed: Sorted<Arc<str>, TreeEdit>) -> Result<Trees> {
    let mut trees = base.trees.clone();
    let mut has_new = false;
    for (name, edit) in changed {
        if edit.is_empty() {
            trees.remove(&name);
            continue;
        }
        has_new |= trees.insert(name, edit.into_state(base.pager.cache())).is_none();
    }
    let bytes = || trees.keys().map(|name| TreeCatalog::entry_bytes(name)).sum::<usize>();
    if has_new && bytes() > VALUE_BYTES_MAX {
        return Err(ArgumentError::TooManyTrees.into());
    }
    Ok(trees)
}
