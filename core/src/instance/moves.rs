//! What is done to files as a whole: deleting and backing up. Each step is durable
//! before the next; whatever is interrupted is repeated, and finds what it has done.
//!
//! - R2 What an action is to keep is whole in its old place or in the new one at every moment, and
//!   nothing that was there is replaced.

use super::actions::Record;
use super::file::Ground;
use crate::error::{Error, FileErrorCause, Result};
use crate::fault::{self, Fault};
use crate::txn::Temporary;
use crate::vfs::{Access, Lock, Opened, VfsFile, open_locked, read_whole, write_whole};
use std::ffi::OsString;
use std::path::Path;
use xxhash_rust::xxh3::Xxh3;

/// Bytes that are copied or compared at once.
const PIECE_BYTES: usize = 1 << 18;

/// What a file of realm-java has at this offset, unless it is encrypted.
const REALM_MARK: (u64, [u8; 4]) = (16, *b"T-DB");

/// By what a copy is known: XXH3 with 128 bits of its bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum(pub(super) [u8; 16]);

impl Sum {
    fn of(file: &dyn VfsFile) -> std::io::Result<Self> {
        let mut sum = Xxh3::new();
        pieces(file, |bytes, _| {
            sum.update(bytes);
            Ok(true)
        })?;
        Ok(Self(sum.digest128().to_le_bytes()))
    }
}

impl Ground {
    /// Deletes a file, and what an interrupted attempt left beside it; tells whether it was there.
    pub(super) fn delete(&self, path: &Path) -> Result<bool> {
        let held = self.hold(path)?;
        self.remove_leftover(path)?;
        // Where nothing was, another process may be making a file by now.
        if held.is_some() {
            self.remove(path)?;
        }
        self.sync_names(path)?;
        Ok(held.is_some())
    }

    /// Moves a file to where nothing is, durably; tells whether it was there. Between file systems
    /// it is copied, byte for byte, and then deleted. A copy that an interrupted attempt finished
    /// is taken for done; if the file has changed since, it is kept beside the new one.
    pub(super) fn back_up(&self, path: &Path, target: &Path, record: &Record) -> Result<bool> {
        let Some(source) = self.hold(path)? else {
            // It may have been moved by an attempt that could not make that durable.
            self.sync_names(target)?;
            self.sync_names(path)?;
            return Ok(false);
        };
        let io = |e: &std::io::Error| Error::io(target, e);
        let vfs = &**self.vfs();
        self.remove_leftover(path)?;
        if vfs.exists(target).map_err(|e| io(&e))? {
            let copy = vfs.open(target, Access::ReadWrite).map_err(|e| io(&e))?;
            let is_whole = are_equal(&*source, &*copy).map_err(|e| io(&e))?;
            if !is_whole && !record.is_copy(self, path, Sum::of(&*copy).map_err(|e| io(&e))?)? {
                return Err(Error::file(target, FileErrorCause::Exists));
            }
            // It may be in the cache of the system only.
            copy.sync().map_err(|e| io(&e))?;
            if !is_whole {
                self.set_aside(target)?;
                self.copy(&*source, (path, target), record)?;
            }
            self.sync_names(target)?;
            self.remove(path)?;
        } else {
            match vfs.rename(path, target) {
                Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
                    self.copy(&*source, (path, target), record)?;
                    self.remove(path)?;
                }
                outcome => {
                    // What has the old name from now on is another process's.
                    outcome.map_err(|e| io(&e))?;
                    self.sync_names(target)?;
                }
            }
        }
        self.sync_names(path)?;
        Ok(true)
    }

    fn copy(
        &self,
        source: &dyn VfsFile,
        (path, target): (&Path, &Path),
        record: &Record,
    ) -> Result<()> {
        let io = |e: &std::io::Error| Error::io(target, e);
        // Or a crash could leave the source other than it was copied.
        source.sync().map_err(|e| io(&e))?;
        let (temporary, copy) = Temporary::new(&**self.vfs(), target)?;
        let sum = copy_bytes(source, &*copy).map_err(|e| io(&e))?;
        copy.sync().map_err(|e| io(&e))?;
        // Before it can be met, so that it is never taken for something else.
        record.put_copy(self, path, sum)?;
        temporary.place(false).map_err(|(error, _)| error)
    }

    /// Gives a file a name beside that nothing has: its own, and a number.
    fn set_aside(&self, path: &Path) -> Result<()> {
        let vfs = self.vfs();
        for number in 1_u64.. {
            let mut beside = OsString::from(path);
            beside.push(format!(".{number}"));
            if !vfs.exists(Path::new(&beside)).map_err(|e| Error::io(path, &e))? {
                vfs.rename(path, Path::new(&beside)).map_err(|e| Error::io(path, &e))?;
                break;
            }
        }
        self.sync_names(path)
    }

    /// Tells whether a file is one of realm-java, of before our own.
    pub(super) fn is_of_realm(&self, path: &Path) -> Result<bool> {
        let io = |e: &std::io::Error| Error::io(path, e);
        let vfs = &**self.vfs();
        if !vfs.exists(path).map_err(|e| io(&e))? {
            return Ok(false);
        }
        let file = vfs.open(path, Access::Read).map_err(|e| io(&e))?;
        let (offset, mark) = REALM_MARK;
        let mut found = [0; 4];
        Ok(read_whole(&*file, &mut found, offset).map_err(|e| io(&e))? && found == mark)
    }

    /// Makes sure that nobody has the file open as long as what is returned lives; `None` if there
    /// is no file.
    fn hold(&self, path: &Path) -> Result<Option<Box<dyn VfsFile>>> {
        match open_locked(&**self.vfs(), path, Lock::Exclusive) {
            Ok(Opened::Locked(file)) => Ok(Some(file)),
            Ok(Opened::InUse) => Err(Error::file(path, FileErrorCause::InUse)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(path, &error)),
        }
    }

    /// Removes what an interrupted attempt to make or compact a file left beside it.
    fn remove_leftover(&self, path: &Path) -> Result<()> {
        let mut beside = OsString::from(path);
        beside.push(".fastness-tmp");
        self.remove(Path::new(&beside))
    }

    /// Removes a name; one that is not there is fine.
    fn remove(&self, path: &Path) -> Result<()> {
        match self.vfs().remove(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(_) if fault::on(Fault::Rs05) => Ok(()),
            outcome => outcome.map_err(|e| Error::io(path, &e)),
        }
    }

    fn sync_names(&self, path: &Path) -> Result<()> {
        match self.vfs().sync_dir(path) {
            // A directory that is not there holds no names.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            outcome => outcome.map_err(|e| Error::io(path, &e)),
        }
    }
}

/// Runs over the pieces of a file.
fn pieces(
    file: &dyn VfsFile,
    mut piece: impl FnMut(&[u8], u64) -> std::io::Result<bool>,
) -> std::io::Result<bool> {
    let (len, mut at) = (file.len()?, 0);
    let mut bytes = vec![0; PIECE_BYTES];
    while at < len {
        let count = usize::try_from(len - at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let bytes = &mut bytes[..count];
        if !read_whole(file, bytes, at)? {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if !piece(bytes, at)? {
            return Ok(false);
        }
        at += count as u64;
    }
    Ok(true)
}

fn copy_bytes(source: &dyn VfsFile, target: &dyn VfsFile) -> std::io::Result<Sum> {
    let mut sum = Xxh3::new();
    pieces(source, |bytes, at| {
        sum.update(bytes);
        write_whole(target, bytes, at).map(|()| true)
    })?;
    Ok(Sum(sum.digest128().to_le_bytes()))
}

fn are_equal(one: &dyn VfsFile, two: &dyn VfsFile) -> std::io::Result<bool> {
    if one.len()? != two.len()? {
        return Ok(false);
    }
    let mut there = vec![0; PIECE_BYTES];
    pieces(one, |bytes, at| {
        let there = &mut there[..bytes.len()];
        Ok(read_whole(two, there, at)? && there == bytes)
    })
}
