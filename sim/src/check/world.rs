//! What all machines of one run share: the operands, the keys, and the chance that a seed decides.

use super::{Plan, Twin};
use crate::entropy::SimEntropy;
use crate::fs::{Disk, SimFs};
use crate::rng::Rng;
use fastness::{Key, StoreOptions};
use fastness_models::Domain;
use fastness_models::domain::Bytes;
use std::cell::{Cell, RefCell};
use std::path::Path;
use std::sync::Arc;

/// Where the store is.
pub(super) const FILE: &str = "/sim/store.fast";
/// Where copies of it go.
pub(super) const COPY: &str = "/sim/copy.fast";
/// What all machines of one run share.
#[derive(Debug)]
pub(super) struct World {
    pub(super) twin: Twin,
    pub(super) domain: Domain,
    pub(super) salt: u32,
    rng: RefCell<Rng>,
    bytes_left: Cell<usize>,
}

/// Bytes of large values that a plan may write; later values are short.
const LARGE_VALUES_BYTES_MAX: usize = 6 << 20;
/// Above this length a value is large.
const LARGE_VALUE_BYTES: usize = 4096;
/// Length of a value instead of which a large one was meant.
const SHORT_VALUE_BYTES: usize = 8;

impl World {
    pub(super) fn new(plan: &Plan, twin: Twin) -> Self {
        let rng = RefCell::new(Rng::new(u64::from(plan.salt) << 8 | 0x5a));
        let bytes_left = Cell::new(LARGE_VALUES_BYTES_MAX);
        Self { twin, domain: Domain::new(plan.salt), salt: plan.salt, rng, bytes_left }
    }

    /// Lets the plan write less, where a check does much with every byte.
    pub(super) fn limit(&self, bytes: usize) {
        self.bytes_left.set(bytes);
    }

    /// Returns the value an operand stands for, as long as the plan may write so much.
    pub(super) fn value(&self, operand: u8, stamp: u32) -> Bytes {
        let len = self.domain.value_len(operand);
        if len <= LARGE_VALUE_BYTES {
            return self.domain.value_of(len, stamp);
        }
        let left = self.bytes_left.get().checked_sub(len);
        self.bytes_left.set(left.unwrap_or_else(|| self.bytes_left.get()));
        self.domain.value_of(if left.is_some() { len } else { SHORT_VALUE_BYTES }, stamp)
    }

    /// Decides something.
    pub(super) fn rng<T>(&self, decide: impl FnOnce(&mut Rng) -> T) -> T {
        decide(&mut self.rng.borrow_mut())
    }

    /// Starts a machine with this disk; no two of a run behave or draw bytes alike.
    pub(super) fn boot(&self, disk: Disk) -> SimFs {
        SimFs::boot(disk, self.rng(Rng::next))
    }

    /// The key of the store, if it has one.
    pub(super) fn key(&self) -> Option<Key> {
        match self.twin {
            Twin::Plain => None,
            Twin::Encrypted => Some(Key::new([0x4b; 64])),
        }
    }

    /// StoreOptions on a machine with the right key.
    pub(super) fn options(&self, fs: &SimFs) -> StoreOptions {
        let options = self.options_without_key(fs);
        match self.key() {
            Some(key) => options.key(key),
            None => options,
        }
    }

    /// Pages of the log: few, so that it is often full, or none.
    pub(super) const fn log_pages(&self) -> u64 {
        match self.salt >> 26 & 7 {
            0 => 0,
            1 | 2 => 2,
            3..6 => 6,
            _ => 20,
        }
    }

    /// Bytes of commits that nobody waits for, until they are written.
    const fn waiting_bytes(&self) -> usize {
        match self.salt >> 24 & 3 {
            0 => 400,
            1 => 6000,
            _ => usize::MAX,
        }
    }

    /// StoreOptions on a machine without a key.
    pub(super) fn options_without_key(&self, fs: &SimFs) -> StoreOptions {
        let entropy = SimEntropy::new(self.rng(Rng::next));
        let options =
            StoreOptions::new().vfs(Arc::new(fs.clone())).random_source(Arc::new(entropy));
        // Now and then next to nothing is kept in memory, or commits go the way of large ones.
        let options = match self.salt >> 29 {
            0 => options.cache_bytes(8 << 10),
            1 => options.one_sync_pages(2),
            _ => options,
        };
        options.log_pages(self.log_pages()).waiting_bytes(self.waiting_bytes())
    }
}

/// A key that no store has.
pub(super) fn wrong_key() -> Key {
    let mut bytes = [0x4b; 64];
    bytes[63] ^= 1;
    Key::new(bytes)
}

/// The key that copies are given.
pub(super) fn other_key() -> Key {
    Key::new([0xc3; 64])
}

/// The path of the store.
pub(super) fn file() -> &'static Path {
    Path::new(FILE)
}
