//! Snapshots that are taken, cloned and dropped, against commits that free and reuse pages.
//!
//! Each commit writes its number into a page of its own and frees the page of the commit before, by
//! core's own rules. A reader that pinned a commit must find that number in its page for as long as
//! it holds the pin.
//!
//! - N1 A state is pinned from the moment a reader can see it until its last reader is dropped.
//! - S2 A page freed by commit N is written again only when no reader older than N lives.

use crate::conc::{Arc as StdArc, AtomicUsize, Ordering};
use crate::core_pins::{Pinned, Published};
use crate::explore::{Bound, explore};
use crate::marks::Marks;
use crate::space::{FreedPage, Space};
use crate::unit::{CommitId, PageId};
use loom::sync::Arc;
use loom::thread;
use std::collections::BTreeMap;

const PAGES: usize = 10;

/// A commit, whose number is in its page.
#[derive(Debug)]
struct State {
    commit: CommitId,
    page: PageId,
}

struct PinsModel {
    published: Published<State>,
    pages: Vec<AtomicUsize>,
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

impl PinsModel {
    /// Commit 1 is in page 3.
    fn new() -> Arc<Self> {
        let (commit, page) = (CommitId(1), PageId(3));
        let pages = (0..PAGES).map(|at| AtomicUsize::new(usize::from(at == 3))).collect();
        let state = StdArc::new(State { commit, page });
        Arc::new(Self { published: Published::new(commit, state), pages })
    }

    fn check(&self, pinned: &Pinned<State>) {
        let found = self.pages[index(pinned.page.0)].load(Ordering::Relaxed);
        assert_eq!(found, index(pinned.commit.0), "S2: a page was reused under its reader");
    }

    fn write(&self, commits: u64, marks: &Marks) {
        let mut space = Space::of_commit(4, BTreeMap::new()).unwrap();
        for commit in (2..2 + commits).map(CommitId) {
            let base = self.published.pin();
            let pins = self.published.pins();
            space.release(&pins, base.commit);
            let mut draft = space.draft(PageId(0));
            let known = draft.page_count;
            space.take(&mut draft, 1);
            let page = draft.taken[0];
            marks.hit(if page.0 < known { "a page is reused" } else { "the file grows" });
            if page.0 < known && pins.older.iter().any(|pin| *pin < base.commit) {
                marks.hit("a page is reused while an old reader lives");
            }
            // A state is written by its own commit.
            let freed = FreedPage { page: base.page, birth: base.commit };
            space.free(&mut draft, &[freed]).unwrap();
            self.pages[index(page.0)].store(index(commit.0), Ordering::Relaxed);
            self.published.publish(commit, StdArc::new(State { commit, page }));
            space.publish(draft, commit, vec![freed]);
        }
    }
}

#[test]
fn a_snapshot_keeps_its_pages() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 5, executions_min: 1_000 }, move || {
        let world = PinsModel::new();
        let reader = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let pinned = world.published.pin();
                world.check(&pinned);
            })
        };
        world.write(5, &marks);
        reader.join().unwrap();
    });
    met.assert_hit(&["a page is reused", "the file grows"]);
}

#[test]
fn a_clone_keeps_what_the_original_pinned() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 3, executions_min: 3_000 }, move || {
        let world = PinsModel::new();
        let pinned = world.published.pin();
        let reader = {
            let world = Arc::clone(&world);
            thread::spawn(move || {
                let clone = pinned.clone();
                drop(pinned);
                world.check(&clone);
                drop(clone);
                world.check(&world.published.pin());
            })
        };
        world.write(4, &marks);
        reader.join().unwrap();
    });
    met.assert_hit(&["a page is reused", "the file grows"]);
}

#[test]
fn two_readers_of_different_commits() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 3, executions_min: 8_000 }, move || {
        let world = PinsModel::new();
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let world = Arc::clone(&world);
                thread::spawn(move || {
                    let pinned = world.published.pin();
                    world.check(&pinned);
                })
            })
            .collect();
        world.write(4, &marks);
        for reader in readers {
            reader.join().unwrap();
        }
    });
    met.assert_hit(&["a page is reused", "the file grows"]);
}

/// Two numbers that must be equal for every reader.
#[derive(Debug)]
struct Twice(u64, u64);

#[test]
fn a_value_that_a_reader_holds_is_not_changed_in_place() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 4, executions_min: 300 }, move || {
        let mut own = StdArc::new(Twice(1, 1));
        let published = Arc::new(Published::new(CommitId(1), StdArc::clone(&own)));
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let published = Arc::clone(&published);
                thread::spawn(move || {
                    let pinned = published.pin();
                    let (first, pins) = (pinned.0, published.pins());
                    thread::yield_now();
                    assert_eq!((pinned.0, pinned.1), (first, first), "N1: it changed");
                    let is_pinned = |pin: &CommitId| pin.0 == first;
                    let covered = pins.current.0 <= first || pins.older.iter().any(is_pinned);
                    assert!(covered, "N1: {pins:?} leaves out what is pinned");
                })
            })
            .collect();
        for commit in 2..5 {
            let change = |state: &mut Twice| {
                state.0 = commit;
                thread::yield_now();
                state.1 = commit;
                Some(())
            };
            let changed = published.change(CommitId(commit), &mut own, change);
            if changed.is_some() {
                marks.hit("changed where it was");
            } else {
                marks.hit("held by a reader");
                own = StdArc::new(Twice(commit, commit));
                published.publish(CommitId(commit), StdArc::clone(&own));
            }
            assert_eq!(published.current().0, commit);
        }
        for reader in readers {
            reader.join().unwrap();
        }
        let pins = published.pins();
        assert_eq!((pins.older, pins.current), (Vec::new(), CommitId(4)));
    });
    met.assert_hit(&["changed where it was", "held by a reader"]);
}
