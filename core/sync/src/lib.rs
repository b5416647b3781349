//! The sync core, sans-IO: no socket, clock, thread or randomness.
//!
//! - [`chain`]: hash chains over entries.
//! - [`client`]: a client's replica of a database.
//! - [`clock`]: the stamps of a client's entries.
//! - [`entry`]: the encoding of one write transaction.
//! - [`frame`]: the messages between client and server.
//! - [`merge`]: the effect of operations on a state, by the merge rules.
//! - [`outcome`]: what became of a client's own operations.
//! - [`reset`]: a client's own operations, written again onto a fresh state.
//! - [`server`]: the server's replica of a database.
//! - [`session`]: the state machines of both sides of a connection.
//! - [`table_state`]: such a state in the tables of a file.
//!
//! Specification: docs/sync.md and docs/protocol.md. docs/sync.md#state says which parts exist.

pub mod chain;
pub mod client;
pub mod clock;
mod codec;
pub mod entry;
mod fault;
pub mod frame;
pub mod merge;
pub mod outcome;
pub mod reset;
pub mod server;
pub mod session;
pub mod table_state;
