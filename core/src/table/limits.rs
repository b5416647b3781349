//! Limits of the parts of a list, which a writer keeps, of the steps of a query, and of the changes
//! kept for a live result. A reader does not depend on them.
//!
//! The checks run under lower limits, so that short plans meet each of them.
//!
//! Format: docs/objects.md#lists.

#![cfg_attr(
    not(any(test, feature = "inspect")),
    allow(unreachable_pub, reason = "only tools and checks set limits")
)]

/// Longest chunk that is written, in bytes of its elements; a longer element has a chunk of its
/// own.
pub(super) const CHUNK_BYTES_MAX: usize = 1024;

/// Limits of the parts of a list, of the steps of a query, and of changes kept for a live result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest chunk, in bytes of its elements. A chunk of less than a quarter is merged with a
    /// neighbour when it shrinks.
    pub chunk_bytes: usize,
    /// Most chunks of a list without segments. A list with segments and less than half loses them.
    pub flat_chunks: usize,
    /// Most chunks of a segment. A segment with less than a quarter is merged with a neighbour when
    /// it is edited.
    pub segment_chunks: usize,
    /// Entries of an index that a query walks before it decides for another plan.
    pub index_entries: usize,
    /// Keys of changed objects that are kept for a live result.
    pub pending_keys: usize,
}

impl Limits {
    /// The limits of the product.
    pub const REAL: Self = Self {
        chunk_bytes: CHUNK_BYTES_MAX,
        flat_chunks: 64,
        segment_chunks: 120,
        index_entries: 64,
        pending_keys: 1 << 16,
    };

    /// Limits that a few elements or objects meet.
    #[cfg(any(test, feature = "inspect"))]
    pub const LOW: Self = Self {
        chunk_bytes: 96,
        flat_chunks: 6,
        segment_chunks: 8,
        index_entries: 4,
        pending_keys: 6,
    };
}

/// Returns the limits of this thread.
#[cfg(not(any(test, feature = "inspect")))]
pub(crate) const fn limits() -> Limits {
    Limits::REAL
}

#[cfg(any(test, feature = "inspect"))]
pub use settable::{limits, set_limits};

#[cfg(any(test, feature = "inspect"))]
mod settable {
    use super::Limits;
    use std::cell::Cell;

    std::thread_local! {
        static LIMITS: Cell<Limits> = const { Cell::new(Limits::REAL) };
    }

    /// Returns the limits of this thread.
    #[must_use]
    pub fn limits() -> Limits {
        LIMITS.get()
    }

    /// Sets the limits of this thread.
    pub fn set_limits(limits: Limits) {
        LIMITS.set(limits);
    }
}
