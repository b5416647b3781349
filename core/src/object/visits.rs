//! Visits of queries, counted for the checks: 1 for an entry of an index, [`OBJECT`] for an object.

/// How many entries of an index cost as much as an object.
pub(super) const OBJECT: usize = 4;

/// Counts visits of this thread.
#[cfg(not(any(test, feature = "inspect")))]
pub(super) const fn count(_visits: usize) {}

#[cfg(any(test, feature = "inspect"))]
pub(super) use counter::count;
#[cfg(any(test, feature = "inspect"))]
pub use counter::visits;

#[cfg(any(test, feature = "inspect"))]
mod counter {
    use std::cell::Cell;

    std::thread_local! {
        static VISITS: Cell<usize> = const { Cell::new(0) };
    }

    /// Counts visits of this thread.
    pub(crate) fn count(visits: usize) {
        VISITS.set(VISITS.get().wrapping_add(visits));
    }

    /// Returns the visits of queries of this thread so far.
    #[must_use]
    pub fn visits() -> usize {
        VISITS.get()
    }
}
