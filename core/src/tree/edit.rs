//! A tree in the middle of a transaction, and inserting into it.

use super::cache::Family;
use super::leaf::{Payload, entry_bytes};
use super::link::Link;
use super::{Bytes, Cache, Node, Pager, Range, Readable, TreeState};
use crate::conc::Arc;
use crate::error::Result;
use crate::page::NODE_CAPACITY;
use crate::unit::PageId;
use std::ops::RangeBounds;

/// Most bytes a node may grow to within a transaction.
const GROWN_BYTES_MAX: usize = 8 * NODE_CAPACITY;

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

/// A node that was split off, and the least key it may hold.
type Split = Option<(Box<[u8]>, Arc<Node>)>;

impl Node {
    fn insert(&mut self, key: &[u8], value: &[u8], edits: &mut Edits<'_>) -> Result<(bool, Split)> {
        if self.level() == 0 {
            return self.insert_here(key, value, edits);
        }
        let index = match self.keys.find_from_end(key) {
            Ok(index) => index,
            Err(index) => index.saturating_sub(1),
        };
        let level = self.level() - 1;
        let child = self.links[index].edit(Some(level), edits)?;
        let (replaced, split) = child.insert(key, value, edits)?;
        let split = split.and_then(|split| self.take_in(index + 1, split, edits.pager.cache()));
        Ok((replaced, split))
    }

    /// Inserts into a leaf.
    fn insert_here(
        &mut self,
        key: &[u8],
        value: &[u8],
        edits: &mut Edits<'_>,
    ) -> Result<(bool, Split)> {
        let place = self.keys.find_from_end(key);
        match place {
            Ok(index) => {
                self.free_payload(index, edits)?;
                self.replace(index, value);
            }
            // Keys that arrive in order leave full leaves behind.
            Err(index) if index == self.count() && self.is_filled_by(key, value) => {
                let mut right = Self::empty(0, edits.pager.cache());
                Arc::make_mut(&mut right).put(0, key, value);
                let key = separator(self.key(index - 1), key);
                return Ok((false, Some((key, right))));
            }
            Err(index) => self.put(index, key, value),
        }
        if self.used <= GROWN_BYTES_MAX {
            return Ok((place.is_ok(), None));
        }
        let cut = [middle(&self.sizes())];
        let right = self.cut_leaf(&cut, edits.pager.cache()).pop();
        Ok((place.is_ok(), right))
    }

    /// Tells whether a leaf fits its page, and would not with one entry more.
    fn is_filled_by(&self, key: &[u8], value: &[u8]) -> bool {
        self.used <= NODE_CAPACITY && self.used + entry_bytes(key, value) > NODE_CAPACITY
    }

    /// Takes in a node that was split off a child.
    fn take_in(&mut self, index: usize, split: (Box<[u8]>, Arc<Self>), cache: &Cache) -> Split {
        let (key, child) = split;
        let appended = index == self.count();
        self.adopt(index, &key, Link::fresh(child));
        if self.used <= if appended { NODE_CAPACITY } else { GROWN_BYTES_MAX } {
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

    pub(crate) fn readable<'a>(&'a self, pager: &'a Pager) -> Readable<'a> {
        Readable::new(pager, self.root(pager))
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
        let root = self.root.get_or_insert_with(|| Link::fresh(Node::empty(0, cache)));
        let (replaced, split) = root.edit(None, edits)?.insert(key, value, edits)?;
        if let Some((key, right)) = split {
            self.grow([(key, right)], cache);
        }
        self.len = self.len.saturating_add(u64::from(!replaced));
        Ok(replaced)
    }

    /// Puts a branch over the root and the nodes that were cut off it.
    pub(super) fn grow(
        &mut self,
        parts: impl IntoIterator<Item = (Box<[u8]>, Arc<Node>)>,
        cache: &Cache,
    ) {
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
