//! Client reset: what a server that no longer has the history of a file asks of us. The file is
//! backed up and deleted, at once if the app says so, else at the next start.

use super::file_registry::FileRegistry;
use crate::config::{Callback, Configuration};
use crate::error::Result;
use std::path::Path;

/// A client reset that was recorded. Until it is executed the original is there and the backup is
/// not.
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

    /// Backs up and deletes the file now; tells whether it was there.
    ///
    /// # Errors
    /// As [`FileRegistry::execute`].
    pub fn execute(&self) -> Result<bool> {
        self.instances.execute(&self.original)
    }
}

/// What happened to a synced file.
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
