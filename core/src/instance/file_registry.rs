//! The registry's interface for apps: opening, counting, and operations on whole files.

use super::actions::{ActionOutcome, ActionRecord};
use super::error::InstanceError;
use super::file::FileOpener;
use super::handle::Instance;
use super::number::{InstanceKind, ThreadNumber};
use super::pending::PendingActions;
use super::registry::{OpenRequest, Refused};
use super::registry_core::{RegistryCore, RegistryFailure};
use super::threads::{OsThreads, Threads};
use crate::conc::Arc;
use crate::config::{App, Configuration, Durability};
use crate::error::{Error, Result};
use crate::schema::SchemaError;
use crate::txn::StoreOptions;

/// The files that an app has open, each of them once. Clones share it; an app makes one.
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
/// let instances = FileRegistry::open(&app, StoreOptions::new())?;
///
/// let notes = Configuration::builder(&app).name("notes")?.encryption_key(&[7; 64])?.build()?;
/// let instance = instances.open_instance(&notes)?;
/// instance.transact(|txn| {
///     let note = txn.create("Note")?;
///     txn.set(&note, "text", "nothing was lost")
/// })?;
/// assert_eq!(instances.global_count(&notes), 1);
///
/// assert!(instances.delete(&notes).is_err(), "it is still open");
/// instance.close()?;
/// assert!(instances.delete(&notes)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileRegistry {
    pub(super) shared: Arc<RegistryCore>,
    pub(super) executed: Arc<[ActionOutcome]>,
}

impl FileRegistry {
    /// Carries out recorded actions, see [`FileRegistry::executed_at_start`], and opens the
    /// registry without open files. `options` set file system and caches; each configuration sets
    /// its key.
    ///
    /// # Errors
    /// If the record of actions cannot be read, or the app's directory has no canonical path. The
    /// app must not open files then, since recorded actions come first.
    pub fn open(app: &App, options: StoreOptions) -> Result<Self> {
        Self::open_with(app, options, Arc::new(OsThreads))
    }

    /// Opens the registry with another source of thread numbers.
    ///
    /// # Errors
    /// As [`FileRegistry::open`].
    #[doc(hidden)]
    pub fn open_with(app: &App, options: StoreOptions, threads: Arc<dyn Threads>) -> Result<Self> {
        let files = app.canonical_files()?;
        let shared = RegistryCore {
            registry: Arc::default(),
            opener: FileOpener { options, assets: app.read_assets().clone() },
            threads,
            app: app.clone(),
            record: ActionRecord::below(&files),
            files,
            pending: PendingActions::default(),
        };
        let executed = shared.carry_out_all()?;
        Ok(Self { shared: Arc::new(shared), executed: executed.into() })
    }

    /// Opens a file with the classes of its configuration; creates it if it does not exist, unless
    /// it is read-only.
    ///
    /// # Errors
    /// [`InstanceError::OtherConfiguration`] if it is open under one that is not equal;
    /// [`InstanceError::AtWork`] and [`InstanceError::BlockingForbidden`] if it would have to wait
    /// and must not; [`crate::FileErrorCause::IncompatibleSync`] if an older generation of the
    /// original made the synced file, which is then renamed; otherwise as
    /// [`StoreOptions::open_or_create`], [`StoreOptions::open_read_only`] and
    /// [`Database::from_store`](crate::object::Database::from_store). Counts stay as before.
    pub fn open_instance(&self, configuration: &Configuration) -> Result<Instance> {
        self.open_as(configuration, InstanceKind::Typed)
    }

    /// Opens a file with the classes it has.
    ///
    /// # Errors
    /// As [`FileRegistry::open_instance`].
    pub fn open_dynamic(&self, configuration: &Configuration) -> Result<Instance> {
        self.open_as(configuration, InstanceKind::Dynamic)
    }

    fn open_as(&self, configuration: &Configuration, kind: InstanceKind) -> Result<Instance> {
        let shared = &self.shared;
        let (own, caller) = (Arc::new(configuration.clone()), shared.caller());
        let request = OpenRequest {
            path: configuration.path(),
            configuration: &own,
            kind,
            thread: caller.thread,
        };
        let handle =
            shared.registry.open(&request, |open| -> std::result::Result<_, RegistryFailure> {
                let Some(file) = open else {
                    return Ok(Arc::new(shared.open_file(configuration, kind)?));
                };
                if file.is_in_transaction(request.thread) {
                    return Err(Refused::InUse.into());
                }
                file.make_ready(configuration, kind, caller)?;
                Ok(Arc::clone(file))
            });
        let handle = handle.map_err(|failure| failure.with_file(configuration))?;
        Ok(Instance { handle, configuration: own, shared: Arc::clone(shared) })
    }

    /// Returns how many pairs of thread and kind have the file open.
    #[must_use]
    pub fn global_count(&self, configuration: &Configuration) -> usize {
        self.shared.registry.global_count(configuration.path())
    }

    /// Returns whether a thread holds the one lock at this moment; the app's code never runs with
    /// it.
    #[doc(hidden)]
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.shared.registry.is_locked()
    }

    /// Returns how many open handles of the file this thread has.
    #[must_use]
    pub fn local_count(&self, configuration: &Configuration) -> usize {
        self.shared.registry.local_count(configuration.path(), self.shared.thread())
    }

    /// Deletes the file, and returns whether it existed. A backup, by its recovery configuration,
    /// is never deleted, and a file in memory never exists.
    ///
    /// # Errors
    /// [`InstanceError::StillOpen`]; [`InstanceError::AtWork`],
    /// [`InstanceError::BlockingForbidden`]; [`crate::FileErrorCause::InUse`] if another process
    /// has it open; otherwise errors of the system. After an error the file exists, or is deleted,
    /// durably or until a crash.
    pub fn delete(&self, configuration: &Configuration) -> Result<bool> {
        self.alone(configuration, || {
            let in_memory = configuration.durability() == Durability::InMemory;
            if configuration.is_recovery() || in_memory {
                return Ok(false);
            }
            self.shared.opener.delete(configuration.path())
        })
    }

    /// Compacts the file: rewrites it without free pages; creates it if it does not exist. Returns
    /// false, and does nothing, if an instance has it open.
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
        match self.alone(configuration, || self.shared.opener.compact(configuration)) {
            Ok(()) => Ok(true),
            Err(Error::Instance(InstanceError::StillOpen { .. })) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Migrates an existing file to the schema of its configuration, by the configuration's
    /// migration.
    ///
    /// # Errors
    /// [`InstanceError::SyncedMigration`]; [`SchemaError::MigrationNeeded`] without a migration;
    /// [`InstanceError::StillOpen`]; [`crate::FileErrorKind::NotFound`] if it does not exist;
    /// otherwise as [`FileRegistry::open_instance`].
    pub fn migrate(&self, configuration: &Configuration) -> Result<()> {
        let path = configuration.path().to_path_buf();
        if configuration.is_synced() {
            return Err(InstanceError::SyncedMigration { path }.into());
        }
        if configuration.migration().is_none() {
            return Err(SchemaError::MigrationNeeded { path, differences: Vec::new() }.into());
        }
        self.alone(configuration, || self.shared.opener.migrate(configuration))
    }

    /// Forbids this thread to wait for files that others open or close, and for their transactions,
    /// until the guard is dropped. A call that would wait returns
    /// [`InstanceError::BlockingForbidden`].
    #[must_use = "the thread is marked until this is dropped"]
    pub fn forbid_blocking(&self) -> NonBlockingGuard {
        let thread = self.shared.thread();
        self.shared.registry.forbid_blocking_on(thread);
        NonBlockingGuard { shared: Arc::clone(&self.shared), thread }
    }

    /// Runs `body` while the file is closed.
    pub(super) fn alone<T>(
        &self,
        configuration: &Configuration,
        body: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let at = (configuration.path(), self.shared.thread());
        let outcome = self.shared.registry.alone(at, || body().map_err(RegistryFailure::Failed));
        outcome.map_err(|failure| failure.with_file(configuration))
    }
}

/// Marks a thread that must not wait, until dropped.
#[derive(Debug)]
pub struct NonBlockingGuard {
    shared: Arc<RegistryCore>,
    thread: ThreadNumber,
}

impl Drop for NonBlockingGuard {
    fn drop(&mut self) {
        self.shared.registry.allow_blocking_on(self.thread);
    }
}
