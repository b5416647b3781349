//! Lookups of keys, and prefetching for them.

use super::bytes::Bytes;
use super::child_ref::ChildRef;
use super::keys::KeySpan;
use super::leaf::Payload;
use super::node::Node;
use crate::conc::Arc;
use crate::error::Result;
use crate::pager::Pager;

impl Node {
    /// Looks a key up in this node and below.
    pub(crate) fn get(self: &Arc<Self>, key: &[u8], pager: &Pager) -> Result<Option<Bytes>> {
        let value = |leaf: &Arc<Self>, index| leaf.value(index, pager);
        self.look_up(key, pager, value)
    }

    /// Tells whether a key is in this node or below.
    pub(crate) fn contains(self: &Arc<Self>, key: &[u8], pager: &Pager) -> Result<bool> {
        Ok(self.look_up(key, pager, |_, _| Ok(()))?.is_some())
    }

    /// Looks a key up and returns the result of `found` for leaf and index.
    fn look_up<T>(
        self: &Arc<Self>,
        key: &[u8],
        pager: &Pager,
        found: impl FnOnce(&Arc<Self>, usize) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut node = self;
        while node.level() > 0 {
            let index = node.child_of(key);
            match node.children[index].resident() {
                Some(child) => node = child,
                None => return node.read_child(index, pager)?.look_up(key, pager, found),
            }
        }
        match node.keys.find_prefetched(key) {
            Ok(index) => found(node, index).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Tells whether inserting an entry reads no page: the path to its leaf is resident, and the
    /// value that it replaces is not out of line.
    pub(super) fn inserts_without_reading(&self, key: &[u8]) -> bool {
        let mut node = self;
        while node.level() > 0 {
            match node.children[node.child_of(key)].peek() {
                Some(child) => node = child,
                None => return false,
            }
        }
        let payload = node.find(key).map(|index| node.payload(index));
        !matches!(payload, Ok(Payload::Stored { .. }))
    }

    /// Prefetches the leaves of several keys, as far as they are resident: their cache misses
    /// overlap, where lookups take them one after the other.
    pub(crate) fn prefetch(&self, keys: &[Vec<u8>]) {
        let mut leaves = Vec::with_capacity(keys.len());
        for key in keys {
            let mut node = self;
            while node.level() > 0 {
                let Some(child) = node.children[node.child_of(key)].peek() else { break };
                if node.level() == 1 {
                    // The addresses of all leaves are known before the first leaf is read.
                    leaves.push((child, key));
                    break;
                }
                node = child;
            }
        }
        let counts = leaves.iter().fold(0, |sum, (leaf, _)| sum ^ leaf.count());
        std::hint::black_box(counts);
        for (leaf, key) in leaves {
            std::hint::black_box(leaf.keys.prefetch(key));
        }
    }

    /// Prefetches a leaf that a scan reaches next, all its cache lines at once, and the head of the
    /// leaf after it.
    pub(super) fn prefetch_leaf(&self, index: usize) {
        let leaf =
            |index| self.children.get(index).and_then(ChildRef::peek).filter(|_| self.level() == 1);
        if let Some(after) = leaf(index + 1) {
            after.referenced.prefetch();
        }
        if let Some(leaf) = leaf(index) {
            std::hint::black_box(leaf.keys.touch_lines());
        }
    }

    /// Returns the bytes of a key.
    pub(crate) fn key_bytes(self: &Arc<Self>, index: usize) -> Bytes {
        let KeySpan { start, end } = self.keys.span(index);
        Bytes::of_node(Arc::clone(self), start, end - start)
    }

    /// Returns the value of a leaf's entry.
    pub(crate) fn value(self: &Arc<Self>, index: usize, pager: &Pager) -> Result<Bytes> {
        match self.payload(index) {
            Payload::Inline { at, len } => Ok(Bytes::of_node(Arc::clone(self), at, len)),
            Payload::Stored { bytes, first } => pager.read_chain(bytes, first).map(Bytes::from),
            Payload::Unwritten(value) => Ok(Bytes::from(Arc::clone(value))),
        }
    }
}
