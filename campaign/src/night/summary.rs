//! The summary of a night, computed from its steps: `night.json`, and the verdict.

use super::finding::{self, NightFinding};
use super::journal::NightId;
use super::part::Part;
use super::step::{FaultRun, FuzzRun, LoomRun, Step, StepResult};
use crate::files::{self, EnvironmentError};
use crate::merge::add_check;
use crate::summary::{Canary, CheckSummary, Totals, Verdict, counted, rounded, thousands};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Version of the schema of `night.json`.
const NIGHT_VERSION: u32 = 1;

/// The content of `night.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NightSummary {
    /// The version of this schema, 1 today.
    pub version: u32,
    /// The verdict.
    pub verdict: Verdict,
    /// The verdict in a sentence.
    pub sentence: String,
    /// The first thing to do, in a sentence.
    pub advice: String,
    /// Exit code of the process.
    pub exit_code: u8,
    /// The night, or each shard of it.
    pub shards: Vec<NightId>,
    /// The parts, with what they used.
    pub parts: Vec<PartSummary>,
    /// Proof that the checks detect violations.
    pub canary: Canary,
    /// Sums over all checks.
    pub totals: Totals,
    /// Each check and twin.
    pub checks: Vec<CheckSummary>,
    /// For each check and twin, how it came to its marks.
    pub curves: BTreeMap<String, Vec<CurvePoint>>,
    /// Each fuzz target.
    pub fuzz: Vec<FuzzSummary>,
    /// Each loom model.
    pub loom: Vec<LoomRun>,
    /// Each planted fault.
    pub faults: Vec<FaultRun>,
    /// The findings of this night.
    pub findings: Vec<NightFinding>,
}

/// The use of time by a part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartSummary {
    /// The part.
    pub part: Part,
    /// Seconds of its steps, builds included.
    pub seconds: f64,
    /// Number of its steps.
    pub steps: usize,
    /// Why it was left out; empty if it ran.
    pub problem: String,
}

/// A point of a curve that shows whether more time would find more.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Seconds so far.
    pub seconds: f64,
    /// Marks hit, or features covered.
    pub count: u64,
}

/// A fuzz target.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FuzzSummary {
    /// The last run, with the inputs of all runs.
    pub run: FuzzRun,
    /// Seconds of all runs.
    pub seconds: f64,
    /// Features over time.
    pub curve: Vec<CurvePoint>,
}

impl NightSummary {
    /// Computes the summary of the steps of one night, or of all its shards.
    ///
    /// # Errors
    /// If a finding cannot be read.
    pub fn of(
        shards: &[NightId],
        steps: &[Step],
        findings_folder: &Path,
    ) -> Result<Self, EnvironmentError> {
        let names: BTreeSet<&String> = steps.iter().flat_map(|step| &step.findings).collect();
        let read = names.into_iter().map(|name| finding::read(&findings_folder.join(name)));
        let findings = read.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        let (checks, curves) = checks(steps);
        let mut summary = Self {
            version: NIGHT_VERSION,
            verdict: Verdict::Passed,
            sentence: String::new(),
            advice: String::new(),
            exit_code: 0,
            shards: shards.to_vec(),
            parts: parts(shards, steps),
            canary: canary(steps),
            totals: Totals::of(&checks),
            checks,
            curves,
            fuzz: fuzz(steps),
            loom: loom(steps),
            faults: faults(steps),
            findings,
        };
        summary.judge();
        Ok(summary)
    }

    /// The summary of a night that was stopped, and can be resumed.
    #[must_use]
    pub fn interrupted(mut self) -> Self {
        if self.verdict != Verdict::Failed {
            self.set(
                Verdict::Interrupted,
                "Stopped early, without findings.",
                "Continue it with --resume.",
            );
        }
        self
    }

    fn set(&mut self, verdict: Verdict, sentence: &str, advice: &str) {
        self.verdict = verdict;
        self.exit_code = verdict.exit_code();
        sentence.clone_into(&mut self.sentence);
        advice.clone_into(&mut self.advice);
    }

    /// Decides the verdict: findings, then whether the night could detect violations.
    fn judge(&mut self) {
        let missed: Vec<String> = self.missed_marks().map(|(_, text)| text).collect();
        let left_out: Vec<&str> = self.left_out().map(|part| part.part.name()).collect();
        let shards = self.missing_shards();
        if let [first, ..] = &self.findings[..] {
            let ids: BTreeSet<&str> =
                self.findings.iter().map(|finding| finding.invariant.as_str()).collect();
            let ids: Vec<&str> = ids.into_iter().collect();
            let sentence = format!(
                "{}; violated: {}.",
                counted(self.findings.len(), "finding"),
                ids.join(", ")
            );
            let advice = format!("Replay the first one: {}", first.replay);
            self.set(Verdict::Failed, &sentence, &advice);
        } else if !self.canary.caught && self.asked_for(Part::Checks) {
            let sentence =
                "The canary, a deliberate bug, was not caught: the checks detect nothing.";
            self.set(Verdict::Inconclusive, sentence, "Read the section about the canary.");
        } else if !shards.is_empty() {
            let sentence = format!("These shards are missing: {}.", shards.join(", "));
            self.set(Verdict::Inconclusive, &sentence, "Run them, and merge again.");
        } else if !left_out.is_empty() {
            let sentence = format!("These parts did not run: {}.", left_out.join(", "));
            self.set(Verdict::Inconclusive, &sentence, "Read the reasons in the section of parts.");
        } else if let Some(run) = self.faults.iter().find(|run| !run.problem.is_empty()) {
            let sentence = format!("The attack on {} did not run: {}", run.id, run.problem);
            let advice = format!("Read logs/{}.txt.", run.id);
            self.set(Verdict::Inconclusive, &sentence, &advice);
        } else if !missed.is_empty() {
            const NAMED: usize = 3;
            let named = missed[..missed.len().min(NAMED)].join("; ");
            let more = if missed.len() > NAMED { "; .." } else { "" };
            let sentence = format!("{} never hit: {named}{more}.", counted(missed.len(), "mark"));
            let advice = "Give the night more time, or widen the check.";
            self.set(Verdict::Inconclusive, &sentence, advice);
        } else {
            self.set(Verdict::Passed, &self.work(), "Nothing to do.");
        }
    }

    fn asked_for(&self, part: Part) -> bool {
        self.parts.iter().any(|asked| asked.part == part)
    }

    /// Describes what a night without findings did.
    fn work(&self) -> String {
        let runs: u64 = self.fuzz.iter().map(|target| target.run.runs).sum();
        let interleavings: u64 = self.loom.iter().map(|run| run.interleavings).sum();
        let caught = self.faults.iter().filter(|run| !run.check.is_empty()).count();
        let mut words = Vec::new();
        if self.totals.operations > 0 {
            words.push(format!("{} operations", thousands(self.totals.operations)));
            words.push(format!("{} simulated crashes", thousands(self.totals.crash_points)));
        }
        if runs > 0 {
            words.push(format!("{} fuzz inputs", thousands(runs)));
        }
        if interleavings > 0 {
            words.push(format!("{} interleavings", thousands(interleavings)));
        }
        if !self.faults.is_empty() {
            words.push(format!("{caught} of {} planted faults caught", self.faults.len()));
        }
        let marks = if self.totals.marks > 0 { "; every mark was hit" } else { "" };
        format!("{}{marks}.", words.join(", "))
    }

    /// Returns the marks that no plan hit, with their check and twin.
    pub(super) fn missed_marks(&self) -> impl Iterator<Item = (&CheckSummary, String)> {
        self.checks.iter().flat_map(|check| {
            let name = format!("{}/{}", check.name, check.twin);
            check.marks_missed().map(move |mark| (check, format!("{name}: {mark}")))
        })
    }

    fn left_out(&self) -> impl Iterator<Item = &PartSummary> {
        self.parts.iter().filter(|part| !part.problem.is_empty())
    }

    /// Returns the shards of `n` that are not here.
    fn missing_shards(&self) -> Vec<String> {
        let count = self.shards.first().and_then(|id| id.shard.split_once('/'));
        let Some(Ok(count)) = count.map(|(_, count)| count.parse::<u64>()) else {
            return Vec::new();
        };
        let is_missing = |name: &String| !self.shards.iter().any(|id| id.shard == *name);
        // One shard alone is a night of its own, until it is merged.
        if self.shards.len() < 2 {
            return Vec::new();
        }
        (1..=count).map(|index| format!("{index}/{count}")).filter(is_missing).collect()
    }

    /// Returns the elapsed time of all steps, in seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        rounded(self.parts.iter().map(|part| part.seconds).sum())
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), EnvironmentError> {
        let failed = files::error(path, "serialize the summary");
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(error.into()))?;
        files::write(path, &(text + "\n"))
    }
}

fn parts(shards: &[NightId], steps: &[Step]) -> Vec<PartSummary> {
    let is_asked = |part: &Part| shards.iter().any(|id| id.parts.contains(part));
    let summary = |part: Part| {
        let own = || steps.iter().filter(move |step| step.part == part);
        let problem = own().filter_map(Step::build).find(|build| !build.problem.is_empty());
        let problem = problem.map(|build| build.problem.clone());
        let seconds = rounded(own().map(|step| step.seconds).sum());
        PartSummary { part, seconds, steps: own().count(), problem: problem.unwrap_or_default() }
    };
    Part::ALL.into_iter().filter(is_asked).map(summary).collect()
}

fn canary(steps: &[Step]) -> Canary {
    let canaries: Vec<&Canary> = steps.iter().filter_map(Step::canary).collect();
    Canary {
        caught: !canaries.is_empty() && canaries.iter().all(|canary| canary.caught),
        twins: canaries.iter().flat_map(|canary| canary.twins.clone()).collect(),
    }
}

/// Sums up the checks of all steps; a curve has a point for each step.
pub(super) fn checks(steps: &[Step]) -> (Vec<CheckSummary>, BTreeMap<String, Vec<CurvePoint>>) {
    let mut sums: Vec<CheckSummary> = Vec::new();
    let mut curves: BTreeMap<String, Vec<CurvePoint>> = BTreeMap::new();
    for step in steps {
        let StepResult::Checks(run) = &step.result else { continue };
        for check in &run.checks {
            let is_same =
                |sum: &&mut CheckSummary| (&sum.name, &sum.twin) == (&check.name, &check.twin);
            match sums.iter_mut().find(is_same) {
                Some(sum) => add_check(sum, check),
                None => sums.push(check.clone()),
            }
        }
        for sum in &sums {
            let count = sum.marks.values().filter(|hits| **hits > 0).count() as u64;
            let point = CurvePoint { seconds: rounded(sum.core_seconds), count };
            curves.entry(format!("{}/{}", sum.name, sum.twin)).or_default().push(point);
        }
    }
    (sums, curves)
}

fn fuzz(steps: &[Step]) -> Vec<FuzzSummary> {
    let mut sums: BTreeMap<&str, FuzzSummary> = BTreeMap::new();
    for step in steps {
        let Some(run) = step.fuzz() else { continue };
        let sum = sums.entry(&run.target).or_insert_with(|| FuzzSummary {
            run: FuzzRun { target: run.target.clone(), ..FuzzRun::default() },
            seconds: 0.0,
            curve: Vec::new(),
        });
        sum.seconds = rounded(sum.seconds + step.seconds);
        sum.run.runs += run.runs;
        sum.run.new_features += run.new_features;
        // The statistics of a corpus never shrink; a run that failed early has none.
        sum.run.edges = sum.run.edges.max(run.edges);
        sum.run.features = sum.run.features.max(run.features);
        sum.run.inputs = sum.run.inputs.max(run.inputs);
        sum.curve.push(CurvePoint { seconds: sum.seconds, count: sum.run.features });
    }
    sums.into_values().collect()
}

/// Returns the highest bound of each model, with its interleavings at that bound.
fn loom(steps: &[Step]) -> Vec<LoomRun> {
    let mut sums: BTreeMap<&str, LoomRun> = BTreeMap::new();
    for step in steps {
        let Some(run) = step.loom() else { continue };
        let sum = sums.entry(&run.model).or_insert_with(|| LoomRun {
            model: run.model.clone(),
            preemptions: run.preemptions,
            ..LoomRun::default()
        });
        if run.preemptions > sum.preemptions {
            *sum = LoomRun { interleavings: 0, ..run.clone() };
        }
        sum.interleavings += run.interleavings;
        sum.complete = run.complete;
    }
    sums.into_values().collect()
}

fn faults(steps: &[Step]) -> Vec<FaultRun> {
    let runs = steps.iter().filter_map(Step::fault).map(|run| (run.id.as_str(), run));
    let last: BTreeMap<&str, &FaultRun> = runs.collect();
    last.into_values().cloned().collect()
}

/// Describes a finished step on one line of the terminal.
pub(super) fn line(step: &Step) -> String {
    let text = match &step.result {
        StepResult::Canary(canary) if canary.caught => "the canary was caught".to_owned(),
        StepResult::Canary(_) => "the canary was MISSED".to_owned(),
        StepResult::Checks(run) => {
            let totals = Totals::of(&run.checks);
            let (plans, operations) = (thousands(totals.plans), thousands(totals.operations));
            format!("seed {}: {plans} plans, {operations} operations", run.seed)
        }
        StepResult::Build(build) if build.problem.is_empty() => {
            format!("built {}", counted(build.names.len(), "program"))
        }
        StepResult::Build(build) => format!("left out: {}", build.problem),
        StepResult::Fuzz(run) => format!(
            "{}: {} inputs, {} features ({} new)",
            run.target,
            thousands(run.runs),
            thousands(run.features),
            run.new_features
        ),
        StepResult::Loom(run) => {
            let state = if run.complete { "all" } else { "so far" };
            let (count, bound) = (thousands(run.interleavings), run.preemptions);
            format!("{}: {count} interleavings at {bound} preemptions, {state}", run.model)
        }
        StepResult::Fault(run) if !run.problem.is_empty() => {
            format!("{} did not run: {}", run.id, run.problem)
        }
        StepResult::Fault(run) if run.check.is_empty() => format!("{} MISSED", run.id),
        StepResult::Fault(run) => {
            format!("{} caught by {} in {:.1} s", run.id, run.check, run.seconds)
        }
    };
    match step.findings.len() {
        0 => text,
        _ => format!("{text}; FOUND {}", step.findings.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(problem: &str) -> Step {
        let problem = problem.to_owned();
        let run = FaultRun { id: "FS-01".to_owned(), problem, ..FaultRun::default() };
        let (part, findings) = (Part::Faults, Vec::new());
        Step { part, seconds: 1.0, findings, result: StepResult::Fault(run) }
    }

    #[test]
    fn an_attack_that_did_not_run_makes_a_night_inconclusive() {
        let folder = tempfile::tempdir().unwrap();
        let judge = |step| NightSummary::of(&[], &[step], folder.path()).unwrap();
        assert_eq!(judge(fault("")).verdict, Verdict::Passed);
        let summary = judge(fault("cannot start"));
        assert_eq!(summary.verdict, Verdict::Inconclusive);
        assert!(summary.sentence.contains("FS-01 did not run: cannot start"));
    }
}
