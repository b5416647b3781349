//! Sessions: the state machines of both sides of the protocol, sans-IO.
//!
//! A machine has `handle(now_ms, input, &mut outputs)` and `deadline()`. It has no clock, socket,
//! store or randomness: the driver performs its outputs and returns their results as inputs. A
//! [`ClientConnection`] and a [`ServerConnection`] do what the sessions of a connection share;
//! a [`ClientSession`] and a [`ServerSession`] bind one client file to one database.
//!
//! - FR4 Any messages and inputs leave a machine in a state from which it recovers, and no input
//!   has more than a bounded number of outputs.
//! - FR5 A deadline that is handled is followed by a later one: no machine spins.
//! - SY8 Duplicated, reordered and lost frames give the same history.
//! - SY17 In a quiet network all pending entries drain, refused ones included.
//! - SY19 An entry is sent only if it is durable on the device.
//!
//! Specification: docs/protocol.md#frames and docs/sync.md. Check: `tests/session/`.

mod backoff;
mod client;
mod server;

pub use client::{
    Apply, ClientConnection, ClientConnectionInput, ClientConnectionOutput, ClientInput,
    ClientOutput, ClientSession, FileState, RejectedEntry, Report, SnapshotBytes,
};
pub use server::{
    ConnectionTerms, EntryRejection, ServerConnection, ServerConnectionInput,
    ServerConnectionOutput, ServerInput, ServerOutput, ServerSession,
};

/// Version of the protocol.
pub const PROTOCOL_VERSION: u32 = 1;
/// Most sessions of a connection at a time.
pub const SESSIONS_MAX: usize = 64;
/// Time for each step of a handshake.
const HANDSHAKE_MS: u64 = 30_000;
