//! The result of one step of a night.

use super::part::Part;
use crate::summary::{Canary, CheckSummary};
use serde::{Deserialize, Serialize};

/// One finished step.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step {
    /// The part it belongs to.
    pub part: Part,
    /// Elapsed time, in seconds; steps that ran side by side share the time.
    pub seconds: f64,
    /// Names of its findings, which are folders below `findings`.
    pub findings: Vec<String>,
    /// The result.
    pub result: StepResult,
}

impl Step {
    /// Returns the result if the step attacked the canary.
    pub(crate) fn canary(&self) -> Option<&Canary> {
        if let StepResult::Canary(result) = &self.result { Some(result) } else { None }
    }

    /// Returns the result if the step built programs.
    pub(crate) fn build(&self) -> Option<&BuildRun> {
        if let StepResult::Build(result) = &self.result { Some(result) } else { None }
    }

    /// Returns the result if the step ran a fuzz target.
    pub(crate) fn fuzz(&self) -> Option<&FuzzRun> {
        if let StepResult::Fuzz(result) = &self.result { Some(result) } else { None }
    }

    /// Returns the result if the step explored a model.
    pub(crate) fn loom(&self) -> Option<&LoomRun> {
        if let StepResult::Loom(result) = &self.result { Some(result) } else { None }
    }

    /// Returns the result if the step planted a fault.
    pub(crate) fn fault(&self) -> Option<&FaultRun> {
        if let StepResult::Fault(result) = &self.result { Some(result) } else { None }
    }
}

/// The result of a step.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum StepResult {
    /// The canary was attacked.
    Canary(Canary),
    /// Every check ran.
    Checks(ChecksRun),
    /// The programs of a part were built, or could not be.
    Build(BuildRun),
    /// A fuzz target ran.
    Fuzz(FuzzRun),
    /// A loom model was explored.
    Loom(LoomRun),
    /// A fault was planted.
    Fault(FaultRun),
}

/// One run of all checks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ChecksRun {
    /// Seed of its plans.
    pub seed: u64,
    /// Each check and twin.
    pub checks: Vec<CheckSummary>,
}

/// A build of the programs of a part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BuildRun {
    /// Why the part is left out; empty if the build succeeded.
    pub problem: String,
    /// The programs: fuzz targets, loom models or faults.
    pub names: Vec<String>,
}

/// One run of a fuzz target.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FuzzRun {
    /// Name of the target.
    pub target: String,
    /// Inputs that ran.
    pub runs: u64,
    /// Edges of the program that the corpus covers.
    pub edges: u64,
    /// Features that the corpus covers: edges with hit counts and compared values.
    pub features: u64,
    /// Features that were new in this run.
    pub new_features: u64,
    /// Inputs in the corpus.
    pub inputs: u64,
}

/// One exploration of a loom model.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LoomRun {
    /// Name of the model.
    pub model: String,
    /// Preemptions allowed at most; models that ask for more get what they ask for.
    pub preemptions: usize,
    /// Interleavings explored in this run.
    pub interleavings: u64,
    /// Whether every interleaving at this bound is explored.
    pub complete: bool,
}

/// One attack on a planted fault.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct FaultRun {
    /// Its id.
    pub id: String,
    /// Description of the fault.
    pub about: String,
    /// Time limit, in seconds.
    pub limit_seconds: u64,
    /// How often the faulty code ran.
    pub reached: u64,
    /// The check and twin that caught it; empty if none did.
    pub check: String,
    /// Id of the violated promise; empty if none caught it.
    pub invariant: String,
    /// Seconds until it was caught, or the time limit.
    pub seconds: f64,
    /// Why the attack says nothing about the checks; empty if it ran.
    #[serde(default)]
    pub problem: String,
}
