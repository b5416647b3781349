//! Page I/O: reads pages and verifies and decrypts them, and writes sealed pages.

use super::cache::Cache;
use crate::conc::Arc;
use crate::crypto::{Batch, FileSealer, RandomSource};
use crate::error::{Damage, Error, Result};
use crate::fault;
use crate::page::{OVERFLOW_CAPACITY, OverflowPage, Pointer};
use crate::unit::{HEADER_PAGES, PAGE_BYTES, PageBytes, PageId, VALUE_BYTES_MAX};
use crate::vfs::{VfsFile, read_whole, write_whole};
use std::io;
use std::path::{Path, PathBuf};

/// An open file with its sealer and its page cache.
#[derive(Debug)]
pub(crate) struct Pager {
    file: Box<dyn VfsFile>,
    path: PathBuf,
    sealer: FileSealer,
    random_source: Arc<dyn RandomSource>,
    cache: Cache,
}

fn offset(page: PageId) -> u64 {
    fault::pager::narrow(page).offset()
}

/// The parts of a pager beside the file.
#[derive(Debug)]
pub(crate) struct PagerParts {
    pub(crate) path: PathBuf,
    pub(crate) sealer: FileSealer,
    pub(crate) random_source: Arc<dyn RandomSource>,
    pub(crate) cache_bytes_max: usize,
}

/// A run of consecutive pages as they are on the disk, not verified yet.
#[derive(Debug)]
pub(crate) struct SealedRun {
    first: PageId,
    bytes: Vec<u8>,
}

impl SealedRun {
    /// Returns the bytes of a page in the run.
    fn page(&self, page: PageId) -> Option<&[u8]> {
        let index = usize::try_from(page.0.checked_sub(self.first.0)?).ok()?;
        self.bytes.chunks_exact(PAGE_BYTES).nth(index)
    }
}

impl Pager {
    pub(crate) fn new(file: Box<dyn VfsFile>, parts: PagerParts) -> Self {
        let PagerParts { path, sealer, random_source, cache_bytes_max } = parts;
        Self { file, path, sealer, random_source, cache: Cache::new(cache_bytes_max) }
    }

    /// Starts a batch of pages that are sealed under one salt.
    pub(crate) fn batch(&self) -> Result<Batch<'_>> {
        self.sealer.batch(&*self.random_source)
    }

    /// Starts a batch that seals one record of the log.
    pub(crate) fn log_batch(&self) -> Result<Batch<'_>> {
        self.sealer.log_batch(&*self.random_source)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) const fn sealer(&self) -> &FileSealer {
        &self.sealer
    }

    pub(crate) const fn cache(&self) -> &Cache {
        &self.cache
    }

    pub(crate) fn file(&self) -> &dyn VfsFile {
        &*self.file
    }

    pub(crate) fn damaged(&self, page: PageId, damage: Damage) -> Error {
        Error::damaged(&self.path, page, damage)
    }

    pub(crate) fn io(&self, error: &io::Error) -> Error {
        Error::io(&self.path, error)
    }

    /// Reads a page into a buffer of the caller, and verifies and decrypts it there.
    pub(crate) fn read_into(&self, pointer: &Pointer, page: &mut PageBytes) -> Result<()> {
        if !read_whole(self.file(), page, offset(pointer.page)).map_err(|e| self.io(&e))? {
            return Err(self.damaged(pointer.page, Damage::Missing));
        }
        if !self.sealer.open(pointer.identity(), pointer.seal, page) {
            return Err(self.damaged(pointer.page, Damage::Seal));
        }
        Ok(())
    }

    /// Reads a page.
    pub(crate) fn read(&self, pointer: &Pointer) -> Result<Box<PageBytes>> {
        let mut page = Box::new([0; PAGE_BYTES]);
        self.read_into(pointer, &mut page)?;
        Ok(page)
    }

    /// Reads the pages from `first` to `last` with one system call.
    pub(crate) fn read_run(&self, first: PageId, last: PageId) -> Result<SealedRun> {
        assert!(first <= last, "G1: a run ends at page {last}, before its start {first}");
        let count = usize::try_from(last.0 - first.0 + 1).unwrap_or(usize::MAX);
        let mut bytes = vec![0; count.saturating_mul(PAGE_BYTES)];
        // The bytes behind the end of a truncated file are zeros, which match no seal.
        read_whole(self.file(), &mut bytes, offset(first)).map_err(|e| self.io(&e))?;
        Ok(SealedRun { first, bytes })
    }

    /// Copies a page of a run into a buffer of the caller, and verifies and decrypts it there;
    /// `false` if the run does not have the page or the seal does not match.
    #[must_use]
    pub(crate) fn open_into(
        &self,
        run: &SealedRun,
        pointer: &Pointer,
        page: &mut PageBytes,
    ) -> bool {
        let Some(sealed) = run.page(pointer.page) else { return false };
        page.copy_from_slice(sealed);
        self.sealer.open(pointer.identity(), pointer.seal, page)
    }

    /// Reads the value in a chain of overflow pages.
    pub(crate) fn read_chain(&self, bytes: u32, first: Pointer) -> Result<Vec<u8>> {
        let mut value = Vec::new();
        self.walk_chain(bytes, first, &mut |_, data| {
            value.extend_from_slice(data);
            true
        })?;
        assert!(
            Ok(bytes) == u32::try_from(value.len()),
            "P1: a chain of {bytes} bytes was read as {}",
            value.len()
        );
        Ok(value)
    }

    /// Reads a chain of overflow pages, and calls `visit` with the pointer and the data of each
    /// page, until it returns false.
    pub(crate) fn walk_chain(
        &self,
        bytes: u32,
        first: Pointer,
        visit: &mut dyn FnMut(&Pointer, &[u8]) -> bool,
    ) -> Result<()> {
        let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
        if left > VALUE_BYTES_MAX {
            return Err(self.damaged(first.page, Damage::Content));
        }
        let mut next = Some(first);
        while left > 0 {
            let Some(pointer) = next else {
                return Err(self.damaged(first.page, Damage::Content));
            };
            let page = self.read(&pointer)?;
            let expected = OVERFLOW_CAPACITY.min(left);
            left -= expected;
            let decoded = OverflowPage::decode(&page)
                .filter(|page| page.data.len() == expected && page.next.is_some() == (left > 0))
                .ok_or_else(|| self.damaged(pointer.page, Damage::Content))?;
            if !visit(&pointer, decoded.data) {
                return Ok(());
            }
            next = decoded.next;
        }
        Ok(())
    }

    /// Writes sealed, consecutive pages.
    pub(crate) fn write(&self, first: PageId, pages: &[u8]) -> Result<()> {
        assert!(first.0 >= HEADER_PAGES, "C1: page {first} is in the header");
        assert!(pages.len().is_multiple_of(PAGE_BYTES), "C1: a page is written in part");
        write_whole(self.file(), pages, offset(first)).map_err(|e| self.io(&e))
    }

    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync().map_err(|e| self.io(&e))
    }
}
