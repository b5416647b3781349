//! `history.jsonl`: one line per campaign, for the trend in the report.

use crate::files::{self, EnvironmentError};
use crate::summary::{Summary, Verdict};
use serde::{Deserialize, Serialize};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

const FILE: &str = "history.jsonl";
const SHOWN_MAX: usize = 60;

/// One earlier campaign.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// Start time, in seconds since 1970.
    pub started_unix: u64,
    /// The verdict.
    pub verdict: Verdict,
    /// Its seed.
    pub seed: u64,
    /// Time limit, in seconds.
    pub seconds: u64,
    /// Checks chosen; empty for all.
    pub only: Vec<String>,
    /// Operations compared with a model.
    pub operations: u64,
    /// Operations per CPU second.
    pub operations_per_second: f64,
    /// Number of findings.
    pub findings: usize,
}

impl HistoryEntry {
    /// Summarises a campaign.
    #[must_use]
    pub fn of(summary: &Summary) -> Self {
        Self {
            started_unix: summary.started_unix,
            verdict: summary.verdict,
            seed: summary.seed,
            seconds: summary.seconds,
            only: summary.only.clone(),
            operations: summary.totals.operations,
            operations_per_second: summary.totals.operations_per_second,
            findings: summary.totals.findings,
        }
    }
}

/// Appends a campaign; returns all campaigns with the same checks, oldest first.
///
/// Malformed lines are skipped: a campaign may have been killed while it wrote one.
///
/// # Errors
/// If the file cannot be written.
pub fn append(out: &Path, now: &HistoryEntry) -> Result<Vec<HistoryEntry>, EnvironmentError> {
    let path = out.join(FILE);
    let text = if path.exists() { files::read(&path)? } else { String::new() };
    let mut all: Vec<HistoryEntry> =
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let line = serde_json::to_string(now)
        .map_err(|error| files::error(&path, "serialize the line")(error.into()))?;
    let gap = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(format!("{gap}{line}\n").as_bytes()))
        .map_err(files::error(&path, "append to the file"))?;
    all.push(now.clone());
    all.retain(|past| past.only == now.only);
    let hidden = all.len().saturating_sub(SHOWN_MAX);
    Ok(all.split_off(hidden))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_cut_off_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let past = |seed| HistoryEntry {
            started_unix: 1,
            verdict: Verdict::Passed,
            seed,
            seconds: 60,
            only: Vec::new(),
            operations: 5,
            operations_per_second: 2.0,
            findings: 0,
        };
        append(folder.path(), &past(1)).unwrap();
        let path = folder.path().join(FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text}{{\"started")).unwrap();
        append(folder.path(), &past(2)).unwrap();
        let seeds: Vec<u64> =
            append(folder.path(), &past(3)).unwrap().iter().map(|past| past.seed).collect();
        assert_eq!(seeds, [1, 2, 3]);
    }
}
