//! Tests of the whole system, in one binary.
//!
//! - `auth`: the login protocol, over generated answers, tokens, times and events.
//! - `checks`: the checks over generated plans, and self-tests of the checks.
//! - `tidy`: house style and layering.
//! - `configurations`: configurations of any options, URLs of any shape.
//! - `schemas`: schemas of any shape, and the decisions of schema modes.
//! - `faults_page`: docs/faults.md has the faults of the registry.
//! - `deep`: trees of many levels, compared with a map.
//! - `kill`: a process that is killed repeatedly.
//! - `merge`: the merge rules of the sync core against their model.
//! - `reset`: the rules of a client reset against their model.
//! - `server_replica`: the server replica of the sync core against its model, crashes and restores.
//! - `traces`: recorded editing sessions through the merge.
//! - `backups`: backups on another file system, with disk errors and power losses.
//! - `opening`: malformed files, each with its error.
//! - `planted`: planted faults that hostile files find, with the feature `faults`.
//! - `replay`: the fuzz corpora, through the bodies of the fuzz targets.
//! - `sessions`: frames and sessions of sync, over any bytes.
//! - `sim_disk`: the simulated disk, and what a power loss leaves of it.
//! - `typed`: structs and their stored objects, over generated steps.
//! - `rolled_back`: commits whose record cannot be written.

#![expect(clippy::unwrap_used, reason = "a test panics when what it needs is not there")]

mod auth;
mod backups;
mod checks;
mod configurations;
mod deep;
mod faults_page;
mod kill;
mod merge;
mod opening;
#[cfg(feature = "faults")]
mod planted;
mod replay;
mod reset;
mod rolled_back;
mod schemas;
mod server;
mod server_replica;
mod sessions;
mod sim_disk;
mod tidy;
mod traces;
mod typed;
