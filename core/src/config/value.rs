//! The configuration itself, and what can be asked of it.

use super::callback::{Callback, CompactionPolicy};
use super::secret::Secret;
use super::url::ServerUrl;
use super::user::User;
use crate::crypto::Key;
use crate::schema::{ModeChoice, Schema, SchemaMode};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The storage of committed data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StorageMode {
    /// A file on the disk.
    #[default]
    Disk,
    /// Memory: the data ends with the last instance.
    Memory,
}

/// A file to open and its options. Built by [`super::Builder`] or [`super::SyncBuilder`], or for a
/// backup by [`Configuration::for_recovery`]; never changes.
///
/// ```
/// use fastness::config::{App, Configuration};
///
/// let dir = tempfile::tempdir()?;
/// let app = App::new(dir.path());
/// let notes = Configuration::builder(&app).name("notes")?.encryption_key(&[7; 64])?.build()?;
/// assert!(notes.path().ends_with("notes"));
/// assert!(notes.to_string().contains("key: [length: 64]"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Configuration {
    pub(super) directory: Option<PathBuf>,
    pub(super) file_name: Option<String>,
    pub(super) canonical_path: PathBuf,
    pub(super) asset_file: Option<String>,
    pub(super) key: Option<Secret>,
    pub(super) schema_version: u64,
    pub(super) migration: Option<Callback>,
    pub(super) delete_if_migration_needed: bool,
    pub(super) storage: StorageMode,
    pub(super) schema: Arc<Schema>,
    pub(super) initial_data: Option<Callback>,
    pub(super) read_only: bool,
    pub(super) compaction: Option<CompactionPolicy>,
    pub(super) is_recovery: bool,
    pub(super) sync: Option<SyncPart>,
}

/// Options that only a synced configuration has.
#[derive(Clone, Debug)]
pub struct SyncPart {
    pub(super) user: User,
    pub(super) url: ServerUrl,
    pub(super) error_handler: Callback,
    pub(super) deletes_on_logout: bool,
    pub(super) checks_certificate: bool,
    pub(super) trusted_root: Option<String>,
    pub(super) certificate_path: Option<PathBuf>,
    pub(super) waits_for_initial_data: bool,
}

impl Configuration {
    /// Returns the directory that was asked for; a recovery configuration has none.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }

    /// Returns the file name that was asked for; a recovery configuration has none.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        self.file_name.as_deref()
    }

    /// Returns the path by which the file is known.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.canonical_path
    }

    /// Returns the asset that a new file begins as.
    #[must_use]
    pub fn asset_file(&self) -> Option<&str> {
        self.asset_file.as_deref()
    }

    /// Returns a copy of the key.
    #[must_use]
    pub fn key(&self) -> Option<Key> {
        self.key.as_ref().map(Secret::key)
    }

    /// Returns the schema version.
    #[must_use]
    pub const fn schema_version(&self) -> u64 {
        self.schema_version
    }

    /// Returns the migration.
    #[must_use]
    pub const fn migration(&self) -> Option<&Callback> {
        self.migration.as_ref()
    }

    /// Returns whether a file that would need a migration is deleted instead.
    #[must_use]
    pub const fn deletes_if_migration_needed(&self) -> bool {
        self.delete_if_migration_needed
    }

    /// Returns the storage of committed data.
    #[must_use]
    pub const fn storage(&self) -> StorageMode {
        self.storage
    }

    /// Returns the classes.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Returns what writes the initial data.
    #[must_use]
    pub const fn initial_data(&self) -> Option<&Callback> {
        self.initial_data.as_ref()
    }

    /// Returns whether the file is only read.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Returns when the file is compacted as it is opened.
    #[must_use]
    pub const fn compaction(&self) -> Option<&CompactionPolicy> {
        self.compaction.as_ref()
    }

    /// Returns whether the file is synchronised.
    #[must_use]
    pub const fn is_synced(&self) -> bool {
        self.sync.is_some()
    }

    /// Returns what a synced configuration has beyond a local one.
    #[must_use]
    pub const fn sync(&self) -> Option<&SyncPart> {
        self.sync.as_ref()
    }

    /// Returns whether this opens what a client reset left. No part of the configuration's
    /// identity.
    #[must_use]
    pub const fn is_recovery(&self) -> bool {
        self.is_recovery
    }

    /// Returns how an opening treats a file whose schema differs.
    #[must_use]
    pub const fn schema_mode(&self) -> SchemaMode {
        SchemaMode::choose(ModeChoice {
            read_only: self.read_only,
            delete_if_migration_needed: self.delete_if_migration_needed,
            synced: self.sync.is_some(),
        })
    }
}

impl SyncPart {
    /// Returns the user.
    #[must_use]
    pub const fn user(&self) -> &User {
        &self.user
    }

    /// Returns the URL, with the identity in it.
    #[must_use]
    pub const fn url(&self) -> &ServerUrl {
        &self.url
    }

    /// Returns the handler of errors.
    #[must_use]
    pub const fn error_handler(&self) -> &Callback {
        &self.error_handler
    }

    /// Returns whether a logout deletes the local file; always false.
    #[must_use]
    pub const fn deletes_on_logout(&self) -> bool {
        self.deletes_on_logout
    }

    /// Returns whether the server's certificate is checked.
    #[must_use]
    pub const fn checks_certificate(&self) -> bool {
        self.checks_certificate
    }

    /// Returns the asset with the root certificate that is trusted.
    #[must_use]
    pub fn trusted_root(&self) -> Option<&str> {
        self.trusted_root.as_deref()
    }

    /// Returns the path of that certificate, which exists once the file was opened.
    #[must_use]
    pub fn certificate_path(&self) -> Option<&Path> {
        self.certificate_path.as_deref()
    }

    /// Returns whether a first opening waits for what the server has.
    #[must_use]
    pub const fn waits_for_initial_data(&self) -> bool {
        self.waits_for_initial_data
    }
}
