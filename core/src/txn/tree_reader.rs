//! Reading trees of a snapshot or of a write transaction, for the layers above.

use super::changes::TreeChanges;
use super::snapshot::{StoreSnapshot, Tree};
use super::state::BaseTree;
use super::write::WriteTxn;
use crate::error::Result;
use crate::tree::{Bytes, Range, SalvageIter};
use std::ops::RangeBounds;
use std::path::Path;

/// A reader of one tree; it sees the changes of its transaction.
#[derive(Clone, Debug)]
pub(crate) enum TreeReader<'a> {
    /// The tree as it was committed.
    Committed(Tree<'a>),
    /// The tree with the changes of a transaction.
    Changed(&'a TreeChanges, BaseTree<'a>),
}

/// The source of the trees to read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ReadSource<'a> {
    /// A commit.
    Snapshot(&'a StoreSnapshot),
    /// A commit with the changes of a transaction.
    Txn(&'a WriteTxn),
    /// The commit that a transaction started from.
    Base(&'a WriteTxn),
}

impl<'a> ReadSource<'a> {
    /// Returns the tree of a name; one that was never written is empty.
    pub(crate) fn tree(self, name: &str) -> TreeReader<'a> {
        match self {
            Self::Snapshot(snapshot) => TreeReader::Committed(snapshot.tree(name)),
            Self::Base(txn) => TreeReader::Committed(txn.changes().base.tree(name)),
            Self::Txn(txn) => {
                let changes = txn.changes();
                match changes.trees.get(name) {
                    Some(changed) => TreeReader::Changed(changed, changes.base.base_tree(name)),
                    None => TreeReader::Committed(changes.base.tree(name)),
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

impl<'a> TreeReader<'a> {
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        match self {
            Self::Committed(tree) => tree.get(key),
            Self::Changed(changes, base) => changes.get(key, *base),
        }
    }

    /// Prefetches the entries of several keys.
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
