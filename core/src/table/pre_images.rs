//! Pre-images: the entries that a transaction changed, as they were before, for an undo log.
//!
//! - B12 Putting the pre-images of a transaction back restores every tree below the root, except
//!   the numbers that were given out and the stamp of the catalog, which never go back.

use crate::error::Result;
use crate::txn::TreeMut;
use std::collections::BTreeMap;

/// The entries that were changed below one root, as they were before the first change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreImages {
    trees: BTreeMap<String, BTreeMap<Vec<u8>, Option<Vec<u8>>>>,
}

/// One changed entry as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreImage<'p> {
    /// Name of the tree.
    pub tree: &'p str,
    /// The key.
    pub key: &'p [u8],
    /// The value; none if the tree had no such entry.
    pub value: Option<&'p [u8]>,
}

impl PreImages {
    /// Tells whether nothing was changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// Returns the entries, in the order of trees and keys.
    pub fn iter(&self) -> impl Iterator<Item = PreImage<'_>> {
        self.trees.iter().flat_map(|(tree, entries)| {
            entries.iter().map(move |(key, value)| PreImage { tree, key, value: value.as_deref() })
        })
    }

    /// Records an entry that is about to be changed, unless it was changed before.
    pub(super) fn record(&mut self, name: &str, tree: &TreeMut<'_>, key: &[u8]) -> Result<()> {
        if self.trees.get(name).is_some_and(|entries| entries.contains_key(key)) {
            return Ok(());
        }
        let value = tree.get(key)?.map(|value| value.to_vec());
        self.trees.entry(name.to_owned()).or_default().insert(key.to_vec(), value);
        Ok(())
    }

    /// Records all entries of a tree that is about to be cleared.
    pub(super) fn record_all(&mut self, name: &str, tree: &TreeMut<'_>) -> Result<()> {
        for entry in tree.range(..)? {
            let (key, value) = entry?;
            let entries = self.trees.entry(name.to_owned()).or_default();
            entries.entry(key.to_vec()).or_insert_with(|| Some(value.to_vec()));
        }
        Ok(())
    }
}
