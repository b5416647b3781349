//! States of sessions, and waits.

use super::support::{FOREVER, TestApp, TestServer, texts, write};
use fastness::config::Callback;
use fastness::instance::SyncError;
use fastness::{Error, InstanceError};
use fastness_client::auth::Credentials;
use fastness_client::{Cancellation, SessionState, SyncCallError};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

#[test]
fn a_logout_parks_the_session_and_a_login_revives_it() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let file = app.open();
    file.wait_for_state(SessionState::Active, FOREVER).unwrap();
    write(&file, 1, "before");
    file.upload_all(FOREVER).unwrap();
    app.client.log_out(&app.user.id()).unwrap();
    file.wait_for_state(SessionState::Inactive, FOREVER).unwrap();
    write(&file, 2, "meanwhile");
    let stopped = file.upload_all(FOREVER);
    assert!(matches!(stopped, Err(SyncCallError::Stopped { .. })), "{stopped:?}");
    let login = Credentials::access_token("refresh", "me", false);
    app.client.log_in(&server.url(), login).unwrap();
    file.wait_for_state(SessionState::Active, FOREVER).unwrap();
    file.upload_all(FOREVER).unwrap();
    assert_eq!(server.texts(), ["before", "meanwhile"]);
}

#[test]
fn a_closed_file_uploads_its_last_entries() {
    let server = TestServer::new();
    let (app, other) = (TestApp::new(&server), TestApp::new(&server));
    let file = app.open();
    file.pause();
    for id in 0..25 {
        write(&file, id, &"x".repeat(100_000));
    }
    file.resume();
    let configuration = file.configuration().clone();
    drop(file);
    let seen = other.open();
    let (_, changes) = seen.database().subscribe().unwrap();
    while texts(seen.database()).len() < 25 {
        changes.recv(FOREVER).expect("all entries arrive");
    }
    // The thread of the file closes it then.
    let deadline = std::time::Instant::now() + FOREVER;
    while app.registry.global_count(&configuration) > 0 {
        assert!(std::time::Instant::now() < deadline);
        thread::yield_now();
    }
}

#[test]
fn a_file_that_is_closing_may_be_opened_again() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let file = app.open();
    file.pause();
    write(&file, 1, "paused");
    drop(file);
    let again = app.open();
    assert_eq!(texts(again.database()), ["paused"]);
    again.resume();
    again.upload_all(FOREVER).unwrap();
    assert_eq!(server.texts(), ["paused"]);
}

#[test]
fn entries_of_an_earlier_start_are_uploaded() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let file = app.open();
    file.pause();
    write(&file, 1, "earlier");
    drop(file);
    let app = app.restart(&server);
    app.open().upload_all(FOREVER).unwrap();
    assert_eq!(server.texts(), ["earlier"]);
}

#[test]
fn waits_end_by_time_and_by_cancellation() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let file = app.open();
    file.upload_all(FOREVER).unwrap();
    file.pause();
    write(&file, 1, "paused");
    let short = Duration::from_millis(1);
    assert_eq!(file.upload_all(short), Err(SyncCallError::TimedOut));
    assert_eq!(file.download_all(short), Err(SyncCallError::TimedOut));
    let cancellation = Cancellation::new();
    let (waiting, cancel) = (file.clone(), cancellation.clone());
    let waiting = thread::spawn(move || waiting.upload_all_or_cancel(FOREVER, &cancel));
    cancellation.cancel();
    assert_eq!(waiting.join().unwrap(), Err(SyncCallError::Cancelled));
    let outcome = file.download_all_or_cancel(FOREVER, &cancellation);
    assert_eq!(outcome, Err(SyncCallError::Cancelled));
    file.resume();
    file.upload_all(FOREVER).unwrap();
}

#[test]
fn any_number_of_waits_without_a_server_end_once_it_answers() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let file = app.open();
    file.pause();
    for _ in 0..1000 {
        assert_eq!(file.download_all(Duration::ZERO), Err(SyncCallError::TimedOut));
    }
    let waits: Vec<_> = (0..4)
        .map(|_| {
            let file = file.clone();
            thread::spawn(move || file.download_all(FOREVER))
        })
        .collect();
    file.resume();
    for wait in waits {
        wait.join().unwrap().expect("CS5");
    }
    file.download_all(FOREVER).expect("CS5");
}

#[test]
fn waits_are_refused_where_they_could_not_end() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let file = app.open();
    let guard = app.registry.forbid_blocking();
    for outcome in [file.upload_all(FOREVER), file.download_all(FOREVER)] {
        let error = outcome.unwrap_err();
        let expected = |error: &SyncCallError| {
            let SyncCallError::File(Error::Instance(error)) = error else { return false };
            matches!(error, InstanceError::BlockingForbidden { .. })
        };
        assert!(expected(&error), "{error:?}");
    }
    drop(guard);
    let txn = file.database().write().unwrap();
    let error = file.upload_all(FOREVER).unwrap_err();
    assert!(
        matches!(&error, SyncCallError::File(Error::Instance(InstanceError::InTransaction { .. }))),
        "{error:?}"
    );
    drop(txn);
    file.upload_all(FOREVER).unwrap();
}

#[test]
fn a_refused_token_is_replaced_and_the_second_refusal_logs_out() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    server.state.refused.store(2, Ordering::SeqCst);
    let (sender, errors) = channel();
    let sender = Mutex::new(sender);
    let handler = Callback::error_handler("keeps errors", move |error| {
        sender.lock().unwrap().send(error.clone()).unwrap_or_default();
    });
    let configuration = app.builder().error_handler(handler).build().unwrap();
    let file = app.sync.open_file(&configuration).unwrap();
    write(&file, 1, "with the second token");
    file.upload_all(FOREVER).unwrap();
    assert_eq!(server.texts(), ["with the second token"]);
    server.state.refused.store(u64::MAX, Ordering::SeqCst);
    server.cut();
    let SyncError::Session { code, .. } = errors.recv_timeout(FOREVER).unwrap() else {
        panic!("no session error");
    };
    assert_eq!(code, 203);
    file.wait_for_state(SessionState::Inactive, FOREVER).unwrap();
    assert_eq!(app.client.users().unwrap(), []);
    // The file and its entries remain.
    write(&file, 2, "logged out");
    assert_eq!(texts(file.database()).len(), 2);
}
