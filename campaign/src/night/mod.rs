//! `campaign nightly`: hours of every kind of search, in steps that survive `kill -9`, and one page
//! about them.
//!
//! A night is a list of steps. Each belongs to a part: all checks from seeds, one fuzz target, one
//! loom model, one planted fault. The journal records each finished step, and everything that the
//! page shows is computed from the journal; so a night can be resumed, and the nights of several
//! machines can be merged.
//!
//! Input: a folder, a time limit, a seed. Output in the folder: `night.json`, `night.html`,
//! `junit.xml`, `findings`, `corpus`, and the history of earlier nights.
//!
//! - CA13 `journal` · CA14 `part` · CA15 `finding` · CA16 `fuzz` · CA17 `merge` ·
//!   CA19 `corpus`

mod checks;
mod corpus;
mod finding;
mod fuzz;
mod fuzz_programs;
mod history;
mod journal;
mod junit;
mod lock;
mod loom;
mod merge;
mod page;
mod part;
mod planted;
mod publish;
mod running;
mod step;
mod summary;

pub use self::corpus::{Corpora, CorpusRow, CorpusSize};
pub use self::finding::NightFinding;
pub use self::journal::NightId;
pub use self::merge::{is_night, merge};
pub use self::part::Part;
pub use self::publish::NightResult;
pub use self::running::Nightly;
pub use self::step::{BuildRun, ChecksRun, FaultRun, FuzzRun, LoomRun, Step, StepResult};
pub use self::summary::{CurvePoint, FuzzSummary, NightSummary, PartSummary};

use self::journal::Journal;
use self::lock::FolderLock;
use self::part::next_part;
use self::publish::publish;
use self::running::{Night, absolute, built, now_unix};
use crate::canary::Drill;
use crate::checkout::{self, Checkout};
use crate::files::EnvironmentError;
use crate::summary::rounded;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

impl Nightly {
    /// Runs or resumes a night; `stop` ends it early, and it can be resumed.
    ///
    /// # Errors
    /// If the folder cannot be read or written.
    pub fn run(
        &self,
        stop: &Arc<AtomicBool>,
        say: &mut dyn FnMut(&str),
    ) -> Result<NightResult, EnvironmentError> {
        let lock = FolderLock::take(&self.dir)?;
        let checkout = Checkout::around(&self.here);
        let journal = self.journal(self.id(checkout.as_ref()), say)?;
        let NightId { seed, budget_seconds, .. } = journal.id;
        say(&format!("time limit {budget_seconds} s, seed {seed}"));
        let mut night = Night {
            dir: absolute(&self.dir),
            shard: journal.shard()?,
            stop,
            journal,
            host: checkout.as_ref().and_then(Checkout::host),
            checkout_root: checkout.map_or_else(PathBuf::new, |checkout| checkout.root),
            _lock: lock,
        };
        night.run(say)?;
        night.finish()
    }

    /// Opens the unfinished night of this commit and compiler, if there is one, or begins `new`.
    fn journal(
        &self,
        new: NightId,
        say: &mut dyn FnMut(&str),
    ) -> Result<Journal, EnvironmentError> {
        if let Some(old) = Journal::resume(&self.dir)?.filter(|_| self.resume) {
            if (&old.id.commit, &old.id.compiler) == (&new.commit, &new.compiler) {
                say(&format!("resumed after {} steps", old.steps.len()));
                return Ok(old);
            }
            let NightId { commit, compiler, .. } = &old.id;
            say(&format!("the unfinished night is one of commit {commit}, {compiler}: ended"));
        }
        say("begun");
        Journal::create(&self.dir, new)
    }

    fn id(&self, checkout: Option<&Checkout>) -> NightId {
        NightId {
            program: concat!("fastness ", env!("CARGO_PKG_VERSION")).to_owned(),
            commit: checkout.map(Checkout::commit).unwrap_or_default(),
            compiler: checkout.map(Checkout::compiler).unwrap_or_default(),
            machine: checkout::machine(),
            seed: self.seed,
            shard: self.shard.to_string(),
            jobs: self.jobs,
            budget_seconds: self.budget.as_secs(),
            parts: self.parts.clone(),
            started_unix: now_unix(),
        }
    }
}

/// The work of the next steps, side by side.
enum Work {
    Checks,
    Fuzz(Vec<String>),
    Loom(Vec<(String, usize)>),
    Faults(Vec<String>),
}

impl Night<'_> {
    fn run(&mut self, say: &mut dyn FnMut(&str)) -> Result<(), EnvironmentError> {
        if !self.journal.steps.iter().any(|step| step.canary().is_some()) {
            let step = self.attack_canary()?;
            self.record(vec![step], say)?;
        }
        while let Some(work) = self.next_work(say)? {
            let time = self.step_time(&work);
            let steps = self.run_work(work, time)?;
            if self.stop.load(Ordering::Relaxed) {
                // A step that was cut short is repeated when the night is resumed.
                break;
            }
            self.record(steps, say)?;
        }
        Ok(())
    }

    fn record(
        &mut self,
        steps: Vec<Step>,
        say: &mut dyn FnMut(&str),
    ) -> Result<(), EnvironmentError> {
        for step in steps {
            self.journal.add(step.clone())?;
            let used = Duration::from_secs_f64(self.used().values().sum());
            let minutes = used.as_secs() / 60;
            let line = summary::line(&step);
            say(&format!(
                "{:>3}:{:02}  {:<7} {line}",
                minutes / 60,
                minutes % 60,
                step.part.name()
            ));
        }
        Ok(())
    }

    fn attack_canary(&self) -> Result<Step, EnvironmentError> {
        let start = Instant::now();
        let folder = self.folder("canary");
        let (seed, shard) = (self.journal.id.seed, self.shard);
        let canary = Drill { seed, shard, folder: &folder }.run(self.stop)?;
        let seconds = rounded(start.elapsed().as_secs_f64());
        let (part, findings) = (Part::Checks, Vec::new());
        Ok(Step { part, seconds, findings, result: StepResult::Canary(canary) })
    }

    /// Chooses the next work, building the programs of a part first if that was not done.
    fn next_work(&mut self, say: &mut dyn FnMut(&str)) -> Result<Option<Work>, EnvironmentError> {
        let mut parts = self.journal.id.parts.clone();
        loop {
            let used = self.used();
            let is_over = self.left() == Duration::ZERO || self.stop.load(Ordering::Relaxed);
            let Some(part) = next_part(&parts, &used).filter(|_| !is_over) else {
                return Ok(None);
            };
            if part == Part::Checks {
                return Ok(Some(Work::Checks));
            }
            let Some(names) = self.built_names(part) else {
                say(&format!("        {:<7} building its programs", part.name()));
                let step = self.build(part)?;
                if !self.stop.load(Ordering::Relaxed) {
                    self.record(vec![step], say)?;
                }
                continue;
            };
            if let Some(work) = self.work_of(part, &names) {
                return Ok(Some(work));
            }
            parts.retain(|other| *other != part);
        }
    }

    fn work_of(&self, part: Part, names: &[String]) -> Option<Work> {
        let jobs = self.journal.id.jobs;
        match part {
            Part::Checks => Some(Work::Checks),
            Part::Fuzz => {
                Some(self.next_targets(names, jobs)).filter(|it| !it.is_empty()).map(Work::Fuzz)
            }
            Part::Loom => {
                Some(self.next_models(names, jobs)).filter(|it| !it.is_empty()).map(Work::Loom)
            }
            Part::Faults => {
                Some(self.next_faults(names, jobs)).filter(|it| !it.is_empty()).map(Work::Faults)
            }
        }
    }

    fn build(&self, part: Part) -> Result<Step, EnvironmentError> {
        let root = self.checkout_root.clone();
        if root.as_os_str().is_empty() {
            let problem = "it is built from a checkout, and this folder is in none".to_owned();
            return Ok(built(part, Instant::now(), BuildRun { problem, names: Vec::new() }));
        }
        match part {
            Part::Fuzz => self.build_fuzz(&root),
            Part::Loom => self.build_loom(&root),
            Part::Checks | Part::Faults => self.build_faults(&root),
        }
    }

    /// Returns the names of a part's programs, none if they could not be built.
    fn built_names(&self, part: Part) -> Option<Vec<String>> {
        self.steps_of(part).find_map(Step::build).map(|build| build.names.clone())
    }

    fn run_work(&self, work: Work, time: Duration) -> Result<Vec<Step>, EnvironmentError> {
        match work {
            Work::Checks => Ok(vec![self.run_checks(time)?]),
            Work::Fuzz(targets) => {
                self.side_by_side(&targets, |target| self.run_target(target, time))
            }
            Work::Loom(models) => self.side_by_side(&models, |(model, preemptions)| {
                self.run_model((model, *preemptions), time)
            }),
            Work::Faults(ids) => self.side_by_side(&ids, |id| self.run_fault(id, time)),
        }
    }

    /// Runs a step for each item, each on a thread; they share the time that it took.
    fn side_by_side<T: Sync>(
        &self,
        items: &[T],
        run: impl Fn(&T) -> Result<Step, EnvironmentError> + Sync,
    ) -> Result<Vec<Step>, EnvironmentError> {
        let run = &run;
        let start = Instant::now();
        let mut steps = thread::scope(|scope| {
            let threads: Vec<_> = items.iter().map(|item| scope.spawn(move || run(item))).collect();
            let join = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            threads.into_iter().map(join).collect::<Result<Vec<Step>, _>>()
        })?;
        let share = Duration::as_secs_f64(&start.elapsed()) / items.len().max(1) as f64;
        steps.iter_mut().for_each(|step| step.seconds = rounded(share));
        Ok(steps)
    }

    /// Returns the time of one step: short enough that a killed night loses little.
    fn step_time(&self, work: &Work) -> Duration {
        let budget = self.budget();
        let (share, longest) = match work {
            Work::Checks => (16, 300),
            Work::Fuzz(_) => (64, 120),
            Work::Loom(_) => (64, 120),
            Work::Faults(_) => (128, 60),
        };
        let least = Duration::from_secs(2);
        let time = (budget / share).clamp(least, Duration::from_secs(longest));
        time.min(self.left().max(Duration::from_secs(1)))
    }

    /// Writes the summary and the page; a night that was not stopped is over.
    fn finish(mut self) -> Result<NightResult, EnvironmentError> {
        let is_stopped = self.left() > Duration::ZERO && self.stop.load(Ordering::Relaxed);
        if !is_stopped {
            planted::keep(&self.dir, now_unix(), self.fault_runs())?;
            self.journal.end()?;
        }
        let summary = NightSummary::of(
            &[self.journal.id.clone()],
            &self.journal.steps,
            &self.findings_folder(),
        )?;
        let summary = if is_stopped { summary.interrupted() } else { summary };
        publish(summary, &self.dir)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plans::Shard;

    fn nightly(dir: &std::path::Path, resume: bool, shard: &str) -> Nightly {
        Nightly {
            dir: dir.to_path_buf(),
            budget: Duration::from_secs(9),
            seed: 1,
            jobs: 1,
            shard: shard.parse().unwrap(),
            parts: vec![Part::Loom],
            resume,
            here: dir.to_path_buf(),
        }
    }

    #[test]
    fn a_resumed_night_keeps_its_shard_and_another_commit_begins_a_night() {
        let folder = tempfile::tempdir().unwrap();
        let mut said = Vec::new();
        let mut open = |resume, shard: &str, commit: &str| {
            let nightly = nightly(folder.path(), resume, shard);
            let id = NightId { commit: commit.to_owned(), ..nightly.id(None) };
            nightly.journal(id, &mut |line| said.push(line.to_owned())).unwrap()
        };
        open(false, "2/3", "a");
        let resumed = open(true, "1/1", "a");
        assert_eq!(resumed.shard().unwrap(), "2/3".parse().unwrap());
        let other = open(true, "1/1", "b");
        assert_eq!((other.shard().unwrap(), other.id.commit.as_str()), (Shard::WHOLE, "b"));
        let words: Vec<&str> = said.iter().filter_map(|it| it.split(' ').next()).collect();
        assert_eq!(words, ["begun", "resumed", "the", "begun"]);
    }
}
