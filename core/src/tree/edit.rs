//! A tree in the middle of a transaction, and inserting into it.

use super::cache::Family;
use super::leaf::{Payload, entry_bytes};
use super::link::Link;
use super::{Bytes, Cache, Node, Pager, Range, SalvageIter, TreeState};
use crate::conc::Arc;
use crate::error::Result;
use crate::page::NODE_CAPACITY;
use crate::unit::PageId;
use std::ops::RangeBounds;

/// Most bytes a node may grow to within a transaction.
const GROWN_BYTES_MAX: usize = 8 * NODE_CAPACITY;

/// Returns how many bytes a node may grow to: keys that arrive in order leave full nodes behind.
const fn grown_bytes_max(appended: bool) -> usize {
    if appended { NODE_CAPACITY } else { GROWN_BYTES_MAX }
}

/// A tree in the middle of a transaction.
#[derive(Debug)]
pub(crate) struct TreeEdit {
    /// The tree that it makes a version of.
    pub(super) family: Family,
    pub(super) root: Option<Link>,
    pub(crate) len: u64,
    pub(crate) changed: bool,
}

/// What editing a tree needs beside the tree.
#[derive(Debug)]
pub(crate) struct Edits<'a> {
    pub(crate) pager: &'a Pager,
    /// Pages of the last commit that the transaction does without.
    pub(crate) freed: &'a mut Vec<PageId>,
}

/// A node that was cut off another, and the least key it may hold.
pub(super) type Part = (Box<[u8]>, Arc<Node>);

impl Node {
    /// Returns which child of a branch is to take a key in; keys often come in order.
    fn child_to_take(&self, key: &[u8]) -> usize {
        match self.keys.find_from_end(key) {
            Ok(index) => index,
            Err(index) => index.saturating_sub(1),
        }
    }

    /// Inserts or replaces an entry below and tells whether the key was there; `None` if its leaf
    /// has to be split first.
    fn insert(&mut self, key: &[u8], value: &[u8], edits: &mut Edits<'_>) -> Result<Option<bool>> {
        let mut node = self;
        while node.level() > 0 {
            let (index, level) = (node.child_to_take(key), node.level() - 1);
            node = node.links[index].edit(Some(level), edits)?;
        }
        let place = node.keys.find_from_end(key);
        let appended = place == Err(node.count()) && node.used <= NODE_CAPACITY;
        if node.used + entry_bytes(key, value) > grown_bytes_max(appended) {
            return Ok(None);
        }
        match place {
            Ok(index) => {
                node.free_payload(index, edits)?;
                node.replace(index, value);
            }
            Err(index) => node.put(index, key, value),
        }
        Ok(Some(place.is_ok()))
    }

    /// Splits the leaf that is to take a key in, all on the way to it being the transaction's own,
    /// and returns what that splits off this node.
    fn split(&mut self, key: &[u8], cache: &Cache) -> Option<Part> {
        if self.level() > 0 {
            let index = self.child_to_take(key);
            let split = self.links[index].own().split(key, cache)?;
            return self.take_in(index + 1, split, cache);
        }
        let last = self.key(self.count() - 1);
        if last < key && self.used <= NODE_CAPACITY {
            return Some((separator(last, key), Self::empty(0, cache)));
        }
        self.cut_leaf(&[middle(&self.sizes())], cache).pop()
    }

    /// Takes in a node that was split off a child.
    fn take_in(&mut self, index: usize, (key, child): Part, cache: &Cache) -> Option<Part> {
        let appended = index == self.count();
        self.adopt(index, &key, Link::fresh(child));
        if self.used <= grown_bytes_max(appended) {
            return None;
        }
        let at = if appended { index } else { middle(&self.sizes()) };
        Some(self.cut_branch(at, cache))
    }

    /// Frees the pages of the value of an entry.
    pub(super) fn free_payload(&self, index: usize, edits: &mut Edits<'_>) -> Result<()> {
        if let Payload::Stored { bytes, first } = self.payload(index) {
            let freed = &mut *edits.freed;
            edits.pager.chain(bytes, first, &mut |pointer| freed.push(pointer.page))?;
        }
        Ok(())
    }
}

/// Returns the index that halves the bytes, with at least one cell on either side.
fn middle(sizes: &[usize]) -> usize {
    let total: usize = sizes.iter().sum();
    let mut left = 0;
    let at = sizes.iter().take_while(|&size| {
        left += size;
        left - size / 2 <= total / 2
    });
    at.count().clamp(1, sizes.len() - 1)
}

/// Returns the shortest key above `left` that does not exceed `right`.
pub(super) fn separator(left: &[u8], right: &[u8]) -> Box<[u8]> {
    let common = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    right[..=common].into()
}

impl TreeEdit {
    pub(crate) const fn empty() -> Self {
        Self { family: 0, root: None, len: 0, changed: false }
    }

    pub(crate) fn of_state(state: &TreeState) -> Self {
        let (root, len) = (state.link(), state.len);
        Self { family: state.family, root, len, changed: false }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    fn root(&self, pager: &Pager) -> Result<Option<Arc<Node>>> {
        self.root.as_ref().map(|root| root.node(None, pager)).transpose()
    }

    pub(crate) fn get(&self, key: &[u8], pager: &Pager) -> Result<Option<Bytes>> {
        match self.root.as_ref().map(|root| (root, root.resident())) {
            None => Ok(None),
            Some((_, Some(root))) => root.get(key, pager),
            Some((root, None)) => root.node(None, pager)?.get(key, pager),
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

    /// Tells whether inserting an entry reads nothing.
    pub(crate) fn takes_at_once(&self, key: &[u8]) -> bool {
        let root = self.root.as_ref().and_then(Link::peek);
        root.is_some_and(|root| root.takes_at_once(key))
    }

    /// Inserts or replaces an entry and tells whether the key was there.
    pub(crate) fn insert(
        &mut self,
        key: &[u8],
        value: &[u8],
        edits: &mut Edits<'_>,
    ) -> Result<bool> {
        self.changed = true;
        let cache = edits.pager.cache();
        loop {
            let root = self.root.get_or_insert_with(|| Link::fresh(Node::empty(0, cache)));
            let root = root.edit(None, edits)?;
            if let Some(replaced) = root.insert(key, value, edits)? {
                self.len = self.len.saturating_add(u64::from(!replaced));
                return Ok(replaced);
            }
            if let Some(part) = root.split(key, cache) {
                self.grow([part], cache);
            }
        }
    }

    /// Puts a branch over the root and the nodes that were cut off it.
    pub(super) fn grow(&mut self, parts: impl IntoIterator<Item = Part>, cache: &Cache) {
        let Some(left) = self.root.take() else { return };
        let level = left.peek().map_or(0, |root| root.level()) + 1;
        let rest = parts.into_iter().map(|(key, node)| (key, Link::fresh(node)));
        let children = std::iter::once((Box::default(), left)).chain(rest);
        self.root = Some(Link::fresh(Node::branch(level, children, cache)));
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
            assert_eq!(middle(&sizes), expect, "{sizes:?}");
        }
    }
}
