//! Which committed nodes stay in memory: a byte budget over all trees and snapshots of a file.
//!
//! Nodes hang on their parents, so reading them takes no map and no lock. When the budget is spent,
//! a hand goes on around the trees that are still reachable, in the order of their keys, and lets
//! nodes go that were not used since it came by before, until an eighth of the budget is free. To
//! let a node go copies the one above it: the longer the hand is away, the more go with each copy.

use super::TreeState;
use crate::conc::{Arc, AtomicUsize, Mutex, Ordering, Weak};
use crate::unit::PAGE_BYTES;

/// Most pages that a walk reads ahead.
const READ_AHEAD_PAGES: usize = 64;

/// Which part of the budget is free after a round of letting go.
const FREE_PART: usize = 8;

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
    /// Where the hand is: at which tree, and at which of its keys.
    hand: (usize, Box<[u8]>),
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
pub(crate) struct Trim {
    excess_bytes: usize,
    /// The key at which it ended within a tree.
    rest: Option<Box<[u8]>>,
}

impl Trim {
    /// Tells whether enough was let go.
    pub(crate) const fn is_done(&self) -> bool {
        self.excess_bytes == 0
    }

    /// Counts a node as gone.
    pub(crate) const fn take(&mut self, cost: &Cost) {
        self.excess_bytes = self.excess_bytes.saturating_sub(cost.bytes);
    }

    /// Notes at which key the next round begins, unless a node below said so.
    pub(crate) fn rest_at(&mut self, key: &[u8]) {
        self.rest.get_or_insert_with(|| key.into());
    }
}

impl Trees {
    /// Goes on around the trees until enough was let go, once at most.
    fn trim(&mut self, excess_bytes: usize) {
        let mut trim = Trim { excess_bytes, rest: None };
        let (first, mut from) = std::mem::take(&mut self.hand);
        for step in 0..=self.all.len() {
            let index = (first + step) % self.all.len().max(1);
            self.hand.0 = index;
            if trim.is_done() {
                return;
            }
            if let Some(tree) = self.all.get(index).and_then(Weak::upgrade) {
                tree.trim(&from, &mut trim);
            }
            from = Box::default();
            if let Some(rest) = trim.rest {
                self.hand.1 = rest;
                return;
            }
        }
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
            && let Some(mut trees) = self.trees.try_lock()
        {
            trees.trim(bytes().saturating_sub(self.bytes_max - self.bytes_max / FREE_PART));
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
