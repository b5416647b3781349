//! Recorded actions on files, in memory as in the record on disk.
//!
//! - R1 A recorded action is carried out exactly once, despite any interruption.

use crate::conc::Mutex;
use crate::sorted::Sorted;
use std::path::{Path, PathBuf};

/// The actions that are recorded, by the paths of their files.
#[derive(Debug)]
pub(crate) struct PendingActions<A> {
    /// Held while an action changes in memory and on disk.
    recording: Mutex<()>,
    actions: Mutex<Sorted<PathBuf, A>>,
}

impl<A> Default for PendingActions<A> {
    fn default() -> Self {
        Self { recording: Mutex::new(()), actions: Mutex::new(Sorted::new()) }
    }
}

impl<A: Clone + PartialEq> PendingActions<A> {
    /// Loads the actions on disk.
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

    /// Records an action, on disk by `record`, in place of an earlier one for the file.
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

    /// Removes an action that was carried out, from disk by `unrecord`. An action recorded for the
    /// file meanwhile stays.
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
