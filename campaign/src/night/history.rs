//! `history.jsonl`: one line for each night, kept beside the nights, outside `target`.

use super::journal::NightId;
use super::summary::NightSummary;
use crate::files::{self, EnvironmentError};
use crate::summary::Verdict;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

const FILE: &str = "history.jsonl";
const SHOWN_MAX: usize = 60;

/// An earlier night.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct PastNight {
    /// Start time, in seconds since 1970.
    pub(super) started_unix: u64,
    /// The commit.
    pub(super) commit: String,
    /// Version of the compiler.
    pub(super) compiler: String,
    /// The machine.
    pub(super) machine: String,
    /// The verdict.
    pub(super) verdict: Verdict,
    /// Elapsed time of all steps, in seconds.
    pub(super) seconds: f64,
    /// Operations compared with a model.
    pub(super) operations: u64,
    /// Operations per CPU second.
    pub(super) operations_per_second: f64,
    /// Features that the corpora cover, over all fuzz targets.
    pub(super) features: u64,
    /// Planted faults that were attacked, and those that were caught.
    pub(super) faults: (usize, usize),
    /// Names of the findings.
    pub(super) findings: Vec<String>,
}

impl PastNight {
    fn of(summary: &NightSummary) -> Self {
        let id = summary.shards.first();
        let text = |of: fn(&NightId) -> &String| id.map(of).cloned().unwrap_or_default();
        let caught = summary.faults.iter().filter(|run| !run.check.is_empty()).count();
        Self {
            started_unix: id.map_or(0, |id| id.started_unix),
            commit: text(|id| &id.commit),
            compiler: text(|id| &id.compiler),
            machine: text(|id| &id.machine),
            verdict: summary.verdict,
            seconds: summary.seconds(),
            operations: summary.totals.operations,
            operations_per_second: summary.totals.operations_per_second,
            features: summary.fuzz.iter().map(|target| target.run.features).sum(),
            faults: (summary.faults.len(), caught),
            findings: summary.findings.iter().map(|finding| finding.name.clone()).collect(),
        }
    }
}

/// Appends a night, and returns the last ones, oldest first. Only the last
/// line of a night that was resumed counts; lines that cannot be read are skipped.
pub(crate) fn append(
    dir: &Path,
    summary: &NightSummary,
) -> Result<Vec<PastNight>, EnvironmentError> {
    let path = dir.join(FILE);
    let text = if path.exists() { files::read(&path)? } else { String::new() };
    let now = PastNight::of(summary);
    let line = serde_json::to_string(&now)
        .map_err(|error| files::error(&path, "serialize the line")(error.into()))?;
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    let file = OpenOptions::new().create(true).append(true).open(&path);
    file.and_then(|mut file| file.write_all(format!("{gap}{line}\n").as_bytes()))
        .map_err(files::error(&path, "append to the file"))?;
    let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    let nights: BTreeMap<u64, PastNight> =
        lines.chain([now]).map(|night: PastNight| (night.started_unix, night)).collect();
    let mut all: Vec<PastNight> = nights.into_values().collect();
    let hidden = all.len().saturating_sub(SHOWN_MAX);
    Ok(all.split_off(hidden))
}
