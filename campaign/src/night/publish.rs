//! The outputs of a night.

use super::summary::NightSummary;
use super::{history, junit, page};
use crate::files::{self, EnvironmentError};
use std::path::{Path, PathBuf};

/// The result of a night.
#[derive(Debug)]
pub struct NightResult {
    /// The summary.
    pub summary: NightSummary,
    /// The path of the page.
    pub page: PathBuf,
}

/// Writes the summary of a night in each of its forms, and appends it to the history.
pub(super) fn publish(summary: NightSummary, dir: &Path) -> Result<NightResult, EnvironmentError> {
    summary.write(&dir.join("night.json"))?;
    files::write(&dir.join("junit.xml"), &junit::render(&summary))?;
    let past = history::append(dir, &summary)?;
    let page = dir.join("night.html");
    files::write(&page, &page::render(&summary, &past))?;
    Ok(NightResult { summary, page })
}
