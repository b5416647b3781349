//! Local path of a synced file: derived from user and URL, within the limits of the narrowest file
//! systems (O5).

use super::error::ConfigError;
use super::file_env::FileEnv;
use crate::error::{Error, FileErrorCause, Result};
use crate::schema::units;
use std::path::{Path, PathBuf};

/// Longest path, in UTF-16 units.
const PATH_UNITS_MAX: usize = 256;

/// Characters that some file system forbids in names.
const INVALID: [char; 9] = ['<', '>', ':', '"', '/', '\\', '|', '?', '*'];

/// Parts that a local path is derived from.
pub(super) struct PathParts<'a> {
    pub(super) root: &'a Path,
    pub(super) identity: &'a str,
    pub(super) url_path: &'a str,
    pub(super) file_name: &'a str,
}

impl PathParts<'_> {
    /// Returns directory and file name.
    pub(super) fn derive(&self, file_env: &dyn FileEnv) -> Result<(PathBuf, String)> {
        let short = self.root.join(self.identity);
        let (parent, _) = self.url_path.rsplit_once('/').unwrap_or_default();
        let mut directory = short.join(parent.trim_matches('/'));
        let mut name = self.file_name.to_owned();
        if whole_units(file_env, &directory, &name)? > PATH_UNITS_MAX {
            name = format!("{:X}", md5::compute(name.as_bytes()));
        }
        if whole_units(file_env, &directory, &name)? > PATH_UNITS_MAX {
            directory = short;
        }
        let whole = whole_units(file_env, &directory, &name)?;
        if whole > PATH_UNITS_MAX {
            return Err(ConfigError::PathTooLong { units: whole }.into());
        }
        // So no name is longer than the 255 units that file systems take.
        Ok((directory.components().collect(), name.replace(INVALID, "_")))
    }
}

/// Length of directory, separator and name.
fn whole_units(file_env: &dyn FileEnv, directory: &Path, name: &str) -> Result<usize> {
    let directory: PathBuf = directory.components().collect();
    let absolute = file_env
        .absolute(&directory)
        .map_err(|e| Error::file(&directory, FileErrorCause::Io(e.kind())))?;
    Ok(units(&absolute.to_string_lossy()) + 1 + units(name))
}
