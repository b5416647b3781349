//! The server's replica of a database: one file with the history, the clients and the state.
//!
//! Entries come in as bytes with the server's time, and answers go out; what a call answers is
//! durable, unless it is [deferred](ServerReplica::deferred). Random numbers are arguments.
//!
//! - [`ServerReplica::submit`]: checks entries, sequences and applies them.
//! - [`ServerReplica::identify`], [`ServerReplica::resume`], [`ServerReplica::progress`]: clients.
//! - [`ServerReplica::download`], [`ServerReplica::snapshot`]: what clients read.
//! - [`ServerReplica::advance_horizon`], [`ServerReplica::compact`]: what is forgotten.
//! - [`SessionDatabase`], [`SnapshotPool`]: a database behind a session.
//! - [`Databases`]: many databases under a budget of open files.
//! - [`ServerReplica::clients`], [`ServerReplica::expire`]: reports and decisions of the operator.
//! - [`ServerReplica::refused_entries`], [`ServerReplica::retry`]: entries that were refused.
//! - [`ServerReplica::back_up`], [`ServerReplica::update_backup`],
//!   [`ServerReplica::begin_epoch`]: backups, and their return.
//!
//! - MR6 An entry with a conflicting definition is refused before it has a seq.
//! - MR7 Effective stamps are clamped and increase strictly along knowledge.
//! - MR8 Submission is idempotent; gaps, unknown bases and used element ids are refused.
//! - MR9 The horizon never passes what a live client needs.
//! - MR10 `durable_seq` is the seq up to which a backup reaches.
//! - SV1 A client resumes exactly if its history and its entries are those of the server.
//! - SV2 No two clients ever get one number.
//! - SV3 The bytes of a snapshot depend on the state and the answers to entries alone, however they
//!   are cut.
//! - SV4 At most so many databases are open, and none that is in use is closed.
//! - SV6 The newest refused entries are kept in bounded space.
//! - SV7 A retry of one passes the checks of every entry, or changes nothing.
//! - SV8 A client that resets gets a snapshot that contains all entries of its user.
//! - SY14 A crash leaves the file as before a call, or as after it.
//!
//! Specification: docs/sync.md#server-file. Model: `models::merge::server`. Check:
//! `proptests/tests/server_replica/`.

mod backup;
mod backup_update;
mod clients;
mod content;
mod databases;
mod download;
mod error;
mod horizon;
mod layout;
mod refused;
mod replica;
mod report;
mod retry;
mod session_database;
mod snapshot;
mod snapshot_pool;
mod state;
mod submit;
mod trees;

pub use backup::BackupPoint;
pub use clients::{ClientIdentity, ClientProgress, ClientState, ResumedClient};
pub use databases::Databases;
pub use download::{DownloadRequest, HistoryItem, HistoryPart};
pub use error::{
    Answer, EntryRefusal, RefusalCode, ResumeRefusal, ServerError, ServerResult, UploadStop,
};
pub(crate) use layout::{UsedNumbers, read_letter};
pub use refused::{KeptEntry, REFUSED_BYTES_MAX, REFUSED_MAX};
pub use replica::{Opening, SKIPPED_CLIENTS, ServerReplica, ServerStatus};
pub use report::{ClientReport, RefusedEntry};
pub use retry::Retry;
pub use session_database::{ReplyTo, SessionDatabase};
pub use snapshot::{SnapshotReader, SnapshotSlice};
pub use snapshot_pool::{PooledPart, SnapshotPool, WantedPart};
pub use submit::{AHEAD_MAX, Access, Submission};
