//! A night while it runs: its settings, its journal and its folders.

use super::finding::FindingStore;
use super::journal::Journal;
use super::lock::FolderLock;
use super::part::Part;
use super::step::{BuildRun, Step, StepResult};
use crate::plans::Shard;
use crate::summary::rounded;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The settings of a night.
#[derive(Clone, Debug)]
pub struct Nightly {
    /// The folder of this night and of the earlier ones.
    pub dir: PathBuf,
    /// Time limit for all steps together.
    pub budget: Duration,
    /// The seed of all parts.
    pub seed: u64,
    /// Number of worker threads.
    pub jobs: usize,
    /// The shard of the plans to run.
    pub shard: Shard,
    /// The parts to run.
    pub parts: Vec<Part>,
    /// Whether to continue an unfinished night of the folder.
    pub resume: bool,
    /// A folder in the checkout to build from.
    pub here: PathBuf,
}

/// A night that runs. Its seed, its number of jobs and its time limit are those of the journal.
pub(super) struct Night<'a> {
    /// The folder of this night and of the earlier ones, absolute: child processes run elsewhere.
    pub(super) dir: PathBuf,
    /// The shard of the journal.
    pub(super) shard: Shard,
    pub(super) stop: &'a Arc<AtomicBool>,
    pub(super) journal: Journal,
    /// Target triple of the compiler's host.
    pub(super) host: Option<String>,
    /// Root of the checkout; empty without one.
    pub(super) checkout_root: PathBuf,
    /// Held while the night runs.
    pub(super) _lock: FolderLock,
}

impl Night<'_> {
    pub(super) fn budget(&self) -> Duration {
        Duration::from_secs(self.journal.id.budget_seconds)
    }

    pub(super) fn left(&self) -> Duration {
        let used: f64 = self.used().values().sum();
        self.budget().saturating_sub(Duration::from_secs_f64(used.max(0.0)))
    }

    /// Returns the seconds that each part used.
    pub(super) fn used(&self) -> BTreeMap<Part, f64> {
        let mut used = BTreeMap::new();
        for step in &self.journal.steps {
            *used.entry(step.part).or_default() += step.seconds;
        }
        used
    }

    pub(super) fn steps_of(&self, part: Part) -> impl Iterator<Item = &Step> {
        self.journal.steps.iter().filter(move |step| step.part == part)
    }

    pub(super) fn store(&self) -> FindingStore {
        FindingStore {
            folder: self.findings_folder(),
            commit: self.journal.id.commit.clone(),
            now_unix: now_unix(),
        }
    }

    pub(super) fn findings_folder(&self) -> PathBuf {
        self.folder("findings")
    }

    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.folder("logs").join(format!("{name}.txt"))
    }
}

/// Returns the step of a build that began at `start`.
pub(super) fn built(part: Part, start: Instant, build: BuildRun) -> Step {
    let seconds = rounded(start.elapsed().as_secs_f64());
    Step { part, seconds, findings: Vec::new(), result: StepResult::Build(build) }
}

/// Returns a path that child processes in other folders can use.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}

pub(super) fn now_unix() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
