//! Faults of transactions: opening, recovering and committing.

use super::{Fault, on};
use crate::conc::Arc;
use crate::error::{Error, Result};
use crate::page::{HeaderSlot, LogHead, LogRecord};
use crate::tree::{ChildRef, TreeState};
use crate::txn::{CommitState, Failure, LogReader, StoreOptions, Trees, Versions, format};
use crate::unit::CommitId;
use crate::vfs::Access;
use std::path::Path;

/// A record of the log with its first page, as the log scan returns it.
type ScannedRecord = (u64, LogHead, LogRecord);

/// EN-07: a key that does not fit starts a new file.
pub(crate) fn start_new_file(options: &StoreOptions, path: &Path) -> Result<()> {
    if !on(Fault::En07) {
        return Ok(());
    }
    let file = options.vfs.open(path, Access::ReadWrite).map_err(|e| Error::io(path, &e))?;
    file.set_len(0).map_err(|e| Error::io(path, &e))?;
    format(options, path, file, CommitId(1)).map(drop)
}

/// EN-11: the trees of a commit start from the resident nodes of the commit before.
pub(crate) fn older_nodes(base: &CommitState, trees: Trees) -> Trees {
    if !on(Fault::En11) {
        return trees;
    }
    let cache = base.pager.cache();
    let older = |older: &Arc<TreeState>, tree: &Arc<TreeState>| {
        let pointer = tree.record().root;
        let root = match older.child_ref().and_then(ChildRef::into_node) {
            Some(root) => ChildRef::resident_at(pointer, root),
            None => tree.child_ref().unwrap_or_default().evicted(),
        };
        tree.with_root(root, cache)
    };
    let trees = trees.iter().map(|(name, tree)| match base.trees.get(name) {
        Some(base) => (Arc::clone(name), older(base, tree)),
        None => (Arc::clone(name), Arc::clone(tree)),
    });
    trees.collect()
}

/// CR-05: a commit is published, and so acknowledged, while its record is in flight. Tells whether
/// it was.
pub(crate) fn publish_in_flight(
    versions: &Versions,
    base: &CommitState,
    state: &Arc<CommitState>,
) -> Result<bool> {
    if !on(Fault::Cr05) {
        return Ok(false);
    }
    base.pager.sync()?;
    let written = base.log.write(&base.pager, versions.group.durable());
    written.map_err(Failure::into_error)?;
    versions.publish(state);
    Ok(true)
}

/// CR-01: recovery copies the slot of a commit that it could not verify.
pub(crate) fn unverified_slot<'a>(
    discarded: Option<&'a HeaderSlot>,
    base: &'a HeaderSlot,
) -> &'a HeaderSlot {
    discarded.filter(|_| on(Fault::Cr01)).unwrap_or(base)
}

/// FS-12: the log scan goes on with a record behind one that is not whole.
pub(crate) fn beyond(
    found: Option<ScannedRecord>,
    reader: &mut LogReader<'_>,
    next: u64,
    last: CommitId,
) -> Result<Option<ScannedRecord>> {
    if found.is_some() || !on(Fault::Fs12) {
        return Ok(found);
    }
    for place in next + 1..next + 8 {
        if let Some((head, record)) = reader.record(place, last)? {
            return Ok(Some((place, head, record)));
        }
    }
    Ok(None)
}
