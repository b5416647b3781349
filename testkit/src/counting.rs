//! A file system in memory that counts the calls to it, and can refuse a write.

use fastness::vfs::{Access, Lock, MemoryVfs, Vfs, VfsFile};
use fastness::{Key, StoreOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[derive(Debug, Default)]
struct Counts {
    reads: AtomicU64,
    read_bytes: AtomicU64,
    writes: AtomicU64,
    written_bytes: AtomicU64,
    syncs: AtomicU64,
    /// The next write finds no space.
    refuses: AtomicBool,
}

/// Counts the calls to a file system in memory.
#[derive(Clone, Debug, Default)]
pub struct Counting {
    inner: MemoryVfs,
    counts: Arc<Counts>,
}

#[derive(Debug)]
struct CountingFile {
    inner: Box<dyn VfsFile>,
    counts: Arc<Counts>,
}

impl Vfs for Counting {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn VfsFile>> {
        let inner = self.inner.open(path, access)?;
        Ok(Box::new(CountingFile { inner, counts: Arc::clone(&self.counts) }))
    }

    fn rename(&self, source: &Path, target: &Path) -> io::Result<()> {
        self.inner.rename(source, target)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.inner.exists(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_dir(path)
    }
}

impl VfsFile for CountingFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.counts.reads.fetch_add(1, Ordering::Relaxed);
        self.counts.read_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.inner.read_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.counts.writes.fetch_add(1, Ordering::Relaxed);
        if self.counts.refuses.swap(false, Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.counts.written_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.inner.write_at(bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.inner.set_len(len_bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.counts.syncs.fetch_add(1, Ordering::Relaxed);
        self.inner.sync()
    }

    fn try_lock(&self, lock: Lock) -> io::Result<bool> {
        self.inner.try_lock(lock)
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.inner.is_at(path)
    }
}

impl Counting {
    /// Returns options for an encrypted store on this file system.
    #[must_use]
    pub fn options(&self) -> StoreOptions {
        StoreOptions::new().vfs(Arc::new(self.clone())).key(Key::new([7; 64]))
    }

    /// Returns reads, writes, bytes written and syncs of `body`.
    pub fn of(&self, body: impl FnOnce()) -> [u64; 4] {
        let counts = &self.counts;
        let all = || {
            [&counts.reads, &counts.writes, &counts.written_bytes, &counts.syncs]
                .map(|count| count.load(Ordering::Relaxed))
        };
        let before = all();
        body();
        let after = all();
        std::array::from_fn(|index| after[index] - before[index])
    }

    /// Calls `body`, whose first write finds no space.
    pub fn refusing<T>(&self, body: impl FnOnce() -> T) -> T {
        self.counts.refuses.store(true, Ordering::Relaxed);
        let outcome = body();
        self.counts.refuses.store(false, Ordering::Relaxed);
        outcome
    }

    /// Returns the pages that `body` reads, however many at a time.
    pub fn pages_of(&self, body: impl FnOnce()) -> u64 {
        let read = || self.counts.read_bytes.load(Ordering::Relaxed);
        let before = read();
        body();
        (read() - before) / 4096
    }

    /// Returns the length of the file `store`.
    ///
    /// # Panics
    /// If it does not exist.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let file = self.inner.open(Path::new("store"), Access::Read).expect("the file exists");
        file.len().expect("memory has a length")
    }
}
