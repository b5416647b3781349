//! Reference models and the one alphabet of operations. Depends on nothing, not even on the core:
//! that independence is what makes agreement mean something.
//!
//! - [`op`]: what a plan is made of, four bytes an operation, every byte string legal.
//! - [`domain`]: what the operands of a plan stand for: small sets of keys and values.
//! - [`store`]: what the store promises.
//! - [`auth`]: users over time, on the side of a program; [`auth_server`]: accounts.

pub mod auth;
pub mod auth_server;
pub mod domain;
pub mod op;
pub mod store;

pub use domain::Domain;
pub use op::{Kind, Op};
pub use store::Outcome;
