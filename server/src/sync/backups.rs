//! The files of backups.
//!
//! - MR10 A backup has its name once it is complete and durable; then its seq is noted.
//! - H37 A backup that exists is brought up to date: only the entries that it does not have are
//!   written. The file with its name is complete at any time, and never written.
//! - H33 A backup replaces one of the same database only: one of another database, as after the
//!   loss of the original, stays beside it.

use super::database_files::file_of;
use super::hub::SyncHub;
use crate::data::create_private_folders;
use crate::fault;
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
        let updated = if has_backup { self.update(replica, &target) } else { None };
        let reached = updated.map_or_else(|| self.copy(replica, &target), Ok)?;
        replica.note_backup(reached).map_err(io::Error::other)
    }

    /// Copies a database, twice: the second copy is the one that the next round brings up to date.
    fn copy(&self, replica: &ServerReplica, target: &Path) -> io::Result<u64> {
        let mut reached = 0;
        replace(target, |partial| {
            let key = Some(&self.key);
            let done = replica.back_up(&StoreOptions::new(), partial, key);
            done.map(|seq| reached = seq).map_err(io::Error::other)
        })?;
        let spare = beside(target, SPARE);
        if let Err(error) = fs::copy(target, &spare) {
            // The backup is complete without it.
            tracing::warn!(%error, spare = %spare.display(), "sync: no second copy of a backup");
            remove(&spare);
        }
        Ok(reached)
    }

    /// Brings the second copy up to date, gives it the name, and brings the first one up to date,
    /// which is the second one then. The file with the name is never written. `None` if that needs
    /// a new copy.
    fn update(&self, replica: &ServerReplica, target: &Path) -> Option<u64> {
        let spare = beside(target, SPARE);
        if !spare.is_file() {
            return None;
        }
        let reached = self.bring_up_to_date(replica, &spare)?;
        if let Err(error) = exchange(target, &spare) {
            tracing::warn!(%error, backup = %target.display(), "sync: the backup is copied");
            remove(&spare);
            return None;
        }
        self.bring_up_to_date(replica, &spare);
        Some(reached)
    }

    /// Writes into a copy what it does not have; removes one that cannot be brought up to date.
    fn bring_up_to_date(&self, replica: &ServerReplica, copy: &Path) -> Option<u64> {
        let options = StoreOptions::new().key(self.key.clone());
        let updated = replica.update_backup(&options, copy).unwrap_or_else(|error| {
            tracing::warn!(%error, copy = %copy.display(), "sync: a copy is removed");
            None
        });
        if updated.is_none() {
            remove(copy);
        }
        updated
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
            Ok(found) => found == database || fault::on("NS-06"),
            Err(error) => {
                let backup = backup.display();
                tracing::error!(%error, %backup, "sync: a backup cannot be read");
                false
            }
        }
    }
}

/// End of the name of the second copy of a database.
const SPARE: &str = "spare";

/// Returns the path of a hidden file beside a backup.
fn beside(target: &Path, end: &str) -> PathBuf {
    let name = target.file_name().unwrap_or_default();
    target.with_file_name(format!(".{}.{end}", name.display()))
}

/// Removes a file that is of no use; one that remains is replaced later.
fn remove(file: &Path) {
    fs::remove_file(file).unwrap_or_default();
}

/// Gives a complete file the name of another, which gets the name of the first. The name always
/// leads to one of them.
fn exchange(target: &Path, spare: &Path) -> io::Result<()> {
    let held = beside(target, "held");
    remove(&held);
    fs::hard_link(target, &held)?;
    fs::rename(spare, target)?;
    fs::rename(&held, spare)?;
    File::open(target.parent().unwrap_or(target))?.sync_all()
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
    let Some(folder) = target.parent() else { return Ok(()) };
    create_private_folders(folder)?;
    let partial = beside(target, "partial");
    match fs::remove_file(&partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    make(&partial)?;
    File::open(&partial)?.sync_all()?;
    fs::rename(&partial, target)?;
    File::open(folder)?.sync_all()
}
