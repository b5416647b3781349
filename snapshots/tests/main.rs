//! Golden files and reviewed texts, in one binary.
//!
//! - `auth`: requests, tokens and errors of the login protocol.
//! - `wire`: the bytes of requests and answers.
//! - `golden`: every golden file still opens with its contents.
//! - `texts`: errors and settings, and secrets that they must not contain.
//! - `client_texts`: errors of the client.
//! - `configurations`: equality, hashes, display.
//! - `schemas`: schemas, and the errors of schemas and configurations.
//! - `instances`: the errors of instances.
//! - `objects`: golden files of objects, their pages, and object errors.
//! - `resets`: the report of a client reset.
//! - `transcripts`, `stage`: the frames of the sync protocol in named situations.
//! - `dumps`: the pages of golden files.
//! - `written`: the bytes of files made today.

#![expect(clippy::unwrap_used, reason = "a test panics when what it needs is not there")]

mod auth;
mod client_texts;
mod configurations;
mod dumps;
mod golden;
mod instances;
mod objects;
mod resets;
mod schemas;
mod stage;
mod texts;
mod transcripts;
mod wire;
mod written;
