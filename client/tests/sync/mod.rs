//! Synced files over real sockets, and a server in memory.

mod callbacks;
mod peer;
mod progress;
mod resets;
mod sessions;
mod support;
#[cfg(feature = "async")]
mod tasks;
mod transfers;
