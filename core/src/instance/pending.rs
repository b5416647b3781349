//! Pending actions: a copy in memory of the recorded actions, equal to the record on the disk.
//!
//! - R1 A recorded action is executed exactly once, whatever is interrupted.

use crate::conc::Mutex;
use crate::sorted::Sorted;
use std::path::{Path, PathBuf};

/// The recorded actions, by the paths of their files.
#[derive(Debug)]
pub(crate) struct PendingActions<A> {
    /// Held while the record on the disk and the copy in memory change together.
    recording: Mutex<()>,
    actions: Mutex<Sorted<PathBuf, A>>,
}

impl<A> Default for PendingActions<A> {
    fn default() -> Self {
        Self { recording: Mutex::new(()), actions: Mutex::new(Sorted::new()) }
    }
}

impl<A: Clone + PartialEq> PendingActions<A> {
    /// Loads the actions of the record.
    pub(crate) fn load(&self, actions: impl IntoIterator<Item = (PathBuf, A)>) {
        *self.actions.lock() = actions.into_iter().collect();
    }

    pub(crate) fn get(&self, path: &Path) -> Option<A> {
        self.actions.lock().get(path).cloned()
    }

    /// Returns all actions in the order of paths.
    pub(crate) fn all(&self) -> Vec<A> {
        self.actions.lock().values().cloned().collect()
    }

    /// Adds an action in the place of the one for the same file. `record` writes it to the disk.
    pub(crate) fn put<E>(
        &self,
        path: &Path,
        action: A,
        record: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let recording = self.recording.lock();
        record()?;
        self.actions.lock().insert(path.to_path_buf(), action);
        drop(recording);
        Ok(())
    }

    /// Removes an executed action. `unrecord` removes it from the disk. An action that has replaced
    /// it meanwhile stays.
    pub(crate) fn remove_executed<E>(
        &self,
        path: &Path,
        action: &A,
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
