//! File system interface of the store: files *and directory entries*, with a sync of both.
//!
//! Three file systems implement it: [`OsVfs`] (the operating system's), [`MemoryVfs`] (in memory),
//! and the simulated one of the verification suite, which sees pages after encryption.
//!
//! - V1 Written bytes are durable only after [`VfsFile::sync`] returned `Ok`.
//! - V2 A name is durable only after [`Vfs::sync_dir`] of its directory returned `Ok`.
//! - V3 A lock belongs to an open file, and is released when the file is dropped, even if its name
//!   has changed.
//! - V6 A path to anything but a regular file is refused at once.
//! - V7 An opener whom a lock refuses learns whether this process holds the lock.

mod file;
mod locked;
mod memory;
mod whole;

pub use file::OsVfs;
pub(crate) use file::{make_directory, without_links};
pub(crate) use locked::{Opened, create_locked, open_locked};
pub use memory::MemoryVfs;
pub(crate) use whole::{read_whole, write_whole};

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// How to open a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Reads an existing file.
    Read,
    /// Reads and writes an existing file.
    ReadWrite,
    /// Creates a file, to read and write; it must not exist yet.
    CreateNew,
}

/// Kind of a file lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lock {
    /// Excludes exclusive locks.
    Shared,
    /// Excludes all other locks.
    Exclusive,
}

/// A file system. Its functions block, and call no callbacks.
pub trait Vfs: Send + Sync + fmt::Debug {
    /// Opens a file. A new one can be read by its owner only, and its name may not be a link.
    ///
    /// # Errors
    /// `NotFound`, `AlreadyExists` (for [`Access::CreateNew`]), `PermissionDenied`, `IsADirectory`,
    /// `NotSeekable` for what else is no regular file, or another error of the system.
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn VfsFile>>;

    /// Renames a file within the file system; a file with the new name is replaced. If the
    /// directories differ, each needs a sync.
    ///
    /// # Errors
    /// `CrossesDevices`, or another error of the system; no name has changed then.
    fn rename(&self, source: &Path, target: &Path) -> io::Result<()>;

    /// Removes a name. The file remains usable while it is open.
    ///
    /// # Errors
    /// `NotFound`, or another error of the system.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Returns whether a name exists.
    ///
    /// # Errors
    /// Errors of the system.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Returns the path that a path leads to through symbolic links.
    ///
    /// # Errors
    /// `NotFound`, or another error of the system.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_path_buf())
    }

    /// Makes the names in the directory that holds `path` durable.
    ///
    /// # Errors
    /// Errors of the system; any of the names may then be durable or not.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// An open file.
pub trait VfsFile: Send + Sync + fmt::Debug {
    /// Reads up to `bytes.len()` bytes at `offset`; 0 means the end of the file.
    ///
    /// # Errors
    /// Errors of the system.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes up to `bytes.len()` bytes at `offset` and returns their number. A gap between the old
    /// end of the file and `offset` reads as zeros.
    ///
    /// # Errors
    /// Errors of the system; any part of the bytes may then have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Returns the length in bytes.
    ///
    /// # Errors
    /// Errors of the system.
    fn len(&self) -> io::Result<u64>;

    /// Returns whether the file has no bytes.
    ///
    /// # Errors
    /// As [`VfsFile::len`].
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Truncates or extends the file to `len_bytes`; new bytes read as zeros.
    ///
    /// # Errors
    /// Errors of the system.
    fn set_len(&self, len_bytes: u64) -> io::Result<()>;

    /// Makes everything written so far durable, the length included.
    ///
    /// # Errors
    /// Errors of the system; any unsynced write may then be durable or not.
    fn sync(&self) -> io::Result<()>;

    /// Acquires the lock unless a conflicting one is held, and returns whether it did.
    ///
    /// # Errors
    /// Errors of the system.
    fn try_lock(&self, lock: Lock) -> io::Result<bool>;

    /// Returns whether this process holds a lock of the file, through another handle. The answer is
    /// for the text of an error only.
    fn is_locked_here(&self) -> bool {
        false
    }

    /// Returns the number of names that lead to this file: hard links.
    ///
    /// # Errors
    /// Errors of the system.
    fn name_count(&self) -> io::Result<u64> {
        Ok(1)
    }

    /// Gives this file the owner and the permissions of the file at `path`.
    ///
    /// # Errors
    /// Errors of the system; `PermissionDenied` if the owner may not be set.
    fn take_permissions(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Returns whether `path` still names this file; a missing name does not.
    ///
    /// # Errors
    /// Errors of the system.
    fn is_at(&self, path: &Path) -> io::Result<bool>;
}
