//! Sync for apps: files whose commits reach a server and other devices, by threads of their own.
//!
//! A [`SyncClient`] opens files by their configurations. Each file has a thread that drives its
//! session and merges; each user of a server has a connection with a thread, for up to 64 files.
//! The protocol is in [`fastness_sync`]; this module adds the clock, threads and sockets.
//!
//! - `address`, `proxy`, `socket`, `tls`, `transport`: a WebSocket that never blocks.
//! - `clock`, `wake`: time that never steps; waking a thread at a socket.
//! - `message`, `inbox`, `waiting_frame`: messages between the threads, in bounded memory.
//! - `connection`, `login`: the thread of a connection, and its tokens.
//! - `worker`, `perform`, `marks`: the thread of a file.
//! - `table`, `hooks`: the files of a client, and the hooks of their commits.
//! - `watched`, `status`, `progress`, `event`, `reset`, `error`: what an app sees.
//! - `local`: a local database that goes online.
//! - `file`, `client`: the face of it; `tasks`: the same for tasks, with the feature `async`.
//!
//! - CS1 A commit of the app becomes durable here and is uploaded without another call of the app.
//! - CS2 A merge is one commit of the file: readers never wait, and writers for that commit only.
//! - CS3 A server that does not answer, a merge and an app in a transaction delay no other file.
//! - CS4 Progress never counts what was not transferred; a listener of current changes ends.
//! - CS5 A wait ends.
//!
//! Specification: docs/sync.md#apps and docs/protocol.md.

mod address;
mod client;
mod clock;
mod connection;
mod error;
mod event;
mod file;
mod hooks;
mod inbox;
mod local;
mod login;
mod marks;
mod message;
mod perform;
mod progress;
mod proxy;
mod reset;
mod socket;
mod status;
mod table;
#[cfg(feature = "async")]
mod tasks;
mod tls;
mod transport;
mod waiting_frame;
mod wake;
mod watched;
mod worker;

pub use client::SyncClient;
pub use error::SyncCallError;
pub use event::SyncEvent;
pub use file::SyncedFile;
pub use progress::{Progress, ProgressDirection, ProgressListener, ProgressMode};
pub use reset::{CompletedReset, ResetPolicy, SyncOptions};
pub use status::SessionState;
#[cfg(feature = "async")]
pub use tasks::{OpeningFile, ProgressStream, SyncWait};
