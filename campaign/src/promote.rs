//! `campaign promote`: a finding becomes a regression test.
//!
//! The test is the plan itself, in a folder of which the property tests replay every file.

use crate::files::{self, Environment};
use crate::planfile::PlanFile;
use std::path::{Path, PathBuf};

/// The folder, from the root of the workspace.
pub const FOLDER: &str = "proptests/regressions";

const README: &str = "\
# Plans that once broke a promise

Every `.plan` file here is replayed by `cargo test`; `fastness campaign promote FINDING` adds one.
The first line says `fastness-plan 1 <check> <twin> <invariant>`, the lines after it hold the bytes
of the plan in hex (`Plan::from_bytes`), lines that begin with `#` are for people.
";

/// What became of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promoted {
    /// The regression test.
    pub path: PathBuf,
    /// Whether it was not there before.
    pub new: bool,
}

/// Returns the folder of the workspace that `here` lies in.
#[must_use]
pub fn folder(here: &Path) -> Option<PathBuf> {
    let proptests =
        |root: &Path| root.join("Cargo.toml").is_file() && root.join("proptests").is_dir();
    here.ancestors().find(|root| proptests(root)).map(|root| root.join(FOLDER))
}

/// Writes the regression test into `folder`.
///
/// # Errors
/// When it cannot be written.
pub fn promote(file: &PlanFile, folder: &Path) -> Result<Promoted, Environment> {
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
