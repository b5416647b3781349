//! Objects against their model: every operation, refusals, snapshots, crashes during commits.

pub(super) mod bridge;
pub(super) mod commit_hook;
pub(super) mod compare;
pub(super) mod driver;
mod fault_injector;
pub(super) mod harness;
pub(super) mod lifecycle;
pub(super) mod object_check;
pub(super) mod own_error;
mod structs;

use super::compare::CheckError;
use super::promises::{
    A4, B1, B2, B3, B4, B5, B6, B8, B9, B13, B16, C2, C3, C5, C8, C9, C11, C12, C13, D4, Q2,
};
use crate::check::definition::{Check, Distribution};
use fastness_models::{Op, OpKind};
use harness::ObjectHarness;
use object_check::ObjectCheck;

pub(super) const CHECK: Check = Check {
    name: "objects",
    about: "objects, links and lists against their model, with crashes in every commit",
    invariants: &[
        B1, B2, B3, B4, B5, B9, B16, C2, C3, C5, C8, C9, C11, C12, C13, D4, B6, B8, B13, Q2, A4,
    ],
    marks: &[
        "wrote through another database over the store",
        "transaction continued after a refusal",
        "deleted the target of a link",
        "deleted an element of a list",
        "deleted all objects of a class",
        "created an object with a deleted key",
        "set an out-of-line value",
        "moved a list element",
        "changed a chunked list",
        "crash during a commit: lost",
        "crash during a commit: kept",
        "read a snapshot of an older commit",
        "aborted after drawing numbers",
        "an error of the app rolled a transaction back",
        "opened with its own classes",
        "opened with classes of structs",
        "struct created an object",
        "struct overwrote an object",
        "struct updated an object",
        "struct refused",
        "operation of a transaction failed",
        "commit failed and the store stayed usable",
        "commit failed and the store was poisoned",
        "failed commit present after a crash",
        "failed commit absent after a crash",
        "power loss after a failure",
        "closing failed",
        "short read or write completed",
    ],
    distribution: Distribution {
        mix: &[
            (OpKind::Create, 10),
            (OpKind::Upsert, 6),
            (OpKind::Set, 30),
            (OpKind::Update, 10),
            (OpKind::Add, 3),
            (OpKind::Delete, 6),
            (OpKind::ListInsert, 14),
            (OpKind::ListEdit, 10),
            (OpKind::ReadObject, 10),
            (OpKind::ReadAllObjects, 1),
            (OpKind::Commit, 5),
            (OpKind::Abort, 1),
            (OpKind::TakeSnapshot, 1),
            (OpKind::ScanSnapshot, 1),
            (OpKind::DropSnapshot, 1),
            (OpKind::Verify, 1),
            (OpKind::Reopen, 1),
            (OpKind::Compact, 1),
            (OpKind::Kill, 1),
            (OpKind::PowerLoss, 1),
            (OpKind::Inject, 3),
            (OpKind::ClearFault, 1),
        ],
        ops_min: 40,
        ops_max: 160,
    },
    body: driver::run::<ObjectsCheck>,
};

/// The common operations only.
struct ObjectsCheck;

impl ObjectCheck for ObjectsCheck {
    const INVARIANT: &'static str = B1.id;

    fn begin(_harness: &mut ObjectHarness<'_>) -> Result<Self, CheckError> {
        Ok(Self)
    }

    fn act(&mut self, harness: &mut ObjectHarness<'_>, op: Op) -> Result<(), CheckError> {
        harness.act(op)?;
        match op.kind {
            OpKind::Abort => own_error::end_a_transaction(harness, op),
            _ => Ok(()),
        }
    }
}
