//! Faults of the state on tables.

use super::{Fault, on};
use crate::entry::{Change, Operation, Value};

/// SN-20: a purge goes one seq too far.
#[inline(always)]
pub(crate) fn one_further(horizon: u64) -> u64 {
    if on(Fault::Sn20) { horizon.saturating_add(1) } else { horizon }
}

/// SN-11: hidden elements are reversed when their gap joins a longer one.
#[inline(always)]
pub(crate) fn reversed(distance: i64, (first, order): (i64, i64)) -> i64 {
    if on(Fault::Sn11) { order - first + 1 } else { distance }
}

/// SY-05: an entry leaves out what sets a property to null.
#[inline(always)]
pub(crate) fn set_to_value(operation: Option<Operation<'_>>) -> Option<Operation<'_>> {
    let is_null = |change| matches!(change, Change::Set(Value::Null));
    operation.filter(|operation| {
        let Operation::Change { change, .. } = operation else { return true };
        !is_null(*change) || !on(Fault::Sy05)
    })
}
