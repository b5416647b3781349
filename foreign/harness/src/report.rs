//! Findings, and the lines that a program prints.

use fastness_crashkit::crash::Lost;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The kind of a violated promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// After a crash, an acknowledged commit is missing, or a state that never was.
    Lost,
    /// After a crash, the file does not open, or does not read.
    Unusable,
    /// An answer is wrong.
    Wrong,
    /// An operation failed although no fault was injected.
    Refused,
    /// The store's own checker reports damage.
    Damaged,
    /// The store panics.
    Panicked,
}

/// A violated promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The kind.
    pub kind: Kind,
    /// The expected and the actual outcome.
    pub text: String,
    /// The index of the operation in the plan.
    pub step: usize,
}

impl Finding {
    pub(crate) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), step: 0 }
    }

    pub(crate) fn lost(lost: &Lost) -> Self {
        let kind = match lost.text.split_once(": ").map(|(head, _)| head) {
            Some("open" | "read") => Kind::Unusable,
            Some("verify") => Kind::Damaged,
            _ => Kind::Lost,
        };
        Self::new(kind, lost.to_string())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Lost => "a commit is lost or torn",
            Kind::Unusable => "the file is unusable",
            Kind::Wrong => "a wrong answer",
            Kind::Refused => "an error without a cause",
            Kind::Damaged => "its own checker reports damage",
            Kind::Panicked => "a panic",
        };
        write!(f, "{kind}: {} (operation {})", self.text, self.step)
    }
}

/// The result of an attack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Name and version of the store.
    pub store: String,
    /// Seed of the first plan.
    pub seed: u64,
    /// Plans that were run.
    pub plans: u64,
    /// Operations that were compared with the model.
    pub operations: u64,
    /// Crashes whose recovery was compared with the model.
    pub crashes: u64,
    /// Findings of ignored kinds.
    pub ignored: u64,
    /// CPU time until the first finding, or of the whole attack, in seconds.
    pub cpu_seconds: f64,
    /// The first finding.
    pub finding: Option<Finding>,
    /// Its plan, reduced: check, bytes in hexadecimal, and steps.
    pub plan: Option<ReducedPlan>,
}

/// A plan that fails.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReducedPlan {
    /// The check whose plan it is.
    pub check: String,
    /// Its bytes in hexadecimal.
    pub bytes: String,
    /// Its operations.
    pub steps: Vec<String>,
    /// Operations of the plan before its reduction.
    pub steps_before: usize,
}
