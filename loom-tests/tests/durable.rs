//! Commits that share a sync.
//!
//! - N3 A commit counts as durable only after a sync that began when it was written returned `Ok`.
//!   After one that failed, none does. Nobody waits for ever: loom reports a deadlock.

use crate::conc::{AtomicUsize, Mutex, Ordering};
use crate::core_durable::{Durable, Lost};
use crate::explore::{Bound, explore};
use crate::marks::Marks;
use crate::unit::CommitId;
use loom::sync::Arc;
use loom::thread;

/// A disk that holds commits by number: written up to here, durable up to there.
struct World {
    durable: Durable<u64>,
    turn: Mutex<u64>,
    written: AtomicUsize,
    synced: AtomicUsize,
    syncs: AtomicUsize,
    published: AtomicUsize,
    fails_at: usize,
}

impl World {
    fn new(fails_at: usize) -> Arc<Self> {
        let zero = || AtomicUsize::new(0);
        Arc::new(Self {
            durable: Durable::new(CommitId(0), 0),
            turn: Mutex::new(0),
            written: zero(),
            synced: zero(),
            syncs: zero(),
            published: zero(),
            fails_at,
        })
    }

    /// A sync makes durable what was written when it began.
    fn sync(&self) -> Result<(), ()> {
        let count = self.syncs.fetch_add(1, Ordering::Relaxed) + 1;
        let written = self.written.load(Ordering::Acquire);
        thread::yield_now();
        if count == self.fails_at {
            return Err(());
        }
        self.synced.fetch_max(written, Ordering::AcqRel);
        Ok(())
    }

    /// Writes a commit in turn, then waits for it; tells whether it is durable.
    fn commit(&self) -> bool {
        let mut turn = self.turn.lock();
        *turn += 1;
        let commit = *turn;
        let number = usize::try_from(commit).unwrap();
        self.written.store(number, Ordering::Release);
        self.durable.written(CommitId(commit), commit);
        drop(turn);
        let publish = |commit: CommitId, value: u64| {
            assert_eq!(commit.0, value, "N3: what is published is another commit");
            self.published.fetch_max(usize::try_from(value).unwrap(), Ordering::AcqRel);
        };
        let outcome = self.durable.reach(CommitId(commit), |_| self.sync(), publish);
        if outcome.is_ok() {
            assert!(self.synced.load(Ordering::Acquire) >= number, "N3: it is not on the disk");
            assert!(self.published.load(Ordering::Acquire) >= number, "N3: it is not published");
        }
        match outcome {
            Ok(()) => true,
            Err(Lost::Sync(()) | Lost::Before) => false,
        }
    }

    /// Commits from `count` threads and this one.
    fn commits(world: &Arc<Self>, count: usize) -> usize {
        let threads: Vec<_> = (0..count)
            .map(|_| {
                let world = Arc::clone(world);
                thread::spawn(move || usize::from(world.commit()))
            })
            .collect();
        let here = usize::from(world.commit());
        here + threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
    }
}

#[test]
fn three_commits_are_durable_with_three_syncs_or_fewer() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 2, executions_min: 300 }, move || {
        let world = World::new(0);
        assert_eq!(World::commits(&world, 2), 3, "N3: a commit was lost");
        let syncs = world.syncs.load(Ordering::Relaxed);
        assert!((1..=3).contains(&syncs), "N3: {syncs} syncs");
        marks.hit(if syncs < 3 { "shared" } else { "each its own" });
    });
    met.assert_hit(&["shared", "each its own"]);
}

#[test]
fn after_a_failed_sync_no_commit_is_durable() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 3, executions_min: 20 }, move || {
        let world = World::new(1);
        let durable = World::commits(&world, 1);
        assert_eq!(durable, 0, "N3: a commit after a failed sync");
        assert!(world.durable.has_failed(), "N3: the failure is forgotten");
        marks.hit(if world.syncs.load(Ordering::Relaxed) == 1 { "told" } else { "tried again" });
    });
    met.assert_hit(&["told"]);
}
