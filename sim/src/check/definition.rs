//! Definitions of a check, its twins, its promises and its violations.

use super::catch_panic::catch_panic;
use super::plan::Plan;
use super::probe::Probe;
use crate::Rng;
use fastness_models::OpKind;
use std::fmt;

/// A promise of the store, with its id in the register of promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Invariant {
    /// The id.
    pub id: &'static str,
    /// The promise.
    pub promise: &'static str,
}

/// The invariant of every check.
pub const NO_PANIC: Invariant =
    Invariant { id: "X1", promise: "No plan makes the store or a check panic." };

/// A violated promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The id of the invariant.
    pub invariant: &'static str,
    /// The expected and the actual outcome.
    pub text: String,
    /// The index of the operation in the plan.
    pub step: Option<usize>,
}

impl Violation {
    pub(crate) fn new(invariant: &'static str, text: impl Into<String>) -> Self {
        Self { invariant, text: text.into(), step: None }
    }

    pub(crate) fn at(mut self, step: usize) -> Self {
        self.step.get_or_insert(step);
        self
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.text)?;
        match self.step {
            Some(step) => write!(f, " (operation {step})"),
            None => Ok(()),
        }
    }
}

/// The twin of a check: the same plan without or with encryption.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Twin {
    /// Without a key: checksums.
    #[default]
    Plain,
    /// With a key: authenticated encryption.
    Encrypted,
}

impl Twin {
    /// Both twins.
    pub const ALL: [Self; 2] = [Self::Plain, Self::Encrypted];

    /// Returns the name for reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Encrypted => "encrypted",
        }
    }
}

pub(super) type Body = fn(&Plan, Twin, &mut Probe) -> Result<(), Violation>;

/// The distribution that plans are drawn from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Distribution {
    pub(super) mix: &'static [(OpKind, usize)],
    pub(super) ops_min: usize,
    pub(super) ops_max: usize,
}

/// A check: drives core and model with a plan and compares them.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// The name on the command line.
    pub name: &'static str,
    /// Description.
    pub about: &'static str,
    /// The invariants, besides [`NO_PANIC`].
    pub invariants: &'static [Invariant],
    /// Rare events that every campaign must hit.
    pub marks: &'static [&'static str],
    pub(super) distribution: Distribution,
    pub(super) body: Body,
}

impl Check {
    /// Runs a plan; a panic becomes a violation of X1.
    ///
    /// # Errors
    /// The first violated promise.
    pub fn run(&self, plan: &Plan, twin: Twin, probe: &mut Probe) -> Result<(), Violation> {
        catch_panic(|| (self.body)(plan, twin, probe))
            .unwrap_or_else(|message| Err(Violation::new(NO_PANIC.id, message)))
    }

    /// Returns the plan of a seed; it never changes for one version of the code.
    #[must_use]
    pub fn plan(&self, seed: u64) -> Plan {
        let name = self.name.bytes().fold(0, |sum: u64, byte| sum * 31 + u64::from(byte));
        let mut rng = Rng::new(seed ^ name.rotate_left(40));
        let Distribution { mix, ops_min, ops_max } = self.distribution;
        let ops = ops_min + rng.below(ops_max - ops_min + 1);
        Plan::draw(&mut rng, mix, ops)
    }

    /// Returns the operation kinds of its plans, with their weights.
    #[must_use]
    pub const fn mix(&self) -> &'static [(OpKind, usize)] {
        self.distribution.mix
    }
}
