//! Faults of the server's replica.

use super::{Fault, on};
use fastness::Durability;

/// SN-14: a clock that is ahead gains all that it is ahead.
pub(crate) fn unclamped(latest: u64) -> u64 {
    if on(Fault::Sn14) { u64::MAX - 1 } else { latest }
}

/// SN-13: an effective stamp may be below those that its author knew.
pub(crate) fn unknown(least: u64) -> u64 {
    if on(Fault::Sn13) { 0 } else { least }
}

/// SY-15: the horizon passes what pending entries refer to.
pub(crate) fn no_base(oldest: u64) -> u64 {
    if on(Fault::Sy15) { u64::MAX } else { oldest }
}

/// SN-43: a restored backup gives numbers to clients that others have.
pub(crate) fn no_clients(skipped: u32) -> u32 {
    if on(Fault::Sn43) { 0 } else { skipped }
}

/// SN-34: the server acknowledges entries before they are durable.
pub(crate) fn durability(durability: Durability) -> Durability {
    if on(Fault::Sn34) { Durability::None } else { durability }
}
