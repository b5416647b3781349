//! Configurations that open what a client reset left behind, by its path alone.

use super::app::App;
use super::secret::Secret;
use super::value::Configuration;
use crate::error::Result;
use crate::schema::{Module, Schema};
use std::path::Path;

impl Configuration {
    /// Opens a plain backup to read, with the classes of the default module.
    ///
    /// ```
    /// use fastness::config::{App, Configuration};
    ///
    /// let app = App::new("files");
    /// let backup = Configuration::for_recovery(&app, "files/backup")?;
    /// assert!(backup.is_read_only());
    /// # Ok::<(), fastness::Error>(())
    /// ```
    ///
    /// A class is no module, so it cannot be given as one:
    ///
    /// ```compile_fail
    /// use fastness::config::{App, Configuration};
    /// use fastness::schema::Class;
    ///
    /// let class = Class::new("Note").unwrap();
    /// let app = App::new("files");
    /// let backup = Configuration::for_recovery_with(&app, "files/backup", None, &[class]);
    /// ```
    ///
    /// # Errors
    /// [`crate::schema::SchemaError::Definition`] if the default module is wrong.
    pub fn for_recovery(app: &App, path: impl AsRef<Path>) -> Result<Self> {
        Self::for_recovery_with(app, path, None, &[])
    }

    /// Opens a backup to read, with a key and the classes of some modules; without modules, those
    /// of the default module. The path is taken as it is.
    ///
    /// # Errors
    /// [`crate::ArgumentError::EncryptionKeyLength`] and
    /// [`crate::schema::SchemaError::Definition`].
    pub fn for_recovery_with(
        app: &App,
        path: impl AsRef<Path>,
        key: Option<&[u8]>,
        modules: &[Module],
    ) -> Result<Self> {
        let key = key.map(Secret::copy).transpose()?;
        let schema = match modules {
            [] => Schema::of_modules(&app.module)?,
            modules => Schema::of_modules(modules)?,
        };
        Ok(Self::recovery(path.as_ref(), key, schema))
    }

    /// Opens a backup to read, with a schema at hand: that of the configuration whose file was
    /// reset.
    ///
    /// # Errors
    /// [`crate::ArgumentError::EncryptionKeyLength`].
    pub fn for_recovery_schema(
        path: impl AsRef<Path>,
        key: Option<&[u8]>,
        schema: &Schema,
    ) -> Result<Self> {
        let key = key.map(Secret::copy).transpose()?;
        Ok(Self::recovery(path.as_ref(), key, schema.clone()))
    }

    /// Returns what opens a backup of the file of this configuration: its key and its classes.
    #[must_use]
    pub fn recovery_of(&self, path: impl AsRef<Path>) -> Self {
        let mut recovery = Self::recovery(path.as_ref(), self.key.clone(), Schema::default());
        recovery.schema = self.schema.clone();
        recovery
    }

    fn recovery(path: &Path, key: Option<Secret>, schema: Schema) -> Self {
        Self {
            canonical_path: path.to_path_buf(),
            key,
            read_only: true,
            is_recovery: true,
            ..Self::bare(schema)
        }
    }
}
