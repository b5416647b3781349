//! Which committed nodes stay in memory: a byte budget over all trees and snapshots of a file.
//!
//! Nodes hang on their parents, so reading them takes no map and no lock. When the budget is spent,
//! a [hand](super::hand) lets nodes go that are not in use, until an eighth of it is free: to let a
//! node go copies the one above it, and the longer the hand is away, the more go with each copy.

use super::TreeState;
use super::hand::Hand;
use crate::conc::{Arc, AtomicU64, AtomicUsize, Mutex, Ordering};
use crate::unit::PAGE_BYTES;

/// Most pages that a walk reads ahead.
const READ_AHEAD_PAGES: usize = 64;

/// Which part of the budget is free after a round of letting go.
const FREE_PART: usize = 8;

/// How many are refused room after a round that made none: readers hold what they stand on, and
/// what was changed stays until it is written.
const REFUSALS: usize = 64;

/// The budget, and the trees that spend it.
#[derive(Debug)]
pub(crate) struct Cache {
    bytes_max: usize,
    bytes: Arc<AtomicUsize>,
    hand: Mutex<Hand>,
    /// How many are to be refused before the next round.
    refusals: AtomicUsize,
    /// How many families there are.
    families: AtomicU64,
}

/// Number of a tree, which all its versions have; 0 before the first.
pub(crate) type Family = u64;

/// Bytes of memory that are counted while they are held.
#[derive(Debug)]
pub(crate) struct Cost {
    total: Arc<AtomicUsize>,
    pub(super) bytes: usize,
}

impl Clone for Cost {
    fn clone(&self) -> Self {
        self.total.fetch_add(self.bytes, Ordering::Relaxed);
        Self { total: Arc::clone(&self.total), bytes: self.bytes }
    }
}

impl Drop for Cost {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Cache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        let (bytes, hand, refusals, families) = Default::default();
        Self { bytes_max, bytes, hand, refusals, families }
    }

    pub(crate) fn cost(&self, bytes: usize) -> Cost {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Cost { total: Arc::clone(&self.bytes), bytes }
    }

    /// Returns how many pages a walk may read ahead.
    pub(crate) fn pages_ahead(&self) -> usize {
        (self.bytes_max / (16 * PAGE_BYTES)).min(READ_AHEAD_PAGES)
    }

    /// Lets the version of a tree spend the budget that `version` makes of its family.
    pub(super) fn register(
        &self,
        family: Family,
        version: impl FnOnce(Family) -> TreeState,
    ) -> Arc<TreeState> {
        let new = || self.families.fetch_add(1, Ordering::Relaxed) + 1;
        let tree = Arc::new(version(if family == 0 { new() } else { family }));
        self.hand.lock().watch(&tree);
        tree
    }

    /// Lets nodes go if the budget is spent, and tells whether there is room then.
    pub(crate) fn make_room(&self) -> bool {
        let has_room = || self.bytes.load(Ordering::Relaxed) <= self.bytes_max;
        if has_room() {
            if self.refusals.load(Ordering::Relaxed) > 0 {
                self.refusals.store(0, Ordering::Relaxed);
            }
            return true;
        }
        // If another thread is at it already, this one does without.
        if let Some(mut hand) = self.hand.try_lock() {
            match self.refusals.load(Ordering::Relaxed).checked_sub(1) {
                Some(left) => self.refusals.store(left, Ordering::Relaxed),
                None => {
                    let bytes_max = self.bytes_max - self.bytes_max / FREE_PART;
                    hand.let_go(self.bytes.load(Ordering::Relaxed).saturating_sub(bytes_max));
                    self.refusals.store(REFUSALS, Ordering::Relaxed);
                }
            }
        }
        has_room()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Store, StoreOptions};

    fn read_all(store: &Store) -> usize {
        let snapshot = store.snapshot();
        let tree = snapshot.tree("t");
        for key in 0..20_000_u32 {
            assert!(tree.get(&key.to_be_bytes()).unwrap().is_some());
        }
        snapshot.state().pager.cache().bytes.load(super::Ordering::Relaxed)
    }

    #[test]
    fn memory_stays_within_the_budget_whatever_is_read() {
        const BUDGET: usize = 200_000;
        let store = StoreOptions::new().cache_bytes(BUDGET).in_memory().unwrap();
        let mut txn = store.write().unwrap();
        for key in 0..20_000_u32 {
            txn.tree("t").unwrap().insert(&key.to_be_bytes(), &[1; 60]).unwrap();
        }
        txn.commit().unwrap();
        let old = store.snapshot();
        for round in 0..3_u8 {
            assert!(read_all(&store) <= BUDGET + 2 * 16_384, "round {round}");
            let walked = old.tree("t").range(..).unwrap().count();
            assert_eq!(walked, 20_000);
            let mut txn = store.write().unwrap();
            txn.tree("t").unwrap().insert(b"other", &[round]).unwrap();
            txn.commit().unwrap();
        }
        drop(old);
        assert!(read_all(&store) <= BUDGET + 2 * 16_384);
    }
}
