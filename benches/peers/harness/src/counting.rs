//! Disk operations of a commit of Fastness, counted exactly.

use crate::data::{Change, Data};
use crate::engine::Result;
use crate::fast::{OURS, options};
use crate::samples::Samples;
use fastness::Store;
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
        OsVfs.exists(path).map(drop)
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
        Ok(())
    }

    fn try_lock(&self, lock: Lock) -> io::Result<bool> {
        self.0.try_lock(lock)
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        self.0.is_at(path)
    }
}

/// Single-row commits that are counted.
const COMMITS: usize = 1000;

/// A store with a counter for each call. Syncs are counted and skipped, since no crash follows.
struct Counted {
    store: Store,
    counts: Arc<Counts>,
}

impl Counted {
    fn create(dir: &Path) -> Result<Self> {
        let counts = Arc::new(Counts::default());
        let vfs = Arc::new(CountingVfs(Arc::clone(&counts)));
        let store = options(true).vfs(vfs).create(dir.join("counted.fastness"))?;
        Ok(Self { store, counts })
    }

    /// Commits and returns syncs, write calls and bytes.
    fn commit(&self, changes: &[Change]) -> Result<[u64; 3]> {
        self.counts.take();
        let mut txn = self.store.write()?;
        let mut tree = txn.tree("rows")?;
        for change in changes {
            if let Some(value) = &change.value {
                tree.insert(&change.key, value)?;
            }
        }
        txn.commit()?;
        Ok(self.counts.take())
    }
}

/// Loads a store and records what 99 of 100 single-row commits ask for at most, and what any did;
/// ages it and records the same of commits of a hundred rows.
///
/// # Errors
/// As the store says.
pub(crate) fn count(dir: &Path, data: &Data, samples: &mut Samples) -> Result<()> {
    let counted = Counted::create(dir)?;
    counted.commit(&data.load(false))?;
    let mut record = |kind: &str, changes: &[Change], rows: usize| -> Result<()> {
        let mut counts = [const { Vec::new() }; 3];
        for changes in changes.chunks(rows) {
            for (counts, count) in counts.iter_mut().zip(counted.commit(changes)?) {
                counts.push(count);
            }
        }
        for (metric, counts) in ["syncs", "calls", "kib"].into_iter().zip(&mut counts) {
            counts.sort_unstable();
            let unit = if metric == "kib" { 1024.0 } else { 1.0 };
            let most = counts.last().copied().unwrap_or_default();
            let nearly_all = counts.get(counts.len() * 99 / 100).copied().unwrap_or(most);
            samples.add(OURS, &format!("count.{kind}.{metric}.most"), most as f64 / unit);
            samples.add(OURS, &format!("count.{kind}.{metric}"), nearly_all as f64 / unit);
        }
        Ok(())
    };
    record("one", &data.updates(COMMITS, 3), 1)?;
    let ageing = data.updates(data.keys.len() / 2, 13);
    let (before, counted) = ageing.split_at(ageing.len() * 9 / 10);
    record("ageing", before, 100)?;
    record("aged", counted, 100)
}
