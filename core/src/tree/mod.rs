//! The copy-on-write B+tree: ordered bytes to bytes.
//!
//! Nodes that a snapshot reaches are immutable and shared; a child is read on first use and stays
//! on its parent until the clock evicts it. A write transaction copies a node when it first changes
//! it, and owns the copy.
//!
//! - T1 Keys ascend strictly within a tree, and a child's keys are between its separators.
//! - T2 Every leaf of a tree is at the same depth.
//! - T3 A committed node fits its page; a value too long to leave room for two other entries is
//!   stored out of line.
//! - T4 A page leaves a tree exactly once: when its node is first changed or removed.
//! - T6 A walk reads each page of a hostile file once.
//!
//! Each file imports only from those before it: `inline_vec`, `heads`, `keys`, `child_ref`,
//! `children`, `pending_redo`, `node`, `leaf`, `load`, `bytes`, `lookup`, `cursor`, `salvage`,
//! `evict`, `state`, `edit`, `remove`, `rebalance`, `relocate`, `flush`.
//!
//! Format: docs/format.md#nodes. Model: `models::store`. Check: `sim::check::store`.

mod bytes;
mod child_ref;
mod children;
mod cursor;
mod edit;
mod evict;
mod flush;
mod heads;
mod inline_vec;
mod keys;
mod leaf;
mod load;
mod lookup;
mod node;
mod pending_redo;
mod rebalance;
mod relocate;
mod remove;
mod salvage;
mod state;

pub use bytes::Bytes;
pub(crate) use child_ref::ChildRef;
pub use cursor::Range;
pub(crate) use edit::TreeEdit;
pub(crate) use load::{EditContext, read_node_page};
pub(crate) use pending_redo::PendingRedo;
pub use salvage::SalvageIter;
pub(crate) use state::TreeState;
