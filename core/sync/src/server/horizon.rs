//! The horizon, the compaction of the history, and the purge of the state.
//!
//! - MR9 The horizon never passes what a live client needs.
//! - SY9 A purge changes nothing visible, then or later.

use super::error::ServerResult;
use super::layout::{
    ClientRecord, DEAD_LETTERS, FileRecord as _, HISTORY, Meta, PURGE_KEY, letter_key, seq_key,
};
use super::replica::ServerReplica;
use super::state::StateTxn;
use super::trees::{ReadTrees as _, put, put_meta};
use crate::table_state::PurgeCursor;
use fastness::WriteTxn;

impl ServerReplica {
    /// Moves the horizon as far as the live clients permit, and returns it. A client is live until
    /// `expiry` milliseconds after its last contact.
    ///
    /// # Errors
    /// If the file cannot be read or written, or is damaged.
    pub fn advance_horizon(&self, now: u64, expiry: u64) -> ServerResult<u64> {
        let mut txn = self.store.write()?;
        let mut meta = txn.meta()?;
        let mut horizon = txn.head(&meta)?.seq;
        for entry in txn.tree(ClientRecord::TREE)?.range(..)? {
            let client = ClientRecord::decode(&entry?.1)?;
            if client.contact > 0 && client.contact.saturating_add(expiry) >= now {
                horizon = horizon.min(client.needs);
            }
        }
        if horizon > meta.horizon.seq {
            meta.horizon = txn.point(&meta, horizon)?;
            put_meta(&mut txn, &meta)?;
        }
        txn.commit()?;
        Ok(meta.horizon.seq)
    }

    /// Deletes entries of the history up to the horizon, at most so many, and then purges the
    /// state, in parts of some records for each of so many. Tells whether more is left to do.
    ///
    /// # Errors
    /// If the file cannot be read or written, or is damaged.
    pub fn compact(&self, entries_max: usize) -> ServerResult<bool> {
        let mut txn = StateTxn::begin(self)?;
        let mut meta = txn.trees().meta()?;
        let end = seq_key(meta.horizon.seq);
        let keys = first_keys(txn.trees(), HISTORY, (&[], &end), entries_max)?;
        let is_done = keys.len() < entries_max;
        remove(txn.trees(), HISTORY, &keys)?;
        if is_done && meta.purged < meta.horizon.seq {
            let count = entries_max.saturating_mul(RECORDS_FOR_ENTRY);
            if let Some(purged) = purge_step(&mut txn, (&meta, count))? {
                meta.purged = purged;
                put_meta(txn.trees(), &meta)?;
            }
        }
        txn.commit()?;
        Ok(!is_done || meta.purged < meta.horizon.seq)
    }
}

/// Records of the window that a compaction visits for each entry that it may delete.
const RECORDS_FOR_ENTRY: usize = 16;

/// Does a part of a purge of the state. Returns the horizon up to which it is purged at the end.
fn purge_step(txn: &mut StateTxn, (meta, count): (&Meta, usize)) -> ServerResult<Option<u64>> {
    let begun: Option<PurgeCursor> = txn.trees().record(PURGE_KEY)?;
    let cursor = begun.unwrap_or_else(|| PurgeCursor::new(meta.horizon.seq));
    match txn.state().purge_step(&cursor, count)? {
        Some(next) => put(txn.trees(), PURGE_KEY, &next)?,
        None => {
            txn.trees().tree(PurgeCursor::TREE)?.remove(PURGE_KEY)?;
            return Ok(Some(cursor.horizon));
        }
    }
    Ok(None)
}

/// Keys of a tree, the first and the last that may be returned.
type KeyBounds<'k> = (&'k [u8], &'k [u8]);

fn first_keys(
    txn: &mut WriteTxn,
    tree: &str,
    bounds: KeyBounds<'_>,
    count: usize,
) -> ServerResult<Vec<fastness::Bytes>> {
    let (first, last) = bounds;
    let mut keys = Vec::new();
    for entry in txn.tree(tree)?.range(first..=last)?.take(count) {
        keys.push(entry?.0);
    }
    Ok(keys)
}

fn remove(txn: &mut WriteTxn, tree: &str, keys: &[fastness::Bytes]) -> ServerResult<()> {
    let mut tree = txn.tree(tree)?;
    for key in keys {
        tree.remove(key)?;
    }
    Ok(())
}

/// Drops the dead letters of a client up to a number: it knows the refusals.
pub(super) fn drop_letters(txn: &mut WriteTxn, client: u32, known: u64) -> ServerResult<()> {
    let (first, last) = (letter_key(client, 0), letter_key(client, known));
    let keys = first_keys(txn, DEAD_LETTERS, (&first, &last), usize::MAX)?;
    remove(txn, DEAD_LETTERS, &keys)
}
