//! Directories and paths as configurations need them.

use super::error::DirectoryProblem;
use crate::conc::Mutex;
use crate::sorted::Sorted;
use crate::vfs::{make_directory, without_links};
use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Directories and paths.
pub trait FileEnv: Send + Sync + fmt::Debug {
    /// Creates the directory with its parents, unless it exists.
    ///
    /// # Errors
    /// The reason why it cannot be used. Write permission is checked last.
    fn prepare(&self, directory: &Path) -> Result<(), DirectoryProblem>;

    /// Puts the working directory before a relative path.
    ///
    /// # Errors
    /// As the system says.
    fn absolute(&self, path: &Path) -> io::Result<PathBuf>;

    /// Returns the one path by which a file is known, whether it exists or not.
    ///
    /// # Errors
    /// Errors of the system. A path that does not exist is no error.
    fn canonical(&self, path: &Path) -> io::Result<PathBuf>;
}

/// The directories of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsFileEnv;

impl FileEnv for OsFileEnv {
    fn prepare(&self, directory: &Path) -> Result<(), DirectoryProblem> {
        match make_directory(directory) {
            Ok(true) => Ok(()),
            Ok(false) => Err(DirectoryProblem::NotWritable),
            Err(_) if directory.is_file() => Err(DirectoryProblem::IsFile),
            Err(error) => Err(DirectoryProblem::NotCreated(error.kind())),
        }
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        std::path::absolute(path)
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        let whole = std::path::absolute(path)?;
        let mut missing: Vec<Component<'_>> = Vec::new();
        let mut parts = whole.components();
        loop {
            match without_links(parts.as_path()) {
                Ok(found) => return Ok(below(found, missing.into_iter().rev())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            match parts.next_back() {
                Some(part) => missing.push(part),
                None => return Ok(whole),
            }
        }
    }
}

/// Appends parts that do not exist; `..` removes the part before.
fn below<'a>(mut path: PathBuf, parts: impl Iterator<Item = Component<'a>>) -> PathBuf {
    for part in parts {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => path.push(part),
        }
    }
    path
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MemoryEntry {
    File,
    Directory { writable: bool },
}

/// Directories in memory, below `/`. Nothing in them is a link.
#[derive(Debug, Default)]
pub struct MemoryFileEnv(Mutex<Sorted<PathBuf, MemoryEntry>>);

impl MemoryFileEnv {
    /// Puts a file there.
    pub fn add_file(&self, path: impl AsRef<Path>) {
        self.0.lock().insert(rooted(path.as_ref()), MemoryEntry::File);
    }

    /// Puts a directory there that cannot be written to.
    pub fn add_read_only(&self, path: impl AsRef<Path>) {
        self.0.lock().insert(rooted(path.as_ref()), MemoryEntry::Directory { writable: false });
    }

    /// Returns the directories in order.
    #[must_use]
    pub fn directories(&self) -> Vec<PathBuf> {
        let file_env = self.0.lock();
        file_env
            .iter()
            .filter(|(_, is)| **is != MemoryEntry::File)
            .map(|(path, _)| path.clone())
            .collect()
    }
}

fn rooted(path: &Path) -> PathBuf {
    below(PathBuf::from("/"), path.components().filter(|part| *part != Component::RootDir))
}

impl FileEnv for MemoryFileEnv {
    fn prepare(&self, directory: &Path) -> Result<(), DirectoryProblem> {
        let directory = rooted(directory);
        let mut file_env = self.0.lock();
        match file_env.get(&directory) {
            Some(MemoryEntry::File) => return Err(DirectoryProblem::IsFile),
            Some(MemoryEntry::Directory { writable: false }) => {
                return Err(DirectoryProblem::NotWritable);
            }
            Some(MemoryEntry::Directory { writable: true }) => return Ok(()),
            None => {}
        }
        let parents: Vec<&Path> = directory.ancestors().skip(1).collect();
        for parent in &parents {
            let refused = match file_env.get(*parent) {
                Some(MemoryEntry::File) => io::ErrorKind::NotADirectory,
                Some(MemoryEntry::Directory { writable: false }) => io::ErrorKind::PermissionDenied,
                Some(MemoryEntry::Directory { writable: true }) => break,
                None => continue,
            };
            return Err(DirectoryProblem::NotCreated(refused));
        }
        for path in parents.into_iter().map(Path::to_path_buf).chain([directory.clone()]) {
            file_env.get_or_insert_with(path, || MemoryEntry::Directory { writable: true });
        }
        Ok(())
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(Path::new("/").join(path))
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(rooted(path))
    }
}
