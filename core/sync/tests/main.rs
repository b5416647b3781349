//! Tests of the public interface of `fastness-sync`, in one binary.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod entries;
#[cfg(feature = "faults")]
mod faults;
mod frames;
mod refused_entries;
mod replicas;
mod server_clients;
mod server_sessions;
mod session;
