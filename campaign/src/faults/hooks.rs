//! Where a fault is planted: the product functions with its hook, found in the source.

use crate::changed;
use crate::files::{self, EnvironmentError};
use fastness_sim::check::{Check, by_name};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders with hooks, and those of the faults' own code.
const PRODUCT: [&str; 4] = ["core/src", "core/sync/src", "core/auth/src", "core/derive/src"];
const PLANTED: [&str; 2] = ["core/src/fault/", "core/sync/src/fault/"];

/// A product function with a hook.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FaultSite {
    /// The file, from the root of the checkout.
    pub(super) file: String,
    /// The function.
    pub(super) function: String,
}

/// The source files of a checkout that can hold hooks.
#[derive(Debug)]
pub(super) struct SiteIndex {
    files: Vec<(String, String)>,
}

impl SiteIndex {
    /// Reads the source of a checkout.
    pub(super) fn read(root: &Path) -> Result<Self, EnvironmentError> {
        let mut index = Self { files: Vec::new() };
        for folder in PRODUCT {
            index.walk(root, &root.join(folder))?;
        }
        index.files.sort();
        Ok(index)
    }

    fn walk(&mut self, root: &Path, folder: &Path) -> Result<(), EnvironmentError> {
        let list = fs::read_dir(folder).map_err(files::error(folder, "list the folder"))?;
        for entry in list {
            let path = entry.map_err(files::error(folder, "list the folder"))?.path();
            if path.is_dir() {
                self.walk(root, &path)?;
            } else if path.extension().is_some_and(|end| end == "rs") {
                self.files.push((name_of(root, &path), files::read(&path)?));
            }
        }
        Ok(())
    }

    /// Returns the hooks of a fault, by its id such as `CR-01`.
    pub(super) fn of(&self, id: &str) -> BTreeSet<FaultSite> {
        let switch = format!("Fault::{}", variant(id));
        let mut hooks = vec![switch.clone()];
        for (file, text) in self.files.iter().filter(|(file, _)| is_planted(file)) {
            let module = Path::new(file).file_stem().unwrap_or_default().to_string_lossy();
            let functions = functions_with(text, &switch).into_iter();
            hooks.extend(functions.map(|function| format!("fault::{module}::{function}(")));
        }
        let product = self.files.iter().filter(|(file, _)| !is_planted(file));
        let mut found = BTreeSet::new();
        for (file, text) in product {
            for function in hooks.iter().flat_map(|hook| functions_with(text, hook)) {
                found.insert(FaultSite { file: file.clone(), function });
            }
        }
        found
    }
}

impl FaultSite {
    /// Returns the names of the checks that own the file.
    pub(super) fn checks(&self) -> &'static [&'static str] {
        changed::owner_of(&self.file).map_or(&[], |owner| owner.checks)
    }
}

impl SiteIndex {
    /// Returns the checks that own the places of a fault.
    pub(super) fn owners(&self, id: &str) -> Vec<&'static Check> {
        let hooks = self.of(id);
        let names: BTreeSet<&str> = hooks.iter().flat_map(FaultSite::checks).copied().collect();
        names.into_iter().filter_map(by_name).collect()
    }
}

fn name_of(root: &Path, path: &Path) -> String {
    let relative: PathBuf = path.strip_prefix(root).unwrap_or(path).to_path_buf();
    relative.to_string_lossy().replace('\\', "/")
}

fn is_planted(file: &str) -> bool {
    PLANTED.iter().any(|folder| file.starts_with(folder))
}

/// `CR-01` is the variant `Cr01`.
fn variant(id: &str) -> String {
    let id = id.replace('-', "");
    let (head, tail) = id.split_at(1);
    format!("{head}{}", tail.to_lowercase())
}

/// The names of the functions that contain a word, in order of their first line.
fn functions_with(text: &str, word: &str) -> Vec<String> {
    let mut function = "";
    let mut found: Vec<String> = Vec::new();
    for line in text.lines() {
        if let Some((_, rest)) = line.split_once("fn ") {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            function = &rest[..end];
        }
        let has_word = line.match_indices(word).any(|(at, _)| {
            let next = line[at + word.len()..].chars().next();
            word.ends_with('(') || next.is_none_or(|c| !c.is_alphanumeric())
        });
        if has_word && !function.is_empty() && !found.iter().any(|name| name == function) {
            found.push(function.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{SiteIndex, functions_with, variant};
    use fastness::fault::Fault;
    use std::path::Path;

    #[test]
    fn every_fault_has_a_hook() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let index = SiteIndex::read(&root).unwrap();
        for fault in Fault::ALL {
            assert_eq!(variant(fault.id()), format!("{fault:?}"));
            assert!(!index.of(fault.id()).is_empty(), "{}: no hook found", fault.id());
        }
        let narrow: Vec<_> = index.of("EN-09").into_iter().collect();
        assert!(narrow.iter().all(|hook| hook.file.starts_with("core/src/pager/")), "{narrow:?}");
        assert_eq!(narrow[0].checks(), ["crash", "io-errors", "bounds"]);
    }

    #[test]
    fn a_word_belongs_to_the_function_above_it() {
        let text =
            "fn one() {\n}\npub fn two_2(a: u8) {\n    on(Fault::Fs1);\n    on(Fault::Fs12);\n}";
        assert_eq!(functions_with(text, "Fault::Fs12"), ["two_2"]);
        assert_eq!(functions_with(text, "Fault::Fs1"), ["two_2"]);
        assert!(functions_with(text, "Fault::Fs").is_empty());
    }
}
