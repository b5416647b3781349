//! Pending redo: entries of the log that a tree on the disk does not hold yet, applied as its
//! leaves are read.
//!
//! So opening costs the same however many pages the log changes. The first write transaction
//! replays the log for good.

use crate::conc::Arc;
use std::ops::Range;

/// A put of the log: key and value.
pub(crate) type RedoEntry = (Box<[u8]>, Arc<[u8]>);

/// The entries for one node and the nodes below it.
#[derive(Clone, Debug)]
pub(crate) struct PendingRedo {
    entries: Arc<[RedoEntry]>,
    range: Range<usize>,
}

impl PendingRedo {
    /// Holds entries in order of their keys, each key once.
    pub(crate) fn new(entries: Arc<[RedoEntry]>) -> Self {
        let range = 0..entries.len();
        Self { entries, range }
    }

    pub(super) fn entries(&self) -> &[RedoEntry] {
        &self.entries[self.range.clone()]
    }

    /// Returns the entries for a child whose keys are from `low` on and below `high`.
    pub(super) fn between(&self, low: &[u8], high: Option<&[u8]>) -> Self {
        let place = |key: &[u8]| self.entries().partition_point(|entry| *entry.0 < *key);
        let start = self.range.start + place(low);
        let end = self.range.start + high.map_or(self.range.len(), place);
        assert!(start <= end && end <= self.range.end, "L1: redo entries {start}..{end}");
        Self { entries: Arc::clone(&self.entries), range: start..end }
    }
}
