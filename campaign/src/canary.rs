//! The canary: a check with a false promise, which every campaign must catch.
//!
//! - CA8 Every campaign tests its own detection: the canary's finding is shrunk, saved, read back
//!   and replayed. If a step fails, the verdict is inconclusive.

use crate::engine::{Engine, Outcome};
use crate::files::{self, EnvironmentError};
use crate::findings::Finding;
use crate::limits::Limits;
use crate::planfile::PlanFile;
use crate::plans::{Pair, Shard};
use crate::summary::{Canary, CanaryTwin, rounded};
use fastness_sim::check::{CANARY, Probe, Twin};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

const CANARY_TIME: Duration = Duration::from_secs(10);

/// A test of the campaign's own detection.
pub(crate) struct Drill<'a> {
    pub(crate) seed: u64,
    pub(crate) shard: Shard,
    /// The folder for its findings.
    pub(crate) folder: &'a Path,
}

impl Drill<'_> {
    /// Attacks both twins of the canary until each is caught, or the time is over.
    pub(crate) fn run(&self, stop: &Arc<AtomicBool>) -> Result<Canary, EnvironmentError> {
        let twins = Twin::ALL.iter().map(|&twin| self.attack(twin, stop));
        let twins = twins.collect::<Result<Vec<_>, _>>()?;
        Ok(Canary { caught: twins.iter().all(|twin| twin.caught), twins })
    }

    fn attack(&self, twin: Twin, stop: &Arc<AtomicBool>) -> Result<CanaryTwin, EnvironmentError> {
        let pairs = vec![Pair { check: &CANARY, twin }];
        let limits = Limits { run: CANARY_TIME, stop_at_first: true, ..Limits::seconds(0) };
        let (seed, shard, saturated) = (self.seed, self.shard, Vec::new());
        let engine = Engine { pairs, seed, jobs: 1, shard, limits, saturated };
        let outcome = engine.run(stop, &mut |_| {});
        let proof = match outcome.findings.first() {
            Some(finding) => prove(finding, self.folder)?,
            None => Err("no plan caught it".to_owned()),
        };
        Ok(row(twin, &outcome, proof))
    }
}

fn row(twin: Twin, outcome: &Outcome, proof: Result<String, String>) -> CanaryTwin {
    CanaryTwin {
        twin: twin.name().to_owned(),
        caught: proof.is_ok(),
        plans: outcome.rows.iter().map(|(_, stats)| stats.plans).sum(),
        seconds: rounded(outcome.elapsed.as_secs_f64()),
        operations_min: outcome.findings.first().map_or(0, |it| it.plan.ops.len()),
        text: proof.unwrap_or_else(|error| error),
    }
}

/// Sends the canary's finding through the whole path: save, read back, replay, violation.
fn prove(finding: &Finding, folder: &Path) -> Result<Result<String, String>, EnvironmentError> {
    finding.save(folder)?;
    let path = folder.join(finding.file().name()).with_extension("plan");
    let read = match PlanFile::parse(&files::read(&path)?) {
        Ok(read) => read,
        Err(error) => return Ok(Err(format!("its saved plan cannot be read: {error}"))),
    };
    let again = read.pair.check.run(&read.plan, read.pair.twin, &mut Probe::default());
    Ok(match again {
        Err(violation) if violation.invariant == finding.violation.invariant => {
            Ok(violation.to_string())
        }
        Ok(()) | Err(_) => Err("its saved plan does not reproduce the violation".to_owned()),
    })
}
