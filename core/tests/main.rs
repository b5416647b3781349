//! Tests of the store through its public face, in one binary: linking costs more than the tests.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod classes;
mod configuration;
mod costs;
#[cfg(feature = "derive")]
mod derived;
mod guards;
mod instances;
mod listening;
mod lists;
mod live;
mod log;
mod migrations;
mod objects;
mod observing;
mod own_errors;
mod paths;
mod queries;
mod schema;
mod schema_modes;
mod store;
mod sync_configuration;
mod synced;
mod threads;
mod transactions;
#[cfg(feature = "derive")]
mod typed;
