//! The driver of the object checks: runs the operations of a plan on an [`ObjectHarness`].

use super::fault_injector::FaultInjector;
use super::harness::ObjectHarness;
use super::object_check::ObjectCheck;
use crate::check::definition::{Twin, Violation};
use crate::check::plan::Plan;
use crate::check::probe::Probe;
use crate::check::store_harness::unexpected;
use crate::check::world::World;

/// Runs a plan: the body of a check.
pub(in crate::check) fn run<C: ObjectCheck>(
    plan: &Plan,
    twin: Twin,
    probe: &mut Probe,
) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    let as_violation = |error| unexpected(error, C::INVARIANT);
    let mut harness = ObjectHarness::create(&world, probe).map_err(as_violation)?;
    let mut faults = FaultInjector::default();
    let mut check = C::begin(&mut harness).map_err(as_violation)?;
    for (step, op) in plan.ops.iter().enumerate() {
        harness.probe.line(|| format!("{step:4} {op}"));
        let outcome = faults.step(&mut harness, *op, &mut check);
        outcome.map_err(|error| as_violation(error).at(step))?;
    }
    faults.recover_all(&mut harness, &mut check).map_err(as_violation)?;
    harness.verify_objects().map_err(as_violation)?;
    check.end(&mut harness).map_err(as_violation)
}
