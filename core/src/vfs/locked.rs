//! Opening a file under an exclusive lock.
//!
//! - V4 The holder of the lock holds the file that the name leads to. A rename may give the name to
//!   another file between opening and locking (creation and compaction rename), so the opener
//!   checks the name again under the lock.
//!
//! Model: loom-tests, `two_openers`.

use super::{Access, Lock, Vfs, VfsFile};
use std::io;
use std::path::Path;

/// How opening ended when the system did not fail.
#[derive(Debug)]
pub(crate) enum Opened {
    /// The file is open, locked, and has this name.
    Locked(Box<dyn VfsFile>),
    /// Another opener holds the lock.
    InUse,
}

/// How often a name may pass to another file under our hands before we take it as in use.
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

/// Makes `path` an empty file, locked, taking over what a crash may have left there.
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
