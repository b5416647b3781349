//! The replica: one file, its identity and its epoch.

use super::error::ServerResult;
use super::layout::{META, META_KEY, Meta, Point};
use super::trees::{ReadTrees as _, change_clients, put_meta};
use crate::fault;
use fastness::{Durability, Store, WriteTxn};
use std::sync::Arc;

/// Client numbers that a new epoch skips at least: more than clients can have been added since the
/// backup.
pub const SKIPPED_CLIENTS: u32 = 1 << 16;

/// A new epoch skips a random count of further numbers below this one, so that two restores of one
/// backup hardly ever give out the same numbers.
const SKIPPED_RANGE: u64 = 1 << 24;

/// A server's replica of one database. Clones share the file. All of it is in the file, so calls
/// of several threads need no order.
#[derive(Clone, Debug)]
pub struct ServerReplica {
    pub(super) store: Store,
    /// Counts the clones and the snapshots, which keep the file open.
    pub(super) users: Arc<()>,
    /// Durability of the calls of sessions.
    pub(super) durability: Durability,
}

/// Random numbers for opening a file, of which a new file or a restored backup needs some.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// Identity of a new database.
    pub database: [u8; 16],
    /// Epoch of a new history, never 0 and never an earlier one of the database.
    pub epoch: u64,
}

/// State of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerStatus {
    /// Identity of the database.
    pub database: [u8; 16],
    /// Epoch of its history.
    pub epoch: u64,
    /// Last seq.
    pub head: u64,
    /// Salt of the last seq.
    pub salt: u64,
    /// Seq up to which entries are only in the state.
    pub horizon: u64,
    /// Seq up to which a backup reaches; the head if there are no backups.
    pub durable_seq: u64,
    /// Bytes of the entries after the horizon.
    pub history_bytes: u64,
}

impl ServerStatus {
    pub(super) const fn new(meta: &Meta, head: &Point) -> Self {
        Self {
            database: meta.database,
            epoch: meta.epoch,
            head: head.seq,
            salt: head.salt,
            horizon: meta.horizon.seq,
            durable_seq: if meta.has_backups { meta.durable_seq } else { head.seq },
            history_bytes: head.bytes.saturating_sub(meta.horizon.bytes),
        }
    }
}

impl ServerStatus {
    /// Returns the last seq if the history is of an epoch.
    pub(super) fn seq_of(&self, epoch: u64) -> Option<u64> {
        (self.epoch == epoch).then_some(self.head)
    }
}

impl ServerReplica {
    /// Opens the database of a store. An empty store becomes a new database. A backup begins a new
    /// epoch.
    ///
    /// # Errors
    /// If the file cannot be read or written, or is damaged.
    pub fn open(store: Store, opening: &Opening) -> ServerResult<Self> {
        let replica = Self { store, users: Arc::default(), durability: Durability::Immediate };
        let is_new = replica.store.snapshot().tree(META).get(META_KEY)?.is_none();
        if is_new {
            let Opening { database, epoch } = *opening;
            let horizon = Point::default();
            let (purged, next_client, durable_seq) = (0, 1, 0);
            let (has_backups, is_backup) = (false, false);
            let meta = Meta {
                database,
                epoch,
                horizon,
                purged,
                next_client,
                durable_seq,
                has_backups,
                is_backup,
            };
            let mut txn = replica.store.write()?;
            put_meta(&mut txn, &meta)?;
            txn.commit()?;
        }
        if (&replica.store.snapshot()).meta()?.is_backup {
            replica.begin_epoch(opening.epoch)?;
        }
        Ok(replica)
    }

    /// Begins a new epoch: the history may be shorter than the one that clients know. For a file
    /// that was restored in another way than from [`ServerReplica::back_up`], which does so itself.
    ///
    /// # Errors
    /// If the file cannot be read or written, or is damaged.
    pub fn begin_epoch(&self, epoch: u64) -> ServerResult<()> {
        let mut txn = self.store.write()?;
        let mut meta = txn.meta()?;
        let head = txn.head(&meta)?;
        meta.epoch = epoch;
        meta.is_backup = false;
        meta.durable_seq = head.seq;
        // A client that was added after the backup keeps the author number of its elements.
        let more = u32::try_from(epoch % SKIPPED_RANGE).unwrap_or_default();
        let skipped = fault::server::no_clients(SKIPPED_CLIENTS.saturating_add(more));
        meta.next_client = meta.next_client.saturating_add(skipped);
        put_meta(&mut txn, &meta)?;
        // No client of an earlier epoch can resume.
        change_clients(&mut txn, |client| client.contact = 0)?;
        txn.commit()?;
        Ok(())
    }

    /// Returns the database with calls of sessions that do not wait for the disk: a caller may
    /// answer them only after [`ServerReplica::sync`], which is one wait for all of them.
    #[must_use]
    pub fn deferred(&self) -> Self {
        Self { durability: Durability::None, ..self.clone() }
    }

    /// Makes all calls durable.
    ///
    /// # Errors
    /// If the file cannot be written; the calls may be lost then.
    pub fn sync(&self) -> ServerResult<()> {
        self.store.sync()?;
        Ok(())
    }

    /// Commits a call of a session.
    pub(super) fn commit(&self, txn: WriteTxn) -> ServerResult<()> {
        txn.commit_with(self.durability)?;
        Ok(())
    }

    /// Returns the state of the database.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn status(&self) -> ServerResult<ServerStatus> {
        let mut trees = &self.store.snapshot();
        let meta = trees.meta()?;
        Ok(ServerStatus::new(&meta, &trees.head(&meta)?))
    }

    /// Tells whether another clone or a snapshot of the database exists.
    pub(super) fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.users) > 1
    }

    /// Changes the record about the file, with the head.
    pub(super) fn change_meta(&self, change: impl FnOnce(&mut Meta, Point)) -> ServerResult<()> {
        let mut txn: WriteTxn = self.store.write()?;
        let mut meta = txn.meta()?;
        let head = txn.head(&meta)?;
        change(&mut meta, head);
        put_meta(&mut txn, &meta)?;
        txn.commit()?;
        Ok(())
    }
}
