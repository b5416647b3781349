//! How a mutant fared.

use serde::{Deserialize, Serialize};

/// How a mutant fared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "lowercase")]
pub enum Fate {
    /// A check reported a violated promise.
    Killed {
        /// The check.
        check: String,
        /// The promise.
        invariant: String,
    },
    /// The process of the campaign ended without a report.
    Aborted {
        /// The last line it wrote.
        text: String,
    },
    /// Tests failed; no check had noticed it.
    Failed {
        /// The arguments of `cargo test`.
        tests: String,
    },
    /// It neither ended nor reported in its time.
    Timeout,
    /// Nothing was noticed.
    Survived,
}

/// A mutant, and how it fared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MutantRow {
    /// The file, the line, the column and the change.
    pub name: String,
    /// The file.
    pub file: String,
    /// The result.
    #[serde(flatten)]
    pub fate: Fate,
    /// Seconds until then.
    pub seconds: f64,
}
