//! Joins the nights of several machines into one.
//!
//! - CA17 Shards `1/n` to `n/n` of a seed together run what one night of that seed runs; a merge
//!   says which shards are missing.

use super::finding::{self, NightFinding};
use super::journal::{Journal, NightId};
use super::publish::{NightResult, publish};
use super::step::Step;
use super::summary::NightSummary;
use crate::files::{self, EnvironmentError};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Whether a folder has a night.
#[must_use]
pub fn is_night(folder: &Path) -> bool {
    folder.join("night.json").is_file()
}

/// Merges the nights in `folders` into `out`: results, findings and corpora.
///
/// # Errors
/// If a night cannot be read, the nights have different commits or seeds, or `out` cannot be
/// written.
pub fn merge(folders: &[PathBuf], out: &Path) -> Result<NightResult, EnvironmentError> {
    let mut ids: Vec<NightId> = Vec::new();
    let mut steps: Vec<Step> = Vec::new();
    for folder in folders {
        let journal = Journal::read(folder)?;
        let problem = match ids.first() {
            Some(first) if (&first.commit, first.seed) != (&journal.id.commit, journal.id.seed) => {
                Some("it belongs to another night: commit or seed differ")
            }
            Some(_) if ids.iter().any(|id| id.shard == journal.id.shard) => {
                Some("this shard was given twice")
            }
            _ => None,
        };
        if let Some(problem) = problem {
            return Err(files::error(folder, "merge the night")(io::Error::other(problem)));
        }
        ids.push(journal.id);
        steps.extend(journal.steps);
        copy_findings(folder, out)?;
        copy_corpora(folder, out)?;
    }
    let summary = NightSummary::of(&ids, &steps, &out.join("findings"))?;
    publish(summary, out)
}

/// Copies findings; one that several nights have keeps the smallest plan and all counts.
fn copy_findings(from: &Path, out: &Path) -> Result<(), EnvironmentError> {
    for folder in folders(&from.join("findings"))? {
        let Some(new) = finding::read(&folder)? else { continue };
        let to = out.join("findings").join(&new.name);
        let old = finding::read(&to)?;
        let is_better = old.as_ref().is_none_or(|old| new.operations.len() < old.operations.len());
        if is_better {
            copy_files(&folder, &to)?;
        }
        finding::write(&joined(new, old, is_better), &to)?;
    }
    Ok(())
}

fn joined(new: NightFinding, old: Option<NightFinding>, is_better: bool) -> NightFinding {
    let Some(old) = old else { return new };
    let (mut kept, other) = if is_better { (new, old) } else { (old, new) };
    kept.seen += other.seen;
    kept.found_by.extend(other.found_by);
    kept.found_by.sort();
    kept.found_by.dedup();
    kept.first_unix = kept.first_unix.min(other.first_unix);
    kept.last_unix = kept.last_unix.max(other.last_unix);
    kept
}

/// Copies the inputs of each target; equal inputs have equal names.
fn copy_corpora(from: &Path, out: &Path) -> Result<(), EnvironmentError> {
    for folder in folders(&from.join("corpus"))? {
        let name = folder.file_name().unwrap_or_default();
        copy_files(&folder, &out.join("corpus").join(name))?;
    }
    Ok(())
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>, EnvironmentError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let list = fs::read_dir(folder).map_err(files::error(folder, "list the folder"))?;
    let mut folders: Vec<PathBuf> = list.filter_map(|it| Some(it.ok()?.path())).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    Ok(folders)
}

fn copy_files(from: &Path, to: &Path) -> Result<(), EnvironmentError> {
    files::make_folder(to)?;
    let list = fs::read_dir(from).map_err(files::error(from, "list the folder"))?;
    for path in list.filter_map(|it| Some(it.ok()?.path())).filter(|path| path.is_file()) {
        let copy = to.join(path.file_name().unwrap_or_default());
        fs::copy(&path, &copy).map_err(files::error(&copy, "copy the file"))?;
    }
    Ok(())
}
