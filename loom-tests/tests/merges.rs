//! The thread of a synced file: merges beside readers, writers and observers of the app, waits for
//! uploads and downloads, and the closing of the file.
//!
//! The state of the file is a few numbers; the writer lock, the queues of observers, the signals,
//! the status that waits look at and the marks of downloads are those that ship.
//!
//! - SY3 What a reader sees is the canonical state with the pending entries applied.
//! - W2 An observer receives every merge and every commit, in order and each once.
//! - CS2 A merge is one commit: no reader sees a part of it, and no writer's change is lost.
//! - CS5 A wait ends with the transfer or the session: loom reports a deadlock.

use crate::client_marks::DownloadMarks;
use crate::client_watched::Watched;
use crate::conc::Mutex;
use crate::core_queues::Queues;
use crate::core_signal::Signals;
use crate::core_writer_lock::WriterLock;
use crate::explore::{Bound, explore, new_thread};
use crate::marks::Marks;
use crate::unit::CommitId;
use crate::wait_graph::WaitGraph;
use loom::sync::Arc;
use loom::sync::mpsc::{Receiver, Sender, channel};
use loom::thread;
use std::time::Duration;

/// A time that never ends in a model.
const FOREVER: Duration = Duration::from_secs(1);

/// The state of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct FileState {
    commit: u64,
    /// Changes in the canonical state.
    canonical: u64,
    /// Own entries that the history does not contain.
    pending: u64,
    /// Changes in the state that the app sees.
    working: u64,
    /// Number of the last own entry.
    last: u64,
}

/// The status of the session, which waits look at.
#[derive(Debug, Default)]
struct Transfers {
    uploaded: u64,
    last_mark: u64,
    marked: u64,
    has_ended: bool,
}

/// A message to the thread of the file.
enum Message {
    Written,
    Mark(u64),
    /// The server's answer to a mark, after a download.
    Answer,
    Close,
}

struct MergesModel {
    lock: WriterLock<FileState>,
    graph: WaitGraph,
    visible: Mutex<FileState>,
    queues: Queues<FileState>,
    signals: Signals,
    transfers: Watched<Transfers>,
}

impl MergesModel {
    fn new() -> (Arc<Self>, Sender<Message>, Receiver<Message>) {
        let (sender, inbox) = channel();
        let world = Self {
            lock: WriterLock::new(FileState::default()),
            graph: WaitGraph::new(),
            visible: Mutex::new(FileState::default()),
            queues: Queues::default(),
            signals: Signals::default(),
            transfers: Watched::new(Transfers::default()),
        };
        (Arc::new(world), sender, inbox)
    }

    /// Begins a transaction.
    fn begin(&self) -> FileState {
        self.lock.lock(new_thread(), &self.graph).unwrap()
    }

    /// Ends a transaction: its commit is delivered to observers, and visible afterwards.
    fn commit(&self, mut state: FileState) {
        state.commit += 1;
        if self.queues.any() {
            self.queues.push(CommitId(state.commit), state);
        }
        self.lock.unlock(state);
        self.show(state);
    }

    fn show(&self, state: FileState) {
        let mut visible = self.visible.lock();
        if visible.commit < state.commit {
            *visible = state;
        }
        drop(visible);
        self.signals.wake();
    }

    /// A commit of the app. Its hook wakes the thread of the file before the commit is visible.
    fn write(&self, inbox: &Sender<Message>) {
        let mut state = self.begin();
        (state.last, state.pending, state.working) =
            (state.last + 1, state.pending + 1, state.working + 1);
        inbox.send(Message::Written).unwrap_or_default();
        self.commit(state);
    }

    /// A download with an entry of another client.
    fn merge(&self) {
        let mut state = self.begin();
        state.working -= state.pending;
        assert_eq!(state.working, state.canonical, "SY20: undo is the canonical state");
        state.canonical += 1;
        state.working = state.canonical + state.pending;
        self.commit(state);
    }

    /// A download with the own entries up to one.
    fn order(&self, last: u64) {
        let mut state = self.begin();
        let ordered = state.pending - (state.last - last);
        (state.pending, state.canonical) = (state.pending - ordered, state.canonical + ordered);
        self.commit(state);
    }

    fn read(&self) -> FileState {
        let state = *self.visible.lock();
        assert_eq!(state.working, state.canonical + state.pending, "SY3: {state:?}");
        state
    }

    /// Waits for the writer, and returns the last own entry.
    fn sync(&self) -> u64 {
        let state = self.begin();
        self.lock.unlock(state);
        self.show(state);
        self.read().last
    }

    /// Uploads what is pending, and gets the answer and the download.
    fn upload(&self, waits_for_writer: bool) {
        let last = if waits_for_writer { self.sync() } else { self.read().last };
        if last > self.transfers.lock().uploaded {
            self.order(last);
            self.transfers.change(|transfers| transfers.uploaded = last);
        }
    }

    /// The thread of the file, until it is closed and everything is uploaded.
    fn serve(&self, (own, inbox): (&Sender<Message>, &Receiver<Message>), waits_for_writer: bool) {
        let mut marks = DownloadMarks::default();
        let ask = |asked: Option<u64>| {
            if asked.is_some() {
                own.send(Message::Answer).unwrap_or_default();
            }
            asked
        };
        let mut asked = None;
        loop {
            match inbox.recv().unwrap() {
                Message::Written => self.upload(waits_for_writer),
                Message::Mark(number) => asked = ask(marks.want(number)).or(asked),
                Message::Answer => {
                    self.merge();
                    let number = asked.take().unwrap();
                    self.transfers.change(|transfers| transfers.marked = number);
                    asked = ask(marks.complete());
                }
                Message::Close => break,
            }
        }
        self.upload(true);
        self.transfers.change(|transfers| transfers.has_ended = true);
    }

    /// Waits until the server has what was committed before; tells whether it has.
    fn wait_for_upload(&self) -> bool {
        let wanted = self.read().last;
        let is_uploaded = self.transfers.wait(
            || FOREVER,
            |transfers| {
                let is_uploaded = transfers.uploaded >= wanted;
                (is_uploaded || transfers.has_ended).then_some(is_uploaded)
            },
        );
        is_uploaded.unwrap()
    }

    /// Waits for a download; tells whether it is here.
    fn wait_for_download(&self, inbox: &Sender<Message>) -> bool {
        let mut transfers = self.transfers.lock();
        transfers.last_mark += 1;
        let number = transfers.last_mark;
        drop(transfers);
        inbox.send(Message::Mark(number)).unwrap_or_default();
        let is_here = self.transfers.wait(
            || FOREVER,
            |transfers| {
                let is_here = transfers.marked >= number;
                (is_here || transfers.has_ended).then_some(is_here)
            },
        );
        is_here.unwrap()
    }
}

/// Runs the thread of the file beside `app`, and closes it afterwards.
fn beside_the_file(
    waits_for_writer: bool,
    app: impl FnOnce(&Arc<MergesModel>, &Sender<Message>),
) -> FileState {
    let (world, sender, inbox) = MergesModel::new();
    let (file, own) = (Arc::clone(&world), sender.clone());
    let file = thread::spawn(move || {
        file.serve((&own, &inbox), waits_for_writer);
        inbox
    });
    app(&world, &sender);
    sender.send(Message::Close).unwrap_or_default();
    let inbox = file.join().unwrap();
    // Messages after the end have no effect, and loom wants them to be taken.
    while inbox.try_recv().is_ok() {}
    world.read()
}

#[test]
fn a_reader_and_an_observer_beside_a_merge_see_whole_states() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 3, executions_min: 300 }, move || {
        let (world, sender, inbox) = MergesModel::new();
        let (queue, _) = world.queues.begin(|| Ok::<_, ()>(world.read())).unwrap();
        let signal = world.signals.begin();
        let merging = Arc::clone(&world);
        let writing = Arc::clone(&world);
        let merging = thread::spawn(move || merging.merge());
        let writing = thread::spawn(move || writing.write(&sender));
        let mut received = Vec::new();
        while received.len() < 2 {
            let seen = world.read();
            while let Some((commit, state)) = queue.take(CommitId(seen.commit)) {
                assert_eq!(commit, CommitId(state.commit), "W2");
                assert_eq!(state.working, state.canonical + state.pending, "SY3");
                received.push(*state);
            }
            if received.len() < 2 {
                let later = || (world.read().commit > seen.commit).then_some(());
                signal.wait(FOREVER, later).expect("W4: woken without changes");
            }
        }
        merging.join().unwrap();
        writing.join().unwrap();
        assert_eq!(received.iter().map(|state| state.commit).collect::<Vec<_>>(), [1, 2], "W2");
        let end = FileState { commit: 2, canonical: 1, pending: 1, working: 2, last: 1 };
        assert_eq!((received[1], world.read()), (end, end), "CS2");
        marks.hit(if received[0].pending == 1 { "commit first" } else { "merge first" });
        assert!(matches!(inbox.recv(), Ok(Message::Written)), "CS1");
    });
    met.assert_hit(&["commit first", "merge first"]);
}

#[test]
fn every_wait_for_an_upload_ends_with_it() {
    explore(Bound { preemptions: 2, executions_min: 300 }, || {
        let end = beside_the_file(true, |world, sender| {
            let (other, inbox) = (Arc::clone(world), sender.clone());
            let other = thread::spawn(move || other.write(&inbox));
            world.write(sender);
            assert!(world.wait_for_upload(), "CS5: the file is open");
            other.join().unwrap();
            assert!(world.wait_for_upload(), "CS5: the file is open");
        });
        assert_eq!((end.pending, end.canonical, end.working), (0, 2, 2), "CS5: {end:?}");
    });
}

/// A commit, and then a download, whose answer the thread of the file gets after the commit.
fn upload_before_a_mark(waits_for_writer: bool) {
    beside_the_file(waits_for_writer, |world, sender| {
        world.write(sender);
        assert!(world.wait_for_download(sender), "CS5: the file is open");
        let uploaded = world.transfers.lock().uploaded;
        assert_eq!(uploaded, 1, "CS1: a commit is uploaded without another call");
    });
}

#[test]
fn a_commit_that_wakes_the_file_is_uploaded() {
    explore(Bound { preemptions: 3, executions_min: 20 }, || upload_before_a_mark(true));
}

/// The model has power: a thread of the file that is woken by a commit, and does not wait for it,
/// leaves the commit where it is until the next one.
#[test]
#[should_panic(expected = "CS1: a commit is uploaded without another call")]
fn a_file_that_does_not_wait_for_the_writer_leaves_a_commit() {
    explore(Bound { preemptions: 3, executions_min: 0 }, || upload_before_a_mark(false));
}

#[test]
fn every_wait_for_a_download_ends_with_it_however_many_there_are() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 2, executions_min: 300 }, move || {
        let end = beside_the_file(true, |world, sender| {
            let (other, inbox) = (Arc::clone(world), sender.clone());
            let other = thread::spawn(move || assert!(other.wait_for_download(&inbox), "CS5"));
            assert!(world.wait_for_download(sender), "CS5: the file is open");
            other.join().unwrap();
        });
        marks.hit(if end.canonical == 1 { "one mark for both" } else { "a mark for each" });
    });
    met.assert_hit(&["one mark for both", "a mark for each"]);
}

#[test]
fn a_file_that_closes_ends_every_wait_and_uploads_everything() {
    let marks = Marks::default();
    let met = marks.clone();
    explore(Bound { preemptions: 3, executions_min: 100 }, move || {
        let end = beside_the_file(true, |world, sender| {
            let (other, inbox, hit) = (Arc::clone(world), sender.clone(), marks.clone());
            let waiting = thread::spawn(move || {
                let is_here = other.wait_for_download(&inbox);
                hit.hit(if is_here { "downloaded" } else { "closed" });
            });
            world.write(sender);
            sender.send(Message::Close).unwrap_or_default();
            assert!(world.wait_for_upload(), "CS5: the last entries are uploaded");
            waiting.join().unwrap();
        });
        assert_eq!(end.pending, 0, "CS5: {end:?}");
    });
    met.assert_hit(&["downloaded", "closed"]);
}
