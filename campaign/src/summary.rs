//! The summary of a campaign: `summary.json`, and the verdict behind the exit code.
//!
//! - CA7 A campaign that could not have detected anything is *inconclusive*, never *passed*: the
//!   canary was missed, or a mark was never hit.

use crate::engine::{Outcome, PairStats};
use crate::files::{self, EnvironmentError};
use crate::findings::Finding;
use crate::plans::Pair;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Version of the schema of `summary.json`.
pub const SUMMARY_VERSION: u32 = 1;

/// The verdict of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All promises held, and the campaign could have detected a violation.
    #[serde(alias = "held")]
    Passed,
    /// A promise is violated.
    #[serde(alias = "broken")]
    Failed,
    /// No findings, but the canary or a mark was missed: a violation may have been missed.
    #[serde(alias = "blind")]
    Inconclusive,
    /// The campaign was stopped early, without findings.
    Interrupted,
}

impl Verdict {
    /// Returns the exit code of the process; shells use 130 for an interrupted command.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Failed => 1,
            Self::Inconclusive => 3,
            Self::Interrupted => 130,
        }
    }

    /// Returns the verdict as one word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Inconclusive => "inconclusive",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The content of `summary.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// [`SUMMARY_VERSION`].
    pub version: u32,
    /// Program and version.
    pub program: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The verdict in a sentence.
    pub sentence: String,
    /// Exit code of the process.
    pub exit_code: u8,
    /// Seed of the campaign.
    pub seed: u64,
    /// Time limit, in seconds.
    pub seconds: u64,
    /// Limit of the plans of each check and twin, over all shards; `null` for none.
    #[serde(default)]
    pub plans: Option<u64>,
    /// Elapsed seconds, canary and shrinking included.
    pub elapsed_seconds: f64,
    /// Number of worker threads.
    pub jobs: usize,
    /// The shard, as `i/n`.
    pub shard: String,
    /// Checks chosen with `--only`; empty for all.
    pub only: Vec<String>,
    /// Start time, in seconds since 1970.
    pub started_unix: u64,
    /// The command that reruns the same plans.
    pub rerun: String,
    /// Proof that the campaign detects violations.
    pub canary: Canary,
    /// Sums over all checks.
    pub totals: Totals,
    /// Each check and twin.
    pub checks: Vec<CheckSummary>,
}

/// Proof that the campaign detects violations.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Canary {
    /// Whether every twin was caught.
    pub caught: bool,
    /// Each twin.
    pub twins: Vec<CanaryTwin>,
}

/// One twin of the canary.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CanaryTwin {
    /// Plain or encrypted.
    pub twin: String,
    /// Whether it was caught, shrunk, saved, read back and caught again.
    pub caught: bool,
    /// Plans that ran before the catch.
    pub plans: u64,
    /// Seconds, shrinking included.
    pub seconds: f64,
    /// Length of the shrunk plan.
    pub operations_min: usize,
    /// The violation, or the step that failed.
    pub text: String,
}

/// Sums over all checks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Plans that ran.
    pub plans: u64,
    /// Operations compared with a model.
    pub operations: u64,
    /// Operations per CPU second.
    pub operations_per_second: f64,
    /// Simulated crashes with a checked recovery.
    pub crash_points: u64,
    /// Number of findings.
    pub findings: usize,
    /// Marks hit, over all pairs.
    pub marks_hit: usize,
    /// Marks in total, over all pairs.
    pub marks: usize,
}

/// Summary of one check and twin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckSummary {
    /// Name of the check.
    pub name: String,
    /// Plain or encrypted.
    pub twin: String,
    /// Description of the check.
    pub about: String,
    /// Ids and promises of its invariants.
    pub invariants: Vec<(String, String)>,
    /// Plans that ran.
    pub plans: u64,
    /// Operations compared with the model.
    pub operations: u64,
    /// Operations per CPU second of this check.
    pub operations_per_second: f64,
    /// CPU seconds of this check.
    pub core_seconds: f64,
    /// Simulated crashes with a checked recovery.
    pub crash_points: u64,
    /// The same, by kind of I/O and recursion depth.
    pub crash_points_by: BTreeMap<String, u64>,
    /// Operations by kind.
    pub mix: BTreeMap<String, u64>,
    /// Number of hits of each mark.
    pub marks: BTreeMap<String, u64>,
    /// Violated promises.
    pub findings: Vec<FindingSummary>,
}

/// A violated promise.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FindingSummary {
    /// Name of the plan file, without extension.
    pub name: String,
    /// Id of the invariant.
    pub invariant: String,
    /// The promise.
    pub promise: String,
    /// The violation.
    pub text: String,
    /// Kind of the operation that failed.
    pub operation: String,
    /// Path of the plan file.
    pub file: String,
    /// The shrunk plan, line by line.
    pub operations: Vec<String>,
    /// Length of the original plan.
    pub operations_before: usize,
    /// Number of plans with this signature.
    pub seen: u64,
    /// Seconds before it was found.
    pub after_seconds: f64,
    /// Number of the plan in the campaign.
    pub plan_number: u64,
    /// The command that replays the smallest plan.
    pub replay: String,
    /// The command that replays the plan it was found with.
    pub replay_origin: String,
}

impl FindingSummary {
    fn new(finding: &Finding, folder: &Path) -> Self {
        let name = finding.file().name();
        Self {
            invariant: finding.violation.invariant.to_owned(),
            promise: finding.promise().to_owned(),
            text: finding.violation.text.clone(),
            operation: finding.operation().to_owned(),
            file: folder.join(&name).with_extension("plan").display().to_string(),
            name,
            operations: finding.plan.to_string().lines().map(str::to_owned).collect(),
            operations_before: finding.operations_before,
            seen: finding.seen,
            after_seconds: rounded(finding.after.as_secs_f64()),
            plan_number: finding.origin.number,
            replay: finding.replay(folder),
            replay_origin: finding.replay_origin(),
        }
    }
}

impl FindingSummary {
    /// Whether another finding of the same check and twin has the same signature.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.invariant, &self.operation) == (&other.invariant, &other.operation)
    }
}

impl CheckSummary {
    /// Summarises one pair; takes only the `findings` of that pair.
    #[must_use]
    pub fn new((pair, stats): &(Pair, PairStats), findings: &[Finding], folder: &Path) -> Self {
        let seconds = stats.busy.as_secs_f64();
        let probe = &stats.probe;
        let of_pair = |finding: &&Finding| finding.origin.pair.to_string() == pair.to_string();
        let hits = |mark: &&str| probe.marks.get(mark).copied().unwrap_or(0);
        let marks = pair.check.marks.iter().map(|mark| ((*mark).to_owned(), hits(mark))).collect();
        let findings = findings.iter().filter(of_pair);
        Self {
            name: pair.check.name.to_owned(),
            twin: pair.twin.name().to_owned(),
            about: pair.check.about.to_owned(),
            invariants: invariants(pair),
            plans: stats.plans,
            operations: probe.operations,
            operations_per_second: rate(probe.operations, seconds),
            core_seconds: rounded(seconds),
            crash_points: probe.crash_points,
            crash_points_by: named(&probe.crash_points_by),
            mix: named(&probe.mix),
            marks,
            findings: findings.map(|finding| FindingSummary::new(finding, folder)).collect(),
        }
    }

    /// Recomputes the speed after counts and time have changed.
    pub fn measure(&mut self) {
        self.operations_per_second = rate(self.operations, self.core_seconds);
    }

    /// Returns operations per CPU second as an integer.
    #[must_use]
    pub fn speed(&self) -> u64 {
        whole(self.operations_per_second)
    }

    /// Returns the marks that were never hit.
    pub fn marks_missed(&self) -> impl Iterator<Item = &str> {
        self.marks.iter().filter(|(_, count)| **count == 0).map(|(mark, _)| mark.as_str())
    }
}

fn invariants(pair: &Pair) -> Vec<(String, String)> {
    let own = pair.check.invariants.iter();
    own.map(|own| (own.id.to_owned(), own.promise.to_owned())).collect()
}

impl Totals {
    /// Sums up the checks.
    #[must_use]
    pub fn of(checks: &[CheckSummary]) -> Self {
        let operations = checks.iter().map(|check| check.operations).sum();
        let marks = checks.iter().map(|check| check.marks.len()).sum();
        let missed: usize = checks.iter().map(|check| check.marks_missed().count()).sum();
        Self {
            plans: checks.iter().map(|check| check.plans).sum(),
            operations,
            operations_per_second: rate(
                operations,
                checks.iter().map(|check| check.core_seconds).sum(),
            ),
            crash_points: checks.iter().map(|check| check.crash_points).sum(),
            findings: checks.iter().map(|check| check.findings.len()).sum(),
            marks_hit: marks - missed,
            marks,
        }
    }
}

/// Decides the verdict: findings first, then whether the campaign could detect violations.
#[must_use]
pub fn judge(checks: &[CheckSummary], canary: &Canary, interrupted: bool) -> (Verdict, String) {
    let totals = Totals::of(checks);
    if totals.findings > 0 {
        let promises = checks.iter().flat_map(|check| &check.findings);
        let mut ids: Vec<&str> = promises.map(|finding| finding.invariant.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let findings = counted(totals.findings, "finding");
        return (Verdict::Failed, format!("{findings}; violated: {}.", ids.join(", ")));
    }
    if interrupted {
        let sentence = "Stopped early, without findings.";
        return (Verdict::Interrupted, sentence.to_owned());
    }
    if !canary.caught {
        let sentence =
            "The canary, a deliberate bug, was not caught: this campaign detects nothing.";
        return (Verdict::Inconclusive, sentence.to_owned());
    }
    let missed: Vec<String> = checks
        .iter()
        .flat_map(|check| {
            check.marks_missed().map(move |mark| format!("{}/{}: {mark}", check.name, check.twin))
        })
        .collect();
    if missed.is_empty() && totals.operations > 0 {
        let crashes = match totals.crash_points {
            0 => String::new(),
            count => format!(" and {} simulated crashes", thousands(count)),
        };
        let operations = thousands(totals.operations);
        let sentence = format!("{operations} operations{crashes}; every mark was hit.");
        return (Verdict::Passed, sentence);
    }
    let sentence = match missed.len() {
        0 => "No plan ran.".to_owned(),
        count => format!("{} never hit: {}.", counted(count, "mark"), missed.join("; ")),
    };
    (Verdict::Inconclusive, sentence)
}

/// Summarises the pairs of an engine's outcome.
#[must_use]
pub fn checks_of(outcome: &Outcome, folder: &Path) -> Vec<CheckSummary> {
    let rows = outcome.rows.iter();
    rows.map(|row| CheckSummary::new(row, &outcome.findings, folder)).collect()
}

impl Summary {
    /// Reads a `summary.json`.
    ///
    /// # Errors
    /// If the file cannot be read or parsed.
    pub fn read(path: &Path) -> Result<Self, EnvironmentError> {
        let text = files::read(path)?;
        let malformed = files::error(path, "parse the summary");
        serde_json::from_str(&text).map_err(|error| malformed(error.into()))
    }

    /// Writes it as `summary.json`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), EnvironmentError> {
        let failed = files::error(path, "serialize the summary");
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(error.into()))?;
        files::write(path, &(text + "\n"))
    }
}

fn named(counts: &BTreeMap<&'static str, u64>) -> BTreeMap<String, u64> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a rate has few digits that mean anything")]
fn rate(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { (count as f64 / seconds).round() } else { 0.0 }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "speeds are neither negative nor above 2^53"
)]
pub(crate) fn whole(number: f64) -> u64 {
    number.max(0.0) as u64
}

pub(crate) fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// Formats a number with thin spaces between thousands.
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

pub(crate) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastness_sim::check::{Twin, Violation};

    const CAUGHT: Canary = Canary { caught: true, twins: Vec::new() };

    fn check(marks: &[(&str, u64)]) -> CheckSummary {
        let origin = (Pair { check: &fastness_sim::check::CANARY, twin: Twin::Plain }, {
            let mut stats = PairStats::default();
            stats.probe.operations = 10;
            stats
        });
        let mut check = CheckSummary::new(&origin, &[], Path::new("out"));
        check.marks = marks.iter().map(|(mark, count)| ((*mark).to_owned(), *count)).collect();
        check
    }

    fn finding() -> FindingSummary {
        let mut plan = Pair { check: &fastness_sim::check::CANARY, twin: Twin::Plain }.plan(1, 1);
        plan.ops.truncate(3);
        let pair = Pair { check: &fastness_sim::check::CANARY, twin: Twin::Plain };
        let finding = Finding {
            origin: crate::findings::Origin { pair, number: 1, plan_seed: 2 },
            violation: Violation { invariant: "Y1", text: "no".to_owned(), step: None },
            plan,
            operations_before: 9,
            shrunk: true,
            seen: 1,
            after: std::time::Duration::ZERO,
        };
        FindingSummary::new(&finding, Path::new("out"))
    }

    #[track_caller]
    fn expect(checks: &[CheckSummary], canary: &Canary, verdict: Verdict) {
        let (judged, sentence) = judge(checks, canary, false);
        assert_eq!(judged, verdict, "{sentence}");
    }

    #[test]
    fn a_campaign_that_could_not_detect_anything_is_inconclusive() {
        let missed = Canary::default();
        expect(&[check(&[("torn", 1)])], &CAUGHT, Verdict::Passed);
        expect(&[check(&[("torn", 1)]), check(&[("torn", 0)])], &CAUGHT, Verdict::Inconclusive);
        expect(&[check(&[("torn", 1)])], &missed, Verdict::Inconclusive);
        expect(&[], &CAUGHT, Verdict::Inconclusive);
    }

    #[test]
    fn a_violated_promise_outweighs_everything() {
        let mut broken = check(&[("torn", 0)]);
        broken.findings.push(finding());
        expect(std::slice::from_ref(&broken), &Canary::default(), Verdict::Failed);
        assert_eq!(judge(&[broken], &CAUGHT, true).0, Verdict::Failed);
        assert_eq!(judge(&[check(&[("torn", 0)])], &CAUGHT, true).0, Verdict::Interrupted);
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(1_234_567), "1\u{202f}234\u{202f}567");
    }
}
