//! Opening a file: its lock, its format, its key, and its last commit.

use super::header::read_prelude;
use super::options::StoreOptions;
use super::recover::{OpenMode, OpenedAs, recover};
use super::writer::WriterState;
use crate::conc::Arc;
use crate::crypto::{FileKeys, FileSealer};
use crate::error::{Error, FileErrorCause, Result};
use crate::fault;
use crate::page::{LOG_VERSION, Prelude};
use crate::pager::Pager;
use crate::vfs::{Lock, Opened, open_locked};
use std::path::Path;

/// An opened file.
pub(crate) struct OpenedFile {
    pub(crate) format_version: u32,
    pub(crate) writer: WriterState,
    pub(crate) opened: OpenedAs,
}

/// Opens a file and recovers it.
pub(crate) fn open(options: &StoreOptions, path: &Path, mode: OpenMode) -> Result<OpenedFile> {
    let lock = match mode {
        OpenMode::Read => Lock::Shared,
        OpenMode::Write => Lock::Exclusive,
    };
    let opened = open_locked(&*options.vfs, path, lock).map_err(|e| Error::io(path, &e))?;
    let file = match opened {
        Opened::Locked(file) => file,
        Opened::InUse { is_here } => return Err(Error::in_use(path, is_here)),
    };
    let resolved = options.vfs.resolve(path).map_err(|e| Error::io(path, &e))?;
    let prelude = read_prelude(&*file, path)?;
    let sealer = unlock(options, path, &prelude)?;
    let pager = Arc::new(Pager::new(file, options.pager_parts(path, sealer)));
    let log_limits = (prelude.version >= LOG_VERSION).then(|| options.log_limits());
    let (mut writer, opened) = recover(&pager, mode, log_limits)?;
    writer.unsynced_name = Some((Arc::clone(&options.vfs), resolved));
    writer.one_sync_pages_max = options.one_sync_pages_max;
    writer.spill_bytes_min = options.spill_bytes_min;
    Ok(OpenedFile { format_version: prelude.version, writer, opened })
}

/// Derives the file's keys, and reports a wrong key.
fn unlock(options: &StoreOptions, path: &Path, prelude: &Prelude) -> Result<FileSealer> {
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
    Ok(FileSealer::new(prelude.salt, keys))
}
