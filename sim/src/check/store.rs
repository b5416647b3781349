//! Model conformance: every operation, snapshots, reopening, refusals.

use super::rig::{Rig, unexpected};
use super::world::World;
use super::{Check, Invariant, Plan, Probe, Recipe, Twin, Violation};
use fastness_models::Kind;

pub(super) const S1: Invariant =
    Invariant { id: "S1", promise: "Every operation answers as the model does." };
pub(super) const S2: Invariant = Invariant { id: "S2", promise: "A snapshot never changes." };
pub(super) const S3: Invariant = Invariant {
    id: "S3",
    promise: "A file that was closed opens at its last commit, with nothing to recover.",
};
pub(super) const S4: Invariant =
    Invariant { id: "S4", promise: "The whole-file check of an undamaged file finds nothing." };
pub(super) const S5: Invariant = Invariant {
    id: "S5",
    promise: "An argument out of bounds is refused by name and changes nothing.",
};
pub(super) const S6: Invariant = Invariant {
    id: "S6",
    promise: "An opening that must be refused is refused by name and leaves the file as it is.",
};

pub(super) const CHECK: Check = Check {
    name: "store",
    about: "everything a program can ask of a store, against the model",
    invariants: &[S1, S2, S3, S4, S5, S6],
    marks: &["range with inverted bounds", "snapshot older than the last commit read"],
    recipe: Recipe {
        mix: &[
            (Kind::Insert, 24),
            (Kind::Remove, 8),
            (Kind::Clear, 1),
            (Kind::Fill, 4),
            (Kind::Prune, 3),
            (Kind::Get, 16),
            (Kind::Range, 8),
            (Kind::Ends, 4),
            (Kind::Commit, 6),
            (Kind::Abort, 1),
            (Kind::TakeSnapshot, 2),
            (Kind::CloneSnapshot, 1),
            (Kind::ReadSnapshot, 4),
            (Kind::ScanSnapshot, 1),
            (Kind::DropSnapshot, 1),
            (Kind::Scan, 1),
            (Kind::Verify, 1),
            (Kind::Info, 1),
            (Kind::Oversize, 1),
            (Kind::Reopen, 1),
            (Kind::Misopen, 1),
        ],
        ops_min: 40,
        ops_max: 240,
    },
    body,
};

fn body(plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    let mut rig = Rig::create(&world, probe).map_err(|stop| unexpected(stop, S1.id))?;
    for (step, op) in plan.ops.iter().enumerate() {
        rig.step = step;
        rig.must(*op).map_err(|violation| violation.at(step))?;
    }
    Ok(())
}
