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
mod booted;
mod bounds;
mod canary;
mod catch_panic;
mod compaction;
mod compare;
mod core_query;
mod crash;
mod damage;
mod definition;
mod edits;
mod examine;
mod file_actions;
mod fixtures;
mod instances;
mod interleaved;
mod io_errors;
mod io_faults;
mod io_sweep;
mod live_results;
mod mirror;
mod nonces;
mod objects;
mod observers;
mod page_map;
mod paths;
mod pins;
mod plan;
mod probe;
mod promises;
mod queries;
mod query_groups;
mod refused_open;
mod schema;
mod shrink;
mod store;
mod store_harness;
mod sync;
mod unsynced;
mod world;
mod writers;

pub use definition::{Check, Invariant, NO_PANIC, Twin, Violation};
pub use plan::{PLAN_OPS_MAX, Plan};
pub use probe::Probe;

pub use fastness_models::{Op, OpKind};

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
    mirror::CHECK,
    bounds::CHECK,
    interleaved::CHECK,
    sync::MERGE,
    sync::CHECK,
    sync::SESSIONS,
    sync::RESET,
];

/// A false promise that every campaign must report.
pub static CANARY: Check = canary::CHECK;

/// Returns the check with this name, including the canary.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Check> {
    CHECKS.iter().chain([&CANARY]).find(|check| check.name == name)
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
    "mirror" => mirror, mirror_encrypted;
    "bounds" => bounds, bounds_encrypted;
    "interleaved" => interleaved, interleaved_encrypted;
    "merge" => sync_merge, sync_merge_encrypted;
    "sync" => sync_replicas, sync_replicas_encrypted;
    "sessions" => sync_sessions, sync_sessions_encrypted;
    "reset" => sync_resets, sync_resets_encrypted;
}
