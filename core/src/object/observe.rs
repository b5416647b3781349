//! Observers: every commit told once, in order, to whoever asks.
//!
//! - W2 An observer is told every commit after the one it began with that changed objects: in
//!   order, none left out and none twice.
//!
//! How that holds whoever commits meanwhile: `queues`.
//!
//! Specification: docs/objects.md#observers. Check: `sim::check::observers`.

use super::changes::Changes;
use super::database::{Database, Shared, Snapshot};
use super::queues::Queue;
use crate::conc::Arc;
use crate::error::{Error, Result};
use crate::unit::CommitId;

/// Told what commits changed, on the thread that asks. It keeps the database open.
///
/// What is not asked for is kept: drop an observer that is not needed any more.
#[derive(Debug)]
pub struct Observer {
    shared: Arc<Shared>,
    queue: Arc<Queue<Changes>>,
    /// The commit that it began with.
    from: CommitId,
}

impl Database {
    /// Begins to observe, and returns the snapshot that what is told then starts from. Waits for
    /// the write transaction that is under way: a thread that has one would wait for itself.
    ///
    /// # Errors
    /// As [`crate::Store::sync`]; if the catalog cannot be read or is damaged.
    pub fn observe(&self) -> Result<(Snapshot, Observer)> {
        let (queue, snapshot) = self.shared.observers.begin(|| {
            match self.store().sync() {
                // Where nobody writes there is nobody to wait for.
                Ok(_) | Err(Error::ReadOnly { .. }) => self.snapshot(),
                Err(error) => Err(error),
            }
        })?;
        let (shared, from) = (Arc::clone(&self.shared), snapshot.commit());
        Ok((snapshot, Observer { shared, queue, from }))
    }
}

impl Observer {
    /// Returns what the next commit changed; none if there is none yet. Commits that changed no
    /// object are left out.
    #[must_use]
    pub fn next_changes(&self) -> Option<Arc<Changes>> {
        let seen = self.shared.store.snapshot().commit();
        while let Some((commit, changes)) = self.queue.take(seen) {
            if commit > self.from {
                return Some(changes);
            }
        }
        None
    }
}
