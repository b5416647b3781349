//! The house style, held as tests: what a reviewer would otherwise have to remember.
//!
//! Comes in: every file of the work tree (not what builds leave behind). Goes out: one line for
//! each breach, `file:line: what is wrong; what to do`.
//!
//! - Files, functions, lines and argument lists stay within their sizes.
//! - Crates and the modules of core depend only in the direction of docs/architecture.md.
//! - What is referred to exists: documents, anchors, checks, snapshots, golden files, corpora.
//! - Every rule here fires on an example of its breach.

mod artefacts;
mod layers;
mod text;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Directories that builds and runs leave behind, relative to the root.
const LEFT_BEHIND: &[&str] =
    &[".git", "target", "out", "fuzz/target", "fuzz/artifacts", "fuzz/coverage"];

/// One breach of a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Breach {
    path: String,
    line: usize,
    text: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.text)
    }
}

/// The work tree, read once.
pub(crate) struct WorkTree {
    root: PathBuf,
    /// Paths relative to the root with `/`, in order.
    paths: Vec<String>,
}

impl WorkTree {
    pub(crate) fn here() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
        let mut paths = Vec::new();
        walk(&root, &root, &mut paths);
        paths.sort();
        assert!(paths.iter().any(|path| path == "Cargo.toml"), "not the root: {}", root.display());
        Self { root, paths }
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }

    pub(crate) fn under<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        self.paths().filter(move |path| path.starts_with(folder))
    }

    pub(crate) fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = &'a str> {
        self.paths().filter(move |path| path.ends_with(end))
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.paths.binary_search_by(|held| held.as_str().cmp(path)).is_ok()
    }

    pub(crate) fn bytes(&self, path: &str) -> Vec<u8> {
        fs::read(self.root.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
    }

    /// Tells whether the module is compiled for tests only, by what declares it.
    pub(crate) fn is_test(&self, path: &str) -> bool {
        let Some((dir, name)) = path.rsplit_once('/') else { return false };
        let declaration = format!("#[cfg(test)]\nmod {};", name.trim_end_matches(".rs"));
        ["lib.rs", "main.rs", "mod.rs"]
            .iter()
            .map(|parent| format!("{dir}/{parent}"))
            .filter(|parent| self.has(parent))
            .any(|parent| self.text(&parent).is_some_and(|text| text.contains(&declaration)))
    }

    /// The file's text; `None` when it is not text.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        String::from_utf8(self.bytes(path)).ok().filter(|text| !text.contains('\0'))
    }
}

fn walk(root: &Path, dir: &Path, paths: &mut Vec<String>) {
    for entry in fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
        // A work tree of git has a file `.git`; editors' swap files and pending snapshots come and
        // go while tests run.
        let ignored = LEFT_BEHIND.contains(&name.as_str())
            || name.ends_with(".snap.new")
            || name.ends_with(".pending-snap");
        if ignored || name.split('/').any(|part| part == "target") {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, paths);
        } else if path.is_file() {
            paths.push(name);
        }
    }
}

#[track_caller]
fn assert_tidy(mut breaches: Vec<Breach>) {
    breaches.sort();
    let lines: Vec<String> = breaches.iter().map(Breach::to_string).collect();
    assert!(lines.is_empty(), "{} breaches of house style:\n{}", lines.len(), lines.join("\n"));
}

/// Applies a rule for one file's text to every file with this ending.
fn assert_each(end: &str, rule: impl Fn(&str, &str) -> Vec<Breach>) {
    let tree = WorkTree::here();
    let mut breaches = Vec::new();
    for path in tree.ending(end) {
        if let Some(text) = tree.text(path) {
            breaches.extend(rule(path, &text));
        }
    }
    assert_tidy(breaches);
}

#[test]
fn lines_are_at_most_100_columns() {
    assert_each(".rs", text::line_widths);
}

#[test]
fn files_are_short_enough_to_read() {
    assert_each(".rs", text::file_lengths);
}

#[test]
fn functions_are_short_and_take_few_arguments() {
    assert_each(".rs", text::function_sizes);
}

#[test]
fn files_open_with_what_they_are_for() {
    assert_each(".rs", text::header);
}

#[test]
fn nothing_is_left_for_later_or_silenced_without_a_reason() {
    assert_each(".rs", text::forbidden_words);
}

#[test]
fn unwrap_stays_in_tests() {
    let tree = WorkTree::here();
    assert_each(".rs", |path, text| match tree.is_test(path) {
        true => Vec::new(),
        false => text::unwraps(path, text),
    });
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    assert_each("", text::machine_paths);
}

#[test]
fn crates_depend_only_along_the_arrows() {
    assert_tidy(layers::crate_arrows(&WorkTree::here()));
}

#[test]
fn modules_of_core_import_only_from_above() {
    assert_tidy(layers::core_modules(&WorkTree::here()));
}

#[test]
fn references_in_headers_resolve() {
    assert_tidy(artefacts::header_references(&WorkTree::here()));
}

#[test]
fn every_promise_is_on_the_one_list() {
    assert_tidy(artefacts::promises(&WorkTree::here()));
}

#[test]
fn corpora_are_below_one_mebibyte() {
    assert_tidy(artefacts::corpora(&WorkTree::here()));
}

#[test]
fn no_snapshot_is_an_orphan() {
    assert_tidy(artefacts::orphan_snapshots(&WorkTree::here()));
}

#[test]
fn golden_files_are_append_only() {
    assert_tidy(artefacts::golden_files(&WorkTree::here()));
}
