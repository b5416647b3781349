//! Who begins to observe while others commit.
//!
//! - W2 An observer is told every commit after the one it began with: in order, none left out and
//!   none twice, whatever else is under way when it begins. Nobody waits for ever: loom reports a
//!   deadlock.

use crate::conc::{AtomicUsize, Ordering};
use crate::core_queues::Queues;
use crate::core_turn::Turn;
use crate::explore::{Bound, explore};
use crate::marks::Marks;
use crate::unit::CommitId;
use loom::sync::Arc;
use loom::thread;

/// A store as observers see it: a turn to write, which knows the last commit, and the last commit
/// that can be seen.
struct World {
    turn: Turn<usize>,
    seen: AtomicUsize,
    queues: Queues<usize>,
}

impl World {
    fn new() -> Arc<Self> {
        let (turn, seen) = (Turn::new(0), AtomicUsize::new(0));
        Arc::new(Self { turn, seen, queues: Queues::default() })
    }

    /// A commit of a transaction: whether anybody observes is asked before it is written; it can
    /// be seen, by whoever comes first, once it is.
    fn commit(&self, is_seen_in_turn: bool) {
        let last = self.turn.take();
        let commit = last + 1;
        let observed = self.queues.any();
        if is_seen_in_turn {
            self.show(commit);
        }
        if observed {
            self.queues.tell(id(commit), commit);
        }
        self.turn.give(commit);
        self.show(commit);
    }

    /// After the turn of whoever has it, all that is written can be seen.
    fn sync(&self) -> Result<usize, ()> {
        let last = self.turn.take();
        self.turn.give(last);
        self.show(last);
        Ok(self.seen())
    }

    fn show(&self, commit: usize) {
        self.seen.fetch_max(commit, Ordering::AcqRel);
    }

    fn seen(&self) -> usize {
        self.seen.load(Ordering::Acquire)
    }

    /// Begins, asks twice while others go on, and then until nothing is left; returns the commit
    /// it began with and those it was told of.
    fn observe(&self, rest: impl FnOnce()) -> (usize, Vec<usize>) {
        let (queue, from) = self.queues.begin(|| self.sync()).unwrap();
        let mut told = Vec::new();
        let mut ask = || {
            let seen = id(self.seen());
            let (commit, what) = queue.take(seen)?;
            assert!(commit <= seen, "W2: it is told before it can be seen");
            assert_eq!(commit, id(*what), "W2: what is told is another commit's");
            if commit > id(from) {
                told.push(*what);
            }
            Some(())
        };
        ask();
        rest();
        while ask().is_some() {}
        (from, told)
    }
}

fn id(commit: usize) -> CommitId {
    CommitId(u64::try_from(commit).unwrap())
}

/// Two commits of one thread and one of another, while this one begins to observe.
fn begins_among_commits(is_seen_in_turn: bool) -> (usize, Vec<usize>) {
    let world = World::new();
    let writers = [2, 1].map(|commits| {
        let world = Arc::clone(&world);
        thread::spawn(move || (0..commits).for_each(|_| world.commit(is_seen_in_turn)))
    });
    let (from, told) = world.observe(|| {
        for writer in writers {
            writer.join().unwrap();
        }
    });
    assert_eq!(told, (from + 1..=3).collect::<Vec<_>>(), "W2: began with commit {from}");
    (from, told)
}

#[test]
fn who_begins_among_commits_is_told_each_that_follows_once() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 2, executions_min: 1_000 }, move || {
        let (from, _) = begins_among_commits(false);
        marks.hit(["before all", "after one", "after two", "after all"][from]);
    });
    met.assert_hit(&["before all", "after one", "after two", "after all"]);
}

#[test]
fn a_commit_that_can_be_seen_before_it_is_told_is_told_once() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 2, executions_min: 1_000 }, move || {
        let (from, _) = begins_among_commits(true);
        marks.hit(["before all", "after one", "after two", "after all"][from]);
    });
    met.assert_hit(&["before all", "after one", "after two", "after all"]);
}
