//! A file system in memory that ends an operation which reads too much.
//!
//! - T6 Whatever a file contains, an operation on it takes time linear in the length of the file.

use fastness::vfs::{Access, Lock, MemoryVfs, Vfs, VfsFile};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// An operation may read each page of the file so many times.
const READS_OF_A_PAGE: u64 = 16;
/// Bytes that any operation may read, also on the shortest file: those of the longest log.
const BYTES_MIN: u64 = 8 << 20;
/// Length that a sparse file pretends to have.
const SPARSE_BYTES: u64 = 1 << 60;

/// A file system in memory that counts what is read.
#[derive(Clone, Debug)]
pub(super) struct CountedVfs {
    files: MemoryVfs,
    left_bytes: Arc<AtomicU64>,
    allowed_bytes: u64,
    /// The file that has zeros without end behind its bytes.
    sparse: Option<&'static str>,
}

/// An open file that counts what is read.
#[derive(Debug)]
struct CountedFile {
    file: Box<dyn VfsFile>,
    left_bytes: Arc<AtomicU64>,
    is_sparse: bool,
}

impl CountedVfs {
    /// Makes a file system with one file.
    pub(super) fn with_file(path: &'static str, bytes: &[u8], is_sparse: bool) -> Self {
        let files = fastness_testkit::in_memory_file(path, bytes);
        let allowed_bytes = BYTES_MIN + READS_OF_A_PAGE * bytes.len() as u64;
        let left_bytes = Arc::new(AtomicU64::new(allowed_bytes));
        Self { files, left_bytes, allowed_bytes, sparse: is_sparse.then_some(path) }
    }

    /// Begins another operation.
    pub(super) fn begin(&self) {
        self.left_bytes.store(self.allowed_bytes, Ordering::Relaxed);
    }
}

impl Vfs for CountedVfs {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn VfsFile>> {
        let is_sparse = self.sparse.is_some_and(|sparse| Path::new(sparse) == path);
        let (file, left_bytes) = (self.files.open(path, access)?, Arc::clone(&self.left_bytes));
        Ok(Box::new(CountedFile { file, left_bytes, is_sparse }))
    }

    fn rename(&self, source: &Path, target: &Path) -> io::Result<()> {
        self.files.rename(source, target)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.files.remove(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.files.exists(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.files.sync_dir(path)
    }
}

impl VfsFile for CountedFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        let len = bytes.len() as u64;
        let left = self.left_bytes.fetch_sub(len, Ordering::Relaxed);
        assert!(left >= len, "T6: an operation reads more than a hostile file is long");
        let read = self.file.read_at(bytes, offset)?;
        if !self.is_sparse {
            return Ok(read);
        }
        bytes[read..].fill(0);
        Ok(bytes.len())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        if self.is_sparse && offset > self.file.len()? {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write_at(bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        if self.is_sparse { Ok(SPARSE_BYTES) } else { self.file.len() }
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        if self.is_sparse { Ok(()) } else { self.file.set_len(len_bytes) }
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn try_lock(&self, lock: Lock) -> io::Result<bool> {
        self.file.try_lock(lock)
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.file.is_at(path)
    }
}
