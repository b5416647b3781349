//! Faults of the B+tree.

use super::{Fault, on};
use std::cmp::Ordering;

/// BT-07: keys are compared as signed bytes.
#[inline(always)]
pub(crate) fn signed_order(order: Ordering, a: &[u8], b: &[u8]) -> Ordering {
    if !on(Fault::Bt07) {
        return order;
    }
    let signed = |byte: &u8| byte ^ 0x80;
    a.iter().map(signed).cmp(b.iter().map(signed))
}

/// BT-07: the heads of keys, which are unsigned, do not narrow a search.
#[inline(always)]
pub(crate) fn whole_range(range: (usize, usize), count: usize) -> (usize, usize) {
    if on(Fault::Bt07) { (0, count) } else { range }
}

/// FS-09, FS-10: after damage, a salvage scan skips the rest of the node.
pub(crate) fn skip_node(fault: Fault, next: &mut usize, count: usize) {
    if on(fault) {
        *next = count;
    }
}
