//! The files of backups.
//!
//! - MR10 A backup has its name once it is complete and durable; then its seq is noted.
//! - H37 A backup that exists is brought up to date: only the entries that it does not have are
//!   written. The file with its name is complete at any time, and never written.
//! - H33 A backup replaces one of the same database only: one of another database, as after the
//!   loss of the original, stays beside it.

use super::database_files::{NAME_BYTES_MAX, file_of};
use super::hub::SyncHub;
use crate::data::create_private_folders;
use crate::fault;
use fastness::{Key, StoreOptions};
use fastness_auth::server::DatabasePath;
use fastness_sync::chain::chain_hash;
use fastness_sync::server::{BackupPoint, ServerReplica};
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
        let held = if target.is_file() { self.point_of(&target) } else { None };
        let held = held.filter(|held| held.database == status.database || fault::on("NS-06"));
        // The backup itself says how far it reaches: the seq that was noted may be that of a backup
        // in another folder.
        let has_all = |held: BackupPoint| (held.epoch, held.seq) == (status.epoch, status.head);
        let has_backup = held.is_some();
        if status.durable_seq >= status.head
            && held.is_some_and(|held| has_all(held) || fault::on("NS-07"))
        {
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
        if let Err(error) = copy_beside(target, |from, to| fs::copy(from, to)) {
            // The backup is complete without it.
            tracing::warn!(%error, backup = %target.display(), "sync: no second copy of a backup");
        }
        Ok(reached)
    }

    /// Brings the second copy up to date, gives it the name, and brings the first one up to date,
    /// which is the second one then. The file with the name is never written. `None` if that needs
    /// a new copy.
    fn update(&self, replica: &ServerReplica, target: &Path) -> Option<u64> {
        if fault::on("NS-09") {
            return self.bring_up_to_date(replica, target);
        }
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

    /// Returns the point at which a backup is. One that cannot be read is at none.
    fn point_of(&self, backup: &Path) -> Option<BackupPoint> {
        let options = StoreOptions::new().key(self.key.clone());
        let point = ServerReplica::point_of_backup(&options, backup);
        let log = |error: &_| {
            let backup = backup.display();
            tracing::error!(%error, %backup, "sync: a backup cannot be read");
        };
        point.inspect_err(log).ok()
    }
}

/// End of the name of the second copy of a database.
const SPARE: &str = "spare";

/// Returns the path of a hidden file beside a backup.
fn beside(target: &Path, end: &str) -> PathBuf {
    named_like(target, ".", end)
}

/// Returns the path of a file with the name of another one between a begin and an end. A name that
/// would be too long for the file system is replaced by its hash.
fn named_like(file: &Path, begin: &str, end: &str) -> PathBuf {
    let name = file.file_name().unwrap_or_default();
    let whole = format!("{begin}{}.{end}", name.display());
    if whole.len() <= NAME_BYTES_MAX || fault::on("NS-08") {
        return file.with_file_name(whole);
    }
    let hash = chain_hash(0, name.as_encoded_bytes());
    file.with_file_name(format!("{begin}{hash:016x}.{end}"))
}

/// Copies a backup to the second copy, which has its name once it is complete and durable: the next
/// round makes it the backup.
fn copy_beside(
    target: &Path,
    copy: impl FnOnce(&Path, &Path) -> io::Result<u64>,
) -> io::Result<()> {
    let spare = beside(target, SPARE);
    // One that is left is of an earlier backup.
    remove(&spare);
    replace(&spare, |partial| copy(target, partial).map(drop))
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
    for number in 1_u32.. {
        let kept = named_like(target, "", &format!("earlier-{number}"));
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn names_beside_the_longest_name_fit_and_differ() {
        let longest = |letter: &str| PathBuf::from("f").join(letter.repeat(NAME_BYTES_MAX));
        for begin in ["", "."] {
            let [one, other] =
                ["a", "b"].map(|name| named_like(&longest(name), begin, "earlier-1"));
            assert!(one != other && one.parent() == Some(Path::new("f")), "H30");
            for path in [one, other] {
                let partial = beside(&beside(&path, SPARE), "partial");
                assert!(partial.file_name().unwrap().len() <= NAME_BYTES_MAX, "H30");
            }
        }
        assert_eq!(named_like(Path::new("f/a"), ".", SPARE), Path::new("f/.a.spare"));
    }

    #[test]
    fn a_second_copy_that_is_cut_off_has_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("notes.fastness");
        fs::write(&target, "a backup").unwrap();
        let spare = beside(&target, SPARE);
        fs::write(&spare, "an earlier one").unwrap();
        // The end of the process in the middle of the copy.
        let cut = AssertUnwindSafe(|| {
            copy_beside(&target, |_, to| {
                fs::write(to, "a ba").unwrap();
                panic!("H37: the copy ends here")
            })
        });
        assert!(catch_unwind(cut).is_err() && !spare.exists(), "H37: half of a copy has the name");
        copy_beside(&target, |from, to| fs::copy(from, to)).unwrap();
        assert_eq!(fs::read(&spare).unwrap(), b"a backup", "H37");
    }
}
