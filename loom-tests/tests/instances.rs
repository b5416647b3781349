//! Threads that open, close, delete and reset one file.
//!
//! A flag stands for the file and records whether it is open. It detects a file that is opened
//! twice, or opened, deleted or reset while another thread holds it.
//!
//! - J1 Counts are those of the handles; at the end they are 0.
//! - J3 An opening that fails leaves counts and the path as they were.
//! - J4 One at a time opens, closes, deletes or resets; nothing happens to a file that is held.
//! - J5 No thread waits for ever: loom reports a deadlock.
//! - J7 The last handle closes the file, and the next opening finds it closed.
//! - R1 A recorded action is carried out exactly once.

use crate::conc::{AtomicUsize, Mutex, Ordering};
use crate::core_instance::handle_table::{FileHandle, HandleTable, OpenRequest, Refusal};
use crate::core_instance::holder::{InstanceKind, ThreadNumber};
use crate::core_instance::pending::PendingActions;
use crate::explore::{Bound, explore};
use crate::marks::Marks;
use loom::sync::Arc;
use loom::thread;
use std::path::Path;
use std::sync::Arc as StdArc;

const PATH: &str = "file";

/// The disk: how many have the file open, how often it was opened and deleted.
#[derive(Default)]
struct Disk {
    open: AtomicUsize,
    opened: AtomicUsize,
    deleted: AtomicUsize,
}

/// The open file.
struct File(Arc<Disk>);

impl File {
    fn open(disk: &Arc<Disk>) -> Self {
        assert_eq!(disk.open.fetch_add(1, Ordering::Relaxed), 0, "J4: it is opened twice");
        disk.opened.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(disk))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        thread::yield_now();
        assert_eq!(self.0.open.fetch_sub(1, Ordering::Relaxed), 1, "J7: it was open");
    }
}

/// Why a thread got no further.
#[derive(Debug)]
enum Stopped {
    Refused(Refusal<u8>),
    Broken,
}

impl From<Refusal<u8>> for Stopped {
    fn from(refused: Refusal<u8>) -> Self {
        Self::Refused(refused)
    }
}

type Opened = Result<FileHandle<u8, File>, Stopped>;

#[derive(Clone)]
struct InstancesModel {
    registry: StdArc<HandleTable<u8, File>>,
    disk: Arc<Disk>,
}

impl InstancesModel {
    fn new() -> Self {
        Self { registry: StdArc::default(), disk: Arc::default() }
    }

    fn open(&self, thread: usize, configuration: u8) -> Opened {
        let configuration = StdArc::new(configuration);
        let request = OpenRequest {
            path: Path::new(PATH),
            configuration: &configuration,
            kind: InstanceKind::Typed,
            thread: ThreadNumber(thread),
        };
        self.registry.open(&request, |open| {
            Ok(match open {
                Some(file) => StdArc::clone(file),
                None => StdArc::new(File::open(&self.disk)),
            })
        })
    }

    fn open_and_fail(&self, thread: usize) -> Opened {
        let configuration = StdArc::new(0);
        let (path, kind) = (Path::new(PATH), InstanceKind::Dynamic);
        let thread = ThreadNumber(thread);
        let request = OpenRequest { path, configuration: &configuration, kind, thread };
        self.registry.open(&request, |open| {
            drop(open.is_none().then(|| File::open(&self.disk)));
            Err(Stopped::Broken)
        })
    }

    /// Deletes, or resets: whatever needs the file for itself.
    fn delete(&self, thread: usize) -> Result<(), Stopped> {
        self.registry.exclusively(Path::new(PATH), ThreadNumber(thread), || {
            assert_eq!(self.disk.open.load(Ordering::Relaxed), 0, "J4: deleted while it is open");
            self.disk.deleted.fetch_add(1, Ordering::Relaxed);
            thread::yield_now();
            assert_eq!(self.disk.open.load(Ordering::Relaxed), 0, "J4: opened while deleted");
            Ok(())
        })
    }

    fn count(&self) -> usize {
        self.registry.global_count(Path::new(PATH))
    }

    fn local(&self, thread: usize) -> usize {
        self.registry.local_count(Path::new(PATH), ThreadNumber(thread))
    }

    fn assert_closed(&self) {
        assert_eq!(self.count(), 0, "J1: no handle is left");
        assert_eq!(self.disk.open.load(Ordering::Relaxed), 0, "J7: it is closed");
    }
}

#[test]
fn two_who_open_share_one_file() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 3, executions_min: 550 }, move || {
        let world = InstancesModel::new();
        let (other, seen) = (world.clone(), marks.clone());
        let there = thread::spawn(move || {
            let held = other.open(1, 0).unwrap();
            assert_eq!(other.local(1), 1, "J1: one handle of this thread");
            seen.hit(if other.count() == 2 { "both at once" } else { "one after the other" });
            assert!(held.close(ThreadNumber(1)).unwrap());
        });
        let one = world.open(0, 0).unwrap();
        let two = world.open(0, 0).unwrap();
        assert!(one.is_same(&two) && world.local(0) == 2, "J1: two handles of one instance");
        let count = world.count();
        assert!(count == 1 || count == 2, "J1: {count} pairs of at most two threads");
        drop(one);
        assert!(world.disk.open.load(Ordering::Relaxed) == 1, "J7: it is still held");
        drop(two);
        there.join().unwrap();
        world.assert_closed();
        let opened = world.disk.opened.load(Ordering::Relaxed);
        marks.hit(if opened == 1 { "opened once" } else { "opened again" });
    });
    met.assert_hit(&["both at once", "one after the other", "opened once", "opened again"]);
}

#[test]
fn another_configuration_opens_only_a_closed_file() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 6, executions_min: 300 }, move || {
        let world = InstancesModel::new();
        let (other, seen) = (world.clone(), marks.clone());
        let there = thread::spawn(move || match other.open(1, 7) {
            Ok(held) => {
                seen.hit("it got in");
                drop(held);
            }
            Err(Stopped::Refused(Refusal::Configuration(open))) => {
                assert_eq!(*open, 0, "J2: the error names the open configuration");
                seen.hit("it was refused");
            }
            Err(stopped) => panic!("J2: {stopped:?}"),
        });
        match world.open(0, 0) {
            Ok(held) => assert!(held.close(ThreadNumber(0)).unwrap()),
            Err(Stopped::Refused(Refusal::Configuration(_))) => marks.hit("the first was refused"),
            Err(stopped) => panic!("J2: {stopped:?}"),
        }
        there.join().unwrap();
        world.assert_closed();
    });
    met.assert_hit(&["it got in", "it was refused", "the first was refused"]);
}

/// One thread opens the file while it is reset and another reset is recorded. One reset runs, while
/// no handle is open; the second stays on record, unless it ran.
#[test]
fn a_reset_meets_an_opener_and_another_reset() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 4, executions_min: 3_900 }, move || {
        let (world, path) = (InstancesModel::new(), Path::new(PATH));
        let recorded = StdArc::new((PendingActions::default(), Mutex::new(0)));
        let record = |recorded: &(PendingActions<usize>, Mutex<usize>), action: usize| {
            let put = || {
                *recorded.1.lock() = action;
                Ok::<(), Stopped>(())
            };
            recorded.0.put(path, action, put).unwrap();
        };
        record(&recorded, 1);
        let (other, own, seen) = (world.clone(), StdArc::clone(&recorded), marks.clone());
        let resets = thread::spawn(move || {
            let carry_out = |(pending, disk): &(PendingActions<usize>, Mutex<usize>)| {
                let action = pending.get(path).unwrap();
                assert_eq!(
                    other.disk.open.load(Ordering::Relaxed),
                    0,
                    "J4: reset while it is open"
                );
                other.disk.deleted.fetch_add(action, Ordering::Relaxed);
                pending.remove_executed(path, &action, || {
                    *disk.lock() = 0;
                    Ok(())
                })
            };
            match other.registry.exclusively(path, ThreadNumber(1), || carry_out(&own)) {
                Ok(()) => seen.hit("carried out"),
                Err(Stopped::Refused(Refusal::Open(1))) => seen.hit("refused"),
                Err(stopped) => panic!("J4: {stopped:?}"),
            }
        });
        let opener = world.clone();
        let opens = thread::spawn(move || drop(opener.open(2, 0).unwrap()));
        record(&recorded, 2);
        resets.join().unwrap();
        opens.join().unwrap();
        world.assert_closed();
        let (left, done) = (recorded.0.get(path), world.disk.deleted.load(Ordering::Relaxed));
        assert_eq!(left.unwrap_or(0), *recorded.1.lock(), "R1: the disk says something else");
        match (done, left) {
            (0 | 1, Some(2)) => marks.hit("the second is still to be done"),
            (2, None) => marks.hit("the second was done instead"),
            outcome => panic!("R1: {outcome:?} are done and left"),
        }
    });
    met.assert_hit(&[
        "carried out",
        "refused",
        "the second is still to be done",
        "the second was done instead",
    ]);
}

#[test]
fn a_deletion_meets_openers_and_never_a_holder() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 6, executions_min: 170 }, move || {
        let world = InstancesModel::new();
        let (other, seen) = (world.clone(), marks.clone());
        let there = thread::spawn(move || match other.delete(1) {
            Ok(()) => seen.hit("deleted"),
            Err(Stopped::Refused(Refusal::Open(count))) => {
                assert_eq!(count, 1, "J1: one holds it");
                seen.hit("refused");
            }
            Err(stopped) => panic!("J4: {stopped:?}"),
        });
        drop(world.open(0, 0).unwrap());
        there.join().unwrap();
        world.assert_closed();
    });
    met.assert_hit(&["deleted", "refused"]);
}

#[test]
fn two_deletions_and_an_opener_take_turns() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 2, executions_min: 1_500 }, move || {
        let world = InstancesModel::new();
        let threads: Vec<_> = (1..3)
            .map(|number| {
                let world = world.clone();
                thread::spawn(move || world.delete(number).is_ok())
            })
            .collect();
        drop(world.open(0, 0).unwrap());
        let deleted: usize = threads.into_iter().map(|it| usize::from(it.join().unwrap())).sum();
        assert_eq!(world.disk.deleted.load(Ordering::Relaxed), deleted, "J4: an answer is wrong");
        world.assert_closed();
        marks.hit(["none", "one", "both"][deleted]);
    });
    met.assert_hit(&["one", "both"]);
}

#[test]
fn a_failed_opening_leaves_counts_and_path_to_the_others() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 6, executions_min: 2_000 }, move || {
        let world = InstancesModel::new();
        let (other, seen) = (world.clone(), marks.clone());
        let there = thread::spawn(move || {
            let Err(Stopped::Broken) = other.open_and_fail(1) else { panic!("J3: it fails") };
            assert_eq!(other.local(1), 0, "J3: nothing is counted");
            seen.hit(if other.count() == 0 { "alone" } else { "beside a holder" });
        });
        let held = world.open(0, 0).unwrap();
        assert_eq!(world.local(0), 1, "J3: the other's failure is not ours");
        // Dropped here while the other is at it, the file is closed by the other.
        drop(held);
        there.join().unwrap();
        world.assert_closed();
    });
    met.assert_hit(&["alone", "beside a holder"]);
}

#[test]
fn a_handle_dropped_on_another_thread_is_uncounted_where_it_was_counted() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 6, executions_min: 220 }, move || {
        let world = InstancesModel::new();
        let held = world.open(0, 0).unwrap();
        let (other, seen) = (world.clone(), marks.clone());
        let there = thread::spawn(move || {
            let used = held.with(ThreadNumber(1), |_| Ok::<(), Stopped>(()));
            let Err(Stopped::Refused(Refusal::OtherThread)) = used else {
                panic!("J6: used on another thread")
            };
            drop(held);
            seen.hit(if other.local(0) == 0 { "uncounted" } else { "another is counted" });
        });
        let again = world.open(0, 0).unwrap();
        assert_eq!(world.count(), 1, "J1: one thread and kind");
        drop(again);
        there.join().unwrap();
        world.assert_closed();
    });
    met.assert_hit(&["uncounted", "another is counted"]);
}

#[test]
fn work_on_one_file_does_not_wait_for_another() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 6, executions_min: 370 }, move || {
        let registry: StdArc<HandleTable<u8, File>> = StdArc::default();
        let cross = |registry: &HandleTable<u8, File>, thread, paths: [&'static str; 2]| {
            let thread = ThreadNumber(thread);
            let inner =
                || registry.exclusively(Path::new(paths[1]), thread, || Ok::<(), Stopped>(()));
            registry.exclusively(Path::new(paths[0]), thread, inner)
        };
        let (other, seen) = (StdArc::clone(&registry), marks.clone());
        let there = thread::spawn(move || match cross(&other, 1, ["a", "b"]) {
            Ok(()) => seen.hit("went through"),
            Err(Stopped::Refused(Refusal::AtWork)) => seen.hit("refused"),
            Err(stopped) => panic!("J5: {stopped:?}"),
        });
        drop(cross(&registry, 0, ["b", "a"]));
        there.join().unwrap();
    });
    met.assert_hit(&["went through", "refused"]);
}

#[test]
fn a_ui_thread_is_refused_instead_of_waiting() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 6, executions_min: 1_900 }, move || {
        let world = InstancesModel::new();
        world.registry.forbid_blocking(ThreadNumber(1));
        let (other, seen) = (world.clone(), marks.clone());
        let there = thread::spawn(move || {
            match other.open(1, 0) {
                Ok(_) => seen.hit("went through"),
                Err(Stopped::Refused(Refusal::BlockingForbidden)) => seen.hit("refused"),
                Err(stopped) => panic!("J5: {stopped:?}"),
            }
            other.registry.allow_blocking(ThreadNumber(1));
            drop(other.open(1, 0).unwrap());
        });
        world.delete(0).unwrap_or_else(|stopped| {
            assert!(matches!(stopped, Stopped::Refused(Refusal::Open(1))), "J4: {stopped:?}");
            marks.hit("it was faster");
        });
        there.join().unwrap();
        world.assert_closed();
    });
    met.assert_hit(&["went through", "refused", "it was faster"]);
}

/// One is in a transaction and opens a file; the other, with a claim on that file, waits for the
/// transaction to end.
#[test]
fn an_opener_in_a_transaction_does_not_wait_for_a_claim() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 6, executions_min: 700 }, move || {
        let world = InstancesModel::new();
        let turn = StdArc::new(Mutex::new(()));
        let (other, others_turn) = (world.clone(), StdArc::clone(&turn));
        let there = thread::spawn(move || {
            let (path, me) = (Path::new(PATH), ThreadNumber(1));
            other.registry.exclusively(path, me, || {
                drop(others_turn.lock());
                Ok::<(), Stopped>(())
            })
        });
        let working = world.registry.mark_in_transaction(ThreadNumber(0));
        let writing = turn.lock();
        match world.open(0, 0) {
            Ok(held) => drop((held, marks.hit("went through"))),
            Err(Stopped::Refused(Refusal::AtWork)) => marks.hit("refused"),
            Err(stopped) => panic!("J5: {stopped:?}"),
        }
        drop(writing);
        drop(working);
        match there.join().unwrap() {
            Ok(()) => {}
            Err(Stopped::Refused(Refusal::Open(1))) => marks.hit("still open"),
            Err(stopped) => panic!("J5: {stopped:?}"),
        }
    });
    met.assert_hit(&["went through", "refused", "still open"]);
}
