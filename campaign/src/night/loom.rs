//! The part `loom`: every loom model, at rising bounds of preemptions, with checkpoints.

use super::finding::Failure;
use super::part::Part;
use super::running::{Night, built};
use super::step::{BuildRun, LoomRun, Step, StepResult};
use crate::files::{self, EnvironmentError};
use crate::tool::{Ending, Tool, problem_line};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const BUILD_LIMIT: Duration = Duration::from_secs(1800);
const BOUNDS: std::ops::RangeInclusive<usize> = 3..=8;
/// A model ends this much later than asked: it looks at the clock between checkpoints.
const RUN_GRACE: Duration = Duration::from_secs(120);
const CHECKPOINT_INTERVAL: &str = "2000";
const LIST_LIMIT: Duration = Duration::from_secs(60);

impl Night<'_> {
    /// Builds the models.
    pub(super) fn build_loom(&self, root: &Path) -> Result<Step, EnvironmentError> {
        let start = Instant::now();
        let mut build = BuildRun { problem: String::new(), names: Vec::new() };
        let tool = Tool::new("cargo", root, self.log("build-loom"))
            .args(["test", "--no-run", "--package", "fastness-loom-tests"])
            .args(["--message-format", "json", "--target-dir"])
            .args([self.folder("build").join("loom")]);
        let (ending, output) = tool.run(BUILD_LIMIT, self.stop)?;
        let program = output.lines().find_map(executable);
        let Some(program) = program.filter(|_| ending == Ending::Success) else {
            build.problem = format!("its models do not build: {}", problem_line(&output));
            return Ok(built(Part::Loom, start, build));
        };
        let kept = self.loom_program();
        forget_other_program(&program, &kept)?;
        files::make_folder(&self.folder("loom"))?;
        fs::copy(&program, &kept).map_err(files::error(&kept, "copy the program"))?;
        let list = Tool::new(&kept, root, self.log("list-loom")).args(["--list"]);
        let (_, output) = list.run(LIST_LIMIT, self.stop)?;
        let names = output.lines().filter_map(|line| line.strip_suffix(": test"));
        build.names = names.map(str::to_owned).collect();
        Ok(built(Part::Loom, start, build))
    }

    /// Returns the next models at the lowest bound that is not fully explored, at most `count`.
    pub(super) fn next_models(&self, names: &[String], count: usize) -> Vec<(String, usize)> {
        let runs: Vec<&LoomRun> = self.loom_runs().collect();
        choose(names, &runs, count)
    }

    fn loom_runs(&self) -> impl Iterator<Item = &LoomRun> {
        self.steps_of(Part::Loom).filter_map(Step::loom)
    }

    /// Explores a model for this time, from where its last exploration stopped.
    pub(super) fn run_model(
        &self,
        (model, preemptions): (&str, usize),
        time: Duration,
    ) -> Result<Step, EnvironmentError> {
        let start = Instant::now();
        let name = model.replace("::", "-");
        let checkpoint = self.folder("loom").join(format!("{name}-{preemptions}"));
        let tool = Tool::new(self.loom_program(), &self.checkout_root, self.log(&name))
            .args([model, "--exact", "--nocapture"])
            .env("LOOM_MAX_PREEMPTIONS", preemptions.to_string())
            .env("LOOM_MAX_DURATION", time.as_secs().max(1).to_string())
            .env("LOOM_CHECKPOINT_FILE", &checkpoint)
            .env("LOOM_CHECKPOINT_INTERVAL", CHECKPOINT_INTERVAL);
        let (ending, output) = tool.run(time + RUN_GRACE, self.stop)?;
        let mut run = parse(model, preemptions, &output);
        run.complete &= ending == Ending::Success;
        let mut findings = Vec::new();
        if ending == Ending::Failure {
            let replay = format!(
                "LOOM_MAX_PREEMPTIONS={preemptions} cargo test -p fastness-loom-tests {model}"
            );
            let (part, output) = (Part::Loom, output.as_str());
            let failure = Failure { part, name: model, output, input: None, replay };
            findings.push(self.store().add_failure(&failure)?);
            // It fails at once when it is asked again.
            run.complete = true;
        }
        if run.complete {
            remove_checkpoints(&checkpoint)?;
        }
        let seconds = start.elapsed().as_secs_f64();
        Ok(Step { part: Part::Loom, seconds, findings, result: StepResult::Loom(run) })
    }

    fn loom_program(&self) -> PathBuf {
        self.folder("loom").join("models")
    }
}

/// Removes the checkpoints of all models if they are those of another program: loom cannot
/// continue from them.
fn forget_other_program(program: &Path, kept: &Path) -> Result<(), EnvironmentError> {
    let is_same = fs::read(kept).ok().zip(fs::read(program).ok()).is_some_and(|(a, b)| a == b);
    match kept.parent().filter(|folder| !is_same && folder.exists()) {
        Some(folder) => {
            fs::remove_dir_all(folder).map_err(files::error(folder, "remove the folder"))
        }
        None => Ok(()),
    }
}

/// Removes the checkpoints of a model: one for each of its explorations.
fn remove_checkpoints(checkpoint: &Path) -> Result<(), EnvironmentError> {
    let all = (0..).map(|number| checkpoint.with_extension(format!("{number}.json")));
    for file in all.take_while(|file| file.exists()) {
        fs::remove_file(&file).map_err(files::error(&file, "remove the file"))?;
    }
    Ok(())
}

/// Returns the program of the models, if a message of cargo names it.
fn executable(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    let is_models = message["target"]["kind"][0] == "test";
    message["executable"].as_str().filter(|_| is_models).map(PathBuf::from)
}

fn choose(names: &[String], runs: &[&LoomRun], count: usize) -> Vec<(String, usize)> {
    for bound in BOUNDS {
        let of = |name: &String| {
            let name = name.clone();
            runs.iter().filter(move |run| run.model == name)
        };
        let is_open =
            |name: &&String| !of(name).any(|run| run.complete && run.preemptions >= bound);
        let mut open: Vec<&String> = names.iter().filter(is_open).collect();
        open.sort_by_key(|name| of(name).filter(|run| run.preemptions >= bound).count());
        if !open.is_empty() {
            return open.into_iter().take(count).map(|name| (name.clone(), bound)).collect();
        }
    }
    Vec::new()
}

/// Reads the line that a model prints: how many interleavings, at which bound, and whether all.
fn parse(model: &str, preemptions: usize, output: &str) -> LoomRun {
    let mut run =
        LoomRun { model: model.to_owned(), preemptions, interleavings: 0, complete: true };
    for line in output.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [count, "interleavings", "at", bound, "preemptions", rest @ ..] = &words[..] {
            run.interleavings += count.parse::<u64>().unwrap_or(0);
            run.preemptions = run.preemptions.max(bound.parse::<usize>().unwrap_or(0));
            run.complete &= rest.is_empty();
        }
    }
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_explored_at_rising_bounds() {
        let names = ["one", "two"].map(str::to_owned);
        let run = |model: &str, preemptions, complete| LoomRun {
            model: model.to_owned(),
            preemptions,
            interleavings: 1,
            complete,
        };
        let first = run("one", 5, true);
        let next = choose(&names, &[&first], 2);
        assert_eq!(next, [("two".to_owned(), 3)], "a higher bound contains the lower ones");
        let (open, second) = (run("two", 3, false), run("two", 4, true));
        assert_eq!(choose(&names, &[&first, &open], 2), [("two".to_owned(), 3)]);
        assert_eq!(choose(&names, &[&first, &second], 1), [("two".to_owned(), 5)]);
        let (one, two) = (run("one", 8, true), run("two", 8, true));
        assert!(choose(&names, &[&one, &two], 2).is_empty());
    }

    #[test]
    fn an_exploration_says_how_far_it_came() {
        let run = parse("one", 3, "running 1 test\n700 interleavings at 5 preemptions\nok\n");
        assert_eq!((run.interleavings, run.preemptions, run.complete), (700, 5, true));
        let run = parse("one", 6, "2000 interleavings at 6 preemptions so far\n");
        assert!(!run.complete);
    }
}
