//! Clock eviction (second chance): a hand sweeps the trees of a file by key, and evicts the nodes
//! that were not referenced since the sweep before.
//!
//! The versions of a tree share most nodes, and a node takes memory until its last version evicts
//! it. So the hand sweeps all versions of a tree by key, and a referenced node survives one sweep
//! in every version.

use crate::conc::{AtomicU8, Ordering, Weak};
use std::fmt::Debug;

/// Number of a tree within its file; all versions of the tree have it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct TreeId(pub(super) u64);

/// A version of a tree, whose nodes the clock evicts.
// One type implements it: it keeps the pager from knowing nodes.
pub(crate) trait Evict: Send + Sync + Debug {
    /// Evicts nodes whose keys are not below `from`, as `sweep` decides.
    fn evict(&self, from: &[u8], sweep: &mut Sweep);
}

/// The position of the clock hand.
#[derive(Debug, Default)]
pub(super) struct ClockHand {
    /// In the order of their ids.
    trees: Vec<TreeVersions>,
    /// Trees after the last removal of those that were dropped.
    alive: usize,
    /// Index of the tree that is swept next, and the key at which its sweep goes on.
    at: (usize, Box<[u8]>),
    sweep: SweepNumber,
}

/// The versions of a tree that are still in use, oldest first.
#[derive(Debug)]
struct TreeVersions {
    tree: TreeId,
    all: Vec<Weak<dyn Evict>>,
    /// Versions after the last removal of those that were dropped.
    alive: usize,
}

/// Number of a sweep; never one that [`Referenced`] reserves.
#[derive(Clone, Copy, Debug)]
struct SweepNumber(u8);

impl Default for SweepNumber {
    fn default() -> Self {
        Self(1)
    }
}

impl SweepNumber {
    const fn next(self) -> Self {
        Self(self.0 % (Referenced::NEVER - 1) + 1)
    }
}

/// The reference mark of a node: referenced since the hand passed, surviving a sweep, or never
/// referenced.
#[derive(Debug)]
pub(crate) struct Referenced(AtomicU8);

impl Clone for Referenced {
    fn clone(&self) -> Self {
        Self(AtomicU8::new(self.0.load(Ordering::Relaxed)))
    }
}

impl Referenced {
    const NOW: u8 = 0;
    const NEVER: u8 = u8::MAX;

    pub(crate) fn never() -> Self {
        Self(AtomicU8::new(Self::NEVER))
    }

    /// Marks the node as referenced.
    pub(crate) fn set(&self) {
        if self.0.load(Ordering::Relaxed) != Self::NOW {
            self.0.store(Self::NOW, Ordering::Relaxed);
        }
    }

    /// Brings the mark into the processor's cache.
    pub(crate) fn prefetch(&self) {
        std::hint::black_box(self.0.load(Ordering::Relaxed));
    }

    /// Tells whether the node survives a sweep.
    fn survives(&self, sweep: SweepNumber) -> bool {
        let last = self.0.load(Ordering::Relaxed);
        if last == Self::NOW {
            self.0.store(sweep.0, Ordering::Relaxed);
        }
        last == Self::NOW || last == sweep.0
    }
}

/// The part of a sweep that runs over one tree.
#[derive(Debug)]
pub(crate) struct Sweep {
    number: SweepNumber,
    /// Bytes to evict.
    excess: usize,
    /// The key at which the sweep stops.
    end: Option<Box<[u8]>>,
}

impl Sweep {
    /// Tells whether the sweep stops before this key.
    pub(crate) fn ends_at(&mut self, key: &[u8]) -> bool {
        if self.excess == 0 {
            self.end.get_or_insert_with(|| key.into());
        }
        self.end.as_ref().is_some_and(|end| **end <= *key)
    }

    /// Tells whether a node of so many bytes is evicted, and counts them if it is.
    pub(crate) fn evicts(&mut self, mark: &Referenced, bytes: usize) -> bool {
        let evicts = !mark.survives(self.number);
        if evicts {
            self.excess = self.excess.saturating_sub(bytes);
        }
        evicts
    }
}

impl ClockHand {
    /// Includes a version of a tree in the sweeps.
    pub(super) fn watch(&mut self, tree: TreeId, version: Weak<dyn Evict>) {
        if self.trees.len() > 2 * self.alive + 16 {
            self.trees.retain(|tree| tree.all.iter().any(|version| version.strong_count() > 0));
            self.alive = self.trees.len();
        }
        let index = self.trees.binary_search_by_key(&tree, |versions| versions.tree);
        let index = index.unwrap_or_else(|index| {
            self.trees.insert(index, TreeVersions { tree, all: Vec::new(), alive: 0 });
            index
        });
        let versions = &mut self.trees[index];
        if versions.all.len() > 2 * versions.alive + 2 {
            versions.all.retain(|version| version.strong_count() > 0);
            versions.alive = versions.all.len();
        }
        versions.all.push(version);
    }

    /// Sweeps until so many bytes are evicted, for two sweeps at most: a node that survives one can
    /// be evicted in the next. The memory is free once no reader holds the nodes.
    pub(super) fn evict(&mut self, mut excess: usize) {
        for _ in 0..=2 {
            while excess > 0
                && let Some(versions) = self.trees.get(self.at.0)
            {
                let from = std::mem::take(&mut self.at.1);
                let mut sweep = Sweep { number: self.sweep, excess, end: None };
                let mut newest_first = versions.all.iter().rev().filter_map(Weak::upgrade);
                if let Some(newest) = newest_first.next() {
                    newest.evict(&from, &mut sweep);
                    excess = sweep.excess;
                }
                for older in newest_first {
                    // As far as in the newest version, however many bytes that evicts.
                    sweep.excess = usize::MAX;
                    older.evict(&from, &mut sweep);
                }
                match sweep.end {
                    Some(end) => self.at.1 = end,
                    None => self.at.0 += 1,
                }
            }
            if excess == 0 {
                return;
            }
            self.at.0 = 0;
            self.sweep = self.sweep.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conc::{Arc, Mutex};

    /// Nodes of ten bytes by key, and the keys of those that were evicted.
    #[derive(Debug)]
    struct Nodes(Vec<(u8, Referenced)>, Mutex<Vec<u8>>);

    impl Evict for Nodes {
        fn evict(&self, from: &[u8], sweep: &mut Sweep) {
            for (key, mark) in self.0.iter().filter(|(key, _)| [*key][..] >= *from) {
                if sweep.ends_at(&[*key]) {
                    break;
                }
                if !self.1.lock().contains(key) && sweep.evicts(mark, 10) {
                    self.1.lock().push(*key);
                }
            }
        }
    }

    #[test]
    fn a_referenced_node_survives_one_sweep_in_every_version() {
        let nodes = |referenced: &[u8]| {
            let marks = (0..6).map(|key| (key, Referenced::never()));
            let nodes = Arc::new(Nodes(marks.collect(), Mutex::new(Vec::new())));
            referenced.iter().for_each(|key| nodes.0[usize::from(*key)].1.set());
            nodes
        };
        let (older, newer) = (nodes(&[0]), nodes(&[0, 2]));
        let mut hand = ClockHand::default();
        hand.watch(TreeId(1), Arc::downgrade(&older) as _);
        hand.watch(TreeId(1), Arc::downgrade(&newer) as _);
        let evicted = || (older.1.lock().clone(), newer.1.lock().clone());
        hand.evict(20);
        assert_eq!(evicted(), (vec![1, 2, 3], vec![1, 3]), "to the same key");
        hand.evict(10);
        assert_eq!(evicted(), (vec![1, 2, 3, 4], vec![1, 3, 4]), "on from there");
        hand.evict(20);
        assert_eq!(newer.1.lock()[..], [1, 3, 4, 5, 0], "the next sweep evicts what survived");
    }
}
