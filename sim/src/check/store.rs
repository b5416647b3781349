//! Model conformance of the store: every operation, snapshots, reopening, refusals.

use super::promises::{A1, A2, C6, C9, C10, D4};
use super::rig::{Rig, unexpected};
use super::world::World;
use super::{Check, Plan, Probe, Recipe, Twin, Violation};
use fastness_models::Kind;

pub(super) const CHECK: Check = Check {
    name: "store",
    about: "everything a program can ask of a store, against the model",
    invariants: &[A1, C6, C9, D4, A2, C10],
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
    let mut rig = Rig::create(&world, probe).map_err(|stop| unexpected(stop, A1.id))?;
    for (step, op) in plan.ops.iter().enumerate() {
        rig.step = step;
        rig.must(*op).map_err(|violation| violation.at(step))?;
    }
    Ok(())
}
