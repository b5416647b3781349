//! Opening a file under an exclusive lock.
//!
//! - V4 The holder of the lock holds the file that the name leads to. Creation and compaction
//!   rename files, so the name may move to another file between opening and locking. The opener
//!   checks the name again under the lock.
//!
//! Model: loom-tests, `two_openers`.

use super::{Access, Lock, Vfs, VfsFile};
use std::io;
use std::path::Path;

/// The outcome of opening a file without an I/O error.
#[derive(Debug)]
pub(crate) enum Opened {
    /// The file is open, locked, and has this name.
    Locked(Box<dyn VfsFile>),
    /// Another opener holds the lock.
    InUse,
}

/// Attempts to lock a file whose name moves meanwhile; after these it counts as in use.
const TRIES_MAX: u32 = 16;

/// Opens `path` and locks it.
pub(crate) fn open_locked(vfs: &dyn Vfs, path: &Path, lock: Lock) -> io::Result<Opened> {
    let access = match lock {
        Lock::Shared => Access::Read,
        Lock::Exclusive => Access::ReadWrite,
    };
    for _ in 0..TRIES_MAX {
        let file = vfs.open(path, access)?;
        if !file.try_lock(lock)? {
            return Ok(Opened::InUse);
        }
        if file.is_at(path)? {
            return Ok(Opened::Locked(file));
        }
    }
    Ok(Opened::InUse)
}

/// Creates an empty file at `path` and locks it. A file that a crash left there is truncated.
pub(crate) fn create_locked(vfs: &dyn Vfs, path: &Path) -> io::Result<Opened> {
    for _ in 0..TRIES_MAX {
        let file = match vfs.open(path, Access::CreateNew) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                match vfs.open(path, Access::ReadWrite) {
                    Ok(file) => file,
                    Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                    Err(e) => return Err(e),
                }
            }
            Err(e) => return Err(e),
        };
        if !file.try_lock(Lock::Exclusive)? {
            return Ok(Opened::InUse);
        }
        if file.is_at(path)? {
            file.set_len(0)?;
            return Ok(Opened::Locked(file));
        }
    }
    Ok(Opened::InUse)
}
