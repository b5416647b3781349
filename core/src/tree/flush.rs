//! Writing what a transaction changed: every node and value once, children before parents, and
//! leaves before branches.

use super::link::Link;
use super::{Cache, Node, Pager, TreeEdit, TreeState};
use crate::conc::Arc;
use crate::crypto::{Batch, Place};
use crate::error::Result;
use crate::page::{OVERFLOW_CAPACITY, Pointer, encode_overflow};
use crate::unit::{CommitId, PAGE_BYTES, PageBytes, PageId};

/// Most bytes handed to one write call.
const WRITE_BYTES_MAX: usize = 1 << 20;

/// A commit's pages on their way to the disk.
#[derive(Debug)]
pub(crate) struct Flush<'a> {
    pager: &'a Pager,
    batch: Batch<'a>,
    commit: CommitId,
    pages: std::vec::IntoIter<PageId>,
    /// Sealed pages that follow each other, not yet written; the first is `first`.
    waiting: Vec<u8>,
    first: PageId,
}

impl<'a> Flush<'a> {
    /// Starts writing into `pages`, which must ascend.
    pub(crate) fn new(pager: &'a Pager, commit: CommitId, pages: Vec<PageId>) -> Result<Self> {
        let batch = pager.batch()?;
        let pages = pages.into_iter();
        Ok(Self { pager, batch, commit, pages, waiting: Vec::new(), first: PageId(0) })
    }

    pub(crate) fn cache(&self) -> &'a Cache {
        self.pager.cache()
    }

    /// Writes what is left and returns the batch, for the slot.
    pub(crate) fn finish(mut self) -> Result<Batch<'a>> {
        assert!(self.pages.next().is_none(), "S1: a page was allocated and not written");
        self.write()?;
        Ok(self.batch)
    }

    fn write(&mut self) -> Result<()> {
        if !self.waiting.is_empty() {
            self.pager.write(self.first, &self.waiting)?;
            self.waiting.clear();
        }
        Ok(())
    }

    /// Queues a page that `encode` writes, sealed.
    fn put(&mut self, encode: impl FnOnce(&mut PageBytes)) -> Result<Pointer> {
        let id = self.pages.next().expect("S1: enough pages were allocated");
        let follows = self.first.0 + (self.waiting.len() / PAGE_BYTES) as u64 == id.0;
        if !follows || self.waiting.len() >= WRITE_BYTES_MAX {
            self.write()?;
        }
        if self.waiting.is_empty() {
            self.first = id;
        }
        let start = self.waiting.len();
        self.waiting.resize(start + PAGE_BYTES, 0);
        let page = self.waiting[start..].first_chunk_mut().expect("K2: there is room for a page");
        encode(page);
        let place = Place { page: id, birth: self.commit };
        let seal = self.batch.seal(place, page);
        Ok(Pointer { page: id, birth: self.commit, seal })
    }

    /// Writes a chain of overflow pages, tells `pages` which, and returns the first.
    pub(crate) fn chain(&mut self, bytes: &[u8], pages: &mut Vec<PageId>) -> Result<Pointer> {
        let mut next = None;
        for data in bytes.chunks(OVERFLOW_CAPACITY).rev() {
            let pointer = self.put(|page| encode_overflow(data, next.as_ref(), page))?;
            pages.push(pointer.page);
            next = Some(pointer);
        }
        Ok(next.expect("T3: a stored value is not empty"))
    }

    /// Writes a tree and returns what it is from now on.
    pub(crate) fn tree(&mut self, edit: TreeEdit) -> Result<Arc<TreeState>> {
        let TreeEdit { family, root, len, .. } = edit;
        let Some(mut root) = root else { return Ok(Arc::default()) };
        // Leaves lie behind each other, and so do branches: a walk reads a few long runs.
        let top = root.peek().map_or(0, |node| node.level());
        (0..=top).try_for_each(|level| self.level(&mut root, level))?;
        Ok(TreeState::new(root, len, (family, self.cache())))
    }

    /// Writes the nodes of a level that are not written yet, from this one down.
    fn level(&mut self, link: &mut Link, level: u8) -> Result<()> {
        if link.pointer.is_some() {
            return Ok(());
        }
        link.tidy();
        let leaf = link.peek().filter(|node| node.level() == 0 && node.long.is_empty());
        let pointer = if let Some(leaf) = leaf {
            self.put(|page| leaf.encode(page))?
        } else {
            let node = link.own();
            if node.level() > level {
                return node.links.fresh_mut().try_for_each(|child| self.level(child, level));
            }
            if node.level() == 0 {
                self.long_values(node)?;
            }
            self.put(|page| node.encode(page))?
        };
        link.pointer = Some(pointer);
        Ok(())
    }

    fn long_values(&mut self, leaf: &mut Node) -> Result<()> {
        for (index, value) in leaf.long_values() {
            let first = self.chain(&value, &mut Vec::new())?;
            leaf.stored(index, first);
        }
        leaf.long = Vec::new();
        Ok(())
    }
}

impl TreeEdit {
    /// Returns how many pages writing the tree takes.
    pub(crate) fn pages(&self) -> usize {
        self.root.as_ref().map_or(0, Link::pages)
    }
}

impl Link {
    /// Returns how many pages writing the node, and those below it, takes.
    fn pages(&self) -> usize {
        match self.peek().filter(|_| self.pointer.is_none()) {
            Some(node) if node.level() == 0 => 1 + node.long_pages(),
            Some(node) => 1 + node.links.iter().map(Self::pages).sum::<usize>(),
            None => 0,
        }
    }
}
