//! What a single-row commit of Fastness asks of the disk, counted exactly.

use crate::data::Data;
use crate::engine::Result;
use crate::fast::{OURS, options};
use crate::samples::Samples;
use fastness::vfs::{Access, Lock, OsVfs, Vfs, VfsFile};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Debug, Default)]
struct Counts {
    syncs: AtomicU64,
    calls: AtomicU64,
    bytes: AtomicU64,
}

impl Counts {
    fn take(&self) -> [u64; 3] {
        [&self.syncs, &self.calls, &self.bytes].map(|count| count.swap(0, Ordering::Relaxed))
    }
}

#[derive(Debug, Default)]
struct CountingVfs(Arc<Counts>);

#[derive(Debug)]
struct CountingFile(Box<dyn VfsFile>, Arc<Counts>);

impl Vfs for CountingVfs {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn VfsFile>> {
        Ok(Box::new(CountingFile(OsVfs.open(path, access)?, Arc::clone(&self.0))))
    }

    fn rename(&self, source: &Path, target: &Path) -> io::Result<()> {
        OsVfs.rename(source, target)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        OsVfs.remove(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        OsVfs.exists(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.0.syncs.fetch_add(1, Ordering::Relaxed);
        OsVfs.sync_dir(path)
    }
}

impl VfsFile for CountingFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.1.calls.fetch_add(1, Ordering::Relaxed);
        self.1.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.0.write_at(bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.1.calls.fetch_add(1, Ordering::Relaxed);
        self.0.set_len(len_bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.1.syncs.fetch_add(1, Ordering::Relaxed);
        self.0.sync()
    }

    fn try_lock(&self, lock: Lock) -> io::Result<bool> {
        self.0.try_lock(lock)
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.0.is_at(path)
    }
}

const COMMITS: usize = 1000;

/// Loads a store, makes single-row commits, and records the most that any of them asked for.
///
/// # Errors
/// As the store says.
pub(crate) fn count(dir: &Path, data: &Data, samples: &mut Samples) -> Result<()> {
    let counts = Arc::new(Counts::default());
    let vfs = Arc::new(CountingVfs(Arc::clone(&counts)));
    let store = options(true).vfs(vfs).create(dir.join("counted.fastness"))?;
    let commit = |changes: &[crate::data::Change]| -> Result<()> {
        let mut txn = store.write()?;
        for change in changes {
            txn.tree("rows")?.insert(&change.key, change.value.as_ref().map_or(&[], |v| &v[..]))?;
        }
        txn.commit()?;
        Ok(())
    };
    commit(&data.load(false))?;
    let mut most = [0; 3];
    for change in data.updates(COMMITS, 3) {
        counts.take();
        commit(&[change])?;
        for (most, count) in most.iter_mut().zip(counts.take()) {
            *most = count.max(*most);
        }
    }
    for (metric, most) in ["count.syncs", "count.calls", "count.kib"].into_iter().zip(most) {
        let unit = if metric == "count.kib" { 1024.0 } else { 1.0 };
        samples.add(OURS, metric, most as f64 / unit);
    }
    Ok(())
}
