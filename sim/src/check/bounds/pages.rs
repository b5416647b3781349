//! The length of a file against the pages that its last commits and its snapshots reach.

use super::memory::{Memory, uncounted};
use crate::check::compare::CheckError;
use crate::check::definition::Violation;
use crate::check::promises::S7;
use fastness::inspect::ledger;
use fastness::{PAGE_BYTES, PageId, Store, StoreSnapshot};
use std::collections::BTreeSet;

/// The pages that the states of a file needed so far.
#[derive(Debug)]
pub(super) struct FileBound {
    /// The longest log.
    log_pages: u64,
    /// Most pages that were needed at one time since the file was made.
    most: u64,
    /// Most pages that the store said to use, since the last comparison.
    used: u64,
    /// Snapshots taken before this commit belong to the file before a compaction.
    first: u64,
}

impl FileBound {
    pub(super) const fn new(log_pages: u64) -> Self {
        Self { log_pages, most: 0, used: 0, first: 0 }
    }

    /// A new file replaced the old one.
    pub(super) const fn compact(&mut self) {
        self.most = 0;
        self.first = u64::MAX;
    }

    /// Measures the pages that are needed after a commit that no comparison follows, if the store
    /// says that it uses more than ever since the last one: a walk after each takes too long.
    pub(super) fn note(
        &mut self,
        memory: &mut Memory,
        store: &Store,
        snapshots: &[StoreSnapshot],
    ) -> Result<(), CheckError> {
        // The strings in it must not count as left behind.
        let used = memory.count(|| store.info().map(|info| info.page_count - info.free_pages))?;
        if used > self.used {
            self.used = used;
            self.measure(memory, store, snapshots)?;
        }
        Ok(())
    }

    /// Counts the pages that are needed, and returns the pages and the bytes of the file.
    fn measure(
        &mut self,
        memory: &mut Memory,
        store: &Store,
        snapshots: &[StoreSnapshot],
    ) -> Result<(u64, u64), CheckError> {
        let mut needed = BTreeSet::<PageId>::new();
        let lengths = memory.count(|| {
            let last = store.snapshot();
            if self.first == u64::MAX {
                self.first = last.commit().0;
            }
            let here = snapshots.iter().filter(|snapshot| snapshot.commit().0 >= self.first);
            for snapshot in here.chain([&last]) {
                let reachable = ledger(snapshot)?.reachable;
                uncounted(|| needed.extend(&reachable));
            }
            let info = store.info()?;
            Ok::<_, fastness::Error>((info.page_count, info.file_bytes))
        })?;
        self.most = self.most.max(needed.len() as u64);
        Ok(lengths)
    }

    /// Compares the length of the file with the pages that are needed.
    pub(super) fn check(
        &mut self,
        memory: &mut Memory,
        store: &Store,
        snapshots: &[StoreSnapshot],
    ) -> Result<(), CheckError> {
        self.used = 0;
        let (page_count, file_bytes) = self.measure(memory, store, snapshots)?;
        // A checkpoint needs room for new nodes while it and the one before keep the old ones, and
        // an eighth of the file may be free in runs that are too short.
        let bound = 5 * self.most + 4 * self.log_pages + 24;
        let file_pages = file_bytes / PAGE_BYTES as u64;
        if page_count <= bound && file_pages <= bound + 2 * self.log_pages + 24 {
            return Ok(());
        }
        let text = format!(
            "{page_count} pages, and {file_pages} with the log, for at most {} that were needed \
             at one time",
            self.most
        );
        Err(Violation::new(S7.id, text).into())
    }
}
