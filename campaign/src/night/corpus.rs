//! `campaign corpus`: what the fuzz targets have found, from night to night and from machine to
//! machine.
//!
//! A night adds inputs to its own folder. These commands count them, take in those of others, keep
//! those that matter, and add what the checkout lacks to it; nothing else writes into a checkout.
//!
//! - CA19 A corpus that was minimised covers what it covered before, with one of several inputs
//!   that cover the same, and has at most a given number of inputs.

use super::fuzz_programs::{FuzzPrograms, committed, targets};
use crate::checkout::Checkout;
use crate::files::{self, EnvironmentError};
use crate::plans::fingerprint;
use crate::tool::{Ending, problem_line};
use serde::Serialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Inputs of one target that a night keeps at most.
pub(super) const INPUTS_MAX: usize = 4000;
const MERGE_LIMIT: Duration = Duration::from_secs(1800);

/// The corpora of a night and of the checkout that contains a folder.
#[derive(Debug)]
pub struct Corpora {
    root: PathBuf,
    host: String,
    dir: PathBuf,
    /// The targets.
    pub targets: Vec<String>,
}

/// The size of a corpus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CorpusSize {
    /// Number of inputs.
    pub inputs: usize,
    /// Sum of their lengths, in bytes.
    pub bytes: u64,
}

/// The corpora of one target.
#[derive(Clone, Debug, Serialize)]
pub struct CorpusRow {
    /// Name of the target.
    pub target: String,
    /// Inputs in the checkout.
    pub committed: CorpusSize,
    /// Inputs of the nights.
    pub nights: CorpusSize,
}

impl Corpora {
    /// Returns the corpora of the night in `dir`, for `only` these targets, or all.
    ///
    /// # Errors
    /// If `here` is in no checkout, or a target does not exist.
    pub fn open(dir: &Path, here: &Path, only: Vec<String>) -> Result<Self, EnvironmentError> {
        let dir = std::path::absolute(dir).map_err(files::error(dir, "resolve the path"))?;
        let missing = |what: &str| io::Error::new(io::ErrorKind::NotFound, what.to_owned());
        let checkout = Checkout::around(here)
            .ok_or_else(|| missing("no checkout of the project contains this folder"))
            .map_err(files::error(here, "find the fuzz targets"))?;
        let host = checkout.host().ok_or_else(|| missing("rustc does not say its host"));
        let host = host.map_err(files::error(here, "find the compiler"))?;
        let all = targets(&checkout.root)?;
        if let Some(unknown) = only.iter().find(|name| !all.contains(name)) {
            let problem = missing(&format!("no target `{unknown}`; known: {}", all.join(", ")));
            return Err(files::error(&checkout.root, "find the target")(problem));
        }
        let targets = if only.is_empty() { all } else { only };
        Ok(Self { root: checkout.root, host, dir, targets })
    }

    /// Counts the inputs of each target.
    ///
    /// # Errors
    /// If a folder cannot be read.
    pub fn stats(&self) -> Result<Vec<CorpusRow>, EnvironmentError> {
        let row = |target: &String| {
            let sizes = (size(&committed(&self.root, target))?, size(&self.night(target))?);
            Ok(CorpusRow { target: target.clone(), committed: sizes.0, nights: sizes.1 })
        };
        self.targets.iter().map(row).collect()
    }

    /// Adds the inputs of `from`, which has a folder for each target, to the nights; returns how
    /// many each target had not.
    ///
    /// # Errors
    /// If a folder cannot be read or written.
    pub fn import(&self, from: &Path) -> Result<Vec<(String, usize)>, EnvironmentError> {
        let add = |target: &String| {
            Ok((target.clone(), add_inputs(&inputs(&from.join(target))?, &self.night(target))?))
        };
        self.targets.iter().map(add).collect()
    }

    /// Builds the targets, which `minimise` and `export` run.
    ///
    /// # Errors
    /// If they do not build.
    pub fn build(&self, stop: &AtomicBool) -> Result<(), EnvironmentError> {
        self.programs().build(stop)?.map_err(|text| self.failed(text))
    }

    /// Reduces the inputs of a target in the nights to those that cover more than the rest, and to
    /// `inputs_max`; returns the sizes before and after.
    ///
    /// # Errors
    /// If the target fails, or a folder cannot be read or written.
    pub fn minimise(
        &self,
        target: &str,
        inputs_max: usize,
        stop: &AtomicBool,
    ) -> Result<(CorpusSize, CorpusSize), EnvironmentError> {
        let before = size(&self.night(target))?;
        minimise(&self.programs(), target, inputs_max, stop)?.map_err(|text| self.failed(text))?;
        Ok((before, size(&self.night(target))?))
    }

    /// Adds to the checkout what a target covers by the inputs of the nights alone: at most
    /// `inputs_max` inputs, the shortest first. Returns their number.
    ///
    /// # Errors
    /// If the target fails, or a folder cannot be read or written.
    pub fn export(
        &self,
        target: &str,
        inputs_max: usize,
        stop: &AtomicBool,
    ) -> Result<usize, EnvironmentError> {
        let (corpus, committed) = (self.night(target), committed(&self.root, target));
        let work = self.work(target);
        files::make_folder(&corpus)?;
        empty(&work)?;
        let known = inputs(&committed)?;
        add_inputs(&known, &work)?;
        let merged = merge(&self.programs(), target, &Merge { into: &work, from: &corpus }, stop)?;
        merged.map_err(|text| self.failed(text))?;
        let known: Vec<String> =
            known.iter().map(|path| content_name(path)).collect::<Result<_, _>>()?;
        let mut new = Vec::new();
        for path in inputs(&work)? {
            if !known.contains(&content_name(&path)?) {
                new.push(path);
            }
        }
        shortest_first(&mut new);
        new.truncate(inputs_max);
        add_inputs(&new, &committed)
    }

    fn failed(&self, text: String) -> EnvironmentError {
        files::error(&self.root, "use the fuzz targets")(io::Error::other(text))
    }

    fn programs(&self) -> FuzzPrograms<'_> {
        FuzzPrograms { root: &self.root, host: &self.host, dir: &self.dir }
    }

    fn night(&self, target: &str) -> PathBuf {
        self.dir.join("corpus").join(target)
    }

    fn work(&self, target: &str) -> PathBuf {
        self.dir.join("work").join(format!("{target}-corpus"))
    }
}

/// Reduces the inputs of a target in the nights; returns the problem if the target fails.
pub(super) fn minimise(
    programs: &FuzzPrograms<'_>,
    target: &str,
    inputs_max: usize,
    stop: &AtomicBool,
) -> Result<Result<(), String>, EnvironmentError> {
    let corpus = programs.dir.join("corpus").join(target);
    let work = programs.dir.join("work").join(format!("{target}-corpus"));
    if inputs(&corpus)?.is_empty() {
        return Ok(Ok(()));
    }
    empty(&work)?;
    if let Err(problem) = merge(programs, target, &Merge { into: &work, from: &corpus }, stop)? {
        return Ok(Err(problem));
    }
    let mut kept = inputs(&work)?;
    shortest_first(&mut kept);
    for long in kept.drain(inputs_max.min(kept.len())..) {
        fs::remove_file(&long).map_err(files::error(&long, "remove the file"))?;
    }
    // The old corpus stays until the new one has its name.
    let old = programs.dir.join("work").join(format!("{target}-corpus-before"));
    remove(&old)?;
    fs::rename(&corpus, &old).map_err(files::error(&corpus, "rename the folder"))?;
    fs::rename(&work, &corpus).map_err(files::error(&work, "rename the folder"))?;
    remove(&old)?;
    Ok(Ok(()))
}

/// The folders of a merge.
struct Merge<'a> {
    into: &'a Path,
    from: &'a Path,
}

/// Runs libFuzzer to add to the folder `into` the inputs of `from` that cover more.
fn merge(
    programs: &FuzzPrograms<'_>,
    target: &str,
    folders: &Merge<'_>,
    stop: &AtomicBool,
) -> Result<Result<(), String>, EnvironmentError> {
    let folders = [folders.into, folders.from].map(|folder| folder.display().to_string());
    let args = [&["-merge=1".to_owned()][..], &folders].concat();
    let (ending, output) = programs.tool(target, &args).run(MERGE_LIMIT, stop)?;
    Ok(match ending {
        Ending::Success => Ok(()),
        Ending::Failure | Ending::TimeLimit | Ending::Stopped => {
            Err(format!("{target} does not merge its corpus: {}", problem_line(&output)))
        }
    })
}

/// Copies inputs under names of their content; returns how many were new.
fn add_inputs(from: &[PathBuf], to: &Path) -> Result<usize, EnvironmentError> {
    files::make_folder(to)?;
    let present = inputs(to)?;
    let mut known: Vec<String> =
        present.iter().map(|path| content_name(path)).collect::<Result<_, _>>()?;
    let mut added = 0;
    for path in from {
        let name = content_name(path)?;
        if known.contains(&name) {
            continue;
        }
        let copy = to.join(&name);
        fs::copy(path, &copy).map_err(files::error(&copy, "copy the file"))?;
        known.push(name);
        added += 1;
    }
    Ok(added)
}

fn content_name(path: &Path) -> Result<String, EnvironmentError> {
    let bytes = fs::read(path).map_err(files::error(path, "read the file"))?;
    Ok(fingerprint(&bytes))
}

/// Returns the inputs in a folder, sorted; none if there is no folder.
pub(super) fn inputs(folder: &Path) -> Result<Vec<PathBuf>, EnvironmentError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let list = fs::read_dir(folder).map_err(files::error(folder, "list the folder"))?;
    let mut paths: Vec<PathBuf> = list.filter_map(|it| Some(it.ok()?.path())).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    Ok(paths)
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn shortest_first(paths: &mut [PathBuf]) {
    paths.sort_by_key(|path| length(path));
}

fn size(folder: &Path) -> Result<CorpusSize, EnvironmentError> {
    let paths = inputs(folder)?;
    Ok(CorpusSize { inputs: paths.len(), bytes: paths.iter().map(|path| length(path)).sum() })
}

/// Makes an empty folder.
pub(super) fn empty(folder: &Path) -> Result<(), EnvironmentError> {
    remove(folder)?;
    files::make_folder(folder)
}

fn remove(folder: &Path) -> Result<(), EnvironmentError> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(files::error(folder, "remove the folder"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkout(folder: &Path) -> Corpora {
        files::write(&folder.join("fuzz/Cargo.toml"), "").unwrap();
        files::write(&folder.join("fuzz/fuzz_targets/file.rs"), "").unwrap();
        files::write(&folder.join("fuzz/fuzz_targets/page.rs"), "").unwrap();
        Corpora::open(&folder.join("nights"), folder, Vec::new()).unwrap()
    }

    #[test]
    fn equal_inputs_are_imported_once() {
        let folder = tempfile::tempdir().unwrap();
        let corpora = checkout(folder.path());
        let other = folder.path().join("other");
        for (name, text) in [("file/a", "one"), ("file/b", "one"), ("page/c", "four")] {
            files::write(&other.join(name), text).unwrap();
        }
        let added = |count| ["file", "page"].map(|name| (name.to_owned(), count)).to_vec();
        assert_eq!(corpora.import(&other).unwrap(), added(1));
        assert_eq!(corpora.import(&other).unwrap(), added(0));
        let rows = corpora.stats().unwrap();
        assert_eq!((rows[0].nights.inputs, rows[0].nights.bytes), (1, 3));
        assert_eq!((rows[1].nights.bytes, rows[1].committed), (4, CorpusSize::default()));
    }

    #[test]
    fn an_unknown_target_and_a_folder_without_a_checkout_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("nights");
        let error = Corpora::open(&dir, folder.path(), Vec::new()).unwrap_err();
        assert!(error.to_string().contains("no checkout"), "{error}");
        checkout(folder.path());
        let error = Corpora::open(&dir, folder.path(), vec!["fly".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("known: file, page"), "{error}");
    }
}
