//! The file registry: opens files, counts handles, and runs operations on whole files.

use super::action_store::{ActionOutcome, ActionStore};
use super::error::InstanceError;
use super::file::File;
use super::file_opener::{FileOpener, with_database_options};
use super::handle::Instance;
use super::handle_table::{OpenRequest, Refusal};
use super::holder::{InstanceKind, ThreadNumber};
use super::pending::PendingActions;
use super::shared::{CallError, RegistryState};
use super::threads::{OsThreads, Threads};
use crate::conc::Arc;
use crate::config::{App, Configuration, StorageMode};
use crate::error::{Error, FileErrorCause, Result};
use crate::schema::SchemaError;
use crate::txn::StoreOptions;

/// The open files of an app, each opened once. Clones share one registry; an app opens one.
///
/// ```
/// use fastness::StoreOptions;
/// use fastness::config::{App, Configuration};
/// use fastness::instance::FileRegistry;
/// use fastness::schema::{Class, Module, Property, Scalar};
///
/// let dir = tempfile::tempdir()?;
/// let note = Class::new("Note")?.with(Property::new("text", Scalar::String)?);
/// let app = App::new(dir.path()).default_module(Module::new("notes", [note]));
/// let registry = FileRegistry::open(&app, StoreOptions::new())?;
///
/// let notes = Configuration::builder(&app).name("notes")?.encryption_key(&[7; 64])?.build()?;
/// let instance = registry.open_instance(&notes)?;
/// instance.transact(|txn| {
///     let note = txn.create("Note")?;
///     txn.set(&note, "text", "nothing was lost")
/// })?;
/// assert_eq!(registry.global_count(&notes), 1);
///
/// assert!(registry.delete(&notes).is_err(), "it is still open");
/// instance.close()?;
/// assert!(registry.delete(&notes)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileRegistry {
    pub(super) state: Arc<RegistryState>,
    pub(super) executed: Arc<[ActionOutcome]>,
}

impl FileRegistry {
    /// Opens the registry of an app: executes all recorded actions, see
    /// [`FileRegistry::executed_at_start`]. No file is open then. `options` apply to every file;
    /// the key comes from each configuration.
    ///
    /// # Errors
    /// If the record of actions cannot be read, or the app's directory has no canonical path. No
    /// file may be opened then, because recorded actions come first.
    pub fn open(app: &App, options: StoreOptions) -> Result<Self> {
        Self::open_with(app, options, Arc::new(OsThreads))
    }

    /// Opens the registry with simulated threads.
    ///
    /// # Errors
    /// As [`FileRegistry::open`].
    #[doc(hidden)]
    pub fn open_with(app: &App, options: StoreOptions, threads: Arc<dyn Threads>) -> Result<Self> {
        let files = app.canonical_files()?;
        let state = RegistryState {
            handles: Arc::default(),
            opener: FileOpener::new(options, app.read_assets().clone()),
            threads,
            app: app.clone(),
            action_store: ActionStore::below(&files),
            files,
            pending: PendingActions::default(),
        };
        let executed = state.execute_all()?;
        Ok(Self { state: Arc::new(state), executed: executed.into() })
    }

    /// Opens a file with the classes of its configuration. Creates a missing file, unless the
    /// configuration is read-only.
    ///
    /// # Errors
    /// [`InstanceError::OtherConfiguration`] if the file is open under an unequal configuration;
    /// [`InstanceError::AtWork`] and [`InstanceError::BlockingForbidden`] if the call would wait
    /// and must not; [`FileErrorCause::IncompatibleSync`] if an older generation of the original
    /// wrote a synced file, which was moved; otherwise as [`StoreOptions::open_or_create`],
    /// [`StoreOptions::open_read_only`] and
    /// [`Database::from_store`](crate::object::Database::from_store). The counts are unchanged
    /// then.
    pub fn open_instance(&self, configuration: &Configuration) -> Result<Instance> {
        self.open_as(configuration, InstanceKind::Typed)
    }

    /// Opens a file with the classes of the file.
    ///
    /// # Errors
    /// As [`FileRegistry::open_instance`].
    pub fn open_dynamic(&self, configuration: &Configuration) -> Result<Instance> {
        self.open_as(configuration, InstanceKind::Dynamic)
    }

    fn open_as(&self, configuration: &Configuration, kind: InstanceKind) -> Result<Instance> {
        let state = &self.state;
        let (own, caller) = (Arc::new(configuration.clone()), state.caller());
        let (path, thread) = (configuration.path(), caller.thread);
        let request = OpenRequest { path, configuration: &own, kind, thread };
        let prepare = |open: Option<&Arc<File>>| -> std::result::Result<_, CallError> {
            let Some(file) = open else {
                return Ok(Arc::new(state.open_file(configuration, kind)?));
            };
            if file.is_in_transaction(thread) {
                return Err(Refusal::InTransaction.into());
            }
            with_database_options(configuration, kind, |options| file.apply(options, caller))?;
            Ok(Arc::clone(file))
        };
        let handle = state.handles.open(&request, prepare);
        let handle = handle.map_err(|error| error.naming(configuration))?;
        Ok(Instance { handle, configuration: own, state: Arc::clone(state) })
    }

    /// Returns the number of pairs of thread and kind that have the file open.
    #[must_use]
    pub fn global_count(&self, configuration: &Configuration) -> usize {
        self.state.handles.global_count(configuration.path())
    }

    /// Returns whether a thread holds the registry lock now. Callbacks never run under it.
    #[doc(hidden)]
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.state.handles.is_locked()
    }

    /// Returns the number of this thread's open handles of the file.
    #[must_use]
    pub fn local_count(&self, configuration: &Configuration) -> usize {
        self.state.handles.local_count(configuration.path(), self.state.thread())
    }

    /// Deletes the file, and returns whether it existed. A recovery configuration deletes nothing;
    /// an in-memory file never exists.
    ///
    /// # Errors
    /// [`InstanceError::StillOpen`]; [`InstanceError::AtWork`],
    /// [`InstanceError::BlockingForbidden`]; [`crate::FileErrorCause::InUse`] if another process
    /// has the file open, [`crate::FileErrorCause::OpenHere`] if a snapshot of this one has;
    /// otherwise as the system reports. After an error the file exists, or is durably deleted, or
    /// is deleted until a crash.
    pub fn delete(&self, configuration: &Configuration) -> Result<bool> {
        self.state.exclusively(configuration, || {
            let in_memory = configuration.storage() == StorageMode::Memory;
            if configuration.is_recovery() || in_memory {
                return Ok(false);
            }
            self.state.opener.delete(configuration.path())
        })
    }

    /// Rewrites the file without free pages, or creates a missing file. Returns false, and does
    /// nothing, if an instance has it open.
    ///
    /// # Errors
    /// [`InstanceError::SyncedCompaction`]; [`Error::ReadOnly`]; [`InstanceError::AtWork`],
    /// [`InstanceError::BlockingForbidden`]; otherwise as opening and [`crate::Store::compact`].
    pub fn compact(&self, configuration: &Configuration) -> Result<bool> {
        if configuration.is_synced() {
            let path = configuration.path().to_path_buf();
            return Err(InstanceError::SyncedCompaction { path }.into());
        }
        if configuration.is_read_only() {
            return Err(Error::ReadOnly { path: configuration.path().to_path_buf() });
        }
        let compact = || self.state.opener.compact(configuration);
        match self.state.exclusively(configuration, compact) {
            Ok(()) => Ok(true),
            Err(Error::Instance(InstanceError::StillOpen { .. })) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Migrates an existing file to the schema of its configuration.
    ///
    /// # Errors
    /// [`InstanceError::SyncedMigration`]; [`SchemaError::MigrationNeeded`] without a migration;
    /// [`InstanceError::StillOpen`]; [`crate::FileErrorKind::NotFound`] if the file does not exist;
    /// otherwise as [`FileRegistry::open_instance`].
    pub fn migrate(&self, configuration: &Configuration) -> Result<()> {
        let path = configuration.path().to_path_buf();
        if configuration.is_synced() {
            return Err(InstanceError::SyncedMigration { path }.into());
        }
        if configuration.migration().is_none() {
            return Err(SchemaError::MigrationNeeded { path, differences: Vec::new() }.into());
        }
        self.state.exclusively(configuration, || self.state.opener.migrate(configuration))
    }

    /// Forbids this thread to block, until the guard is dropped: a call that would wait for a file
    /// that another thread opens or closes, or for its transaction, fails with
    /// [`InstanceError::BlockingForbidden`].
    #[must_use = "blocking is forbidden until the guard is dropped"]
    pub fn forbid_blocking(&self) -> NonBlockingGuard {
        let thread = self.state.thread();
        self.state.handles.forbid_blocking(thread);
        NonBlockingGuard { state: Arc::clone(&self.state), thread }
    }
}

impl RegistryState {
    /// Opens a file that no handle has open, after any recorded action for it.
    fn open_file(&self, configuration: &Configuration, kind: InstanceKind) -> Result<File> {
        let path = configuration.path();
        if configuration.storage() == StorageMode::Memory {
            // A file of this name on the disk is another file.
            return self.opener.open(configuration, kind);
        }
        self.complete_interrupted(path)?;
        let may_write = !configuration.is_read_only() || self.opener.is_replicated(configuration);
        let may_move = configuration.is_synced() && may_write;
        if may_move && self.opener.is_realm_file(path)? {
            let moved_to = self.move_older_generation(configuration)?;
            return Err(Error::file(path, FileErrorCause::IncompatibleSync { moved_to }));
        }
        self.opener.open(configuration, kind)
    }
}

/// A thread that must not block.
#[derive(Debug)]
pub struct NonBlockingGuard {
    state: Arc<RegistryState>,
    thread: ThreadNumber,
}

impl Drop for NonBlockingGuard {
    fn drop(&mut self) {
        self.state.handles.allow_blocking(self.thread);
    }
}
