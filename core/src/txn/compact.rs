//! Compaction and copying: what a commit holds, written into a new file.
//!
//! - C7 A name leads to a complete file or to none; interrupted anywhere, one good file is there.

use super::changes::Changes;
use super::commit::{Sync, commit};
use super::create::{Temporary, format};
use super::options::StoreOptions;
use super::recover::settle;
use super::state::{State, Versions, Writer};
use super::store::{Compaction, Inner};
use crate::conc::Arc;
use crate::crypto::Key;
use crate::error::{Error, FileErrorCause, Result};
use crate::fault::{self, Fault};
use crate::tree::Range;
use crate::vfs::{Vfs, VfsFile};
use std::path::Path;

/// Entries are committed to the new file in portions of this many bytes.
const PORTION_BYTES: usize = 4 << 20;

/// Replaces the file of a store by a compact one.
pub(crate) fn compact(inner: &Inner, writer: &mut Writer) -> Result<Compaction> {
    let state = Arc::clone(&writer.tip);
    let len = |state: &State| state.pager.file().len().map_err(|e| state.pager.io(&e));
    let before_bytes = len(&state)?;
    let (temporary, file) = Temporary::new(&*inner.options.vfs, state.pager.path())?;
    let mut fresh = fill(&inner.options, state.pager.path(), file, &state)?;
    let after_bytes = len(&fresh.tip)?;
    // What may fail comes before the new file takes the old one's place.
    fresh.start_log()?;
    if let Err((error, maybe_placed)) = temporary.place(true) {
        // The old file may come back after a crash: what is written to either could be lost.
        writer.poisoned |= maybe_placed;
        return Err(error);
    }
    fresh.turns = writer.turns;
    *writer = fresh;
    inner.versions.publish(&writer.tip);
    Ok(Compaction { before_bytes, after_bytes })
}

/// Copies the last commit of a store into a new file, on this file system.
pub(crate) fn copy(
    inner: &Inner,
    vfs: &Arc<dyn Vfs>,
    (target, key): (&Path, Option<&Key>),
) -> Result<()> {
    if vfs.exists(target).map_err(|e| Error::io(target, &e))? {
        return Err(Error::file(target, FileErrorCause::Exists));
    }
    let state = inner.versions.published.pin();
    let mut options = inner.options.clone();
    options.key = key.cloned();
    options.vfs = Arc::clone(vfs);
    let (temporary, file) = Temporary::new(&**vfs, target)?;
    let fresh = fill(&options, target, file, &state)?;
    temporary.place(false).map_err(|(error, _)| error)?;
    drop(fresh);
    Ok(())
}

/// Writes what `source` holds into an empty file and syncs it.
fn fill(
    options: &StoreOptions,
    path: &Path,
    file: Box<dyn VfsFile>,
    source: &State,
) -> Result<Writer> {
    let mut writer = format(options, path, file, source.commit())?;
    let versions = Versions::new(&writer.tip);
    let mut changes = Changes::new(&writer);
    let mut portion = 0;
    for (name, tree) in source.trees.iter() {
        for entry in Range::new(&source.pager, tree.root(&source.pager)?, &(..)) {
            let (key, value) = entry?;
            changes.tree(name)?.insert(&key, &value)?;
            portion += key.len() + value.len();
            if portion >= PORTION_BYTES {
                portion = 0;
                commit(&versions, &mut writer, changes, Sync::Later)?;
                changes = Changes::new(&writer);
            }
        }
    }
    commit(&versions, &mut writer, changes, Sync::Later)?;
    // The other slot must not lead to a part of it, or to nothing, if this one is damaged.
    let state = Arc::clone(&writer.tip);
    if !fault::on(Fault::Fs03) {
        settle(&state.pager, &state.slot, &mut writer)?;
    }
    if !fault::on(Fault::Cr03) {
        state.pager.sync()?;
    }
    Ok(writer)
}
