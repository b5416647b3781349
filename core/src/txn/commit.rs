//! Commit: how a finished transaction becomes the state of the file.
//!
//! A small one is added to the log; if that has no room, or there is none, the trees are written by
//! a checkpoint. Then what was added is written and synced, by whoever of those that wait is the
//! first, then comes the acknowledgement.

use super::changes::{Changes, Settled};
use super::checkpoint::{Needs, Plan, checkpoint};
use super::close::secure;
use super::durable::Failure;
use super::in_place::put_in_place;
use super::log::{Added, Entry};
use super::recover::settle;
use super::state::{State, Trees, Versions, Writer};
use super::store::{Held, Inner};
use crate::conc::Arc;
use crate::error::{ArgumentError, Damage, Error, Result};
use crate::fault::{self, Fault};
use crate::page::Catalog;
use crate::pager::Pager;
use crate::sorted::Sorted;
use crate::tree::TreeEdit;
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
    /// It changed nothing, and what it started from may not be durable yet.
    Waits(CommitId),
    /// It was added to the log.
    Added(Added),
}

impl Reached {
    pub(crate) const fn commit(&self) -> CommitId {
        match self {
            Self::Done(commit) | Self::Waits(commit) => *commit,
            Self::Added(added) => added.commit,
        }
    }
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
    if changes.failed {
        return Err(Error::TransactionFailed);
    }
    if versions.durable.has_failed() {
        return Err(Error::Poisoned { path: changes.base.pager.path().into() });
    }
    changes.prune();
    if changes.trees.is_empty() {
        // What it read may still wait.
        return match sync {
            Sync::Full => await_last(versions, writer, unknown).map(Reached::Waits),
            Sync::Kept | Sync::Later => Ok(Reached::Done(changes.base.commit())),
        };
    }
    if changes.base.commit().0 >= COMMIT_MAX {
        return Err(changes.base.pager.damaged(writer.slot_page, Damage::Content));
    }
    let commit = changes.base.commit().next();
    let (record, ops) = (changes.record(), changes.journal.ops);
    let awaited = sync != Sync::Kept;
    let entry =
        record.as_deref().map(|changes| Entry { commit, ops, changes, freed: &[], awaited });
    if let Some(entry) = &entry
        && !awaited
    {
        match put_in_place(&versions.published, writer, changes, entry) {
            Ok(()) => return Ok(Reached::Done(commit)),
            Err(refused) => changes = refused,
        }
    }
    let mut changes = changes.settle()?;
    if let Some(entry) = &entry
        && let Some(reached) = log((versions, writer), &mut changes, entry, unknown)?
    {
        return Ok(reached);
    }
    let sync = if sync == Sync::Later { sync } else { Sync::Full };
    versions
        .alone(unknown, |unknown| write_trees((versions, writer), changes, (commit, sync), unknown))
}

/// Makes the changes a checkpoint.
fn write_trees(
    (versions, writer): (&Versions, &mut Writer),
    changes: Settled,
    (commit, sync): (CommitId, Sync),
    unknown: &mut bool,
) -> Result<Reached> {
    if !writer.settled && writer.tip.commit() > writer.tip.slot.commit {
        // Commits that nobody waited for left no copy of the base, and it gives pages back now.
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

/// Adds the changes to the log, to be written by who syncs first; `None` if there is no room.
fn log(
    (versions, writer): (&Versions, &mut Writer),
    changes: &mut Settled,
    entry: &Entry<'_>,
    unknown: &mut bool,
) -> Result<Option<Reached>> {
    let Settled { base, trees, freed } = changes;
    let Entry { commit, ops, awaited, .. } = *entry;
    let (log, pager, bytes) = (&base.log, &base.pager, entry.changes.len());
    if !log.tail().has_room(ops, bytes) {
        return Ok(None);
    }
    if awaited {
        begin_log(writer, base, unknown)?;
    }
    let mut tail = log.tail();
    // What waited may have been written meanwhile, on whole pages.
    if !tail.has_room(ops, bytes) {
        return Ok(None);
    }
    if awaited || tail.is_awaited() {
        tail.ready(pager, bytes)?;
    }
    let trees = merged(base, std::mem::take(trees))?;
    let state = Arc::new(State { commit, trees, ..State::clone(base) });
    let added = tail.add(&Entry { freed, ..*entry });
    let written = !awaited && tail.is_full(0);
    drop(tail);
    if written {
        write_waiting((versions, writer), base, added, unknown)?;
    }
    writer.tip = Arc::clone(&state);
    if fault::txn::publish_in_flight(versions, base, &state)? {
        return Ok(Some(Reached::Done(commit)));
    }
    if awaited {
        versions.durable.note(commit, state);
        return Ok(Some(Reached::Added(added)));
    }
    versions.published.publish(commit, state);
    Ok(Some(Reached::Done(commit)))
}

/// Makes sure, before the first record of a log, that the file says that there is one, in the slot
/// that is not needed, and that its name is durable.
fn begin_log(writer: &mut Writer, base: &State, unknown: &mut bool) -> Result<()> {
    let mut begun = Ok(());
    if !writer.marked {
        writer.marked = true;
        begun = settle(&base.pager, &base.slot, writer);
    }
    let begun = begun.and_then(|()| sync_name(writer.unnamed.take(), &base.pager));
    *unknown |= begun.is_err() && !fault::on(Fault::Cr11);
    begun
}

/// Writes what waits although nobody waits for it; unless somebody syncs, after whom the next does.
/// If that fails, the last commit is forgotten before anybody else can write it.
fn write_waiting(
    (versions, writer): (&Versions, &mut Writer),
    base: &State,
    last: Added,
    unknown: &mut bool,
) -> Result<()> {
    if versions.durable.is_syncing() {
        return Ok(());
    }
    let (log, pager) = (&base.log, &base.pager);
    let mut write = |unknown: &mut bool| {
        log.tail().ready(pager, 0)?;
        begin_log(writer, base, unknown)?;
        log.write(pager, versions.durable.durable()).map_err(|Failure { error, undone }| {
            *unknown |= !undone;
            error
        })
    };
    versions.alone(unknown, |unknown| {
        let waits = log.tail().has_waiting();
        let written = if waits { write(unknown) } else { Ok(()) };
        written.inspect_err(|_| log.tail().forget(last))
    })
}

/// Takes the last commit back, whose record could not be written and is not there, and tells
/// whether it has: not if anybody has had the turn since, who may have read it or build upon it.
pub(crate) fn take_back(
    inner: &Inner,
    (turn, base): (u64, &Arc<State>),
    added: Added,
    untell: &mut Option<impl FnOnce()>,
) -> bool {
    let Ok(mut writer) = Held::new(inner, false) else { return false };
    let is_next = writer.turns == turn + 1 && Arc::ptr_eq(&writer.tip.log, &base.log);
    if !is_next && !fault::on(Fault::Fs16) {
        return false;
    }
    base.log.tail().forget(added);
    writer.tip = Arc::clone(base);
    inner.versions.durable.note(base.commit(), Arc::clone(base));
    if let Some(untell) = untell.take() {
        untell();
    }
    true
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
fn merged(base: &State, changed: Sorted<Arc<str>, TreeEdit>) -> Result<Trees> {
    let mut trees = base.trees.clone();
    let mut fresh = false;
    for (name, edit) in changed {
        if edit.is_empty() {
            trees.remove(&name);
            continue;
        }
        fresh |= trees.insert(name, edit.into_state(base.pager.cache())).is_none();
    }
    let bytes = || trees.keys().map(|name| Catalog::entry_bytes(name)).sum::<usize>();
    if fresh && bytes() > VALUE_BYTES_MAX {
        return Err(ArgumentError::TooManyTrees.into());
    }
    Ok(trees)
}

/// Lets the last commit be made durable, and returns its number, which is then to be waited for.
pub(crate) fn await_last(
    versions: &Versions,
    writer: &mut Writer,
    unknown: &mut bool,
) -> Result<CommitId> {
    let tip = Arc::clone(&writer.tip);
    let commit = tip.commit();
    if versions.durable.durable() == commit {
        return Ok(commit);
    }
    if tip.log.tail().has_waiting() {
        begin_log(writer, &tip, unknown)?;
    }
    let mut tail = tip.log.tail();
    if tail.has_waiting() {
        tail.ready(&tip.pager, 0)?;
        tail.set_awaited();
    }
    drop(tail);
    versions.durable.note(commit, tip);
    Ok(commit)
}
