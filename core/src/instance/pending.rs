//! What is recorded to be done to files: in memory the same as in the record on the disk.
//!
//! - R1 A recorded action is carried out exactly once, whatever is interrupted.

use crate::conc::Mutex;
use crate::sorted::Sorted;
use std::path::{Path, PathBuf};

/// The actions that are recorded, by the paths of their files.
#[derive(Debug)]
pub(crate) struct Pending<A> {
    /// Held while the record on the disk and the actions are made to say the same.
    recording: Mutex<()>,
    actions: Mutex<Sorted<PathBuf, A>>,
}

impl<A> Default for Pending<A> {
    fn default() -> Self {
        Self { recording: Mutex::new(()), actions: Mutex::new(Sorted::new()) }
    }
}

impl<A: Clone + PartialEq> Pending<A> {
    /// Takes what was on the disk.
    pub(crate) fn begin(&self, actions: impl IntoIterator<Item = (PathBuf, A)>) {
        *self.actions.lock() = actions.into_iter().collect();
    }

    pub(crate) fn get(&self, path: &Path) -> Option<A> {
        self.actions.lock().get(path).cloned()
    }

    /// Returns all, in the order of paths.
    pub(crate) fn all(&self) -> Vec<A> {
        self.actions.lock().values().cloned().collect()
    }

    /// Records an action with what puts it on the disk, in place of what was recorded for the file.
    pub(crate) fn put<E>(
        &self,
        (path, action): (&Path, A),
        record: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let recording = self.recording.lock();
        record()?;
        self.actions.lock().insert(path.to_path_buf(), action);
        drop(recording);
        Ok(())
    }

    /// Takes off an action that was carried out, with what takes it off the disk. What was recorded
    /// for the file meanwhile stays.
    pub(crate) fn carried_out<E>(
        &self,
        (path, action): (&Path, &A),
        unrecord: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let recording = self.recording.lock();
        if self.get(path).as_ref() == Some(action) {
            unrecord()?;
            self.actions.lock().remove(path);
        }
        drop(recording);
        Ok(())
    }
}
