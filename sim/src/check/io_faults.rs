//! Injected disk faults, and the permitted consequences.

use super::definition::Violation;
use super::promises::{C3, C11, C12};
use crate::fs::{Call, Failure, Fault, Injection};
use fastness::{Error, PAGE_BYTES, Store};
use fastness_models::Op;

/// Returns the fault that an operation injects.
pub(super) fn injection(op: Op) -> Injection {
    let fault = Fault::ALL[usize::from(op.a) % Fault::ALL.len()];
    Injection { fault, after: u32::from(op.b % 24), lasting: op.c & 1 == 1 }
}

/// Returns a fault for the next write.
pub(super) fn next_write(op: Op) -> Injection {
    let fault = if op.b & 8 == 0 { Fault::NoSpace } else { Fault::Io };
    Injection { fault, after: 0, lasting: false }
}

/// Returns whether a store is poisoned.
pub(super) fn is_poisoned(store: &Store) -> bool {
    matches!(store.write(), Err(Error::Poisoned { .. }))
}

/// Returns the mark of a failed commit.
pub(super) const fn commit_mark(poisoned: bool) -> &'static str {
    match poisoned {
        true => "commit failed and the store was poisoned",
        false => "commit failed and the store stayed usable",
    }
}

/// A failed sync or slot write leaves the disk state unknown; a failed page write does not.
pub(super) fn judge_commit(
    (failure, lasting): (Option<Failure>, bool),
    poisoned: bool,
) -> Result<(), Violation> {
    let Some(failure) = failure else {
        return Err(Violation::new(C11.id, "a commit failed without an injected fault"));
    };
    let header = 3 * PAGE_BYTES as u64;
    let unknown = match failure.call {
        Call::Sync | Call::SyncDir => true,
        Call::Write => failure.offset < header,
        _ => false,
    };
    // A failed record is rolled back, and the rollback may fail too.
    let rolled_back = failure.call == Call::Write && failure.offset >= header;
    if unknown == poisoned || rolled_back && lasting {
        return Ok(());
    }
    let text = format!("a commit failed at {failure:?}, and the store is poisoned: {poisoned}");
    Err(Violation::new(C3.id, text))
}

/// Every error needs a cause: a failed call, or the state that an earlier failure left.
pub(super) fn blame(
    error: &Error,
    injected: Option<Injection>,
    (failure, uncertain): (Option<Failure>, bool),
) -> Result<(), Violation> {
    let excused = match error {
        Error::Poisoned { .. } => uncertain,
        _ => failure.is_some(),
    };
    if !excused {
        return Err(Violation::new(C11.id, format!("refused without an injected fault: {error}")));
    }
    if injected.is_some_and(|injection| injection.fault == Fault::Short) {
        return Err(Violation::new(C12.id, format!("a short read or write caused: {error}")));
    }
    Ok(())
}
