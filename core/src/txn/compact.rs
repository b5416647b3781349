//! Compaction and copying: a new file with the content of a commit.
//!
//! - C7 A name leads to a complete file or to none; interrupted anywhere, one good file remains.
//! - F4 Compaction replaces the file itself, not a link to it, and keeps owner and permissions.

use super::changes::TxnChanges;
use super::commit::{Durability, commit};
use super::failure::Failure;
use super::new_file::{TemporaryFile, format};
use super::options::StoreOptions;
use super::shared::SharedStore;
use super::state::CommitState;
use super::writer::{Versions, WriterState};
use crate::conc::Arc;
use crate::error::{Damage, Error, FileErrorCause, Result};
use crate::fault::{self, Fault};
use crate::pager::Pager;
use crate::tree::Range;
use crate::unit::PageId;
use crate::vfs::VfsFile;
use std::io;
use std::path::{Path, PathBuf};

/// The result of a compaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// Length of the file before, in bytes.
    pub before_bytes: u64,
    /// Length of the file after, in bytes.
    pub after_bytes: u64,
}

/// Entries are committed to the new file in batches of this many bytes.
const BATCH_BYTES: usize = 4 << 20;

/// Least bytes of an entry in a file, beside its key and its value.
const ENTRY_BYTES: usize = 8;

/// Most bytes of commits that are in no file yet.
const UNWRITTEN_BYTES_MAX: u64 = 64 << 20;

/// Replaces the file of a store by a compact one.
pub(crate) fn compact(shared: &SharedStore, writer: &mut WriterState) -> Result<Compaction> {
    let state = Arc::clone(&writer.tip);
    let len = |state: &CommitState| state.pager.file().len().map_err(|e| state.pager.io(&e));
    let before_bytes = len(&state)?;
    let path = compacted_path(&shared.options, &state.pager)?;
    let (temporary, file) = TemporaryFile::new(&*shared.options.vfs, &path)?;
    file.take_permissions(&path).map_err(|e| state.pager.io(&e))?;
    let mut compact = fill(&shared.options, state.pager.path(), file, &state)?;
    let after_bytes = len(&compact.tip)?;
    // The last step that can fail before the new file replaces the old one.
    compact.start_log()?;
    temporary.rename(true).map_err(|failure| {
        // A crash may bring the old file back: a later write to either could be lost.
        writer.poisoned |= matches!(failure, Failure::DiskUnknown(_));
        failure.into_error()
    })?;
    compact.lock_count = writer.lock_count;
    *writer = compact;
    shared.versions.publish(&writer.tip);
    Ok(Compaction { before_bytes, after_bytes })
}

/// Returns the path of the file itself that compaction replaces.
///
/// # Errors
/// [`FileErrorCause::SeveralNames`]; [`FileErrorCause::NotFound`] if the name leads to another
/// file.
fn compacted_path(options: &StoreOptions, pager: &Pager) -> Result<PathBuf> {
    if fault::on(Fault::Fs23) {
        return Ok(pager.path().to_path_buf());
    }
    let (file, io) = (pager.file(), |e: &io::Error| pager.io(e));
    let path = options.vfs.resolve(pager.path()).map_err(|e| io(&e))?;
    if !file.is_at(&path).map_err(|e| io(&e))? {
        return Err(Error::file(pager.path(), FileErrorCause::NotFound));
    }
    let names = file.name_count().map_err(|e| io(&e))?;
    if names > 1 {
        return Err(Error::file(pager.path(), FileErrorCause::SeveralNames { names }));
    }
    Ok(path)
}

/// Copies a commit into a new file, with the key and on the file system of the options.
pub(crate) fn copy(options: &StoreOptions, target: &Path, state: &CommitState) -> Result<()> {
    let vfs = &*options.vfs;
    if vfs.exists(target).map_err(|e| Error::io(target, &e))? {
        return Err(Error::file(target, FileErrorCause::Exists));
    }
    let (temporary, file) = TemporaryFile::new(vfs, target)?;
    let copy = fill(options, target, file, state)?;
    temporary.rename(false).map_err(Failure::into_error)?;
    drop(copy);
    Ok(())
}

/// Returns most bytes that the content of a commit can have if its trees do not share pages (T6):
/// those of the file, and those that are in memory only.
fn copied_bytes_max(source: &CommitState) -> Result<u64> {
    let file_bytes = source.pager.file().len().map_err(|error| source.pager.io(&error))?;
    Ok(file_bytes.saturating_mul(2).saturating_add(UNWRITTEN_BYTES_MAX))
}

/// Writes the content of `source` into an empty file and syncs it.
fn fill(
    options: &StoreOptions,
    path: &Path,
    file: Box<dyn VfsFile>,
    source: &CommitState,
) -> Result<WriterState> {
    let mut writer = format(options, path, file, source.commit())?;
    writer.defers_sync = true;
    let versions = Versions::new(&writer.tip);
    let mut changes = TxnChanges::new(&writer);
    let (mut bytes, mut total) = (0, 0);
    let total_max = copied_bytes_max(source)?;
    for (name, tree) in source.trees.iter() {
        for entry in Range::new(&source.pager, tree.root(&source.pager)?, &(..)) {
            let (key, value) = entry?;
            changes.tree(name, None)?.insert(&key, &value)?;
            bytes += ENTRY_BYTES + key.len() + value.len();
            if bytes >= BATCH_BYTES {
                total += bytes as u64;
                if total > total_max {
                    let root = tree.record().root.map_or(PageId(0), |pointer| pointer.page);
                    return Err(source.pager.damaged(root, Damage::Content));
                }
                bytes = 0;
                commit(&versions, &mut writer, changes, Durability::Immediate)?;
                changes = TxnChanges::new(&writer);
            }
        }
    }
    commit(&versions, &mut writer, changes, Durability::Immediate)?;
    // If this slot is damaged, the other one must not lead to a part of the content.
    if !fault::on(Fault::Fs03) {
        writer.copy_base_slot()?;
    }
    if !fault::on(Fault::Cr03) {
        writer.tip.pager.sync()?;
    }
    writer.defers_sync = false;
    Ok(writer)
}
