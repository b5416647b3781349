//! `campaign promote`: turns a finding into a regression test.
//!
//! The test is the plan file itself: the property tests replay every file of the folder.

use crate::files::{self, EnvironmentError};
use crate::planfile::PlanFile;
use std::path::{Path, PathBuf};

/// The folder, relative to the root of the workspace.
pub const FOLDER: &str = "proptests/regressions";

const README: &str = "\
# Regression plans

`cargo test` replays every `.plan` file of this folder; `fastness campaign promote FINDING` adds
one. The first line is `fastness-plan 1 <check> <twin> <invariant>`. The next lines hold the bytes
of the plan in hexadecimal (`Plan::from_bytes`). Lines that start with `#` are comments.
";

/// The result of a promotion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promoted {
    /// The path of the regression test.
    pub path: PathBuf,
    /// Whether the file is new.
    pub new: bool,
}

/// Returns the regressions folder of the workspace that contains `here`.
#[must_use]
pub fn regressions_folder(here: &Path) -> Option<PathBuf> {
    let has_proptests =
        |root: &Path| root.join("Cargo.toml").is_file() && root.join("proptests").is_dir();
    here.ancestors().find(|root| has_proptests(root)).map(|root| root.join(FOLDER))
}

/// Writes the regression test into `folder`.
///
/// # Errors
/// If the file cannot be written.
pub fn promote(file: &PlanFile, folder: &Path) -> Result<Promoted, EnvironmentError> {
    files::make_folder(folder)?;
    let readme = folder.join("README.md");
    if !readme.exists() {
        files::write(&readme, README)?;
    }
    let path = folder.join(file.name()).with_extension("plan");
    let new = !path.exists();
    if new {
        files::write(&path, &file.render())?;
    }
    Ok(Promoted { path, new })
}
