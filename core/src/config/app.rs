//! Settings of the app that its configurations share.

use super::callback::Callback;
use super::error::DirectoryProblem;
use super::file_env::{FileEnv, OsFileEnv};
use crate::error::{Error, FileErrorCause, Result};
use crate::schema::Module;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

type ReadAsset = dyn Fn(&str) -> io::Result<Vec<u8>> + Send + Sync;

/// Where new files that begin as an asset get its bytes.
#[derive(Clone)]
pub(crate) struct Assets(Arc<ReadAsset>);

impl Assets {
    pub(crate) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        (self.0)(name)
    }
}

impl fmt::Debug for Assets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Assets(..)")
    }
}

/// Settings of the app that its configurations share. A new builder copies them.
#[derive(Clone, Debug)]
pub struct App {
    pub(super) files: PathBuf,
    pub(super) module: Option<Module>,
    pub(super) error_handler: Callback,
    pub(super) file_env: Arc<dyn FileEnv>,
    assets: Assets,
}

impl App {
    /// Names the default directory of files.
    #[must_use]
    pub fn new(files: impl AsRef<Path>) -> Self {
        Self {
            files: files.as_ref().to_path_buf(),
            module: None,
            error_handler: Callback::named("default", ()),
            file_env: Arc::new(OsFileEnv),
            assets: Assets(Arc::new(|_| Err(io::ErrorKind::NotFound.into()))),
        }
    }

    /// Sets the default module, with the app's own classes.
    #[must_use]
    pub fn default_module(mut self, module: Module) -> Self {
        self.module = Some(module);
        self
    }

    /// Sets the default handler of sync errors.
    #[must_use]
    pub fn error_handler(mut self, handler: Callback) -> Self {
        self.error_handler = handler;
        self
    }

    /// Uses other directories.
    #[must_use]
    pub fn file_env(mut self, file_env: Arc<dyn FileEnv>) -> Self {
        self.file_env = file_env;
        self
    }

    /// Sets what returns the bytes of an asset by its name: a file of the app's, or what was built
    /// into it.
    #[must_use]
    pub fn assets(
        mut self,
        read: impl Fn(&str) -> io::Result<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        self.assets = Assets(Arc::new(read));
        self
    }

    pub(crate) const fn read_assets(&self) -> &Assets {
        &self.assets
    }

    pub(crate) fn canonical_files(&self) -> Result<PathBuf> {
        let canonical = self.file_env.canonical(&self.files);
        canonical.map_err(|e| Error::file(&self.files, FileErrorCause::Io(e.kind())))
    }

    pub(crate) fn make_directory(&self, path: &Path) -> std::result::Result<(), DirectoryProblem> {
        self.file_env.prepare(path)
    }
}
