//! Joins the nights of several machines into one.
//!
//! - CA17 Shards `1/n` to `n/n` of a seed together run what one night of that seed runs; a merge
//!   says which shards are missing.

use super::finding::{self, NightFinding};
use super::journal::{self, NightId};
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
/// The findings of an earlier merge into `out` are replaced.
///
/// # Errors
/// If a night cannot be read, the nights have different commits or seeds, or `out` cannot be
/// written or is one of the nights.
pub fn merge(folders: &[PathBuf], out: &Path) -> Result<NightResult, EnvironmentError> {
    let mut ids: Vec<NightId> = Vec::new();
    let mut steps: Vec<Step> = Vec::new();
    let mut is_over = true;
    prepare(out)?;
    for folder in folders {
        let journal = journal::read(folder)?;
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
        is_over &= journal.is_over;
        ids.push(journal.id);
        steps.extend(journal.steps);
        copy_findings(folder, out)?;
        copy_corpora(folder, out)?;
    }
    let summary = NightSummary::of(&ids, &steps, &out.join("findings"))?;
    publish(if is_over { summary } else { summary.interrupted() }, out)
}

/// Makes the folder `out`, without the findings of an earlier merge.
fn prepare(out: &Path) -> Result<(), EnvironmentError> {
    files::make_folder(out)?;
    if out.join(journal::FILE).exists() {
        let problem = io::Error::other("a night ran in this folder; name another --out");
        return Err(files::error(out, "merge into the folder")(problem));
    }
    let findings = out.join("findings");
    if findings.exists() {
        fs::remove_dir_all(&findings).map_err(files::error(&findings, "remove the folder"))?;
    }
    Ok(())
}

/// Copies findings; one that several nights have keeps the smallest plan and all counts.
fn copy_findings(from: &Path, out: &Path) -> Result<(), EnvironmentError> {
    for folder in folders(&from.join("findings"))? {
        let Some(mut new) = finding::read(&folder)? else { continue };
        let to = out.join("findings").join(&new.name);
        let old = finding::read(&to)?;
        let is_better = old.as_ref().is_none_or(|old| new.operations.len() < old.operations.len());
        if is_better {
            copy_files(&folder, &to)?;
        }
        new.replay = moved(&new.replay, &to);
        new.promote = moved(&new.promote, &to);
        finding::write(&joined(new, old, is_better), &to)?;
    }
    Ok(())
}

/// Returns the command with the path of the finding's file in its last word changed to `to`.
fn moved(command: &str, to: &Path) -> String {
    let Some((words, path)) = command.rsplit_once(' ') else { return command.to_owned() };
    match Path::new(path).file_name().filter(|name| to.join(name).is_file()) {
        Some(name) => format!("{words} {}", to.join(name).display()),
        None => command.to_owned(),
    }
}

fn joined(new: NightFinding, old: Option<NightFinding>, is_better: bool) -> NightFinding {
    let Some(old) = old else { return new };
    let (mut kept, other) = if is_better { (new, old) } else { (old, new) };
    kept.seen += other.seen;
    kept.found_by.extend(other.found_by);
    kept.found_by.sort();
    kept.found_by.dedup();
    if other.first_unix < kept.first_unix {
        kept.first_commit = other.first_commit;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_merged_finding_names_the_files_of_the_merge() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("input"), "bytes").unwrap();
        let to = folder.path().display();
        assert_eq!(
            moved("run body /elsewhere/input", folder.path()),
            format!("run body {to}/input")
        );
        assert_eq!(moved("run body -runs=1", folder.path()), "run body -runs=1");
    }

    #[test]
    fn a_finding_of_two_nights_keeps_the_smaller_plan_and_the_first_commit() {
        let finding = |commit: &str, first_unix, operations: usize| NightFinding {
            first_commit: commit.to_owned(),
            first_unix,
            last_unix: first_unix,
            seen: 2,
            operations: vec![String::new(); operations],
            ..NightFinding::default()
        };
        let both = joined(finding("b", 9, 1), Some(finding("a", 5, 3)), true);
        assert_eq!((both.first_commit.as_str(), both.first_unix, both.last_unix), ("a", 5, 9));
        assert_eq!((both.seen, both.operations.len()), (4, 1));
    }
}
