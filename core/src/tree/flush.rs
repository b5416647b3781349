//! Writing what a transaction changed: every node and value once, children before parents.

use super::edit::{Dirty, DirtyBranch, DirtyLeaf, LeafCell, Link, Payload};
use super::{Cache, Node, Pager};
use crate::codec::u32_len;
use crate::conc::Arc;
use crate::crypto::{Batch, Place};
use crate::error::Result;
use crate::page::{
    self, Cell, NodePage, OVERFLOW_CAPACITY, Pointer, encode_branch, encode_leaf, encode_overflow,
};
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

/// A node on the disk, and in memory.
type Stored = (Pointer, Arc<Node>);

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

    /// Seals a page and queues it.
    fn put(&mut self, page: &PageBytes) -> Result<Pointer> {
        let id = self.pages.next().expect("S1: enough pages were allocated");
        let follows = self.first.0 + (self.waiting.len() / PAGE_BYTES) as u64 == id.0;
        if !follows || self.waiting.len() >= WRITE_BYTES_MAX {
            self.write()?;
        }
        if self.waiting.is_empty() {
            self.first = id;
        }
        let start = self.waiting.len();
        self.waiting.extend_from_slice(page);
        let place = Place { page: id, birth: self.commit };
        let sealed = self.waiting[start..].first_chunk_mut().expect("K2: a page was just put");
        let seal = self.batch.seal(place, sealed);
        Ok(Pointer { page: id, birth: self.commit, seal })
    }

    /// Writes a chain of overflow pages, tells `pages` which, and returns the first.
    pub(crate) fn chain(&mut self, bytes: &[u8], pages: &mut Vec<PageId>) -> Result<Pointer> {
        let mut page = Box::new([0; PAGE_BYTES]);
        let mut next = None;
        for data in bytes.chunks(OVERFLOW_CAPACITY).rev() {
            encode_overflow(data, next.as_ref(), &mut page);
            let pointer = self.put(&page)?;
            pages.push(pointer.page);
            next = Some(pointer);
        }
        Ok(next.expect("T3: a stored value is not empty"))
    }

    /// Writes a tree and returns its root.
    pub(crate) fn tree(&mut self, link: Link) -> Result<(Pointer, Option<Arc<Node>>)> {
        match link {
            Link::Clean { pointer, node } => Ok((pointer, node)),
            Link::Dirty(dirty) => {
                let (pointer, node) = match *dirty {
                    Dirty::Leaf(leaf) => self.leaf(leaf)?,
                    Dirty::Branch(branch) => self.branch(branch)?,
                };
                Ok((pointer, Some(node)))
            }
        }
    }

    fn leaf(&mut self, leaf: DirtyLeaf) -> Result<Stored> {
        let mut cells = leaf.cells;
        for cell in &mut cells {
            if let Payload::New(value) = &cell.payload
                && LeafCell::is_stored(cell.key.len(), value.len())
            {
                let first = self.chain(value, &mut Vec::new())?;
                cell.payload = Payload::Stored { bytes: u32_len(value.len()), first };
            }
        }
        let mut page = Box::new([0; PAGE_BYTES]);
        let cells = cells.iter().map(|cell| Cell {
            key: &cell.key,
            content: match &cell.payload {
                Payload::New(value) => page::Payload::Inline(value),
                Payload::Stored { bytes, first } => {
                    page::Payload::Stored { bytes: *bytes, first: *first }
                }
            },
        });
        encode_leaf(cells, &mut page);
        let (pointer, page) = self.node(page)?;
        Ok((pointer, Arc::new(Node::new(page, self.pager.cache()))))
    }

    fn branch(&mut self, branch: DirtyBranch) -> Result<Stored> {
        let mut children = Vec::with_capacity(branch.cells.len());
        for cell in branch.cells {
            let (pointer, node) = self.tree(cell.link)?;
            children.push((cell.key, pointer, node));
        }
        let mut page = Box::new([0; PAGE_BYTES]);
        let cells = children.iter().map(|(key, pointer, _)| Cell { key, content: *pointer });
        encode_branch(branch.level, cells, &mut page);
        let (pointer, page) = self.node(page)?;
        let children = children.into_iter().map(|(_, _, child)| child);
        Ok((pointer, Arc::new(Node::with_children(page, children, self.pager.cache()))))
    }

    fn node(&mut self, page: Box<PageBytes>) -> Result<(Pointer, NodePage)> {
        let pointer = self.put(&page)?;
        let page = NodePage::decode(page).expect("P2: what is written can be read");
        Ok((pointer, page))
    }
}

impl Link {
    /// Returns how many pages writing the changed nodes below takes.
    pub(crate) fn pages(&self) -> usize {
        match self {
            Self::Clean { .. } => 0,
            Self::Dirty(dirty) => match &**dirty {
                Dirty::Leaf(leaf) => 1 + leaf.cells.iter().map(LeafCell::pages).sum::<usize>(),
                Dirty::Branch(branch) => {
                    1 + branch.cells.iter().map(|cell| cell.link.pages()).sum::<usize>()
                }
            },
        }
    }
}
