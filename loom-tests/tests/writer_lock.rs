//! The writer lock: writers wait for each other.
//!
//! - N2 At most one writer holds the lock; the next writer sees every write of the one before it,
//!   also that the store is poisoned. No thread waits for ever: loom reports a deadlock.

use crate::conc::{AtomicUsize, Ordering};
use crate::core_writer_lock::WriterLock;
use crate::explore::{Bound, explore};
use crate::marks::Marks;
use loom::sync::Arc;
use loom::thread;

/// State that one writer leaves to the next.
#[derive(Debug)]
struct WriterState {
    turns: usize,
    poisoned: bool,
}

struct WritersModel {
    lock: WriterLock<WriterState>,
    writing: AtomicUsize,
    data: AtomicUsize,
}

impl WritersModel {
    fn new() -> Arc<Self> {
        let lock = WriterLock::new(WriterState { turns: 0, poisoned: false });
        Arc::new(Self { lock, writing: AtomicUsize::new(0), data: AtomicUsize::new(0) })
    }

    /// Takes one turn; tells whether it could write.
    fn write(&self, fails: bool) -> bool {
        let state = self.lock.lock();
        self.write_with(state, fails)
    }

    /// Takes a turn if it is free; tells whether it was.
    fn try_write(&self) -> bool {
        let taken = self.lock.try_lock();
        taken.is_some_and(|state| self.write_with(state, false))
    }

    fn write_with(&self, mut state: WriterState, fails: bool) -> bool {
        assert_eq!(self.writing.fetch_add(1, Ordering::Relaxed), 0, "N2: two have the turn");
        let writes = !state.poisoned;
        if writes {
            // Relaxed: the hand-over alone must make the last writer's stores visible.
            let data = self.data.load(Ordering::Relaxed);
            assert_eq!(data, state.turns, "N2: a turn does not see the one before");
            self.data.store(data + 1, Ordering::Relaxed);
            state.turns += 1;
            state.poisoned = fails;
        }
        self.writing.fetch_sub(1, Ordering::Relaxed);
        self.lock.unlock(state);
        writes
    }
}

fn writers(world: &Arc<WritersModel>, count: usize, fails: bool) -> usize {
    let threads: Vec<_> = (0..count)
        .map(|_| {
            let world = Arc::clone(world);
            thread::spawn(move || usize::from(world.write(fails)))
        })
        .collect();
    let here = usize::from(world.write(false));
    here + threads.into_iter().map(|thread| thread.join().unwrap()).sum::<usize>()
}

#[test]
fn three_writers_each_get_their_turn() {
    explore(Bound { preemptions: 4, executions_min: 2_000 }, || {
        let world = WritersModel::new();
        assert_eq!(writers(&world, 2, false), 3, "N2: a writer was left out");
        assert_eq!(world.lock.lock().turns, 3, "N2: a turn is lost");
    });
}

#[test]
fn a_writer_that_does_not_wait_gets_a_free_turn_or_none() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 4, executions_min: 20 }, move || {
        let world = WritersModel::new();
        let waiting = [(); 2].map(|()| {
            let there = Arc::clone(&world);
            thread::spawn(move || there.write(false))
        });
        let wrote = usize::from(world.try_write());
        for waiting in waiting {
            assert!(waiting.join().unwrap(), "N2: a writer that waits was left out");
        }
        assert_eq!(world.lock.lock().turns, 2 + wrote, "N2: a turn is lost");
        marks.hit(if wrote == 1 { "it was free" } else { "it was taken" });
    });
    met.assert_hit(&["it was free", "it was taken"]);
}

#[test]
fn no_writer_follows_one_that_poisoned() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 6, executions_min: 20 }, move || {
        let world = WritersModel::new();
        let wrote = writers(&world, 2, true);
        let state = world.lock.lock();
        assert!(state.poisoned, "N2: the poison is lost");
        assert_eq!(state.turns, wrote, "N2: a writer wrote after the poison");
        marks.hit(if wrote == 1 { "poisoned first" } else { "poisoned last" });
    });
    met.assert_hit(&["poisoned first", "poisoned last"]);
}
