//! What a campaign says in the end: `summary.json`, and the verdict the exit code is made of.
//!
//! - K7 A campaign that could not have seen is *blind*, never *held*: the canary was missed, or a
//!   mark was never hit.

use crate::engine::{Outcome, Tally};
use crate::files::{self, Environment};
use crate::findings::Finding;
use crate::plans::Pair;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Version of the layout of `summary.json`.
pub const SUMMARY_VERSION: u32 = 1;

/// What a campaign found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All promises held, and the campaign could have seen otherwise.
    Held,
    /// A promise is broken.
    Broken,
    /// Nothing was found, and nothing might have been: the canary or a mark was missed.
    Blind,
    /// It was stopped before its time, with nothing found until then.
    Interrupted,
}

impl Verdict {
    /// Returns the exit code of the process: 130 is what a shell says of an interrupted command.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Held => 0,
            Self::Broken => 1,
            Self::Blind => 3,
            Self::Interrupted => 130,
        }
    }

    /// Returns the verdict in a word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Broken => "broken",
            Self::Blind => "blind",
            Self::Interrupted => "interrupted",
        }
    }
}

/// The content of `summary.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// [`SUMMARY_VERSION`].
    pub version: u32,
    /// Program and version that wrote it.
    pub program: String,
    /// What was found out.
    pub verdict: Verdict,
    /// The verdict in a sentence.
    pub sentence: String,
    /// Exit code of the process.
    pub exit_code: u8,
    /// Seed of the campaign.
    pub seed: u64,
    /// Seconds asked for.
    pub seconds: u64,
    /// Seconds taken, canary and shrinking included.
    pub elapsed_seconds: f64,
    /// Worker threads.
    pub jobs: usize,
    /// Which shard of how many, as `i/n`.
    pub shard: String,
    /// Checks chosen with `--only`; empty for all.
    pub only: Vec<String>,
    /// When it was started, in seconds since 1970.
    pub started_unix: u64,
    /// The command that runs the same plans again.
    pub rerun: String,
    /// Proof that the alarm works.
    pub canary: Canary,
    /// Sums over all checks.
    pub totals: Totals,
    /// Each check and twin.
    pub checks: Vec<CheckSummary>,
}

/// Proof that the alarm works.
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
    /// Whether it was caught, made small, saved, read back and caught again.
    pub caught: bool,
    /// Plans it took.
    pub plans: u64,
    /// Seconds it took, shrinking included.
    pub seconds: f64,
    /// Operations of the smallest plan.
    pub operations_min: usize,
    /// What was said, or what went wrong.
    pub text: String,
}

/// Sums over all checks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    /// Plans run.
    pub plans: u64,
    /// Operations compared with a model.
    pub operations: u64,
    /// Operations for each second of a core.
    pub operations_per_second: f64,
    /// Crashes recovered from.
    pub crash_points: u64,
    /// Findings.
    pub findings: usize,
    /// Marks hit, over all pairs.
    pub marks_hit: usize,
    /// Marks there are, over all pairs.
    pub marks: usize,
}

/// What one check and twin did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CheckSummary {
    /// Name of the check.
    pub name: String,
    /// Plain or encrypted.
    pub twin: String,
    /// What the check does.
    pub about: String,
    /// Ids and sentences of what it guards.
    pub invariants: Vec<(String, String)>,
    /// Plans run.
    pub plans: u64,
    /// Operations compared with the model.
    pub operations: u64,
    /// Operations for each second of a core spent in this check.
    pub operations_per_second: f64,
    /// Seconds of cores spent in this check; waiting for a core is left out.
    pub core_seconds: f64,
    /// Crashes recovered from and compared.
    pub crash_points: u64,
    /// The same by kind of I/O and depth.
    pub crash_points_by: BTreeMap<String, u64>,
    /// Operations by kind.
    pub mix: BTreeMap<String, u64>,
    /// How often each mark was hit.
    pub marks: BTreeMap<String, u64>,
    /// Broken promises.
    pub findings: Vec<FindingSummary>,
}

/// A broken promise.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FindingSummary {
    /// Name of its file, without extension.
    pub name: String,
    /// Id of the invariant.
    pub invariant: String,
    /// What is promised.
    pub promise: String,
    /// What happened instead.
    pub text: String,
    /// Kind of the operation it happened at.
    pub operation: String,
    /// The file of the plan.
    pub file: String,
    /// Operations of the smallest plan.
    pub operations: Vec<String>,
    /// How many operations the plan had when it was found.
    pub operations_before: usize,
    /// Plans that broke it in this way.
    pub seen: u64,
    /// Seconds from the start until it was found.
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
    /// Whether another finding of the same check and twin is this one.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.invariant, &self.operation) == (&other.invariant, &other.operation)
    }
}

impl CheckSummary {
    /// Sums up one pair, of which only `findings` of its own are taken.
    #[must_use]
    pub fn new((pair, tally): &(Pair, Tally), findings: &[Finding], folder: &Path) -> Self {
        let seconds = tally.busy.as_secs_f64();
        let probe = &tally.probe;
        let of_pair = |finding: &&Finding| finding.origin.pair.to_string() == pair.to_string();
        let hits = |mark: &&str| probe.marks.get(mark).copied().unwrap_or(0);
        let marks = pair.check.marks.iter().map(|mark| ((*mark).to_owned(), hits(mark))).collect();
        let findings = findings.iter().filter(of_pair);
        Self {
            name: pair.check.name.to_owned(),
            twin: pair.twin.name().to_owned(),
            about: pair.check.about.to_owned(),
            invariants: invariants(pair),
            plans: tally.plans,
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

    /// Works the speed out again, after counts and time have changed.
    pub fn measure(&mut self) {
        self.operations_per_second = rate(self.operations, self.core_seconds);
    }

    /// Returns operations for each second of a core as a whole number.
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
    /// Adds up the checks.
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

/// Judges a campaign: what was broken first, then whether it could have seen.
#[must_use]
pub fn judge(checks: &[CheckSummary], canary: &Canary, interrupted: bool) -> (Verdict, String) {
    let totals = Totals::of(checks);
    if totals.findings > 0 {
        let promises = checks.iter().flat_map(|check| &check.findings);
        let mut ids: Vec<&str> = promises.map(|finding| finding.invariant.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let findings = counted(totals.findings, "finding");
        return (Verdict::Broken, format!("{findings}; broken: {}.", ids.join(", ")));
    }
    if interrupted {
        let sentence = "Stopped before its time; nothing was found until then.";
        return (Verdict::Interrupted, sentence.to_owned());
    }
    if !canary.caught {
        let sentence = "The canary, wrong on purpose, was not caught: the alarm does not work.";
        return (Verdict::Blind, sentence.to_owned());
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
            count => format!(" and {} crashes", thousands(count)),
        };
        let operations = thousands(totals.operations);
        let sentence = format!("{operations} operations{crashes}, and every mark was hit.");
        return (Verdict::Held, sentence);
    }
    let sentence = match missed.len() {
        0 => "Nothing was run.".to_owned(),
        count => format!("{} never hit: {}.", counted(count, "mark"), missed.join("; ")),
    };
    (Verdict::Blind, sentence)
}

/// Sums up the pairs of an engine's outcome.
#[must_use]
pub fn checks_of(outcome: &Outcome, folder: &Path) -> Vec<CheckSummary> {
    let rows = outcome.rows.iter();
    rows.map(|row| CheckSummary::new(row, &outcome.findings, folder)).collect()
}

impl Summary {
    /// Reads a `summary.json`.
    ///
    /// # Errors
    /// When it cannot be read or is not one.
    pub fn read(path: &Path) -> Result<Self, Environment> {
        let text = files::read(path)?;
        let malformed = files::error(path, "understand the summary");
        serde_json::from_str(&text).map_err(|error| malformed(error.into()))
    }

    /// Writes it as `summary.json`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), Environment> {
        let failed = files::error(path, "put the summary together");
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

/// Writes a number with a thin gap between thousands.
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
            let mut tally = Tally::default();
            tally.probe.operations = 10;
            tally
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
    fn a_campaign_that_could_not_have_seen_is_blind() {
        let missed = Canary::default();
        expect(&[check(&[("torn", 1)])], &CAUGHT, Verdict::Held);
        expect(&[check(&[("torn", 1)]), check(&[("torn", 0)])], &CAUGHT, Verdict::Blind);
        expect(&[check(&[("torn", 1)])], &missed, Verdict::Blind);
        expect(&[], &CAUGHT, Verdict::Blind);
    }

    #[test]
    fn a_broken_promise_outweighs_everything() {
        let mut broken = check(&[("torn", 0)]);
        broken.findings.push(finding());
        expect(std::slice::from_ref(&broken), &Canary::default(), Verdict::Broken);
        assert_eq!(judge(&[broken], &CAUGHT, true).0, Verdict::Broken);
        assert_eq!(judge(&[check(&[("torn", 0)])], &CAUGHT, true).0, Verdict::Interrupted);
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(1_234_567), "1\u{202f}234\u{202f}567");
    }
}
