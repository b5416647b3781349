//! State shared by all machines of a run: operands, keys, random choices.

use super::booted;
use super::definition::Twin;
use super::plan::Plan;
use crate::Rng;
use crate::entropy::SimEntropy;
use crate::fs::{Disk, SimFs};
use fastness::inspect::{Limits, set_limits};
use fastness::{Key, StoreOptions};
use fastness_models::Domain;
use fastness_models::domain::Bytes;
use std::cell::{Cell, RefCell};
use std::path::Path;
use std::sync::Arc;

/// Path of the store.
pub(super) const FILE: &str = "/sim/store.fast";
/// Path of copies.
pub(super) const COPY: &str = "/sim/copy.fast";
/// The key of the stores of a plan, in the encrypted twin.
pub(super) const SHARED_KEY: [u8; 64] = [0x4b; 64];

/// State shared by all machines of a run.
#[derive(Debug)]
pub(super) struct World {
    pub(super) twin: Twin,
    pub(super) domain: Domain,
    pub(super) salt: u32,
    rng: RefCell<Rng>,
    bytes_left: Cell<usize>,
}

/// Budget of a plan for large values, in bytes; later values are short.
const LARGE_VALUES_BYTES_MAX: usize = 6 << 20;
/// Values above this length are large.
const LARGE_VALUE_BYTES: usize = 4096;
/// Length of a short replacement for a large value.
const SHORT_VALUE_BYTES: usize = 8;

impl World {
    pub(super) fn new(plan: &Plan, twin: Twin) -> Self {
        let rng = RefCell::new(Rng::new(u64::from(plan.salt) << 8 | 0x5a));
        let bytes_left = Cell::new(LARGE_VALUES_BYTES_MAX);
        // Low limits make a few elements a long list.
        set_limits(if plan.salt >> 20 & 1 == 0 { Limits::LOW } else { Limits::REAL });
        Self { twin, domain: Domain::new(plan.salt), salt: plan.salt, rng, bytes_left }
    }

    /// Lowers the budget for large values, for checks with a high cost per byte.
    pub(super) fn limit(&self, bytes: usize) {
        self.bytes_left.set(bytes);
    }

    /// Returns the value of an operand, within the budget of the plan.
    pub(super) fn value(&self, operand: u8, stamp: u32) -> Bytes {
        let len = self.domain.value_len(operand);
        if len <= LARGE_VALUE_BYTES {
            return self.domain.value_of(len, stamp);
        }
        let left = self.bytes_left.get().checked_sub(len);
        self.bytes_left.set(left.unwrap_or_else(|| self.bytes_left.get()));
        self.domain.value_of(if left.is_some() { len } else { SHORT_VALUE_BYTES }, stamp)
    }

    /// Makes a random choice.
    pub(super) fn rng<T>(&self, decide: impl FnOnce(&mut Rng) -> T) -> T {
        decide(&mut self.rng.borrow_mut())
    }

    /// Boots a machine with this disk; no two machines of a run draw the same bytes.
    pub(super) fn boot(&self, disk: Disk) -> SimFs {
        let fs = SimFs::boot(disk, self.rng(Rng::next));
        booted::keep(&fs);
        fs
    }

    /// Returns the key of the store, if it has one.
    pub(super) fn key(&self) -> Option<Key> {
        match self.twin {
            Twin::Plain => None,
            Twin::Encrypted => Some(Key::new(SHARED_KEY)),
        }
    }

    /// Returns store options for a file system, with the right key.
    pub(super) fn options(&self, fs: &SimFs) -> StoreOptions {
        let options = self.options_without_key(fs);
        match self.key() {
            Some(key) => options.key(key),
            None => options,
        }
    }

    /// Returns the size of the log: small, so that it is often full, or none.
    pub(super) const fn log_pages(&self) -> u64 {
        match self.salt >> 26 & 7 {
            0 => 0,
            1 | 2 => 2,
            3..6 => 6,
            _ => 20,
        }
    }

    /// Returns the limit for buffered deferred commits, in bytes.
    const fn waiting_bytes(&self) -> usize {
        match self.salt >> 24 & 3 {
            0 => 400,
            1 => 6000,
            _ => usize::MAX,
        }
    }

    /// Returns store options for a file system, without a key.
    pub(super) fn options_without_key(&self, fs: &SimFs) -> StoreOptions {
        let entropy = SimEntropy::new(self.rng(Rng::next));
        let options =
            StoreOptions::new().vfs(Arc::new(fs.clone())).random_source(Arc::new(entropy));
        // Sometimes with a tiny cache, so that transactions spill, or with every commit on the path
        // of large commits.
        let options = match self.salt >> 29 {
            0 | 2 => options.cache_bytes(8 << 10).spill_bytes(4 << 10),
            1 => options.one_sync_pages(2),
            _ => options,
        };
        options.log_pages(self.log_pages()).waiting_bytes(self.waiting_bytes())
    }
}

/// A key of no store.
pub(super) fn wrong_key() -> Key {
    let mut bytes = SHARED_KEY;
    bytes[63] ^= 1;
    Key::new(bytes)
}

/// The key of copies.
pub(super) fn other_key() -> Key {
    Key::new([0xc3; 64])
}

/// The path of the store.
pub(super) fn file() -> &'static Path {
    Path::new(FILE)
}
