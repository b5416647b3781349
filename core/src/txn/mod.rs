//! Transactions: one writer, any number of snapshots; opening, committing, compacting, copying.
//!
//! - C1 A page reachable from a durable commit that may still be needed is never written.
//! - C2 An acknowledged commit survives every crash; opening returns it, or the one in flight.
//! - C3 A commit is acknowledged after the one sync that makes it durable, and never after a
//!   failure that leaves the disk unknown.
//! - C4 Bytes that were not verified are never sealed again.
//! - C5 What a reader saw after opening is still there after the next crash.
//! - C6 A snapshot never changes.
//! - C7 A name leads to a complete file or to none; creating and copying never replace one.
//! - C14 Readers see a commit without durability at once, and a crash loses it only with all
//!   commits after it; a durable commit, a sync or closing makes it durable.
//! - L1 The log holds every commit since its base, in order and without a gap.
//! - L2 A durable record of the log that is not whole is reported as damage.
//! - S6 A file that was written to and closed without readers has little free room.
//!
//! Each file imports only from those before it: `pins`, `group_commit`, `wait_graph`,
//! `writer_lock`, `journal`, `log_reader`, `failure`, `log`, `trees`, `state`, `options`, `header`,
//! `replay`, `writer`, `new_file`, `recover`, `open`, `changes`, `spill`, `checkpoint`, `in_place`,
//! `commit`, `close`, `shared`, `snapshot`, `write`, `tree_reader`, `compact`, `store`.
//!
//! Format: docs/format.md#commit. Model: `models::store`. Check: `sim::check::crash`.

mod changes;
mod checkpoint;
mod close;
mod commit;
mod compact;
mod failure;
mod group_commit;
mod header;
mod in_place;
mod journal;
mod log;
mod log_reader;
mod new_file;
mod open;
mod options;
mod pins;
mod recover;
mod replay;
mod shared;
mod snapshot;
mod spill;
mod state;
mod store;
mod tree_reader;
mod trees;
mod wait_graph;
mod write;
mod writer;
mod writer_lock;

pub use commit::Durability;
pub use compact::Compaction;
pub(crate) use failure::Failure;
#[cfg(any(test, feature = "inspect"))]
pub(crate) use header::{SLOT_PAGES, prelude_places, read_slot};
pub(crate) use header::{check_header, newest_base};
#[cfg(test)]
pub(crate) use journal::{Journal, LogRoom, put_section};
#[cfg(any(test, feature = "inspect"))]
pub(crate) use journal::{Op, section};
pub(crate) use log_reader::{LogReader, scan_log};
pub(crate) use new_file::{TemporaryFile, format, temporary_path};
pub use options::StoreOptions;
pub use snapshot::{StoreSnapshot, Tree};
pub(crate) use state::CommitState;
pub use store::{Info, Store, TreeInfo};
pub(crate) use tree_reader::{ReadSource, TreeReader};
pub(crate) use trees::Trees;
pub use write::{TreeMut, WriteTxn};
pub(crate) use writer::Versions;
