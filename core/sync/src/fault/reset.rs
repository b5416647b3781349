//! Faults of the rules of a client reset.

use super::{Fault, on};
use crate::entry::{Change, Operation, Value};
use crate::merge::MergeState;
use crate::outcome::Outcome;

/// SN-31: a reset does not report that it replaced an anchor.
pub(crate) fn unadjusted() -> Outcome {
    if on(Fault::Sn31) { Outcome::Applied } else { Outcome::Adjusted }
}

/// RS-09: a reset creates the target of a link again.
pub(crate) fn create_target<S: MergeState>(
    state: &mut S,
    operation: Operation<'_>,
) -> Result<(), S::Error> {
    let Operation::Change { change, .. } = operation else { return Ok(()) };
    let (Change::Set(value) | Change::ListInsert { value, .. } | Change::ListSet { value, .. }) =
        change
    else {
        return Ok(());
    };
    if let Value::Link(to) = value
        && on(Fault::Rs09)
        && !state.exists(to)?
    {
        state.create(to)?;
    }
    Ok(())
}
