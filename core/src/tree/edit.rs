//! The nodes a write transaction owns, and inserting into them.

use super::{Bytes, Node, Pager, Range, TreeState, View};
use crate::conc::Arc;
use crate::error::Result;
use crate::page::{
    CELL_BYTES_MAX, NODE_CAPACITY, POINTER_BYTES, Pointer, ValueSpan, branch_cell_bytes,
    leaf_cell_bytes, overflow_pages,
};
use crate::unit::PageId;
use std::ops::RangeBounds;

/// Most bytes a node may grow to within a transaction.
const GROWN_BYTES_MAX: usize = 8 * NODE_CAPACITY;

/// A tree in the middle of a transaction.
#[derive(Debug)]
pub(crate) struct TreeEdit {
    pub(crate) root: Option<Link>,
    pub(crate) len: u64,
    pub(crate) changed: bool,
}

/// What leads to a node: a page of the file, or a node of the transaction.
#[derive(Debug)]
pub(crate) enum Link {
    Clean { pointer: Pointer, node: Option<Arc<Node>> },
    Dirty(Box<Dirty>),
}

/// A node that a transaction changed.
#[derive(Debug)]
pub(crate) enum Dirty {
    Leaf(DirtyLeaf),
    Branch(DirtyBranch),
}

/// Cells of a leaf and the bytes they would take.
#[derive(Debug, Default)]
pub(crate) struct DirtyLeaf {
    pub(crate) cells: Vec<LeafCell>,
    pub(crate) bytes: usize,
}

/// Children of a branch and the bytes their cells would take.
#[derive(Debug)]
pub(crate) struct DirtyBranch {
    pub(crate) level: u8,
    pub(crate) cells: Vec<BranchCell>,
    pub(crate) bytes: usize,
}

#[derive(Debug)]
pub(crate) struct LeafCell {
    pub(crate) key: Box<[u8]>,
    pub(crate) payload: Payload,
}

#[derive(Debug)]
pub(crate) struct BranchCell {
    pub(crate) key: Box<[u8]>,
    pub(crate) link: Link,
}

/// A value: new bytes, or a chain of overflow pages that stays as it is.
#[derive(Debug)]
pub(crate) enum Payload {
    New(Box<[u8]>),
    Stored { bytes: u32, first: Pointer },
}

/// What editing a tree needs beside the tree.
#[derive(Debug)]
pub(crate) struct Edits<'a> {
    pub(crate) pager: &'a Pager,
    /// Pages of the last commit that the transaction does without.
    pub(crate) freed: &'a mut Vec<PageId>,
}

/// A node that was split off, and the least key it may hold.
type Split = Option<(Box<[u8]>, Dirty)>;

impl LeafCell {
    /// Tells whether the value stands outside the leaf.
    pub(crate) fn is_stored(key: usize, value: usize) -> bool {
        leaf_cell_bytes(key, value) > CELL_BYTES_MAX
    }

    pub(super) fn bytes(&self) -> usize {
        let payload = match &self.payload {
            Payload::New(value) if !Self::is_stored(self.key.len(), value.len()) => value.len(),
            Payload::New(_) | Payload::Stored { .. } => POINTER_BYTES,
        };
        leaf_cell_bytes(self.key.len(), payload)
    }

    /// Returns the overflow pages that a commit must write for it.
    pub(crate) fn pages(&self) -> usize {
        match &self.payload {
            Payload::New(value) if Self::is_stored(self.key.len(), value.len()) => {
                overflow_pages(value.len())
            }
            Payload::New(_) | Payload::Stored { .. } => 0,
        }
    }
}

impl Link {
    /// Returns the node to change, taking it from its page first if need be.
    ///
    /// `level` is what the parent says of the node's level.
    pub(crate) fn edit(&mut self, level: Option<u8>, edits: &mut Edits<'_>) -> Result<&mut Dirty> {
        if let Self::Clean { pointer, node } = self {
            let node = match node.take() {
                Some(node) => node,
                None => edits.pager.node(pointer, level)?,
            };
            edits.freed.push(pointer.page);
            *self = Self::Dirty(Box::new(Dirty::of_node(&node)));
        }
        let Self::Dirty(dirty) = self else { unreachable!("T4: the link was made dirty above") };
        Ok(dirty)
    }

    /// Returns the bytes that the node's cells take.
    pub(crate) fn used_bytes(&mut self, level: u8, pager: &Pager) -> Result<usize> {
        match self {
            Self::Dirty(dirty) => Ok(dirty.bytes()),
            Self::Clean { pointer, node } => {
                if node.is_none() {
                    *node = Some(pager.node(pointer, Some(level))?);
                }
                Ok(node.as_ref().map_or(0, |node| node.page.used_bytes()))
            }
        }
    }
}

impl Dirty {
    fn of_node(node: &Node) -> Self {
        let page = &node.page;
        let bytes = page.used_bytes();
        let indices = 0..page.count();
        if page.level() == 0 {
            let cells = indices.map(|index| LeafCell {
                key: page.key(index).into(),
                payload: match page.value(index) {
                    ValueSpan::Inline { at, len } => Payload::New(page.slice(at, len).into()),
                    ValueSpan::Stored { bytes, first } => Payload::Stored { bytes, first },
                },
            });
            return Self::Leaf(DirtyLeaf { cells: cells.collect(), bytes });
        }
        let cells = indices.map(|index| BranchCell {
            key: page.key(index).into(),
            link: Link::Clean { pointer: page.child(index), node: node.resident(index).cloned() },
        });
        Self::Branch(DirtyBranch { level: page.level(), cells: cells.collect(), bytes })
    }

    pub(crate) const fn level(&self) -> u8 {
        match self {
            Self::Leaf(_) => 0,
            Self::Branch(branch) => branch.level,
        }
    }

    pub(crate) const fn count(&self) -> usize {
        match self {
            Self::Leaf(leaf) => leaf.cells.len(),
            Self::Branch(branch) => branch.cells.len(),
        }
    }

    pub(crate) const fn bytes(&self) -> usize {
        match self {
            Self::Leaf(leaf) => leaf.bytes,
            Self::Branch(branch) => branch.bytes,
        }
    }

    pub(crate) fn key(&self, index: usize) -> &[u8] {
        match self {
            Self::Leaf(leaf) => &leaf.cells[index].key,
            Self::Branch(branch) => &branch.cells[index].key,
        }
    }

    pub(crate) fn find(&self, key: &[u8]) -> std::result::Result<usize, usize> {
        match self {
            Self::Leaf(leaf) => leaf.find(key),
            Self::Branch(branch) => branch.cells.binary_search_by(|cell| (*cell.key).cmp(key)),
        }
    }

    /// Returns the link of a branch's child.
    ///
    /// # Panics
    /// T2: on a leaf.
    pub(crate) fn link(&self, index: usize) -> &Link {
        let Self::Branch(branch) = self else { panic!("T2: a leaf has no children") };
        &branch.cells[index].link
    }

    /// Returns the value of a leaf's cell.
    ///
    /// # Panics
    /// T2: on a branch.
    pub(crate) fn payload(&self, index: usize) -> &Payload {
        let Self::Leaf(leaf) = self else { panic!("T2: a branch has no values") };
        &leaf.cells[index].payload
    }

    fn insert(&mut self, cell: LeafCell, edits: &mut Edits<'_>) -> Result<(bool, Split)> {
        match self {
            Self::Leaf(leaf) => leaf.insert(cell, edits),
            Self::Branch(branch) => {
                let index = branch.child_of(&cell.key);
                let child = branch.cells[index].link.edit(Some(branch.level - 1), edits)?;
                let (replaced, split) = child.insert(cell, edits)?;
                let Some((key, right)) = split else { return Ok((replaced, None)) };
                Ok((replaced, branch.adopt(index + 1, key, right)))
            }
        }
    }
}

impl DirtyLeaf {
    pub(crate) fn find(&self, key: &[u8]) -> std::result::Result<usize, usize> {
        self.cells.binary_search_by(|cell| (*cell.key).cmp(key))
    }

    fn insert(&mut self, cell: LeafCell, edits: &mut Edits<'_>) -> Result<(bool, Split)> {
        let place = self.find(&cell.key);
        self.bytes += cell.bytes();
        let index = match place {
            Ok(index) => {
                free_payload(&self.cells[index].payload, edits)?;
                self.bytes -= self.cells[index].bytes();
                self.cells[index] = cell;
                index
            }
            Err(index) => {
                self.cells.insert(index, cell);
                index
            }
        };
        // Keys that arrive in order leave full leaves behind.
        let appended = place.is_err()
            && index + 1 == self.cells.len()
            && self.bytes - self.cells[index].bytes() <= NODE_CAPACITY;
        if self.bytes <= if appended { NODE_CAPACITY } else { GROWN_BYTES_MAX } {
            return Ok((place.is_ok(), None));
        }
        let at = if appended { index } else { middle(self.cells.iter().map(LeafCell::bytes)) };
        let cells = self.cells.split_off(at);
        let bytes = cells.iter().map(LeafCell::bytes).sum();
        self.bytes -= bytes;
        let key = separator(&self.cells[at - 1].key, &cells[0].key);
        Ok((place.is_ok(), Some((key, Dirty::Leaf(Self { cells, bytes })))))
    }
}

impl DirtyBranch {
    pub(crate) fn child_of(&self, key: &[u8]) -> usize {
        match self.cells.binary_search_by(|cell| (*cell.key).cmp(key)) {
            Ok(index) => index,
            Err(index) => index.saturating_sub(1),
        }
    }

    /// Takes in a node that was split off a child.
    fn adopt(&mut self, index: usize, key: Box<[u8]>, child: Dirty) -> Split {
        let appended = index == self.cells.len();
        self.bytes += branch_cell_bytes(key.len());
        self.cells.insert(index, BranchCell { key, link: Link::Dirty(Box::new(child)) });
        if self.bytes <= if appended { NODE_CAPACITY } else { GROWN_BYTES_MAX } {
            return None;
        }
        let sizes = self.cells.iter().map(|cell| branch_cell_bytes(cell.key.len()));
        let at = if appended { index } else { middle(sizes) };
        let mut cells = self.cells.split_off(at);
        let key = std::mem::take(&mut cells[0].key);
        let bytes = cells.iter().map(|cell| branch_cell_bytes(cell.key.len())).sum();
        self.bytes -= bytes + key.len();
        Some((key, Self::branch(self.level, cells, bytes)))
    }

    const fn branch(level: u8, cells: Vec<BranchCell>, bytes: usize) -> Dirty {
        Dirty::Branch(Self { level, cells, bytes })
    }
}

/// Returns the index that halves the bytes, with at least one cell on either side.
fn middle(sizes: impl ExactSizeIterator<Item = usize> + Clone) -> usize {
    let count = sizes.len();
    let total: usize = sizes.clone().sum();
    let mut left = 0;
    let at = sizes.take_while(|size| {
        left += size;
        left - size / 2 <= total / 2
    });
    at.count().clamp(1, count - 1)
}

/// Returns the shortest key above `left` that does not exceed `right`.
pub(super) fn separator(left: &[u8], right: &[u8]) -> Box<[u8]> {
    let common = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    right[..=common].into()
}

/// Frees the pages of a value that a transaction does without.
pub(super) fn free_payload(payload: &Payload, edits: &mut Edits<'_>) -> Result<()> {
    if let Payload::Stored { bytes, first } = payload {
        let freed = &mut *edits.freed;
        edits.pager.chain(*bytes, *first, |pointer| freed.push(pointer.page))?;
    }
    Ok(())
}

impl TreeEdit {
    pub(crate) const fn empty() -> Self {
        Self { root: None, len: 0, changed: false }
    }

    /// Returns how many pages writing the tree takes.
    pub(crate) fn pages(&self) -> usize {
        self.root.as_ref().map_or(0, Link::pages)
    }

    pub(crate) fn of_state(state: &TreeState) -> Self {
        let root = state.record.root;
        let root = root.map(|pointer| Link::Clean { pointer, node: state.resident() });
        Self { root, len: state.record.len, changed: false }
    }

    pub(crate) fn view(&self, pager: &Pager) -> Result<Option<View<'_>>> {
        self.root.as_ref().map(|link| View::of_link(link, None, pager)).transpose()
    }

    pub(crate) fn get(&self, key: &[u8], pager: &Pager) -> Result<Option<Bytes>> {
        self.view(pager)?.map_or(Ok(None), |root| root.get(key, pager))
    }

    pub(crate) fn range<'a, 'k>(
        &'a self,
        bounds: &impl RangeBounds<&'k [u8]>,
        pager: &'a Pager,
    ) -> Result<Range<'a>> {
        Ok(Range::new(pager, self.view(pager)?, bounds))
    }

    /// Inserts or replaces an entry and tells whether the key was there.
    pub(crate) fn insert(
        &mut self,
        key: &[u8],
        value: &[u8],
        edits: &mut Edits<'_>,
    ) -> Result<bool> {
        self.changed = true;
        let root = self
            .root
            .get_or_insert_with(|| Link::Dirty(Box::new(Dirty::Leaf(DirtyLeaf::default()))));
        let cell = LeafCell { key: key.into(), payload: Payload::New(value.into()) };
        let dirty = root.edit(None, edits)?;
        let level = dirty.level();
        let (replaced, split) = dirty.insert(cell, edits)?;
        if let Some((key, right)) = split {
            let left = self.root.take().expect("T2: the root was there before it split");
            let bytes = branch_cell_bytes(0) + branch_cell_bytes(key.len());
            let cells = vec![
                BranchCell { key: Box::default(), link: left },
                BranchCell { key, link: Link::Dirty(Box::new(right)) },
            ];
            let branch = DirtyBranch::branch(level + 1, cells, bytes);
            self.root = Some(Link::Dirty(Box::new(branch)));
        }
        self.len = self.len.saturating_add(u64::from(!replaced));
        Ok(replaced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_are_short_and_separate() {
        for (left, right, expect) in [
            (&b"apple"[..], &b"banana"[..], &b"b"[..]),
            (b"abc", b"abd", b"abd"),
            (b"ab", b"abc", b"abc"),
            (b"", b"zz", b"z"),
            (b"abc", b"abdzzzz", b"abd"),
        ] {
            let key = separator(left, right);
            assert_eq!(&*key, expect);
            assert!(left < &*key && &*key <= right);
        }
    }

    #[test]
    fn the_middle_leaves_a_cell_on_either_side() {
        for (sizes, expect) in
            [(vec![1, 1], 1), (vec![1, 100], 1), (vec![100, 1], 1), (vec![1, 1, 1, 1], 2)]
        {
            assert_eq!(middle(sizes.iter().copied()), expect, "{sizes:?}");
        }
    }
}
