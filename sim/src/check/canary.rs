//! The canary: a false promise, which every campaign must report as violated. It drives a real
//! store as the other checks do.

use super::promises::A1;
use super::rig::{Rig, unexpected};
use super::world::World;
use super::{Check, Invariant, Plan, Probe, Recipe, Twin, Violation};
use fastness_models::Kind;

const Y1: Invariant = Invariant { id: "Y1", promise: "No tree ever holds more than two entries." };

pub(super) const CHECK: Check = Check {
    name: "canary",
    about: "wrong on purpose: pretends that no tree ever holds more than two entries",
    invariants: &[Y1, A1],
    marks: &[],
    recipe: Recipe {
        mix: &[(Kind::Insert, 6), (Kind::Remove, 3), (Kind::Get, 3), (Kind::Commit, 2)],
        ops_min: 20,
        ops_max: 60,
    },
    body,
};

fn body(plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    let mut rig = Rig::create(&world, probe).map_err(|stop| unexpected(stop, A1.id))?;
    for (step, op) in plan.ops.iter().enumerate() {
        rig.step = step;
        rig.must(*op).map_err(|violation| violation.at(step))?;
        let snapshot = rig.store().snapshot();
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
