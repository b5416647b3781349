//! Runs what attacks a change.

use super::owners::{check_in, owner_of};
use crate::engine::{Engine, Event};
use crate::files::{self, EnvironmentError};
use crate::limits::Limits;
use crate::plans::{Shard, pairs};
use fastness_sim::check::{Check, by_name};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// A change, and what attacks it.
#[derive(Clone, Debug)]
pub struct Changed {
    /// Root of the checkout.
    pub root: PathBuf,
    /// The changed files, from the root.
    pub files: Vec<String>,
    /// The checks to run.
    pub checks: Vec<&'static Check>,
    /// Arguments of `cargo test`, one run each.
    pub tests: Vec<&'static str>,
}

/// The result of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangedResult {
    /// Findings of the checks.
    pub findings: usize,
    /// Runs of `cargo test` that failed.
    pub failed_tests: usize,
}

impl Changed {
    /// Returns the change of the checkout around `here` since the commit `since`: committed files,
    /// others, and new ones.
    ///
    /// # Errors
    /// If git does not know the folder or the commit.
    pub fn since(since: &str, here: &Path) -> Result<Self, EnvironmentError> {
        let root = git(here, &["rev-parse", "--show-toplevel"])?;
        let root = PathBuf::from(root.trim_end());
        let mut files: Vec<String> = Vec::new();
        for args in [
            &["diff", "--name-only", since, "--"][..],
            &["ls-files", "--others", "--exclude-standard"],
        ] {
            files.extend(git(&root, args)?.lines().map(str::to_owned));
        }
        Ok(Self::of(root, files))
    }

    fn of(root: PathBuf, files: Vec<String>) -> Self {
        let (mut checks, mut tests): (Vec<&'static Check>, Vec<&str>) = (Vec::new(), Vec::new());
        for file in &files {
            let owner = owner_of(file);
            let named = owner.iter().flat_map(|owner| owner.checks);
            checks.extend(named.filter_map(|name| by_name(name)).chain(check_in(file)));
            tests.extend(owner.iter().flat_map(|owner| owner.tests));
        }
        checks.sort_by_key(|check| check.name);
        checks.dedup_by_key(|check| check.name);
        tests.sort_unstable();
        tests.dedup();
        // A run of a whole crate contains the runs of its parts.
        let whole = tests.clone();
        tests.retain(|test| {
            !whole
                .iter()
                .any(|other| test.strip_prefix(other).is_some_and(|it| it.starts_with(' ')))
        });
        Self { root, files, checks, tests }
    }

    /// Runs the checks for `seconds` together, then the tests; `say` receives lines.
    ///
    /// # Errors
    /// If a finding cannot be saved or cargo cannot be started.
    pub fn run(
        &self,
        (seconds, seed): (u64, u64),
        stop: &Arc<AtomicBool>,
        say: &mut dyn FnMut(&str),
    ) -> Result<ChangedResult, EnvironmentError> {
        let mut result = ChangedResult::default();
        if !self.checks.is_empty() {
            result.findings = self.attack((seconds, seed), stop, say)?;
        }
        for test in &self.tests {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let start = Instant::now();
            let passed = self.test(test)?;
            let word = if passed { "passed" } else { "FAILED" };
            say(&format!("{word} in {} s: cargo test {test}", start.elapsed().as_secs()));
            result.failed_tests += usize::from(!passed);
        }
        Ok(result)
    }

    fn attack(
        &self,
        (seconds, seed): (u64, u64),
        stop: &Arc<AtomicBool>,
        say: &mut dyn FnMut(&str),
    ) -> Result<usize, EnvironmentError> {
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let engine = Engine {
            pairs: pairs(&self.checks),
            seed,
            jobs,
            shard: Shard::WHOLE,
            limits: Limits::seconds(seconds),
            saturated: Vec::new(),
        };
        let outcome = engine.run(stop, &mut |event| {
            if let Event::Found(finding) = event {
                say(&format!("FINDING {} {}", finding.origin.pair, finding.violation));
            }
        });
        let folder = self.root.join("target/campaign/findings");
        for finding in &outcome.findings {
            finding.save(&folder)?;
            say(&finding.replay(&folder));
        }
        let plans: u64 = outcome.rows.iter().map(|(_, stats)| stats.plans).sum();
        let (seconds, findings) = (outcome.elapsed.as_secs(), outcome.findings.len());
        say(&format!("{plans} plans of the checks in {seconds} s, {findings} findings"));
        Ok(findings)
    }

    /// Runs tests; their output goes to the terminal if they fail.
    fn test(&self, arguments: &str) -> Result<bool, EnvironmentError> {
        let mut command = Command::new("cargo");
        command.arg("test").arg("--quiet").args(arguments.split(' ')).current_dir(&self.root);
        let output = command.stdin(Stdio::null()).output();
        let output = output.map_err(files::error(&self.root, "start cargo"))?;
        if !output.status.success() {
            let text = [output.stdout, output.stderr].concat();
            io::Write::write_all(&mut io::stderr(), &text).unwrap_or_default();
        }
        Ok(output.status.success())
    }
}

fn git(folder: &Path, args: &[&str]) -> Result<String, EnvironmentError> {
    let failed = |source| files::error(folder, "ask git")(source);
    let output = Command::new("git").args(args).current_dir(folder).output().map_err(failed)?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(failed(io::Error::other(text)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_attacked_by_the_checks_and_tests_of_its_files() {
        let files = ["core/src/tree/edit.rs", "core/src/lib.rs", "sim/src/check/pins.rs", "x"];
        let changed = Changed::of(PathBuf::new(), files.map(str::to_owned).to_vec());
        let names: Vec<&str> = changed.checks.iter().map(|check| check.name).collect();
        assert_eq!(names, ["crash", "damage", "pins", "store"]);
        let sim = "-p fastness-proptests --test main checks";
        assert_eq!(changed.tests, ["-p fastness", sim]);
    }
}
