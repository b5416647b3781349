//! The turn to write: one writer at a time, the others wait.
//!
//! - N2 At most one writer has the turn; whoever gets it sees all that the one before it left.
//!
//! Model: loom-tests, `turn`.

use crate::conc::{Condvar, Mutex, YIELDS, yield_now};

/// What the writers pass on.
#[derive(Debug)]
pub(crate) struct Turn<W> {
    baton: Mutex<Option<W>>,
    returned: Condvar,
}

impl<W> Turn<W> {
    pub(crate) fn new(baton: W) -> Self {
        Self { baton: Mutex::new(Some(baton)), returned: Condvar::new() }
    }

    /// Waits for the turn.
    pub(crate) fn take(&self) -> W {
        // Most turns are shorter than it takes to be woken.
        for _ in 0..YIELDS {
            if let Some(taken) = self.baton.lock().take() {
                return taken;
            }
            yield_now();
        }
        let mut baton = self.baton.lock();
        loop {
            match baton.take() {
                Some(taken) => return taken,
                None => baton = self.returned.wait(baton),
            }
        }
    }

    /// Takes the turn if nobody has it.
    pub(crate) fn try_take(&self) -> Option<W> {
        self.baton.lock().take()
    }

    /// Ends the turn.
    pub(crate) fn give(&self, baton: W) {
        *self.baton.lock() = Some(baton);
        self.returned.notify_one();
    }
}
