//! Local configurations, option by option; what cannot be is refused at once (O4).

use super::app::App;
use super::callback::{Callback, CompactionPolicy};
use super::draft::SharedOptions;
use super::error::{ConfigError, ReadOnlyConflict};
use super::value::{Configuration, StorageMode};
use crate::error::Result;
use crate::schema::Module;
use std::path::Path;

/// Default name of the file.
const FILE_NAME: &str = "default.realm";

/// Builds a local configuration.
#[derive(Clone, Debug)]
pub struct Builder {
    draft: SharedOptions,
    migration: Option<Callback>,
    delete_if_migration_needed: bool,
    asset_file: Option<String>,
    compaction: Option<CompactionPolicy>,
}

impl Configuration {
    /// Begins a local configuration: `default.realm` in the app's directory, with the classes of
    /// the default module.
    #[must_use]
    pub fn builder(app: &App) -> Builder {
        Builder {
            draft: SharedOptions::new(app),
            migration: None,
            delete_if_migration_needed: false,
            asset_file: None,
            compaction: None,
        }
    }
}

impl Builder {
    /// Sets the file name. Only an empty name is refused; separators lead into directories.
    ///
    /// # Errors
    /// [`ConfigError::FileNameEmpty`].
    pub fn name(mut self, name: &str) -> Result<Self> {
        self.draft.name(name)?;
        Ok(self)
    }

    /// Sets the directory, and creates it with its parents.
    ///
    /// # Errors
    /// [`ConfigError::Directory`].
    pub fn directory(mut self, path: impl AsRef<Path>) -> Result<Self> {
        self.draft.directory(path.as_ref())?;
        Ok(self)
    }

    /// Encrypts the file. The bytes are copied; wipe yours.
    ///
    /// # Errors
    /// [`crate::ArgumentError::EncryptionKeyLength`] unless there are 64.
    pub fn encryption_key(mut self, bytes: &[u8]) -> Result<Self> {
        self.draft.encryption_key(bytes)?;
        Ok(self)
    }

    /// Sets the schema version.
    ///
    /// # Errors
    /// [`ConfigError::SchemaVersion`] below 0.
    pub fn schema_version(mut self, version: i64) -> Result<Self> {
        self.draft.schema_version(version)?;
        Ok(self)
    }

    /// Sets the migration of an older file.
    #[must_use]
    pub fn migration(mut self, migration: Callback) -> Self {
        self.migration = Some(migration);
        self
    }

    /// Deletes a file that would need a migration.
    ///
    /// # Errors
    /// [`ConfigError::AssetFileAndDeletion`].
    pub fn delete_if_migration_needed(mut self) -> Result<Self> {
        if self.asset_file.is_some() {
            return Err(ConfigError::AssetFileAndDeletion.into());
        }
        self.delete_if_migration_needed = true;
        Ok(self)
    }

    /// Keeps the file in memory only.
    ///
    /// # Errors
    /// [`ConfigError::AssetFileAndInMemory`].
    pub fn in_memory(mut self) -> Result<Self> {
        if self.asset_file.is_some() {
            return Err(ConfigError::AssetFileAndInMemory.into());
        }
        self.draft.storage = StorageMode::Memory;
        Ok(self)
    }

    /// Sets the modules in place of all before.
    #[must_use]
    pub fn modules(mut self, modules: impl IntoIterator<Item = Module>) -> Self {
        self.draft.modules(modules);
        self
    }

    /// Restricts the default module to these classes. For tests.
    #[must_use]
    pub fn only_classes(mut self, names: &[&str]) -> Self {
        self.draft.only_classes(names);
        self
    }

    /// Sets the callback that writes the initial data of a new file; `None` removes it.
    #[must_use]
    pub fn initial_data(mut self, initial_data: impl Into<Option<Callback>>) -> Self {
        self.draft.initial_data = initial_data.into();
        self
    }

    /// Sets the asset that a new file begins as.
    ///
    /// # Errors
    /// [`ConfigError::AssetFileEmpty`], [`ConfigError::AssetFileAndInMemory`],
    /// [`ConfigError::AssetFileAndDeletion`].
    pub fn asset_file(mut self, path: &str) -> Result<Self> {
        if path.is_empty() {
            return Err(ConfigError::AssetFileEmpty.into());
        }
        if self.draft.storage == StorageMode::Memory {
            return Err(ConfigError::AssetFileAndInMemory.into());
        }
        if self.delete_if_migration_needed {
            return Err(ConfigError::AssetFileAndDeletion.into());
        }
        self.asset_file = Some(path.to_owned());
        Ok(self)
    }

    /// Only reads the file, which comes from an asset.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.draft.read_only = true;
        self
    }

    /// Compacts the file as it is opened, when the rule says so.
    #[must_use]
    pub fn compact_on_launch(mut self, rule: CompactionPolicy) -> Self {
        self.compaction = Some(rule);
        self
    }

    /// Builds the configuration.
    ///
    /// # Errors
    /// [`ConfigError::ReadOnly`]; [`crate::Error::File`] if the path has no canonical form;
    /// [`crate::schema::SchemaError::Definition`].
    pub fn build(self) -> Result<Configuration> {
        if self.draft.read_only {
            self.check_read_only()?;
        }
        let given = self.draft.directory.clone();
        let directory = given.unwrap_or_else(|| self.draft.app.files.components().collect());
        let name = self.draft.file_name.clone().unwrap_or_else(|| FILE_NAME.to_owned());
        Ok(Configuration {
            asset_file: self.asset_file,
            migration: self.migration,
            delete_if_migration_needed: self.delete_if_migration_needed,
            compaction: self.compaction,
            ..self.draft.finish(directory, name)?
        })
    }

    fn check_read_only(&self) -> Result<()> {
        let conflicts = [
            (self.draft.initial_data.is_some(), ReadOnlyConflict::InitialData),
            (self.asset_file.is_none(), ReadOnlyConflict::NoAssetFile),
            (self.delete_if_migration_needed, ReadOnlyConflict::Deletion),
            (self.compaction.is_some(), ReadOnlyConflict::Compaction),
        ];
        match conflicts.into_iter().find(|(is_there, _)| *is_there) {
            Some((_, conflict)) => Err(ConfigError::ReadOnly(conflict).into()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{App, Configuration};
    use crate::config::error::{ConfigError, ReadOnlyConflict};
    use crate::error::Error;

    /// The options refuse each other before, so that only here an asset meets a deletion.
    #[test]
    fn read_only_with_deletion_is_refused_before_compaction() {
        let mut builder = Configuration::builder(&App::new("files")).read_only();
        builder = builder.asset_file("seed").unwrap();
        builder.delete_if_migration_needed = true;
        let builder = builder.compact_on_launch(super::CompactionPolicy::Default);
        let error = builder.build().unwrap_err();
        assert_eq!(error, Error::Config(ConfigError::ReadOnly(ReadOnlyConflict::Deletion)));
    }
}
