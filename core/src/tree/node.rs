//! A node in memory: its cells, and the children that were read so far.
//!
//! A node that others may see never changes. A transaction copies each node on the path to its
//! changes once, and changes its copies.

use super::child_ref::ChildRef;
use super::children::Children;
use super::keys::{LeafIndex, NodeKeys};
use super::pending_redo::PendingRedo;
use crate::conc::Arc;
use crate::page::{NodePage, branch_cell_bytes, encode_branch};
use crate::pager::{Cache, Charge, Referenced};
use crate::unit::PageBytes;

/// The counters that an [`Arc`] has before its value.
const ARC_BYTES: usize = 2 * size_of::<usize>();

/// A leaf or a branch.
// In the order in which a search needs them.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Node {
    level: u8,
    pub(super) referenced: Referenced,
    /// Bytes of directory and cells in a page.
    pub(super) used: usize,
    /// Bytes of the heap that no key leads to any more.
    pub(super) dead: usize,
    pub(super) keys: NodeKeys,
    /// The children of a branch.
    pub(super) children: Children<Self>,
    /// The out-of-line values of a leaf that are not written yet.
    pub(super) unwritten: Vec<Arc<[u8]>>,
    /// The redo entries for the nodes below, which are read without them.
    pub(super) redo: Option<Box<PendingRedo>>,
    pub(super) charge: Charge,
}

/// A node that was split off its left neighbour, with the key that separates them.
#[derive(Debug)]
pub(super) struct Split {
    pub(super) separator: Box<[u8]>,
    pub(super) node: Arc<Node>,
}

impl Clone for Node {
    #[inline(always)]
    fn clone(&self) -> Self {
        self.with_children(self.children.clone())
    }
}

impl Node {
    /// Returns a copy with other children.
    // As for `InlineVec`: each call in between would copy the node again.
    #[inline(always)]
    pub(super) fn with_children(&self, children: Children<Self>) -> Self {
        let heap_bytes = self.keys.copy_heap_bytes() + self.unwritten_value_bytes();
        let charge = self.charge.of_copy(Self::bytes(&children, heap_bytes));
        Self {
            level: self.level,
            keys: self.keys.clone(),
            used: self.used,
            dead: self.dead,
            children,
            unwritten: self.unwritten.clone(),
            redo: self.redo.clone(),
            referenced: self.referenced.clone(),
            charge,
        }
    }

    /// Makes a node without cells.
    pub(super) fn empty(level: u8, cache: &Cache) -> Arc<Self> {
        Self::of_parts(level, NodeKeys::new(level > 0), Children::default(), cache)
    }

    // As above: a page is read into a node that was written once.
    #[inline(always)]
    fn of_parts(level: u8, keys: NodeKeys, children: Children<Self>, cache: &Cache) -> Arc<Self> {
        let charge = cache.charge(Self::bytes(&children, keys.heap_bytes()));
        let referenced = Referenced::never();
        let (used, dead, unwritten, redo) = (0, 0, Vec::new(), None);
        Arc::new(Self { level, referenced, keys, used, dead, children, unwritten, redo, charge })
    }

    /// Makes a branch over children in order; the first may hold every key below the second's.
    pub(super) fn branch(
        level: u8,
        children: impl IntoIterator<Item = (Box<[u8]>, ChildRef<Self>)>,
        cache: &Cache,
    ) -> Arc<Self> {
        assert!(level > 0, "T2: a branch is above the leaves");
        let mut node = Self::empty(level, cache);
        Arc::make_mut(&mut node).set_children(children);
        node
    }

    /// Returns the bytes of a node in memory, whose keys take `heap_bytes` beside it.
    fn bytes(children: &Children<Self>, heap_bytes: usize) -> usize {
        ARC_BYTES + size_of::<Self>() + children.len() * size_of::<ChildRef<Self>>() + heap_bytes
    }

    /// Returns the bytes of the out-of-line values that are not written yet.
    fn unwritten_value_bytes(&self) -> usize {
        let values = self.unwritten.iter();
        values.map(|value| ARC_BYTES + size_of::<Arc<[u8]>>() + value.len()).sum()
    }

    /// Counts the memory of the node after a change (G2).
    pub(super) fn recharge(&mut self) {
        let heap_bytes = self.keys.heap_bytes() + self.unwritten_value_bytes();
        self.charge.set(Self::bytes(&self.children, heap_bytes));
    }

    /// Makes a node whose page is yet to be read.
    pub(super) fn blank(cache: &Cache) -> Arc<Self> {
        Self::of_parts(0, NodeKeys::blank(), Children::default(), cache)
    }

    /// Returns the memory that the page of a blank node is read into.
    pub(super) fn page_mut(&mut self) -> &mut PageBytes {
        self.keys.page_mut()
    }

    /// Decodes the page that a blank node was read from, with no children resident; `false` if it
    /// is no page of a node, or not of the `level` that the parent demands. A leaf stays where its
    /// page was read.
    #[must_use]
    pub(super) fn decode_page(&mut self, level: Option<u8>) -> bool {
        let page = NodePage::decode(self.keys.page());
        let Some(page) = page.filter(|page| level.is_none_or(|level| page.level() == level)) else {
            return false;
        };
        (self.level, self.used) = (page.level(), page.used_bytes());
        if self.level == 0 {
            let index = LeafIndex::new(&page);
            self.keys.set_index(index);
        } else {
            let children = (0..page.count()).map(|index| ChildRef::stored(page.child(index)));
            self.children = children.collect();
            self.keys = NodeKeys::of_branch(&page);
        }
        self.recharge();
        true
    }

    /// Returns 0 for a leaf, else the distance to the leaves.
    pub(crate) const fn level(&self) -> u8 {
        self.level
    }

    pub(crate) fn count(&self) -> usize {
        self.keys.count()
    }

    pub(crate) fn key(&self, index: usize) -> &[u8] {
        self.keys.key(index)
    }

    /// Finds a key in a leaf: its index, or the index to insert it at.
    pub(crate) fn find(&self, key: &[u8]) -> Result<usize, usize> {
        self.keys.find(key)
    }

    /// Finds the child of a branch that may hold a key.
    pub(crate) fn child_of(&self, key: &[u8]) -> usize {
        match self.find(key) {
            Ok(index) => index,
            Err(index) => index.saturating_sub(1),
        }
    }

    /// Finds the child of a branch that a key is inserted into; keys often come in order.
    pub(super) fn child_for_insert(&self, key: &[u8]) -> usize {
        match self.keys.find_from_end(key) {
            Ok(index) => index,
            Err(index) => index.saturating_sub(1),
        }
    }

    /// Returns bytes of the heap.
    pub(super) fn slice(&self, at: usize, len: usize) -> &[u8] {
        &self.keys.heap[at..at + len]
    }

    /// Inserts a child into a branch.
    pub(super) fn insert_child(&mut self, index: usize, key: &[u8], child: ChildRef<Self>) {
        assert!(self.level > 0 && index <= self.count(), "T1: child {index} of {}", self.count());
        let offset = self.keys.append_key(key);
        self.keys.insert(index, offset);
        self.children.insert(index, child);
        self.used += branch_cell_bytes(key.len());
        self.keys.compact_branch(self.used);
        self.recharge();
    }

    /// Gives a branch without children its children, in order; the first may hold every key below
    /// the second's.
    pub(super) fn set_children(
        &mut self,
        children: impl IntoIterator<Item = (Box<[u8]>, ChildRef<Self>)>,
    ) {
        assert!(self.used == 0, "T4: a branch would lose its children");
        let (mut offsets, mut refs) = (Vec::new(), Vec::new());
        for (key, child) in children {
            let key: &[u8] = if refs.is_empty() { &[] } else { &key };
            offsets.push(self.keys.append_key(key));
            refs.push(child);
            self.used += branch_cell_bytes(key.len());
        }
        self.keys.append(offsets);
        self.children = refs.into_iter().collect();
        self.recharge();
    }

    /// Removes all children and returns each with the least key that it may hold.
    pub(super) fn take_children(&mut self) -> Vec<(Box<[u8]>, ChildRef<Self>)> {
        let keys = std::mem::replace(&mut self.keys, NodeKeys::new(true));
        self.used = 0;
        let children = self.children.split_off(0).into_iter().enumerate();
        children.map(|(index, child)| (keys.key(index).into(), child)).collect()
    }

    /// Removes a child and returns it with the key before it; the first of the rest gets the empty
    /// key.
    pub(super) fn remove_child(&mut self, index: usize) -> (Box<[u8]>, ChildRef<Self>) {
        assert!(self.level > 0 && index < self.count(), "T1: child {index} of {}", self.count());
        let key: Box<[u8]> = self.keys.key(index).into();
        self.used -= branch_cell_bytes(key.len());
        if index == 0 && self.count() > 1 {
            self.used -= self.keys.key(1).len();
        }
        self.keys.remove(index);
        if index == 0 {
            self.keys.open_first();
        }
        let child = self.children.remove(index);
        self.recharge();
        (key, child)
    }

    /// Splits a branch before a child.
    pub(super) fn split_branch(&mut self, at: usize, cache: &Cache) -> Split {
        assert!(0 < at && at < self.count(), "T1: a split at {at} of {}", self.count());
        let separator: Box<[u8]> = self.keys.key(at).into();
        let keys = (at..self.count()).map(|index| Box::from(self.keys.key(index)));
        let keys: Vec<Box<[u8]>> = keys.collect();
        let children = self.children.split_off(at);
        let node = Self::branch(self.level, keys.into_iter().zip(children), cache);
        self.used -= node.used + separator.len();
        self.keys.truncate(at);
        self.recharge();
        Split { separator, node }
    }

    /// Writes a branch into a page, not yet sealed. Its children must have been written.
    pub(super) fn encode_branch(&self, page: &mut PageBytes) {
        let pointer =
            |child: &ChildRef<Self>| child.pointer.expect("T3: children are written first");
        let cells = (0..self.count()).map(|i| (self.keys.key(i), pointer(&self.children[i])));
        encode_branch(self.level, cells, page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a body and compares what it leaves in memory with what the budget counts for it (G2).
    #[track_caller]
    fn check_charge<T>(cache: &Cache, body: impl FnOnce() -> T) -> T {
        let (mut left, before) = (None, cache.bytes());
        let measured = allocation_counter::measure(|| left = Some(body()));
        let counted = cache.bytes() - before;
        assert_eq!(usize::try_from(measured.bytes_current), Ok(counted));
        left.unwrap()
    }

    #[test]
    fn the_budget_counts_all_memory_of_a_leaf() {
        let cache = Cache::new(0);
        let of_entries = |count: u32, value: &[u8]| {
            let mut leaf = Node::empty(0, &cache);
            let own = Arc::make_mut(&mut leaf);
            (0..count).for_each(|key| own.insert_entry(key as usize, &key.to_be_bytes(), value));
            leaf
        };
        for (count, len) in [(3, 20), (49, 4), (400, 4), (30, 900)] {
            let value = vec![7; len];
            let leaf = check_charge(&cache, || of_entries(count, &value));
            let copy = check_charge(&cache, || Arc::new(Node::clone(&leaf)));
            drop((leaf, copy));
            // Entries are replaced and removed until few are left, beside gaps.
            check_charge(&cache, || {
                let mut leaf = of_entries(count, &value);
                let own = Arc::make_mut(&mut leaf);
                for index in 0..count as usize {
                    own.replace_value(index, &value[1..]);
                }
                (2..count).for_each(|_| own.remove_entry(1));
                leaf
            });
        }
        assert_eq!(cache.bytes(), 0);
    }
}
