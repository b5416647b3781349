//! A commit hook that counts, in a tree of its own, the commits it received.

use crate::check::compare::CheckError;
use crate::check::definition::Violation;
use crate::check::promises::W3;
use fastness::object::{CommitHook, Operation, Snapshot};
use fastness_models::objects::DatabaseState;
use std::sync::{Arc, Mutex, PoisonError};

/// The tree and its only key.
const TREE: &str = "sync/count";
const COUNT: &[u8] = b"count";

/// Operations of commits, by the count that the hook wrote with them.
type Commits = Arc<Mutex<Vec<(usize, Vec<Operation>)>>>;

/// The operations that a commit hook received, and the state for each count.
#[derive(Debug)]
pub(in crate::check) struct RecordingHook {
    commits: Commits,
    /// The committed count.
    reported: usize,
    /// The states by count. One state more than committed belongs to a commit with an unknown
    /// outcome.
    states: Vec<DatabaseState>,
}

impl RecordingHook {
    /// Starts with a file that no commit hook wrote to.
    pub(in crate::check) fn new(state: &DatabaseState) -> Self {
        Self { commits: Arc::default(), reported: 0, states: vec![state.clone()] }
    }

    pub(super) fn commit_hook(&self) -> Arc<CommitHook> {
        let commits = Arc::clone(&self.commits);
        Arc::new(move |operations, txn| {
            let mut tree = txn.tree(TREE)?;
            let count = tree.get(COUNT)?.and_then(|bytes| (*bytes).try_into().ok());
            let count = count.map_or(0, u64::from_le_bytes) + 1;
            tree.insert(COUNT, &count.to_le_bytes())?;
            let mut commits = commits.lock().unwrap_or_else(PoisonError::into_inner);
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            commits.push((count, operations.to_vec()));
            Ok(())
        })
    }

    /// Takes the received operations, commit by commit.
    pub(in crate::check) fn take(&self) -> Vec<Vec<Operation>> {
        self.take_numbered().into_iter().map(|(_, operations)| operations).collect()
    }

    /// Takes the received operations with the count of their commit. A commit that failed leaves
    /// its count to the next one.
    pub(in crate::check) fn take_numbered(&self) -> Vec<(usize, Vec<Operation>)> {
        std::mem::take(&mut *self.commits.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the count that a snapshot holds.
    #[expect(clippy::unused_self, reason = "the count belongs to this hook")]
    pub(in crate::check) fn count(&self, snapshot: &Snapshot) -> Result<usize, CheckError> {
        let count = snapshot.store().tree(TREE).get(COUNT)?;
        let count = count.and_then(|bytes| (*bytes).try_into().ok()).map_or(0, u64::from_le_bytes);
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// Expects a commit that leads to a state.
    pub(super) fn expect(&mut self, state: &DatabaseState) {
        self.states.truncate(self.reported + 1);
        self.states.push(state.clone());
    }

    /// The commit was acknowledged.
    pub(super) fn committed(&mut self) {
        let commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        self.reported += usize::from(!commits.is_empty());
    }

    /// The file was opened and holds this count.
    pub(super) fn set_count(&mut self, count: usize) {
        self.reported = count;
    }

    /// Compares the writes of the commit hook with the state of a file; returns the count.
    pub(super) fn compare(
        &self,
        snapshot: &Snapshot,
        state: &DatabaseState,
    ) -> Result<usize, CheckError> {
        let count = self.count(snapshot)?;
        if self.states.get(count) == Some(state) {
            return Ok(count);
        }
        let text =
            format!("the commit hook counted {count} commits, which do not lead to this state");
        Err(Violation::new(W3.id, text).into())
    }
}
