//! File system interface of the store: files *and directory entries*, with a sync of both.
//!
//! Three file systems implement it: [`OsVfs`] (the operating system's), [`MemoryVfs`] (nothing
//! is left behind) and the simulated one of the verification suite, below the seal.
//!
//! - V1 What was written is durable only after [`VfsFile::sync`] returned `Ok`.
//! - V2 A name is durable only after [`Vfs::sync_dir`] of its directory returned `Ok`.
//! - V3 A lock belongs to an open file: it goes when the file is dropped, whatever its name is.

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
use std::path::Path;

/// How to open a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Reads an existing file.
    Read,
    /// Reads and writes an existing file.
    ReadWrite,
    /// Makes a file that must not exist yet, to read and write.
    CreateNew,
}

/// Kind of a file lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lock {
    /// Keeps writers out.
    Shared,
    /// Keeps everybody out.
    Exclusive,
}

/// A file system. All calls block; none calls back.
pub trait Vfs: Send + Sync + fmt::Debug {
    /// Opens a file.
    ///
    /// # Errors
    /// `NotFound`, `AlreadyExists` (for [`Access::CreateNew`]), `PermissionDenied`, or as the
    /// system says.
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn VfsFile>>;

    /// Gives a file another name on the same file system, replacing a file of that name. If
    /// the directories differ, each needs a sync.
    ///
    /// # Errors
    /// `CrossesDevices`, or as the system says; the names are then as before.
    fn rename(&self, source: &Path, target: &Path) -> io::Result<()>;

    /// Removes a name. The file lives on while it is open.
    ///
    /// # Errors
    /// `NotFound`, or as the system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Tells whether a name is taken.
    ///
    /// # Errors
    /// As the system says.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Makes the names in the directory that holds `path` durable.
    ///
    /// # Errors
    /// As the system says; which names are durable is then unknown.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// An open file.
pub trait VfsFile: Send + Sync + fmt::Debug {
    /// Reads up to `bytes.len()` bytes at `offset`; 0 means the end of the file.
    ///
    /// # Errors
    /// As the system says.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes up to `bytes.len()` bytes at `offset` and tells how many; a gap reads as zeros.
    ///
    /// # Errors
    /// As the system says; any part may then have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Returns the length in bytes.
    ///
    /// # Errors
    /// As the system says.
    fn len(&self) -> io::Result<u64>;

    /// Tells whether the file has no bytes.
    ///
    /// # Errors
    /// As [`VfsFile::len`].
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Cuts or extends the file to `len_bytes`; new bytes read as zeros.
    ///
    /// # Errors
    /// As the system says.
    fn set_len(&self, len_bytes: u64) -> io::Result<()>;

    /// Makes everything written so far durable, the length included.
    ///
    /// # Errors
    /// As the system says; what is durable is then unknown.
    fn sync(&self) -> io::Result<()>;

    /// Takes the lock unless a held one excludes it, and returns whether it did.
    ///
    /// # Errors
    /// As the system says.
    fn try_lock(&self, lock: Lock) -> io::Result<bool>;

    /// Tells whether `path` still names this very file.
    ///
    /// # Errors
    /// As the system says. A missing name is `Ok(false)`.
    fn is_at(&self, path: &Path) -> io::Result<bool>;
}
