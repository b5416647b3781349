//! Observers that begin while other threads commit.
//!
//! - W2 An observer receives every commit after the one it began with, in order and each once,
//!   whatever runs when it begins. No thread waits for ever: loom reports a deadlock.

use crate::conc::{AtomicUsize, Ordering};
use crate::core_queues::Queues;
use crate::core_writer_lock::WriterLock;
use crate::explore::{Bound, explore, new_thread};
use crate::marks::Marks;
use crate::unit::CommitId;
use crate::wait_graph::WaitGraph;
use loom::sync::Arc;
use loom::thread;

/// A store as observers see it: a turn to write, which knows the last commit, and the last commit
/// that can be seen.
struct ObserversModel {
    turn: WriterLock<usize>,
    graph: WaitGraph,
    seen: AtomicUsize,
    /// The commit that cannot be written, if there is one: from it on none is ever seen.
    missing: AtomicUsize,
    queues: Queues<usize>,
}

impl ObserversModel {
    fn new() -> Arc<Self> {
        let (turn, seen) = (WriterLock::new(0), AtomicUsize::new(0));
        let missing = AtomicUsize::new(usize::MAX);
        let (graph, queues) = (WaitGraph::new(), Queues::default());
        Arc::new(Self { turn, graph, seen, missing, queues })
    }

    fn lock(&self) -> usize {
        self.turn.lock(new_thread(), &self.graph).unwrap()
    }

    /// A commit of a transaction. It looks for observers before the write, and is visible after.
    fn commit(&self, is_seen_in_turn: bool) {
        let last = self.lock();
        let commit = last + 1;
        let observed = self.queues.any();
        if is_seen_in_turn {
            self.show(commit);
        }
        if observed {
            self.queues.push(id(commit), commit);
        }
        self.turn.unlock(commit);
        self.show(commit);
    }

    /// A commit that cannot be written, which turns out after its turn. Unless others build upon it
    /// its number is free again; tells whether it is.
    fn fail(&self) -> bool {
        let last = self.lock();
        let commit = last + 1;
        self.missing.store(commit, Ordering::Release);
        self.queues.push(id(commit), usize::MAX);
        self.turn.unlock(commit);
        match self.turn.try_lock(new_thread()) {
            Ok(tip) if tip == commit => {
                self.queues.retract(id(commit));
                self.missing.store(usize::MAX, Ordering::Release);
                self.turn.unlock(last);
                true
            }
            Ok(tip) => {
                self.turn.unlock(tip);
                false
            }
            Err(_) => false,
        }
    }

    /// Waits for the writer in its turn; then all written commits are visible.
    fn sync(&self) -> Result<usize, ()> {
        let last = self.lock();
        self.turn.unlock(last);
        self.show(last);
        Ok(self.seen())
    }

    fn show(&self, commit: usize) {
        if commit < self.missing.load(Ordering::Acquire) {
            self.seen.fetch_max(commit, Ordering::AcqRel);
        }
    }

    fn seen(&self) -> usize {
        self.seen.load(Ordering::Acquire)
    }

    /// Begins, asks twice while others go on, and then until nothing is left; returns the commit
    /// it began with and those it received.
    fn observe(&self, rest: impl FnOnce()) -> (usize, Vec<usize>) {
        let (queue, from) = self.queues.begin(|| self.sync()).unwrap();
        let mut received = Vec::new();
        let mut ask = || {
            let seen = id(self.seen());
            let (commit, what) = queue.take(seen)?;
            assert!(commit <= seen, "W2: received before it is visible");
            assert_eq!(commit, id(*what), "W2: the changes are of another commit");
            if commit > id(from) {
                received.push(*what);
            }
            Some(())
        };
        ask();
        rest();
        while ask().is_some() {}
        (from, received)
    }
}

fn id(commit: usize) -> CommitId {
    CommitId(u64::try_from(commit).unwrap())
}

/// Two commits of one thread and one of another, while this one begins to observe.
fn begins_among_commits(is_seen_in_turn: bool) -> (usize, Vec<usize>) {
    let world = ObserversModel::new();
    let writers = [2, 1].map(|commits| {
        let world = Arc::clone(&world);
        thread::spawn(move || (0..commits).for_each(|_| world.commit(is_seen_in_turn)))
    });
    let (from, received) = world.observe(|| {
        for writer in writers {
            writer.join().unwrap();
        }
    });
    assert_eq!(received, (from + 1..=3).collect::<Vec<_>>(), "W2: began with commit {from}");
    (from, received)
}

#[test]
fn an_observer_that_begins_among_commits_receives_each_once() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 3, executions_min: 1_000 }, move || {
        let (from, _) = begins_among_commits(false);
        marks.hit(["before all", "after one", "after two", "after all"][from]);
    });
    met.assert_hit(&["before all", "after one", "after two", "after all"]);
}

#[test]
fn a_commit_that_is_visible_before_its_delivery_is_received_once() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 2, executions_min: 1_000 }, move || {
        let (from, _) = begins_among_commits(true);
        marks.hit(["before all", "after one", "after two", "after all"][from]);
    });
    met.assert_hit(&["before all", "after one", "after two", "after all"]);
}

#[test]
fn no_observer_receives_a_commit_that_could_not_be_written() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 3, executions_min: 100 }, move || {
        let world = ObserversModel::new();
        let (fails, commits) = (Arc::clone(&world), Arc::clone(&world));
        let mut rolled_back = false;
        let (from, received) = world.observe(|| {
            let fails = thread::spawn(move || fails.fail());
            let commits = thread::spawn(move || (0..2).for_each(|_| commits.commit(false)));
            rolled_back = fails.join().unwrap();
            commits.join().unwrap();
        });
        let missing = if rolled_back { 3 } else { world.missing.load(Ordering::Acquire) };
        let expected: Vec<_> = (1..missing).collect();
        assert_eq!((from, received), (0, expected), "W2: one failed, rolled back: {rolled_back}");
        marks.hit(if rolled_back { "taken back" } else { "built upon" });
    });
    met.assert_hit(&["taken back", "built upon"]);
}
