//! Futures of synced files, with an executor of a few lines.

use super::support::{FOREVER, TestApp, TestServer, texts, write};
use fastness::config::Callback;
use fastness_client::{SessionState, SyncCallError, SyncOptions, SyncWait, SyncedFile};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future to its end. It is polled when its task is woken, and at no other time.
fn run<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let begun = Instant::now();
    loop {
        if let Poll::Ready(outcome) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return outcome;
        }
        thread::park_timeout(FOREVER);
        assert!(begun.elapsed() < FOREVER, "CS8: the task is not woken");
    }
}

#[test]
fn a_task_is_woken_for_each_transfer() {
    let server = TestServer::new();
    let (one, two) = (TestApp::new(&server), TestApp::new(&server));
    let (mine, other) = (one.open(), two.open());
    for count in 1..=50 {
        write(&mine, count, "text");
        run(mine.uploaded()).expect("CS8");
        run(other.downloaded()).expect("CS8");
        assert_eq!(i64::try_from(texts(other.database()).len()), Ok(count), "CS8");
    }
}

#[test]
fn a_future_that_is_dropped_takes_nothing_from_others() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let file = app.open();
    file.pause();
    for _ in 0..1000 {
        let mut wait = pin!(file.downloaded());
        let polled = wait.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending(), "CS8");
    }
    let wait = file.downloaded();
    file.resume();
    run(wait).expect("CS8");
    run(file.downloaded()).expect("CS8");
}

#[test]
fn a_panic_of_an_opening_continues_in_the_task() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let panics = Callback::initial_data("panics", |_| panic!("a callback of the app"));
    let configuration = app.builder().initial_data(panics).build().unwrap();
    let opening = || run(app.sync.opening(&configuration, SyncOptions::new())).map(drop);
    let outcome = catch_unwind(AssertUnwindSafe(opening));
    let panic = outcome.expect_err("CS8: the blocking call panics, too");
    assert_eq!(panic.downcast_ref(), Some(&"a callback of the app"), "CS8");
    run(app.sync.opening(&app.builder().build().unwrap(), SyncOptions::new())).expect("CS8");
}

/// A task that has another wait for the file, and drops it when the last waker goes.
struct WaitingTask {
    file: SyncedFile,
    _wait: Mutex<SyncWait>,
}

impl Wake for WaitingTask {
    fn wake(self: Arc<Self>) {}
}

impl Drop for WaitingTask {
    fn drop(&mut self) {
        assert_ne!(self.file.state(), SessionState::Error, "CS8");
    }
}

#[test]
fn a_waker_may_use_the_file_when_it_is_dropped() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let file = app.open();
    file.pause();
    write(&file, 1, "paused");
    let waker = || {
        let wait = Mutex::new(file.uploaded());
        Waker::from(Arc::new(WaitingTask { file: file.clone(), _wait: wait }))
    };
    let mut wait = Box::pin(file.uploaded());
    // The second waker takes the place of the first one, and goes with the future.
    for _ in 0..2 {
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker())).is_pending());
    }
    drop(wait);
    drop(app.sync);
    assert!(matches!(run(file.uploaded()), Err(SyncCallError::Stopped { .. })), "CS8");
}
