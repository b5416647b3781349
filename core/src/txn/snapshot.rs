//! A snapshot: what one commit holds, for as long as it is wanted.

use super::pins::Pinned;
use super::state::State;
use crate::conc::Arc;
use crate::error::Result;
use crate::tree::{Bytes, Range, SalvageIter, TreeState};
use crate::unit::CommitId;
use std::ops::RangeBounds;

/// A commit, to read. Taking and cloning one costs the same whatever the file holds; it never
/// changes, and can be read on any thread.
#[derive(Clone, Debug)]
pub struct Snapshot {
    state: Pinned<State>,
}

/// A tree within a snapshot: ordered bytes to bytes.
#[derive(Clone, Debug)]
pub struct Tree<'a> {
    state: &'a State,
    tree: Arc<TreeState>,
}

impl Snapshot {
    pub(crate) const fn new(state: Pinned<State>) -> Self {
        Self { state }
    }

    pub(crate) fn state(&self) -> &State {
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

impl State {
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

    /// Brings the entries of several keys nearer that are looked up next.
    pub(crate) fn prefetch(&self, keys: &[Vec<u8>]) {
        self.tree.prefetch(keys);
    }

    /// Walks the entries within bounds, in key order or, reversed, from the other end. Inverted
    /// bounds hold nothing.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn range<'k>(&self, bounds: impl RangeBounds<&'k [u8]>) -> Result<Range<'a>> {
        let pager = &self.state.pager;
        Ok(Range::new(pager, self.tree.root(pager)?, &bounds))
    }

    /// Walks all entries that can be read, in key order. Where a page is damaged or cannot be read,
    /// an error stands for all that it held, and the walk goes on.
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

    /// Tells whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
