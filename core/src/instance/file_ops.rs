//! Operations on whole files: deleting and backing up. Each step is durable before the next; a
//! repeated operation finds the steps that an interrupted one completed.
//!
//! - R2 At every moment the backed-up data is complete in its old or its new file, and no existing
//!   file is replaced.

use super::action_store::ActionStore;
use super::digest::{Digest, are_equal, copy_bytes};
use super::file_opener::FileOpener;
use crate::error::{Error, FileErrorCause, Result};
use crate::fault::{self, Fault};
use crate::txn::{Failure, TemporaryFile, temporary_path};
use crate::vfs::{Access, Lock, Opened, VfsFile, open_locked, read_whole};
use std::ffi::OsString;
use std::io;
use std::path::Path;

/// The magic bytes of an unencrypted file of realm-java, and their offset.
const REALM_MAGIC: (u64, [u8; 4]) = (16, *b"T-DB");

/// The paths of a backup.
#[derive(Clone, Copy)]
struct BackupPaths<'a> {
    source: &'a Path,
    target: &'a Path,
}

impl FileOpener {
    /// Deletes a file and the temporary file of an interrupted attempt; returns whether the file
    /// existed.
    pub(super) fn delete(&self, path: &Path) -> Result<bool> {
        let locked = self.lock_exclusive(path)?;
        self.remove_temporary(path)?;
        // Without a file here, another process may be creating one by now.
        if locked.is_some() {
            self.remove(path)?;
        }
        self.sync_names(path)?;
        Ok(locked.is_some())
    }

    /// Moves a file to an unused path, durably; returns whether the file existed. Between file
    /// systems the file is copied, byte for byte, and then deleted. A copy that an interrupted
    /// attempt completed is reused; if the file has changed since, the copy is kept beside the new
    /// one.
    pub(super) fn back_up(
        &self,
        source: &Path,
        target: &Path,
        store: &ActionStore,
    ) -> Result<bool> {
        let Some(file) = self.lock_exclusive(source)? else {
            // An attempt may have moved it and failed to make that durable.
            self.sync_names(target)?;
            self.sync_names(source)?;
            return Ok(false);
        };
        let paths = BackupPaths { source, target };
        let io = |e: &io::Error| Error::io(target, e);
        self.remove_temporary(source)?;
        if self.vfs().exists(target).map_err(|e| io(&e))? {
            self.reuse_copy(&*file, paths, store)?;
            self.sync_names(target)?;
            self.remove(source)?;
        } else {
            match self.vfs().rename(source, target) {
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                    self.copy(&*file, paths, store)?;
                    self.remove(source)?;
                }
                outcome => {
                    // A file that has the old name from now on is another process's.
                    outcome.map_err(|e| io(&e))?;
                    self.sync_names(target)?;
                }
            }
        }
        self.sync_names(source)?;
        Ok(true)
    }

    /// Reuses the copy of an interrupted attempt. A copy of an older state of the file is renamed,
    /// and the file copied again; any other file at the target is [`FileErrorCause::Exists`].
    fn reuse_copy(
        &self,
        file: &dyn VfsFile,
        paths: BackupPaths<'_>,
        store: &ActionStore,
    ) -> Result<()> {
        let BackupPaths { source, target } = paths;
        let io = |e: &io::Error| Error::io(target, e);
        let copy = self.vfs().open(target, Access::ReadWrite).map_err(|e| io(&e))?;
        let is_equal = are_equal(file, &*copy).map_err(|e| io(&e))?;
        if !is_equal && !store.is_copy(self, source, Digest::of(&*copy).map_err(|e| io(&e))?)? {
            return Err(Error::file(target, FileErrorCause::Exists));
        }
        // The copy may be in the cache of the system only.
        copy.sync().map_err(|e| io(&e))?;
        if !is_equal {
            self.rename_numbered(target)?;
            self.copy(file, paths, store)?;
        }
        Ok(())
    }

    fn copy(&self, file: &dyn VfsFile, paths: BackupPaths<'_>, store: &ActionStore) -> Result<()> {
        let BackupPaths { source, target } = paths;
        let io = |e: &io::Error| Error::io(target, e);
        // Without this a crash could leave the source different from the copy.
        file.sync().map_err(|e| io(&e))?;
        let (temporary, copy) = TemporaryFile::new(&**self.vfs(), target)?;
        let digest = copy_bytes(file, &*copy).map_err(|e| io(&e))?;
        copy.sync().map_err(|e| io(&e))?;
        // Recorded before the copy has its name, so that a later attempt recognises it.
        store.put_copy(self, source, digest)?;
        temporary.rename(false).map_err(Failure::into_error)
    }

    /// Renames a file to its own name and the first unused number.
    fn rename_numbered(&self, path: &Path) -> Result<()> {
        let vfs = self.vfs();
        for number in 1_u64.. {
            let mut numbered = OsString::from(path);
            numbered.push(format!(".{number}"));
            if !vfs.exists(Path::new(&numbered)).map_err(|e| Error::io(path, &e))? {
                vfs.rename(path, Path::new(&numbered)).map_err(|e| Error::io(path, &e))?;
                break;
            }
        }
        self.sync_names(path)
    }

    /// Returns whether a file has the magic bytes of realm-java.
    pub(super) fn is_realm_file(&self, path: &Path) -> Result<bool> {
        let io = |e: &io::Error| Error::io(path, e);
        let vfs = &**self.vfs();
        if !vfs.exists(path).map_err(|e| io(&e))? {
            return Ok(false);
        }
        let file = vfs.open(path, Access::Read).map_err(|e| io(&e))?;
        let (offset, magic) = REALM_MAGIC;
        let mut found = [0; 4];
        Ok(read_whole(&*file, &mut found, offset).map_err(|e| io(&e))? && found == magic)
    }

    /// Opens a file under an exclusive lock; `None` if it does not exist.
    fn lock_exclusive(&self, path: &Path) -> Result<Option<Box<dyn VfsFile>>> {
        match open_locked(&**self.vfs(), path, Lock::Exclusive) {
            Ok(Opened::Locked(file)) => Ok(Some(file)),
            Ok(Opened::InUse { is_here }) => Err(Error::in_use(path, is_here)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(path, &error)),
        }
    }

    /// Removes the temporary file of an interrupted creation or compaction.
    fn remove_temporary(&self, path: &Path) -> Result<()> {
        self.remove(&temporary_path(path))
    }

    /// Removes a name; a missing one is no error.
    fn remove(&self, path: &Path) -> Result<()> {
        match self.vfs().remove(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(_) if fault::on(Fault::Rs05) => Ok(()),
            outcome => outcome.map_err(|e| Error::io(path, &e)),
        }
    }

    fn sync_names(&self, path: &Path) -> Result<()> {
        match self.vfs().sync_dir(path) {
            // A missing directory holds no names.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome.map_err(|e| Error::io(path, &e)),
        }
    }
}
