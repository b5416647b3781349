//! Findings: violations, deduplicated, shrunk, and saved with the command that replays them.
//!
//! - CA4 One finding per signature: check, twin, invariant and kind of the last operation. A bug
//!   that breaks a thousand plans is one finding seen a thousand times.

use crate::planfile::PlanFile;
use crate::plans::Pair;
use crate::{EnvironmentError, files};
use fastness_sim::check::{Invariant, NO_PANIC, Plan, Probe, Violation};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Violated by a plan that hangs; the campaign itself checks it.
pub const HANG: Invariant = Invariant { id: "X3", promise: "Every plan ends." };

const SHRINK_TRIES: u32 = 250;
const SHRINK_TRIES_MAX: u32 = 2000;

/// The origin of a finding.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The check and its twin.
    pub pair: Pair,
    /// Number of the plan in the campaign.
    pub number: u64,
    /// Seed of the plan, for `replay CHECK:SEED`.
    pub plan_seed: u64,
}

/// A violated promise.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The plan that found it.
    pub origin: Origin,
    /// The violation.
    pub violation: Violation,
    /// The smallest known plan that reproduces it.
    pub plan: Plan,
    /// Length of the original plan.
    pub operations_before: usize,
    /// Whether shrinking finished.
    pub shrunk: bool,
    /// Number of plans with this signature.
    pub seen: u64,
    /// Time from the start of the campaign.
    pub after: Duration,
}

impl Finding {
    /// Returns the plan file of the finding.
    #[must_use]
    pub fn file(&self) -> PlanFile {
        PlanFile {
            pair: self.origin.pair,
            invariant: self.violation.invariant.to_owned(),
            plan: self.plan.clone(),
        }
    }

    /// Returns the violated promise.
    #[must_use]
    pub fn promise(&self) -> &'static str {
        promise(self.origin.pair, self.violation.invariant)
    }

    /// Returns the kind of the operation that failed.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        Signature::new(self.origin.pair, &self.plan, &self.violation).operation
    }

    /// Shrinks the plan until `deadline` or `stop`.
    pub fn shrink(&mut self, deadline: Instant, stop: &dyn Fn() -> bool) {
        let Origin { pair, .. } = self.origin;
        let mut tries = SHRINK_TRIES;
        while Instant::now() < deadline && !stop() {
            let plan = pair.check.shrink(&self.plan, pair.twin, &self.violation, tries);
            let smaller = plan != self.plan;
            if smaller && !self.adopt(plan) {
                return;
            }
            if !smaller && tries == SHRINK_TRIES_MAX {
                break;
            }
            if !smaller {
                tries = SHRINK_TRIES_MAX;
            }
        }
        self.shrunk = true;
    }

    /// Replaces the plan by a smaller one if that violates the same invariant.
    fn adopt(&mut self, plan: Plan) -> bool {
        let Origin { pair, .. } = self.origin;
        let Err(violation) = pair.check.run(&plan, pair.twin, &mut Probe::default()) else {
            return false;
        };
        if violation.invariant != self.violation.invariant {
            return false;
        }
        self.plan = plan;
        self.violation = violation;
        true
    }

    /// Saves `<name>.plan`, and a description in `<name>.txt`.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), EnvironmentError> {
        let file = self.file();
        let plan_path = folder.join(file.name()).with_extension("plan");
        files::write(&plan_path, &file.render())?;
        files::write(&plan_path.with_extension("txt"), &self.story(&plan_path))
    }

    /// Returns the command that replays the saved plan.
    #[must_use]
    pub fn replay(&self, folder: &Path) -> String {
        let path = folder.join(self.file().name()).with_extension("plan");
        format!("cargo campaign replay {}", path.display())
    }

    /// Returns the command that replays the original plan.
    #[must_use]
    pub fn replay_origin(&self) -> String {
        let Origin { pair, plan_seed, .. } = self.origin;
        let (check, twin) = (pair.check.name, pair.twin.name());
        format!("cargo campaign replay {check}:{plan_seed} --twin {twin}")
    }

    /// Returns the description of the finding, with the steps of its plan.
    pub(crate) fn story(&self, plan_path: &Path) -> String {
        let trace = if self.violation.invariant == HANG.id {
            vec!["(not replayed: the plan hangs)".to_owned()]
        } else {
            trace(self.origin.pair, &self.plan).0
        };
        format!(
            "{}: {}\n{}\n\ncheck      {}\noperations {} (of {} when found)\nreplay     \
             cargo campaign replay {}\noriginal   {}\npromote    cargo campaign promote {}\n\n{}\n",
            self.violation.invariant,
            self.promise(),
            self.violation,
            self.origin.pair,
            self.plan.ops.len(),
            self.operations_before,
            plan_path.display(),
            self.replay_origin(),
            plan_path.display(),
            trace.join("\n"),
        )
    }

    /// Returns the pages of the files that the plan leaves, drawn as a picture.
    pub(crate) fn page_map(&self) -> String {
        if self.violation.invariant == HANG.id {
            return "(not replayed: the plan hangs)\n".to_owned();
        }
        self.origin.pair.check.page_map(&self.plan, self.origin.pair.twin)
    }
}

/// Returns the promise of an invariant of a check.
#[must_use]
pub fn promise(pair: Pair, invariant: &str) -> &'static str {
    let known = pair.check.invariants.iter().chain([&NO_PANIC, &HANG]);
    known.filter(|known| known.id == invariant).map(|known| known.promise).next().unwrap_or("")
}

/// Runs a plan and returns its trace and its outcome.
pub fn trace(pair: Pair, plan: &Plan) -> (Vec<String>, Result<(), Violation>) {
    let mut probe = Probe::tracing();
    let outcome = pair.check.run(plan, pair.twin, &mut probe);
    (probe.trace.unwrap_or_default(), outcome)
}

/// The key for deduplication: findings with equal signatures are one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Signature {
    pair: String,
    invariant: &'static str,
    operation: &'static str,
}

impl Signature {
    pub(crate) fn new(pair: Pair, plan: &Plan, violation: &Violation) -> Self {
        let last = plan.ops.len().saturating_sub(1);
        let op = plan.ops.get(violation.step.unwrap_or(last));
        let operation = op.map_or("", |op| op.kind.name());
        Self { pair: pair.to_string(), invariant: violation.invariant, operation }
    }
}

/// All findings of a campaign.
#[derive(Default)]
pub(crate) struct Findings {
    found: BTreeMap<Signature, Finding>,
    /// Signatures whose shrunk plan has another signature.
    aliases: BTreeMap<Signature, Signature>,
}

impl Findings {
    /// Counts a violation; returns whether its signature is new.
    pub(crate) fn add(&mut self, signature: &Signature, finding: &Finding) -> bool {
        let signature = self.aliases.get(signature).unwrap_or(signature);
        if let Some(known) = self.found.get_mut(signature) {
            known.seen += 1;
            return false;
        }
        self.found.insert(signature.clone(), finding.clone());
        true
    }

    /// Replaces a finding by its shrunk form; returns whether that has a signature of its own.
    pub(crate) fn settle(&mut self, signature: &Signature, finding: Finding) -> bool {
        let small = Signature::new(finding.origin.pair, &finding.plan, &finding.violation);
        let seen = self.found.remove(signature).map_or(1, |known| known.seen);
        if small != *signature {
            self.aliases.insert(signature.clone(), small.clone());
        }
        if let Some(known) = self.found.get_mut(&small) {
            known.seen += seen;
            return false;
        }
        self.found.insert(small, Finding { seen, ..finding });
        true
    }

    pub(crate) fn count_of(&self, pair: Pair) -> usize {
        let pair = pair.to_string();
        self.found.keys().filter(|signature| signature.pair == pair).count()
    }

    pub(crate) fn into_vec(self) -> Vec<Finding> {
        self.found.into_values().collect()
    }
}
