//! What docs/instances.md promises of actions on files: recorded, carried out once, nothing lost
//! and nothing replaced. A state says what is where; carrying out is a function of it.

use std::collections::{BTreeMap, BTreeSet};

/// What is in a file of ours.
pub type Notes = BTreeSet<u8>;

/// What a file is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum File {
    /// One of ours.
    Ours(Notes),
    /// One that an older generation made.
    Older,
}

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
    /// A file, as it was.
    Of(File),
    /// Something that is none of ours.
    Foreign,
}

/// What there is.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct FileActions {
    /// Files that are there, by number.
    pub files: BTreeMap<usize, File>,
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
    /// Opens a file and adds a note. If it is not there, what is recorded for it comes first, so
    /// that it never meets the file that is made. One of an older generation is moved aside: where
    /// its backup was to go, else to `aside`; answered is where it is now, or that something is in
    /// the way.
    pub fn note(&mut self, file: usize, note: u8, aside: usize) -> Option<Result<usize, InTheWay>> {
        if !self.files.contains_key(&file) {
            self.execute(file);
        }
        match self.files.entry(file).or_insert_with(|| File::Ours(Notes::new())) {
            File::Ours(notes) => {
                notes.insert(note);
                None
            }
            File::Older => {
                let target = match self.pending.get(&file) {
                    Some(Action::BackUp(target)) => *target,
                    Some(Action::Delete) | None => aside,
                };
                self.pending.insert(file, Action::BackUp(target));
                let outcome = self.execute(file)?;
                Some(outcome.map(|_| target))
            }
        }
    }

    /// Records an action in place of one that is recorded for the file.
    pub fn require(&mut self, file: usize, action: Action) {
        self.pending.insert(file, action);
    }

    /// Carries out what is recorded for a file; none if nothing is.
    pub fn execute(&mut self, file: usize) -> Option<Outcome> {
        let action = *self.pending.get(&file)?;
        if let (Action::BackUp(target), Some(whole)) = (action, self.files.get(&file)) {
            if self.backups.contains_key(&target) {
                return Some(Err(InTheWay));
            }
            self.backups.insert(target, Backup::Of(whole.clone()));
        }
        self.pending.remove(&file);
        Some(Ok(self.files.remove(&file).is_some()))
    }

    /// Starts again: carries out all that is recorded, in the order of files.
    pub fn start(&mut self) -> Vec<(usize, Outcome)> {
        let files: Vec<usize> = self.pending.keys().copied().collect();
        let outcome = |file| self.execute(file).map(|outcome| (file, outcome));
        files.into_iter().filter_map(outcome).collect()
    }
}
