//! The open store.

use super::close::close;
use super::commit::await_last;
use super::compact;
use super::options::StoreOptions;
use super::recover::OpenedAs;
use super::snapshot::Snapshot;
use super::state::{Versions, Writer};
use super::turn::Turn;
use super::write::WriteTxn;
use crate::conc::Arc;
use crate::crypto::Key;
use crate::error::{Error, Recovery, Result};
use crate::instance::error::InstanceError;
use crate::unit::CommitId;
use crate::vfs::Vfs;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

/// An open store. Clones share it; it is closed when the last clone and the last transaction are
/// dropped. Snapshots may outlive it.
///
/// One writer at a time, any number of snapshots on any thread.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
    /// Whether this handle waits for the turn to write.
    waits: bool,
}

/// What the clones of a store share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: StoreOptions,
    path: PathBuf,
    format_version: u32,
    pub(crate) versions: Versions,
    pub(crate) turn: Turn<Box<Writer>>,
    opened: OpenedAs,
}

/// What a store is and holds.
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

/// What a tree holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeInfo {
    /// Its name.
    pub name: String,
    /// Number of its entries.
    pub len: u64,
}

/// What compaction brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// Length of the file before, in bytes.
    pub before_bytes: u64,
    /// Length of the file after, in bytes.
    pub after_bytes: u64,
}

impl Inner {
    pub(crate) fn new(
        options: StoreOptions,
        format_version: u32,
        writer: Writer,
        opened: OpenedAs,
    ) -> Self {
        let path = writer.tip.pager.path().to_path_buf();
        let versions = Versions::new(&writer.tip);
        Self { options, path, format_version, versions, turn: Turn::new(writer.into()), opened }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut writer = self.turn.take();
        let failed = writer.poisoned || self.versions.durable.has_failed();
        if !failed && !self.opened.read_only {
            // If this fails the next opening finds out by itself what this would have told it.
            drop(close(&self.versions, &mut writer));
        }
    }
}

const HELD: &str = "N2: the turn is held until dropped";

/// The turn to write, given back when dropped, also by a panic.
#[derive(Debug)]
pub(crate) struct Held<I: Deref<Target = Inner>> {
    inner: I,
    /// There until dropped.
    writer: Option<Box<Writer>>,
}

impl<I: Deref<Target = Inner>> Held<I> {
    /// Takes the turn, and waits for it if that is allowed.
    pub(crate) fn new(inner: I, waits: bool) -> Result<Self> {
        let path = || inner.path.clone();
        if inner.opened.read_only {
            return Err(Error::ReadOnly { path: path() });
        }
        let writer = match waits {
            true => inner.turn.take(),
            false => {
                inner.turn.try_take().ok_or(InstanceError::BlockingForbidden { path: path() })?
            }
        };
        let failed = writer.poisoned || inner.versions.durable.has_failed();
        let poisoned = failed.then(|| Error::Poisoned { path: path() });
        let mut held = Self { inner, writer: Some(writer) };
        held.turns += 1;
        if let Some(poisoned) = poisoned {
            return Err(poisoned);
        }
        if held.catch_up()? {
            held.inner.versions.publish(&held.tip);
        }
        Ok(held)
    }

    pub(crate) fn parts(&mut self) -> (&I, &mut Writer) {
        (&self.inner, self.writer.as_mut().expect(HELD))
    }
}

impl<I: Deref<Target = Inner>> Deref for Held<I> {
    type Target = Writer;

    fn deref(&self) -> &Writer {
        self.writer.as_ref().expect(HELD)
    }
}

impl<I: Deref<Target = Inner>> DerefMut for Held<I> {
    fn deref_mut(&mut self) -> &mut Writer {
        self.parts().1
    }
}

impl<I: Deref<Target = Inner>> Drop for Held<I> {
    fn drop(&mut self) {
        if let Some(writer) = self.writer.take() {
            self.inner.turn.give(writer);
        }
    }
}

/// Returns the last commit, whose durability is then to be waited for.
fn to_be_durable(inner: &Inner, writer: &mut Writer) -> Result<CommitId> {
    let mut unknown = false;
    let commit = await_last(&inner.versions, writer, &mut unknown);
    if unknown {
        writer.poisoned = true;
        inner.versions.durable.fail();
    }
    commit
}

impl Store {
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner), waits: true }
    }

    /// Returns a handle for threads that must not wait: while somebody else has the turn to write,
    /// what needs it is refused with [`InstanceError::BlockingForbidden`].
    pub(crate) fn without_waiting(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), waits: false }
    }

    /// Takes a snapshot of the last commit.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.inner.versions.published.pin())
    }

    /// Begins the write transaction, after the one before it has ended.
    ///
    /// # Errors
    /// [`Error::ReadOnly`], or [`Error::Poisoned`] after a failure that left the disk unknown.
    pub fn write(&self) -> Result<WriteTxn> {
        let writer = Held::new(Arc::clone(&self.inner), self.waits)?;
        Ok(WriteTxn::new(writer))
    }

    /// Begins the write transaction with a snapshot of what it begins with. A snapshot is of what
    /// is durable, so this waits until all is; meanwhile nobody else can commit.
    pub(crate) fn write_from(&self) -> Result<(WriteTxn, Snapshot)> {
        let mut writer = Held::new(Arc::clone(&self.inner), self.waits)?;
        let commit = to_be_durable(&self.inner, &mut writer)?;
        self.inner.versions.wait_for(commit, &mut || true)?;
        let snapshot = self.snapshot();
        assert_eq!(snapshot.commit(), commit, "N2: a commit without the turn");
        Ok((WriteTxn::new(writer), snapshot))
    }

    /// Makes everything durable that was committed with [`Durability::None`](crate::Durability::None), and returns
    /// the number of the last commit.
    ///
    /// # Errors
    /// If the disk is full or fails; what was committed is seen as before then, and this may be
    /// tried again. As for [`WriteTxn::commit`], the store may be [`Error::Poisoned`] instead.
    pub fn sync(&self) -> Result<CommitId> {
        let commit = self.with_writer(|_, writer| to_be_durable(&self.inner, writer))??;
        self.inner.versions.wait_for(commit, &mut || true).map(|()| commit)
    }

    #[cfg(any(test, feature = "inspect"))]
    pub(crate) fn versions(&self) -> &Versions {
        &self.inner.versions
    }

    /// Runs `body` in the turn to write.
    pub(crate) fn with_writer<T>(
        &self,
        body: impl FnOnce(&Versions, &mut Writer) -> T,
    ) -> Result<T> {
        let mut writer = Held::new(&*self.inner, self.waits)?;
        Ok(body(&self.inner.versions, &mut writer))
    }

    /// Writes what the file holds anew, without the free pages, and puts it in the file's place.
    /// Snapshots go on reading what they hold. What was committed is made durable first;
    /// interrupted anywhere, one good file is there.
    ///
    /// # Errors
    /// If the disk is full or fails; the file then stays as it was. If it cannot be known which
    /// file a crash would leave, the store is [`Error::Poisoned`] for writers.
    pub fn compact(&self) -> Result<Compaction> {
        self.with_writer(|versions, writer| {
            // Whichever file a crash leaves, nothing is in one of them only.
            let commit = to_be_durable(&self.inner, writer)?;
            versions.wait_for(commit, &mut || true)?;
            compact::compact(&self.inner, writer)
        })?
    }

    /// Copies the last commit into a new file, encrypted with `key` or, without one, in plain.
    ///
    /// # Errors
    /// [`crate::FileErrorKind::Exists`] if there is a file at `target`, which stays as it is;
    /// otherwise if the directory does not exist or the disk is full or fails.
    pub fn copy(&self, target: impl AsRef<Path>, key: Option<&Key>) -> Result<()> {
        self.copy_through(&self.inner.options.vfs, target.as_ref(), key)
    }

    /// Copies as [`Store::copy`] does, but through another file system: out of memory to the disk.
    pub(crate) fn copy_through(
        &self,
        vfs: &Arc<dyn Vfs>,
        target: &Path,
        key: Option<&Key>,
    ) -> Result<()> {
        compact::copy(&self.inner, vfs, (target, key))
    }

    /// Returns what opening had to do beside reading; `None` if the file had been closed properly.
    #[must_use]
    pub fn recovery(&self) -> Option<Recovery> {
        self.inner.opened.recovery
    }

    /// Returns the path the store was opened with.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Returns what the store is and holds.
    ///
    /// # Errors
    /// If the record of free pages cannot be read or is damaged.
    pub fn info(&self) -> Result<Info> {
        let state = self.inner.versions.published.pin();
        let trees = state
            .trees
            .iter()
            .map(|(name, tree)| TreeInfo { name: name.to_string(), len: tree.len });
        Ok(Info {
            path: self.inner.path.clone(),
            format_version: self.inner.format_version,
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
