//! The client's replica of a database: the file of an app, with what sync keeps beside its objects.
//!
//! The trees of the objects hold the *working state*, so that an app reads and writes as without
//! sync. Beside them are the client's entries that the history does not contain yet, and the
//! pre-images that lead back from each of them: undoing all gives the *canonical state*.
//!
//! A commit of an app is undone and applied again by the merge rules as an entry, and a download
//! undoes the pending entries, applies what it brings, and applies them again. Where the result is
//! known to be the same, a fast path leaves out undo and redo. Each is one transaction of the file.
//!
//! - `error`: errors, and contradictions of a download.
//! - `meta`, `layout`: identity, cursor and clock; names of trees and keys.
//! - `outcome_bytes`: outcomes as they are stored.
//! - `pending`, `ordered_runs`: entries, and their way back.
//! - `write`: the entry of a commit.
//! - `touched`: the objects of pending entries, in memory.
//! - `rebase`: undo, change, redo.
//! - `download`: entries of the history, and refusals.
//! - `replica`: the face of it.
//! - `acknowledgement`: how far an own entry has come.
//! - `fresh`, `old_state`, `originals`, `own_entries`, `refusals`, `reset`, `stored_report`: client
//!   reset.
//! - `session_file`: the file behind a session.
//!
//! - SY3 The working state is the fold of the pending entries over the canonical state.
//! - SY11 The fast path leaves the state of the slow one.
//! - SY19 An entry leaves the device only after it is durable; its number is never used again.
//! - SY20 Undo of the pending entries is the canonical state, and redo the working state.
//!
//! Specification and format: docs/sync.md#client-file.

mod acknowledgement;
mod download;
mod error;
mod fresh;
mod layout;
mod meta;
mod old_state;
mod ordered_runs;
mod originals;
mod outcome_bytes;
mod own_chain;
mod own_entries;
mod pending;
mod rebase;
mod refusals;
mod replica;
mod reset;
mod session_file;
mod stored_report;
mod touched;
mod write;

pub use acknowledgement::Acknowledgement;
pub use download::{DeadLetter, Download, DownloadItem, EntryOutcome, Merged, Refusal};
pub use error::{BadDownload, ClientError, ClientResult};
pub use fresh::SnapshotPart;
pub(crate) use layout::{PENDING, RESET, number_key};
pub use meta::ClientMeta;
pub use replica::{ClientReplica, LocalTime, ReplicaClock, Upload};
pub use reset::{ResetBackup, ResetMode, ResetProgress, ResetStart};
pub use session_file::{AnswerTo, FileEvent, SNAPSHOT_BYTES_MAX, SessionFile};
pub use stored_report::StoredReport;
