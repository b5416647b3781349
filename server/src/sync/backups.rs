//! The files of backups.
//!
//! - MR10 A backup has its name once it is complete and durable; then its seq is noted.
//! - H33 A backup replaces one of the same database only: one of another database, as after the
//!   loss of the original, stays beside it.

use super::database_files::file_of;
use super::hub::SyncHub;
use crate::data::create_private_folders;
use fastness::{Key, StoreOptions};
use fastness_auth::server::DatabasePath;
use fastness_sync::server::ServerReplica;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Name of the copy of the accounts. The file of a database has another end.
const ACCOUNTS_BACKUP: &str = "accounts.backup";

/// The folder of the backups.
pub(super) struct BackupFolder {
    folder: PathBuf,
    /// Key of the databases and their backups.
    key: Key,
}

impl BackupFolder {
    pub(super) fn new(folder: &Path, key: &Key) -> Self {
        Self { folder: folder.to_path_buf(), key: key.clone() }
    }

    /// Backs a database up, unless its backup has everything.
    pub(super) fn back_up(&self, replica: &ServerReplica, path: &DatabasePath) -> io::Result<()> {
        let target = file_of(&self.folder, path).ok_or(io::ErrorKind::InvalidFilename)?;
        let status = replica.status().map_err(io::Error::other)?;
        let has_backup = target.is_file() && self.is_of(&target, status.database);
        if has_backup && status.durable_seq >= status.head {
            return Ok(());
        }
        if !has_backup {
            keep_beside(&target)?;
        }
        let mut reached = 0;
        replace(&target, |partial| {
            let key = Some(&self.key);
            let done = replica.back_up(&StoreOptions::new(), partial, key);
            done.map(|seq| reached = seq).map_err(io::Error::other)
        })?;
        replica.note_backup(reached).map_err(io::Error::other)
    }

    /// Copies the accounts.
    pub(super) fn replace_accounts(&self, hub: &SyncHub) -> io::Result<()> {
        replace(&self.folder.join(ACCOUNTS_BACKUP), |partial| {
            hub.copy_accounts(partial, &self.key).map_err(io::Error::other)
        })
    }

    /// Tells whether a backup is of a database. One that cannot be read is of another one.
    fn is_of(&self, backup: &Path, database: [u8; 16]) -> bool {
        let options = StoreOptions::new().key(self.key.clone());
        match ServerReplica::database_of(&options, backup) {
            Ok(found) => found == database,
            Err(error) => {
                let backup = backup.display();
                tracing::error!(%error, %backup, "sync: a backup cannot be read");
                false
            }
        }
    }
}

/// Renames a file that must not be replaced.
fn keep_beside(target: &Path) -> io::Result<()> {
    if !target.try_exists()? {
        return Ok(());
    }
    let Some(name) = target.file_name() else { return Ok(()) };
    for number in 1_u32.. {
        let kept = target.with_file_name(format!("{}.earlier-{number}", name.display()));
        if kept.try_exists()? {
            continue;
        }
        fs::rename(target, &kept)?;
        tracing::warn!(
            backup = %target.display(), kept = %kept.display(),
            "sync: the backup is of another database, or damaged; it is kept under another name"
        );
        break;
    }
    Ok(())
}

/// Makes a file under a temporary name, and gives it its name once it is complete and durable.
fn replace(target: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let Some((folder, name)) = target.parent().zip(target.file_name()) else { return Ok(()) };
    create_private_folders(folder)?;
    let partial = folder.join(format!(".{}.partial", name.display()));
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    make(&partial)?;
    File::open(&partial)?.sync_all()?;
    fs::rename(&partial, target)?;
    File::open(folder)?.sync_all()
}
