//! `journal.jsonl`: what a night has done so far, one JSON object a line, each synced.
//!
//! - CA13 A night continues after `kill -9` or a power loss: finished steps are not repeated, an
//!   incomplete last line is removed.

use super::part::Part;
use super::step::Step;
use crate::files::{self, EnvironmentError};
use crate::plans::Shard;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

pub(crate) const FILE: &str = "journal.jsonl";

/// The identity of a night.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NightId {
    /// Program and version.
    pub program: String,
    /// Commit of the checkout, with `+` if files have changed since; empty without a checkout.
    pub commit: String,
    /// Version of the compiler; empty without one.
    pub compiler: String,
    /// Model of the processor, and number of cores.
    pub machine: String,
    /// The seed of all parts.
    pub seed: u64,
    /// The shard, as `i/n`.
    pub shard: String,
    /// Number of worker threads.
    pub jobs: usize,
    /// Time limit, in seconds.
    pub budget_seconds: u64,
    /// The parts that were asked for.
    pub parts: Vec<Part>,
    /// Start time, in seconds since 1970.
    pub started_unix: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "lowercase")]
enum Entry {
    Start(NightId),
    Step(Box<Step>),
    End,
}

/// The journal of the night in a folder.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    pub(crate) id: NightId,
    pub(crate) steps: Vec<Step>,
}

impl Journal {
    /// Begins a night; the journal of the last one is kept as `journal-before.jsonl`.
    pub(crate) fn create(folder: &Path, id: NightId) -> Result<Self, EnvironmentError> {
        files::make_folder(folder)?;
        let path = folder.join(FILE);
        if path.exists() {
            let kept = folder.join("journal-before.jsonl");
            fs::rename(&path, kept).map_err(files::error(&path, "rename the file"))?;
        }
        let file = OpenOptions::new().create_new(true).append(true).open(&path);
        let file = file.map_err(files::error(&path, "create the file"))?;
        let mut journal = Self { path, file, id: id.clone(), steps: Vec::new() };
        journal.append(&Entry::Start(id))?;
        let entries = File::open(folder).and_then(|folder| folder.sync_all());
        entries.map_err(files::error(folder, "sync the folder"))?;
        Ok(journal)
    }

    /// Returns the shard that the night runs.
    pub(crate) fn shard(&self) -> Result<Shard, EnvironmentError> {
        let malformed = |error: String| io::Error::new(io::ErrorKind::InvalidData, error);
        self.id
            .shard
            .parse()
            .map_err(malformed)
            .map_err(files::error(&self.path, "parse the shard"))
    }

    /// Opens the unfinished night of a folder, if it has one.
    pub(crate) fn resume(folder: &Path) -> Result<Option<Self>, EnvironmentError> {
        if !folder.join(FILE).exists() {
            return Ok(None);
        }
        let NightRecord { id, steps, is_over, whole } = read(folder)?;
        if is_over {
            return Ok(None);
        }
        let path = folder.join(FILE);
        let file = OpenOptions::new().append(true).open(&path);
        let file = file.map_err(files::error(&path, "open the file"))?;
        file.set_len(whole).map_err(files::error(&path, "truncate the file"))?;
        Ok(Some(Self { path, file, id, steps }))
    }
    /// Records a finished step.
    pub(crate) fn add(&mut self, step: Step) -> Result<(), EnvironmentError> {
        self.append(&Entry::Step(Box::new(step.clone())))?;
        self.steps.push(step);
        Ok(())
    }

    /// Records that the night is over.
    pub(crate) fn end(&mut self) -> Result<(), EnvironmentError> {
        self.append(&Entry::End)
    }

    fn append(&mut self, entry: &Entry) -> Result<(), EnvironmentError> {
        let line = serde_json::to_string(entry)
            .map_err(|error| files::error(&self.path, "serialize the line")(error.into()))?;
        let written = self.file.write_all(format!("{line}\n").as_bytes());
        let synced = written.and_then(|()| self.file.sync_data());
        synced.map_err(files::error(&self.path, "append to the file"))
    }
}

/// The content of a journal.
pub(crate) struct NightRecord {
    pub(crate) id: NightId,
    pub(crate) steps: Vec<Step>,
    pub(crate) is_over: bool,
    /// Length of the whole lines, in bytes.
    whole: u64,
}

/// Reads the night of a folder, which may be running.
pub(crate) fn read(folder: &Path) -> Result<NightRecord, EnvironmentError> {
    let path = folder.join(FILE);
    let text = files::read(&path)?;
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let (mut id, mut steps, mut is_over) = (None, Vec::new(), false);
    let malformed =
        |error| files::error(&path, "parse the file; remove it to begin a new night")(error);
    for line in text[..whole].lines() {
        match serde_json::from_str(line).map_err(|error| malformed(error.into()))? {
            Entry::Start(start) => id = Some(start),
            Entry::Step(step) => steps.push(*step),
            Entry::End => is_over = true,
        }
    }
    let id = id.ok_or_else(|| malformed(io::Error::other("its first line is missing")))?;
    Ok(NightRecord { id, steps, is_over, whole: whole as u64 })
}

#[cfg(test)]
mod tests {
    use super::super::step::{LoomRun, StepResult};
    use super::*;

    fn id(seed: u64) -> NightId {
        NightId {
            program: "fastness".to_owned(),
            commit: "abc".to_owned(),
            compiler: String::new(),
            machine: String::new(),
            seed,
            shard: "1/1".to_owned(),
            jobs: 1,
            budget_seconds: 60,
            parts: Part::ALL.to_vec(),
            started_unix: 5,
        }
    }

    fn step(model: &str) -> Step {
        let run = LoomRun { model: model.to_owned(), ..LoomRun::default() };
        Step { part: Part::Loom, seconds: 1.0, findings: Vec::new(), result: StepResult::Loom(run) }
    }

    #[test]
    fn a_night_that_was_killed_continues_with_its_finished_steps() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(folder.path(), id(1)).unwrap();
        journal.add(step("one")).unwrap();
        journal.add(step("two")).unwrap();
        drop(journal);
        let path = folder.path().join(FILE);
        let whole = fs::read(&path).unwrap();
        let two_lines = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(1);
        for cut in two_lines.unwrap().0 + 1..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            assert_eq!(read(folder.path()).unwrap().steps.len(), 1, "cut at {cut}");
            assert_eq!(fs::read(&path).unwrap().len(), cut, "reading changes nothing");
            let mut resumed = Journal::resume(folder.path()).unwrap().unwrap();
            assert_eq!((resumed.id.seed, resumed.steps.len()), (1, 1), "cut at {cut}");
            resumed.add(step("three")).unwrap();
            drop(resumed);
            let steps = Journal::resume(folder.path()).unwrap().unwrap().steps;
            assert_eq!(steps.len(), 2, "cut at {cut}");
        }
    }

    #[test]
    fn a_night_that_is_over_does_not_continue() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Journal::resume(folder.path()).unwrap().is_none());
        Journal::create(folder.path(), id(1)).unwrap().end().unwrap();
        assert!(Journal::resume(folder.path()).unwrap().is_none());
        Journal::create(folder.path(), id(2)).unwrap();
        assert_eq!(Journal::resume(folder.path()).unwrap().unwrap().id.seed, 2);
    }
}
