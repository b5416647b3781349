//! Commit: how a finished transaction becomes the state of the file.
//!
//! A small one is appended to the log; if that has no room, or there is none, the trees are written
//! by a checkpoint. Then comes the sync, which others may share, then the acknowledgement.

use super::checkpoint::{Needs, Plan, checkpoint};
use super::close::secure;
use super::journal::section_bytes;
use super::log::{Entry, changes as log_changes};
use super::recover::settle;
use super::state::{State, Trees, Versions, Writer};
use super::write::{Changes, TreeChanges};
use crate::conc::Arc;
use crate::error::{ArgumentError, Damage, Error, Result};
use crate::fault::{self, Fault};
use crate::page::Catalog;
use crate::sorted::Sorted;
use crate::tree::{Pager, TreeState};
use crate::unit::{CommitId, VALUE_BYTES_MAX};
use crate::vfs::Vfs;

/// A file whose number of commits says this much was not written by us.
const COMMIT_MAX: u64 = (1 << 48) - 1;

/// When a commit is durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sync {
    /// When it is acknowledged.
    Full,
    /// With a later one that is, or when the store is closed.
    Kept,
    /// Some time later: for a file that is not yet in its place.
    Later,
}

/// What became of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reached {
    /// Nothing is left to be waited for.
    Done(CommitId),
    /// It is written, and not yet durable.
    Written(CommitId),
}

/// Makes the changes a commit.
pub(crate) fn commit(
    versions: &Versions,
    writer: &mut Writer,
    changes: Changes,
    sync: Sync,
) -> Result<Reached> {
    // Until this returns: a panic of ours must not leave half a commit to build on.
    writer.poisoned = true;
    let mut unknown = false;
    let outcome = prepare((versions, writer), changes, sync, &mut unknown);
    writer.poisoned = unknown;
    if unknown {
        // Nobody who waits is told that all is well.
        versions.durable.fail();
    }
    outcome
}

fn prepare(
    (versions, writer): (&Versions, &mut Writer),
    mut changes: Changes,
    sync: Sync,
    unknown: &mut bool,
) -> Result<Reached> {
    let base = Arc::clone(&changes.base);
    if changes.failed {
        return Err(Error::TransactionFailed);
    }
    if versions.durable.has_failed() {
        return Err(Error::Poisoned { path: base.pager.path().into() });
    }
    changes.trees.retain(|_, tree| tree.edit.changed);
    if changes.trees.is_empty() {
        // What it read may still be on its way, or kept back.
        return match sync {
            Sync::Full => sync_kept(versions, writer, unknown).map(Reached::Written),
            Sync::Kept | Sync::Later => Ok(Reached::Done(base.commit())),
        };
    }
    if base.commit().0 >= COMMIT_MAX {
        return Err(base.pager.damaged(writer.slot_page, Damage::Content));
    }
    let commit = base.commit().next();
    let section = |(name, tree): (&Arc<str>, &TreeChanges)| section_bytes(name, &tree.ops);
    let bytes = changes.trees.iter().map(section).sum();
    if changes.journal.whole && writer.tail.has_room(changes.journal.ops, bytes) {
        return log((versions, writer), changes, (commit, sync), unknown);
    }
    let sync = if sync == Sync::Later { sync } else { Sync::Full };
    versions
        .alone(unknown, |unknown| write_trees((versions, writer), changes, (commit, sync), unknown))
}

/// Makes the changes a checkpoint.
fn write_trees(
    (versions, writer): (&Versions, &mut Writer),
    changes: Changes,
    (commit, sync): (CommitId, Sync),
    unknown: &mut bool,
) -> Result<Reached> {
    if !writer.settled && writer.tip.commit() > writer.tip.slot.commit {
        // Commits that were kept back left no copy of the base, and it is to give pages back now.
        let secured = secure(writer);
        *unknown |= secured.is_err() && !fault::on(Fault::Cr11);
        secured?;
    }
    let plan = Plan { commit, sync, needs: needs(versions, writer), cut: None };
    let state = checkpoint(writer, changes, plan, unknown)?;
    writer.tip = Arc::clone(&state);
    versions.publish(&state);
    Ok(Reached::Done(commit))
}

/// Returns which states are needed.
pub(crate) fn needs(versions: &Versions, writer: &Writer) -> Needs {
    let base = writer.tip.slot.commit;
    // While the other slot holds an older base, that one is not to be touched either.
    let durable = match (writer.settled, writer.secured) {
        (_, true) => base.next(),
        (true, false) => versions.durable.durable(),
        (false, false) => base,
    };
    let current = writer.tip.commit();
    let oldest = if fault::on(Fault::Mv01) { current } else { versions.published.oldest() };
    Needs { oldest, durable }
}

/// Appends the changes to the log.
fn log(
    (versions, writer): (&Versions, &mut Writer),
    changes: Changes,
    (commit, sync): (CommitId, Sync),
    unknown: &mut bool,
) -> Result<Reached> {
    let Changes { base, trees, freed, journal, .. } = changes;
    let pager = Arc::clone(&base.pager);
    let sections = trees.iter().map(|(name, tree)| (&**name, tree.edit.len, &tree.ops[..]));
    let bytes = log_changes(sections);
    let (trees, durable) = (merged(&base, trees)?, versions.durable.durable());
    let entry = Entry { commit, durable, ops: journal.ops, changes: &bytes };
    let kept = sync == Sync::Kept;
    if !kept {
        append((versions, writer, &base), &entry, unknown)?;
    } else if writer.tail.keep_back(&entry) {
        let rest = Entry { ops: 0, changes: &[], ..entry };
        if let Err(error) = append((versions, writer, &base), &rest, unknown) {
            writer.tail.forget(&entry);
            return Err(error);
        }
    }
    writer.tail.freed.extend(freed);
    let state =
        Arc::new(State { commit, trees, log_end: writer.tail.next(), ..State::clone(&base) });
    writer.tip = Arc::clone(&state);
    if kept {
        versions.published.publish(commit, Arc::clone(&state));
        if !writer.tail.keeps_back() {
            versions.durable.written(commit, state);
        }
        return Ok(Reached::Done(commit));
    }
    if fault::on(Fault::Cr05) {
        versions.publish(&state);
        return Ok(Reached::Done(commit));
    }
    // Before anybody can see it.
    let named = sync_name(writer.unnamed.take(), &pager);
    *unknown |= named.is_err() && !fault::on(Fault::Cr11);
    named?;
    versions.durable.written(commit, state);
    Ok(Reached::Written(commit))
}

/// Writes a record, and beside the first of a log, into the slot that is not needed, that there is
/// one.
fn append(
    (versions, writer, base): (&Versions, &mut Writer, &State),
    entry: &Entry<'_>,
    unknown: &mut bool,
) -> Result<()> {
    let pager = &*base.pager;
    let batch = writer.tail.ready(pager, entry.changes.len())?;
    if fault::on(Fault::Cr05) {
        pager.sync()?;
    }
    if let Err(error) = writer.tail.append(pager, batch, entry) {
        let retracted = versions.alone(unknown, |unknown| {
            *unknown |= writer.tail.retract(pager).is_err() && !fault::on(Fault::Cr11);
            Ok(())
        });
        // If nobody may sync any more, nobody goes on writing either.
        return Err(retracted.err().unwrap_or(error));
    }
    if !writer.marked {
        writer.marked = true;
        let marked = settle(pager, &base.slot, writer);
        *unknown |= marked.is_err() && !fault::on(Fault::Cr11);
        marked?;
    }
    Ok(())
}

/// Makes the name of a file durable, if it may not be.
pub(crate) fn sync_name(unnamed: Option<Arc<dyn Vfs>>, pager: &Pager) -> Result<()> {
    match unnamed {
        Some(vfs) if !fault::on(Fault::Fs02) => {
            vfs.sync_dir(pager.path()).map_err(|e| pager.io(&e))
        }
        Some(_) | None => Ok(()),
    }
}

/// Returns the trees of a commit in the log.
fn merged(base: &State, changed: Sorted<Arc<str>, TreeChanges>) -> Result<Trees> {
    let mut trees = base.trees.clone();
    let mut fresh = false;
    for (name, TreeChanges { edit, .. }) in changed {
        if edit.is_empty() {
            trees.remove(&name);
            continue;
        }
        fresh |= trees.insert(name, TreeState::of_edit(edit, base.pager.cache())).is_none();
    }
    let bytes = || trees.keys().map(|name| Catalog::entry_bytes(name)).sum::<usize>();
    if fresh && bytes() > VALUE_BYTES_MAX {
        return Err(ArgumentError::TooManyTrees.into());
    }
    Ok(trees)
}

/// Writes what was kept back, and returns the last commit, whose durability is then to be waited
/// for.
pub(crate) fn sync_kept(
    versions: &Versions,
    writer: &mut Writer,
    unknown: &mut bool,
) -> Result<CommitId> {
    let tip = Arc::clone(&writer.tip);
    let (commit, durable) = (tip.commit(), versions.durable.durable());
    if durable == commit {
        return Ok(commit);
    }
    if writer.tail.keeps_back() {
        let none = Entry { commit, durable, ops: 0, changes: &[] };
        append((versions, writer, &tip), &none, unknown)?;
    }
    let named = sync_name(writer.unnamed.take(), &tip.pager);
    *unknown |= named.is_err() && !fault::on(Fault::Cr11);
    named?;
    versions.durable.written(commit, tip);
    Ok(commit)
}
