//! The operating system's files; the only place that touches `std::fs`.

use super::{Access, Lock, Vfs, VfsFile};
use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// The operating system's file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsVfs;

#[derive(Debug)]
struct OsFile {
    file: File,
    /// The mark of its lock.
    lock: OnceLock<LockedHere>,
}

/// Device and number of a file.
type FileNumber = (u64, u64);

/// The files whose locks this process holds, once for each handle. It serves the texts of errors.
static LOCKED: Mutex<Vec<FileNumber>> = Mutex::new(Vec::new());

/// Marks a file as locked by this process, until it is dropped.
#[derive(Debug)]
struct LockedHere(FileNumber);

fn locked_files() -> MutexGuard<'static, Vec<FileNumber>> {
    LOCKED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LockedHere {
    fn new(number: FileNumber) -> Self {
        locked_files().push(number);
        Self(number)
    }
}

impl Drop for LockedHere {
    fn drop(&mut self) {
        let mut files = locked_files();
        if let Some(at) = files.iter().position(|number| *number == self.0) {
            files.swap_remove(at);
        }
    }
}

fn file_number(metadata: &Metadata) -> FileNumber {
    (metadata.dev(), metadata.ino())
}

impl Vfs for OsVfs {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn VfsFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        match access {
            Access::Read => {}
            Access::ReadWrite => {
                options.write(true);
            }
            // Readable by its owner only, because a store holds private data of an app.
            Access::CreateNew => {
                options.write(true).create_new(true).mode(0o600);
            }
        }
        if access != Access::CreateNew {
            // To open a named pipe would wait for its other end.
            check_regular(&std::fs::metadata(path)?)?;
        }
        let file = options.open(path)?;
        check_regular(&file.metadata()?)?;
        Ok(Box::new(OsFile { file, lock: OnceLock::new() }))
    }

    fn rename(&self, source: &Path, target: &Path) -> io::Result<()> {
        std::fs::rename(source, target)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        match std::fs::symlink_metadata(path) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        std::fs::canonicalize(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        OpenOptions::new().read(true).open(dir)?.sync_all()
    }
}

impl VfsFile for OsFile {
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.file.write_at(bytes, offset)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_len(&self, len_bytes: u64) -> io::Result<()> {
        self.file.set_len(len_bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn try_lock(&self, lock: Lock) -> io::Result<bool> {
        let outcome = match lock {
            Lock::Shared => self.file.try_lock_shared(),
            Lock::Exclusive => self.file.try_lock(),
        };
        match outcome {
            Ok(()) => {
                let number = file_number(&self.file.metadata()?);
                self.lock.get_or_init(|| LockedHere::new(number));
                Ok(true)
            }
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }

    fn is_locked_here(&self) -> bool {
        let number = self.file.metadata().map(|metadata| file_number(&metadata));
        number.is_ok_and(|number| locked_files().contains(&number))
    }

    fn name_count(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.nlink())
    }

    fn take_permissions(&self, path: &Path) -> io::Result<()> {
        let (ours, theirs) = (self.file.metadata()?, std::fs::metadata(path)?);
        if (ours.uid(), ours.gid()) != (theirs.uid(), theirs.gid()) {
            std::os::unix::fs::fchown(&self.file, Some(theirs.uid()), Some(theirs.gid()))?;
        }
        self.file.set_permissions(theirs.permissions())
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        let ours = self.file.metadata()?;
        match std::fs::metadata(path) {
            Ok(named) => Ok(file_number(&named) == file_number(&ours)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }
}

/// Refuses what is no regular file.
fn check_regular(metadata: &Metadata) -> io::Result<()> {
    match () {
        () if metadata.is_file() => Ok(()),
        () if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        () => Err(io::ErrorKind::NotSeekable.into()),
    }
}

/// Creates a directory with its parents unless it exists, and returns whether its permission bits
/// allow a write. The creation of a file in it reports every other obstacle.
pub(crate) fn make_directory(path: &Path) -> io::Result<bool> {
    if path.is_file() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    std::fs::create_dir_all(path)?;
    Ok(!std::fs::metadata(path)?.permissions().readonly())
}

/// Returns the path of an existing file or directory with all symbolic links resolved.
pub(crate) fn without_links(path: &Path) -> io::Result<PathBuf> {
    std::fs::canonicalize(path)
}
