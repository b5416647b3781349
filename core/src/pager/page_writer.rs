//! Writing the pages of a commit: sealed, in ascending order, in few large calls of the system.

use super::cache::Cache;
use super::io::Pager;
use crate::crypto::{Batch, PageIdentity};
use crate::error::Result;
use crate::page::{OVERFLOW_CAPACITY, Pointer, encode_overflow};
use crate::unit::{CommitId, PAGE_BYTES, PageBytes, PageId};

/// Most bytes handed to one write call.
const WRITE_BYTES_MAX: usize = 1 << 20;

/// Writes the pages of one commit into page numbers that were allocated before.
#[derive(Debug)]
pub(crate) struct PageWriter<'a> {
    pager: &'a Pager,
    batch: Batch<'a>,
    commit: CommitId,
    pages: std::vec::IntoIter<PageId>,
    /// Sealed, consecutive pages, buffered for one call; the first is `first`.
    buffered: Vec<u8>,
    first: PageId,
}

impl<'a> PageWriter<'a> {
    /// Starts writing into `pages`, which must ascend.
    pub(crate) fn new(pager: &'a Pager, commit: CommitId, pages: Vec<PageId>) -> Result<Self> {
        let batch = pager.batch()?;
        let pages = pages.into_iter();
        Ok(Self { pager, batch, commit, pages, buffered: Vec::new(), first: PageId(0) })
    }

    pub(crate) fn cache(&self) -> &'a Cache {
        self.pager.cache()
    }

    /// Writes the rest and returns the batch, for the slot.
    pub(crate) fn finish(mut self) -> Result<Batch<'a>> {
        assert!(self.pages.next().is_none(), "S1: a page was allocated and not written");
        self.flush()?;
        Ok(self.batch)
    }

    fn flush(&mut self) -> Result<()> {
        if !self.buffered.is_empty() {
            self.pager.write(self.first, &self.buffered)?;
            self.buffered.clear();
        }
        Ok(())
    }

    /// Buffers a page that `encode` fills, sealed.
    pub(crate) fn put(&mut self, encode: impl FnOnce(&mut PageBytes)) -> Result<Pointer> {
        let id = self.pages.next().expect("S1: enough pages were allocated");
        let follows = self.first.0 + (self.buffered.len() / PAGE_BYTES) as u64 == id.0;
        if !follows || self.buffered.len() >= WRITE_BYTES_MAX {
            self.flush()?;
        }
        if self.buffered.is_empty() {
            self.first = id;
        }
        let start = self.buffered.len();
        self.buffered.resize(start + PAGE_BYTES, 0);
        let page = self.buffered[start..].first_chunk_mut().expect("K2: there is room for a page");
        encode(page);
        let place = PageIdentity { page: id, birth: self.commit };
        let seal = self.batch.seal(place, page);
        Ok(Pointer { page: id, birth: self.commit, seal })
    }

    /// Writes a chain of overflow pages, calls `visit` with the pointer of each page, and returns
    /// the pointer of the first.
    pub(crate) fn put_chain(
        &mut self,
        bytes: &[u8],
        visit: &mut dyn FnMut(&Pointer),
    ) -> Result<Pointer> {
        let mut next = None;
        for data in bytes.chunks(OVERFLOW_CAPACITY).rev() {
            let pointer = self.put(|page| encode_overflow(data, next.as_ref(), page))?;
            visit(&pointer);
            next = Some(pointer);
        }
        Ok(next.expect("T3: an out-of-line value is not empty"))
    }
}
