//! Options of a store.

use super::log::{BUFFERED_BYTES_MAX, LogLimits};
use super::state::{ONE_SYNC_PAGES_MAX, SPILL_BYTES_MIN};
use crate::conc::Arc;
use crate::crypto::{FileSealer, Key, OsRandom, RandomSource};
use crate::page::LOG_PAGES_MAX;
use crate::pager::PagerParts;
use crate::unit::PAGE_BYTES;
use crate::vfs::{OsVfs, Vfs};
use std::path::Path;

/// Options for opening or creating a store.
///
/// ```
/// use fastness::{Key, StoreOptions};
///
/// let dir = tempfile::tempdir()?;
/// let options = StoreOptions::new().key(Key::new([7; 64]));
/// let store = options.create(dir.path().join("notes"))?;
///
/// let mut txn = store.write()?;
/// txn.tree("notes")?.insert(b"today", b"nothing was lost")?;
/// txn.commit()?;
///
/// let notes = store.snapshot();
/// assert_eq!(notes.tree("notes").get(b"today")?.unwrap(), b"nothing was lost");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct StoreOptions {
    pub(crate) key: Option<Key>,
    pub(crate) cache_bytes_max: usize,
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) random_source: Arc<dyn RandomSource>,
    pub(crate) one_sync_pages_max: usize,
    pub(crate) spill_bytes_min: usize,
    pub(crate) log_pages_max: u64,
    pub(crate) buffered_bytes_max: usize,
}

/// Operations that a log may hold with the smallest cache.
const OPS_MIN: usize = 64;

/// Default memory for decoded pages: 64 MiB.
const CACHE_BYTES_MAX: usize = 64 << 20;

impl Default for StoreOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl StoreOptions {
    /// Starts with a plain file of the operating system and 64 MiB of cache.
    #[must_use]
    pub fn new() -> Self {
        Self {
            key: None,
            cache_bytes_max: CACHE_BYTES_MAX,
            vfs: Arc::new(OsVfs),
            random_source: Arc::new(OsRandom),
            one_sync_pages_max: ONE_SYNC_PAGES_MAX,
            spill_bytes_min: SPILL_BYTES_MIN,
            log_pages_max: LOG_PAGES_MAX,
            buffered_bytes_max: BUFFERED_BYTES_MAX,
        }
    }

    /// Encrypts a new file with this key, or opens a file that was encrypted with it.
    #[must_use]
    pub fn key(mut self, key: Key) -> Self {
        self.key = Some(key);
        self
    }

    /// Bounds the memory for decoded pages, in bytes. Pages in use come on top. A transaction that
    /// changes more pages than that writes them before it commits.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: usize) -> Self {
        self.cache_bytes_max = bytes;
        self
    }

    /// Uses another file system.
    #[must_use]
    pub fn vfs(mut self, vfs: Arc<dyn Vfs>) -> Self {
        self.vfs = vfs;
        self
    }

    /// Uses another source of random bytes. They must be unpredictable and never repeat.
    #[must_use]
    pub fn random_source(mut self, source: Arc<dyn RandomSource>) -> Self {
        self.random_source = source;
        self
    }

    /// Returns the parts of the pager of a file.
    pub(crate) fn pager_parts(&self, path: &Path, sealer: FileSealer) -> PagerParts {
        PagerParts {
            path: path.to_path_buf(),
            sealer,
            random_source: Arc::clone(&self.random_source),
            cache_bytes_max: self.cache_bytes_max,
        }
    }

    /// Lowers the size at which a checkpoint syncs its pages first, so that checks reach it often.
    #[doc(hidden)]
    #[must_use]
    pub fn one_sync_pages(mut self, pages: usize) -> Self {
        self.one_sync_pages_max = pages.min(ONE_SYNC_PAGES_MAX);
        self
    }

    /// Lowers the least size of the changes that a large transaction writes before its commit, so
    /// that checks reach it often.
    #[doc(hidden)]
    #[must_use]
    pub fn spill_bytes(mut self, bytes: usize) -> Self {
        self.spill_bytes_min = bytes.min(SPILL_BYTES_MIN);
        self
    }

    /// Lowers the size of a full log, so that checks reach it often; 0 is no log.
    #[doc(hidden)]
    #[must_use]
    pub fn log_pages(mut self, pages: u64) -> Self {
        self.log_pages_max = pages.min(LOG_PAGES_MAX);
        self
    }

    /// Lowers the size at which commits without durability are written, so that checks reach it
    /// often.
    #[doc(hidden)]
    #[must_use]
    pub fn waiting_bytes(mut self, bytes: usize) -> Self {
        self.buffered_bytes_max = bytes.min(BUFFERED_BYTES_MAX);
        self
    }

    /// Returns the limits of the log of a file.
    pub(crate) fn log_limits(&self) -> LogLimits {
        // Half of the cache is left for nodes that were read only.
        let ops_max = (self.cache_bytes_max / (2 * PAGE_BYTES)).max(OPS_MIN);
        let (pages_max, buffered_bytes_max) = (self.log_pages_max, self.buffered_bytes_max);
        LogLimits { pages_max, ops_max, buffered_bytes_max }
    }
}
