//! The writer lock: writers wait for each other.
//!
//! - N2 At most one writer holds the lock; the next writer sees every write of the one before it,
//!   also that the store is poisoned.
//! - N4 Writers get the lock in the order in which they ask for it.
//! - N5 No thread waits for ever: loom reports a deadlock. Among threads that would wait for each
//!   other, one is refused.

use crate::conc::{AtomicUsize, Ordering};
use crate::core_writer_lock::{LockRefused, WriterLock};
use crate::explore::{Bound, explore, new_thread};
use crate::marks::Marks;
use crate::wait_graph::{ThreadId, WaitGraph};
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
    graph: WaitGraph,
    writing: AtomicUsize,
    data: AtomicUsize,
}

impl WritersModel {
    fn new() -> Arc<Self> {
        let lock = WriterLock::new(WriterState { turns: 0, poisoned: false });
        let [writing, data] = [(); 2].map(|()| AtomicUsize::new(0));
        Arc::new(Self { lock, graph: WaitGraph::new(), writing, data })
    }

    fn lock(&self) -> WriterState {
        self.lock.lock(new_thread(), &self.graph).unwrap()
    }

    /// Takes one turn; tells whether it could write.
    fn write(&self, fails: bool) -> bool {
        let state = self.lock();
        self.write_with(state, fails)
    }

    /// Takes a turn if it is free; tells whether it was.
    fn try_write(&self) -> bool {
        let taken = self.lock.try_lock(new_thread());
        taken.is_ok_and(|state| self.write_with(state, false))
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
    explore(Bound { preemptions: 3, executions_min: 1_000 }, || {
        let world = WritersModel::new();
        assert_eq!(writers(&world, 2, false), 3, "N2: a writer was left out");
        assert_eq!(world.lock().turns, 3, "N2: a turn is lost");
    });
}

#[test]
fn a_writer_that_does_not_wait_gets_a_free_turn_or_none() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 3, executions_min: 20 }, move || {
        let world = WritersModel::new();
        let waiting = [(); 2].map(|()| {
            let there = Arc::clone(&world);
            thread::spawn(move || there.write(false))
        });
        let wrote = usize::from(world.try_write());
        for waiting in waiting {
            assert!(waiting.join().unwrap(), "N2: a writer that waits was left out");
        }
        assert_eq!(world.lock().turns, 2 + wrote, "N2: a turn is lost");
        marks.hit(if wrote == 1 { "it was free" } else { "it was taken" });
    });
    met.assert_hit(&["it was free", "it was taken"]);
}

#[test]
fn no_writer_follows_one_that_poisoned() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 3, executions_min: 20 }, move || {
        let world = WritersModel::new();
        let wrote = writers(&world, 2, true);
        let state = world.lock();
        assert!(state.poisoned, "N2: the poison is lost");
        assert_eq!(state.turns, wrote, "N2: a writer wrote after the poison");
        marks.hit(if wrote == 1 { "poisoned first" } else { "poisoned last" });
    });
    met.assert_hit(&["poisoned first", "poisoned last"]);
}

#[test]
fn writers_are_served_in_the_order_in_which_they_came() {
    explore(Bound { preemptions: 3, executions_min: 50 }, || {
        let world = WritersModel::new();
        let first = world.lock();
        let order = Arc::new(AtomicUsize::new(0));
        let waiting: Vec<_> = (1..=2)
            .map(|number| {
                let (world, order) = (Arc::clone(&world), Arc::clone(&order));
                let waiting = {
                    let world = Arc::clone(&world);
                    thread::spawn(move || {
                        let state = world.lock();
                        let before = order.fetch_add(1, Ordering::Relaxed);
                        assert_eq!(before + 1, number, "N4: a writer was overtaken");
                        world.lock.unlock(state);
                    })
                };
                while world.lock.waiting() < number as u64 {
                    thread::yield_now();
                }
                waiting
            })
            .collect();
        world.lock.unlock(first);
        for waiting in waiting {
            waiting.join().unwrap();
        }
    });
}

/// Two locks that two threads take in opposite order.
#[test]
fn a_thread_that_would_close_a_circle_of_waits_is_refused() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 3, executions_min: 100 }, move || {
        let locks = [(); 2].map(|()| Arc::new(WriterLock::new(())));
        let graph = Arc::new(WaitGraph::new());
        let nested = |number: usize, marks: Marks| {
            let (locks, graph) = (locks.clone(), Arc::clone(&graph));
            let thread = ThreadId(number);
            move || {
                let (outer, inner) = (&locks[number], &locks[1 - number]);
                let Ok(outer_value) = outer.lock(thread, &graph) else {
                    panic!("N5: a thread that holds nothing is refused");
                };
                assert_eq!(outer.lock(thread, &graph), Err(LockRefused::HeldByCaller));
                match inner.lock(thread, &graph) {
                    Ok(inner_value) => {
                        marks.hit("both");
                        inner.unlock(inner_value);
                    }
                    Err(refused) => {
                        assert_eq!(refused, LockRefused::Deadlock);
                        marks.hit("refused");
                    }
                }
                outer.unlock(outer_value);
            }
        };
        let other = thread::spawn(nested(1, marks.clone()));
        nested(0, marks.clone())();
        other.join().unwrap();
    });
    met.assert_hit(&["both", "refused"]);
}
