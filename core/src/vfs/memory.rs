//! In-memory file system, for stores without a file on disk.
//!
//! One [`MemoryVfs`] is one file system; clones share it. Names and open files behave as on a disk:
//! a removed file remains usable while it is open. A sync does nothing.

use super::{Access, Lock, Vfs, VfsFile};
use crate::conc::{Arc, Mutex};
use crate::sorted::Sorted;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A file system in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryVfs {
    names: Arc<Mutex<Sorted<PathBuf, Arc<Inode>>>>,
}

#[derive(Default)]
struct Inode {
    bytes: Mutex<Vec<u8>>,
    holders: Mutex<Holders>,
}

impl fmt::Debug for Inode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Debug output has no contents.
        let bytes = self.bytes.lock().len();
        f.debug_struct("Inode").field("bytes", &bytes).field("holders", &self.holders).finish()
    }
}

#[derive(Debug, Default)]
struct Holders {
    shared: usize,
    exclusive: bool,
}

#[derive(Debug)]
struct MemoryFile {
    inode: Arc<Inode>,
    vfs: MemoryVfs,
    held: Mutex<Option<Lock>>,
}

impl Vfs for MemoryVfs {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn VfsFile>> {
        let mut names = self.names.lock();
        let inode = match (names.get(path), access) {
            (Some(_), Access::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (None, Access::Read | Access::ReadWrite) => return Err(io::ErrorKind::NotFound.into()),
            (Some(inode), Access::Read | Access::ReadWrite) => Arc::clone(inode),
            (None, Access::CreateNew) => {
                let inode = Arc::new(Inode::default());
                names.insert(path.to_path_buf(), Arc::clone(&inode));
                inode
            }
        };
        drop(names);
        Ok(Box::new(MemoryFile { inode, vfs: self.clone(), held: Mutex::new(None) }))
    }

    fn rename(&self, source: &Path, target: &Path) -> io::Result<()> {
        let mut names = self.names.lock();
        let inode = names.remove(source).ok_or(io::ErrorKind::NotFound)?;
        names.insert(target.to_path_buf(), inode);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let removed = self.names.lock().remove(path);
        removed.map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.names.lock().contains_key(path))
    }

    fn sync_dir(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }
}

impl VfsFile for MemoryFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let held = self.inode.bytes.lock();
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(held.len());
        let count = bytes.len().min(held.len() - from);
        bytes[..count].copy_from_slice(&held[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let from = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let end = from.checked_add(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        let mut held = self.inode.bytes.lock();
        if held.len() < end {
            held.resize(end, 0);
        }
        held[from..end].copy_from_slice(bytes);
        Ok(bytes.len())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.inode.bytes.lock().len() as u64)
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        let len = usize::try_from(len_bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.inode.bytes.lock().resize(len, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn try_lock(&self, lock: Lock) -> io::Result<bool> {
        let mut held = self.held.lock();
        let mut holders = self.inode.holders.lock();
        let free = match lock {
            Lock::Shared => !holders.exclusive,
            Lock::Exclusive => !holders.exclusive && holders.shared == 0,
        };
        if held.is_some() || !free {
            return Ok(false);
        }
        match lock {
            Lock::Shared => holders.shared += 1,
            Lock::Exclusive => holders.exclusive = true,
        }
        *held = Some(lock);
        Ok(true)
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        let names = self.vfs.names.lock();
        Ok(names.get(path).is_some_and(|named| Arc::ptr_eq(named, &self.inode)))
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        let mut holders = self.inode.holders.lock();
        match *self.held.lock() {
            Some(Lock::Shared) => holders.shared -= 1,
            Some(Lock::Exclusive) => holders.exclusive = false,
            None => {}
        }
    }
}
