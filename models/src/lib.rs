//! Reference models, and the alphabet of operations. This crate depends on nothing, not even on the
//! core: agreement means something because the two are independent.
//!
//! - [`op`]: operations of a plan, four bytes each; every byte string is a plan.
//! - [`domain`]: the values of operands: small sets of keys and values.
//! - [`object_domain`]: the same for operations on objects.
//! - [`store`]: the store.
//! - [`instances`]: open files; [`file_actions`]: recorded actions on closed files.
//! - [`live_results`]: the result that a report of positions leads to.
//! - [`merge`]: the state that a history of concurrent write transactions makes.
//! - [`auth`]: users of a program; [`auth_server`]: accounts of a server.
//! - [`objects`]: a database of objects.
//! - [`object_schema`]: schema changes.
//! - [`object_synced`]: schema changes of a synced file.
//! - [`object_values`]: objects written as a whole, as structs are.
//! - [`object_query`]: queries of objects.
//! - [`struct_domain`]: the values of structs in a plan.
//! - [`query_domain`]: the queries of a plan.

pub mod auth;
mod auth_calls;
pub mod auth_server;
pub mod domain;
pub mod file_actions;
pub mod instances;
pub mod live_results;
pub mod merge;
mod object_automatic;
pub mod object_domain;
pub mod object_query;
pub mod object_schema;
pub mod object_synced;
pub mod object_values;
pub mod objects;
pub mod op;
pub mod query_domain;
pub mod store;
pub mod struct_domain;

pub use domain::Domain;
pub use op::{Op, OpKind};
pub use store::StoreOutcome;
