//! Queues of changes: one for each subscription.
//!
//! - W2 A subscription gets every commit after the one it began with that changed objects, in order
//!   and exactly once.
//!
//! The writer pushes the changes of a commit to every queue while it holds the writer lock, hence
//! in order. A queue delivers them once the commit is visible. A new subscription adds its queue
//! first, and then waits until all commits are visible whose writers may have missed it.
//!
//! Model: loom-tests, `observers`.

use crate::conc::{Arc, Mutex, Weak};
use crate::fault::{self, Fault};
use crate::unit::CommitId;
use std::collections::VecDeque;

/// The queues of all subscriptions.
#[derive(Debug)]
pub(super) struct Queues<T> {
    all: Mutex<Vec<Weak<Queue<T>>>>,
}

/// Changes that one subscription has not received, by commit.
#[derive(Debug)]
pub(super) struct Queue<T> {
    commits: Mutex<VecDeque<(CommitId, Arc<T>)>>,
}

impl<T> Default for Queues<T> {
    fn default() -> Self {
        Self { all: Mutex::new(Vec::new()) }
    }
}

impl<T> Queues<T> {
    /// Adds a queue; dropping it removes it. `settle` waits until the commits of all writers that
    /// began before are visible, and returns the visible state.
    pub(super) fn begin<S, E>(
        &self,
        settle: impl FnOnce() -> Result<S, E>,
    ) -> Result<(Arc<Queue<T>>, S), E> {
        let queue = Arc::new(Queue { commits: Mutex::new(VecDeque::new()) });
        self.all.lock().push(Arc::downgrade(&queue));
        Ok((queue, settle()?))
    }

    /// Tells whether there are subscriptions.
    pub(super) fn any(&self) -> bool {
        let mut all = self.all.lock();
        all.retain(|queue| queue.strong_count() > 0);
        !all.is_empty()
    }

    /// Pushes the changes of a commit to every queue. The caller holds the writer lock.
    pub(super) fn push(&self, commit: CommitId, changes: T) {
        let changes = Arc::new(changes);
        // The last reference to a queue must not be dropped under the lock.
        let queues: Vec<_> = self.all.lock().iter().filter_map(Weak::upgrade).collect();
        for queue in queues {
            queue.commits.lock().push_back((commit, Arc::clone(&changes)));
        }
    }

    /// Removes the last commit, which failed, from every queue. The caller holds the writer lock.
    pub(super) fn retract(&self, commit: CommitId) {
        let queues: Vec<_> = self.all.lock().iter().filter_map(Weak::upgrade).collect();
        for queue in queues {
            queue.commits.lock().pop_back_if(|(last, _)| *last == commit);
        }
    }
}

impl<T> Queue<T> {
    /// Removes and returns the next commit, if it is visible.
    pub(super) fn take(&self, seen: CommitId) -> Option<(CommitId, Arc<T>)> {
        let mut commits = self.commits.lock();
        let is_seen = |commit: CommitId| commit <= seen || fault::on(Fault::Ob11);
        let next = commits.pop_front_if(|(commit, _)| is_seen(*commit))?;
        if fault::on(Fault::Mv11) {
            commits.clear();
        }
        Some(next)
    }
}
