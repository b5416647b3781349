//! The driver of the object checks: runs the operations of a plan on an [`ObjectHarness`].

use super::bench::Bench;
use super::storm::Storm;
use crate::check::compare::Stop;
use crate::check::rig::unexpected;
use crate::check::world::World;
use crate::check::{Plan, Probe, Twin, Violation};
use fastness_models::Op;

/// The part of an object check beyond the common operations.
pub(in crate::check) trait Course: Sized {
    /// The invariant that an unexpected refusal violates.
    const INVARIANT: &'static str;

    /// Starts, with a database whose classes hold no objects.
    fn begin(bench: &mut Bench<'_>) -> Result<Self, Stop>;

    /// Runs one operation.
    fn act(&mut self, bench: &mut Bench<'_>, op: Op) -> Result<(), Stop>;

    /// Drops everything that keeps the database open, before it is reopened.
    fn let_go(&mut self, _bench: &mut Bench<'_>) -> Result<(), Stop> {
        Ok(())
    }

    /// Ends, after the last operation.
    fn end(self, _bench: &mut Bench<'_>) -> Result<(), Stop> {
        Ok(())
    }
}

/// Runs a plan: the body of a check.
pub(in crate::check) fn run<C: Course>(
    plan: &Plan,
    twin: Twin,
    probe: &mut Probe,
) -> Result<(), Violation> {
    let world = World::new(plan, twin);
    let stopped = |stop| unexpected(stop, C::INVARIANT);
    let mut bench = Bench::create(&world, probe).map_err(stopped)?;
    let mut storm = Storm::default();
    let mut course = C::begin(&mut bench).map_err(stopped)?;
    for (step, op) in plan.ops.iter().enumerate() {
        bench.probe.line(|| format!("{step:4} {op}"));
        let outcome = storm.step(&mut bench, *op, &mut course);
        outcome.map_err(|stop| stopped(stop).at(step))?;
    }
    storm.calm(&mut bench, &mut course).map_err(stopped)?;
    course.end(&mut bench).map_err(stopped)
}
