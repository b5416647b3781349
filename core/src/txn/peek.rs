//! A tree to read, of a snapshot or within a write transaction, for the layers above.

use super::changes::{Base, TreeChanges};
use super::snapshot::{Snapshot, Tree};
use super::write::WriteTxn;
use crate::error::Result;
use crate::tree::{Bytes, Range, SalvageIter};
use std::ops::RangeBounds;
use std::path::Path;

/// A tree to read; a transaction's own changes are seen.
#[derive(Clone, Debug)]
pub(crate) enum Peek<'a> {
    /// As it was committed.
    Committed(Tree<'a>),
    /// As a transaction changed it.
    Changed(&'a TreeChanges, Base<'a>),
}

/// What trees can be read from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// A commit.
    Snapshot(&'a Snapshot),
    /// A commit and the changes on top of it.
    Txn(&'a WriteTxn),
    /// The same without the changes.
    Base(&'a WriteTxn),
}

impl<'a> Source<'a> {
    /// Returns the tree of a name; one that was never written is empty.
    pub(crate) fn tree(self, name: &str) -> Peek<'a> {
        match self {
            Self::Snapshot(snapshot) => Peek::Committed(snapshot.tree(name)),
            Self::Base(txn) => Peek::Committed(txn.changes().base.tree(name)),
            Self::Txn(txn) => {
                let changes = txn.changes();
                match changes.trees.get(name) {
                    Some(changed) => Peek::Changed(changed, changes.base.tree_and_pager(name)),
                    None => Peek::Committed(changes.base.tree(name)),
                }
            }
        }
    }

    /// Returns the path of the file.
    pub(crate) fn path(self) -> &'a Path {
        match self {
            Self::Snapshot(snapshot) => snapshot.state().pager.path(),
            Self::Txn(txn) | Self::Base(txn) => txn.changes().base.pager.path(),
        }
    }
}

impl<'a> Peek<'a> {
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        match self {
            Self::Committed(tree) => tree.get(key),
            Self::Changed(changes, base) => changes.get(key, *base),
        }
    }

    /// Brings the entries of several keys nearer that are looked up next.
    pub(crate) fn prefetch(&self, keys: &[Vec<u8>]) {
        if let Self::Committed(tree) = self {
            tree.prefetch(keys);
        }
    }

    pub(crate) fn range<'k>(&self, bounds: impl RangeBounds<&'k [u8]>) -> Result<Range<'a>> {
        match self {
            Self::Committed(tree) => tree.range(bounds),
            Self::Changed(changes, base) => changes.range(&bounds, *base),
        }
    }

    pub(crate) fn salvage(&self) -> SalvageIter<'a> {
        match self {
            Self::Committed(tree) => tree.salvage(),
            Self::Changed(changes, base) => changes.salvage(*base),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Committed(tree) => tree.len(),
            Self::Changed(changes, _) => changes.len(),
        }
    }
}
