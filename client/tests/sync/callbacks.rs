//! Callbacks of apps on the thread of a file: slow ones, ones that wait, and ones that panic.

use super::support::{FOREVER, TestApp, TestServer, texts, write};
use fastness::{Error, InstanceError};
use fastness_client::{
    Progress, ProgressDirection, ProgressMode, ResetPolicy, SessionState, SyncCallError, SyncEvent,
    SyncOptions, SyncedFile,
};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread::yield_now;
use std::time::Instant;

/// The numbers of sessions begin again with each connection.
#[test]
fn a_frame_of_an_earlier_connection_is_sent_under_no_session_of_another_file() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let slow = app.open();
    slow.upload_all(FOREVER).unwrap();
    let other = app.open_at("/~/others");
    write(&other, 1, "of the other file");
    other.upload_all(FOREVER).unwrap();
    let before = server.head();
    let (entered, held) = channel();
    let (release, released) = channel();
    let gate = Mutex::new((entered, Some(released)));
    slow.on_event(move |event| {
        if matches!(event, SyncEvent::Ordered(_)) {
            let (entered, released) = &mut *gate.lock().unwrap();
            if let Some(released) = released.take() {
                entered.send(()).unwrap();
                released.recv_timeout(FOREVER).unwrap();
            }
        }
    });
    write(&slow, 2, "first");
    held.recv_timeout(FOREVER).unwrap();
    // The thread of the file handles this before it learns that the connection is lost.
    write(&slow, 3, "second");
    let (lost, is_lost) = channel();
    other.on_event(move |event| {
        if matches!(event, SyncEvent::Connected(false)) {
            lost.send(()).unwrap_or_default();
        }
    });
    server.cut();
    is_lost.recv_timeout(FOREVER).unwrap();
    other.download_all(FOREVER).unwrap();
    release.send(()).unwrap();
    slow.upload_all(FOREVER).unwrap();
    write(&other, 4, "of the other file, later");
    other.upload_all(FOREVER).unwrap();
    assert_eq!(server.head(), before + 3, "CS7: each entry has one place in the history");
    slow.download_all(FOREVER).unwrap();
    let all = ["of the other file", "first", "second", "of the other file, later"];
    assert_eq!(texts(slow.database()), all);
}

/// Opens a file whose simulated reset is left to the app.
fn open_manual(app: &TestApp) -> SyncedFile {
    let options = SyncOptions::new().reset(ResetPolicy::Manual);
    app.sync.open_file_with(&app.builder().build().unwrap(), options).unwrap()
}

#[test]
fn a_wait_in_a_callback_of_the_file_is_refused() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let file = open_manual(&app);
    let (sender, outcomes) = channel();
    let waiting = file.clone();
    file.on_event(move |event| {
        if !matches!(event, SyncEvent::Ordered(_)) {
            return;
        }
        let outcomes = [
            waiting.upload_all(FOREVER),
            waiting.download_all(FOREVER),
            waiting.wait_for_state(SessionState::Inactive, FOREVER),
            waiting.simulate_reset(),
        ];
        sender.send(outcomes).unwrap_or_default();
    });
    write(&file, 1, "one");
    for outcome in outcomes.recv_timeout(FOREVER).expect("CS5: no call waits") {
        let Err(SyncCallError::File(Error::Instance(error))) = &outcome else {
            panic!("CS5: {outcome:?}");
        };
        assert!(matches!(error, InstanceError::BlockingForbidden { .. }), "CS5: {error:?}");
    }
    file.upload_all(FOREVER).unwrap();
}

#[test]
fn hooks_of_a_reset_that_panic_do_not_end_it() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let options = SyncOptions::new()
        .before_reset(|_| panic!("a hook of the app"))
        .after_reset(|_, _| panic!("a hook of the app"));
    let file = app.sync.open_file_with(&app.builder().build().unwrap(), options).unwrap();
    let (sender, failures) = channel();
    file.on_event(move |event| {
        if let SyncEvent::Failed(error) = event {
            sender.send(format!("{error:?}")).unwrap_or_default();
        }
    });
    write(&file, 1, "one");
    file.upload_all(FOREVER).unwrap();
    file.simulate_reset().unwrap();
    for hook in ["before_reset", "after_reset"] {
        let failure = failures.recv_timeout(FOREVER).expect(hook);
        assert!(failure.contains(hook), "{failure}");
    }
    write(&file, 2, "two");
    file.upload_all(FOREVER).unwrap();
    assert_eq!(server.texts(), ["one", "two"]);
}

/// Waits for a condition of another thread.
#[track_caller]
fn wait_until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < FOREVER);
        yield_now();
    }
}

/// Panics on the thread that drops it.
struct PanicsOnDrop;

impl PanicsOnDrop {
    const fn keep(&self) {}
}

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("a value of the app");
    }
}

#[test]
fn a_panic_on_the_thread_of_a_file_ends_its_session_with_an_error() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let file = app.open();
    file.upload_all(FOREVER).unwrap();
    let (sender, failures) = channel();
    file.on_event(move |event| {
        if let SyncEvent::Failed(error) = event {
            sender.send(format!("{error:?}")).unwrap_or_default();
        }
    });
    let value = PanicsOnDrop;
    let kind = (ProgressDirection::Upload, ProgressMode::CurrentChanges);
    file.add_progress_listener(kind, move |_: Progress| value.keep());
    assert!(failures.recv_timeout(FOREVER).unwrap().contains("panic"), "CS5");
    assert_eq!(file.state(), SessionState::Error, "CS5");
    write(&file, 1, "kept");
    let stopped = file.upload_all(FOREVER);
    assert!(matches!(stopped, Err(SyncCallError::Stopped { .. })), "CS5: {stopped:?}");
    // Another opening begins another session, beside the handle of the one that has ended.
    let again = app.open();
    again.upload_all(FOREVER).unwrap();
    assert_eq!(server.texts(), ["kept"]);
    drop(file);
    again.download_all(FOREVER).expect("CS5: the session of the other handle continues");
    let configuration = again.configuration().clone();
    drop(again);
    wait_until(|| app.registry.global_count(&configuration) == 0);
}

#[test]
fn a_file_is_closed_before_its_session_is_inactive() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let file = app.open();
    let configuration = file.configuration().clone();
    let (sender, counts) = channel();
    let registry = app.registry.clone();
    file.on_event(move |event| {
        if matches!(event, SyncEvent::State(SessionState::Inactive)) {
            sender.send(registry.global_count(&configuration)).unwrap_or_default();
        }
    });
    drop(file);
    assert_eq!(counts.recv_timeout(FOREVER), Ok(0), "an app may delete the file");
}
