//! Faults of tables.

use super::{Fault, on};

/// OB-10: a chunk of a list keeps the count that it had.
#[inline(always)]
pub(crate) fn older_count(count: u32, older: Option<u32>) -> u32 {
    older.filter(|_| on(Fault::Ob10)).unwrap_or(count)
}

/// OB-15: the bytes of removed elements still count for their list.
#[inline(always)]
pub(crate) fn uncounted(removed: usize) -> usize {
    if on(Fault::Ob15) { 0 } else { removed }
}
