//! The fault campaign: real bugs of comparable systems, planted one at a time, must be caught.
//!
//! - K10 The clean build is attacked first, as long as each fault: a check that cries wolf catches
//!   nothing.
//! - K11 A fault that was never reached proves nothing and is counted apart.
//!
//! Faults are planted by a process-wide switch, so one at a time is all there can be. Who catches
//! what is not told to the checks: they state promises and know no fault.

use crate::engine::{Engine, Event, Limits, Outcome};
use crate::files::{self, Environment};
use crate::findings::Finding;
use crate::plans::{Shard, pairs};
use crate::summary::rounded;
use fastness::fault::{self, Fault};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a fault campaign is asked to do.
#[derive(Clone, Debug)]
pub struct FaultCampaign {
    /// How long each fault, and the clean build, is attacked at most.
    pub seconds: u64,
    /// The faults to plant.
    pub faults: Vec<Fault>,
    /// Seed of the first round; the next one has the number after it.
    pub seed: u64,
    /// How often everything is done, each time from another seed.
    pub rounds: u64,
    /// Worker threads.
    pub jobs: usize,
    /// The folder for faults.json and faults.md.
    pub out: PathBuf,
}

/// The content of `faults.json`.
#[derive(Clone, Debug, Serialize)]
pub struct FaultSummary {
    /// Seconds each fault was attacked at most.
    pub seconds: u64,
    /// Seeds of the rounds.
    pub seeds: Vec<u64>,
    /// Worker threads.
    pub jobs: usize,
    /// False alarms: findings in the clean build.
    pub clean_findings: Vec<String>,
    /// Plans the clean build was attacked with.
    pub clean_plans: u64,
    /// Whether it was stopped before every fault was planted.
    pub interrupted: bool,
    /// Faults caught in every round.
    pub caught: usize,
    /// Faults that were reached, caught or not.
    pub reached: usize,
    /// Each fault.
    pub faults: Vec<FaultRow>,
}

/// What became of one fault.
#[derive(Clone, Debug, Serialize)]
pub struct FaultRow {
    /// The id it has in the catalogue.
    pub id: String,
    /// What was planted.
    pub about: String,
    /// How often the faulty branch was run.
    pub reached: u64,
    /// Rounds it was planted in.
    pub rounds: usize,
    /// How it was caught, for each round that caught it.
    pub catches: Vec<Catch>,
}

/// How a fault was caught.
#[derive(Clone, Debug, Serialize)]
pub struct Catch {
    /// The check.
    pub check: String,
    /// Plain or encrypted.
    pub twin: String,
    /// The invariant that was found broken.
    pub invariant: String,
    /// What is promised.
    pub promise: String,
    /// What happened instead.
    pub text: String,
    /// Plans run until then, by all checks.
    pub plans: u64,
    /// Seconds until then.
    pub seconds: f64,
    /// Operations of the smallest plan.
    pub operations_min: usize,
    /// The smallest plan, line by line.
    pub operations: Vec<String>,
}

impl FaultRow {
    /// Whether every round caught it.
    #[must_use]
    pub fn is_caught(&self) -> bool {
        self.catches.len() == self.rounds
    }

    /// Returns the round that took longest.
    #[must_use]
    pub fn slowest(&self) -> Option<&Catch> {
        self.catches.iter().max_by(|one, other| one.seconds.total_cmp(&other.seconds))
    }
}

impl FaultSummary {
    /// Whether every fault was caught, without a false alarm.
    #[must_use]
    pub fn is_good(&self) -> bool {
        !self.interrupted && self.clean_findings.is_empty() && self.caught == self.faults.len()
    }
}

impl FaultCampaign {
    /// Plants one fault after the other; `tell` hears of each as it is done.
    ///
    /// # Errors
    /// When the outputs cannot be written.
    pub fn run(
        &self,
        stop: &Arc<AtomicBool>,
        tell: &mut dyn FnMut(&FaultRow),
    ) -> Result<FaultSummary, Environment> {
        files::make_folder(&self.out)?;
        let clean = self.attack(None, &Round { seed: self.seed, stop });
        let mut rows = Vec::new();
        for &fault in &self.faults {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let row = self.row(fault, stop);
            tell(&row);
            rows.push(row);
        }
        let summary = FaultSummary {
            seconds: self.seconds,
            seeds: self.seeds().collect(),
            jobs: self.jobs,
            clean_findings: clean.findings.iter().map(alarm).collect(),
            clean_plans: plans(&clean),
            interrupted: stop.load(Ordering::Relaxed),
            caught: rows.iter().filter(|row| row.is_caught()).count(),
            reached: rows.iter().filter(|row| row.reached > 0).count(),
            faults: rows,
        };
        let path = self.out.join("faults.json");
        let text = serde_json::to_string_pretty(&summary)
            .map_err(|error| files::error(&path, "put the summary together")(error.into()))?;
        files::write(&path, &(text + "\n"))?;
        files::write(&self.out.join("faults.md"), &markdown(&summary))?;
        Ok(summary)
    }

    fn seeds(&self) -> impl Iterator<Item = u64> {
        (0..self.rounds.max(1)).map(|round| self.seed.wrapping_add(round))
    }

    fn row(&self, planted: Fault, stop: &Arc<AtomicBool>) -> FaultRow {
        let mut row = FaultRow {
            id: planted.id().to_owned(),
            about: planted.about().to_owned(),
            reached: 0,
            rounds: 0,
            catches: Vec::new(),
        };
        for seed in self.seeds() {
            let outcome = self.attack(Some(planted), &Round { seed, stop });
            row.reached += fault::reached();
            row.rounds += 1;
            fault::plant(None);
            let first = outcome.findings.iter().min_by_key(|finding| finding.after);
            row.catches.extend(first.map(|first| caught(first, plans(&outcome))));
        }
        row
    }

    fn attack(&self, planted: Option<Fault>, round: &Round<'_>) -> Outcome {
        fault::plant(planted);
        let limits = Limits {
            hang: Duration::from_secs(20),
            shrink: Duration::from_secs(5),
            stop_at_first: planted.is_some(),
            ..Limits::seconds(self.seconds)
        };
        let (seed, jobs, shard) = (round.seed, self.jobs, Shard::WHOLE);
        let engine = Engine { pairs: pairs(&[]), seed, jobs, shard, limits };
        engine.run(round.stop, &mut |_: Event<'_>| {})
    }
}

struct Round<'a> {
    seed: u64,
    stop: &'a Arc<AtomicBool>,
}

fn plans(outcome: &Outcome) -> u64 {
    outcome.rows.iter().map(|(_, tally)| tally.plans).sum()
}

fn alarm(finding: &Finding) -> String {
    format!("{} {} ({})", finding.origin.pair, finding.violation, finding.replay_origin())
}

fn caught(finding: &Finding, plans: u64) -> Catch {
    let pair = finding.origin.pair;
    Catch {
        check: pair.check.name.to_owned(),
        twin: pair.twin.name().to_owned(),
        invariant: finding.violation.invariant.to_owned(),
        promise: finding.promise().to_owned(),
        text: finding.violation.text.clone(),
        plans,
        seconds: rounded(finding.after.as_secs_f64()),
        operations_min: finding.plan.ops.len(),
        operations: finding.plan.to_string().lines().map(str::to_owned).collect(),
    }
}

/// Returns the table for docs/verification.md.
#[must_use]
pub fn markdown(summary: &FaultSummary) -> String {
    let mut text = format!(
        "{} of {} planted faults caught within {} s each on {} threads, {} of them reached, in \
         each of {} rounds from other seeds, of which the slowest is shown; {} false alarms in \
         {} plans of the clean build.\n\n\
         | fault | planted | reached | caught by | broken promise | plans | seconds | minimal |\n\
         |---|---|--:|---|---|--:|--:|--:|\n",
        summary.caught,
        summary.faults.len(),
        summary.seconds,
        summary.jobs,
        summary.reached,
        summary.seeds.len(),
        summary.clean_findings.len(),
        summary.clean_plans,
    );
    for row in &summary.faults {
        let cells = match row.slowest().filter(|_| row.is_caught()) {
            Some(catch) => format!(
                "{}/{} | {} | {} | {:.2} | {}",
                catch.check,
                catch.twin,
                catch.invariant,
                catch.plans,
                catch.seconds,
                catch.operations_min
            ),
            None => format!("**missed** in {} of {} | | | |", missed(row), row.rounds),
        };
        text += &format!("| {} | {} | {} | {cells} |\n", row.id, row.about, row.reached);
    }
    text
}

fn missed(row: &FaultRow) -> usize {
    row.rounds - row.catches.len()
}

/// Returns the fault of an id of the catalogue.
#[must_use]
pub fn by_id(id: &str) -> Option<Fault> {
    Fault::ALL.iter().copied().find(|fault| fault.id() == id)
}

/// Returns every fault there is.
#[must_use]
pub fn all() -> Vec<Fault> {
    Fault::ALL.to_vec()
}

/// Returns where the outputs of a fault campaign go.
#[must_use]
pub fn outputs(out: &Path) -> [PathBuf; 2] {
    [out.join("faults.json"), out.join("faults.md")]
}
