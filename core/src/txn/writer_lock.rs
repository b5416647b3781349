//! The writer lock: one writer at a time, the others wait.
//!
//! - N2 At most one writer holds the lock, and it sees every write of the one before it.
//!
//! Model: loom-tests, `writer_lock`.

use crate::conc::{Condvar, Mutex, YIELDS, yield_now};

/// A lock whose holder owns the guarded value until it unlocks.
#[derive(Debug)]
pub(crate) struct WriterLock<W> {
    slot: Mutex<LockSlot<W>>,
    unlocked: Condvar,
}

#[derive(Debug)]
struct LockSlot<W> {
    /// `None` while the lock is held.
    value: Option<W>,
    /// Threads that sleep: a wake-up costs a system call even without sleepers.
    sleepers: usize,
}

impl<W> WriterLock<W> {
    pub(crate) fn new(value: W) -> Self {
        let slot = LockSlot { value: Some(value), sleepers: 0 };
        Self { slot: Mutex::new(slot), unlocked: Condvar::new() }
    }

    /// Waits for the lock and takes the value.
    pub(crate) fn lock(&self) -> W {
        // Most transactions are shorter than a wake-up takes.
        for _ in 0..YIELDS {
            if let Some(value) = self.try_lock() {
                return value;
            }
            yield_now();
        }
        let mut slot = self.slot.lock();
        loop {
            if let Some(value) = slot.value.take() {
                return value;
            }
            slot.sleepers += 1;
            slot = self.unlocked.wait(slot);
            slot.sleepers -= 1;
        }
    }

    /// Takes the value if the lock is free.
    pub(crate) fn try_lock(&self) -> Option<W> {
        self.slot.lock().value.take()
    }

    /// Returns the value and wakes a waiting writer.
    ///
    /// # Panics
    /// N2: if the lock is not held.
    pub(crate) fn unlock(&self, value: W) {
        let mut slot = self.slot.lock();
        let before = slot.value.replace(value);
        assert!(before.is_none(), "N2: two writers held the lock");
        let wake = slot.sleepers > 0;
        drop(slot);
        if wake {
            self.unlocked.notify_one();
        }
    }
}
