//! The hand that goes around the keys of all trees of a file, and lets nodes go that were not used
//! since it came by before.
//!
//! The versions of a tree have most nodes in common, and a node takes memory until the last of them
//! lets it go. So the hand is at the same keys in all of them, and a node that was used is spared
//! in all of them, for one circle.

use super::TreeState;
use super::cache::{Cost, Family};
use crate::conc::{Arc, AtomicU8, Ordering, Weak};

/// Where the hand is.
#[derive(Debug, Default)]
pub(super) struct Hand {
    /// In the order of families.
    trees: Vec<Versions>,
    /// How many trees there were when those that are gone were last taken out.
    alive: usize,
    /// At which tree, and from which of its keys on.
    at: (usize, Box<[u8]>),
    circle: Circle,
}

/// The versions of a tree that somebody may have, oldest first.
#[derive(Debug)]
struct Versions {
    family: Family,
    all: Vec<Weak<TreeState>>,
    /// How many there were when those that are gone were last taken out.
    alive: usize,
}

/// Number of a circle of the hand; never one that [`Use`] has another meaning for.
#[derive(Clone, Copy, Debug)]
struct Circle(u8);

impl Default for Circle {
    fn default() -> Self {
        Self(1)
    }
}

impl Circle {
    const fn next(self) -> Self {
        Self(self.0 % (Use::NEVER - 1) + 1)
    }
}

/// When a node was used: since the hand came by, before the circle that it was spared in, or never.
#[derive(Debug)]
pub(super) struct Use(AtomicU8);

impl Clone for Use {
    fn clone(&self) -> Self {
        Self(AtomicU8::new(self.0.load(Ordering::Relaxed)))
    }
}

impl Use {
    const NOW: u8 = 0;
    const NEVER: u8 = u8::MAX;

    pub(super) fn never() -> Self {
        Self(AtomicU8::new(Self::NEVER))
    }

    pub(super) fn note(&self) {
        if self.0.load(Ordering::Relaxed) != Self::NOW {
            self.0.store(Self::NOW, Ordering::Relaxed);
        }
    }

    /// Brings it into the processor's cache.
    pub(super) fn warm(&self) {
        std::hint::black_box(self.0.load(Ordering::Relaxed));
    }

    /// Tells whether the hand spares the node.
    fn is_spared(&self, circle: Circle) -> bool {
        let last = self.0.load(Ordering::Relaxed);
        if last == Self::NOW {
            self.0.store(circle.0, Ordering::Relaxed);
        }
        last == Self::NOW || last == circle.0
    }
}

/// How far the hand goes in a tree.
#[derive(Debug)]
pub(super) struct Trim {
    circle: Circle,
    /// Bytes that are still to be let go.
    excess: usize,
    /// The key at which it ends.
    end: Option<Box<[u8]>>,
}

impl Trim {
    /// Tells whether it ends before this key.
    pub(super) fn ends_at(&mut self, key: &[u8]) -> bool {
        if self.excess == 0 {
            self.end.get_or_insert_with(|| key.into());
        }
        self.end.as_ref().is_some_and(|end| **end <= *key)
    }

    /// Tells whether a node is let go, and counts it then.
    pub(super) fn takes(&mut self, last: &Use, cost: &Cost) -> bool {
        let takes = !last.is_spared(self.circle);
        if takes {
            self.excess = self.excess.saturating_sub(cost.bytes);
        }
        takes
    }
}

impl Hand {
    /// Goes around a version of a tree as well, from now on.
    pub(super) fn watch(&mut self, tree: &Arc<TreeState>) {
        if self.trees.len() > 2 * self.alive + 16 {
            self.trees.retain(|tree| tree.all.iter().any(|version| version.strong_count() > 0));
            self.alive = self.trees.len();
        }
        let index = self.trees.binary_search_by_key(&tree.family, |tree| tree.family);
        let index = index.unwrap_or_else(|index| {
            self.trees.insert(index, Versions { family: tree.family, all: Vec::new(), alive: 0 });
            index
        });
        let versions = &mut self.trees[index];
        if versions.all.len() > 2 * versions.alive + 2 {
            versions.all.retain(|version| version.strong_count() > 0);
            versions.alive = versions.all.len();
        }
        versions.all.push(Arc::downgrade(tree));
    }

    /// Goes on until so many bytes were let go, for two circles at most: what is spared in one may
    /// be let go in the next. They are free once nobody stands on them.
    pub(super) fn let_go(&mut self, mut excess: usize) {
        for _ in 0..=2 {
            while excess > 0
                && let Some(versions) = self.trees.get(self.at.0)
            {
                let from = std::mem::take(&mut self.at.1);
                let mut trim = Trim { circle: self.circle, excess, end: None };
                let mut newest_first = versions.all.iter().rev().filter_map(Weak::upgrade);
                if let Some(newest) = newest_first.next() {
                    newest.trim(&from, &mut trim);
                    excess = trim.excess;
                }
                for older in newest_first {
                    // As far as the newest, whatever it comes to.
                    trim.excess = usize::MAX;
                    older.trim(&from, &mut trim);
                }
                match trim.end {
                    Some(end) => self.at.1 = end,
                    None => self.at.0 += 1,
                }
            }
            if excess == 0 {
                return;
            }
            self.at.0 = 0;
            self.circle = self.circle.next();
        }
    }
}
