//! Mutation testing of the checks: known bugs of comparable systems, planted one at a time, must be
//! caught.
//!
//! - CA10 The clean build runs first, as long as each fault: a check with false alarms proves
//!   nothing.
//! - CA11 A fault whose code never ran is counted apart from a missed one.
//!
//! A process-wide switch plants a fault, so faults run one at a time, each round in a process of
//! its own. Checks state promises and know nothing about faults.

mod apart;
mod hooks;

use self::hooks::SiteIndex;
use crate::checkout::Checkout;
use crate::engine::{Engine, Event, Outcome};
use crate::files::{self, EnvironmentError};
use crate::findings::Finding;
use crate::limits::Limits;
use crate::plans::{Shard, pairs};
use crate::summary::rounded;
use fastness::fault::{self, Fault};
use fastness_sim::check::Check;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The settings of a fault campaign.
#[derive(Clone, Debug)]
pub struct FaultCampaign {
    /// Time limit for each fault and for the clean build, in seconds.
    pub seconds: u64,
    /// Plans of each check and twin for each fault and for the clean build; `None` for no limit.
    pub plans: Option<u64>,
    /// The checks that attack; empty for all.
    pub checks: Vec<&'static Check>,
    /// The faults to plant.
    pub faults: Vec<Fault>,
    /// Seed of the first round; each later round adds one.
    pub seed: u64,
    /// Number of rounds.
    pub rounds: u64,
    /// Number of worker threads.
    pub jobs: usize,
    /// Whether to attack each fault with the checks that own its file, and with none where no
    /// check does.
    pub owners: bool,
    /// Whether to attack the clean build first; CA10 holds only with it.
    pub clean: bool,
    /// The folder for `faults.json` and `faults.md`.
    pub out: PathBuf,
    /// A folder in the checkout, to find the owners.
    pub here: PathBuf,
    /// The command line that attacks each fault in a process of its own; `None` for this process.
    pub program: Option<PathBuf>,
}

/// The content of `faults.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FaultSummary {
    /// Time limit for each fault, in seconds.
    pub seconds: u64,
    /// Limit of the plans of each check and twin; `null` for none.
    #[serde(default)]
    pub plans: Option<u64>,
    /// Whether only the owners of each fault attacked it.
    #[serde(default)]
    pub owners: bool,
    /// Seeds of the rounds.
    pub seeds: Vec<u64>,
    /// Number of worker threads.
    pub jobs: usize,
    /// False alarms: findings in the clean build.
    pub clean_findings: Vec<String>,
    /// Plans that ran in the clean build.
    pub clean_plans: u64,
    /// Whether it stopped before the last fault.
    pub interrupted: bool,
    /// Faults caught in every round.
    pub caught: usize,
    /// Faults whose code ran, caught or not.
    pub reached: usize,
    /// The results, fault by fault.
    pub faults: Vec<FaultRow>,
}

/// The result for one fault.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FaultRow {
    /// Its id in the catalogue.
    pub id: String,
    /// Description of the fault.
    pub about: String,
    /// How often the faulty code ran.
    pub reached: u64,
    /// Rounds it was planted in.
    pub rounds: usize,
    /// One catch for each round that caught it.
    pub catches: Vec<Catch>,
}

/// How one round caught a fault.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Catch {
    /// The check that caught it.
    pub check: String,
    /// Plain or encrypted.
    pub twin: String,
    /// Id of the violated invariant.
    pub invariant: String,
    /// The promise of the invariant.
    pub promise: String,
    /// The violation.
    pub text: String,
    /// Plans that ran before the catch, over all checks.
    pub plans: u64,
    /// Seconds before the catch.
    pub seconds: f64,
    /// CPU seconds of all plans up to the catch.
    #[serde(default)]
    pub cpu_seconds: f64,
    /// Length of the shrunk plan.
    pub operations_min: usize,
    /// The shrunk plan, line by line.
    pub operations: Vec<String>,
}

impl FaultRow {
    /// Whether every round caught it.
    #[must_use]
    pub fn is_caught(&self) -> bool {
        self.catches.len() == self.rounds
    }

    /// Returns the catch that took longest.
    #[must_use]
    pub fn slowest(&self) -> Option<&Catch> {
        self.catches.iter().max_by(|one, other| one.seconds.total_cmp(&other.seconds))
    }
}

impl FaultSummary {
    /// Whether every fault was caught, without false alarms.
    #[must_use]
    pub fn is_good(&self) -> bool {
        !self.interrupted && self.clean_findings.is_empty() && self.caught == self.faults.len()
    }
}

impl FaultCampaign {
    /// Plants each fault in turn; `report` receives each result.
    ///
    /// # Errors
    /// If the outputs cannot be written.
    pub fn run(
        &self,
        stop: &Arc<AtomicBool>,
        report: &mut dyn FnMut(&FaultRow),
    ) -> Result<FaultSummary, EnvironmentError> {
        files::make_folder(&self.out)?;
        let hooks = match self.owners {
            true => Checkout::around(&self.here).map(|checkout| SiteIndex::read(&checkout.root)),
            false => None,
        };
        let hooks = hooks.transpose()?;
        let first = Round { seed: self.seed, stop, checks: &self.checks };
        let clean = self.clean.then(|| self.attack(None, &first));
        let clean_findings = clean.iter().flat_map(|clean| &clean.findings).map(alarm).collect();
        let mut rows = Vec::new();
        for &fault in &self.faults {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let owners = hooks.as_ref().map(|hooks| hooks.owners(fault.id()));
            let checks = owners.as_ref().unwrap_or(&self.checks);
            if owners.as_ref().is_some_and(Vec::is_empty) {
                continue;
            }
            let row = self.row(fault, stop, checks)?;
            report(&row);
            rows.push(row);
        }
        let summary = FaultSummary {
            seconds: self.seconds,
            plans: self.plans,
            owners: self.owners,
            seeds: self.seeds().collect(),
            jobs: self.jobs,
            clean_findings,
            clean_plans: clean.as_ref().map_or(0, plans),
            interrupted: stop.load(Ordering::Relaxed),
            caught: rows.iter().filter(|row| row.is_caught()).count(),
            reached: rows.iter().filter(|row| row.reached > 0).count(),
            faults: rows,
        };
        let path = self.out.join("faults.json");
        let text = serde_json::to_string_pretty(&summary)
            .map_err(|error| files::error(&path, "serialize the summary")(error.into()))?;
        files::write(&path, &(text + "\n"))?;
        files::write(&self.out.join("faults.md"), &markdown(&summary))?;
        Ok(summary)
    }

    fn seeds(&self) -> impl Iterator<Item = u64> {
        (0..self.rounds.max(1)).map(|round| self.seed.wrapping_add(round))
    }

    fn row(
        &self,
        planted: Fault,
        stop: &Arc<AtomicBool>,
        checks: &[&'static Check],
    ) -> Result<FaultRow, EnvironmentError> {
        let (id, about) = (planted.id().to_owned(), planted.about().to_owned());
        let mut row = FaultRow { id, about, reached: 0, rounds: 0, catches: Vec::new() };
        for seed in self.seeds() {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let round = Round { seed, stop, checks };
            let one = match &self.program {
                Some(program) => self.row_apart(program, planted, &round)?,
                None => Some(self.row_here(planted, &round)),
            };
            let Some(one) = one else { break };
            row.reached += one.reached;
            row.rounds += one.rounds;
            row.catches.extend(one.catches);
        }
        Ok(row)
    }

    fn row_here(&self, planted: Fault, round: &Round<'_>) -> FaultRow {
        let outcome = self.attack(Some(planted), round);
        let reached = fault::reached();
        fault::plant(None);
        let first = outcome.findings.iter().min_by_key(|finding| finding.after);
        FaultRow {
            id: planted.id().to_owned(),
            about: planted.about().to_owned(),
            reached,
            rounds: 1,
            catches: first.map(|first| caught(first, &outcome)).into_iter().collect(),
        }
    }

    fn attack(&self, planted: Option<Fault>, round: &Round<'_>) -> Outcome {
        fault::plant(planted);
        let limits = Limits {
            hang: Duration::from_secs(20),
            shrink: Duration::from_secs(5),
            stop_at_first: planted.is_some(),
            plans: self.plans,
            ..Limits::seconds(self.seconds)
        };
        let (seed, jobs, shard) = (round.seed, self.jobs, Shard::WHOLE);
        let (pairs, saturated) = (pairs(round.checks), Vec::new());
        let engine = Engine { pairs, seed, jobs, shard, limits, saturated };
        engine.run(round.stop, &mut |_: Event<'_>| {})
    }
}

struct Round<'a> {
    seed: u64,
    stop: &'a Arc<AtomicBool>,
    checks: &'a [&'static Check],
}

fn plans(outcome: &Outcome) -> u64 {
    outcome.rows.iter().map(|(_, stats)| stats.plans).sum()
}

fn alarm(finding: &Finding) -> String {
    format!("{} {} ({})", finding.origin.pair, finding.violation, finding.replay_origin())
}

fn caught(finding: &Finding, outcome: &Outcome) -> Catch {
    let busy: Duration = outcome.rows.iter().map(|(_, stats)| stats.busy).sum();
    let pair = finding.origin.pair;
    Catch {
        check: pair.check.name.to_owned(),
        twin: pair.twin.name().to_owned(),
        invariant: finding.violation.invariant.to_owned(),
        promise: finding.promise().to_owned(),
        text: finding.violation.text.clone(),
        plans: plans(outcome),
        seconds: rounded(finding.after.as_secs_f64()),
        cpu_seconds: rounded(busy.as_secs_f64()),
        operations_min: finding.plan.ops.len(),
        operations: finding.plan.to_string().lines().map(str::to_owned).collect(),
    }
}

/// Returns the result of a run as a Markdown table.
#[must_use]
pub fn markdown(summary: &FaultSummary) -> String {
    let limit = match summary.plans {
        Some(plans) => format!("{plans} plans of each check and twin"),
        None => format!("time limit {} s", summary.seconds),
    };
    let mut text = format!(
        "{} of {} planted faults caught, {limit} each, {} threads; the code of {} ran. \
         {} rounds with different seeds; the table shows the slowest. Clean build: {} false alarms \
         in {} plans.\n\n{TABLE_HEAD}",
        summary.caught,
        summary.faults.len(),
        summary.jobs,
        summary.reached,
        summary.seeds.len(),
        summary.clean_findings.len(),
        summary.clean_plans,
    );
    for row in &summary.faults {
        text += &format!("| {} | {} | {} |\n", row.id, row.about, measured_cells(row));
    }
    text
}

const TABLE_HEAD: &str = "\
    | fault | planted | ran | caught by | violated | plans | seconds | operations |\n\
    |---|---|--:|---|---|--:|--:|--:|\n";

/// Returns the columns of a table row that hold measurements.
fn measured_cells(row: &FaultRow) -> String {
    match row.slowest().filter(|_| row.is_caught()) {
        Some(catch) => format!(
            "{} | {}/{} | {} | {} | {:.2} | {}",
            row.reached,
            catch.check,
            catch.twin,
            catch.invariant,
            catch.plans,
            catch.seconds,
            catch.operations_min
        ),
        None => {
            let missed = row.rounds - row.catches.len();
            format!("{} | missed in {missed} of {} | | | |", row.reached, row.rounds)
        }
    }
}

const PAGE_HEAD: &str = "\
<!-- Generated by `cargo faults --table docs/faults.md`: edit the registry, not this file. -->

# Planted faults

Mutation testing of the checks: a build with the feature `faults` plants one known bug at a time,
and a campaign with all checks must report a violated promise. How to measure and how to add a
fault: [verification](verification.md#planted-faults).

- *Planted*: the bug. Prefixes CR, FP, EN, BT, MV, CF, SC, SY, RS and AU are published bugs
  of comparable systems; SV, CL, FS, OB and SN are our own.
- *Ran*: how often the faulty code ran before the catch. *Caught by*: check and twin. *Violated*:
  the id in the [register of promises](promises.md). *Plans* and *seconds*: the cost of the catch,
  over all checks. *Operations*: length of the shrunk plan.
- Measured cells come from the last `cargo faults` that ran the fault. Tests find FS-39 to FS-43,
  SN-11 and SN-46: threads, costs, hostile files, lists, full disks
  ([how](verification.md#planted-faults)).

";

/// Updates the page of faults: the rows of the registry, with the cells of `measured` where it has
/// the fault and with the cells of the old `page` elsewhere.
#[must_use]
pub fn page(page: &str, measured: Option<&FaultSummary>) -> String {
    let old_cells = |id: &str| {
        let row = page.lines().find_map(|line| line.strip_prefix(&format!("| {id} | ")))?;
        row.split_once(" | ").and_then(|(_, cells)| cells.strip_suffix(" |")).map(str::to_owned)
    };
    let new_cells = |id: &str| {
        let row = measured?.faults.iter().find(|row| row.id == id)?;
        Some(measured_cells(row))
    };
    let mut text = format!("{PAGE_HEAD}{TABLE_HEAD}");
    for fault in Fault::ALL {
        let (id, about) = (fault.id(), fault.about());
        let cells =
            new_cells(id).or_else(|| old_cells(id)).unwrap_or_else(|| "| | | | |".to_owned());
        text += &format!("| {id} | {about} | {cells} |\n");
    }
    text
}

/// Writes the page of faults to `path`, with the measurements of an earlier run in `out`, if any.
///
/// # Errors
/// If a file cannot be read or written.
pub fn update_page(path: &Path, out: &Path) -> Result<(), EnvironmentError> {
    let [results, _] = outputs(out);
    let measured = match results.exists() {
        true => {
            let malformed = files::error(&results, "parse the results");
            let text = files::read(&results)?;
            Some(serde_json::from_str(&text).map_err(|error| malformed(error.into()))?)
        }
        false => None,
    };
    let old = if path.exists() { files::read(path)? } else { String::new() };
    files::write(path, &page(&old, measured.as_ref()))
}

/// Returns the fault with this id.
#[must_use]
pub fn by_id(id: &str) -> Option<Fault> {
    Fault::ALL.iter().copied().find(|fault| fault.id() == id)
}

/// Returns all faults.
#[must_use]
pub fn all() -> Vec<Fault> {
    Fault::ALL.to_vec()
}

/// Returns the paths of the outputs.
#[must_use]
pub fn outputs(out: &Path) -> [PathBuf; 2] {
    [out.join("faults.json"), out.join("faults.md")]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(fault: Fault) -> FaultRow {
        let catch = Catch {
            check: "store".to_owned(),
            twin: "plain".to_owned(),
            invariant: "A1".to_owned(),
            promise: String::new(),
            text: String::new(),
            plans: 3,
            seconds: 0.5,
            cpu_seconds: 0.4,
            operations_min: 2,
            operations: Vec::new(),
        };
        let (id, about) = (fault.id().to_owned(), fault.about().to_owned());
        FaultRow { id, about, reached: 7, rounds: 1, catches: vec![catch] }
    }

    #[test]
    fn a_page_keeps_the_measurements_of_faults_that_did_not_run() {
        let mut summary = FaultSummary {
            seconds: 1,
            plans: None,
            owners: false,
            seeds: vec![1],
            jobs: 1,
            clean_findings: Vec::new(),
            clean_plans: 5,
            interrupted: false,
            caught: 1,
            reached: 1,
            faults: vec![row(Fault::ALL[0])],
        };
        let first = page("", Some(&summary));
        let measured = "| 7 | store/plain | A1 | 3 | 0.50 | 2 |";
        assert_eq!(first.matches(measured).count(), 1);
        assert_eq!(page(&first, None), first);
        summary.faults = vec![FaultRow { catches: Vec::new(), ..row(Fault::ALL[1]) }];
        let second = page(&first, Some(&summary));
        assert_eq!(second.matches(measured).count(), 1);
        assert_eq!(second.matches("| 7 | missed in 1 of 1 | | | | |").count(), 1);
        let rows = second.lines().filter(|line| line.matches('|').count() == 9).count();
        assert_eq!(rows, Fault::ALL.len() + 2);
    }
}
