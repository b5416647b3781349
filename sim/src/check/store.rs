//! Model conformance of the store: every operation, snapshots, reopening, refusals.

use super::definition::{Check, Distribution, Twin, Violation};
use super::plan::Plan;
use super::probe::Probe;
use super::promises::{A1, A2, A3, A4, C6, C9, C10, D4, S8, T5};
use super::store_harness::{StoreHarness, unexpected};
use super::world::World;
use fastness_models::OpKind;

pub(super) const CHECK: Check = Check {
    name: "store",
    about: "every operation of a store, compared with the model",
    invariants: &[A1, A3, A4, C6, C9, D4, A2, C10, S8, T5],
    marks: &["range with inverted bounds", "snapshot older than the last commit read"],
    distribution: Distribution {
        mix: &[
            (OpKind::Insert, 24),
            (OpKind::Remove, 8),
            (OpKind::Clear, 1),
            (OpKind::Move, 1),
            (OpKind::Fill, 4),
            (OpKind::Prune, 3),
            (OpKind::Get, 16),
            (OpKind::Range, 8),
            (OpKind::Ends, 4),
            (OpKind::Commit, 6),
            (OpKind::Abort, 1),
            (OpKind::TakeSnapshot, 2),
            (OpKind::CloneSnapshot, 1),
            (OpKind::ReadSnapshot, 4),
            (OpKind::ScanSnapshot, 1),
            (OpKind::DropSnapshot, 1),
            (OpKind::Scan, 1),
            (OpKind::Verify, 1),
            (OpKind::Info, 1),
            (OpKind::Oversize, 1),
            (OpKind::Reopen, 1),
            (OpKind::RefusedOpen, 1),
        ],
        ops_min: 40,
        ops_max: 240,
    },
    body,
};

fn body(plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    let mut harness =
        StoreHarness::create(&world, probe).map_err(|error| unexpected(error, A1.id))?;
    for (step, op) in plan.ops.iter().enumerate() {
        harness.step = step;
        harness.must(*op).map_err(|violation| violation.at(step))?;
    }
    Ok(())
}
