//! Transactions: one writer, any number of snapshots; opening, committing, compacting, copying.
//!
//! - C1 A page reachable from a durable commit that may still be needed is never written.
//! - C2 An acknowledged commit survives every crash; opening lands on it, or on the one in flight.
//! - C3 Nothing is acknowledged before the one sync that makes it durable, nor after a failure that
//!   leaves the disk unknown.
//! - C4 Bytes that were not verified are never sealed again.
//! - C5 What a reader saw after opening is still there after the next crash.
//! - C6 A snapshot never changes.
//! - C7 A name leads to a complete file or to none; creating and copying never replace one.
//! - C14 A commit that need not be durable is seen at once, and lost only with all after it; a
//!   durable commit, a sync or closing makes it durable.
//! - L1 The log holds every commit since its base, in order and without a gap.
//! - L2 A record of the log that was durable and is not whole is told as damage.
//! - S6 A file that was written to and closed while nobody read has little free room.
//!
//! Format: docs/format.md#commit. Model: `models::store`. Check: `sim::check::crash`.

mod changes;
mod checkpoint;
mod close;
mod commit;
mod compact;
mod create;
mod durable;
mod found;
mod in_place;
mod journal;
mod log;
mod open;
mod options;
mod peek;
mod pins;
mod recover;
mod replay;
mod snapshot;
mod state;
mod store;
mod turn;
mod write;

#[cfg(any(test, feature = "inspect"))]
pub(crate) use commit::needs;
pub(crate) use create::{Temporary, format};
pub(crate) use found::{LogArea, read as read_log};
#[cfg(test)]
pub(crate) use journal::{Journal, put_section};
#[cfg(any(test, feature = "inspect"))]
pub(crate) use journal::{Op, section};
pub(crate) use open::check_header;
#[cfg(any(test, feature = "inspect"))]
pub(crate) use open::prelude_places;
pub use options::StoreOptions;
pub(crate) use peek::{Peek, Source};
pub(crate) use recover::current_base;
#[cfg(any(test, feature = "inspect"))]
pub(crate) use recover::read_slot;
pub use snapshot::{Snapshot, Tree};
#[cfg(any(test, feature = "inspect"))]
pub(crate) use state::SLOT_PAGES;
pub(crate) use state::{State, Trees, Versions};
pub use store::{Compaction, Info, Store, TreeInfo};
pub use write::{Durability, TreeMut, WriteTxn};
