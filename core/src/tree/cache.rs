//! Which committed nodes stay in memory: a byte budget over all trees and snapshots of a file.
//!
//! Nodes hang on their parents, so reading them takes no map and no lock. When the budget is spent,
//! the nodes that were not used since the last time are let go, over all trees that are still
//! reachable, until half of it is free.

use super::TreeState;
use crate::conc::{Arc, AtomicUsize, Mutex, Ordering, Weak};
use crate::unit::PAGE_BYTES;

/// Most pages that a walk reads ahead.
const READ_AHEAD_PAGES: usize = 64;

/// The budget, and the trees that spend it.
#[derive(Debug)]
pub(crate) struct Cache {
    bytes_max: usize,
    bytes: Arc<AtomicUsize>,
    trees: Mutex<Trees>,
}

#[derive(Debug, Default)]
struct Trees {
    all: Vec<Weak<TreeState>>,
    /// How many there were when those that are gone were last taken out.
    alive: usize,
}

/// Bytes of memory that are counted while they are held.
#[derive(Debug)]
pub(crate) struct Cost {
    total: Arc<AtomicUsize>,
    bytes: usize,
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

/// One round of letting go.
#[derive(Debug)]
pub(crate) struct Trim<'a> {
    pub(crate) cache: &'a Cache,
    excess_bytes: usize,
}

impl Trim<'_> {
    /// Tells whether a node is to be let go, and counts it as gone.
    pub(crate) const fn take(&mut self, cost: &Cost) -> bool {
        let wanted = self.excess_bytes > 0;
        self.excess_bytes = self.excess_bytes.saturating_sub(cost.bytes);
        wanted
    }
}

impl Cache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: Arc::default(), trees: Mutex::default() }
    }

    pub(crate) fn cost(&self, bytes: usize) -> Cost {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Cost { total: Arc::clone(&self.bytes), bytes }
    }

    /// Returns how many pages a walk may read ahead.
    pub(crate) fn pages_ahead(&self) -> usize {
        (self.bytes_max / (16 * PAGE_BYTES)).min(READ_AHEAD_PAGES)
    }

    /// Lets a tree spend the budget.
    pub(crate) fn register(&self, tree: &Arc<TreeState>) {
        let mut trees = self.trees.lock();
        if trees.all.len() > 2 * trees.alive + 16 {
            trees.all.retain(|tree| tree.strong_count() > 0);
            trees.alive = trees.all.len();
        }
        trees.all.push(Arc::downgrade(tree));
    }

    /// Lets nodes go if the budget is spent, and tells whether there is room then.
    pub(crate) fn make_room(&self) -> bool {
        let bytes = || self.bytes.load(Ordering::Relaxed);
        // If another thread is at it already, this one does without.
        if bytes() > self.bytes_max
            && let Some(trees) = self.trees.try_lock()
        {
            let mut trim =
                Trim { cache: self, excess_bytes: bytes().saturating_sub(self.bytes_max / 2) };
            trees.all.iter().filter_map(Weak::upgrade).for_each(|tree| tree.trim(&mut trim));
        }
        bytes() <= self.bytes_max
    }
}

#[cfg(test)]
mod tests {
    use crate::{Options, Store};

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
        let store = Options::new().cache_bytes(BUDGET).in_memory().unwrap();
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
