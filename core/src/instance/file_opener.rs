//! The file opener: opens a file in the way of its configuration.

use super::file::File;
use super::holder::InstanceKind;
use crate::conc::Arc;
use crate::config::{Assets, Configuration, FileStats, StorageMode};
use crate::error::{Error, FileErrorCause, Result};
use crate::object::{Database, DatabaseOptions, Migration, Transaction};
use crate::schema::SchemaMode;
use crate::txn::{Failure, Store, StoreOptions, TemporaryFile};
use crate::unit::PAGE_BYTES;
use crate::vfs::{MemoryVfs, Vfs, write_whole};
use std::path::Path;

/// The options that all files share.
#[derive(Clone, Debug)]
pub(super) struct FileOpener {
    pub(super) options: StoreOptions,
    pub(super) assets: Assets,
    #[cfg(feature = "sync")]
    pub(super) replicas: Arc<super::replica_hooks::Replicas>,
}

impl FileOpener {
    pub(super) fn new(options: StoreOptions, assets: Assets) -> Self {
        Self {
            options,
            assets,
            #[cfg(feature = "sync")]
            replicas: Arc::default(),
        }
    }

    pub(super) fn vfs(&self) -> &Arc<dyn Vfs> {
        &self.options.vfs
    }

    /// Returns the options of a configuration's store.
    fn options(&self, configuration: &Configuration) -> StoreOptions {
        let mut options = self.options.clone();
        options.key = configuration.key();
        match configuration.storage() {
            StorageMode::Disk => options,
            StorageMode::Memory => options.vfs(Arc::new(MemoryVfs::default())),
        }
    }

    /// Opens the file in the way of its configuration.
    pub(super) fn open(&self, configuration: &Configuration, kind: InstanceKind) -> Result<File> {
        let (path, options) = (configuration.path(), self.options(configuration));
        self.install_assets(configuration)?;
        // Sync writes into a file that the app only reads.
        let is_only_read = configuration.is_read_only() && !self.is_replicated(configuration);
        let store = match is_only_read {
            true => options.open_read_only(path)?,
            false => options.open_or_create(path)?,
        };
        if let Some(policy) = configuration.compaction()
            && policy.should_compact(file_stats(&store)?)
        {
            store.compact()?;
        }
        let open = |options: &DatabaseOptions<'_>| {
            Database::from_store(store, &self.replicated(configuration, options))
        };
        Ok(File::new(with_database_options(configuration, kind, open)?))
    }

    /// Tells whether sync writes into a file.
    #[cfg(feature = "sync")]
    pub(super) fn is_replicated(&self, configuration: &Configuration) -> bool {
        configuration.is_synced() && self.replicas.0.lock().is_some()
    }

    #[cfg(not(feature = "sync"))]
    #[expect(clippy::unused_self, reason = "with sync it has the hooks")]
    pub(super) const fn is_replicated(&self, _: &Configuration) -> bool {
        false
    }

    /// Adds the hook of a synced file.
    #[cfg(feature = "sync")]
    fn replicated<'a>(
        &self,
        configuration: &Configuration,
        options: &DatabaseOptions<'a>,
    ) -> DatabaseOptions<'a> {
        let hook = configuration.sync().and_then(|_| self.replicas.hook(configuration));
        hook.map_or_else(|| options.clone(), |hook| options.clone().replica_hook(hook))
    }

    #[cfg(not(feature = "sync"))]
    #[expect(clippy::unused_self, reason = "with sync it has the hooks")]
    fn replicated<'a>(
        &self,
        _: &Configuration,
        options: &DatabaseOptions<'a>,
    ) -> DatabaseOptions<'a> {
        options.clone()
    }

    /// Migrates an existing file to the schema of its configuration.
    pub(super) fn migrate(&self, configuration: &Configuration) -> Result<()> {
        let store = self.options(configuration).open(configuration.path())?;
        let open = |options: &DatabaseOptions<'_>| Database::from_store(store, options);
        with_database_options(configuration, InstanceKind::Typed, open).map(drop)
    }

    /// Installs the asset of a file and the certificate of a trusted root, unless they exist.
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

    /// Writes the bytes of an asset into a new file. The file gets its name when they are durable.
    fn install(&self, asset: &str, path: &Path) -> Result<()> {
        let bytes = self.assets.read(asset);
        let bytes =
            bytes.map_err(|e| Error::file(Path::new(asset), FileErrorCause::Io(e.kind())))?;
        let (temporary, file) = TemporaryFile::new(&**self.vfs(), path)?;
        let written = write_whole(&*file, &bytes, 0).and_then(|()| file.sync());
        written.map_err(|e| Error::io(path, &e))?;
        temporary.rename(false).map_err(Failure::into_error)
    }

    /// Compacts a file, or creates a missing one.
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

/// Calls `body` with the database options of an opening; `body` runs the app's migration and
/// initial data.
pub(super) fn with_database_options<T>(
    configuration: &Configuration,
    kind: InstanceKind,
    body: impl FnOnce(&DatabaseOptions<'_>) -> Result<T>,
) -> Result<T> {
    let migrate = |migration: &mut Migration<'_>| {
        configuration.migration().map_or(Ok(()), |callback| callback.migrate(migration))
    };
    let fill = |txn: &mut Transaction| {
        configuration.initial_data().map_or(Ok(()), |callback| callback.fill(txn))
    };
    let mut options = DatabaseOptions::dynamic();
    if kind == InstanceKind::Typed {
        let (schema, version) = (configuration.schema().clone(), configuration.schema_version());
        // The version of a synced file is that of the app that wrote it, if one did.
        let mode = match configuration.is_synced() && configuration.is_read_only() {
            true => SchemaMode::ReadOnly,
            false => configuration.schema_mode(),
        };
        options = DatabaseOptions::schema(schema, version).mode(mode).initial_data(&fill);
        if configuration.migration().is_some() {
            options = options.migration(&migrate);
        }
    }
    if configuration.is_synced() {
        options = options.synced();
    }
    body(&options)
}
