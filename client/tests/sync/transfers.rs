//! Commits reach the server and other apps.

use super::support::{FOREVER, TestApp, TestServer, texts, write};
use fastness_client::{SyncCallError, SyncOptions};
use std::sync::atomic::Ordering;
use std::time::Duration;

#[test]
fn a_commit_reaches_the_other_app_and_wakes_its_observer() {
    let server = TestServer::new();
    let (one, two) = (TestApp::new(&server), TestApp::new(&server));
    let (mine, other) = (one.open(), two.open());
    let (_, changes) = other.database().subscribe().unwrap();
    write(&mine, 1, "milk");
    let seen = changes.recv(FOREVER).expect("the merge wakes the observer");
    assert_eq!(seen.classes["Note"].inserted.len(), 1);
    assert_eq!(texts(other.database()), ["milk"]);
    write(&other, 2, "bread");
    other.upload_all(FOREVER).unwrap();
    mine.download_all(FOREVER).unwrap();
    assert_eq!(texts(mine.database()), ["milk", "bread"]);
    assert_eq!(server.texts(), ["milk", "bread"]);
}

#[test]
fn a_lost_connection_is_made_again() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let file = app.open();
    write(&file, 1, "before");
    file.upload_all(FOREVER).unwrap();
    let (sender, lost) = std::sync::mpsc::channel();
    file.on_event(move |event| {
        if matches!(event, fastness_client::SyncEvent::Connected(false)) {
            sender.send(()).unwrap_or_default();
        }
    });
    server.cut();
    lost.recv_timeout(FOREVER).unwrap();
    write(&file, 2, "after");
    file.upload_all(FOREVER).unwrap();
    assert_eq!(server.texts(), ["before", "after"]);
    assert!(server.state.connections.load(Ordering::SeqCst) >= 2);
}

#[test]
fn a_server_that_is_not_there_is_waited_for_with_a_reason() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("realm://127.0.0.1:{port}/~/notes");
    let user = fastness::config::User::new("me", app.user.user().url.as_str()).unwrap();
    let builder = fastness::config::Configuration::sync_builder(&app.app, &user, &url).unwrap();
    let file = app.sync.open_file(&builder.build().unwrap()).unwrap();
    let (sender, reasons) = std::sync::mpsc::channel();
    file.on_event(move |event| {
        if let fastness_client::SyncEvent::Waiting { because } = event {
            sender.send(because.clone()).unwrap_or_default();
        }
    });
    // The first attempt may have failed before the listener was added; another follows.
    assert!(!reasons.recv_timeout(FOREVER).unwrap().is_empty());
    write(&file, 1, "offline");
    assert_eq!(texts(file.database()), ["offline"]);
}

#[test]
fn a_transaction_of_one_file_delays_no_other() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let (busy, file) = (app.open(), app.open_at("/~/others"));
    let txn = busy.database().write().unwrap();
    write(&file, 1, "beside a transaction");
    file.upload_all(FOREVER).expect("CS3");
    file.download_all(FOREVER).expect("CS3");
    drop(txn);
    busy.download_all(FOREVER).unwrap();
}

#[test]
fn a_merge_of_several_entries_is_one_commit() {
    let server = TestServer::new();
    let (one, two) = (TestApp::new(&server), TestApp::new(&server));
    let (mine, other) = (one.open(), two.open());
    other.download_all(FOREVER).unwrap();
    other.pause();
    (1..=5).for_each(|id| write(&mine, id, "text"));
    mine.upload_all(FOREVER).unwrap();
    let (before, changes) = other.database().subscribe().unwrap();
    other.resume();
    let seen = changes.recv(FOREVER).expect("the merge wakes the observer");
    assert!(seen.is_remote, "CS2");
    assert_eq!(seen.classes["Note"].inserted.len(), 5, "CS2: one commit");
    assert_eq!(texts(other.database()).len(), 5);
    let notes = before.objects("Note").and_then(|notes| notes.iter().map(Iterator::count));
    assert_eq!(notes.unwrap_or_default(), 0, "CS2: a snapshot stays as it is");
}

#[test]
fn initial_data_of_a_server_that_is_not_there_is_waited_for_within_a_time() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let configuration = app.builder().wait_for_initial_data().build().unwrap();
    let options = || SyncOptions::new().initial_data_timeout(Duration::from_millis(100));
    server.refuse();
    let outcome = app.sync.open_file_with(&configuration, options());
    assert_eq!(outcome.map(drop), Err(SyncCallError::TimedOut), "CS5");
    server.accept();
    app.sync.reconnect();
    app.sync.open_file_with(&configuration, options().initial_data_timeout(FOREVER)).unwrap();
}
