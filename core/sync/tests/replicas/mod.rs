//! Replicas on files.
//!
//! - `app`: an app that writes.
//! - `draining`: the cost of many pending entries.
//! - `fast_path`: the fast path against the slow one.
//! - `histories`: clients against one fold of the history.
//! - `hostile`: a server that sends what no honest one would.
//! - `local_classes`: objects that a synced file keeps for itself.
//! - `resets`: copies of files, and numbers of reports.
//! - `sessions`: clients and a server over sessions.
//! - `transcripts`: recorded frames of the protocol's versions.

mod app;
mod draining;
mod fast_path;
mod histories;
mod hostile;
mod local_classes;
mod resets;
mod sessions;
mod transcripts;
