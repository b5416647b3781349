//! Writers that wait for their turn.
//!
//! - N2 At most one writer has the turn; whoever gets it sees all that the one before it left, also
//!   that the store is poisoned. Nobody waits for ever: loom reports a deadlock.

use crate::conc::{AtomicUsize, Ordering};
use crate::core_turn::Turn;
use crate::explore::{Bound, explore};
use crate::marks::Marks;
use loom::sync::Arc;
use loom::thread;

/// What the writers pass on.
#[derive(Debug)]
struct Baton {
    turns: usize,
    poisoned: bool,
}

struct World {
    turn: Turn<Baton>,
    writing: AtomicUsize,
    data: AtomicUsize,
}

impl World {
    fn new() -> Arc<Self> {
        let turn = Turn::new(Baton { turns: 0, poisoned: false });
        Arc::new(Self { turn, writing: AtomicUsize::new(0), data: AtomicUsize::new(0) })
    }

    /// Takes one turn; tells whether it could write.
    fn write(&self, fails: bool) -> bool {
        let baton = self.turn.take();
        self.write_with(baton, fails)
    }

    /// Takes a turn if it is free; tells whether it was.
    fn try_write(&self) -> bool {
        let taken = self.turn.try_take();
        taken.is_some_and(|baton| self.write_with(baton, false))
    }

    fn write_with(&self, mut baton: Baton, fails: bool) -> bool {
        assert_eq!(self.writing.fetch_add(1, Ordering::Relaxed), 0, "N2: two have the turn");
        let writes = !baton.poisoned;
        if writes {
            // Relaxed: the hand-over alone must make the last writer's stores visible.
            let data = self.data.load(Ordering::Relaxed);
            assert_eq!(data, baton.turns, "N2: a turn does not see the one before");
            self.data.store(data + 1, Ordering::Relaxed);
            baton.turns += 1;
            baton.poisoned = fails;
        }
        self.writing.fetch_sub(1, Ordering::Relaxed);
        self.turn.give(baton);
        writes
    }
}

fn writers(world: &Arc<World>, count: usize, fails: bool) -> usize {
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
        let world = World::new();
        assert_eq!(writers(&world, 2, false), 3, "N2: a writer was left out");
        assert_eq!(world.turn.take().turns, 3, "N2: a turn is lost");
    });
}

#[test]
fn who_does_not_wait_gets_a_turn_that_is_free_or_none() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 4, executions_min: 20 }, move || {
        let world = World::new();
        let waiting = [(); 2].map(|()| {
            let there = Arc::clone(&world);
            thread::spawn(move || there.write(false))
        });
        let wrote = usize::from(world.try_write());
        for waiting in waiting {
            assert!(waiting.join().unwrap(), "N2: a writer that waits was left out");
        }
        assert_eq!(world.turn.take().turns, 2 + wrote, "N2: a turn is lost");
        marks.hit(if wrote == 1 { "it was free" } else { "it was taken" });
    });
    met.assert_hit(&["it was free", "it was taken"]);
}

#[test]
fn nobody_writes_after_one_who_poisoned() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 6, executions_min: 20 }, move || {
        let world = World::new();
        let wrote = writers(&world, 2, true);
        let baton = world.turn.take();
        assert!(baton.poisoned, "N2: the poison is lost");
        assert_eq!(baton.turns, wrote, "N2: somebody wrote after the poison");
        marks.hit(if wrote == 1 { "poisoned first" } else { "poisoned last" });
    });
    met.assert_hit(&["poisoned first", "poisoned last"]);
}
