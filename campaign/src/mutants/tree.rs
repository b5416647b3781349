//! A copy of the checkout with all mutants in one build.

use super::list::Mutant;
use super::weave::{Woven, weave};
use crate::files::{self, EnvironmentError};
use crate::tool::{Ending, Tool, problem_line};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

const BUILD_LIMIT: Duration = Duration::from_secs(3 * 3600);
/// Builds until the compiler takes what is left.
const ATTEMPTS: usize = 40;

/// The arguments of git that list the files of a checkout, new ones included.
const FILES: [&str; 5] = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];

/// Packages that can be mutated, with the path of the switch in them.
pub(super) const PACKAGES: [(&str, &str); 2] =
    [("fastness", "crate::active_mutant"), ("fastness-sync", "fastness::active_mutant")];

/// The switch, a part of the copy only.
const SWITCH: &str = r#"
/// Tells whether this mutant is the one of the variable `FASTNESS_MUTANT`.
#[doc(hidden)]
pub fn active_mutant(number: u32) -> bool {
    static ACTIVE: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    let read = || std::env::var("FASTNESS_MUTANT").ok()?.parse().ok();
    *ACTIVE.get_or_init(|| read().unwrap_or(u32::MAX)) == number
}
"#;

/// A copy of the checkout.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: PathBuf,
    pub(super) builds: PathBuf,
    /// Mutants that have no switch, or that the compiler refuses.
    pub(super) unviable: BTreeSet<u32>,
}

/// A line of `cargo --message-format=json`.
#[derive(Deserialize)]
struct Line {
    message: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    level: String,
    rendered: Option<String>,
    #[serde(default)]
    spans: Vec<ErrorSpan>,
}

#[derive(Deserialize)]
struct ErrorSpan {
    file_name: String,
    byte_start: usize,
    byte_end: usize,
    is_primary: bool,
}

impl Tree {
    /// Copies what git knows of the checkout in `root`, as it is now.
    pub(super) fn copy(root: &Path, out: &Path) -> Result<Self, EnvironmentError> {
        let tree = out.join("tree");
        let git = Path::new("git");
        let listed = Command::new(git).args(FILES).current_dir(root).output();
        let listed = listed.map_err(files::error(git, "list the files"))?;
        for name in String::from_utf8_lossy(&listed.stdout).split_terminator('\0') {
            let (from, to) = (root.join(name), tree.join(name));
            if from.is_file() {
                copy_changed(&from, &to)?;
            }
        }
        let library = tree.join("core/src/lib.rs");
        files::write(&library, &(files::read(&library)? + SWITCH))?;
        Ok(Self { root: tree, builds: out.join("build"), unviable: BTreeSet::new() })
    }

    /// Puts the mutants into the copy, without those that the compiler refuses, and builds the
    /// command line; `progress` is called with a line for each attempt.
    pub(super) fn build(
        &mut self,
        mutants: &[(Mutant, &str)],
        stop: &AtomicBool,
        progress: &mut dyn FnMut(&str),
    ) -> Result<PathBuf, EnvironmentError> {
        let originals = self.originals(mutants)?;
        for attempt in 1..=ATTEMPTS {
            let woven = self.weave(mutants, &originals)?;
            progress(&format!(
                "build {attempt}: {} of {} mutants",
                mutants.len() - self.unviable.len(),
                mutants.len()
            ));
            let (ending, output) = self.cargo(stop)?;
            if ending == Ending::Success {
                return Ok(self.builds.join("release/fastness"));
            }
            let refused = refused(&output, &woven);
            if ending != Ending::Failure || refused.is_empty() {
                return Err(self.problem(&problem_of(&output)));
            }
            self.unviable.extend(refused);
        }
        Err(self.problem("the compiler refused mutants in every attempt"))
    }

    fn problem(&self, text: &str) -> EnvironmentError {
        files::error(&self.root, "build the mutants")(io::Error::other(text.to_owned()))
    }

    fn originals(
        &self,
        mutants: &[(Mutant, &str)],
    ) -> Result<BTreeMap<String, String>, EnvironmentError> {
        let names: BTreeSet<&String> = mutants.iter().map(|(mutant, _)| &mutant.file).collect();
        let read = |name: &String| Ok((name.clone(), files::read(&self.root.join(name))?));
        names.into_iter().map(read).collect()
    }

    fn weave(
        &mut self,
        mutants: &[(Mutant, &str)],
        originals: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, Woven>, EnvironmentError> {
        let mut result = BTreeMap::new();
        for (name, text) in originals {
            let of_file: Vec<(u32, &(Mutant, &str))> =
                (0..).zip(mutants).filter(|(_, (mutant, _))| mutant.file == *name).collect();
            let switch = of_file.first().map_or("", |(_, (_, switch))| *switch);
            let viable: Vec<(u32, &Mutant)> = of_file
                .iter()
                .filter(|(number, _)| !self.unviable.contains(number))
                .map(|(number, (mutant, _))| (*number, mutant))
                .collect();
            let path = self.root.join(name);
            let malformed = files::error(&path, "parse the file");
            let woven = weave(text, &viable, switch)
                .map_err(|error| malformed(io::Error::other(error.to_string())))?;
            files::write(&path, &woven.text)?;
            self.unviable.extend(&woven.skipped);
            result.insert(name.clone(), woven);
        }
        Ok(result)
    }

    fn cargo(&self, stop: &AtomicBool) -> Result<(Ending, String), EnvironmentError> {
        let package = ["--package", "fastness-cli", "--no-default-features", "--bin", "fastness"];
        Tool::new("cargo", &self.root, self.builds.with_file_name("build.txt"))
            .args(["build", "--release", "--message-format=json"])
            .args(package)
            .args(["--target-dir".as_ref(), self.builds.as_os_str()])
            .env("RUSTFLAGS", "--cap-lints allow")
            .run(BUILD_LIMIT, stop)
    }
}

/// Copies a file if it differs, so that a build compiles only what changed.
fn copy_changed(from: &Path, to: &Path) -> Result<(), EnvironmentError> {
    let bytes = std::fs::read(from).map_err(files::error(from, "read the file"))?;
    if std::fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        files::make_folder(folder)?;
    }
    std::fs::write(to, bytes).map_err(files::error(to, "write the file"))
}

fn messages(output: &str) -> impl Iterator<Item = Message> {
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    lines.filter_map(|line| line.message).filter(|message| message.level.starts_with("error"))
}

/// Returns the mutants that the compiler refuses.
fn refused(output: &str, woven: &BTreeMap<String, Woven>) -> BTreeSet<u32> {
    let blamed = |span: &ErrorSpan| {
        let range: Range<usize> = span.byte_start..span.byte_end;
        woven.get(&span.file_name).map(|woven| woven.blamed(&range)).unwrap_or_default()
    };
    let mut all = BTreeSet::new();
    for message in messages(output) {
        let of =
            |is_primary| message.spans.iter().filter(move |span| span.is_primary == is_primary);
        let before = |span: &ErrorSpan| {
            woven.get(&span.file_name).map_or(&[][..], |woven| woven.before(span.byte_start))
        };
        let mut refused: Vec<u32> = of(true).flat_map(blamed).collect();
        if refused.is_empty() {
            refused = of(false).flat_map(blamed).collect();
        }
        if refused.is_empty() {
            refused = of(true).flat_map(before).copied().collect();
        }
        all.extend(refused);
    }
    all
}

fn problem_of(output: &str) -> String {
    let first = messages(output).find_map(|message| message.rendered);
    first.unwrap_or_else(|| problem_line(output).to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::weave::Piece;
    use super::*;

    #[test]
    fn an_error_refuses_the_mutants_at_its_place() {
        let piece = |range, number| Piece { range, mutants: vec![number] };
        let pieces = vec![piece(10..20, 3), piece(30..40, 4)];
        let woven = Woven { pieces, ..Woven::default() };
        let woven = BTreeMap::from([("core/src/a.rs".to_owned(), woven)]);
        let span = |start: usize, is_primary: bool| {
            let range = format!(r#""byte_start":{start},"byte_end":{}"#, start + 2);
            let rest = format!(r#""file_name":"core/src/a.rs","is_primary":{is_primary}"#);
            format!("{{{rest},{range}}}")
        };
        let line = |level: &str, spans: &[String]| {
            let spans = spans.join(",");
            format!(r#"{{"message":{{"level":"{level}","rendered":"r","spans":[{spans}]}}}}"#)
        };
        let refused = |lines: &[String]| -> Vec<u32> {
            refused(&lines.join("\n"), &woven).into_iter().collect()
        };
        let both = [span(12, true), span(32, false)];
        assert_eq!(refused(&[line("error", &both), "no JSON".to_owned()]), [3]);
        assert_eq!(refused(&[line("error", &[span(2, true), span(32, false)])]), [4]);
        assert_eq!(refused(&[line("error", &[span(25, true)])]), [3]);
        assert!(refused(&[line("warning", &both)]).is_empty());
        assert_eq!(problem_of(&line("error", &[])), "r");
    }
}
