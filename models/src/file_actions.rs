//! Recorded file actions, as docs/instances.md specifies them: carried out once, nothing lost,
//! nothing replaced. A state holds all files; an execution is a function of the state.

use std::collections::{BTreeMap, BTreeSet};

/// The content of one of our files.
pub type FileNotes = BTreeSet<u8>;

/// The kind of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FileContent {
    /// A file of this generation.
    Current(FileNotes),
    /// A file of an older generation.
    Older,
}

/// A recorded action.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Delete it.
    Delete,
    /// Copy the file to the backup with this number, then delete it.
    BackUp(usize),
}

/// The file at the path of a backup.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Backup {
    /// A copy of a file.
    Of(FileContent),
    /// A foreign file.
    Foreign,
}

/// The state of all files.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct FileActions {
    /// Existing files, by number.
    pub files: BTreeMap<usize, FileContent>,
    /// Recorded actions, by file.
    pub pending: BTreeMap<usize, Action>,
    /// Existing files at backup paths, by number.
    pub backups: BTreeMap<usize, Backup>,
}

/// The outcome of an action: whether the file existed, or an occupied target.
pub type ActionOutcome = Result<bool, TargetOccupied>;

/// The path of the backup is occupied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TargetOccupied;

impl FileActions {
    /// Opens a file and adds a note. If the file is missing, its recorded action runs first, so
    /// that it never meets the new file. A file of an older generation is renamed: to its
    /// backup path if one is recorded, else to `new_path`. Returns the new path, or an occupied
    /// target.
    pub fn add_note(
        &mut self,
        file: usize,
        note: u8,
        new_path: usize,
    ) -> Option<Result<usize, TargetOccupied>> {
        if !self.files.contains_key(&file) {
            self.execute(file);
        }
        match self.files.entry(file).or_insert_with(|| FileContent::Current(FileNotes::new())) {
            FileContent::Current(notes) => {
                notes.insert(note);
                None
            }
            FileContent::Older => {
                let target = match self.pending.get(&file) {
                    Some(Action::BackUp(target)) => *target,
                    Some(Action::Delete) | None => new_path,
                };
                self.pending.insert(file, Action::BackUp(target));
                let outcome = self.execute(file)?;
                Some(outcome.map(|_| target))
            }
        }
    }

    /// Records an action; replaces an earlier one of the file.
    pub fn require(&mut self, file: usize, action: Action) {
        self.pending.insert(file, action);
    }

    /// Executes the recorded action of a file; none if nothing is recorded.
    pub fn execute(&mut self, file: usize) -> Option<ActionOutcome> {
        let action = *self.pending.get(&file)?;
        if let (Action::BackUp(target), Some(file_content)) = (action, self.files.get(&file)) {
            if self.backups.contains_key(&target) {
                return Some(Err(TargetOccupied));
            }
            self.backups.insert(target, Backup::Of(file_content.clone()));
        }
        self.pending.remove(&file);
        Some(Ok(self.files.remove(&file).is_some()))
    }

    /// Starts: executes all recorded actions, in the order of files.
    pub fn start(&mut self) -> Vec<(usize, ActionOutcome)> {
        let files: Vec<usize> = self.pending.keys().copied().collect();
        let outcome = |file| self.execute(file).map(|outcome| (file, outcome));
        files.into_iter().filter_map(outcome).collect()
    }
}
