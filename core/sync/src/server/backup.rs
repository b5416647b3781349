//! Backups, and the seq up to which they reach.
//!
//! - MR10 `durable_seq` is the seq up to which a backup reaches, or the head without backups.

use super::error::ServerResult;
use super::layout::Point;
use super::replica::ServerReplica;
use super::trees::{ReadTrees as _, put_meta};
use crate::fault::{self, Fault};
use fastness::{Key, StoreOptions};
use std::path::Path;

/// The point of a history at which a backup is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupPoint {
    /// Identity of the database.
    pub database: [u8; 16],
    /// Epoch of the history.
    pub epoch: u64,
    /// Seq up to which the backup reaches.
    pub seq: u64,
}

impl ServerReplica {
    /// Copies the database into a new file, encrypted with `key` or, without one, in plain, and
    /// marks it as a backup: opened as a database, it begins a new epoch. Returns the seq up to
    /// which it reaches, for [`ServerReplica::note_backup`] once the file is where it is safe.
    ///
    /// # Errors
    /// If the target exists or cannot be written. After an error an incomplete file may remain,
    /// which is no backup.
    pub fn back_up(
        &self,
        options: &StoreOptions,
        target: &Path,
        key: Option<&Key>,
    ) -> ServerResult<u64> {
        self.store.copy(target, key)?;
        let options = options.clone();
        let options = key.map_or(options.clone(), |key| options.key(key.clone()));
        let store = options.open(target)?;
        let mut txn = store.write()?;
        let mut meta = txn.meta()?;
        meta.is_backup = true;
        put_meta(&mut txn, &meta)?;
        let Point { seq, .. } = txn.head(&meta)?;
        txn.commit()?;
        store.close()?;
        Ok(seq)
    }

    /// Returns the point of a history at which a backup is. The backup stays one.
    ///
    /// # Errors
    /// If the file does not exist, has another key, or is damaged or no database.
    pub fn point_of_backup(options: &StoreOptions, backup: &Path) -> ServerResult<BackupPoint> {
        let store = options.open(backup)?;
        let snapshot = store.snapshot();
        let mut trees = &snapshot;
        let meta = trees.meta()?;
        let seq = trees.head(&meta)?.seq;
        drop(snapshot);
        store.close()?;
        Ok(BackupPoint { database: meta.database, epoch: meta.epoch, seq })
    }

    /// Tells the database whether its operator makes backups.
    ///
    /// # Errors
    /// If the file cannot be read or written, or is damaged.
    pub fn set_backups(&self, has_backups: bool) -> ServerResult<()> {
        if (&self.store.snapshot()).meta()?.has_backups == has_backups {
            return Ok(());
        }
        let has_backups = has_backups && !fault::on(Fault::Sn22);
        self.change_meta(|meta, _| meta.has_backups = has_backups)
    }

    /// Notes that a backup reaches up to a seq.
    ///
    /// # Errors
    /// If the file cannot be read or written, or is damaged.
    pub fn note_backup(&self, seq: u64) -> ServerResult<()> {
        self.change_meta(|meta, head| meta.durable_seq = meta.durable_seq.max(seq.min(head.seq)))
    }
}
