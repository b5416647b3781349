//! House style as tests, and as the command `cargo tidy`.
//!
//! The rules read every file of the work tree except build output. Each breach is a line
//! `file:line: breach; remedy`.
//!
//! - Files, functions, lines and argument lists stay within their sizes.
//! - Crates and the modules of core depend only in the direction of docs/architecture.md.
//! - Maps name every crate and module; docs/promises.md and the code name the same ids.
//! - References resolve: documents, anchors, checks, snapshots, golden files, corpora.
//! - Prose, messages and names use the words of the field; a tuple counts by its members.
//! - A type's name means one thing within a crate; files of a crate import each other in no circle.
//! - Every rule here fires on an example of its breach.

mod artefacts;
pub(crate) mod graph;
mod layers;
mod maps;
mod names;
mod paths;
mod prose;
mod register;
mod source;
mod text;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Directories that builds and runs leave behind, relative to the root.
const LEFT_BEHIND: &[&str] =
    &[".git", "target", "out", "fuzz/target", "fuzz/artifacts", "fuzz/coverage"];

/// A rule over the whole tree.
type Rule = fn(&WorkTree) -> Vec<Breach>;

/// All rules. None has an exception.
pub(crate) const RULES: &[(&str, Rule)] = &[
    ("widths", |tree| each(tree, ".rs", text::line_widths)),
    ("lengths", |tree| each(tree, ".rs", text::file_lengths)),
    ("functions", |tree| each(tree, ".rs", text::function_sizes)),
    ("headers", |tree| each(tree, ".rs", text::header)),
    ("forbidden", |tree| each(tree, ".rs", text::forbidden_words)),
    ("unwrap", unwraps),
    ("machines", |tree| each(tree, "", text::machine_paths)),
    ("crates", layers::crate_arrows),
    ("modules", layers::core_modules),
    ("words", words),
    ("identifiers", |tree| each(tree, ".rs", prose::identifiers)),
    ("arguments", |tree| each(tree, ".rs", names::arguments)),
    ("types", names::types),
    ("circles", graph::circles),
    ("maps", maps::complete),
    ("promises", register::promises),
    ("references", artefacts::header_references),
    ("corpora", artefacts::corpora),
    ("snapshots", artefacts::orphan_snapshots),
    ("golden", artefacts::golden_files),
];

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
    #[cfg(test)]
    pub(crate) fn here() -> Self {
        Self::at(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
    }

    pub(crate) fn at(root: &Path) -> Self {
        let root = root.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", root.display()));
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
        self.paths.binary_search_by(|other| other.as_str().cmp(path)).is_ok()
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
        let path = entry.unwrap_or_else(|e| panic!("{}: {e}", dir.display())).path();
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().replace('\\', "/");
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

/// Applies a rule for one file's text to every file with this ending.
fn each(tree: &WorkTree, end: &str, rule: fn(&str, &str) -> Vec<Breach>) -> Vec<Breach> {
    let texts = tree.ending(end).filter_map(|path| Some((path, tree.text(path)?)));
    texts.flat_map(|(path, text)| rule(path, &text)).collect()
}

/// The words of comments and messages in code, and of documents.
fn words(tree: &WorkTree) -> Vec<Breach> {
    let mut breaches = each(tree, ".rs", prose::source_words);
    breaches.extend(each(tree, ".md", prose::document_words));
    breaches
}

fn unwraps(tree: &WorkTree) -> Vec<Breach> {
    let mut breaches = each(tree, ".rs", text::unwraps);
    breaches.retain(|breach| !tree.is_test(&breach.path));
    breaches
}

#[cfg(test)]
mod tests {
    use super::{RULES, WorkTree};

    /// Holds one rule over the tree.
    #[track_caller]
    fn check(name: &str) {
        let (_, rule) = RULES.iter().find(|(rule, _)| *rule == name).unwrap();
        let mut breaches = rule(&WorkTree::here());
        breaches.sort();
        let lines: Vec<String> = breaches.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "{} breaches of house style:\n{}", lines.len(), lines.join("\n"));
    }

    #[test]
    fn lines_are_at_most_100_columns() {
        check("widths");
    }

    #[test]
    fn files_are_short_enough_to_read() {
        check("lengths");
    }

    #[test]
    fn functions_are_short() {
        check("functions");
    }

    #[test]
    fn files_open_with_their_purpose() {
        check("headers");
    }

    #[test]
    fn nothing_is_left_for_later_or_silenced_without_a_reason() {
        check("forbidden");
    }

    #[test]
    fn unwrap_stays_in_tests() {
        check("unwrap");
    }

    #[test]
    fn no_file_names_a_path_of_one_machine() {
        check("machines");
    }

    #[test]
    fn crates_depend_only_along_the_arrows() {
        check("crates");
    }

    #[test]
    fn modules_of_core_import_only_from_above() {
        check("modules");
    }

    #[test]
    fn prose_and_messages_use_the_words_of_the_field() {
        check("words");
    }

    #[test]
    fn names_use_the_words_of_the_field() {
        check("identifiers");
    }

    #[test]
    fn a_tuple_of_arguments_counts_by_its_members() {
        check("arguments");
    }

    #[test]
    fn a_name_of_a_type_means_one_thing_within_a_crate() {
        check("types");
    }

    #[test]
    fn files_of_a_crate_import_each_other_in_no_circle() {
        check("circles");
    }

    #[test]
    fn maps_name_every_crate_and_module() {
        check("maps");
    }

    #[test]
    fn promises_and_code_name_the_same_ids() {
        check("promises");
    }

    #[test]
    fn references_in_headers_resolve() {
        check("references");
    }

    #[test]
    fn corpora_are_below_one_mebibyte() {
        check("corpora");
    }

    #[test]
    fn no_snapshot_is_an_orphan() {
        check("snapshots");
    }

    #[test]
    fn golden_files_are_append_only() {
        check("golden");
    }
}
