//! The tests that own a file, against mutants of it that no check noticed.

use super::fate::Fate;
use super::tree::Tree;
use crate::changed;
use crate::files::EnvironmentError;
use crate::tool::{Ending, Tool};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Time limit of one run, which builds if it is the first.
const BUILD_LIMIT: Duration = Duration::from_secs(3600);
const RUN_LIMIT: Duration = Duration::from_secs(300);
/// Every interleaving of a loom model costs minutes.
const TOO_SLOW: &str = "loom";

/// Tests that pass while no mutant is active.
pub(super) struct UnitTests<'a> {
    pub(super) tree: &'a Tree,
    pub(super) out: &'a Path,
    pub(super) stop: &'a AtomicBool,
    passing: BTreeSet<&'static str>,
}

fn of_file(file: &str) -> impl Iterator<Item = &'static str> {
    let tests = changed::owner_of(file).map_or(&[][..], |owner| owner.tests);
    tests.iter().copied().filter(|args| !args.contains(TOO_SLOW))
}

impl<'a> UnitTests<'a> {
    /// Builds and runs the tests of `files` without a mutant, and leaves out those that fail.
    pub(super) fn prepare<'f>(
        (tree, out): (&'a Tree, &'a Path),
        files: impl Iterator<Item = &'f str>,
        stop: &'a AtomicBool,
    ) -> Result<Self, EnvironmentError> {
        let mut tests = Self { tree, out, stop, passing: BTreeSet::new() };
        let all: BTreeSet<&'static str> = files.flat_map(of_file).collect();
        for args in all {
            if tests.cargo(args, u32::MAX, BUILD_LIMIT)? == Ending::Success {
                tests.passing.insert(args);
            }
        }
        Ok(tests)
    }

    /// Runs the tests that own the file of a mutant; `None` if the run was stopped.
    pub(super) fn run(&self, number: u32, file: &str) -> Result<Option<Fate>, EnvironmentError> {
        for args in of_file(file).filter(|args| self.passing.contains(args)) {
            match self.cargo(args, number, RUN_LIMIT)? {
                Ending::Success => {}
                Ending::Failure => return Ok(Some(Fate::Failed { tests: args.to_owned() })),
                Ending::TimeLimit => return Ok(Some(Fate::Timeout)),
                Ending::Stopped => return Ok(None),
            }
        }
        Ok(Some(Fate::Survived))
    }

    fn cargo(&self, args: &str, number: u32, limit: Duration) -> Result<Ending, EnvironmentError> {
        let tool = Tool::new("cargo", &self.tree.root, self.out.join("tests.txt"))
            .args(["test", "--target-dir"])
            .args([&self.tree.builds])
            .args(args.split_whitespace())
            .env("RUSTFLAGS", "--cap-lints allow")
            .env("FASTNESS_MUTANT", number.to_string());
        Ok(tool.run(limit, self.stop)?.0)
    }
}

#[cfg(test)]
mod tests {
    use super::of_file;

    #[test]
    fn models_of_interleavings_are_left_out() {
        let tests: Vec<&str> = of_file("core/src/txn/writer.rs").collect();
        assert_eq!(tests, ["-p fastness --lib txn::"]);
        assert_eq!(of_file("core/src/conc.rs").count(), 0);
    }
}
