//! Synced configurations: a user, a URL, and the options that go with them.

use super::app::App;
use super::callback::Callback;
use super::draft::SharedOptions;
use super::error::{ConfigError, DirectoryProblem, ReadOnlyConflict};
use super::local_path::PathParts;
use super::url::ServerUrl;
use super::user::User;
use super::value::{Configuration, StorageMode, SyncPart};
use crate::error::{Error, FileErrorCause, Result};
use crate::schema::Module;
use std::path::{Path, PathBuf};

/// Default directory of synced files, below the app's.
const ROOT: &str = "realm-object-server";

/// Builds a synced configuration.
#[derive(Clone, Debug)]
pub struct SyncBuilder {
    draft: SharedOptions,
    user: User,
    url: ServerUrl,
    url_file_name: String,
    error_handler: Callback,
    trusted_root: Option<String>,
    checks_certificate: bool,
    waits_for_initial_data: bool,
}

impl Configuration {
    /// Begins a synced configuration. The URL may leave out scheme and host, and say `~` for the
    /// user's identity.
    ///
    /// # Errors
    /// [`ConfigError::UserInvalid`] and [`ConfigError::Url`].
    pub fn sync_builder(app: &App, user: &User, url: &str) -> Result<SyncBuilder> {
        if !user.is_valid() {
            return Err(ConfigError::UserInvalid.into());
        }
        let (url, url_file_name) = ServerUrl::relative_to(&user.host, user.is_secure, url)?;
        Ok(SyncBuilder {
            draft: SharedOptions::new(app),
            user: user.clone(),
            url,
            url_file_name,
            error_handler: app.error_handler.clone(),
            trusted_root: None,
            checks_certificate: true,
            waits_for_initial_data: false,
        })
    }
}

impl SyncBuilder {
    /// Names the file, in place of the last segment of the URL. Characters that
    /// some file system forbids in names become `_`.
    ///
    /// # Errors
    /// [`ConfigError::FileNameEmpty`], and [`ConfigError::FileName`] for `.` and `..`.
    pub fn name(mut self, name: &str) -> Result<Self> {
        if matches!(name, "." | "..") {
            return Err(ConfigError::FileName { name: name.to_owned() }.into());
        }
        self.draft.name(name)?;
        Ok(self)
    }

    /// Sets the root directory of synced files, and creates it with its parents.
    ///
    /// # Errors
    /// [`ConfigError::Directory`].
    pub fn directory(mut self, root: impl AsRef<Path>) -> Result<Self> {
        self.draft.directory(root.as_ref())?;
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

    /// Keeps the file in memory only.
    #[must_use]
    pub fn in_memory(mut self) -> Self {
        self.draft.storage = StorageMode::Memory;
        self
    }

    /// Sets the handler of errors.
    #[must_use]
    pub fn error_handler(mut self, handler: Callback) -> Self {
        self.error_handler = handler;
        self
    }

    /// Sets the asset with the root certificate that is trusted.
    ///
    /// # Errors
    /// [`ConfigError::TrustedRootEmpty`].
    pub fn trusted_root(mut self, asset: &str) -> Result<Self> {
        if asset.is_empty() {
            return Err(ConfigError::TrustedRootEmpty.into());
        }
        self.trusted_root = Some(asset.to_owned());
        Ok(self)
    }

    /// Does not check the server's certificate. For tests.
    #[must_use]
    pub fn without_certificate_check(mut self) -> Self {
        self.checks_certificate = false;
        self
    }

    /// Waits for what the server has when the file is opened for the first time.
    #[must_use]
    pub fn wait_for_initial_data(mut self) -> Self {
        self.waits_for_initial_data = true;
        self
    }

    /// Only reads the file, which comes from the server.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.draft.read_only = true;
        self
    }

    /// Builds the configuration, and creates the directory of the file.
    ///
    /// # Errors
    /// [`ConfigError::ReadOnly`], [`ConfigError::IdentityMissing`], [`ConfigError::PathTooLong`],
    /// [`ConfigError::SyncDirectory`]; [`Error::File`] if the path has no canonical form;
    /// [`crate::schema::SchemaError::Definition`].
    pub fn build(self) -> Result<Configuration> {
        self.check_read_only()?;
        let url = self.user.resolve(&self.url)?;
        let (directory, name) = self.local_path(&url)?;
        self.prepare(&directory)?;
        let certificate_path = self.certificate_path(&directory)?;
        let sync = SyncPart {
            user: self.user,
            url,
            error_handler: self.error_handler,
            deletes_on_logout: false,
            checks_certificate: self.checks_certificate,
            trusted_root: self.trusted_root,
            certificate_path,
            waits_for_initial_data: self.waits_for_initial_data,
        };
        Ok(Configuration { sync: Some(sync), ..self.draft.finish(directory, name)? })
    }

    fn check_read_only(&self) -> Result<()> {
        let conflicts = [
            (self.draft.initial_data.is_some(), ReadOnlyConflict::InitialData),
            (!self.waits_for_initial_data, ReadOnlyConflict::NoInitialData),
        ];
        let is_broken = |is_there: bool| self.draft.read_only && is_there;
        match conflicts.into_iter().find(|(is_there, _)| is_broken(*is_there)) {
            Some((_, conflict)) => Err(ConfigError::ReadOnly(conflict).into()),
            None => Ok(()),
        }
    }

    fn local_path(&self, url: &ServerUrl) -> Result<(PathBuf, String)> {
        let given = self.draft.directory.clone();
        let root = given.unwrap_or_else(|| self.draft.app.files.join(ROOT));
        let wanted = PathParts {
            root: &root,
            identity: self.user.identity().unwrap_or("null"),
            url_path: url.path(),
            file_name: self.draft.file_name.as_deref().unwrap_or(&self.url_file_name),
        };
        wanted.derive(&*self.draft.app.file_env)
    }

    fn prepare(&self, directory: &Path) -> Result<()> {
        match self.draft.app.file_env.prepare(directory) {
            // Opening the file reports whether it is writable.
            Ok(()) | Err(DirectoryProblem::NotWritable) => Ok(()),
            Err(problem) => {
                Err(ConfigError::SyncDirectory { path: directory.to_path_buf(), problem }.into())
            }
        }
    }

    fn certificate_path(&self, directory: &Path) -> Result<Option<PathBuf>> {
        let Some(asset) = self.trusted_root.as_ref().filter(|_| self.checks_certificate) else {
            return Ok(None);
        };
        let name = asset.rsplit('/').next().unwrap_or_default();
        let path = directory.join(name);
        let absolute = self.draft.app.file_env.absolute(&path);
        let absolute = absolute.map_err(|e| Error::file(&path, FileErrorCause::Io(e.kind())))?;
        Ok(Some(absolute.components().collect()))
    }
}
