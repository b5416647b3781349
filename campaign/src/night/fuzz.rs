//! The part `fuzz`: every fuzz target, built on the stable toolchain and run with libFuzzer.
//!
//! Corpora grow in the folder of the night, never in the checkout.
//!
//! - CA16 A target that found nothing new in its last run gets a fraction of the others' time.

use super::corpus::{self, INPUTS_MAX, empty};
use super::finding::Failure;
use super::fuzz_programs::{FuzzPrograms, check_of, committed, targets};
use super::part::Part;
use super::running::{Night, built};
use super::step::{BuildRun, FuzzRun, Step, StepResult};
use crate::files::{self, EnvironmentError};
use crate::findings::{Finding, Origin};
use crate::plans::{Pair, mixed_seed};
use crate::tool::Ending;
use fastness_sim::check::{Check, Plan, Probe, Twin};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const SHRINK_LIMIT: Duration = Duration::from_secs(30);
/// A run may end this much later than asked: the last input, the start with a large corpus.
const RUN_GRACE: Duration = Duration::from_secs(300);
/// Runs of a target that end with a finding, before the target rests for this night.
const FINDINGS_MAX: usize = 3;
/// Times as much time for a target that still finds new features.
const GROWING_SHARES: f64 = 4.0;

impl Night<'_> {
    /// Builds every target.
    pub(super) fn build_fuzz(&self, root: &Path) -> Result<Step, EnvironmentError> {
        let start = Instant::now();
        let mut build = BuildRun { problem: String::new(), names: targets(root)? };
        if self.host.is_none() {
            build.problem = "rustc does not say its host".to_owned();
            return Ok(built(Part::Fuzz, start, build));
        }
        build.problem = self.programs().build(self.stop)?.err().unwrap_or_default();
        Ok(built(Part::Fuzz, start, build))
    }

    /// Returns the targets that are furthest behind, at most `count`.
    pub(super) fn next_targets(&self, names: &[String], count: usize) -> Vec<String> {
        choose(names, self.steps_of(Part::Fuzz), count)
    }

    /// Runs a target for this time.
    pub(super) fn run_target(
        &self,
        target: &str,
        time: Duration,
    ) -> Result<Step, EnvironmentError> {
        let start = Instant::now();
        let corpus = self.folder("corpus").join(target);
        let artifacts = self.folder("work").join(target);
        files::make_folder(&corpus)?;
        empty(&artifacts)?;
        if corpus::inputs(&corpus)?.len() > INPUTS_MAX {
            // A corpus that cannot be merged stays as it is.
            let merged = corpus::minimise(&self.programs(), target, INPUTS_MAX, self.stop)?;
            drop(merged);
        }
        let mut arguments = vec![corpus.display().to_string()];
        let committed = committed(&self.checkout_root, target);
        if committed.is_dir() {
            arguments.push(committed.display().to_string());
        }
        let steps = self.steps_of(Part::Fuzz).count() as u64;
        // libFuzzer reads 0 as "choose one".
        let seed = mixed_seed(self.journal.id.seed, steps) % 0xffff_fffe + 1;
        arguments.extend([
            format!("-artifact_prefix={}/", artifacts.display()),
            format!("-max_total_time={}", time.as_secs().max(1)),
            format!("-seed={seed}"),
            "-print_final_stats=1".to_owned(),
        ]);
        let tool = self.programs().tool(target, &arguments);
        let (ending, output) = tool.run(time + RUN_GRACE, self.stop)?;
        let failed = matches!(ending, Ending::Failure | Ending::TimeLimit);
        let findings =
            if failed { self.failures(target, &artifacts, &output)? } else { Vec::new() };
        let result = StepResult::Fuzz(parse(target, &output));
        Ok(Step { part: Part::Fuzz, seconds: start.elapsed().as_secs_f64(), findings, result })
    }

    /// Saves each input that made a target fail, or else its output.
    fn failures(
        &self,
        target: &str,
        artifacts: &Path,
        output: &str,
    ) -> Result<Vec<String>, EnvironmentError> {
        let list = fs::read_dir(artifacts).map_err(files::error(artifacts, "list the folder"))?;
        let mut inputs: Vec<PathBuf> = list.filter_map(|it| Some(it.ok()?.path())).collect();
        // A slow input is kept by libFuzzer for information, and is no failure.
        let is_slow = |input: &PathBuf| input.to_string_lossy().contains("/slow-unit-");
        inputs.retain(|input| !is_slow(input));
        if inputs.is_empty() {
            let replay = format!("{} -runs=1", self.programs().program(target).display());
            let (part, name, input) = (Part::Fuzz, target, None);
            let failure = Failure { part, name, output, input, replay };
            return Ok(vec![self.store().add_failure(&failure)?]);
        }
        inputs.iter().map(|input| self.failure(target, input, output)).collect()
    }

    fn failure(
        &self,
        target: &str,
        input: &Path,
        output: &str,
    ) -> Result<String, EnvironmentError> {
        let bytes = fs::read(input).map_err(files::error(input, "read the file"))?;
        if let Some(finding) = check_of(target).and_then(|check| as_plan(check, &bytes)) {
            return self.store().add_plan(&finding);
        }
        let replay = format!("cargo run -p fastness-proptests --example run_body {target} INPUT");
        let (part, name, input) = (Part::Fuzz, target, Some(input));
        self.store().add_failure(&Failure { part, name, output, input, replay })
    }

    fn programs(&self) -> FuzzPrograms<'_> {
        let host = self.host.as_deref().unwrap_or_default();
        FuzzPrograms { root: &self.checkout_root, host, dir: &self.dir }
    }
}

/// Returns the targets that used least of their share; a target that grows has a larger one.
fn choose<'a>(
    names: &[String],
    steps: impl Iterator<Item = &'a Step>,
    count: usize,
) -> Vec<String> {
    let mut used: BTreeMap<&str, (f64, f64, usize)> = BTreeMap::new();
    for step in steps {
        if let Some(run) = step.fuzz() {
            let (seconds, shares, failed) = used.entry(&run.target).or_default();
            *seconds += step.seconds;
            *shares = if run.new_features > 0 { GROWING_SHARES } else { 1.0 };
            *failed += usize::from(!step.findings.is_empty());
        }
    }
    let state = |name: &String| used.get(name.as_str()).copied().unwrap_or_default();
    let mut rested: Vec<&String> =
        names.iter().filter(|name| state(name).2 < FINDINGS_MAX).collect();
    let share = |name: &String| state(name).0 / state(name).1.max(1.0);
    rested.sort_by(|one, other| share(one).total_cmp(&share(other)));
    rested.into_iter().take(count).cloned().collect()
}

/// Reads the statistics that libFuzzer prints.
fn parse(target: &str, output: &str) -> FuzzRun {
    let number = |line: &str, word: &str| {
        let text = line.split(word).nth(1)?.trim_start();
        text.split(|it: char| !it.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    let mut run = FuzzRun { target: target.to_owned(), ..FuzzRun::default() };
    let mut at_start = None;
    for line in output.lines() {
        if let Some(features) = number(line, " ft:") {
            if line.contains("INITED") {
                at_start = Some(features);
            }
            run.features = features;
            run.edges = number(line, " cov:").unwrap_or(run.edges);
            run.inputs = number(line, " corp:").unwrap_or(run.inputs);
        }
        if let Some(runs) = number(line, "stat::number_of_executed_units:") {
            run.runs = runs;
        }
    }
    run.new_features = run.features.saturating_sub(at_start.unwrap_or(run.features));
    run
}

/// Returns the finding of an input that is a plan, shrunk; the first byte selects the twin.
fn as_plan(check: &'static Check, bytes: &[u8]) -> Option<Finding> {
    let (first, plan) = bytes.split_first()?;
    let twin = if first % 2 == 0 { Twin::Plain } else { Twin::Encrypted };
    let plan = Plan::from_bytes(plan);
    let violation = check.run(&plan, twin, &mut Probe::default()).err()?;
    let mut finding = Finding {
        origin: Origin { pair: Pair { check, twin }, number: 0, plan_seed: 0 },
        operations_before: plan.ops.len(),
        violation,
        plan,
        shrunk: false,
        seen: 1,
        after: Duration::ZERO,
    };
    finding.shrink(Instant::now() + SHRINK_LIMIT, &|| false);
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fastness_sim::check::by_name;

    const OUTPUT: &str = "\
        #2\tINITED cov: 120 ft: 300 corp: 5/1Kb exec/s: 0 rss: 40Mb\n\
        #900\tNEW    cov: 121 ft: 310 corp: 6/1Kb lim: 4 exec/s: 900 rss: 40Mb L: 4/4 MS: 1\n\
        #1000\tDONE   cov: 121 ft: 310 corp: 6/1Kb lim: 4 exec/s: 900 rss: 40Mb\n\
        stat::number_of_executed_units: 1000\n";

    #[test]
    fn the_statistics_of_a_run_are_read() {
        let run = parse("page", OUTPUT);
        assert_eq!((run.runs, run.edges, run.features), (1000, 121, 310));
        assert_eq!((run.new_features, run.inputs), (10, 6));
        assert_eq!(parse("page", "cannot start").features, 0);
    }

    fn step(target: &str, new_features: u64, findings: usize) -> Step {
        let run = FuzzRun { target: target.to_owned(), new_features, ..FuzzRun::default() };
        let findings = vec![String::new(); findings];
        Step { part: Part::Fuzz, seconds: 10.0, findings, result: StepResult::Fuzz(run) }
    }

    #[test]
    fn a_target_that_finds_nothing_new_gets_a_fraction_of_the_time() {
        let names = ["grows", "rests"].map(str::to_owned);
        let mut steps = Vec::new();
        for _ in 0..100 {
            let next = choose(&names, steps.iter(), 1).remove(0);
            steps.push(step(&next, u64::from(next == "grows"), 0));
        }
        let ran = |name: &str| steps.iter().filter(|step| step_of(step) == name).count();
        assert_eq!(ran("grows"), 80, "{}", ran("rests"));
    }

    fn step_of(step: &Step) -> &str {
        let StepResult::Fuzz(run) = &step.result else { panic!("a fuzz step") };
        &run.target
    }

    #[test]
    fn a_target_that_only_fails_rests() {
        let names = ["fails", "runs"].map(str::to_owned);
        let steps = [step("fails", 0, 1), step("fails", 0, 1), step("fails", 0, 1)];
        assert_eq!(choose(&names, steps.iter(), 2), ["runs"]);
        assert_eq!(choose(&names, steps[..2].iter(), 2).len(), 2);
    }

    #[test]
    fn each_input_of_a_plan_target_is_a_plan_of_its_check() {
        assert_eq!(check_of("io_errors").unwrap().name, "io-errors");
        assert_eq!(check_of("sync_sessions").unwrap().name, "sessions");
        assert!(check_of("auth").is_none() && check_of("file").is_none());
        assert!(as_plan(by_name("store").unwrap(), &[1]).is_none(), "an empty plan passes");
    }
}
