//! Files in memory, as bytes.

use fastness::vfs::{Access, MemoryVfs, Vfs as _};
use std::path::Path;

/// Reads a whole file.
///
/// # Panics
/// If the file does not exist.
#[must_use]
#[track_caller]
pub fn read_file(vfs: &MemoryVfs, path: impl AsRef<Path>) -> Vec<u8> {
    let file = vfs.open(path.as_ref(), Access::Read).expect("the file exists");
    let len = usize::try_from(file.len().expect("memory has a length")).expect("it fits");
    let mut bytes = vec![0; len];
    let read = file.read_at(&mut bytes, 0).expect("memory reads");
    assert_eq!(read, len, "memory reads all bytes at once");
    bytes
}

/// Creates a file system in memory that holds one file.
///
/// # Panics
/// Never: memory takes every write.
#[must_use]
pub fn in_memory_file(path: impl AsRef<Path>, bytes: &[u8]) -> MemoryVfs {
    let vfs = MemoryVfs::default();
    let file = vfs.open(path.as_ref(), Access::CreateNew).expect("the file system is empty");
    file.write_at(bytes, 0).expect("memory takes every write");
    vfs
}
