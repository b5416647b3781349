//! Options that the builders of local and of synced configurations share.

use super::app::App;
use super::callback::Callback;
use super::error::ConfigError;
use super::secret::Secret;
use super::value::{Configuration, StorageMode};
use crate::error::{Error, FileErrorCause, Result};
use crate::schema::{Class, Module, Schema};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Options that local and synced configurations share.
#[derive(Clone, Debug)]
pub(super) struct SharedOptions {
    pub(super) app: App,
    /// The directory that was given, without superfluous parts.
    pub(super) directory: Option<PathBuf>,
    pub(super) file_name: Option<String>,
    pub(super) key: Option<Secret>,
    pub(super) schema_version: u64,
    modules: Vec<Module>,
    only_classes: Option<Vec<String>>,
    pub(super) initial_data: Option<Callback>,
    pub(super) storage: StorageMode,
    pub(super) read_only: bool,
}

impl SharedOptions {
    pub(super) fn new(app: &App) -> Self {
        Self {
            app: app.clone(),
            directory: None,
            file_name: None,
            key: None,
            schema_version: 0,
            modules: app.module.iter().cloned().collect(),
            only_classes: None,
            initial_data: None,
            storage: StorageMode::Disk,
            read_only: false,
        }
    }

    pub(super) fn name(&mut self, name: &str) -> Result<()> {
        if name.is_empty() {
            return Err(ConfigError::FileNameEmpty.into());
        }
        self.file_name = Some(name.to_owned());
        Ok(())
    }

    pub(super) fn directory(&mut self, path: &Path) -> Result<()> {
        self.app.file_env.prepare(path).map_err(|problem| -> Error {
            ConfigError::Directory { path: path.to_path_buf(), problem }.into()
        })?;
        self.directory = Some(path.components().collect());
        Ok(())
    }

    pub(super) fn encryption_key(&mut self, bytes: &[u8]) -> Result<()> {
        self.key = Some(Secret::copy(bytes)?);
        Ok(())
    }

    pub(super) fn schema_version(&mut self, version: i64) -> Result<()> {
        self.schema_version =
            u64::try_from(version).map_err(|_| ConfigError::SchemaVersion { version })?;
        Ok(())
    }

    pub(super) fn modules(&mut self, modules: impl IntoIterator<Item = Module>) {
        self.modules = modules.into_iter().collect();
        self.only_classes = None;
    }

    pub(super) fn only_classes(&mut self, names: &[&str]) {
        self.modules = self.app.module.iter().cloned().collect();
        self.only_classes = Some(names.iter().map(|name| (*name).to_owned()).collect());
    }

    /// Builds a local configuration at `directory` and `file_name`.
    pub(super) fn finish(self, directory: PathBuf, file_name: String) -> Result<Configuration> {
        let path = directory.join(&file_name);
        let canonical_path = self
            .app
            .file_env
            .canonical(&path)
            .map_err(|e| Error::file(&path, FileErrorCause::Io(e.kind())))?;
        let is_wanted = |class: &&Class| {
            let only = self.only_classes.as_ref();
            only.is_none_or(|only| only.iter().any(|name| name == class.name()))
        };
        let classes = self.modules.iter().flat_map(Module::classes).filter(is_wanted).cloned();
        let schema = Schema::new(classes)?;
        Ok(Configuration {
            directory: Some(directory),
            file_name: Some(file_name),
            canonical_path,
            key: self.key,
            schema_version: self.schema_version,
            storage: self.storage,
            initial_data: self.initial_data,
            read_only: self.read_only,
            ..Configuration::bare(schema)
        })
    }
}

impl Configuration {
    /// Returns a configuration with classes only.
    pub(super) fn bare(schema: Schema) -> Self {
        Self {
            directory: None,
            file_name: None,
            canonical_path: PathBuf::new(),
            asset_file: None,
            key: None,
            schema_version: 0,
            migration: None,
            delete_if_migration_needed: false,
            storage: StorageMode::Disk,
            schema: Arc::new(schema),
            initial_data: None,
            read_only: false,
            compaction: None,
            is_recovery: false,
            sync: None,
        }
    }
}
