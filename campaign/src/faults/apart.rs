//! Attacks on a planted fault in a process of their own, for a fault may end its process.
//!
//! - CA21 Each round of a planted fault runs in a process of its own: one that a signal ends is a
//!   catch, one that fails otherwise is an error and no catch.

use super::{Catch, FaultCampaign, FaultRow, FaultSummary, Round};
use crate::files::{self, EnvironmentError};
use crate::summary::rounded;
use fastness::fault::Fault;
use fastness_sim::check::NO_PANIC;
use std::io;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The exit code of an interrupted command.
const INTERRUPTED: i32 = 130;

impl FaultCampaign {
    /// Attacks `planted` for one round with `program`, a command line of this version; `None` if it
    /// was interrupted.
    pub(super) fn row_apart(
        &self,
        program: &Path,
        planted: Fault,
        round: &Round<'_>,
    ) -> Result<Option<FaultRow>, EnvironmentError> {
        let begun = Instant::now();
        let mut command = Command::new(program);
        command.args(self.arguments(planted, round)).arg("--out").arg(self.out.join("apart"));
        let output = command.current_dir(&self.here).stdin(Stdio::null()).output();
        let output = output.map_err(files::error(program, "start the program"))?;
        row_of(planted, &output, begun.elapsed()).map_err(files::error(program, "attack a fault"))
    }

    fn arguments(&self, planted: Fault, round: &Round<'_>) -> Vec<String> {
        let fixed = ["faults", "--together", "--no-clean", "--json", "--only", planted.id()];
        let mut args: Vec<String> = fixed.map(str::to_owned).into();
        let mut option = |name: &str, value: String| args.extend([name.to_owned(), value]);
        option("--seconds", self.seconds.to_string());
        option("--seed", round.seed.to_string());
        option("--jobs", self.jobs.to_string());
        if let Some(plans) = self.plans {
            option("--plans", plans.to_string());
        }
        let checks: Vec<&str> = round.checks.iter().map(|check| check.name).collect();
        if !checks.is_empty() {
            option("--check", checks.join(","));
        }
        args
    }
}

/// Reads the result of a round from what its process printed.
fn row_of(planted: Fault, output: &Output, took: Duration) -> io::Result<Option<FaultRow>> {
    match output.status.code() {
        Some(0 | 1) => {
            let summary: FaultSummary = serde_json::from_slice(&output.stdout)?;
            let row = summary.faults.into_iter().next();
            row.map(Some).ok_or_else(|| io::Error::other("its results are empty"))
        }
        Some(INTERRUPTED) => Ok(None),
        Some(_) => Err(io::Error::other(last_line(&output.stderr))),
        None => Ok(Some(aborted(planted, &last_line(&output.stderr), took))),
    }
}

fn last_line(text: &[u8]) -> String {
    String::from_utf8_lossy(text).lines().last().unwrap_or("no output").to_owned()
}

/// The round of a fault that ended its process.
fn aborted(planted: Fault, problem: &str, took: Duration) -> FaultRow {
    let seconds = rounded(took.as_secs_f64());
    let catch = Catch {
        check: "process".to_owned(),
        twin: "ended".to_owned(),
        invariant: NO_PANIC.id.to_owned(),
        promise: NO_PANIC.promise.to_owned(),
        text: format!("the process was ended by a signal: {problem}"),
        plans: 0,
        seconds,
        cpu_seconds: seconds,
        operations_min: 0,
        operations: Vec::new(),
    };
    let (id, about) = (planted.id().to_owned(), planted.about().to_owned());
    FaultRow { id, about, reached: 1, rounds: 1, catches: vec![catch] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    fn ended(status: i32, out: &str, err: &str) -> io::Result<Option<FaultRow>> {
        let (stdout, stderr) = (out.into(), err.into());
        let output = Output { status: ExitStatus::from_raw(status), stdout, stderr };
        row_of(Fault::ALL[0], &output, Duration::from_secs(2))
    }

    #[test]
    fn only_a_signal_counts_as_a_catch() {
        let abort = ended(6, "", "panic in a destructor\naborting").unwrap().unwrap();
        assert!(abort.is_caught());
        let text = "the process was ended by a signal: aborting";
        assert_eq!((abort.catches[0].invariant.as_str(), &*abort.catches[0].text), ("X1", text));
        assert_eq!(abort.catches[0].cpu_seconds, 2.0);
        let usage = ended(2 << 8, "", "error: no such option").unwrap_err();
        assert_eq!(usage.to_string(), "error: no such option");
        assert!(ended(0, "no JSON", "").is_err());
        assert!(ended(INTERRUPTED << 8, "", "").unwrap().is_none());
    }
}
