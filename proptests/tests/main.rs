//! Everything that tests the whole instead of one module, in one binary.
//!
//! - `auth`: the wire of logins, over generated answers, tokens, times and courses of events.
//! - `checks`: the checks over generated plans, and the checks of the checks.
//! - `tidy`: the house style and the layering, held as tests.
//! - `configurations`: configurations of any options, URLs of any shape.
//! - `schemas`: schemas of any shape, and what modes decide about them.
//! - `deep`: trees of many levels, compared with a map.
//! - `kill`: a real process, killed again and again.
//! - `moved`: backups on another file system, among errors and losses of power.
//! - `opening`: files that are not as they should be, told apart.
//! - `replay`: the fuzz corpora, through the bodies of the fuzz targets.
//! - `typed`: structs and the objects they are written to, over generated steps.
//! - `undone`: commits whose record cannot be written.

#![expect(clippy::unwrap_used, reason = "a test panics when what it needs is not there")]

mod auth;
mod checks;
mod configurations;
mod deep;
mod kill;
mod moved;
mod opening;
mod replay;
mod schemas;
mod server;
mod tidy;
mod typed;
mod undone;
