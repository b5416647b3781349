//! What docs/instances.md promises of actions on files: recorded, carried out once, nothing lost
//! and nothing replaced. A state says what is where; carrying out is a function of it.

use std::collections::{BTreeMap, BTreeSet};

/// What a file holds.
pub type Notes = BTreeSet<u8>;

/// What is to be done to a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Delete it.
    Delete,
    /// Copy it to the backup of this number, then delete it.
    BackUp(usize),
}

/// What is where a backup goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Backup {
    /// What a file held.
    Of(Notes),
    /// Something that is none of ours.
    Foreign,
}

/// What there is.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct FileActions {
    /// Files that are there, by number.
    pub files: BTreeMap<usize, Notes>,
    /// What is recorded, by file.
    pub pending: BTreeMap<usize, Action>,
    /// What is at the places for backups, by number.
    pub backups: BTreeMap<usize, Backup>,
}

/// How an action ends: whether there was a file, or that something is in the way.
pub type Outcome = Result<bool, InTheWay>;

/// Something is where the backup was to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InTheWay;

impl FileActions {
    /// Adds a note to a file. If it is not there, what is recorded for it comes first, so that it
    /// never meets the file that is made.
    pub fn note(&mut self, file: usize, note: u8) {
        if !self.files.contains_key(&file) {
            self.execute(file);
        }
        self.files.entry(file).or_default().insert(note);
    }

    /// Records an action in place of one that is recorded for the file.
    pub fn require(&mut self, file: usize, action: Action) {
        self.pending.insert(file, action);
    }

    /// Carries out what is recorded for a file; none if nothing is.
    pub fn execute(&mut self, file: usize) -> Option<Outcome> {
        let action = *self.pending.get(&file)?;
        let there = self.files.contains_key(&file);
        if let (Action::BackUp(target), true) = (action, there) {
            if self.backups.contains_key(&target) {
                return Some(Err(InTheWay));
            }
            let notes = self.files.get(&file).cloned().unwrap_or_default();
            self.backups.insert(target, Backup::Of(notes));
        }
        self.files.remove(&file);
        self.pending.remove(&file);
        Some(Ok(there))
    }

    /// Starts again: carries out all that is recorded, in the order of files.
    pub fn start(&mut self) -> Vec<(usize, Outcome)> {
        let files: Vec<usize> = self.pending.keys().copied().collect();
        let outcome = |file| self.execute(file).map(|outcome| (file, outcome));
        files.into_iter().filter_map(outcome).collect()
    }
}
