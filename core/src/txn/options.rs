//! How to open a store.

use super::create::create;
use super::log::{Limits, WAITING_BYTES_MAX};
use super::open::{Mode, open};
use super::state::ONE_SYNC_PAGES_MAX;
use super::store::Store;
use crate::conc::Arc;
use crate::crypto::{Key, OsRandom, RandomSource, Sealer};
use crate::error::{Error, Result};
use crate::error_kind::FileErrorKind;
use crate::page::LOG_PAGES_MAX;
use crate::pager::PagerParts;
use crate::unit::PAGE_BYTES;
use crate::vfs::{MemoryVfs, OsVfs, Vfs};
use std::path::Path;

/// How to open or create a store.
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
    pub(crate) log_pages_max: u64,
    pub(crate) waiting_bytes_max: usize,
}

/// Operations that a log may hold however small the cache is.
const OPS_MIN: usize = 64;

/// Memory for decoded pages unless told otherwise: 64 MiB.
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
            log_pages_max: LOG_PAGES_MAX,
            waiting_bytes_max: WAITING_BYTES_MAX,
        }
    }

    /// Encrypts a new file with this key, and opens a file that was.
    #[must_use]
    pub fn key(mut self, key: Key) -> Self {
        self.key = Some(key);
        self
    }

    /// Bounds the memory for decoded pages, in bytes. Pages in use come on top.
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

    /// Returns what the pager of a file is made of.
    pub(crate) fn pager_parts(&self, path: &Path, sealer: Sealer) -> PagerParts {
        PagerParts {
            path: path.to_path_buf(),
            sealer,
            random_source: Arc::clone(&self.random_source),
            cache_bytes_max: self.cache_bytes_max,
        }
    }

    /// Lets smaller commits than usual take the way of large ones, so that checks meet it often.
    #[doc(hidden)]
    #[must_use]
    pub fn one_sync_pages(mut self, pages: usize) -> Self {
        self.one_sync_pages_max = pages.min(ONE_SYNC_PAGES_MAX);
        self
    }

    /// Lets the log become full sooner than usual, so that checks meet it often; 0 is no log.
    #[doc(hidden)]
    #[must_use]
    pub fn log_pages(mut self, pages: u64) -> Self {
        self.log_pages_max = pages.min(LOG_PAGES_MAX);
        self
    }

    /// Lets commits that need not be durable be written sooner than usual, so that checks meet it
    /// often.
    #[doc(hidden)]
    #[must_use]
    pub fn waiting_bytes(mut self, bytes: usize) -> Self {
        self.waiting_bytes_max = bytes.min(WAITING_BYTES_MAX);
        self
    }

    /// Returns how large the log of a file may become.
    pub(crate) fn log_limits(&self) -> Limits {
        // Half of the cache is left for nodes that only were read.
        let ops_max = (self.cache_bytes_max / (2 * PAGE_BYTES)).max(OPS_MIN);
        let (pages_max, waiting_bytes_max) = (self.log_pages_max, self.waiting_bytes_max);
        Limits { pages_max, ops_max, waiting_bytes_max }
    }

    /// Creates a store in a new file.
    ///
    /// # Errors
    /// [`FileErrorKind::Exists`] if there is a file; otherwise if the directory does not exist, or
    /// cannot be written.
    pub fn create(&self, path: impl AsRef<Path>) -> Result<Store> {
        create(self, path.as_ref())
    }

    /// Opens the store in a file and, after a crash, recovers it.
    ///
    /// # Errors
    /// [`Error::File`] with what is the matter. The file is then as it was before.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Store> {
        open(self, path.as_ref(), Mode::Write)
    }

    /// Opens the store in a file, or creates one if there is none.
    ///
    /// # Errors
    /// As [`StoreOptions::open`] and [`StoreOptions::create`].
    pub fn open_or_create(&self, path: impl AsRef<Path>) -> Result<Store> {
        let path = path.as_ref();
        let absent = |e: &Error| e.file_kind() == Some(FileErrorKind::NotFound);
        match self.open(path) {
            Err(error) if absent(&error) => match self.create(path) {
                // Somebody else was faster.
                Err(error) if error.file_kind() == Some(FileErrorKind::Exists) => self.open(path),
                outcome => outcome,
            },
            outcome => outcome,
        }
    }

    /// Opens the store in a file to read. Nothing is written: after a crash, the last commit found
    /// whole is shown, and a later opening for writing may land on the one before.
    ///
    /// # Errors
    /// As [`StoreOptions::open`].
    pub fn open_read_only(&self, path: impl AsRef<Path>) -> Result<Store> {
        open(self, path.as_ref(), Mode::Read)
    }

    /// Creates a store in memory; nothing is left behind.
    ///
    /// # Errors
    /// If the source of random bytes fails.
    pub fn in_memory(&self) -> Result<Store> {
        let vfs = Arc::new(MemoryVfs::default());
        create(&self.clone().vfs(vfs), Path::new("memory"))
    }
}
