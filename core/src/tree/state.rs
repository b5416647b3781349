//! A committed tree.

use super::cache::{Cache, Family};
use super::hand::Trim;
use super::link::Link;
use super::{Bytes, Late, Node, Pager, TreeEdit};
use crate::conc::{Arc, Swap};
use crate::error::Result;
use crate::page::{Pointer, TreeRecord};

/// A committed tree. It never changes; which of its nodes are resident does.
#[derive(Debug, Default)]
pub(crate) struct TreeState {
    /// The tree that this is a version of.
    pub(super) family: Family,
    /// Where the root lies; `None` if the tree is empty or not yet written.
    pointer: Option<Pointer>,
    pub(crate) len: u64,
    root: Swap<Node>,
    /// What the log holds for a tree that is read without it.
    late: Option<Late>,
}

impl TreeState {
    /// Makes a version of a tree known to the cache of its file.
    pub(super) fn new(root: Link, len: u64, (family, cache): (Family, &Cache)) -> Arc<Self> {
        let pointer = root.pointer;
        let root = Swap::new(root.into_node());
        cache.register(family, |family| Self { family, pointer, len, root, late: None })
    }

    /// Holds a tree as a commit recorded it.
    pub(crate) fn of_record(record: TreeRecord, cache: &Cache) -> Arc<Self> {
        match record.root {
            Some(pointer) => Self::new(Link::stored(pointer), record.len, (0, cache)),
            None => Arc::default(),
        }
    }

    /// Holds a tree of the disk with entries that only the log holds yet. It can be read, and not
    /// be changed.
    pub(crate) fn with_late(&self, late: Late, len: u64, cache: &Cache) -> Arc<Self> {
        let (pointer, root) = (self.pointer, Swap::new(None));
        let late = Some(late);
        cache.register(self.family, |family| Self { family, pointer, len, root, late })
    }

    /// Tells whether the disk holds the tree; if not, the log holds what it differs by.
    pub(crate) fn is_written(&self) -> bool {
        self.pointer.is_some() || self.root.load().is_none()
    }

    /// Holds a tree as a transaction left it, not written.
    pub(crate) fn of_edit(edit: TreeEdit, cache: &Cache) -> Arc<Self> {
        let TreeEdit { family, len, .. } = edit;
        edit.root.map_or_else(Arc::default, |root| Self::new(root, len, (family, cache)))
    }

    /// Returns what a commit records of the tree.
    pub(crate) const fn record(&self) -> TreeRecord {
        TreeRecord { root: self.pointer, len: self.len }
    }

    /// Returns the tree with another root in memory.
    pub(crate) fn with_root(&self, root: Link, cache: &Cache) -> Arc<Self> {
        Self::new(root, self.len, (self.family, cache))
    }

    /// Returns what leads to the root; `None` if the tree is empty.
    pub(crate) fn link(&self) -> Option<Link> {
        match (self.pointer, self.root.load().clone()) {
            (None, None) => None,
            (Some(pointer), None) => Some(Link::stored(pointer)),
            (pointer, Some(root)) => Some(Link::resident_at(pointer, root)),
        }
    }

    /// Returns the root, reading it if it is not resident; `None` if the tree is empty.
    pub(crate) fn root(&self, pager: &Pager) -> Result<Option<Arc<Node>>> {
        let resident = self.root.load().clone();
        let Some(pointer) = self.pointer.filter(|_| resident.is_none()) else {
            return Ok(resident);
        };
        let node = match &self.late {
            Some(late) => Link::stored(pointer).node_with(None, late.clone(), pager)?,
            None => pager.node(&pointer, None)?,
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

    /// Tells whether a key is there.
    pub(crate) fn contains(&self, key: &[u8], pager: &Pager) -> Result<bool> {
        if let Some(root) = &*self.root.load() {
            return root.contains(key, pager);
        }
        self.root(pager)?.map_or(Ok(false), |root| root.contains(key, pager))
    }

    /// Takes a tree away to be changed where it is, leaving another in its place; `None` if
    /// somebody else holds it.
    pub(crate) fn take(tree: &mut Arc<Self>, stand_in: &Arc<Self>) -> Option<TreeEdit> {
        match Arc::try_unwrap(std::mem::replace(tree, Arc::clone(stand_in))) {
            Ok(Self { family, pointer, len, root, late }) => {
                let root = match root.into_inner() {
                    Some(root) => Some(Link::resident_at(pointer, root)),
                    None => pointer.map(Link::stored),
                };
                assert!(late.is_none(), "L1: a tree is changed before the log was replayed");
                Some(TreeEdit { family, root, len, changed: true })
            }
            Err(shared) => {
                *tree = shared;
                None
            }
        }
    }

    /// Brings the leaves of several keys nearer.
    pub(crate) fn warm(&self, keys: &[Vec<u8>]) {
        if let Some(root) = &*self.root.load() {
            root.warm(keys);
        }
    }

    /// Lets nodes below the root go whose keys are not below `from`.
    pub(super) fn trim(&self, from: &[u8], trim: &mut Trim) {
        if let Some(root) = &*self.root.load() {
            let trimmed = root.trimmed(from, trim);
            if !Arc::ptr_eq(root, &trimmed) {
                self.root.store(Some(trimmed));
            }
        }
    }
}
