//! Making a new file: complete under a temporary name first, then renamed.
//!
//! - C7 A name leads to a complete file or to none; creating and copying never replace one.

use super::failure::{Failure, WriteResult};
use super::header::SLOT_PAGES;
use super::options::StoreOptions;
use super::state::CommitState;
use super::writer::WriterState;
use crate::codec::put_at;
use crate::conc::Arc;
use crate::crypto::{FileKeys, FileSalt, FileSealer, Key, KeyCheck, PageIdentity};
use crate::error::{Error, FileErrorCause, Result};
use crate::fault::{self, Fault};
use crate::page::{CatalogAt, HeaderSlot, PRELUDE_COPY_AT, Prelude, TreeRecord};
use crate::pager::Pager;
use crate::unit::{CommitId, HEADER_PAGES, PAGE_BYTES, SLOT_BYTES};
use crate::vfs::{Opened, Vfs, VfsFile, create_locked, write_whole};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Longest name of a file.
const FILE_NAME_BYTES_MAX: usize = 255;

/// Returns the temporary path of a file that is created, copied to or compacted.
pub(crate) fn temporary_path(target: &Path) -> PathBuf {
    const SUFFIX: &str = ".fastness-tmp";
    let bytes = target.file_name().map_or(0, |name| name.len());
    if bytes + SUFFIX.len() <= FILE_NAME_BYTES_MAX || fault::on(Fault::Fs22) {
        let mut path = OsString::from(target);
        path.push(SUFFIX);
        return path.into();
    }
    // A hash, as there is no room for the suffix. Two names of one hash exclude each other.
    let name = target.file_name().map_or(&[][..], |name| name.as_encoded_bytes());
    let hash = name.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    target.with_file_name(format!("{hash:016x}{SUFFIX}"))
}

/// A new file under its temporary name.
pub(crate) struct TemporaryFile<'a> {
    vfs: &'a dyn Vfs,
    /// The final name.
    target: &'a Path,
    path: PathBuf,
    renamed: bool,
}

impl<'a> TemporaryFile<'a> {
    /// Makes the temporary file of `target`, and removes one that a crash left.
    pub(crate) fn new(vfs: &'a dyn Vfs, target: &'a Path) -> Result<(Self, Box<dyn VfsFile>)> {
        let path = temporary_path(target);
        match create_locked(vfs, &path).map_err(|e| Error::io(target, &e))? {
            Opened::Locked(file) => Ok((Self { vfs, target, path, renamed: false }, file)),
            Opened::InUse { is_here } => Err(Error::in_use(target, is_here)),
        }
    }

    /// Gives the complete, synced file its final name, durably. `replace` tells whether it may
    /// replace a file.
    ///
    /// # Errors
    /// If the system fails. The disk is unknown if the new name may be there all the same.
    pub(crate) fn rename(mut self, replace: bool) -> WriteResult<()> {
        let io = |e: &std::io::Error| Error::io(self.target, e);
        if !replace && self.vfs.exists(self.target).map_err(|e| io(&e))? {
            return Err(Error::file(self.target, FileErrorCause::Exists).into());
        }
        self.vfs.rename(&self.path, self.target).map_err(|e| io(&e))?;
        self.renamed = true;
        let synced = if fault::on(Fault::Cr07) { Ok(()) } else { self.vfs.sync_dir(self.target) };
        synced.map_err(|e| Failure::DiskUnknown(io(&e)))
    }
}

impl Drop for TemporaryFile<'_> {
    fn drop(&mut self) {
        if !self.renamed {
            // If this fails, the next attempt removes it.
            drop(self.vfs.remove(&self.path));
        }
    }
}

/// Writes an empty store into an empty file, without a log; not yet synced.
pub(crate) fn format(
    options: &StoreOptions,
    path: &Path,
    file: Box<dyn VfsFile>,
    commit: CommitId,
) -> Result<WriterState> {
    let mut salt = FileSalt::default();
    options.random_source.fill(&mut salt).map_err(|_| Error::RandomSource)?;
    let (prelude, sealer) = sealer(options.key.as_ref(), salt);
    let pager = Arc::new(Pager::new(file, options.pager_parts(path, sealer)));
    let slot = HeaderSlot {
        commit,
        page_count: HEADER_PAGES,
        settled: true,
        copy: false,
        logged: false,
        again: 0,
        space: TreeRecord::default(),
        catalog: CatalogAt::Inline(Vec::new()),
    };
    let mut header = vec![0; PAGE_BYTES * SLOT_PAGES.len() + PAGE_BYTES];
    put_at(&mut header, 0, &prelude.encode());
    for page in SLOT_PAGES {
        let copy = page != SLOT_PAGES[0];
        let mut bytes: [u8; SLOT_BYTES] = HeaderSlot { copy, ..slot.clone() }.encode();
        pager.batch()?.seal_slot(PageIdentity { page, birth: commit }, &mut bytes);
        let at = |extra: u64| usize::try_from(page.offset() + extra).unwrap_or_default();
        put_at(&mut header, at(0), &bytes);
        put_at(&mut header, at(PRELUDE_COPY_AT), &prelude.encode());
    }
    write_whole(pager.file(), &header, 0).map_err(|e| pager.io(&e))?;
    let mut writer =
        WriterState::new(Arc::new(CommitState::load(pager, slot)?), SLOT_PAGES[0], true);
    writer.one_sync_pages_max = options.one_sync_pages_max;
    writer.spill_bytes_min = options.spill_bytes_min;
    writer.log_limits = Some(options.log_limits());
    Ok(writer)
}

/// Returns the prelude and the sealer of a new file.
fn sealer(key: Option<&Key>, salt: FileSalt) -> (Prelude, FileSealer) {
    let mut prelude = Prelude::new(key.is_some(), salt, KeyCheck::default());
    let keys = key.map(|key| FileKeys::derive(key, &salt, &prelude.identity()));
    if let Some(keys) = &keys {
        prelude.check = *keys.check();
    }
    (prelude, FileSealer::new(salt, keys))
}
