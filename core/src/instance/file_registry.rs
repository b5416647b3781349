//! The registry as an app sees it: opening, counting, and what is done to files as a whole.

use super::actions::{ActionOutcome, FileAction, Record};
use super::error::InstanceError;
use super::execute::record_path;
use super::file::{Caller, File, Ground};
use super::handle::Instance;
use super::number::{InstanceKind, ThreadNumber};
use super::pending::Pending;
use super::registry::{Opener, Refused, Registry};
use super::threads::{OsThreads, Threads};
use crate::conc::Arc;
use crate::config::{App, Configuration, Durability};
use crate::error::{Error, FileErrorCause, Result};
use crate::schema::SchemaError;
use crate::txn::StoreOptions;
use std::path::PathBuf;

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
    pub(super) shared: Arc<Shared>,
    pub(super) executed: Arc<[ActionOutcome]>,
}

/// What the clones and all handles share.
#[derive(Debug)]
pub(super) struct Shared {
    registry: Arc<Registry<Configuration, File>>,
    pub(super) ground: Ground,
    threads: Arc<dyn Threads>,
    pub(super) app: App,
    /// The directory for files, without links.
    pub(super) files: PathBuf,
    pub(super) record: Record,
    /// What is recorded.
    pub(super) pending: Pending<FileAction>,
}

impl Shared {
    pub(super) fn thread(&self) -> ThreadNumber {
        self.threads.current()
    }

    /// Returns this thread, and whether it may wait.
    pub(super) fn caller(&self) -> Caller {
        let thread = self.thread();
        Caller { thread, waits: !self.registry.is_ui(thread) }
    }

    /// Notes that a thread is in a transaction, until what is returned is dropped.
    pub(super) fn work(&self, thread: ThreadNumber) -> impl Drop {
        self.registry.work(thread)
    }

    /// Opens a file that nobody has open, once nothing recorded stands in the way.
    fn open_file(&self, configuration: &Configuration, kind: InstanceKind) -> Result<File> {
        let path = configuration.path();
        if configuration.durability() == Durability::InMemory {
            // What the disk has under this name is another file.
            return self.ground.open(configuration, kind);
        }
        self.finish(path)?;
        let can_be_replaced = configuration.is_synced() && !configuration.is_read_only();
        if can_be_replaced && self.ground.is_of_realm(path)? {
            let moved_to = self.move_aside(configuration)?;
            return Err(Error::file(path, FileErrorCause::IncompatibleSync { moved_to }));
        }
        self.ground.open(configuration, kind)
    }
}

/// Why something failed, before the file is named.
pub(super) enum Failure {
    Refused(Refused<Configuration>),
    Failed(Error),
}

impl From<Refused<Configuration>> for Failure {
    fn from(refused: Refused<Configuration>) -> Self {
        Self::Refused(refused)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Failure {
    /// Names the file, and what was asked for.
    pub(super) fn tell(self, configuration: &Configuration) -> Error {
        let path = configuration.path().to_path_buf();
        let refused = match self {
            Self::Failed(error) => return error,
            Self::Refused(refused) => refused,
        };
        Error::Instance(match refused {
            Refused::Configuration(open) => {
                let difference = configuration.difference_from(&open);
                InstanceError::OtherConfiguration { path, difference }
            }
            Refused::Open(count) => InstanceError::StillOpen { path, count },
            Refused::AtWork => InstanceError::AtWork { path },
            Refused::UiThread => InstanceError::BlockingForbidden { path },
            Refused::Closed => InstanceError::Closed { path },
            Refused::OtherThread => InstanceError::OtherThread { path },
            Refused::InUse => InstanceError::InTransaction { path },
        })
    }
}

impl FileRegistry {
    /// Starts: carries out what is recorded for files, see [`FileRegistry::executed_at_start`]; then
    /// nothing is open. `options` say how files are reached and cached; their key is that of each
    /// configuration.
    ///
    /// # Errors
    /// If the record of what is to be done cannot be read, or the app's directory has no canonical
    /// path. Nothing must be opened then: what is recorded comes first.
    pub fn open(app: &App, options: StoreOptions) -> Result<Self> {
        Self::open_with(app, options, Arc::new(OsThreads))
    }

    /// Starts with threads that somebody else tells apart.
    ///
    /// # Errors
    /// As [`FileRegistry::open`].
    #[doc(hidden)]
    pub fn open_with(app: &App, options: StoreOptions, threads: Arc<dyn Threads>) -> Result<Self> {
        let files = app.canonical_files()?;
        let shared = Shared {
            registry: Arc::default(),
            ground: Ground { options, assets: app.read_assets().clone() },
            threads,
            app: app.clone(),
            record: Record { path: record_path(&files) },
            files,
            pending: Pending::default(),
        };
        let executed = shared.carry_out_all()?;
        Ok(Self { shared: Arc::new(shared), executed: executed.into() })
    }

    /// Opens a file with the classes of its configuration; makes it if it is not there, unless it
    /// is only read.
    ///
    /// # Errors
    /// [`InstanceError::OtherConfiguration`] if it is open under one that is not equal;
    /// [`InstanceError::AtWork`] and [`InstanceError::BlockingForbidden`] if it would have to wait and must
    /// not; [`FileErrorCause::IncompatibleSync`] if a synced file was made by an older generation
    /// of the original, and was moved out of the way; otherwise as [`StoreOptions::open_or_create`],
    /// [`StoreOptions::open_read_only`] and [`Database::from_store`](crate::object::Database::from_store). Counts
    /// are then as before.
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
        let opener =
            Opener { path: configuration.path(), configuration: &own, kind, thread: caller.thread };
        let held = shared.registry.open(&opener, |open| -> std::result::Result<_, Failure> {
            let Some(file) = open else {
                return Ok(Arc::new(shared.open_file(configuration, kind)?));
            };
            if file.is_in_transaction(opener.thread) {
                return Err(Refused::InUse.into());
            }
            file.make_ready(configuration, kind, caller)?;
            Ok(Arc::clone(file))
        });
        let held = held.map_err(|failure| failure.tell(configuration))?;
        Ok(Instance { held, configuration: own, shared: Arc::clone(shared) })
    }

    /// Returns how many pairs of thread and kind have the file open.
    #[must_use]
    pub fn global_count(&self, configuration: &Configuration) -> usize {
        self.shared.registry.global_count(configuration.path())
    }

    /// Tells whether somebody has the one lock at this moment; the app's code never runs with it.
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

    /// Deletes the file, and tells whether it was there. A backup, by its recovery configuration,
    /// is never deleted, and a file in memory is never there.
    ///
    /// # Errors
    /// [`InstanceError::StillOpen`]; [`InstanceError::AtWork`], [`InstanceError::BlockingForbidden`];
    /// [`crate::FileErrorCause::InUse`] if another process has it open; otherwise as the system
    /// says. After an error the file is there, or durably gone, or gone until a crash.
    pub fn delete(&self, configuration: &Configuration) -> Result<bool> {
        self.alone(configuration, || {
            let in_memory = configuration.durability() == Durability::InMemory;
            if configuration.is_recovery() || in_memory {
                return Ok(false);
            }
            self.shared.ground.delete(configuration.path())
        })
    }

    /// Writes what the file holds anew, without the free pages; makes it if it is not there.
    /// Returns false, and does nothing, if an instance has it open.
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
        match self.alone(configuration, || self.shared.ground.compact(configuration)) {
            Ok(()) => Ok(true),
            Err(Error::Instance(InstanceError::StillOpen { .. })) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Brings a file that is there up to the schema of its configuration, by the configuration's
    /// migration.
    ///
    /// # Errors
    /// [`InstanceError::SyncedMigration`]; [`SchemaError::MigrationNeeded`] without a migration;
    /// [`InstanceError::StillOpen`]; [`crate::FileErrorKind::NotFound`] if it is not there;
    /// otherwise as [`FileRegistry::open_instance`].
    pub fn migrate(&self, configuration: &Configuration) -> Result<()> {
        let path = configuration.path().to_path_buf();
        if configuration.is_synced() {
            return Err(InstanceError::SyncedMigration { path }.into());
        }
        if configuration.migration().is_none() {
            return Err(SchemaError::MigrationNeeded { path, differences: Vec::new() }.into());
        }
        self.alone(configuration, || self.shared.ground.migrate(configuration))
    }

    /// Marks this thread as one that must not wait, neither for files that others open or close nor
    /// for their transactions, until the mark is dropped. What would wait is
    /// [`InstanceError::BlockingForbidden`].
    #[must_use = "the thread is marked until this is dropped"]
    pub fn forbid_blocking(&self) -> NonBlockingGuard {
        let thread = self.shared.thread();
        self.shared.registry.mark_ui(thread);
        NonBlockingGuard { shared: Arc::clone(&self.shared), thread }
    }

    /// Does something to a file that nobody has open.
    pub(super) fn alone<T>(
        &self,
        configuration: &Configuration,
        body: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let at = (configuration.path(), self.shared.thread());
        let outcome = self.shared.registry.alone(at, || body().map_err(Failure::Failed));
        outcome.map_err(|failure| failure.tell(configuration))
    }
}

/// The mark of a thread that must not wait.
#[derive(Debug)]
pub struct NonBlockingGuard {
    shared: Arc<Shared>,
    thread: ThreadNumber,
}

impl Drop for NonBlockingGuard {
    fn drop(&mut self) {
        self.shared.registry.unmark_ui(self.thread);
    }
}
