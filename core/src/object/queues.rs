//! What observers are still to be told: a queue for each of them.
//!
//! - W2 An observer is told every commit after the one it began with that changed objects: in
//!   order, none left out and none twice.
//!
//! What a commit changed is put into every queue while the writer has its turn, so in order, and is
//! taken out once the commit can be seen. Who begins adds its queue first, and then waits until all
//! commits can be seen whose writers may not have known of it.
//!
//! Model: loom-tests, `observers`.

use crate::conc::{Arc, Mutex, Weak};
use crate::fault::{self, Fault};
use crate::unit::CommitId;
use std::collections::VecDeque;

/// The queues of all observers.
#[derive(Debug)]
pub(super) struct Queues<T> {
    all: Mutex<Vec<Weak<Queue<T>>>>,
}

/// What one observer is still to be told, by commit.
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
    /// Adds a queue, which is gone when it is dropped. `settle` waits until the commits of all
    /// writers that began before can be seen, and says what can be seen then.
    pub(super) fn begin<S, E>(
        &self,
        settle: impl FnOnce() -> Result<S, E>,
    ) -> Result<(Arc<Queue<T>>, S), E> {
        let queue = Arc::new(Queue { commits: Mutex::new(VecDeque::new()) });
        self.all.lock().push(Arc::downgrade(&queue));
        Ok((queue, settle()?))
    }

    /// Tells whether anybody observes.
    pub(super) fn any(&self) -> bool {
        let mut all = self.all.lock();
        all.retain(|queue| queue.strong_count() > 0);
        !all.is_empty()
    }

    /// Puts what a commit changed into every queue. Only for the writer, in its turn.
    pub(super) fn tell(&self, commit: CommitId, told: T) {
        let told = Arc::new(told);
        // What is dropped here last is dropped outside of the lock.
        let queues: Vec<_> = self.all.lock().iter().filter_map(Weak::upgrade).collect();
        for queue in queues {
            queue.commits.lock().push_back((commit, Arc::clone(&told)));
        }
    }

    /// Takes the last commit back out of every queue: it failed. Only for who has the turn.
    pub(super) fn withdraw(&self, commit: CommitId) {
        let queues: Vec<_> = self.all.lock().iter().filter_map(Weak::upgrade).collect();
        for queue in queues {
            queue.commits.lock().pop_back_if(|(last, _)| *last == commit);
        }
    }
}

impl<T> Queue<T> {
    /// Takes out the next commit, if it is one of those that can be seen.
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
