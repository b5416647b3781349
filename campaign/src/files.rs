//! Output files of a campaign, with errors that name the file.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// An error of the environment, such as a missing right or a full disk (exit code 4).
#[derive(Debug)]
pub struct EnvironmentError {
    /// The file or folder.
    pub path: PathBuf,
    /// The operation that failed.
    pub doing: &'static str,
    /// The error of the operating system.
    pub source: io::Error,
}

impl fmt::Display for EnvironmentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, doing, source } = self;
        write!(f, "{}: cannot {doing}: {source}; check the path, its permissions", path.display())?;
        f.write_str(" and the free space")
    }
}

impl std::error::Error for EnvironmentError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

pub(crate) fn error(
    path: &Path,
    doing: &'static str,
) -> impl FnOnce(io::Error) -> EnvironmentError {
    let path = path.to_path_buf();
    move |source| EnvironmentError { path, doing, source }
}

pub(crate) fn make_folder(path: &Path) -> Result<(), EnvironmentError> {
    fs::create_dir_all(path).map_err(error(path, "create the folder"))
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), EnvironmentError> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    fs::write(path, text).map_err(error(path, "write the file"))
}

pub(crate) fn read(path: &Path) -> Result<String, EnvironmentError> {
    fs::read_to_string(path).map_err(error(path, "read the file"))
}
