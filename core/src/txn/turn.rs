//! The turn to write: one writer at a time, the others wait.
//!
//! - N2 At most one writer has the turn; whoever gets it sees all that the one before it left.
//!
//! Model: loom-tests, `turn`.

use crate::conc::{Condvar, Mutex, YIELDS, yield_now};

/// What the writers pass on.
#[derive(Debug)]
pub(crate) struct Turn<W> {
    place: Mutex<Place<W>>,
    returned: Condvar,
}

#[derive(Debug)]
struct Place<W> {
    /// `None` while somebody has the turn.
    baton: Option<W>,
    /// How many are to be woken: to wake costs a call of the system even if nobody sleeps.
    asleep: usize,
}

impl<W> Turn<W> {
    pub(crate) fn new(baton: W) -> Self {
        let place = Place { baton: Some(baton), asleep: 0 };
        Self { place: Mutex::new(place), returned: Condvar::new() }
    }

    /// Waits for the turn.
    pub(crate) fn take(&self) -> W {
        // Most turns are shorter than it takes to be woken.
        for _ in 0..YIELDS {
            if let Some(taken) = self.try_take() {
                return taken;
            }
            yield_now();
        }
        let mut place = self.place.lock();
        loop {
            if let Some(taken) = place.baton.take() {
                return taken;
            }
            place.asleep += 1;
            place = self.returned.wait(place);
            place.asleep -= 1;
        }
    }

    /// Takes the turn if nobody has it.
    pub(crate) fn try_take(&self) -> Option<W> {
        self.place.lock().baton.take()
    }

    /// Ends the turn.
    pub(crate) fn give(&self, baton: W) {
        let mut place = self.place.lock();
        place.baton = Some(baton);
        let wake = place.asleep > 0;
        drop(place);
        if wake {
            self.returned.notify_one();
        }
    }
}
