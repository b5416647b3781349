//! `campaign mutants`: the share of small changes of the core that the checks notice.
//!
//! In: a package, a folder of it, the size of a sample. Out: `mutants.json` and `mutants.md`, with
//! each mutant that survived.
//!
//! cargo-mutants lists the mutants; all of them are compiled into one program, each behind a switch
//! (`weave.rs`), and a campaign attacks them one at a time.

mod attack;
mod fate;
mod list;
mod report;
mod tree;
mod unit_tests;
mod weave;

pub use fate::{Fate, MutantRow};
pub use list::Mutant;
pub use report::MutantSummary;

use self::attack::MutantAttack;
use self::tree::{PACKAGES, Tree};
use self::unit_tests::UnitTests;
use crate::checkout::Checkout;
use crate::files::{self, EnvironmentError};
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

/// The settings of a run.
#[derive(Clone, Debug)]
pub struct Mutants {
    /// The package: fastness or fastness-sync.
    pub package: String,
    /// The start of the paths of mutated files, from the root of the checkout; empty for all.
    pub module: String,
    /// Size of the sample; `None` for all mutants.
    pub sample: Option<usize>,
    /// Seed of the sample and of the plans.
    pub seed: u64,
    /// Time limit for all checks on one mutant, in seconds; its owners get a third of it before.
    pub seconds: u64,
    /// Whether the tests that own its file attack a mutant that no check noticed.
    pub tests: bool,
    /// Number of mutants that are attacked at a time.
    pub jobs: usize,
    /// Folder for the build and the results.
    pub out: PathBuf,
    /// A folder in the checkout.
    pub here: PathBuf,
}

impl Mutants {
    /// Builds the mutants and attacks each; `progress` is called with a line for each step.
    ///
    /// # Errors
    /// If cargo-mutants is missing, the package is unknown, nothing builds, or a file cannot be
    /// written.
    pub fn run(
        &self,
        stop: &AtomicBool,
        progress: &mut dyn FnMut(&str),
    ) -> Result<MutantSummary, EnvironmentError> {
        let chosen = self.choose()?;
        let mut tree = Tree::copy(&self.root()?, &self.absolute_out())?;
        let program = tree.build(&chosen, stop, progress)?;
        let viable: Vec<(u32, &Mutant)> = (0..)
            .zip(chosen.iter().map(|(mutant, _)| mutant))
            .filter(|(number, _)| !tree.unviable.contains(number))
            .collect();
        let (seconds, seed, out) = (self.seconds, self.seed, self.absolute_out());
        let attack = MutantAttack { program: &program, seconds, seed, out, stop };
        let mut rows = self.attack_all(&attack, &viable, progress)?;
        if self.tests {
            self.test_all((&tree, stop), &mut rows, progress)?;
        }
        let interrupted = rows.len() < viable.len() || stop.load(Ordering::Relaxed);
        let rows = rows.into_iter().map(|(_, row)| row).collect();
        let summary = MutantSummary {
            commit: Checkout { root: self.root()? }.commit(),
            seed: self.seed,
            seconds: self.seconds,
            unviable: tree.unviable.len(),
            interrupted,
            rows,
        };
        summary.write(&self.out)?;
        Ok(summary)
    }

    fn root(&self) -> Result<PathBuf, EnvironmentError> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "in no checkout of the project");
        let checkout = Checkout::around(&self.here);
        checkout.map(|it| it.root).ok_or_else(|| files::error(&self.here, "find it")(missing()))
    }

    fn absolute_out(&self) -> PathBuf {
        self.here.join(&self.out)
    }

    /// Returns the sample, each mutant with the path of its switch.
    fn choose(&self) -> Result<Vec<(Mutant, &'static str)>, EnvironmentError> {
        let root = self.root()?;
        let Some((package, switch)) = PACKAGES.iter().find(|(name, _)| *name == self.package)
        else {
            let known = PACKAGES.map(|(name, _)| name).join(", ");
            let text = format!("{} cannot be mutated; choose {known}", self.package);
            return Err(files::error(&root, "choose mutants")(io::Error::other(text)));
        };
        let mut list = list::of_package(&root, package)?;
        // The switches of planted faults are no product.
        list.retain(|it| it.file.starts_with(&self.module) && !it.file.contains("/fault/"));
        let chosen = list::sample(list, self.sample, self.seed);
        Ok(chosen.into_iter().map(|mutant| (mutant, *switch)).collect())
    }

    /// Attacks the mutants, several at a time; returns the rows in the order of the mutants.
    fn attack_all(
        &self,
        attack: &MutantAttack<'_>,
        mutants: &[(u32, &Mutant)],
        progress: &mut dyn FnMut(&str),
    ) -> Result<Vec<(u32, MutantRow)>, EnvironmentError> {
        let next = AtomicUsize::new(0);
        let work = |sender: Sender<Attacked>| {
            while let Some((number, mutant)) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
                let row = attack.run(*number, mutant);
                let is_last = !matches!(row, Ok(Some(_)));
                if sender.send((*number, row)).is_err() || is_last {
                    return;
                }
            }
        };
        let mut rows = Vec::new();
        thread::scope(|scope| {
            let (sender, attacked) = channel();
            for _ in 0..self.jobs.max(1) {
                let (sender, work) = (sender.clone(), &work);
                scope.spawn(move || work(sender));
            }
            drop(sender);
            for (number, row) in attacked {
                let Some(row) = row? else { continue };
                progress(&format!("{}/{} {}", rows.len() + 1, mutants.len(), report::line(&row)));
                rows.push((number, row));
            }
            Ok(())
        })?;
        rows.sort_by_key(|(number, _)| *number);
        Ok(rows)
    }

    /// Runs tests against the survivors.
    fn test_all(
        &self,
        (tree, stop): (&Tree, &AtomicBool),
        rows: &mut [(u32, MutantRow)],
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), EnvironmentError> {
        let survived = |row: &MutantRow| row.fate == Fate::Survived;
        let files = rows.iter().filter(|(_, row)| survived(row)).map(|(_, row)| &*row.file);
        let out = self.absolute_out();
        let tests = UnitTests::prepare((tree, &out), files, stop)?;
        for (number, row) in rows.iter_mut().filter(|(_, row)| survived(row)) {
            let Some(fate) = tests.run(*number, &row.file)? else { return Ok(()) };
            row.fate = fate;
            progress(&report::line(row));
        }
        Ok(())
    }
}

/// The number of a mutant, and how it fared; none if the run was stopped.
type Attacked = (u32, Result<Option<MutantRow>, EnvironmentError>);
