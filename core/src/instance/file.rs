//! A file that instances share, and opening it by configuration.

use super::error::InstanceError;
use super::number::{InstanceKind, ThreadNumber};
use crate::conc::{Arc, Mutex};
use crate::config::{Assets, Configuration, Durability, FileStats};
use crate::error::{Error, FileErrorCause, Result};
use crate::object::{Database, DatabaseOptions, Migration, Snapshot, Subscription, Transaction};
use crate::txn::{Store, StoreOptions, Temporary};
use crate::unit::PAGE_BYTES;
use crate::vfs::{MemoryVfs, Vfs, write_whole};
use std::path::Path;

/// Settings for opening files that do not depend on their configuration.
#[derive(Clone, Debug)]
pub(super) struct FileOpener {
    pub(super) options: StoreOptions,
    pub(super) assets: Assets,
}

impl FileOpener {
    pub(super) fn vfs(&self) -> &Arc<dyn Vfs> {
        &self.options.vfs
    }

    /// Returns the options of a file's store.
    fn options(&self, configuration: &Configuration) -> StoreOptions {
        let mut options = self.options.clone();
        options.key = configuration.key();
        match configuration.durability() {
            Durability::Full => options,
            Durability::InMemory => options.vfs(Arc::new(MemoryVfs::default())),
        }
    }

    /// Opens the file by its configuration.
    pub(super) fn open(&self, configuration: &Configuration, kind: InstanceKind) -> Result<File> {
        let (path, options) = (configuration.path(), self.options(configuration));
        self.install_assets(configuration)?;
        let store = match configuration.is_read_only() {
            true => options.open_read_only(path)?,
            false => options.open_or_create(path)?,
        };
        if let Some(rule) = configuration.compaction()
            && rule.should_compact(file_stats(&store)?)
        {
            store.compact()?;
        }
        let database =
            with_options(configuration, kind, |options| Database::from_store(store, options))?;
        Ok(File { database, writing: Mutex::new(None) })
    }

    /// Migrates an existing file to the schema of its configuration.
    pub(super) fn migrate(&self, configuration: &Configuration) -> Result<()> {
        let store = self.options(configuration).open(configuration.path())?;
        with_options(configuration, InstanceKind::Typed, |options| {
            Database::from_store(store, options)
        })
        .map(drop)
    }

    /// Installs the asset that the file begins as, and the certificate of a trusted root beside it,
    /// unless they exist.
    fn install_assets(&self, configuration: &Configuration) -> Result<()> {
        let file = configuration.asset_file().map(|asset| (asset, configuration.path()));
        let sync = configuration.sync();
        let certificate = sync.and_then(|sync| sync.trusted_root().zip(sync.certificate_path()));
        for (asset, path) in file.into_iter().chain(certificate) {
            if !self.vfs().exists(path).map_err(|e| Error::io(path, &e))? {
                self.install(asset, path)?;
            }
        }
        Ok(())
    }

    /// Installs an asset as a file, which gets its name once it is whole and durable.
    fn install(&self, asset: &str, path: &Path) -> Result<()> {
        let bytes = self.assets.read(asset);
        let bytes =
            bytes.map_err(|e| Error::file(Path::new(asset), FileErrorCause::Io(e.kind())))?;
        let (temporary, file) = Temporary::new(&**self.vfs(), path)?;
        let written = write_whole(&*file, &bytes, 0).and_then(|()| file.sync());
        written.map_err(|e| Error::io(path, &e))?;
        temporary.place(false).map_err(|(error, _)| error)
    }

    /// Compacts the file; creates it if it does not exist.
    pub(super) fn compact(&self, configuration: &Configuration) -> Result<()> {
        self.install_assets(configuration)?;
        let store = self.options(configuration).open_or_create(configuration.path())?;
        store.compact().map(drop)
    }
}

fn file_stats(store: &Store) -> Result<FileStats> {
    let info = store.info()?;
    let bytes = |pages: u64| pages * PAGE_BYTES as u64;
    Ok(FileStats {
        total_bytes: bytes(info.page_count),
        used_bytes: bytes(info.page_count - info.free_pages),
    })
}

/// Runs `body` with what the configuration wants of a file that is opened as this kind: it runs the
/// app's migration and initial data.
fn with_options<T>(
    configuration: &Configuration,
    kind: InstanceKind,
    body: impl FnOnce(&DatabaseOptions<'_>) -> Result<T>,
) -> Result<T> {
    let migrate = |migration: &mut Migration<'_>| {
        configuration.migration().map_or(Ok(()), |hook| hook.migrate(migration))
    };
    let fill =
        |txn: &mut Transaction| configuration.initial_data().map_or(Ok(()), |hook| hook.fill(txn));
    let mut wanted = DatabaseOptions::dynamic();
    if kind == InstanceKind::Typed {
        wanted =
            DatabaseOptions::schema(configuration.schema().clone(), configuration.schema_version())
                .mode(configuration.schema_mode())
                .initial_data(&fill);
        if configuration.migration().is_some() {
            wanted = wanted.migration(&migrate);
        }
    }
    if configuration.is_synced() {
        wanted = wanted.synced();
    }
    body(&wanted)
}

/// A file that is open.
#[derive(Debug)]
pub(crate) struct File {
    database: Database,
    /// The thread that is in a transaction.
    writing: Mutex<Option<ThreadNumber>>,
}

/// A thread that uses a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) thread: ThreadNumber,
    /// Whether it may wait for another thread's transaction.
    pub(super) waits: bool,
}

impl File {
    /// Returns the database as the thread may use it.
    fn database(&self, caller: Caller) -> Database {
        if caller.waits { self.database.clone() } else { self.database.without_waiting() }
    }

    pub(super) fn store(&self) -> &Store {
        self.database.store()
    }

    pub(super) fn snapshot(&self) -> Result<Snapshot> {
        self.database.snapshot()
    }

    /// Prepares the open file for another kind.
    pub(super) fn make_ready(
        &self,
        configuration: &Configuration,
        kind: InstanceKind,
        caller: Caller,
    ) -> Result<()> {
        with_options(configuration, kind, |options| self.database(caller).bring_about(options))
    }

    /// Begins to observe, on a thread that is in no transaction.
    pub(super) fn subscribe(&self, caller: Caller) -> Result<(Snapshot, Subscription)> {
        self.require_no_transaction(caller.thread)?;
        self.database(caller).subscribe()
    }

    /// Returns whether a thread is in a transaction.
    pub(super) fn is_in_transaction(&self, thread: ThreadNumber) -> bool {
        *self.writing.lock() == Some(thread)
    }

    /// A thread in a transaction would wait for itself.
    fn require_no_transaction(&self, thread: ThreadNumber) -> Result<()> {
        if self.is_in_transaction(thread) {
            let path = self.store().path().to_path_buf();
            return Err(InstanceError::InTransaction { path }.into());
        }
        Ok(())
    }

    /// Runs a transaction, and commits it unless `body` fails.
    pub(super) fn transact<T>(
        &self,
        caller: Caller,
        body: impl FnOnce(&mut Transaction) -> Result<T>,
    ) -> Result<T> {
        self.require_no_transaction(caller.thread)?;
        let mut txn = self.database(caller).write()?;
        *self.writing.lock() = Some(caller.thread);
        // Before the transaction, which lets the next one begin.
        let writing = Writing(self);
        let value = body(&mut txn)?;
        drop(writing);
        txn.commit()?;
        Ok(value)
    }
}

/// A thread is in a transaction; dropped, also by a panic, it is not any more.
struct Writing<'a>(&'a File);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        *self.0.writing.lock() = None;
    }
}
