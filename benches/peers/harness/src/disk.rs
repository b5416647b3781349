//! The disk below the engines: its floors, what files take on it, and forgetting them.

use crate::data::Random;
use crate::engine::Result;
use rustix::fs::Advice;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const BLOCK: usize = 4096;
const FLOOR_BYTES: u64 = 64 << 20;
const FLOOR_NAME: &str = "floor";

/// A raw file, written as a store with nothing to do but be durable would.
#[derive(Debug)]
pub(crate) struct Floor {
    file: File,
    random: Random,
}

impl Floor {
    /// Makes the file, every block of it written.
    ///
    /// # Errors
    /// Errors of the system.
    pub(crate) fn new(dir: &Path) -> Result<Self> {
        let file = File::create_new(dir.join(FLOOR_NAME))?;
        let mib = vec![7; 1 << 20];
        for at in (0..FLOOR_BYTES).step_by(mib.len()) {
            file.write_all_at(&mib, at)?;
        }
        file.sync_all()?;
        Ok(Self { file, random: Random::new(1) })
    }

    /// Writes a random block and syncs it, `syncs` times over, and returns how long that took.
    ///
    /// # Errors
    /// Errors of the system.
    pub(crate) fn write(&mut self, syncs: usize) -> Result<Duration> {
        let begun = Instant::now();
        for _ in 0..syncs {
            let block = self.random.next() % (FLOOR_BYTES / BLOCK as u64);
            self.file.write_all_at(&[9; BLOCK], block * BLOCK as u64)?;
            self.file.sync_data()?;
        }
        Ok(begun.elapsed())
    }
}

/// Writers that share their syncs, with nothing to do but write: what four of them reach together
/// over one alone is what the machine gives.
#[derive(Debug)]
struct Sharing<'a> {
    file: &'a File,
    /// Group commit: one thread writes for all, in one call.
    together: bool,
    progress: Mutex<Progress>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Progress {
    written: u64,
    durable: u64,
    syncing: bool,
    /// How many writes the last sync made durable.
    shared: u64,
}

impl Floor {
    /// Writes blocks from several threads, each waiting until its own is durable before the next,
    /// and returns how long that took. Each writes its own block, or `together` one for all.
    ///
    /// # Errors
    /// Errors of the system.
    pub(crate) fn write_at_once(
        &self,
        writes: usize,
        threads: usize,
        together: bool,
    ) -> Result<Duration> {
        let (progress, changed) = (Mutex::default(), Condvar::new());
        let sharing = Sharing { file: &self.file, together, progress, changed };
        let begun = Instant::now();
        thread::scope(|scope| {
            let write = || (0..writes / threads).try_for_each(|_| sharing.write());
            let writers: Vec<_> = (0..threads).map(|_| scope.spawn(write)).collect();
            writers.into_iter().try_for_each(|writer| match writer.join() {
                Ok(written) => written,
                Err(_) => Err(std::io::Error::other("a writer of the floor panicked")),
            })
        })?;
        Ok(begun.elapsed())
    }
}

impl Sharing<'_> {
    /// Writes blocks from one on, over and over the file.
    fn put(&self, first: u64, count: u64) -> std::io::Result<()> {
        let bytes = vec![9; usize::try_from(count).unwrap_or(1) * BLOCK];
        let at = (first * BLOCK as u64) % FLOOR_BYTES;
        self.file.write_all_at(&bytes, at)
    }

    fn write(&self) -> std::io::Result<()> {
        let lock = || self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let mut progress = lock();
        if !self.together {
            self.put(progress.written, 1)?;
        }
        progress.written += 1;
        let own = progress.written;
        while progress.durable < own {
            if progress.syncing {
                progress = self.changed.wait(progress).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            progress.syncing = true;
            let expected = progress.durable + progress.shared;
            drop(progress);
            // Threads that were released together come back together.
            for _ in 0..64 {
                if lock().written >= expected {
                    break;
                }
                thread::yield_now();
            }
            let (durable, written) = {
                let progress = lock();
                (progress.durable, progress.written)
            };
            let put = if self.together { self.put(durable, written - durable) } else { Ok(()) };
            let synced = put.and_then(|()| self.file.sync_data());
            progress = lock();
            progress.syncing = false;
            progress.shared = written - progress.durable;
            progress.durable = written;
            self.changed.notify_all();
            synced?;
        }
        Ok(())
    }
}

/// Returns every file below a directory.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            files.append(&mut self::files(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

/// Returns what the files below a directory take: their length, or less where they have holes.
///
/// # Errors
/// Errors of the system.
pub(crate) fn bytes_on_disk(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for path in files(dir)? {
        let file = File::open(path)?;
        file.sync_all()?;
        let metadata = file.metadata()?;
        bytes += metadata.len().min(metadata.blocks() * 512);
    }
    Ok(bytes)
}

/// Evicts the files below a directory from the page cache; no process may have them mapped.
///
/// The function also reads a file of its own, so that the next read finds memory that was in use
/// just before. A virtual machine returns free memory to its host and requests it again page by
/// page, which takes several times as long as reading the disk.
///
/// # Errors
/// Errors of the system.
pub(crate) fn evict(dir: &Path) -> Result<()> {
    for path in files(dir)? {
        let file = File::open(path)?;
        file.sync_all()?;
        rustix::fs::fadvise(&file, 0, None, Advice::DontNeed)?;
    }
    let used = File::open(dir.parent().unwrap_or(dir).join(FLOOR_NAME))?;
    let mut piece = vec![0; 1 << 20];
    let mut at = 0;
    while let len @ 1.. = used.read_at(&mut piece, at)? {
        at += len as u64;
    }
    rustix::fs::fadvise(&used, 0, None, Advice::DontNeed)?;
    Ok(())
}
