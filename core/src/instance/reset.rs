//! Client reset: a server that no longer has the history of a file requests it. The file is backed
//! up and deleted, at once if the app calls for it, else at the next start.

use super::file_registry::FileRegistry;
use crate::config::{Callback, Configuration};
use crate::error::Result;
use std::path::Path;

/// A recorded client reset. Until it is executed, the original exists and the backup does not.
#[derive(Clone, Debug)]
pub struct ClientReset {
    pub(super) original: Configuration,
    pub(super) backup: Configuration,
    pub(super) instances: FileRegistry,
}

impl ClientReset {
    /// Returns the number of the wire's error code `CLIENT_RESET`.
    #[must_use]
    pub const fn code(&self) -> i64 {
        7
    }

    /// Returns the file that is reset.
    #[must_use]
    pub fn original_file(&self) -> &Path {
        self.original.path()
    }

    /// Returns where its backup goes.
    #[must_use]
    pub fn backup_file(&self) -> &Path {
        self.backup.path()
    }

    /// Returns the configuration of the file that is reset.
    #[must_use]
    pub const fn original_configuration(&self) -> &Configuration {
        &self.original
    }

    /// Returns what opens the backup: to read, with the key and the classes of the original.
    #[must_use]
    pub const fn backup_configuration(&self) -> &Configuration {
        &self.backup
    }

    /// Backs up and deletes the file now; returns whether it existed.
    ///
    /// # Errors
    /// As [`FileRegistry::execute`].
    pub fn execute(&self) -> Result<bool> {
        self.instances.execute(&self.original)
    }
}

/// An error of a synced file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SyncError {
    /// It must be reset.
    ClientReset(ClientReset),
}

type Handle = Box<dyn Fn(&SyncError) + Send + Sync>;

impl Callback {
    /// Makes an error handler for [`crate::config::SyncBuilder::error_handler`]; those of one name
    /// are equal.
    #[must_use]
    pub fn error_handler(name: &str, handle: impl Fn(&SyncError) + Send + Sync + 'static) -> Self {
        let handle: Handle = Box::new(handle);
        Self::named(name, handle)
    }

    /// Runs an error handler; a hook that is none does nothing.
    pub(super) fn handle(&self, error: &SyncError) {
        if let Some(handle) = self.body::<Handle>() {
            handle(error);
        }
    }
}
