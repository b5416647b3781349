//! The canary: a false promise, which every campaign must report as violated. It drives a real
//! store as the other checks do.

use super::definition::{Check, Distribution, Invariant, Twin, Violation};
use super::plan::Plan;
use super::probe::Probe;
use super::promises::{A1, A3, A4, S8, T5};
use super::store_harness::{StoreHarness, unexpected};
use super::world::World;
use fastness_models::OpKind;

const Y1: Invariant = Invariant { id: "Y1", promise: "No tree ever holds more than two entries." };

pub(super) const CHECK: Check = Check {
    name: "canary",
    about: "false on purpose: claims that no tree ever holds more than two entries",
    invariants: &[Y1, A1, A3, A4, S8, T5],
    marks: &[],
    distribution: Distribution {
        mix: &[(OpKind::Insert, 6), (OpKind::Remove, 3), (OpKind::Get, 3), (OpKind::Commit, 2)],
        ops_min: 20,
        ops_max: 60,
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
        let snapshot = harness.store().snapshot();
        for name in snapshot.tree_names() {
            let len = snapshot.tree(name).len();
            if len > 2 {
                let text = format!("a tree holds {len} entries");
                return Err(Violation::new(Y1.id, text).at(step));
            }
        }
    }
    Ok(())
}
