//! Recording actions on files, and carrying them out: at once, or at the next start.

use super::actions::{ActionKind, ActionOutcome, FileAction, SYNC_DIRECTORY};
use super::error::InstanceError;
use super::file_registry::FileRegistry;
use super::names::{older_generation, recovered, unique};
use super::registry_core::RegistryCore;
use super::reset::{ClientReset, SyncError};
use crate::config::Configuration;
use crate::config::error::ConfigError;
use crate::error::{Error, Result};
use crate::time::Time;
use std::path::{Path, PathBuf};

/// Directory of backups, below that of sync.
const RECOVERED: &str = "io.realm.object-server-recovered-realms";

/// Attempts to draw a free name.
const NAMES_MAX: usize = 16;

impl FileRegistry {
    /// Records that the server no longer has the history of a synced file, so that it is backed up
    /// and deleted at the next start, unless the app does so before. `now` is part of the backup's
    /// name. The record replaces an earlier one for the file.
    ///
    /// # Errors
    /// [`InstanceError::NotSynced`]; otherwise errors of the system. Nothing is recorded then.
    pub fn require_reset(&self, configuration: &Configuration, now: Time) -> Result<ClientReset> {
        let shared = &self.shared;
        let target = shared.free_name(8, |unique| recovered(now, unique))?;
        let backup = configuration.recovery_of(&target);
        shared.note(configuration, ActionKind::BackUp { target })?;
        Ok(ClientReset { original: configuration.clone(), backup, instances: self.clone() })
    }

    /// Records that the user has lost the right to a synced file, so that it is deleted at the
    /// next start.
    ///
    /// # Errors
    /// As [`FileRegistry::require_reset`].
    pub fn require_deletion(&self, configuration: &Configuration) -> Result<()> {
        self.shared.note(configuration, ActionKind::Delete).map(drop)
    }

    /// Does as if the server had asked for a client reset: records it and runs the error handler
    /// of the configuration, on this thread.
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

    /// Carries out what is recorded for a file; tells whether there was a file.
    ///
    /// # Errors
    /// [`InstanceError::NoAction`] if nothing is recorded, [`InstanceError::StillOpen`];
    /// [`crate::FileErrorCause::InUse`] if another process has the file open,
    /// [`crate::FileErrorCause::Exists`] if something else is where the backup goes; otherwise as
    /// the system says. The action stays recorded.
    pub fn execute(&self, configuration: &Configuration) -> Result<bool> {
        let path = configuration.path();
        self.alone(configuration, || {
            let Some(action) = self.shared.pending.get(path) else {
                return Err(InstanceError::NoAction { path: path.to_path_buf() }.into());
            };
            self.shared.carry_out(&action)
        })
    }

    /// Returns what is recorded and still to be done, in the order of paths.
    #[must_use]
    pub fn pending_actions(&self) -> Vec<FileAction> {
        self.shared.pending.all()
    }

    /// Returns what became of the actions that were recorded when this was started.
    #[must_use]
    pub fn executed_at_start(&self) -> &[ActionOutcome] {
        &self.executed
    }
}

impl RegistryCore {
    /// Carries out every action that is recorded. Nothing is open yet.
    pub(super) fn carry_out_all(&self) -> Result<Vec<ActionOutcome>> {
        let actions = self.record.all(&self.opener)?;
        self.pending.begin(actions.iter().map(|action| (action.path.clone(), action.clone())));
        let carry_out = |action: FileAction| {
            let outcome = self.carry_out(&action);
            ActionOutcome { action, outcome }
        };
        Ok(actions.into_iter().map(carry_out).collect())
    }

    /// Carries out an action, and removes it from the record once that is durable.
    fn carry_out(&self, action: &FileAction) -> Result<bool> {
        let existed = match &action.kind {
            ActionKind::Delete => self.opener.delete(&action.path)?,
            ActionKind::BackUp { target } => {
                self.make_directory(target)?;
                self.opener.back_up(&action.path, target, &self.record)?
            }
        };
        let unrecord = || self.record.remove(&self.opener, &action.path);
        self.pending.carried_out((&action.path, action), unrecord)?;
        Ok(existed)
    }

    /// Comes before a file is made: where an action has taken one away and is still recorded, it
    /// would be carried out on the new one.
    pub(super) fn finish(&self, path: &Path) -> Result<()> {
        let Some(action) = self.pending.get(path) else { return Ok(()) };
        let vfs = self.opener.vfs();
        if vfs.exists(path).map_err(|e| Error::io(path, &e))? {
            return Ok(());
        }
        self.carry_out(&action).map(drop)
    }

    /// Renames a file of an older generation of the original, to the target of its recorded backup
    /// or else to a new name. The rename is recorded first, as any action.
    pub(super) fn move_older_generation(&self, configuration: &Configuration) -> Result<PathBuf> {
        let recorded = self.pending.get(configuration.path()).map(|action| action.kind);
        let target = match recorded {
            Some(ActionKind::BackUp { target }) => target,
            Some(ActionKind::Delete) | None => self.free_name(7, older_generation)?,
        };
        let action = self.note(configuration, ActionKind::BackUp { target: target.clone() })?;
        self.carry_out(&action)?;
        Ok(target)
    }

    /// Records an action durably.
    fn note(&self, configuration: &Configuration, kind: ActionKind) -> Result<FileAction> {
        let path = configuration.path().to_path_buf();
        let Some(sync) = configuration.sync() else {
            return Err(InstanceError::NotSynced { path }.into());
        };
        let action = FileAction {
            path,
            kind,
            url: sync.url().to_string(),
            identity: sync.user().identity().unwrap_or_default().to_owned(),
        };
        self.make_directory(&self.record.path)?;
        let record = || self.record.put(&self.opener, &action);
        self.pending.put((&action.path, action.clone()), record)?;
        Ok(action)
    }

    /// Draws a name among the recovered files that nothing has, and nothing recorded will have.
    fn free_name(&self, count: usize, name: impl Fn(&str) -> String) -> Result<PathBuf> {
        let directory = self.files.join(SYNC_DIRECTORY).join(RECOVERED);
        for _ in 0..NAMES_MAX {
            let path = directory.join(name(&unique(&*self.opener.options.random_source, count)?));
            let there = self.opener.vfs().exists(&path).map_err(|e| Error::io(&path, &e))?;
            let taken = ActionKind::BackUp { target: path.clone() };
            if !there && self.pending.all().iter().all(|action| action.kind != taken) {
                return Ok(path);
            }
        }
        Err(Error::RandomSource)
    }

    /// Makes the directory that a file is to be in, durably.
    fn make_directory(&self, file: &Path) -> Result<()> {
        let Some(directory) = file.parent() else { return Ok(()) };
        self.app.make_directory(directory).map_err(|problem| ConfigError::SyncDirectory {
            path: directory.to_path_buf(),
            problem,
        })?;
        // A new directory is a name in the one above.
        for made in directory.ancestors().take_while(|made| *made != self.files) {
            self.opener.vfs().sync_dir(made).map_err(|e| Error::io(made, &e))?;
        }
        Ok(())
    }
}
