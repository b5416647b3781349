//! The simulated disk of the crash kit, as the file system of a store.
//!
//! The kit knows no store; this file translates calls, and adds nothing. Invariants: SF1 to SF7 in
//! `crashkit/src`.

pub use fastness_crashkit::{Call, Disk, Failure, Fault, Fork, Injection, NAME_BYTES_MAX};
pub use fastness_crashkit::{Page, SECTOR_BYTES, Written};

use fastness::vfs::{Access, Lock, Vfs, VfsFile};
use fastness_crashkit as kit;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// A simulated file system; clones share it.
#[derive(Clone, Debug)]
pub struct SimFs(kit::SimFs);

#[derive(Debug)]
struct SimFile(kit::SimFile);

impl SimFs {
    /// Boots a machine with this disk.
    #[must_use]
    pub fn boot(disk: Disk, seed: u64) -> Self {
        Self(kit::SimFs::boot(disk, seed))
    }
}

impl Deref for SimFs {
    type Target = kit::SimFs;

    fn deref(&self) -> &kit::SimFs {
        &self.0
    }
}

const fn access_of(access: Access) -> kit::Access {
    match access {
        Access::Read => kit::Access::Read,
        Access::ReadWrite => kit::Access::ReadWrite,
        Access::CreateNew => kit::Access::CreateNew,
    }
}

const fn lock_of(lock: Lock) -> kit::Lock {
    match lock {
        Lock::Shared => kit::Lock::Shared,
        Lock::Exclusive => kit::Lock::Exclusive,
    }
}

impl Vfs for SimFs {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn VfsFile>> {
        Ok(Box::new(SimFile(self.0.open(path, access_of(access))?)))
    }

    fn rename(&self, source: &Path, target: &Path) -> io::Result<()> {
        self.0.rename(source, target)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.0.exists(path)
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        self.0.resolve(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.sync_dir(path)
    }
}

impl VfsFile for SimFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.0.set_len(len_bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn try_lock(&self, lock: Lock) -> io::Result<bool> {
        self.0.try_lock(lock_of(lock))
    }

    fn name_count(&self) -> io::Result<u64> {
        self.0.name_count()
    }

    fn take_permissions(&self, path: &Path) -> io::Result<()> {
        self.0.take_permissions(path)
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.0.is_at(path)
    }
}
