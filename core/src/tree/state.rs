//! A committed version of a tree.

use super::bytes::Bytes;
use super::child_ref::ChildRef;
use super::load::read_node;
use super::node::Node;
use super::pending_redo::PendingRedo;
use crate::conc::{Arc, Swap};
use crate::error::Result;
use crate::page::{Pointer, TreeRecord};
use crate::pager::{Cache, Evict, Pager, Sweep, TreeId};

/// A committed version of a tree. It never changes; the set of its resident nodes does.
#[derive(Debug, Default)]
pub(crate) struct TreeState {
    /// `None` if the tree is empty.
    id: Option<TreeId>,
    /// The page of the root; `None` if the tree is empty or not yet written.
    pointer: Option<Pointer>,
    pub(crate) len: u64,
    root: Swap<Node>,
    /// The entries of the log for a tree that is read before the log is replayed.
    redo: Option<PendingRedo>,
}

/// The parts of a version that a transaction takes over.
#[derive(Debug)]
pub(super) struct TreeParts {
    pub(super) id: Option<TreeId>,
    pub(super) root: Option<ChildRef<Node>>,
    pub(super) len: u64,
}

impl Evict for TreeState {
    fn evict(&self, from: &[u8], sweep: &mut Sweep) {
        if let Some(root) = &*self.root.load() {
            let rest = root.without_evicted(from, sweep);
            if !Arc::ptr_eq(root, &rest) {
                self.root.store(Some(rest));
            }
        }
    }
}

impl TreeState {
    /// Makes a version of a tree, whose nodes the cache may evict.
    pub(super) fn of_parts(parts: TreeParts, cache: &Cache) -> Arc<Self> {
        let TreeParts { id, root, len } = parts;
        let Some(root) = root else { return Arc::default() };
        let pointer = root.pointer;
        let root = Swap::new(root.into_node());
        cache.register(id, |id| Self { id: Some(id), pointer, len, root, redo: None })
    }

    /// Makes the version of a tree that a commit recorded.
    pub(crate) fn of_record(record: TreeRecord, cache: &Cache) -> Arc<Self> {
        let root = record.root.map(ChildRef::stored);
        Self::of_parts(TreeParts { id: None, root, len: record.len }, cache)
    }

    /// Makes the version that the log leads to, for reading only: its nodes are read from the disk
    /// and the entries of the log are applied to them.
    pub(crate) fn with_redo(&self, redo: PendingRedo, len: u64, cache: &Cache) -> Arc<Self> {
        let (pointer, root) = (self.pointer, Swap::new(None));
        let redo = Some(redo);
        cache.register(self.id, |id| Self { id: Some(id), pointer, len, root, redo })
    }

    /// Tells whether the disk holds the tree; if not, the log holds the difference.
    pub(crate) fn is_written(&self) -> bool {
        self.pointer.is_some() || self.root.load().is_none()
    }

    /// Returns the record of the tree for the catalog.
    pub(crate) const fn record(&self) -> TreeRecord {
        TreeRecord { root: self.pointer, len: self.len }
    }

    /// Returns the tree with another resident root.
    pub(crate) fn with_root(&self, root: ChildRef<Node>, cache: &Cache) -> Arc<Self> {
        Self::of_parts(TreeParts { id: self.id, root: Some(root), len: self.len }, cache)
    }

    /// Returns the reference to the root; `None` if the tree is empty.
    pub(crate) fn child_ref(&self) -> Option<ChildRef<Node>> {
        match (self.pointer, self.root.load().clone()) {
            (None, None) => None,
            (Some(pointer), None) => Some(ChildRef::stored(pointer)),
            (pointer, Some(root)) => Some(ChildRef::resident_at(pointer, root)),
        }
    }

    /// Returns the parts for a transaction that changes the tree.
    pub(super) fn parts(&self) -> TreeParts {
        TreeParts { id: self.id, root: self.child_ref(), len: self.len }
    }

    /// Returns the parts for a transaction that changes the tree in place.
    pub(super) fn into_parts(self) -> TreeParts {
        let Self { id, pointer, len, root, redo } = self;
        assert!(redo.is_none(), "L1: a tree is changed before the log was replayed");
        let root = match root.into_inner() {
            Some(root) => Some(ChildRef::resident_at(pointer, root)),
            None => pointer.map(ChildRef::stored),
        };
        TreeParts { id, root, len }
    }

    /// Returns the root, reading it if it is not resident; `None` if the tree is empty.
    pub(crate) fn root(&self, pager: &Pager) -> Result<Option<Arc<Node>>> {
        let resident = self.root.load().clone();
        let Some(pointer) = self.pointer.filter(|_| resident.is_none()) else {
            return Ok(resident);
        };
        let node = match &self.redo {
            Some(redo) => ChildRef::stored(pointer).read_with_redo(None, redo.clone(), pager)?,
            None => read_node(pager, &pointer, None)?,
        };
        pager.cache().make_room();
        self.root.store(Some(Arc::clone(&node)));
        Ok(Some(node))
    }

    /// Looks a key up.
    pub(crate) fn get(&self, key: &[u8], pager: &Pager) -> Result<Option<Bytes>> {
        if let Some(root) = &*self.root.load() {
            return root.get(key, pager);
        }
        self.root(pager)?.map_or(Ok(None), |root| root.get(key, pager))
    }

    /// Tells whether the tree has a key.
    pub(crate) fn contains(&self, key: &[u8], pager: &Pager) -> Result<bool> {
        if let Some(root) = &*self.root.load() {
            return root.contains(key, pager);
        }
        self.root(pager)?.map_or(Ok(false), |root| root.contains(key, pager))
    }

    /// Prefetches the leaves of several keys.
    pub(crate) fn prefetch(&self, keys: &[Vec<u8>]) {
        if let Some(root) = &*self.root.load() {
            root.prefetch(keys);
        }
    }
}
