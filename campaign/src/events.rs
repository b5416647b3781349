//! `events.jsonl`: an append-only log of events, one JSON object a line.

use crate::engine::ProgressSnapshot;
use crate::files::{self, EnvironmentError};
use crate::findings::Finding;
use crate::summary::rounded;
use serde_json::{Value, json};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The event log of one campaign.
pub(crate) struct Events {
    path: PathBuf,
    file: File,
    start: Instant,
}

impl Events {
    pub(crate) fn create(path: &Path) -> Result<Self, EnvironmentError> {
        let file = File::create(path).map_err(files::error(path, "create the file"))?;
        Ok(Self { path: path.to_path_buf(), file, start: Instant::now() })
    }

    /// Appends an event with its name and the seconds since the start.
    pub(crate) fn add(&mut self, name: &str, mut event: Value) -> Result<(), EnvironmentError> {
        event["event"] = json!(name);
        event["at_seconds"] = json!(rounded(self.start.elapsed().as_secs_f64()));
        let failed = files::error(&self.path, "append to the file");
        self.file.write_all(format!("{event}\n").as_bytes()).map_err(failed)
    }

    pub(crate) fn progress(&mut self, snapshot: &ProgressSnapshot) -> Result<(), EnvironmentError> {
        let checks: Vec<Value> = snapshot
            .rows
            .iter()
            .map(|(pair, stats, findings)| {
                json!({
                    "name": pair.check.name,
                    "twin": pair.twin.name(),
                    "plans": stats.plans,
                    "operations": stats.probe.operations,
                    "marks_hit": stats.probe.marks.len(),
                    "findings": findings,
                })
            })
            .collect();
        self.add("progress", json!({ "checks": checks }))
    }

    pub(crate) fn finding(&mut self, finding: &Finding) -> Result<(), EnvironmentError> {
        self.add(
            "finding",
            json!({
                "name": finding.file().name(),
                "check": finding.origin.pair.check.name,
                "twin": finding.origin.pair.twin.name(),
                "invariant": finding.violation.invariant,
                "text": finding.violation.text,
                "operations": finding.plan.ops.len(),
                "plan_number": finding.origin.number,
            }),
        )
    }
}
