//! Reads and writes the pages of one file through their seals.
//!
//! - G1 No byte of a page is used before its seal was opened.

use super::{Cache, Node};
use crate::conc::Arc;
use crate::crypto::{Batch, RandomSource, Sealer};
use crate::error::{Damage, Error, Result};
use crate::fault;
use crate::page::{NodePage, OVERFLOW_CAPACITY, OverflowPage, Pointer, overflow_pages};
use crate::unit::{HEADER_PAGES, PAGE_BYTES, PageBytes, PageId, VALUE_BYTES_MAX};
use crate::vfs::{VfsFile, read_whole, write_whole};
use std::io;
use std::path::{Path, PathBuf};

/// An open file, its seals and its cache.
#[derive(Debug)]
pub(crate) struct Pager {
    file: Box<dyn VfsFile>,
    path: PathBuf,
    sealer: Sealer,
    random_source: Arc<dyn RandomSource>,
    cache: Cache,
}

fn offset(page: PageId) -> u64 {
    fault::pager::narrow(page).offset()
}

/// What a pager is made of, beside the file.
#[derive(Debug)]
pub(crate) struct PagerParts {
    pub(crate) path: PathBuf,
    pub(crate) sealer: Sealer,
    pub(crate) random_source: Arc<dyn RandomSource>,
    pub(crate) cache_bytes_max: usize,
}

impl Pager {
    pub(crate) fn new(file: Box<dyn VfsFile>, parts: PagerParts) -> Self {
        let PagerParts { path, sealer, random_source, cache_bytes_max } = parts;
        Self { file, path, sealer, random_source, cache: Cache::new(cache_bytes_max) }
    }

    /// Starts sealing a batch of pages.
    pub(crate) fn batch(&self) -> Result<Batch<'_>> {
        self.sealer.batch(&*self.random_source)
    }

    /// Starts sealing a record of the log.
    pub(crate) fn log_batch(&self) -> Result<Batch<'_>> {
        self.sealer.log_batch(&*self.random_source)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) const fn sealer(&self) -> &Sealer {
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

    /// Reads and opens a page in the memory where it is to be.
    fn fill(&self, pointer: &Pointer, page: &mut PageBytes) -> Result<()> {
        if !read_whole(self.file(), page, offset(pointer.page)).map_err(|e| self.io(&e))? {
            return Err(self.damaged(pointer.page, Damage::Missing));
        }
        if !self.sealer.open(pointer.place(), pointer.seal, page) {
            return Err(self.damaged(pointer.page, Damage::Seal));
        }
        Ok(())
    }

    /// Reads and opens a page.
    pub(crate) fn page(&self, pointer: &Pointer) -> Result<Box<PageBytes>> {
        let mut page = Box::new([0; PAGE_BYTES]);
        self.fill(pointer, &mut page)?;
        Ok(page)
    }

    /// Reads a page as a node; `level` is what its parent says.
    pub(crate) fn node_page(&self, pointer: &Pointer, level: Option<u8>) -> Result<NodePage> {
        NodePage::decode(self.page(pointer)?)
            .filter(|page| level.is_none_or(|level| page.level() == level))
            .ok_or_else(|| self.damaged(pointer.page, Damage::Content))
    }

    /// Reads a node; `level` is what its parent says.
    pub(crate) fn node(&self, pointer: &Pointer, level: Option<u8>) -> Result<Arc<Node>> {
        let mut node = Node::blank(&self.cache);
        let own = Arc::make_mut(&mut node);
        self.fill(pointer, own.page_mut())?;
        if !own.settle(level, &self.cache) {
            return Err(self.damaged(pointer.page, Damage::Content));
        }
        Ok(node)
    }

    /// Reads nodes that lie close together, in the order of their pages, in one go; `None` for one
    /// that cannot be read.
    pub(crate) fn nodes(
        &self,
        pointers: &[Pointer],
        level: u8,
    ) -> Result<impl Iterator<Item = Option<Arc<Node>>>> {
        let first = pointers.first().map_or(PageId(0), |pointer| pointer.page);
        let place = move |page: PageId| usize::try_from(page.0 - first.0).unwrap_or(usize::MAX);
        let count = pointers.last().map_or(0, |last| place(last.page) + 1);
        let mut bytes = vec![0; count * PAGE_BYTES];
        // A file that ends early reads as zeros from there, which no seal fits.
        read_whole(self.file(), &mut bytes, offset(first)).map_err(|e| self.io(&e))?;
        Ok(pointers.iter().map(move |pointer| {
            let at = place(pointer.page) * PAGE_BYTES;
            let mut node = Node::blank(&self.cache);
            let own = Arc::make_mut(&mut node);
            let page = own.page_mut();
            page.copy_from_slice(&bytes[at..at + PAGE_BYTES]);
            let ours = self.sealer.open(pointer.place(), pointer.seal, page);
            (ours && own.settle(Some(level), &self.cache)).then_some(node)
        }))
    }

    /// Reads a chain of overflow pages, telling `visit` each page.
    pub(crate) fn chain(
        &self,
        bytes: u32,
        first: Pointer,
        visit: &mut dyn FnMut(&Pointer),
    ) -> Result<Vec<u8>> {
        let len = usize::try_from(bytes).unwrap_or(usize::MAX);
        if len > VALUE_BYTES_MAX {
            return Err(self.damaged(first.page, Damage::Content));
        }
        let mut value = Vec::new();
        let mut next = Some(first);
        for left in (0..overflow_pages(len)).rev() {
            let Some(pointer) = next else {
                return Err(self.damaged(first.page, Damage::Content));
            };
            let page = self.page(&pointer)?;
            visit(&pointer);
            let expected = OVERFLOW_CAPACITY.min(len - value.len());
            let decoded = OverflowPage::decode(&page)
                .filter(|page| page.data.len() == expected && page.next.is_some() == (left > 0))
                .ok_or_else(|| self.damaged(pointer.page, Damage::Content))?;
            value.extend_from_slice(decoded.data);
            next = decoded.next;
        }
        Ok(value)
    }

    /// Writes sealed pages that follow each other.
    pub(crate) fn write(&self, first: PageId, pages: &[u8]) -> Result<()> {
        assert!(first.0 >= HEADER_PAGES, "C1: pages are never written over the header");
        write_whole(self.file(), pages, offset(first)).map_err(|e| self.io(&e))
    }

    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync().map_err(|e| self.io(&e))
    }
}
