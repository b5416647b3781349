//! Synced files over real sockets, and a server in memory.

mod callbacks;
mod go_online;
mod hostile;
mod local_classes;
mod peer;
mod progress;
mod read_only;
mod resets;
mod sessions;
mod support;
mod tampering;
#[cfg(feature = "async")]
mod tasks;
mod transfers;
