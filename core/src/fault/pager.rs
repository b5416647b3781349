//! Faults of reading and writing pages.

use super::{Fault, on};
use crate::unit::PageId;

/// EN-09: a page's offset overflows a narrow integer.
#[inline(always)]
pub(crate) fn narrow(page: PageId) -> PageId {
    if on(Fault::En09) { PageId(page.0 & 0x3f) } else { page }
}
