//! The checks: each is a total function of any bytes, with an encrypted twin.
//!
//! - X1 No plan makes the core or a check panic.
//! - X2 The same plan and the same twin give the same result and the same trace.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a check handles the operations it names and treats all others alike"
)]

mod adversary;
mod auth;
mod canary;
mod catch_panic;
mod compaction;
mod compare;
mod crash;
mod damage;
mod examine;
mod file_actions;
mod fixtures;
mod instances;
mod io_errors;
mod io_faults;
mod nonces;
mod objects;
mod observers;
mod pins;
mod plan;
mod probe;
mod promises;
mod queries;
mod refused_open;
mod schema;
mod shrink;
mod store;
mod store_harness;
mod unsynced;
mod world;
mod writers;

pub use plan::{PLAN_OPS_MAX, Plan};
pub use probe::Probe;

use self::catch_panic::catch_panic;
use crate::rng::Rng;
pub use fastness_models::{Op, OpKind};
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

type Body = fn(&Plan, Twin, &mut Probe) -> Result<(), Violation>;

/// The distribution that plans are drawn from.
#[derive(Clone, Copy, Debug)]
struct Distribution {
    mix: &'static [(OpKind, usize)],
    ops_min: usize,
    ops_max: usize,
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
    distribution: Distribution,
    body: Body,
}

/// All checks of a campaign.
pub static CHECKS: &[Check] = &[
    store::CHECK,
    crash::CHECK,
    io_errors::CHECK,
    damage::CHECK,
    adversary::CHECK,
    nonces::CHECK,
    pins::CHECK,
    compaction::CHECK,
    unsynced::CHECK,
    writers::CHECK,
    auth::CHECK,
    objects::CHECK,
    schema::CHECK,
    queries::CHECK,
    instances::CHECK,
    file_actions::CHECK,
    observers::CHECK,
];

/// A false promise that every campaign must report.
pub static CANARY: Check = canary::CHECK;

/// Returns the check with this name, including the canary.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Check> {
    CHECKS.iter().chain([&CANARY]).find(|check| check.name == name)
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

    /// Shrinks a plan: returns the smallest plan found within `tries_max` runs that violates the
    /// same invariant.
    #[must_use]
    #[expect(clippy::too_many_arguments, reason = "the contract with the campaign")]
    pub fn shrink(&self, plan: &Plan, twin: Twin, violation: &Violation, tries_max: u32) -> Plan {
        let invariant = violation.invariant;
        let mut shrinker = shrink::Shrinker { check: self, twin, invariant, tries_left: tries_max };
        shrinker.shrink(plan, violation)
    }
}

fn run_bytes(name: &str, twin: Twin, bytes: &[u8]) {
    let Some(check) = by_name(name) else { panic!("no check is called {name}") };
    let plan = Plan::from_bytes(bytes);
    if let Err(violation) = check.run(&plan, twin, &mut Probe::default()) {
        panic!("{name} {}: {violation}\n{plan}", twin.name());
    }
}

macro_rules! bodies {
    ($($name:literal => $plain:ident, $encrypted:ident;)*) => {$(
        #[doc = concat!("Runs the check `", $name, "` on any bytes, without a key.")]
        ///
        /// # Panics
        /// With the violated promise.
        pub fn $plain(bytes: &[u8]) {
            run_bytes($name, Twin::Plain, bytes);
        }

        #[doc = concat!("Runs the check `", $name, "` on any bytes, with a key.")]
        ///
        /// # Panics
        /// With the violated promise.
        pub fn $encrypted(bytes: &[u8]) {
            run_bytes($name, Twin::Encrypted, bytes);
        }
    )*};
}

bodies! {
    "store" => store, store_encrypted;
    "crash" => crash, crash_encrypted;
    "io-errors" => io_errors, io_errors_encrypted;
    "damage" => damage, damage_encrypted;
    "adversary" => adversary, adversary_encrypted;
    "nonces" => nonces, nonces_encrypted;
    "pins" => pins, pins_encrypted;
    "compaction" => compaction, compaction_encrypted;
    "unsynced" => unsynced, unsynced_encrypted;
    "writers" => writers, writers_encrypted;
    "auth" => auth_users, auth_users_encrypted;
    "objects" => objects, objects_encrypted;
    "schema" => schema, schema_encrypted;
    "queries" => queries, queries_encrypted;
    "instances" => instances, instances_encrypted;
    "file-actions" => file_actions, file_actions_encrypted;
    "observers" => observers, observers_encrypted;
}
