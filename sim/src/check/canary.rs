//! The canary: a promise nobody makes, so that a campaign can show that its alarm works.

use super::{Check, Invariant, Plan, Probe, Recipe, Twin, Violation};
use fastness_models::Kind;
use std::collections::BTreeSet;

pub(super) const CHECK: Check = Check {
    name: "canary",
    about: "wrong on purpose: pretends that a tree never holds more than two entries",
    invariants: &[Invariant { id: "Y1", promise: "A tree never holds more than two entries." }],
    marks: &[],
    recipe: Recipe {
        mix: &[(Kind::Insert, 6), (Kind::Remove, 3), (Kind::Get, 3), (Kind::Commit, 2)],
        ops_min: 20,
        ops_max: 60,
    },
    body,
};

fn body(plan: &Plan, _twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
    let mut keys = BTreeSet::new();
    for (step, op) in plan.ops.iter().enumerate() {
        probe.count(op.kind.name(), 1);
        probe.line(|| op.to_string());
        if op.kind == Kind::Insert {
            keys.insert(op.b);
        } else if op.kind == Kind::Remove {
            keys.remove(&op.b);
        }
        if keys.len() > 2 {
            let text = format!("the tree holds {} entries", keys.len());
            return Err(Violation::new("Y1", text).at(step));
        }
    }
    Ok(())
}
