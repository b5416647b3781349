//! A snapshot: a read view of one commit.

use super::pins::Pinned;
use super::state::CommitState;
use crate::conc::Arc;
use crate::error::Result;
use crate::tree::{Bytes, Range, SalvageIter, TreeState};
use crate::unit::CommitId;
use std::ops::RangeBounds;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// A read view of one commit. It never changes, and any thread can read it. Taking and cloning one
/// costs the same for every size of the file.
#[derive(Clone, Debug)]
pub struct StoreSnapshot {
    state: Pinned<CommitState>,
}

/// A tree within a snapshot: ordered bytes to bytes.
#[derive(Clone, Debug)]
pub struct Tree<'a> {
    state: &'a CommitState,
    tree: Arc<TreeState>,
}

// Nothing in it changes but caches.
impl UnwindSafe for StoreSnapshot {}
impl RefUnwindSafe for StoreSnapshot {}

impl StoreSnapshot {
    pub(crate) const fn new(state: Pinned<CommitState>) -> Self {
        Self { state }
    }

    pub(crate) fn state(&self) -> &CommitState {
        &self.state
    }

    /// Returns the number of the commit.
    #[must_use]
    pub fn commit(&self) -> CommitId {
        self.state.commit()
    }

    /// Returns the tree of a name; one that was never written is empty.
    #[must_use]
    pub fn tree(&self, name: &str) -> Tree<'_> {
        self.state.tree(name)
    }

    /// Returns the names of the trees that hold entries, in order.
    pub fn tree_names(&self) -> impl Iterator<Item = &str> {
        self.state.trees.keys().map(|name| &**name)
    }
}

impl CommitState {
    /// Returns the tree of a name; one that was never written is empty.
    pub(crate) fn tree(&self, name: &str) -> Tree<'_> {
        let tree = self.trees.get(name).cloned().unwrap_or_default();
        Tree { state: self, tree }
    }
}

impl<'a> Tree<'a> {
    /// Returns the value of a key.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.tree.get(key, &self.state.pager)
    }

    /// Prefetches the entries of several keys.
    pub(crate) fn prefetch(&self, keys: &[Vec<u8>]) {
        self.tree.prefetch(keys);
    }

    /// Scans the entries within bounds, in key order or, reversed, from the other end. Inverted
    /// bounds are an empty range.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn range<'k>(&self, bounds: impl RangeBounds<&'k [u8]>) -> Result<Range<'a>> {
        let pager = &self.state.pager;
        Ok(Range::new(pager, self.tree.root(pager)?, &bounds))
    }

    /// Scans all entries that can be read, in key order. For a page that is damaged or cannot be
    /// read, the scan returns one error in the place of its entries, and goes on.
    #[must_use]
    pub fn salvage(&self) -> SalvageIter<'a> {
        let pager = &self.state.pager;
        SalvageIter::new(pager, self.tree.root(pager))
    }

    /// Returns the entry with the least key.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn first(&self) -> Result<Option<(Bytes, Bytes)>> {
        self.range(..)?.next().transpose()
    }

    /// Returns the entry with the greatest key.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn last(&self) -> Result<Option<(Bytes, Bytes)>> {
        self.range(..)?.next_back().transpose()
    }

    /// Returns the number of entries.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.tree.len
    }

    /// Tells whether the tree has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
