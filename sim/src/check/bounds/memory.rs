//! The memory that calls of the store allocate on this thread and do not return, without that of
//! the simulated disk.

use crate::fs::SimFs;
use fastness::vfs::{Access, Lock, Vfs, VfsFile};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

/// The live memory of a store.
#[derive(Debug, Default)]
pub(super) struct Memory {
    live: i64,
}

impl Memory {
    /// Runs a body whose allocations belong to the store.
    pub(super) fn count<T>(&mut self, body: impl FnOnce() -> T) -> T {
        let mut outcome = None;
        // A panic must not unwind through the measurement, which would never end.
        let body = || outcome = Some(catch_unwind(AssertUnwindSafe(body)));
        self.live += allocation_counter::measure(body).bytes_current;
        match outcome.expect("the body ran") {
            Ok(value) => value,
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Returns the live memory in bytes.
    pub(super) fn live_bytes(&self) -> usize {
        usize::try_from(self.live).unwrap_or_default()
    }
}

/// Runs a body whose allocations do not belong to the store.
pub(super) fn uncounted<T>(body: impl FnOnce() -> T) -> T {
    let mut outcome = None;
    allocation_counter::opt_out(|| outcome = Some(body()));
    outcome.expect("the body ran")
}

/// A simulated disk whose own memory is not counted.
#[derive(Debug)]
pub(super) struct UncountedFs(pub(super) SimFs);

#[derive(Debug)]
struct UncountedFile(Option<Box<dyn VfsFile>>);

impl UncountedFile {
    fn call<T>(&self, body: impl FnOnce(&dyn VfsFile) -> io::Result<T>) -> io::Result<T> {
        let file = self.0.as_deref().expect("it is open until it is dropped");
        uncounted(|| body(file))
    }
}

impl Drop for UncountedFile {
    fn drop(&mut self) {
        uncounted(|| drop(self.0.take()));
    }
}

impl Vfs for UncountedFs {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn VfsFile>> {
        let file = uncounted(|| self.0.open(path, access))?;
        Ok(Box::new(UncountedFile(Some(file))))
    }

    fn rename(&self, source: &Path, target: &Path) -> io::Result<()> {
        uncounted(|| self.0.rename(source, target))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        uncounted(|| self.0.remove(path))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        uncounted(|| self.0.exists(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        uncounted(|| self.0.sync_dir(path))
    }
}

impl VfsFile for UncountedFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.call(|file| file.read_at(bytes, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.call(|file| file.write_at(bytes, offset))
    }

    fn len(&self) -> io::Result<u64> {
        self.call(|file| file.len())
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.call(|file| file.set_len(len_bytes))
    }

    fn sync(&self) -> io::Result<()> {
        self.call(|file| file.sync())
    }

    fn try_lock(&self, lock: Lock) -> io::Result<bool> {
        self.call(|file| file.try_lock(lock))
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.call(|file| file.is_at(path))
    }
}
