//! One night at a time in a folder.
//!
//! The lock is of the operating system: it ends with the process, also with `kill -9`.

use crate::files::{self, EnvironmentError};
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// The right to run a night in a folder.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

impl FolderLock {
    /// Locks a folder, which is made if there is none.
    pub(super) fn take(folder: &Path) -> Result<Self, EnvironmentError> {
        files::make_folder(folder)?;
        let path = folder.join("lock");
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(files::error(&path, "open the file"))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                let source = io::Error::other("another night runs in this folder");
                Err(files::error(&path, "lock the file; wait for it, or name another --dir")(
                    source,
                ))
            }
            Err(TryLockError::Error(source)) => Err(files::error(&path, "lock the file")(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_night_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let first = FolderLock::take(&folder.path().join("new")).unwrap();
        let error = FolderLock::take(&folder.path().join("new")).unwrap_err();
        assert!(error.to_string().contains("another night runs"), "{error}");
        drop(first);
        FolderLock::take(&folder.path().join("new")).unwrap();
    }
}
