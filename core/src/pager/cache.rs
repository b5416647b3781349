//! The cache budget: a number of bytes for the resident nodes of all trees and snapshots of a file.
//!
//! A node hangs on its parent, so a lookup takes no map and no lock. When the budget is spent, a
//! [clock](super::evict) evicts nodes until an eighth of the budget is free: an eviction copies the
//! parent of the evicted nodes, and a longer round evicts more of them with each copy.

use super::evict::{ClockHand, Evict, TreeId};
use crate::conc::{Arc, AtomicU64, AtomicUsize, Mutex, Ordering};
use crate::fault::{self, Fault};
use crate::unit::PAGE_BYTES;

/// Most pages that a scan reads ahead.
const READ_AHEAD_PAGES: usize = 64;

/// The part of the budget that is free after an eviction round.
const FREE_PART: usize = 8;

/// Requests that are refused after a round that freed too little: readers hold their nodes, and
/// changed nodes stay until they are written.
const REFUSALS: usize = 64;

/// The budget, and the trees that spend it.
#[derive(Debug)]
pub(crate) struct Cache {
    bytes_max: usize,
    bytes: Arc<AtomicUsize>,
    clock: Mutex<ClockHand>,
    /// Requests to refuse before the next round.
    refusals: AtomicUsize,
    /// Trees so far.
    trees: AtomicU64,
}

/// Bytes of memory that count against the budget until this is dropped.
#[derive(Debug)]
pub(crate) struct Charge {
    total: Arc<AtomicUsize>,
    bytes: usize,
}

impl Charge {
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts so many bytes from now on.
    pub(crate) fn set(&mut self, bytes: usize) {
        if bytes != self.bytes {
            *self = self.of_copy(bytes);
        }
    }

    /// Counts the bytes of a copy of the node.
    pub(crate) fn of_copy(&self, bytes: usize) -> Self {
        self.total.fetch_add(bytes, Ordering::Relaxed);
        Self { total: Arc::clone(&self.total), bytes }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        let before = self.total.fetch_sub(self.bytes, Ordering::Relaxed);
        debug_assert!(before >= self.bytes, "G2: {} bytes of {before} are returned", self.bytes);
    }
}

impl Cache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        let (bytes, clock, refusals, trees) = Default::default();
        Self { bytes_max, bytes, clock, refusals, trees }
    }

    /// Counts bytes against the budget.
    pub(crate) fn charge(&self, bytes: usize) -> Charge {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Charge { total: Arc::clone(&self.bytes), bytes }
    }

    /// Returns how many pages a scan may read ahead.
    pub(crate) fn pages_ahead(&self) -> usize {
        (self.bytes_max / (16 * PAGE_BYTES)).min(READ_AHEAD_PAGES)
    }

    /// Registers a version of a tree, whose nodes the clock may evict from now on. `None` is a new
    /// tree, and `version` makes the version of the tree that it is called with.
    pub(crate) fn register<T: Evict + 'static>(
        &self,
        tree: Option<TreeId>,
        version: impl FnOnce(TreeId) -> T,
    ) -> Arc<T> {
        let id = tree.unwrap_or_else(|| TreeId(self.trees.fetch_add(1, Ordering::Relaxed) + 1));
        let version = Arc::new(version(id));
        self.clock.lock().watch(id, Arc::downgrade(&version) as _);
        version
    }

    /// Returns the bytes that count against the budget.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns the budget.
    pub(crate) const fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    pub(crate) fn has_room(&self) -> bool {
        self.bytes() <= self.bytes_max
    }

    /// Evicts nodes if the budget is spent, and tells whether there is room afterwards.
    pub(crate) fn make_room(&self) -> bool {
        if self.has_room() {
            if self.refusals.load(Ordering::Relaxed) > 0 {
                self.refusals.store(0, Ordering::Relaxed);
            }
            return true;
        }
        // One thread evicts; the others go on without.
        if let Some(mut clock) = self.clock.try_lock() {
            match self.refusals.load(Ordering::Relaxed).checked_sub(1) {
                Some(left) => self.refusals.store(left, Ordering::Relaxed),
                None => self.evict(&mut clock),
            }
        }
        self.has_room()
    }

    /// Evicts nodes if the budget is spent, whatever the last round freed: nodes were written since
    /// then, and can be evicted now.
    pub(crate) fn make_room_after_write(&self) {
        if fault::on(Fault::Fs20) {
            self.make_room();
        } else if !self.has_room() {
            self.evict(&mut self.clock.lock());
        }
    }

    /// Runs an eviction round. After one that freed too little, some requests are refused.
    fn evict(&self, clock: &mut ClockHand) {
        let bytes_max = self.bytes_max - self.bytes_max / FREE_PART;
        clock.evict(self.bytes().saturating_sub(bytes_max));
        let refusals = if self.has_room() && !fault::on(Fault::Fs20) { 0 } else { REFUSALS };
        self.refusals.store(refusals, Ordering::Relaxed);
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
        snapshot.state().pager.cache().bytes()
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
