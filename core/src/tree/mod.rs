//! The copy-on-write B+tree: ordered bytes to bytes.
//!
//! Nodes that a snapshot reaches are immutable and shared; a child is read on first use and kept on
//! its parent. A write transaction copies a node when it first changes it, and owns the copy.
//!
//! - T1 Keys ascend strictly within a tree, and a child's keys lie between its separators.
//! - T2 Every leaf of a tree is at the same depth.
//! - T3 A committed node fits its page; an entry too long to leave room for two others is stored
//!   outside.
//! - T4 A page leaves a tree exactly once: when the node it held is first changed or removed.
//!
//! Format: docs/format.md#nodes. Model: `models::store`. Check: `sim::check::store`.

mod bytes;
mod cache;
mod cursor;
mod edit;
mod fit;
mod flush;
mod hand;
mod heads;
mod keys;
mod late;
mod leaf;
mod lift;
mod link;
mod links;
mod near;
mod node;
mod pager;
mod remove;
mod salvage;
mod state;

pub use bytes::Bytes;
pub(crate) use cache::Cache;
pub use cursor::Range;
pub(crate) use edit::{Edits, TreeEdit};
pub(crate) use flush::Flush;
pub(crate) use late::Late;
pub(crate) use link::Link;
pub(crate) use node::Node;
pub(crate) use pager::{Pager, PagerParts};
pub use salvage::SalvageIter;
pub(crate) use state::TreeState;
