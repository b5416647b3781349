//! `campaign foreign`: a store of others under our checks, in a version of its own.
//!
//! In: a store that `foreign/` has an adapter for, and its version. Out: for each run the CPU time
//! until the first finding, with its reduced plan; a JSON report.
//!
//! - CA20 A run of a foreign store that hangs, aborts or does not start is reported, and is no
//!   pass.

mod build;
mod outcome;

pub use outcome::{ForeignFinding, ForeignPlan, ForeignRun};

use crate::checkout::Checkout;
use crate::files::{self, EnvironmentError};
use crate::tool::{Ending, Tool};
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Seeds between two runs, so that no plan is run twice.
const SEEDS_PER_RUN: u64 = 1 << 32;
/// Wall time of a run, in multiples of its CPU time.
const WALL_PER_CPU: u32 = 6;
/// Wall time for the reduction of a plan.
const REDUCTION: Duration = Duration::from_secs(300);

/// A store that has an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForeignStore {
    /// Its name, and that of its folder in `foreign/`.
    pub name: &'static str,
    /// The crate whose version is chosen.
    pub dependency: &'static str,
    /// The start of a version, with the feature of the adapter for its interface.
    pub interfaces: &'static [(&'static str, &'static str)],
}

/// All stores that have an adapter.
pub const STORES: &[ForeignStore] = &[ForeignStore {
    name: "redb",
    dependency: "redb",
    interfaces: &[("2.", "api-2"), ("3.", "api-3"), ("4.", "api-3")],
}];

/// Settings of an attack on a foreign store.
#[derive(Clone, Debug)]
pub struct Foreign {
    /// The store.
    pub store: &'static ForeignStore,
    /// Its version, complete.
    pub version: String,
    /// Names of the checks whose plans are run; empty for all that fit.
    pub checks: Vec<String>,
    /// Kinds of findings that do not end a run, by name.
    pub ignore: Vec<String>,
    /// Limit of CPU time of each run, in seconds.
    pub seconds: u64,
    /// Number of runs, each with plans of its own.
    pub runs: u64,
    /// Seed of the first run.
    pub seed: u64,
    /// Folder for the report, the logs and the program.
    pub out: PathBuf,
    /// A folder in the checkout that has the adapter.
    pub here: PathBuf,
}

/// The result of an attack.
#[derive(Clone, Debug, Serialize)]
pub struct ForeignResult {
    /// The store.
    pub store: String,
    /// Its version.
    pub version: String,
    /// The runs, in order.
    pub runs: Vec<ForeignRun>,
    /// The JSON report.
    #[serde(skip)]
    pub report: PathBuf,
}

/// Why an attack did not begin.
#[derive(Debug)]
pub enum ForeignError {
    /// The arguments do not fit.
    Usage(String),
    /// The environment lacks something.
    Environment(EnvironmentError),
}

impl fmt::Display for ForeignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) => f.write_str(text),
            Self::Environment(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ForeignError {}

impl From<EnvironmentError> for ForeignError {
    fn from(error: EnvironmentError) -> Self {
        Self::Environment(error)
    }
}

/// Returns the store with this name, if it has an adapter.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static ForeignStore> {
    STORES.iter().find(|store| store.name == name)
}

impl ForeignStore {
    /// Returns the feature of the adapter for a version.
    fn interface(&self, version: &str) -> Option<&'static str> {
        let is_complete = version.split('.').count() >= 3
            && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+".contains(&byte));
        let of = |(start, _): &&(&str, &str)| version.starts_with(start);
        self.interfaces.iter().find(of).filter(|_| is_complete).map(|(_, feature)| *feature)
    }
}

impl Foreign {
    /// Builds the adapter with the version and runs it; `progress` is called with a line for each
    /// run.
    ///
    /// # Errors
    /// If the version has no adapter, or it does not build, or files cannot be written.
    pub fn run(
        &self,
        stop: &AtomicBool,
        progress: &mut dyn FnMut(&str),
    ) -> Result<ForeignResult, ForeignError> {
        let interface = self.store.interface(&self.version).ok_or_else(|| {
            let starts: Vec<&str> = self.store.interfaces.iter().map(|(start, _)| *start).collect();
            ForeignError::Usage(format!(
                "no adapter for {} {}; write a complete version that begins with {}",
                self.store.name,
                self.version,
                starts.join(" or ")
            ))
        })?;
        let checkout = Checkout::around(&self.here).ok_or_else(|| {
            let here = self.here.display();
            ForeignError::Usage(format!("{here} is in no checkout with a folder `foreign`"))
        })?;
        let folder = self.folder();
        progress(&format!("building {} {}", self.store.name, self.version));
        let program = self.build(&checkout.root, interface, stop)?;
        let mut result = ForeignResult {
            store: self.store.name.to_owned(),
            version: self.version.clone(),
            runs: Vec::new(),
            report: folder.join("report.json"),
        };
        for index in 0..self.runs {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let seed = self.seed.wrapping_add(index.wrapping_mul(SEEDS_PER_RUN));
            let log = folder.join(format!("run-{index}.txt"));
            let tool = Tool::new(&program, &folder, log)
                .args(["--seed".to_owned(), seed.to_string()])
                .args(["--seconds".to_owned(), self.seconds.to_string()])
                .args(self.checks.iter().flat_map(|check| ["--check", check]))
                .args(self.ignore.iter().flat_map(|kind| ["--ignore", kind]));
            let limit = Duration::from_secs(self.seconds) * WALL_PER_CPU + REDUCTION;
            let (ending, output) = tool.run(limit, stop)?;
            // A signal to the whole group ends the program before it is stopped.
            let is_stopped = stop.load(Ordering::Relaxed);
            let ending = if is_stopped { Ending::Stopped } else { ending };
            let Some(run) = outcome::read(seed, ending, &output) else { break };
            progress(&run.line());
            result.runs.push(run);
        }
        let text = serde_json::to_string_pretty(&result).unwrap_or_default();
        files::write(&result.report, &(text + "\n"))?;
        Ok(result)
    }

    fn folder(&self) -> PathBuf {
        let folder = self.out.join(format!("{}-{}", self.store.name, self.version));
        std::path::absolute(&folder).unwrap_or(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::by_name;

    #[test]
    fn a_version_chooses_the_interface() {
        let redb = by_name("redb").unwrap();
        let of = |version| redb.interface(version);
        assert_eq!([of("2.6.3"), of("4.1.0")], [Some("api-2"), Some("api-3")]);
        assert_eq!([of("1.5.2"), of("4"), of("4.1"), of("4.1.0\"")], [None; 4]);
        assert!(by_name("leveldb").is_none());
    }
}
