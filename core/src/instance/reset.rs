//! Client reset: the server no longer has the history of a file. The file is backed up and deleted,
//! at once if the app executes the action, else at the next start.

use super::action_store::{ActionKind, ActionOutcome, FileAction};
use super::backup_name::reset_name;
use super::error::InstanceError;
use super::file_registry::FileRegistry;
use crate::conc::Arc;
use crate::config::{Callback, Configuration};
use crate::error::Result;
use crate::time::Time;
use std::path::{Path, PathBuf};

/// A recorded client reset. Until it is executed the original exists and the backup does not.
#[derive(Clone, Debug)]
pub struct ClientReset {
    original: Arc<Configuration>,
    backup: Arc<Configuration>,
    registry: FileRegistry,
}

impl ClientReset {
    /// Returns the number of the wire's error code `CLIENT_RESET`.
    #[must_use]
    pub const fn code(&self) -> i64 {
        7
    }

    /// Returns the path of the file.
    #[must_use]
    pub fn original_file(&self) -> &Path {
        self.original.path()
    }

    /// Returns the path of the backup.
    #[must_use]
    pub fn backup_file(&self) -> &Path {
        self.backup.path()
    }

    /// Returns the configuration of the file.
    #[must_use]
    pub fn original_configuration(&self) -> &Configuration {
        &self.original
    }

    /// Returns a read-only configuration of the backup, with the key and the classes of the
    /// original.
    #[must_use]
    pub fn backup_configuration(&self) -> &Configuration {
        &self.backup
    }

    /// Backs up and deletes the file now; returns whether it existed.
    ///
    /// # Errors
    /// As [`FileRegistry::execute`].
    pub fn execute(&self) -> Result<bool> {
        self.registry.execute(&self.original)
    }
}

/// An error of a synced file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SyncError {
    /// The file must be reset.
    ClientReset(ClientReset),
    /// The session of the file failed. It is retried, unless its state says otherwise.
    Session {
        /// The code: of the protocol below 600, else of the login. 0 for an error of the file.
        code: i64,
        /// Reason for people.
        message: String,
    },
}

type ErrorHandlerFn = Box<dyn Fn(&SyncError) + Send + Sync>;

impl Callback {
    /// Creates an error handler for [`crate::config::SyncBuilder::error_handler`]. Handlers of one
    /// name are equal.
    #[must_use]
    pub fn error_handler(name: &str, handle: impl Fn(&SyncError) + Send + Sync + 'static) -> Self {
        let handle: ErrorHandlerFn = Box::new(handle);
        Self::named(name, handle)
    }

    /// Calls an error handler; a callback of another type does nothing.
    #[doc(hidden)]
    pub fn handle(&self, error: &SyncError) {
        if let Some(handle) = self.body::<ErrorHandlerFn>() {
            handle(error);
        }
    }
}

impl FileRegistry {
    /// Records that the server no longer has the history of a synced file. The next start backs the
    /// file up and deletes it, unless [`ClientReset::execute`] does so before. `now` is part of the
    /// backup's name. The action replaces any recorded action for the file.
    ///
    /// # Errors
    /// [`InstanceError::NotSynced`]; otherwise as the system reports. Nothing is recorded then.
    pub fn require_reset(&self, configuration: &Configuration, now: Time) -> Result<ClientReset> {
        let target = self.state.draw_backup_path(8, |suffix| reset_name(now, suffix))?;
        let backup = Arc::new(configuration.recovery_of(&target));
        self.state.record(configuration, ActionKind::BackUp { target })?;
        Ok(ClientReset {
            original: Arc::new(configuration.clone()),
            backup,
            registry: self.clone(),
        })
    }

    /// Draws the path of a backup that is made at `now` beside the recorded ones. The directory
    /// exists then, and the file does not. No promised interface.
    ///
    /// # Errors
    /// As the system reports.
    #[doc(hidden)]
    pub fn draw_backup(&self, now: Time) -> Result<PathBuf> {
        self.state.draw_backup(now)
    }

    /// Records that the user lost access to a synced file. The next start deletes it.
    ///
    /// # Errors
    /// As [`FileRegistry::require_reset`].
    pub fn require_deletion(&self, configuration: &Configuration) -> Result<()> {
        self.state.record(configuration, ActionKind::Delete).map(drop)
    }

    /// Simulates a client reset by the server: records it and calls the error handler of the
    /// configuration, on this thread.
    ///
    /// # Errors
    /// [`InstanceError::NoSession`] unless the file is open; otherwise as
    /// [`FileRegistry::require_reset`].
    pub fn simulate_reset(&self, configuration: &Configuration, now: Time) -> Result<()> {
        let path = || configuration.path().to_path_buf();
        let Some(sync) = configuration.sync() else {
            return Err(InstanceError::NotSynced { path: path() }.into());
        };
        if self.global_count(configuration) == 0 {
            return Err(InstanceError::NoSession { path: path() }.into());
        }
        let reset = self.require_reset(configuration, now)?;
        sync.error_handler().handle(&SyncError::ClientReset(reset));
        Ok(())
    }

    /// Executes the recorded action of a file; returns whether the file existed.
    ///
    /// # Errors
    /// [`InstanceError::NoAction`] without a recorded action, [`InstanceError::StillOpen`];
    /// [`crate::FileErrorCause::InUse`] if another process has the file open,
    /// [`crate::FileErrorCause::Exists`] if the target of the backup is another file; otherwise as
    /// the system reports. The action stays recorded.
    pub fn execute(&self, configuration: &Configuration) -> Result<bool> {
        let path = configuration.path();
        self.state.exclusively(configuration, || {
            let Some(action) = self.state.pending.get(path) else {
                return Err(InstanceError::NoAction { path: path.to_path_buf() }.into());
            };
            self.state.execute(&action)
        })
    }

    /// Returns the recorded actions in the order of paths.
    #[must_use]
    pub fn pending_actions(&self) -> Vec<FileAction> {
        self.state.pending.all()
    }

    /// Returns the outcomes of the actions that the registry executed when it was opened.
    #[must_use]
    pub fn executed_at_start(&self) -> &[ActionOutcome] {
        &self.executed
    }
}
