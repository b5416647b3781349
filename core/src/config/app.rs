//! What configurations take from the app around them.

use super::hook::{Hook, Observables};
use super::places::{OsPlaces, Places};
use crate::schema::Module;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What configurations take from the app around them. A builder copies it when it is made.
#[derive(Clone, Debug)]
pub struct App {
    pub(super) files: PathBuf,
    pub(super) module: Option<Module>,
    pub(super) observables: Option<Observables>,
    pub(super) error_handler: Hook,
    pub(super) places: Arc<dyn Places>,
}

impl App {
    /// Names the directory where files are kept unless told otherwise.
    #[must_use]
    pub fn new(files: impl AsRef<Path>) -> Self {
        Self {
            files: files.as_ref().to_path_buf(),
            module: None,
            observables: None,
            error_handler: Hook::named("default", ()),
            places: Arc::new(OsPlaces),
        }
    }

    /// Sets the module with the app's own classes; configurations use it unless told otherwise.
    #[must_use]
    pub fn default_module(mut self, module: Module) -> Self {
        self.module = Some(module);
        self
    }

    /// Has configurations come with observables unless told otherwise.
    #[must_use]
    pub fn observables(mut self, observables: Observables) -> Self {
        self.observables = Some(observables);
        self
    }

    /// Sets what is told of errors of sync unless a configuration says otherwise.
    #[must_use]
    pub fn error_handler(mut self, handler: Hook) -> Self {
        self.error_handler = handler;
        self
    }

    /// Uses other directories.
    #[must_use]
    pub fn places(mut self, places: Arc<dyn Places>) -> Self {
        self.places = places;
        self
    }
}
