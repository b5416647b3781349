//! The mutants of a package, as `cargo mutants` lists them, and a sample of them.

use crate::files::{self, EnvironmentError};
use crate::plans::mixed_seed;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// A change of one expression, one arm or one body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mutant {
    /// The file, the line, the column and the change.
    pub name: String,
    /// The file, from the root of the checkout.
    pub file: String,
    /// The kind of the change, as cargo-mutants names it.
    pub genre: String,
    /// The text instead of that at `span`.
    pub(crate) replacement: String,
    pub(crate) span: Span,
}

/// A piece of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    pub(crate) start: Position,
    pub(crate) end: Position,
}

/// A place in a file; lines and columns begin at 1, columns are characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// Lists the mutants of a package.
pub(super) fn of_package(root: &Path, package: &str) -> Result<Vec<Mutant>, EnvironmentError> {
    let program = Path::new("cargo");
    let output = Command::new(program)
        .args(["mutants", "--list", "--json", "--package", package])
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .map_err(files::error(program, "list mutants"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let problem = match text.contains("no such command") {
            true => "cargo-mutants is not installed; run `cargo install cargo-mutants`".to_owned(),
            false => text,
        };
        return Err(files::error(program, "list mutants")(io::Error::other(problem)));
    }
    let list = serde_json::from_slice(&output.stdout);
    list.map_err(|error| files::error(program, "read the list of mutants")(error.into()))
}

/// Chooses `count` mutants, the same ones for one seed, and returns them in the order of the list.
pub(super) fn sample(list: Vec<Mutant>, count: Option<usize>, seed: u64) -> Vec<Mutant> {
    let Some(count) = count else { return list };
    let mut drawn: Vec<(u64, usize)> =
        (0..list.len()).map(|index| (mixed_seed(seed, index as u64), index)).collect();
    drawn.sort_unstable();
    drawn.truncate(count);
    let mut chosen: Vec<usize> = drawn.into_iter().map(|(_, index)| index).collect();
    chosen.sort_unstable();
    let mut list: Vec<Option<Mutant>> = list.into_iter().map(Some).collect();
    chosen.into_iter().filter_map(|index| list[index].take()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mutant(number: usize) -> Mutant {
        let place = Position { line: number, column: 1 };
        Mutant {
            name: number.to_string(),
            file: "core/src/lib.rs".to_owned(),
            genre: "FnValue".to_owned(),
            replacement: "()".to_owned(),
            span: Span { start: place, end: place },
        }
    }

    #[test]
    fn a_sample_is_a_function_of_its_seed() {
        let list: Vec<Mutant> = (0..100).map(mutant).collect();
        let names = |seed, count| -> Vec<usize> {
            let chosen = sample(list.clone(), count, seed);
            chosen.iter().map(|mutant| mutant.name.parse().unwrap()).collect()
        };
        assert_eq!(names(7, Some(10)), names(7, Some(10)));
        assert_ne!(names(7, Some(10)), names(8, Some(10)));
        assert!(names(7, Some(10)).is_sorted() && names(7, Some(10)).len() == 10);
        assert_eq!(names(7, Some(1000)).len(), 100);
        assert_eq!(names(7, None), (0..100).collect::<Vec<_>>());
    }
}
