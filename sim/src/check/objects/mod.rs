//! Objects against their model: every operation, refusals, snapshots, crashes during commits.

pub(super) mod bench;
pub(super) mod bridge;
pub(super) mod compare;
pub(super) mod course;
pub(super) mod ear;
pub(super) mod life;
mod storm;
mod structs;

use super::compare::Stop;
use super::promises::{B1, B2, B3, B4, B5, B9, C2, C3, C5, C8, C9, C11, C12, C13, D4};
use super::{Check, Recipe};
use bench::Bench;
use course::Course;
use fastness_models::{Kind, Op};

pub(super) const CHECK: Check = Check {
    name: "objects",
    about: "objects, links and lists against their model, with crashes in every commit",
    invariants: &[B1, B2, B3, B4, B5, B9, C2, C3, C5, C8, C9, C11, C12, C13, D4],
    marks: &[
        "a refused operation, and the transaction went on",
        "deleted an object that was linked to",
        "deleted an object that was in a list",
        "deleted all objects of a class",
        "created an object where one was deleted",
        "set a value that lies apart",
        "moved an element",
        "changed a list in pieces",
        "crash in a commit: before it",
        "crash in a commit: after it",
        "read a snapshot of an older commit",
        "aborted after taking numbers",
        "opened with the classes it has",
        "opened with the classes of structs",
        "a struct created",
        "a struct written over an object",
        "a struct updated",
        "a struct refused",
        "operation of a transaction failed",
        "commit failed and the store went on",
        "commit failed and the store was poisoned",
        "failed commit was there after all",
        "failed commit was not there",
        "power loss after a failure",
        "closing failed",
        "short read or write made good",
    ],
    recipe: Recipe {
        mix: &[
            (Kind::Create, 10),
            (Kind::Upsert, 6),
            (Kind::Set, 30),
            (Kind::Update, 10),
            (Kind::Add, 3),
            (Kind::Delete, 6),
            (Kind::ListInsert, 14),
            (Kind::ListEdit, 10),
            (Kind::Look, 10),
            (Kind::LookAll, 1),
            (Kind::Commit, 5),
            (Kind::Abort, 1),
            (Kind::TakeSnapshot, 1),
            (Kind::ScanSnapshot, 1),
            (Kind::DropSnapshot, 1),
            (Kind::Verify, 1),
            (Kind::Reopen, 1),
            (Kind::Compact, 1),
            (Kind::Kill, 1),
            (Kind::PowerLoss, 1),
            (Kind::Inject, 3),
            (Kind::Heal, 1),
        ],
        ops_min: 40,
        ops_max: 160,
    },
    body: course::run::<Objects>,
};

/// The common operations only.
struct Objects;

impl Course for Objects {
    const INVARIANT: &'static str = B1.id;

    fn begin(_bench: &mut Bench<'_>) -> Result<Self, Stop> {
        Ok(Self)
    }

    fn act(&mut self, bench: &mut Bench<'_>, op: Op) -> Result<(), Stop> {
        bench.act(op)
    }
}
