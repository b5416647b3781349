//! Opening a file: is it ours, does the key fit, which commit is it at.

use super::options::StoreOptions;
use super::recover::{read_slot, recover};
use super::store::{Inner, Store};
use crate::conc::Arc;
use crate::crypto::{FileKeys, Sealer};
use crate::error::{Damage, Error, FileErrorCause, Result};
use crate::fault;
use crate::page::{
    FORMAT_VERSION, LOG_VERSION, NoPrelude, PRELUDE_BYTES, PRELUDE_COPY_AT, Prelude,
};
use crate::pager::Pager;
use crate::unit::{HEADER_PAGES, PAGE_BYTES, PageId};
use crate::vfs::{Lock, Opened, VfsFile, open_locked, read_whole};
use std::path::Path;

/// What a file is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    Read,
    Write,
}

/// The shortest file there is.
pub(crate) const HEADER_BYTES: u64 = HEADER_PAGES * PAGE_BYTES as u64;

pub(crate) fn open(options: &StoreOptions, path: &Path, mode: Mode) -> Result<Store> {
    let lock = match mode {
        Mode::Read => Lock::Shared,
        Mode::Write => Lock::Exclusive,
    };
    let opened = open_locked(&*options.vfs, path, lock).map_err(|e| Error::io(path, &e))?;
    let Opened::Locked(file) = opened else {
        return Err(Error::file(path, FileErrorCause::InUse));
    };
    let prelude = read_prelude(&*file, path)?;
    let sealer = unlock(options, path, &prelude)?;
    let pager = Arc::new(Pager::new(file, options.pager_parts(path, sealer)));
    let log_limits = (prelude.version >= LOG_VERSION).then(|| options.log_limits());
    let (mut writer, opened) = recover(pager, mode, log_limits)?;
    writer.unnamed = Some(Arc::clone(&options.vfs));
    writer.one_sync_pages_max = options.one_sync_pages_max;
    Ok(Store::new(Inner::new(options.clone(), prelude.version, writer, opened)))
}

/// Returns where the prelude and its copies stand.
pub(crate) fn prelude_places() -> [(PageId, u64); 3] {
    let copy = |page: PageId| (page, page.offset() + PRELUDE_COPY_AT);
    [(PageId(0), 0), copy(PageId(1)), copy(PageId(2))]
}

/// Reads the prelude, or a copy if it is damaged.
pub(crate) fn read_prelude(file: &dyn VfsFile, path: &Path) -> Result<Prelude> {
    let len = file.len().map_err(|e| Error::io(path, &e))?;
    let mut ours = len == 0;
    let mut newer = None;
    for (_, at) in prelude_places() {
        let mut bytes = [0; PRELUDE_BYTES];
        // A file that ends early reads as zeros from there.
        read_whole(file, &mut bytes, at).map_err(|e| Error::io(path, &e))?;
        match Prelude::decode(&bytes) {
            Ok(prelude) if prelude.version > FORMAT_VERSION => newer = Some(prelude.version),
            Ok(prelude) if len >= HEADER_BYTES => return Ok(prelude),
            Ok(_) | Err(NoPrelude::Damaged) => ours = true,
            Err(NoPrelude::Foreign) => {}
        }
    }
    let cause = match newer {
        Some(found) => FileErrorCause::NewerFormat { found, supported: FORMAT_VERSION },
        None if !ours => FileErrorCause::NotFastness,
        None if len < HEADER_BYTES => {
            FileErrorCause::Truncated { expected_bytes: HEADER_BYTES, found_bytes: len }
        }
        None => FileErrorCause::Damaged { page: PageId(0), damage: Damage::Header },
    };
    Err(Error::file(path, cause))
}

/// Derives the file's keys and tells a wrong key from a right one.
fn unlock(options: &StoreOptions, path: &Path, prelude: &Prelude) -> Result<Sealer> {
    let keys = match (&options.key, prelude.encrypted) {
        (None, false) => None,
        (None, true) => return Err(Error::file(path, FileErrorCause::KeyMissing)),
        (Some(_), false) => return Err(Error::file(path, FileErrorCause::KeyForPlainFile)),
        (Some(key), true) => {
            let keys = FileKeys::derive(key, &prelude.salt, &prelude.identity());
            if *keys.check() != prelude.check {
                fault::txn::start_new_file(options, path)?;
                return Err(Error::file(path, FileErrorCause::WrongKey));
            }
            Some(keys)
        }
    };
    Ok(Sealer::new(prelude.salt, keys))
}

/// How often a slot is read again before it is taken as damaged: a writer may be at it.
const SLOT_READS: u32 = 3;

/// Returns the pages of the header that do not hold what was written to them.
pub(crate) fn check_header(pager: &Pager) -> Result<Vec<PageId>> {
    let mut bad = Vec::new();
    for (page, at) in prelude_places() {
        let mut bytes = [0; PRELUDE_BYTES];
        read_whole(pager.file(), &mut bytes, at).map_err(|e| pager.io(&e))?;
        let slot_fits = page == PageId(0) || slot_fits(pager, page)?;
        if Prelude::decode(&bytes).is_err() || !slot_fits {
            bad.push(page);
        }
    }
    Ok(bad)
}

fn slot_fits(pager: &Pager, page: PageId) -> Result<bool> {
    for _ in 0..SLOT_READS {
        if read_slot(pager, page)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
