//! Faults of the merge rules.

use super::{Fault, on};
use crate::entry::Anchor;
use crate::merge::{Author, ElementRecord, Stamp};

/// SY-07: the first of two writes with one stamp wins.
#[inline(always)]
pub(crate) fn first_of_tie(wins: bool, (own, last): (Stamp, Stamp)) -> bool {
    if on(Fault::Sy07) { own.time > last.time || own == last } else { wins }
}

/// SN-02: a deletion record has the newest Delete only.
#[inline(always)]
pub(crate) fn newest_only(seq_of_others: u64) -> u64 {
    if on(Fault::Sn02) { 0 } else { seq_of_others }
}

/// SN-26: a Delete right after the base counts as known.
#[inline(always)]
pub(crate) fn later(base: u64) -> u64 {
    if on(Fault::Sn26) { base.saturating_add(1) } else { base }
}

/// SN-07: an increment is stored in a byte.
#[inline(always)]
pub(crate) fn in_a_byte(by: i64) -> i64 {
    if on(Fault::Sn07) { by.clamp(i8::MIN.into(), i8::MAX.into()) } else { by }
}

/// SN-10: a removal loses against a concurrent write of the element.
#[inline(always)]
pub(crate) fn loses_to_write(author: &Author, known: ElementRecord) -> bool {
    on(Fault::Sn10)
        && known
            .value
            .is_some_and(|last| last.seq > author.base && last.stamp.client != author.client)
}

/// SY-03: an element that moves behind another one lands before it.
#[inline(always)]
pub(crate) fn before(anchor: Anchor) -> Anchor {
    match anchor {
        Anchor::After(element) if on(Fault::Sy03) => Anchor::Before(element),
        Anchor::Head | Anchor::After(_) | Anchor::Before(_) => anchor,
    }
}
