//! Reading a tree, be it committed or in the middle of a transaction.

use super::cache::{Cache, Trim};
use super::edit::{Dirty, Link, Payload as DirtyPayload};
use super::{Bytes, Node, Pager};
use crate::conc::{Arc, Loaded, Swap, loaded};
use crate::error::Result;
use crate::page::TreeRecord;

/// A committed tree.
#[derive(Debug, Default)]
pub(crate) struct TreeState {
    pub(crate) record: TreeRecord,
    root: Swap<Node>,
}

impl TreeState {
    /// Makes a tree known to the cache of its file.
    pub(crate) fn new(record: TreeRecord, root: Option<Arc<Node>>, cache: &Cache) -> Arc<Self> {
        let tree = Arc::new(Self { record, root: Swap::new(root) });
        if record.root.is_some() {
            cache.register(&tree);
        }
        tree
    }

    /// Returns the root, reading it if it is not resident; `None` if the tree is empty.
    pub(crate) fn root(&self, pager: &Pager) -> Result<Option<Loaded<Node>>> {
        let Some(pointer) = &self.record.root else { return Ok(None) };
        let resident = self.root.load();
        if resident.is_some() {
            return Ok(Some(resident));
        }
        let node = pager.node(pointer, None)?;
        pager.cache().make_room();
        self.root.store(Some(Arc::clone(&node)));
        Ok(Some(loaded(node)))
    }

    pub(crate) fn resident(&self) -> Option<Arc<Node>> {
        self.root.load().clone()
    }

    /// Looks a key up.
    pub(crate) fn get(&self, key: &[u8], pager: &Pager) -> Result<Option<Bytes>> {
        let root = self.root(pager)?;
        match root.as_deref().and_then(Option::as_ref) {
            Some(root) => root.get(key, pager),
            None => Ok(None),
        }
    }

    /// Lets nodes below the root go.
    pub(crate) fn trim(&self, trim: &mut Trim<'_>) {
        if let Some(root) = &*self.root.load() {
            let trimmed = root.trimmed(trim);
            if !Arc::ptr_eq(root, &trimmed) {
                self.root.store(Some(trimmed));
            }
        }
    }
}

/// A node of a tree that may be in the middle of a transaction.
#[derive(Clone, Debug)]
pub(crate) enum View<'a> {
    Clean(Arc<Node>),
    Dirty(&'a Dirty),
}

impl<'a> View<'a> {
    /// Returns the node a link leads to.
    pub(crate) fn of_link(link: &'a Link, level: Option<u8>, pager: &Pager) -> Result<Self> {
        match link {
            Link::Dirty(dirty) => Ok(Self::Dirty(dirty)),
            Link::Clean { node: Some(node), .. } => Ok(Self::Clean(Arc::clone(node))),
            Link::Clean { pointer, node: None } => pager.node(pointer, level).map(Self::Clean),
        }
    }

    pub(crate) fn level(&self) -> u8 {
        match self {
            Self::Clean(node) => node.page.level(),
            Self::Dirty(dirty) => dirty.level(),
        }
    }

    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Clean(node) => node.page.count(),
            Self::Dirty(dirty) => dirty.count(),
        }
    }

    /// Finds a key in a leaf: its index, or where it would stand.
    pub(crate) fn find(&self, key: &[u8]) -> std::result::Result<usize, usize> {
        match self {
            Self::Clean(node) => node.page.find(key),
            Self::Dirty(dirty) => dirty.find(key),
        }
    }

    pub(crate) fn child_of(&self, key: &[u8]) -> usize {
        match self.find(key) {
            Ok(index) => index,
            Err(index) => index.saturating_sub(1),
        }
    }

    pub(crate) fn child(&self, index: usize, pager: &Pager) -> Result<Self> {
        match self {
            Self::Clean(node) => node.child(index, pager).map(Self::Clean),
            Self::Dirty(dirty) => View::of_link(dirty.link(index), Some(dirty.level() - 1), pager),
        }
    }

    pub(crate) fn key(&self, index: usize) -> Bytes {
        match self {
            Self::Clean(node) => {
                let (at, len) = node.page.key_span(index);
                Bytes::of_page(Arc::clone(node), at, len)
            }
            Self::Dirty(dirty) => dirty.key(index).into(),
        }
    }

    pub(crate) fn value(&self, index: usize, pager: &Pager) -> Result<Bytes> {
        match self {
            Self::Clean(node) => node.value(index, pager),
            Self::Dirty(dirty) => match dirty.payload(index) {
                DirtyPayload::New(bytes) => Ok(bytes.as_ref().into()),
                DirtyPayload::Stored { bytes, first } => {
                    pager.chain(*bytes, *first, |_| ()).map(Bytes::from)
                }
            },
        }
    }

    /// Looks a key up below this node.
    pub(crate) fn get(self, key: &[u8], pager: &Pager) -> Result<Option<Bytes>> {
        let mut node = self;
        while node.level() > 0 {
            node = node.child(node.child_of(key), pager)?;
        }
        match node.find(key) {
            Ok(index) => node.value(index, pager).map(Some),
            Err(_) => Ok(None),
        }
    }
}
