//! The part `faults`: planted faults, one at a time, which the checks must catch.

use super::part::Part;
use super::running::{Night, built};
use super::step::{BuildRun, FaultRun, Step, StepResult};
use crate::files::{self, EnvironmentError};
use crate::plans::mixed_seed;
use crate::summary::rounded;
use crate::tool::{Ending, Tool, problem_line};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const BUILD_LIMIT: Duration = Duration::from_secs(3600);
const LIST_LIMIT: Duration = Duration::from_secs(60);
const RUN_GRACE: Duration = Duration::from_secs(120);
/// The last result of each fault, over all nights.
pub(super) const FILE: &str = "faults.json";

impl Night<'_> {
    /// Builds the program with the planted faults.
    pub(super) fn build_faults(&self, root: &Path) -> Result<Step, EnvironmentError> {
        let start = Instant::now();
        let mut build = BuildRun { problem: String::new(), names: Vec::new() };
        let tool = Tool::new("cargo", root, self.log("build-faults"))
            .args(["build", "--release", "--package", "fastness-cli", "--no-default-features"])
            .args(["--features", "faults", "--bin", "fastness", "--target-dir"])
            .args([self.folder("build").join("faults")]);
        let (ending, output) = tool.run(BUILD_LIMIT, self.stop)?;
        if ending != Ending::Success {
            build.problem = format!("its program does not build: {}", problem_line(&output));
            return Ok(built(Part::Faults, start, build));
        }
        let list = Tool::new(self.faults_program(), root, self.log("list-faults"));
        let (_, output) = list.args(["faults", "--list"]).run(LIST_LIMIT, self.stop)?;
        build.names = output.lines().map(str::to_owned).collect();
        Ok(built(Part::Faults, start, build))
    }

    /// Returns the faults whose last attack is longest ago, at most `count`; none twice a night.
    pub(super) fn next_faults(&self, names: &[String], count: usize) -> Vec<String> {
        let tonight: Vec<&str> = self.fault_runs().map(|run| run.id.as_str()).collect();
        let past = read_past(&self.dir);
        let is_open = |name: &&String| !tonight.contains(&name.as_str());
        let mut open: Vec<&String> = names.iter().filter(is_open).collect();
        open.sort_by_key(|name| past.get(*name).map_or(0, |(unix, _)| *unix));
        open.into_iter().take(count).cloned().collect()
    }

    pub(super) fn fault_runs(&self) -> impl Iterator<Item = &FaultRun> {
        self.steps_of(Part::Faults).filter_map(Step::fault)
    }

    /// Plants a fault and attacks it for this time.
    pub(super) fn run_fault(&self, id: &str, time: Duration) -> Result<Step, EnvironmentError> {
        let start = Instant::now();
        let out = self.folder("work").join(id);
        let seed = mixed_seed(self.journal.id.seed, self.fault_runs().count() as u64) >> 32;
        let seconds = time.as_secs().max(1);
        let tool = Tool::new(self.faults_program(), &self.checkout_root, self.log(id))
            .args(["faults", "--only", id, "--no-clean", "--jobs", "1", "--seconds"])
            .args([&seconds.to_string(), "--seed", &seed.to_string(), "--out"])
            .args([&out]);
        let results = out.join("faults.json");
        if results.exists() {
            fs::remove_file(&results).map_err(files::error(&results, "remove the file"))?;
        }
        let (_, output) = tool.run(time + RUN_GRACE, self.stop)?;
        // A process that was stopped, or that failed, leaves none.
        let text = files::read(&results).unwrap_or_default();
        let summary: Value = serde_json::from_str(&text).unwrap_or_default();
        let mut run = parse(id, seconds, &summary["faults"][0]);
        if summary["faults"][0].is_null() {
            run.problem = problem_line(&output).to_owned();
        }
        let seconds = rounded(start.elapsed().as_secs_f64());
        let (part, findings) = (Part::Faults, Vec::new());
        Ok(Step { part, seconds, findings, result: StepResult::Fault(run) })
    }

    fn faults_program(&self) -> PathBuf {
        self.folder("build").join("faults/release/fastness")
    }
}

fn parse(id: &str, limit_seconds: u64, row: &Value) -> FaultRun {
    let catch = &row["catches"][0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let check = match catch["check"].as_str() {
        Some(check) => format!("{check}/{}", text(&catch["twin"])),
        None => String::new(),
    };
    #[expect(clippy::cast_precision_loss, reason = "a limit is short")]
    let seconds = catch["seconds"].as_f64().unwrap_or(limit_seconds as f64);
    FaultRun {
        id: id.to_owned(),
        about: text(&row["about"]),
        limit_seconds,
        reached: row["reached"].as_u64().unwrap_or(0),
        invariant: text(&catch["invariant"]),
        check,
        seconds,
        problem: String::new(),
    }
}

/// The last result of each fault, with the time of it in seconds since 1970.
type Past = BTreeMap<String, (u64, FaultRun)>;

pub(super) fn read_past(dir: &Path) -> Past {
    let text = files::read(&dir.join(FILE)).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Keeps the results of a night for the next one.
pub(super) fn keep<'a>(
    dir: &Path,
    now_unix: u64,
    runs: impl Iterator<Item = &'a FaultRun>,
) -> Result<(), EnvironmentError> {
    let mut past = read_past(dir);
    past.extend(runs.map(|run| (run.id.clone(), (now_unix, run.clone()))));
    let path = dir.join(FILE);
    let text = serde_json::to_string_pretty(&past)
        .map_err(|error| files::error(&path, "serialize the results")(error.into()))?;
    files::write(&path, &(text + "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_result_of_a_fault_is_read() {
        let catch = json!({ "check": "crash", "twin": "plain", "invariant": "C2", "seconds": 1.5 });
        let row = json!({ "about": "lost", "reached": 3, "catches": [catch] });
        let run = parse("FS-01", 60, &row);
        assert_eq!((run.check.as_str(), run.invariant.as_str()), ("crash/plain", "C2"));
        assert_eq!((run.reached, run.seconds), (3, 1.5));
        let missed = parse("FS-02", 60, &json!({ "reached": 0, "catches": [] }));
        assert_eq!((missed.check.as_str(), missed.seconds), ("", 60.0));
    }
}
