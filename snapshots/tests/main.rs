//! Golden files and reviewed texts, in one binary.
//!
//! - `auth`: what goes over the wire of logins, and what its errors say.
//! - `wire`: what goes over the wire of logins, both ways, byte by byte.
//! - `golden`: every golden file still opens and holds what it held.
//! - `texts`: what errors and settings say, and what they must not say.
//! - `configurations`: which are equal, how they hash and print.
//! - `schemas`: schemas, and the errors of schemas and configurations.
//! - `instances`: the errors of instances.
//! - `objects`: golden files of objects, what their pages look like, and the errors of objects.
//! - `dumps`: what the pages of the golden files look like.

#![expect(clippy::unwrap_used, reason = "a test panics when what it needs is not there")]

mod auth;
mod configurations;
mod dumps;
mod golden;
mod instances;
mod objects;
mod schemas;
mod texts;
mod wire;
