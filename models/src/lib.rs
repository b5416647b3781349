//! Reference models and the one alphabet of operations. Depends on nothing, not even on the core:
//! that independence is what makes agreement mean something.
//!
//! - [`op`]: what a plan is made of, four bytes an operation, every byte string legal.
//! - [`domain`]: what the operands of a plan stand for: small sets of keys and values.
//! - [`object_domain`]: the same for plans about objects.
//! - [`store`]: what the store promises.
//! - [`instances`]: who has which file open; [`file_actions`]: what is done to files while closed.
//! - [`auth`]: users over time, on the side of a program; [`auth_server`]: accounts.
//! - [`objects`]: what a database of objects promises.
//! - [`object_schema`]: the same when classes change.
//! - [`object_synced`]: the same of a file that is synced.
//! - [`object_whole`]: the same for objects that are written whole, as structs are.
//! - [`object_query`]: what a query answers.
//! - [`struct_domain`]: what a struct of a plan holds.
//! - [`query_domain`]: which queries a plan asks.

pub mod auth;
pub mod auth_server;
pub mod domain;
pub mod file_actions;
pub mod instances;
pub mod object_domain;
pub mod object_query;
pub mod object_schema;
pub mod object_synced;
pub mod object_whole;
pub mod objects;
pub mod op;
pub mod query_domain;
pub mod store;
pub mod struct_domain;

pub use domain::Domain;
pub use op::{Kind, Op};
pub use store::Outcome;
