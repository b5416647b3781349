//! Writing of campaign outputs, with errors that name the file.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The surroundings do not let the campaign do its work (exit code 4).
#[derive(Debug)]
pub struct Environment {
    /// The file or folder.
    pub path: PathBuf,
    /// What was tried.
    pub doing: &'static str,
    /// What the system said.
    pub source: io::Error,
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, doing, source } = self;
        write!(f, "{}: cannot {doing}: {source}; check the path, its rights", path.display())?;
        f.write_str(" and the free space")
    }
}

impl std::error::Error for Environment {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

pub(crate) fn error(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> Environment {
    let path = path.to_path_buf();
    move |source| Environment { path, doing, source }
}

pub(crate) fn make_folder(path: &Path) -> Result<(), Environment> {
    fs::create_dir_all(path).map_err(error(path, "create the folder"))
}

pub(crate) fn write(path: &Path, text: &str) -> Result<(), Environment> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    fs::write(path, text).map_err(error(path, "write the file"))
}

pub(crate) fn read(path: &Path) -> Result<String, Environment> {
    fs::read_to_string(path).map_err(error(path, "read the file"))
}
