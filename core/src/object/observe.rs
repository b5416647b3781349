//! Observers: every commit told once, in order, to whoever asks.
//!
//! - W2 An observer is told every commit after the one it began with that changed objects: in
//!   order, none left out and none twice.
//!
//! What a commit changed is put into the queue of every observer while the writer has its turn, so
//! in order, and is taken out once the commit can be seen. An observer that begins waits until all
//! commits can be seen whose writers did not know of it.
//!
//! Specification: docs/objects.md#observers. Check: `sim::check::observers`.

use super::changes::Changes;
use super::database::{Database, Shared, Snapshot};
use crate::conc::{Arc, Mutex, Weak};
use crate::error::{Error, Result};
use crate::unit::CommitId;
use std::collections::VecDeque;

/// Told what commits changed, on the thread that asks. It keeps the database open.
///
/// What is not asked for is kept: drop an observer that is not needed any more.
#[derive(Debug)]
pub struct Observer {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    /// The commit that it began with.
    from: CommitId,
}

type Queue = Mutex<VecDeque<Arc<Changes>>>;

/// The queues of all observers.
#[derive(Debug, Default)]
pub(super) struct Observers {
    queues: Mutex<Vec<Weak<Queue>>>,
}

impl Observers {
    /// Tells whether anybody observes.
    pub(super) fn any(&self) -> bool {
        let mut queues = self.queues.lock();
        queues.retain(|queue| queue.strong_count() > 0);
        !queues.is_empty()
    }

    /// Puts what a commit changed into every queue. The writer has its turn, so this is in order.
    pub(super) fn tell(&self, changes: Changes) {
        let changes = Arc::new(changes);
        // What is dropped here last is dropped outside of the lock.
        let queues: Vec<_> = self.queues.lock().iter().filter_map(Weak::upgrade).collect();
        for queue in queues {
            queue.lock().push_back(Arc::clone(&changes));
        }
    }
}

impl Database {
    /// Begins to observe, and returns the snapshot that what is told then starts from. Waits for
    /// the write transaction that is under way: a thread that has one would wait for itself.
    ///
    /// # Errors
    /// As [`crate::Store::sync`]; if the catalog cannot be read or is damaged.
    pub fn observe(&self) -> Result<(Snapshot, Observer)> {
        let queue = Arc::new(Queue::default());
        self.shared.observers.queues.lock().push(Arc::downgrade(&queue));
        match self.shared.store.sync() {
            // Where nobody writes there is nobody to wait for.
            Ok(_) | Err(Error::ReadOnly { .. }) => {}
            Err(error) => return Err(error),
        }
        let snapshot = self.snapshot()?;
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
        let mut queue = self.queue.lock();
        while let Some(changes) = queue.front() {
            if changes.commit > seen {
                return None;
            }
            let changes = queue.pop_front()?;
            if changes.commit > self.from {
                return Some(changes);
            }
        }
        None
    }
}
