//! Attacks on one mutant: the checks that own its file, then all.

use super::fate::{Fate, MutantRow};
use super::list::Mutant;
use crate::changed;
use crate::files::{self, EnvironmentError};
use crate::summary::Summary;
use crate::tool::{Ending, Tool, problem_line};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

/// Time that a campaign may take beyond its limit: the canary, plans that hang, their reduction.
const MARGIN: Duration = Duration::from_secs(150);
/// Address space of an attack, in KiB: some mutants allocate without end.
const MEMORY: u64 = 6 << 20;

/// A program with all mutants.
pub(super) struct MutantAttack<'a> {
    pub(super) program: &'a Path,
    /// Time limit for all checks on one mutant, in seconds.
    pub(super) seconds: u64,
    pub(super) seed: u64,
    /// Folder for the outputs, absolute.
    pub(super) out: PathBuf,
    pub(super) stop: &'a AtomicBool,
}

impl MutantAttack<'_> {
    /// Attacks a mutant; `None` if the run was stopped.
    pub(super) fn run(
        &self,
        number: u32,
        mutant: &Mutant,
    ) -> Result<Option<MutantRow>, EnvironmentError> {
        let begun = Instant::now();
        let owners = changed::owner_of(&mutant.file).map_or(&[][..], |owner| owner.checks);
        let mut fate = Some(Fate::Survived);
        if !owners.is_empty() {
            fate = self.campaign(number, owners, self.seconds.div_ceil(3))?;
        }
        if fate == Some(Fate::Survived) {
            fate = self.campaign(number, &[], self.seconds)?;
        }
        let (name, file) = (mutant.name.clone(), mutant.file.clone());
        let seconds = crate::summary::rounded(begun.elapsed().as_secs_f64());
        Ok(fate.map(|fate| MutantRow { name, file, fate, seconds }))
    }

    fn campaign(
        &self,
        number: u32,
        only: &[&str],
        seconds: u64,
    ) -> Result<Option<Fate>, EnvironmentError> {
        let out = self.out.join("runs").join(number.to_string());
        let shell = format!("ulimit -v {MEMORY} && exec \"$@\"");
        let (seconds_text, seed) = (seconds.to_string(), self.seed.to_string());
        let mut tool = Tool::new("sh", &self.out, out.join("log"))
            .args(["-c", &shell, "sh"])
            .args([self.program])
            .args(["campaign", "--fail-fast", "--jobs", "1"])
            .args(["--seconds", &seconds_text, "--seed", &seed, "--out"])
            .args([&out])
            .env("FASTNESS_MUTANT", number.to_string());
        if !only.is_empty() {
            tool = tool.args(["--only", &only.join(",")]);
        }
        let limit = Duration::from_secs(seconds) + MARGIN;
        let (ending, output) = tool.run(limit, self.stop)?;
        let fate = fate(ending, &output, &out.join("summary.json"))?;
        std::fs::remove_dir_all(&out).map_err(files::error(&out, "remove the folder"))?;
        Ok(fate)
    }
}

fn fate(ending: Ending, output: &str, summary: &Path) -> Result<Option<Fate>, EnvironmentError> {
    match ending {
        Ending::Stopped => return Ok(None),
        Ending::TimeLimit => return Ok(Some(Fate::Timeout)),
        Ending::Success | Ending::Failure => {}
    }
    if !summary.exists() {
        return Ok(Some(Fate::Aborted { text: problem_line(output).to_owned() }));
    }
    let malformed = files::error(summary, "parse the summary");
    let summary: Summary =
        serde_json::from_str(&files::read(summary)?).map_err(|error| malformed(error.into()))?;
    let found = summary.checks.iter().find_map(|check| {
        let invariant = check.findings.first()?.invariant.clone();
        Some(Fate::Killed { check: format!("{}/{}", check.name, check.twin), invariant })
    });
    Ok(Some(found.unwrap_or(Fate::Survived)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_a_summary_is_no_survival() {
        let missing = PathBuf::from("no such file");
        let fate = |ending, output| fate(ending, output, &missing).unwrap();
        let aborted = |text: &str| Some(Fate::Aborted { text: text.to_owned() });
        assert_eq!(
            fate(Ending::Failure, "begun\nmemory allocation failed"),
            aborted("memory allocation failed")
        );
        assert_eq!(fate(Ending::Success, ""), aborted("no output"));
        assert_eq!(fate(Ending::TimeLimit, ""), Some(Fate::Timeout));
        assert_eq!(fate(Ending::Stopped, ""), None);
    }
}
