//! Operations on whole files: deletion and backup. Each step is durable before the next, and an
//! interrupted operation is idempotent: repeated, it finds its finished steps.
//!
//! - R2 A file that an action preserves is whole at its old path or at its new one at every moment,
//!   and replaces no other.

use super::actions::ActionRecord;
use super::contents::{Sum, are_equal, copy_bytes};
use super::file::FileOpener;
use crate::error::{Error, FileErrorCause, Result};
use crate::fault::{self, Fault};
use crate::txn::Temporary;
use crate::vfs::{Access, Lock, Opened, VfsFile, open_locked, read_whole};
use std::ffi::OsString;
use std::path::Path;

/// Magic bytes of a file of realm-java and their offset, unless it is encrypted.
const REALM_MARK: (u64, [u8; 4]) = (16, *b"T-DB");

impl FileOpener {
    /// Deletes a file and the leftover of an interrupted attempt; returns whether the file existed.
    pub(super) fn delete(&self, path: &Path) -> Result<bool> {
        let lock = self.hold(path)?;
        self.remove_leftover(path)?;
        // Without a file, another process may be creating one by now.
        if lock.is_some() {
            self.remove(path)?;
        }
        self.sync_names(path)?;
        Ok(lock.is_some())
    }

    /// Moves a file to a free path, durably; returns whether it existed. Between file systems it is
    /// copied, byte for byte, and then deleted. A copy that an interrupted attempt finished counts;
    /// if the file has changed since, the old copy is renamed beside the new one.
    pub(super) fn back_up(
        &self,
        path: &Path,
        target: &Path,
        record: &ActionRecord,
    ) -> Result<bool> {
        let Some(source) = self.hold(path)? else {
            // An earlier attempt may have moved it without making that durable.
            self.sync_names(target)?;
            self.sync_names(path)?;
            return Ok(false);
        };
        let io = |e: &std::io::Error| Error::io(target, e);
        let vfs = &**self.vfs();
        self.remove_leftover(path)?;
        if vfs.exists(target).map_err(|e| io(&e))? {
            let copy = vfs.open(target, Access::ReadWrite).map_err(|e| io(&e))?;
            let is_whole = are_equal(&*source, &*copy).map_err(|e| io(&e))?;
            if !is_whole && !record.is_copy(self, path, Sum::of(&*copy).map_err(|e| io(&e))?)? {
                return Err(Error::file(target, FileErrorCause::Exists));
            }
            // It may be in the cache of the system only.
            copy.sync().map_err(|e| io(&e))?;
            if !is_whole {
                self.rename_existing(target)?;
                self.copy(&*source, (path, target), record)?;
            }
            self.sync_names(target)?;
            self.remove(path)?;
        } else {
            match vfs.rename(path, target) {
                Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
                    self.copy(&*source, (path, target), record)?;
                    self.remove(path)?;
                }
                outcome => {
                    // A file with the old name belongs to another process from now on.
                    outcome.map_err(|e| io(&e))?;
                    self.sync_names(target)?;
                }
            }
        }
        self.sync_names(path)?;
        Ok(true)
    }

    fn copy(
        &self,
        source: &dyn VfsFile,
        (path, target): (&Path, &Path),
        record: &ActionRecord,
    ) -> Result<()> {
        let io = |e: &std::io::Error| Error::io(target, e);
        // Otherwise a crash could leave a source that differs from the copy.
        source.sync().map_err(|e| io(&e))?;
        let (temporary, copy) = Temporary::new(&**self.vfs(), target)?;
        let sum = copy_bytes(source, &*copy).map_err(|e| io(&e))?;
        copy.sync().map_err(|e| io(&e))?;
        // Before the copy has its name, so that it is always recognised.
        record.put_copy(self, path, sum)?;
        temporary.place(false).map_err(|(error, _)| error)
    }

    /// Renames a file to the first free name of its own name and a number.
    fn rename_existing(&self, path: &Path) -> Result<()> {
        let vfs = self.vfs();
        for number in 1_u64.. {
            let mut beside = OsString::from(path);
            beside.push(format!(".{number}"));
            if !vfs.exists(Path::new(&beside)).map_err(|e| Error::io(path, &e))? {
                vfs.rename(path, Path::new(&beside)).map_err(|e| Error::io(path, &e))?;
                break;
            }
        }
        self.sync_names(path)
    }

    /// Returns whether a file is one of realm-java.
    pub(super) fn is_of_realm(&self, path: &Path) -> Result<bool> {
        let io = |e: &std::io::Error| Error::io(path, e);
        let vfs = &**self.vfs();
        if !vfs.exists(path).map_err(|e| io(&e))? {
            return Ok(false);
        }
        let file = vfs.open(path, Access::Read).map_err(|e| io(&e))?;
        let (offset, mark) = REALM_MARK;
        let mut found = [0; 4];
        Ok(read_whole(&*file, &mut found, offset).map_err(|e| io(&e))? && found == mark)
    }

    /// Locks the file exclusively until the result is dropped; `None` if it does not exist.
    fn hold(&self, path: &Path) -> Result<Option<Box<dyn VfsFile>>> {
        match open_locked(&**self.vfs(), path, Lock::Exclusive) {
            Ok(Opened::Locked(file)) => Ok(Some(file)),
            Ok(Opened::InUse) => Err(Error::file(path, FileErrorCause::InUse)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(path, &error)),
        }
    }

    /// Removes the leftover of an interrupted creation or compaction.
    fn remove_leftover(&self, path: &Path) -> Result<()> {
        let mut beside = OsString::from(path);
        beside.push(".fastness-tmp");
        self.remove(Path::new(&beside))
    }

    /// Removes a name, if it exists.
    fn remove(&self, path: &Path) -> Result<()> {
        match self.vfs().remove(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(_) if fault::on(Fault::Rs05) => Ok(()),
            outcome => outcome.map_err(|e| Error::io(path, &e)),
        }
    }

    fn sync_names(&self, path: &Path) -> Result<()> {
        match self.vfs().sync_dir(path) {
            // A directory that does not exist holds no names.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            outcome => outcome.map_err(|e| Error::io(path, &e)),
        }
    }
}
