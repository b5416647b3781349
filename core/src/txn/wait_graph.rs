//! Which threads wait for a writer lock, and which hold one: the wait-for graph of the process.
//!
//! A thread that begins to wait adds its edge to the graph, unless that closes a cycle. Every cycle
//! of waiting threads is closed by the last of its threads that begins to wait, so no deadlock goes
//! unnoticed.
//!
//! - N5 A thread that would wait for itself, directly or through other threads, is refused.
//!
//! Model: loom-tests, `writer_lock`.

use crate::conc::{Arc, AtomicUsize, Mutex, Ordering};
use crate::fault::{self, Fault};

/// The number of a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ThreadId(pub(crate) usize);

/// The thread that holds a lock.
#[derive(Debug)]
pub(crate) struct LockHolder(AtomicUsize);

/// No thread has this number.
const NONE: usize = usize::MAX;

impl Default for LockHolder {
    fn default() -> Self {
        Self(AtomicUsize::new(NONE))
    }
}

impl LockHolder {
    pub(crate) fn set(&self, thread: ThreadId) {
        self.0.store(thread.0, Ordering::Release);
    }

    pub(crate) fn clear(&self) {
        self.0.store(NONE, Ordering::Release);
    }

    /// Replaces the holder.
    pub(crate) fn move_to(&self, thread: ThreadId) {
        if !self.is(thread) {
            self.set(thread);
        }
    }

    pub(crate) fn is(&self, thread: ThreadId) -> bool {
        self.thread() == Some(thread)
    }

    fn thread(&self) -> Option<ThreadId> {
        Some(self.0.load(Ordering::Acquire)).filter(|number| *number != NONE).map(ThreadId)
    }
}

/// The threads that wait, each with the holder of the lock that it waits for.
#[derive(Debug)]
pub(crate) struct WaitGraph(Mutex<Vec<(ThreadId, Arc<LockHolder>)>>);

impl WaitGraph {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Records that a thread waits for a lock; `false`, and nothing is recorded, if the holder of
    /// the lock waits for this thread.
    pub(crate) fn begin_wait(&self, thread: ThreadId, holder: &Arc<LockHolder>) -> bool {
        let mut edges = self.0.lock();
        let mut waits_for = Some(holder);
        // A thread that has just got its lock may still have its edge: the walk is bounded.
        for _ in 0..=edges.len() {
            let Some(holder) = waits_for.and_then(|holder| holder.thread()) else { break };
            if holder == thread {
                return fault::on(Fault::Fs40);
            }
            let edge = edges.iter().find(|(waiting, _)| *waiting == holder);
            waits_for = edge.map(|(_, holder)| holder);
        }
        edges.push((thread, Arc::clone(holder)));
        true
    }

    /// Records that a thread waits no more.
    pub(crate) fn end_wait(&self, thread: ThreadId) {
        self.0.lock().retain(|(waiting, _)| *waiting != thread);
    }
}
