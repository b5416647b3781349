//! The part `checks`: every check, with plans from a new seed in each step.

use super::part::Part;
use super::running::Night;
use super::step::{ChecksRun, Step, StepResult};
use super::summary;
use crate::engine::Engine;
use crate::files::EnvironmentError;
use crate::limits::Limits;
use crate::plans::{mixed_seed, pairs};
use crate::summary::{CheckSummary, checks_of, rounded};
use std::time::Duration;

impl Night<'_> {
    /// Runs every check for this time.
    pub(super) fn run_checks(&self, time: Duration) -> Result<Step, EnvironmentError> {
        let seed = mixed_seed(self.journal.id.seed, self.steps_of(Part::Checks).count() as u64);
        let limits = Limits { run: time, ..Limits::seconds(0) };
        let (jobs, shard) = (self.journal.id.jobs, self.shard);
        let (pairs, saturated) = (pairs(&[]), self.saturated());
        let engine = Engine { pairs, seed, jobs, shard, limits, saturated };
        let outcome = engine.run(self.stop, &mut |_| {});
        let names = outcome.findings.iter().map(|finding| self.store().add_plan(finding));
        let findings = names.collect::<Result<Vec<_>, _>>()?;
        let mut checks = checks_of(&outcome, &self.findings_folder());
        // The folder of findings has them.
        checks.iter_mut().for_each(|check| check.findings.clear());
        Ok(Step {
            part: Part::Checks,
            seconds: rounded(outcome.elapsed.as_secs_f64()),
            findings,
            result: StepResult::Checks(ChecksRun { seed, checks }),
        })
    }

    /// Returns the indexes of the pairs whose marks were all hit by earlier steps of the night.
    fn saturated(&self) -> Vec<usize> {
        let (checks, _) = summary::checks(&self.journal.steps);
        let is_saturated = |check: &CheckSummary| check.marks_missed().next().is_none();
        checks
            .iter()
            .enumerate()
            .filter(|(_, check)| is_saturated(check))
            .map(|(index, _)| index)
            .collect()
    }
}
