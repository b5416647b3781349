//! The commit hook: a callback that gets the operations of a commit before it happens.
//!
//! - W3 A commit hands its operations to the hook in order and exactly once. A dropped transaction
//!   delivers nothing. The writes of the hook commit atomically with the transaction.
//!
//! Specification: docs/objects.md#operations-of-a-commit. Check: `sim::check::observers`.

use crate::error::Result;
use crate::table::Operation;
use crate::txn::WriteTxn;

/// Takes the operations of a commit before it happens. Its writes to trees of its own commit
/// atomically with them; if it fails, nothing is committed.
pub type CommitHook = dyn Fn(&[Operation], &mut WriteTxn) -> Result<()> + Send + Sync;
