//! Findings: broken promises, each once, as small as they get, saved with how to replay them.
//!
//! - K4 One finding for each check, twin, invariant and kind of the last operation: a bug that
//!   breaks a thousand plans is one finding seen a thousand times.

use crate::planfile::PlanFile;
use crate::plans::Pair;
use crate::{Environment, files};
use fastness_sim::check::{Invariant, NO_PANIC, Plan, Probe, Violation};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Broken by a plan that never ends; the campaign itself guards it.
pub const HANG: Invariant = Invariant { id: "X3", promise: "Every plan ends." };

const SHRINK_TRIES: u32 = 250;
const SHRINK_TRIES_MAX: u32 = 2000;

/// Where a finding came from.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The check and its twin.
    pub pair: Pair,
    /// Number of the plan in the campaign.
    pub number: u64,
    /// Seed of the plan, for `replay CHECK:SEED`.
    pub plan_seed: u64,
}

/// A broken promise.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Where it came from.
    pub origin: Origin,
    /// What was broken, and how.
    pub violation: Violation,
    /// The smallest plan known to break it.
    pub plan: Plan,
    /// Operations of the plan it was found with.
    pub operations_before: usize,
    /// Whether shrinking came to its end.
    pub shrunk: bool,
    /// Plans that broke it in the same way.
    pub seen: u64,
    /// Time from the start of the campaign.
    pub after: Duration,
}

impl Finding {
    /// Returns what is written to disk for it.
    #[must_use]
    pub fn file(&self) -> PlanFile {
        PlanFile {
            pair: self.origin.pair,
            invariant: self.violation.invariant.to_owned(),
            plan: self.plan.clone(),
        }
    }

    /// Returns the sentence that was promised and does not hold.
    #[must_use]
    pub fn promise(&self) -> &'static str {
        promise(self.origin.pair, self.violation.invariant)
    }

    /// Returns the kind of the operation it happened at.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        Shape::new(self.origin.pair, &self.plan, &self.violation).operation
    }

    /// Looks for a smaller plan that breaks the same invariant until `deadline` or `stop`.
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

    /// Takes a smaller plan over, with its own violation, if it still breaks the same invariant.
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

    /// Saves `<name>.plan`, and `<name>.txt` beside it that tells the story.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), Environment> {
        let file = self.file();
        let plan_path = folder.join(file.name()).with_extension("plan");
        files::write(&plan_path, &file.render())?;
        files::write(&plan_path.with_extension("txt"), &self.story(&plan_path))
    }

    /// Returns the command that replays it from its file.
    #[must_use]
    pub fn replay(&self, folder: &Path) -> String {
        let path = folder.join(self.file().name()).with_extension("plan");
        format!("cargo campaign replay {}", path.display())
    }

    /// Returns the command that replays the plan it was found with.
    #[must_use]
    pub fn replay_origin(&self) -> String {
        let Origin { pair, plan_seed, .. } = self.origin;
        let (check, twin) = (pair.check.name, pair.twin.name());
        format!("cargo campaign replay {check}:{plan_seed} --twin {twin}")
    }

    fn story(&self, plan_path: &Path) -> String {
        let trace = if self.violation.invariant == HANG.id {
            vec!["(not replayed: it does not end)".to_owned()]
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
}

/// Returns the sentence an invariant of a check promises.
#[must_use]
pub fn promise(pair: Pair, invariant: &str) -> &'static str {
    let known = pair.check.invariants.iter().chain([&NO_PANIC, &HANG]);
    known.filter(|known| known.id == invariant).map(|known| known.promise).next().unwrap_or("")
}

/// Runs a plan and returns what it did, line by line, and how it ended.
pub fn trace(pair: Pair, plan: &Plan) -> (Vec<String>, Result<(), Violation>) {
    let mut probe = Probe::tracing();
    let outcome = pair.check.run(plan, pair.twin, &mut probe);
    (probe.trace.unwrap_or_default(), outcome)
}

/// What makes two violations the same finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Shape {
    pair: String,
    invariant: &'static str,
    operation: &'static str,
}

impl Shape {
    pub(crate) fn new(pair: Pair, plan: &Plan, violation: &Violation) -> Self {
        let last = plan.ops.len().saturating_sub(1);
        let op = plan.ops.get(violation.step.unwrap_or(last));
        let operation = op.map_or("", |op| op.kind.name());
        Self { pair: pair.to_string(), invariant: violation.invariant, operation }
    }
}

/// Every finding of a campaign.
#[derive(Default)]
pub(crate) struct Findings {
    found: BTreeMap<Shape, Finding>,
    /// Shapes that turned out, once small, to be another finding.
    aliases: BTreeMap<Shape, Shape>,
}

impl Findings {
    /// Counts a violation; returns whether it is new and was kept.
    pub(crate) fn add(&mut self, shape: &Shape, finding: &Finding) -> bool {
        let shape = self.aliases.get(shape).unwrap_or(shape);
        if let Some(known) = self.found.get_mut(shape) {
            known.seen += 1;
            return false;
        }
        self.found.insert(shape.clone(), finding.clone());
        true
    }

    /// Replaces a finding by its small form; returns whether that is still a finding of its own.
    pub(crate) fn settle(&mut self, shape: &Shape, finding: Finding) -> bool {
        let small = Shape::new(finding.origin.pair, &finding.plan, &finding.violation);
        let seen = self.found.remove(shape).map_or(1, |known| known.seen);
        if small != *shape {
            self.aliases.insert(shape.clone(), small.clone());
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
        self.found.keys().filter(|shape| shape.pair == pair).count()
    }

    pub(crate) fn into_vec(self) -> Vec<Finding> {
        self.found.into_values().collect()
    }
}
