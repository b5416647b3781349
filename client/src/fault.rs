//! Planted faults: bugs that tests of this crate must find, [`faults`](../tests/faults.rs).
//!
//! Without the feature `faults`, [`on`] is the constant `false`, and a real build has no fault.

#[cfg(feature = "faults")]
pub(crate) use planted::{keep_writers_away, let_writers_in, on, take_turn};

#[cfg(feature = "faults")]
mod planted {
    use fastness::object::{Database, Transaction};
    use std::cell::RefCell;
    use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

    /// Tells whether a fault is planted in this process, by the variable `FASTNESS_FAULT`.
    pub(crate) fn on(id: &str) -> bool {
        static PLANTED: OnceLock<Option<String>> = OnceLock::new();
        PLANTED.get_or_init(|| std::env::var("FASTNESS_FAULT").ok()).as_deref() == Some(id)
    }

    /// NC-10: the files of an app take turns.
    pub(crate) fn take_turn() -> Option<MutexGuard<'static, ()>> {
        static TURN: Mutex<()> = Mutex::new(());
        on("NC-10").then(|| TURN.lock().unwrap_or_else(PoisonError::into_inner))
    }

    thread_local! {
        static HELD: RefCell<Option<Transaction>> = const { RefCell::new(None) };
    }

    /// NC-11: a merge keeps the writers of the app away until the next message.
    pub(crate) fn keep_writers_away(database: &Database) {
        if on("NC-11") {
            HELD.set(database.write().ok());
        }
    }

    /// The next message.
    pub(crate) fn let_writers_in() {
        drop(HELD.take());
    }
}

/// Tells whether a fault is planted: never in a real build.
#[cfg(not(feature = "faults"))]
pub(crate) const fn on(_: &str) -> bool {
    false
}

#[cfg(not(feature = "faults"))]
pub(crate) const fn take_turn() -> Option<()> {
    None
}

#[cfg(not(feature = "faults"))]
pub(crate) const fn keep_writers_away(_: &fastness::object::Database) {}

#[cfg(not(feature = "faults"))]
pub(crate) const fn let_writers_in() {}
