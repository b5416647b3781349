//! Entries of the log that a tree on the disk does not hold yet, put in as its leaves are read.
//!
//! So opening costs the same however many pages the log would change. The first transaction that
//! writes replays the log for good.

use super::Node;
use crate::conc::Arc;
use std::ops::Range;

/// An entry that was set, in order of their keys.
type Entry = (Box<[u8]>, Arc<[u8]>);

/// The entries for one node and what is below it.
#[derive(Clone, Debug)]
pub(crate) struct Late {
    entries: Arc<[Entry]>,
    range: Range<usize>,
}

impl Late {
    /// Holds entries in order of their keys, each key once.
    pub(crate) fn new(entries: Arc<[Entry]>) -> Self {
        let range = 0..entries.len();
        Self { entries, range }
    }

    fn entries(&self) -> &[Entry] {
        &self.entries[self.range.clone()]
    }

    /// Returns the entries for the child of a branch whose keys are from `low` on, below `high`.
    pub(super) fn between(&self, low: &[u8], high: Option<&[u8]>) -> Self {
        let place = |key: &[u8]| self.entries().partition_point(|entry| *entry.0 < *key);
        let start = self.range.start + place(low);
        let end = self.range.start + high.map_or(self.range.len(), place);
        Self { entries: Arc::clone(&self.entries), range: start..end }
    }

    /// Puts the entries into a leaf, or leaves them with a branch for what is below it.
    pub(super) fn put_into(self, node: &mut Node) {
        if node.level() > 0 {
            node.late = Some(Box::new(self)).filter(|late| !late.range.is_empty());
            return;
        }
        for (key, value) in self.entries() {
            match node.find(key) {
                Ok(index) => node.replace(index, value),
                Err(index) => node.put(index, key, value),
            }
        }
    }
}
