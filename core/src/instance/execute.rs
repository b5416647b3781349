//! Recording and executing file actions.

use super::action_store::{ActionKind, ActionOutcome, FileAction};
use super::backup_name::{older_name, reset_name, unique};
use super::error::InstanceError;
use super::shared::RegistryState;
use crate::config::Configuration;
use crate::config::error::ConfigError;
use crate::error::{Error, Result};
use crate::time::Time;
use std::path::{Path, PathBuf};

/// Attempts to draw a random name that is unused.
const DRAWS_MAX: usize = 16;

impl RegistryState {
    /// Executes every recorded action. No file is open yet.
    pub(super) fn execute_all(&self) -> Result<Vec<ActionOutcome>> {
        let actions = self.action_store.all(&self.opener)?;
        self.pending.load(actions.iter().map(|action| (action.path.clone(), action.clone())));
        let execute = |action: FileAction| {
            let outcome = self.execute(&action);
            ActionOutcome { action, outcome }
        };
        Ok(actions.into_iter().map(execute).collect())
    }

    /// Executes an action, and removes its record once the effect is durable.
    pub(super) fn execute(&self, action: &FileAction) -> Result<bool> {
        let existed = match &action.kind {
            ActionKind::Delete => self.opener.delete(&action.path)?,
            ActionKind::BackUp { target } => {
                self.create_parent(target)?;
                self.opener.back_up(&action.path, target, &self.action_store)?
            }
        };
        let unrecord = || self.action_store.remove(&self.opener, &action.path);
        self.pending.remove_executed(&action.path, action, unrecord)?;
        Ok(existed)
    }

    /// Executes the recorded action of a path that has no file, before a file is created there.
    /// Otherwise the action would be executed on the new file.
    pub(super) fn complete_interrupted(&self, path: &Path) -> Result<()> {
        let Some(action) = self.pending.get(path) else { return Ok(()) };
        let vfs = self.opener.vfs();
        if vfs.exists(path).map_err(|e| Error::io(path, &e))? {
            return Ok(());
        }
        self.execute(&action).map(drop)
    }

    /// Moves a file of an older generation to the target of its recorded backup, else to a path of
    /// its own. The move is recorded first, as any action.
    pub(super) fn move_older_generation(&self, configuration: &Configuration) -> Result<PathBuf> {
        let recorded = self.pending.get(configuration.path()).map(|action| action.kind);
        let target = match recorded {
            Some(ActionKind::BackUp { target }) => target,
            Some(ActionKind::Delete) | None => self.draw_backup_path(7, older_name)?,
        };
        let action = self.record(configuration, ActionKind::BackUp { target: target.clone() })?;
        self.execute(&action)?;
        Ok(target)
    }

    /// Records an action durably.
    pub(super) fn record(
        &self,
        configuration: &Configuration,
        kind: ActionKind,
    ) -> Result<FileAction> {
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
        self.create_parent(&self.action_store.path)?;
        let record = || self.action_store.put(&self.opener, &action);
        self.pending.put(&action.path, action.clone(), record)?;
        Ok(action)
    }

    /// Draws a random backup path that neither a file nor a recorded action uses.
    pub(super) fn draw_backup_path(
        &self,
        count: usize,
        name: impl Fn(&str) -> String,
    ) -> Result<PathBuf> {
        for _ in 0..DRAWS_MAX {
            let suffix = unique(&*self.opener.options.random_source, count)?;
            let path = self.action_store.recovered.join(name(&suffix));
            let exists = self.opener.vfs().exists(&path).map_err(|e| Error::io(&path, &e))?;
            let taken = ActionKind::BackUp { target: path.clone() };
            if !exists && self.pending.all().iter().all(|action| action.kind != taken) {
                return Ok(path);
            }
        }
        Err(Error::RandomSource)
    }

    /// Draws the path of a client reset's backup, and creates its directory.
    pub(super) fn draw_backup(&self, now: Time) -> Result<PathBuf> {
        let path = self.draw_backup_path(8, |suffix| reset_name(now, suffix))?;
        self.create_parent(&path)?;
        Ok(path)
    }

    /// Creates the directory of a file, durably.
    fn create_parent(&self, file: &Path) -> Result<()> {
        let Some(directory) = file.parent() else { return Ok(()) };
        self.app.make_directory(directory).map_err(|problem| ConfigError::SyncDirectory {
            path: directory.to_path_buf(),
            problem,
        })?;
        // A new directory is a name in its parent.
        for created in directory.ancestors().take_while(|created| *created != self.files) {
            self.opener.vfs().sync_dir(created).map_err(|e| Error::io(created, &e))?;
        }
        Ok(())
    }
}
