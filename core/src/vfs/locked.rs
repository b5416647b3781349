//! Opening a file under an exclusive lock.
//!
//! - V4 The holder of the lock holds the file that the name leads to. Creation and compaction
//!   rename files, so the name may move to another file between opening and locking. The opener
//!   checks the name again under the lock.
//! - V5 A new file is created under an unused name: nothing is written through a link, or into an
//!   existing file.
//!
//! Model: loom-tests, `two_openers`. Check: `sim::check::compaction`.

use super::{Access, Lock, Vfs, VfsFile};
use crate::fault::{self, Fault};
use std::io;
use std::path::Path;

/// The outcome of opening a file without an I/O error.
#[derive(Debug)]
pub(crate) enum Opened {
    /// The file is open, locked, and has this name.
    Locked(Box<dyn VfsFile>),
    /// Another opener holds the lock.
    InUse {
        /// The opener is in this process.
        is_here: bool,
    },
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
            return Ok(Opened::InUse { is_here: file.is_locked_here() });
        }
        if fault::on(Fault::Fs37) || file.is_at(path)? {
            return Ok(Opened::Locked(file));
        }
    }
    Ok(Opened::InUse { is_here: false })
}

/// Creates an empty file at `path` and locks it. A file that a crash left there, or a link, is
/// removed and never written to.
pub(crate) fn create_locked(vfs: &dyn Vfs, path: &Path) -> io::Result<Opened> {
    for _ in 0..TRIES_MAX {
        let created = match vfs.open(path, Access::CreateNew) {
            Ok(file) => Some(file),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => None,
            Err(e) => return Err(e),
        };
        let is_new = created.is_some();
        let file = match created.map_or_else(|| vfs.open(path, Access::ReadWrite), Ok) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        if !file.try_lock(Lock::Exclusive)? {
            return Ok(Opened::InUse { is_here: file.is_locked_here() });
        }
        if !file.is_at(path)? {
            continue;
        }
        if is_new || fault::on(Fault::Fs21) {
            file.set_len(0)?;
            return Ok(Opened::Locked(file));
        }
        // Its lock is held, so no other creator uses the name.
        vfs.remove(path)?;
    }
    Ok(Opened::InUse { is_here: false })
}
