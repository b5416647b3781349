//! The open store, and the ways to open one.

use super::commit::flush_last;
use super::compact::{Compaction, compact, copy};
use super::failure::Failure;
use super::new_file::{TemporaryFile, format};
use super::open::{OpenedFile, open};
use super::options::StoreOptions;
use super::recover::{OpenMode, OpenedAs};
use super::shared::{SharedStore, WriteGuard};
use super::snapshot::StoreSnapshot;
use super::write::WriteTxn;
use super::writer::{Versions, WriterState};
use crate::conc::Arc;
use crate::crypto::Key;
use crate::error::{Error, FileErrorCause, Recovery, Result};
use crate::error_kind::FileErrorKind;
use crate::fault::{self, Fault};
use crate::instance::error::InstanceError;
use crate::page::FORMAT_VERSION;
use crate::unit::CommitId;
use crate::vfs::{MemoryVfs, Vfs};
use std::any::Any;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::{Path, PathBuf};

/// An open store. Clones share it; it is closed when the last clone and the last transaction are
/// dropped, or by [`Store::close`]. Snapshots may outlive it.
///
/// One writer at a time, any number of snapshots on any thread.
#[derive(Clone, Debug)]
pub struct Store {
    shared: Arc<SharedStore>,
    /// This handle waits for the writer lock.
    waits: bool,
}

// Locks are not poisoned, and a panic within a transaction rolls it back.
impl UnwindSafe for Store {}
impl RefUnwindSafe for Store {}

/// Facts about a file and its trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The file.
    pub path: PathBuf,
    /// Version of the file format.
    pub format_version: u32,
    /// Whether the file is encrypted.
    pub encrypted: bool,
    /// The last commit.
    pub commit: CommitId,
    /// Pages of the file, the header and free ones included.
    pub page_count: u64,
    /// Pages that hold nothing.
    pub free_pages: u64,
    /// Pages behind those that hold the commits since the trees were last written.
    pub log_pages: u64,
    /// Length of the file, in bytes.
    pub file_bytes: u64,
    /// The trees that hold entries, by name.
    pub trees: Vec<TreeInfo>,
}

/// Facts about a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeInfo {
    /// Its name.
    pub name: String,
    /// Number of its entries.
    pub len: u64,
}

/// Creates a store in a new file.
fn create(options: &StoreOptions, path: &Path) -> Result<Store> {
    let vfs = &*options.vfs;
    if vfs.exists(path).map_err(|e| Error::io(path, &e))? {
        return Err(Error::file(path, FileErrorCause::Exists));
    }
    let (temporary, file) = TemporaryFile::new(vfs, path)?;
    let mut writer = format(options, path, file, CommitId(1))?;
    if !fault::on(Fault::Cr13) {
        writer.tip.pager.sync()?;
    }
    writer.start_log()?;
    temporary.rename(false).map_err(Failure::into_error)?;
    let opened = OpenedAs { recovery: None, read_only: false };
    Ok(Store::new(SharedStore::new(options.clone(), FORMAT_VERSION, writer, opened)))
}

fn open_store(options: &StoreOptions, path: &Path, mode: OpenMode) -> Result<Store> {
    let OpenedFile { format_version, writer, opened } = open(options, path, mode)?;
    Ok(Store::new(SharedStore::new(options.clone(), format_version, writer, opened)))
}

impl StoreOptions {
    /// Creates a store in a new file.
    ///
    /// # Errors
    /// [`FileErrorKind::Exists`] if the file exists; otherwise if the directory does not exist, or
    /// cannot be written.
    pub fn create(&self, path: impl AsRef<Path>) -> Result<Store> {
        create(self, path.as_ref())
    }

    /// Opens the store in a file and, after a crash, recovers it.
    ///
    /// # Errors
    /// [`Error::File`] with its cause. The file is then as it was before.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Store> {
        open_store(self, path.as_ref(), OpenMode::Write)
    }

    /// Opens the store in a file, or creates one if the file does not exist.
    ///
    /// # Errors
    /// As [`StoreOptions::open`] and [`StoreOptions::create`].
    pub fn open_or_create(&self, path: impl AsRef<Path>) -> Result<Store> {
        let path = path.as_ref();
        let absent = |e: &Error| e.file_kind() == Some(FileErrorKind::NotFound);
        match self.open(path) {
            Err(error) if absent(&error) => match self.create(path) {
                // Another process was faster.
                Err(error) if error.file_kind() == Some(FileErrorKind::Exists) => self.open(path),
                outcome => outcome,
            },
            outcome => outcome,
        }
    }

    /// Opens the store in a file to read. Nothing is written: after a crash, the last commit found
    /// whole is shown, and a later opening for writing may land on the one before.
    ///
    /// # Errors
    /// As [`StoreOptions::open`].
    pub fn open_read_only(&self, path: impl AsRef<Path>) -> Result<Store> {
        open_store(self, path.as_ref(), OpenMode::Read)
    }

    /// Creates a store in memory, which leaves no file.
    ///
    /// # Errors
    /// If the source of random bytes fails.
    pub fn in_memory(&self) -> Result<Store> {
        let vfs = Arc::new(MemoryVfs::default());
        create(&self.clone().vfs(vfs), Path::new("memory"))
    }
}

impl Store {
    pub(crate) fn new(shared: SharedStore) -> Self {
        Self { shared: Arc::new(shared), waits: true }
    }

    /// Returns a handle for threads that must not block: while another writer holds the lock, an
    /// operation that needs it fails with [`InstanceError::BlockingForbidden`].
    pub(crate) fn without_waiting(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), waits: false }
    }

    /// Takes a snapshot of the last commit.
    #[must_use]
    pub fn snapshot(&self) -> StoreSnapshot {
        StoreSnapshot::new(self.shared.versions.published.pin())
    }

    /// Begins the write transaction, after the one before it has ended. Threads that wait begin
    /// theirs in the order in which they called.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], or [`Error::Poisoned`] after a failure that left the disk unknown.
    /// [`InstanceError::InTransaction`] if this thread is in a transaction of this store, and
    /// [`InstanceError::Deadlock`] if it is in a transaction of another store, for whose end the
    /// transaction of this one waits.
    pub fn write(&self) -> Result<WriteTxn> {
        let guard = WriteGuard::new(Arc::clone(&self.shared), self.waits)?;
        Ok(WriteTxn::new(guard))
    }

    /// Begins the write transaction with a snapshot of the commit that it starts from. Snapshots
    /// are durable, so this waits until the commit is; no other transaction commits meanwhile.
    pub(crate) fn write_from(&self) -> Result<(WriteTxn, StoreSnapshot)> {
        let mut guard = WriteGuard::new(Arc::clone(&self.shared), self.waits)?;
        let versions = &self.shared.versions;
        let commit = flush_last(versions, &mut guard)?;
        versions.wait_for(commit, &mut || true)?;
        let snapshot = self.snapshot();
        assert_eq!(snapshot.commit(), commit, "N2: a commit without the writer lock");
        Ok((WriteTxn::new(guard), snapshot))
    }

    /// Makes all commits with [`Durability::None`](crate::Durability::None) durable, and returns
    /// the number of the last commit.
    ///
    /// # Errors
    /// If the disk is full or fails. Readers see the commits as before then, and the call may be
    /// repeated. As for [`WriteTxn::commit`], the store may be [`Error::Poisoned`] instead.
    pub fn sync(&self) -> Result<CommitId> {
        let commit = self.with_writer(flush_last)??;
        self.shared.versions.wait_for(commit, &mut || true).map(|()| commit)
    }

    /// Returns the state that the floor above shares between all handles, made by the first call.
    pub(crate) fn attached<T: Any + Send + Sync + Default>(&self) -> Arc<T> {
        let attached = self.shared.attached.get_or_init(|| Arc::<T>::default());
        // One floor attaches one type.
        Arc::clone(attached).downcast().unwrap_or_default()
    }

    #[cfg(any(test, feature = "inspect"))]
    pub(crate) fn shared(&self) -> &SharedStore {
        &self.shared
    }

    /// Runs `body` with the writer lock held.
    pub(crate) fn with_writer<T>(
        &self,
        body: impl FnOnce(&Versions, &mut WriterState) -> T,
    ) -> Result<T> {
        let mut guard = WriteGuard::new(&*self.shared, self.waits)?;
        Ok(body(&self.shared.versions, &mut guard))
    }

    /// Closes the store and reports what a drop ignores: commits without durability may not have
    /// become durable.
    ///
    /// # Errors
    /// [`InstanceError::StillOpen`] if other handles or a transaction share the store: the last of
    /// them closes it. If the disk is full or fails, the next opening recovers the file.
    /// [`Error::Poisoned`] after a failure that left the disk unknown.
    pub fn close(self) -> Result<()> {
        let (path, count) = (self.shared.path.clone(), Arc::strong_count(&self.shared) - 1);
        match Arc::into_inner(self.shared) {
            Some(shared) => shared.close(),
            None => Err(InstanceError::StillOpen { path, count: count.max(1) }.into()),
        }
    }

    /// Compacts the file: writes its content without the free pages into a new file, which replaces
    /// it. Snapshots keep reading the old file. All commits are made durable first; interrupted
    /// anywhere, one good file remains.
    ///
    /// The file keeps its owner and its permissions. If the store was opened through a symbolic
    /// link, the file that the link leads to is replaced.
    ///
    /// # Errors
    /// [`FileErrorCause::SeveralNames`] if the file has hard links; otherwise if the disk is full
    /// or fails, and the file then stays as it was. If it is unknown which file a crash would
    /// leave, the store is [`Error::Poisoned`] for writers.
    pub fn compact(&self) -> Result<Compaction> {
        self.with_writer(|versions, writer| {
            // Both files have every commit, whichever of them a crash leaves.
            let commit = flush_last(versions, writer)?;
            versions.wait_for(commit, &mut || true)?;
            compact(&self.shared, writer)
        })?
    }

    /// Copies the last commit into a new file, encrypted with `key` or, without one, in plain.
    ///
    /// # Errors
    /// [`crate::FileErrorKind::Exists`] if `target` exists, which stays as it is;
    /// otherwise if the directory does not exist or the disk is full or fails.
    pub fn copy(&self, target: impl AsRef<Path>, key: Option<&Key>) -> Result<()> {
        self.copy_through(&self.shared.options.vfs, target.as_ref(), key)
    }

    /// Copies as [`Store::copy`] does, into another file system: from memory to the disk.
    pub(crate) fn copy_through(
        &self,
        vfs: &Arc<dyn Vfs>,
        target: &Path,
        key: Option<&Key>,
    ) -> Result<()> {
        let mut options = self.shared.options.clone();
        options.key = key.cloned();
        options.vfs = Arc::clone(vfs);
        let state = self.shared.versions.published.pin();
        if fault::on(Fault::Fs36) {
            drop(state);
            return copy(&options, target, &self.shared.versions.published.current());
        }
        copy(&options, target, &state)
    }

    /// Returns the outcome of recovery; `None` if the file had been closed properly.
    #[must_use]
    pub fn recovery(&self) -> Option<Recovery> {
        self.shared.opened.recovery
    }

    /// Returns the path the store was opened with.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Returns facts about the file and its trees.
    ///
    /// # Errors
    /// If the record of free pages cannot be read or is damaged.
    pub fn info(&self) -> Result<Info> {
        let state = self.shared.versions.published.pin();
        let trees = state
            .trees
            .iter()
            .map(|(name, tree)| TreeInfo { name: name.to_string(), len: tree.len });
        Ok(Info {
            path: self.shared.path.clone(),
            format_version: self.shared.format_version,
            encrypted: state.pager.sealer().is_encrypted(),
            commit: state.commit(),
            page_count: state.slot.page_count,
            free_pages: state.load_space()?.writable().count() as u64,
            log_pages: state.log.tail().written().1.0 - state.slot.page_count,
            file_bytes: state.pager.file().len().map_err(|e| state.pager.io(&e))?,
            trees: trees.collect(),
        })
    }
}
