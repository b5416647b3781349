//! A tree within a write transaction, and inserting into it.

use super::bytes::Bytes;
use super::child_ref::ChildRef;
use super::cursor::Range;
use super::leaf::{entry_bytes, separator};
use super::load::EditContext;
use super::node::{Node, Split};
use super::salvage::SalvageIter;
use super::state::{TreeParts, TreeState};
use crate::conc::Arc;
use crate::error::Result;
use crate::page::{NODE_CAPACITY, branch_cell_bytes};
use crate::pager::{Cache, Pager, TreeId};
use std::ops::RangeBounds;

/// Most bytes that a node may grow to within a transaction.
const GROWN_BYTES_MAX: usize = 8 * NODE_CAPACITY;

/// Returns how many bytes a node may grow to: keys that arrive in order leave full nodes behind.
const fn grown_bytes_max(appended: bool) -> usize {
    if appended { NODE_CAPACITY } else { GROWN_BYTES_MAX }
}

/// A tree within a write transaction.
#[derive(Debug)]
pub(crate) struct TreeEdit {
    /// The tree that this becomes a version of; `None` for a new one.
    id: Option<TreeId>,
    pub(super) root: Option<ChildRef<Node>>,
    pub(crate) len: u64,
    pub(crate) changed: bool,
}

impl Node {
    /// Returns the bytes of each cell in a page.
    pub(super) fn sizes(&self) -> Vec<usize> {
        let indices = 0..self.count();
        if self.level() == 0 {
            return indices.map(|index| self.cell_bytes(index)).collect();
        }
        indices.map(|index| branch_cell_bytes(self.key(index).len())).collect()
    }

    /// Inserts or replaces an entry below, and tells whether the key existed; `None` if its leaf
    /// has to be split first.
    fn insert(
        &mut self,
        key: &[u8],
        value: &[u8],
        context: &mut EditContext<'_>,
    ) -> Result<Option<bool>> {
        let mut node = self;
        while node.level() > 0 {
            let (index, level) = (node.child_for_insert(key), node.level() - 1);
            node = node.children[index].edit(Some(level), context)?;
        }
        let place = node.keys.find_from_end(key);
        let appended = place == Err(node.count()) && node.used <= NODE_CAPACITY;
        if node.used + entry_bytes(key, value) > grown_bytes_max(appended) {
            return Ok(None);
        }
        match place {
            Ok(index) => {
                node.free_payload(index, context)?;
                node.replace_value(index, value);
            }
            Err(index) => node.insert_entry(index, key, value),
        }
        Ok(Some(place.is_ok()))
    }

    /// Splits the leaf that a key is inserted into, and returns what that splits off this node. The
    /// transaction owns the path to the leaf.
    fn split(&mut self, key: &[u8], cache: &Cache) -> Option<Split> {
        if self.level() > 0 {
            let index = self.child_for_insert(key);
            let split = self.children[index].own().split(key, cache)?;
            return self.insert_split(index + 1, split, cache);
        }
        let last = self.key(self.count() - 1);
        if last < key && self.used <= NODE_CAPACITY {
            return Some(Split { separator: separator(last, key), node: Self::empty(0, cache) });
        }
        self.split_leaf(&[middle(&self.sizes())], cache).pop()
    }

    /// Inserts a node that was split off a child, and splits this branch if it has grown too large.
    fn insert_split(&mut self, index: usize, split: Split, cache: &Cache) -> Option<Split> {
        let appended = index == self.count();
        self.insert_child(index, &split.separator, ChildRef::unwritten(split.node));
        if self.used <= grown_bytes_max(appended) {
            return None;
        }
        let at = if appended { index } else { middle(&self.sizes()) };
        Some(self.split_branch(at, cache))
    }
}

/// Returns the index that halves the bytes, with at least one cell on either side.
fn middle(sizes: &[usize]) -> usize {
    assert!(sizes.len() > 1, "T3: a node of one cell fits its page");
    let total: usize = sizes.iter().sum();
    let mut left = 0;
    let at = sizes.iter().take_while(|&size| {
        left += size;
        left - size / 2 <= total / 2
    });
    at.count().clamp(1, sizes.len() - 1)
}

impl TreeEdit {
    pub(crate) const fn empty() -> Self {
        Self { id: None, root: None, len: 0, changed: false }
    }

    pub(crate) fn of_state(state: &TreeState) -> Self {
        let TreeParts { id, root, len } = state.parts();
        Self { id, root, len, changed: false }
    }

    /// Takes a committed tree to change it in place, and leaves `stand_in` for it; `None` if
    /// another holder shares the tree.
    pub(crate) fn take(tree: &mut Arc<TreeState>, stand_in: &Arc<TreeState>) -> Option<Self> {
        match Arc::try_unwrap(std::mem::replace(tree, Arc::clone(stand_in))) {
            Ok(state) => {
                let TreeParts { id, root, len } = state.into_parts();
                Some(Self { id, root, len, changed: true })
            }
            Err(shared) => {
                *tree = shared;
                None
            }
        }
    }

    /// Makes the edit a version of its tree, with the nodes that are not written.
    pub(crate) fn into_state(self, cache: &Cache) -> Arc<TreeState> {
        let Self { id, root, len, .. } = self;
        TreeState::of_parts(TreeParts { id, root, len }, cache)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    fn root(&self, pager: &Pager) -> Result<Option<Arc<Node>>> {
        self.root.as_ref().map(|root| root.load(None, pager)).transpose()
    }

    pub(crate) fn get(&self, key: &[u8], pager: &Pager) -> Result<Option<Bytes>> {
        match self.root.as_ref().map(|root| (root, root.resident())) {
            None => Ok(None),
            Some((_, Some(root))) => root.get(key, pager),
            Some((root, None)) => root.load(None, pager)?.get(key, pager),
        }
    }

    pub(crate) fn range<'a, 'k>(
        &'a self,
        bounds: &impl RangeBounds<&'k [u8]>,
        pager: &'a Pager,
    ) -> Result<Range<'a>> {
        Ok(Range::new(pager, self.root(pager)?, bounds))
    }

    pub(crate) fn salvage<'a>(&'a self, pager: &'a Pager) -> SalvageIter<'a> {
        SalvageIter::new(pager, self.root(pager))
    }

    /// Tells whether inserting an entry reads no page.
    pub(crate) fn inserts_without_reading(&self, key: &[u8]) -> bool {
        let root = self.root.as_ref().and_then(ChildRef::peek);
        root.is_some_and(|root| root.inserts_without_reading(key))
    }

    /// Inserts or replaces an entry and tells whether the key existed.
    pub(crate) fn insert(
        &mut self,
        key: &[u8],
        value: &[u8],
        context: &mut EditContext<'_>,
    ) -> Result<bool> {
        self.changed = true;
        let cache = context.pager.cache();
        loop {
            let root = self.root.get_or_insert_with(|| ChildRef::unwritten(Node::empty(0, cache)));
            let root = root.edit(None, context)?;
            if let Some(replaced) = root.insert(key, value, context)? {
                self.len = self.len.saturating_add(u64::from(!replaced));
                return Ok(replaced);
            }
            if let Some(split) = root.split(key, cache) {
                self.grow([split], cache);
            }
        }
    }

    /// Puts a new root over the root and the nodes that were split off it.
    pub(super) fn grow(&mut self, splits: impl IntoIterator<Item = Split>, cache: &Cache) {
        let left = self.root.take().expect("T2: only a root is split");
        let level = left.peek().map_or(0, |root| root.level()) + 1;
        let rest = splits.into_iter();
        let rest = rest.map(|split| (split.separator, ChildRef::unwritten(split.node)));
        let children = std::iter::once((Box::default(), left)).chain(rest);
        self.root = Some(ChildRef::unwritten(Node::branch(level, children, cache)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_leaves_a_cell_on_either_side() {
        for (sizes, expect) in
            [(vec![1, 1], 1), (vec![1, 100], 1), (vec![100, 1], 1), (vec![1, 1, 1, 1], 2)]
        {
            assert_eq!(middle(&sizes), expect, "{sizes:?}");
        }
    }
}
