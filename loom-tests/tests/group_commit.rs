//! Commits that share a sync.
//!
//! - N3 A commit counts as durable only after it was written, and a sync that began then returned
//!   `Ok`. After a failed sync, no commit does; of two concurrent syncs, either may report it. A
//!   record that could not be written and is rolled back affects only its commit. No thread waits
//!   for ever: loom reports a deadlock.

use crate::conc::{AtomicUsize, Mutex, Ordering};
use crate::core_group_commit::{Failure, GroupCommit, NotDurable};
use crate::explore::{Bound, explore};
use crate::marks::Marks;
use crate::unit::CommitId;
use loom::sync::Arc;
use loom::thread;

/// A disk that holds commits by number: added up to here, written and durable up to there.
struct GroupCommitModel {
    group: GroupCommit<u64>,
    turn: Mutex<Commits>,
    added: AtomicUsize,
    written: AtomicUsize,
    writing: AtomicUsize,
    synced: AtomicUsize,
    syncs: AtomicUsize,
    published: AtomicUsize,
    fails: Fails,
}

/// The call that fails the first time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fails {
    Nothing,
    Writing,
    Sync,
}

/// The last commit, and how many turns there have been.
#[derive(Default)]
struct Commits {
    last: u64,
    turns: u64,
}

impl GroupCommitModel {
    fn new(fails: Fails) -> Arc<Self> {
        let zero = || AtomicUsize::new(0);
        Arc::new(Self {
            group: GroupCommit::new(CommitId(0)),
            turn: Mutex::new(Commits::default()),
            added: zero(),
            written: zero(),
            writing: zero(),
            synced: zero(),
            syncs: zero(),
            published: zero(),
            fails,
        })
    }

    /// Writes what was added; a sync then makes durable what was written when it began.
    fn sync(&self, undo: impl FnOnce() -> bool) -> Result<(), Failure<()>> {
        let count = self.syncs.fetch_add(1, Ordering::Relaxed) + 1;
        let writing = self.writing.fetch_add(1, Ordering::AcqRel);
        assert_eq!(writing, 0, "N3: two write at once");
        let added = self.added.load(Ordering::Acquire);
        thread::yield_now();
        self.writing.fetch_sub(1, Ordering::AcqRel);
        if self.fails == Fails::Writing && count == 1 {
            return Err(if undo() { Failure::Undone(()) } else { Failure::DiskUnknown(()) });
        }
        self.written.store(added, Ordering::Release);
        let written = self.written.load(Ordering::Acquire);
        thread::yield_now();
        if self.fails == Fails::Sync && count == 1 {
            return Err(Failure::DiskUnknown(()));
        }
        self.synced.fetch_max(written, Ordering::AcqRel);
        Ok(())
    }

    /// Rolls a commit back, unless another writer had its turn since.
    fn undo(&self, (commit, turns): (u64, u64)) -> bool {
        let Some(mut turn) = self.turn.try_lock() else { return false };
        if turn.turns != turns {
            return false;
        }
        turn.last = commit - 1;
        self.added.store(usize::try_from(turn.last).unwrap(), Ordering::Release);
        self.group.set_last(CommitId(turn.last), turn.last);
        true
    }

    /// Adds a commit in turn, then waits for it; tells whether it is durable.
    fn commit(&self) -> bool {
        let mut turn = self.turn.lock();
        *turn = Commits { last: turn.last + 1, turns: turn.turns + 1 };
        let (commit, turns) = (turn.last, turn.turns);
        let number = usize::try_from(commit).unwrap();
        self.added.store(number, Ordering::Release);
        self.group.set_last(CommitId(commit), commit);
        drop(turn);
        let publish = |commit: CommitId, value: u64| {
            assert_eq!(commit.0, value, "N3: what is published is another commit");
            self.published.fetch_max(usize::try_from(value).unwrap(), Ordering::AcqRel);
        };
        let sync = |_: &u64| self.sync(|| self.undo((commit, turns)));
        let outcome = self.group.wait_durable(CommitId(commit), sync, publish);
        if outcome.is_ok() {
            assert!(self.synced.load(Ordering::Acquire) >= number, "N3: it is not on the disk");
            assert!(self.published.load(Ordering::Acquire) >= number, "N3: it is not published");
        }
        match outcome {
            Ok(()) => true,
            Err(NotDurable::SyncFailed(()) | NotDurable::FailedBefore) => false,
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
    explore(Bound { preemptions: 2, executions_min: 5_000 }, move || {
        let world = GroupCommitModel::new(Fails::Nothing);
        assert_eq!(GroupCommitModel::commits(&world, 2), 3, "N3: a commit was lost");
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
    explore(Bound { preemptions: 3, executions_min: 100 }, move || {
        let world = GroupCommitModel::new(Fails::Sync);
        let durable = GroupCommitModel::commits(&world, 1);
        assert_eq!(durable, 0, "N3: a commit after a failed sync");
        assert!(world.group.has_failed(), "N3: the failure is forgotten");
        marks.hit(if world.syncs.load(Ordering::Relaxed) == 1 { "told" } else { "tried again" });
    });
    met.assert_hit(&["told"]);
}

#[test]
fn a_record_that_cannot_be_written_fails_its_commit_or_all_that_are_built_upon_it() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 3, executions_min: 20_000 }, move || {
        let world = GroupCommitModel::new(Fails::Writing);
        let durable = GroupCommitModel::commits(&world, 2);
        let last = world.turn.lock().last;
        if world.group.has_failed() {
            assert_eq!(durable, 0, "N3: a commit with one that could not be written");
            marks.hit("all failed");
        } else {
            assert_eq!((durable, last), (2, 2), "N3: one fails, two are written");
            let synced = world.synced.load(Ordering::Acquire);
            assert_eq!(synced, 2, "N3: a written commit is not synced");
            marks.hit("one failed");
        }
    });
    met.assert_hit(&["all failed", "one failed"]);
}

/// A disk on which one write-back fails, as the system tells it: what was dirty is clean whatever
/// became of it, and of the syncs that are under way the first to end hears of the error.
struct Failing {
    group: GroupCommit<u64>,
    /// The last commit.
    turn: Mutex<u64>,
    /// The last commit that is written.
    written: AtomicUsize,
    /// Sets of commits, a bit for each.
    dirty: AtomicUsize,
    lost: AtomicUsize,
    untold: AtomicUsize,
    backs: AtomicUsize,
    fails_at: usize,
    /// A shared sync ended while another thread waited to sync alone.
    overdue: AtomicUsize,
}

const ALONE: usize = 1;

impl Failing {
    fn new(fails_at: usize) -> Self {
        let zero = || AtomicUsize::new(0);
        let group = GroupCommit::new(CommitId(0));
        let (dirty, lost, untold, backs, overdue) = (zero(), zero(), zero(), zero(), zero());
        let turn = Mutex::new(0);
        Self { group, turn, written: zero(), dirty, lost, untold, backs, fails_at, overdue }
    }

    fn sync(&self) -> Result<(), ()> {
        let written = self.dirty.swap(0, Ordering::AcqRel);
        if written > 0 && self.backs.fetch_add(1, Ordering::AcqRel) + 1 == self.fails_at {
            self.lost.fetch_or(written, Ordering::AcqRel);
            self.untold.store(1, Ordering::Release);
        }
        if self.untold.swap(0, Ordering::AcqRel) == 0 { Ok(()) } else { Err(()) }
    }

    /// Makes a commit that shares its sync; returns its number and whether it is durable.
    fn commit(&self) -> (u64, bool) {
        let mut turn = self.turn.lock();
        *turn += 1;
        let number = *turn;
        self.group.set_last(CommitId(number), number);
        drop(turn);
        let sync = |last: &u64| {
            let overdue = self.overdue.load(Ordering::Acquire) > 0;
            assert!(!overdue, "N3: who waits to sync alone does not go first");
            let last = usize::try_from(*last).unwrap();
            let new = self.written.swap(last, Ordering::AcqRel) + 1..=last;
            let new = new.fold(0, |set, number| set | ALONE << number);
            self.dirty.fetch_or(new, Ordering::AcqRel);
            let outcome = self.sync();
            self.overdue.store(usize::from(self.group.is_exclusive_wanted()), Ordering::Release);
            outcome.map_err(Failure::DiskUnknown)
        };
        (number, self.group.wait_durable(CommitId(number), sync, |_, _| {}).is_ok())
    }

    /// Makes one that syncs by itself, and notes a failure as late as the store does.
    fn checkpoint(&self) -> bool {
        let _turn = self.turn.lock();
        let outcome = self.group.exclusively(|| {
            self.overdue.store(0, Ordering::Release);
            self.dirty.fetch_or(ALONE, Ordering::AcqRel);
            self.sync().map_err(Failure::DiskUnknown)
        });
        if let Some(Err(_)) = outcome {
            self.group.fail();
        }
        matches!(outcome, Some(Ok(())))
    }
}

#[test]
fn no_commit_is_durable_that_a_sync_lost_and_another_reported() {
    let marks = Marks::default();
    let met = marks.clone();
    for (fails_at, executions_min) in [(1, 600), (2, 1_500), (3, 2_500)] {
        let marks = marks.clone();
        explore(Bound { preemptions: 3, executions_min }, move || {
            let world = Arc::new(Failing::new(fails_at));
            let share = || {
                let there = Arc::clone(&world);
                thread::spawn(move || there.commit())
            };
            let shares = [share(), share()];
            let alone = world.checkpoint();
            let mut ended = shares.map(|thread| thread.join().unwrap());
            ended.sort_unstable();
            let [(_, first), (_, second)] = ended;
            let lost = world.lost.load(Ordering::Acquire);
            for (commit, is_durable) in [(0, alone), (1, first), (2, second)] {
                let is_lost = lost & (ALONE << commit) > 0;
                assert!(!is_lost || !is_durable, "N3: commit {commit} was lost and is durable");
            }
            assert!(first || !second, "N3: a commit after one that is not durable");
            let any = fails_at == 1 && (alone || first);
            assert!(!any, "N3: durable after a sync that failed");
            assert_eq!(world.group.has_failed(), lost > 0, "N3: the failure is forgotten");
            marks.hit(match (first, alone) {
                (false, false) => "neither",
                (true, false) => "the sharing thread",
                (false, true) => "the thread that syncs alone",
                (true, true) => "both",
            });
        });
    }
    met.assert_hit(&["neither", "the sharing thread", "both"]);
}
