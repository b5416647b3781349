//! Updates of a backup: the entries that it does not have are written into it, instead of a copy of
//! the whole file.
//!
//! - MR10 A backup that was updated is one of the point up to which it reaches, as a copy of the
//!   database at that point would be. A crash leaves it at an earlier point.

use super::content::{EntryAuthor, check_content};
use super::error::{ServerError, ServerResult};
use super::layout::{
    CLIENTS, ClientRecord, DEAD_LETTERS, HISTORY, HistoryRecord, Meta, client_key, seq_key,
};
use super::refused::REFUSED;
use super::replica::ServerReplica;
use super::state::StateTxn;
use super::trees::{ReadTrees as _, put, put_meta};
use crate::entry::Operations;
use crate::merge::Author;
use fastness::{Durability, StoreOptions, StoreSnapshot};
use std::path::Path;
use std::sync::Arc;

/// Entries of one transaction, and entries of the history that one deletes.
const STEP: u64 = 256;

impl ServerReplica {
    /// Writes into a backup what it does not have, and returns the seq up to which it reaches, for
    /// [`ServerReplica::note_backup`]. `None` if it needs a copy: it is no backup of this history,
    /// or entries after it are deleted.
    ///
    /// # Errors
    /// If a file cannot be read or written, or is damaged. The backup is then one of an earlier
    /// point, or damaged.
    pub fn update_backup(
        &self,
        options: &StoreOptions,
        backup: &Path,
    ) -> ServerResult<Option<u64>> {
        let store = options.open(backup)?;
        let (users, durability) = (Arc::default(), Durability::None);
        let backup = Self { store, users, durability };
        let reached = update(&self.store.snapshot(), &backup)?;
        backup.store.close()?;
        Ok(reached)
    }

    /// Appends entries of a snapshot: those after a seq, up to another one.
    fn append(&self, source: &StoreSnapshot, (after, to): (u64, u64)) -> ServerResult<()> {
        let mut source = source;
        let mut txn = StateTxn::begin(self)?;
        for seq in after + 1..=to {
            let record: Option<HistoryRecord> = source.record(&seq_key(seq))?;
            let record = record.ok_or(ServerError::Malformed(HISTORY))?;
            let key = client_key(record.client);
            let client: Option<ClientRecord> = source.record(&key)?;
            let client = client.ok_or(ServerError::Malformed(CLIENTS))?;
            put(txn.trees(), &key, &client)?;
            append_entry(&mut txn, seq, (&record, &client.user))?;
        }
        txn.commit()
    }

    /// Takes over what is not of the history.
    fn take_records(&self, source: &StoreSnapshot, meta: &Meta) -> ServerResult<()> {
        let mut txn = self.store.write()?;
        let held = txn.meta()?;
        let Meta { horizon, next_client, .. } = *meta;
        put_meta(&mut txn, &Meta { horizon, next_client, ..held })?;
        for name in [DEAD_LETTERS, REFUSED] {
            let mut tree = txn.tree(name)?;
            tree.clear()?;
            for entry in source.tree(name).range(..)? {
                let (key, value) = entry?;
                tree.insert(&key, &value)?;
            }
        }
        txn.commit()?;
        Ok(())
    }
}

/// Writes what a backup does not have of a snapshot.
fn update(source: &StoreSnapshot, backup: &ServerReplica) -> ServerResult<Option<u64>> {
    let mut trees = source;
    let meta = trees.meta()?;
    let head = trees.head(&meta)?.seq;
    let held = backup.store.snapshot();
    let mut held_trees = &held;
    let held_meta = held_trees.meta()?;
    let reached = held_trees.head(&held_meta)?;
    let is_same = held_meta.is_backup
        && (held_meta.database, held_meta.epoch) == (meta.database, meta.epoch)
        && (meta.horizon.seq..=head).contains(&reached.seq);
    if !is_same || trees.point(&meta, reached.seq)?.salt != reached.salt {
        return Ok(None);
    }
    drop(held);
    let mut after = reached.seq;
    while after < head {
        let to = head.min(after + STEP);
        backup.append(source, (after, to))?;
        after = to;
    }
    backup.take_records(source, &meta)?;
    while backup.compact(usize::try_from(STEP).unwrap_or(usize::MAX))? {}
    Ok(Some(head))
}

/// Applies an entry of the history as at its submission, which it passed.
fn append_entry(
    txn: &mut StateTxn,
    seq: u64,
    (record, user): (&HistoryRecord, &str),
) -> ServerResult<()> {
    let HistoryRecord { client, entry, .. } = record;
    let author = EntryAuthor { client: *client, user };
    let malformed = ServerError::Malformed(HISTORY);
    let Ok(elements) = check_content(txn, author, entry)? else { return Err(malformed) };
    let Ok(header) = Operations::new(entry).map(|operations| operations.header()) else {
        return Err(malformed);
    };
    let (client_seq, base, stamp) = (header.client_seq, header.base, header.stamp);
    txn.fold(&Author { seq, client: *client, client_seq, base, stamp }, entry)?;
    put(txn.trees(), &seq_key(seq), record)?;
    elements.write(txn)
}
