//! The commit hook: a callback that gets the operations of a commit before it happens.
//!
//! - W3 A commit hands its operations to the hook in order and exactly once. A dropped transaction
//!   delivers nothing. The writes of the hook commit atomically with the transaction.
//!
//! Specification: docs/objects.md#operations-of-a-commit. Check: `sim::check::observers`.

use crate::conc::Arc;
use crate::error::Result;
use crate::table::{ObjectId, Operation, PreImages, Tables};
use crate::txn::WriteTxn;

/// Takes the operations of a commit before it happens. Its writes to trees of its own commit
/// atomically with them; if it fails, nothing is committed.
pub type CommitHook = dyn Fn(&[Operation], &mut WriteTxn) -> Result<()> + Send + Sync;

/// A commit before it happens, as the hook of a replica gets it.
#[derive(Debug)]
pub struct PendingCommit<'c> {
    /// The operations, in order.
    pub operations: &'c [Operation],
    /// The entries that the transaction changed below the root of the objects, as they were before.
    pub pre_images: &'c PreImages,
    /// The tables as the transaction leaves them, and its trees. The hook may put the pre-images
    /// back and apply the operations in another way.
    pub tables: &'c mut Tables,
    /// Takes the objects that the hook may have changed beside those of the operations.
    pub touched: &'c mut Vec<ObjectId>,
}

/// A commit hook that gets the pre-images of the transaction too, to keep an undo log.
pub type ReplicaHook = dyn Fn(PendingCommit<'_>) -> Result<()> + Send + Sync;

/// The hook of a database.
#[derive(Clone)]
pub(crate) enum HookKind {
    Commit(Arc<CommitHook>),
    Replica(Arc<ReplicaHook>),
}
