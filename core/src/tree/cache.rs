//! Which committed nodes stay in memory: a byte budget over all trees and snapshots of a file.
//!
//! Nodes hang on their parents; the cache only remembers where, in order of arrival, and lets go of
//! those not used since it last looked.

use super::Node;
use super::node::Cost;
use crate::conc::{Arc, AtomicUsize, Mutex, Ordering, Weak};
use std::collections::VecDeque;

/// The budget and the order of arrival.
#[derive(Debug)]
pub(crate) struct Cache {
    bytes_max: usize,
    bytes: Arc<AtomicUsize>,
    arrivals: Mutex<VecDeque<(Weak<Node>, usize)>>,
}

/// How many arrivals are looked at when one node comes in.
const LOOKS_MAX: usize = 64;

impl Cache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bytes: Arc::default(), arrivals: Mutex::default() }
    }

    pub(crate) fn cost(&self, bytes: usize) -> Cost {
        Cost::count(&self.bytes, bytes)
    }

    /// Returns the bytes held now, by the cache or by whoever uses a node.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Remembers that a child has come in, and lets go of others beyond the budget.
    pub(crate) fn admit(&self, parent: &Arc<Node>, index: usize) {
        let mut arrivals = self.arrivals.lock();
        arrivals.push_back((Arc::downgrade(parent), index));
        let mut looks = LOOKS_MAX;
        while self.bytes() > self.bytes_max && looks > 0 {
            looks -= 1;
            let Some((parent, index)) = arrivals.pop_front() else { return };
            let Some(held) = parent.upgrade() else { continue };
            if !held.evict(index) {
                arrivals.push_back((parent, index));
            }
        }
        // Places on nodes that are gone would pile up while all fits.
        let nodes_max = self.bytes() / crate::unit::PAGE_BYTES + LOOKS_MAX;
        if arrivals.len() > 4 * nodes_max {
            arrivals.retain(|(parent, _)| parent.strong_count() > 0);
        }
    }
}
