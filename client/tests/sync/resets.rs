//! Client resets over sockets, in every mode.

use super::support::{FOREVER, TestApp, TestServer, texts, write};
use fastness::config::Callback;
use fastness::instance::{ClientReset, SyncError};
use fastness::{Error, InstanceError};
use fastness_client::{
    CompletedReset, ResetPolicy, SessionState, SyncCallError, SyncEvent, SyncOptions, SyncedFile,
};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

/// Returns the resets of a file as they are completed.
fn resets(file: &SyncedFile) -> Receiver<Arc<CompletedReset>> {
    let (sender, completed) = channel();
    file.on_event(move |event| {
        if let SyncEvent::ResetCompleted(reset) = event {
            sender.send(Arc::clone(reset)).unwrap_or_default();
        }
    });
    completed
}

/// Loses the entry of the server that its backup does not contain.
fn lose(server: &TestServer, file: &SyncedFile) {
    write(file, 1, "saved");
    file.upload_all(FOREVER).unwrap();
    server.back_up();
    write(file, 2, "acknowledged, and lost");
    file.upload_all(FOREVER).unwrap();
    file.download_all(FOREVER).unwrap();
    file.pause();
    write(file, 3, "never sent");
    server.restore();
}

#[test]
fn a_server_restored_from_a_backup_gets_everything_again() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let (before, after) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
    let (seen_before, seen_after) = (Arc::clone(&before), Arc::clone(&after));
    let options = SyncOptions::new()
        .before_reset(move |objects| {
            *seen_before.lock().unwrap() = objects.objects("Note").unwrap().len();
        })
        .after_reset(move |objects, completed| {
            assert_eq!(completed.report.cause.code(), 211);
            *seen_after.lock().unwrap() = objects.objects("Note").unwrap().len();
        });
    let file = app.sync.open_file_with(&app.builder().build().unwrap(), options).unwrap();
    let completed = resets(&file);
    lose(&server, &file);
    file.resume();
    let completed = completed.recv_timeout(FOREVER).unwrap();
    file.upload_all(FOREVER).unwrap();
    let all = ["saved", "acknowledged, and lost", "never sent"];
    assert_eq!(texts(file.database()), all);
    assert_eq!(server.texts(), all);
    assert_eq!((*before.lock().unwrap(), *after.lock().unwrap()), (3, 3));
    let counts = completed.report.counts();
    assert_eq!(counts.get("applied"), Some(&4), "two objects and two texts: {counts:?}");
    let json: serde_json::Value = serde_json::from_str(&completed.to_json()).unwrap();
    assert_eq!((&json["code"], &json["counts"]["applied"]), (&211.into(), &4.into()));
    assert_eq!(json["operations"].as_array().unwrap().len(), 4);
    assert!(completed.to_string().contains("never sent"), "{completed}");
    // The backup has what the app had before, and opens beside the file.
    let backup = completed.backup.as_ref().unwrap();
    let instance = app.registry.open_dynamic(backup).unwrap();
    assert_eq!(instance.snapshot().unwrap().objects("Note").unwrap().len(), 3);
}

#[test]
fn a_reset_that_discards_leaves_the_server_state_and_a_backup() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let options = SyncOptions::new().reset(ResetPolicy::Discard);
    let file = app.sync.open_file_with(&app.builder().build().unwrap(), options).unwrap();
    let completed = resets(&file);
    lose(&server, &file);
    file.resume();
    let completed = completed.recv_timeout(FOREVER).unwrap();
    assert_eq!(completed.report.counts().keys().collect::<Vec<_>>(), [&"discarded"]);
    file.download_all(FOREVER).unwrap();
    assert_eq!(texts(file.database()), ["saved"]);
    assert_eq!(server.texts(), ["saved"]);
    let instance = app.registry.open_dynamic(completed.backup.as_ref().unwrap()).unwrap();
    assert_eq!(instance.snapshot().unwrap().objects("Note").unwrap().len(), 3);
}

/// The server has dropped the history, so a new device begins with a snapshot, whatever its policy.
/// Nothing that its app wrote is outdated.
#[test]
fn a_new_file_gets_a_snapshot_under_every_policy() {
    for policy in [ResetPolicy::Recover, ResetPolicy::Discard, ResetPolicy::Manual] {
        let server = TestServer::new();
        let writer = TestApp::new(&server);
        let file = writer.open();
        write(&file, 1, "old");
        file.upload_all(FOREVER).unwrap();
        let replica = server.state.replica();
        replica.advance_horizon(u64::MAX >> 1, 0).unwrap();
        while replica.compact(100).unwrap() {}
        assert!(replica.status().unwrap().horizon > 0);
        let app = TestApp::new(&server);
        let options = SyncOptions::new().reset(policy);
        let file = app.sync.open_file_with(&app.builder().build().unwrap(), options).unwrap();
        file.pause();
        write(&file, 2, "mine");
        file.resume();
        file.upload_all(FOREVER).unwrap();
        file.download_all(FOREVER).unwrap();
        assert_eq!(texts(file.database()), ["old", "mine"], "CS6: {policy:?}");
        assert_eq!(server.texts(), ["old", "mine"], "SY25: {policy:?}");
    }
}

/// An error handler that keeps resets, and fails the test for any other error.
fn handler() -> (Callback, Receiver<ClientReset>) {
    let (sender, required) = channel();
    let sender = Mutex::new(sender);
    let handler = Callback::error_handler("keeps resets", move |error| match error {
        SyncError::ClientReset(reset) => sender.lock().unwrap().send(reset.clone()).unwrap(),
        other => panic!("{other:?}"),
    });
    (handler, required)
}

#[test]
fn a_manual_reset_is_executed_when_the_app_has_closed_the_file() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let (handler, required) = handler();
    let configuration = app.builder().error_handler(handler).build().unwrap();
    let options = SyncOptions::new().reset(ResetPolicy::Manual);
    let file = app.sync.open_file_with(&configuration, options.clone()).unwrap();
    lose(&server, &file);
    file.resume();
    let reset = required.recv_timeout(FOREVER).unwrap();
    assert_eq!(file.state(), SessionState::Error);
    assert!(matches!(file.upload_all(FOREVER), Err(SyncCallError::Stopped { .. })));
    assert_eq!((reset.code(), reset.original_file()), (7, configuration.path()));
    assert!(!reset.backup_file().exists());
    // The app may still read and write, until it closes the file.
    write(&file, 4, "after the error");
    let error = reset.execute().unwrap_err();
    assert!(matches!(error, Error::Instance(InstanceError::StillOpen { count: 1, .. })));
    drop(file);
    assert!(reset.execute().unwrap());
    assert!(reset.backup_file().exists() && !reset.original_file().exists());
    let again = app.sync.open_file_with(&configuration, options).unwrap();
    again.download_all(FOREVER).unwrap();
    assert_eq!(texts(again.database()), ["saved"]);
    let backup = app.registry.open_dynamic(reset.backup_configuration()).unwrap();
    assert_eq!(backup.snapshot().unwrap().objects("Note").unwrap().len(), 4);
}

#[test]
fn a_simulated_reset_is_as_one_of_the_server() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let file = app.open();
    let completed = resets(&file);
    write(&file, 1, "one");
    file.upload_all(FOREVER).unwrap();
    file.simulate_reset().unwrap();
    let completed = completed.recv_timeout(FOREVER).unwrap();
    assert_eq!(completed.report.cause.code(), 211);
    write(&file, 2, "two");
    file.upload_all(FOREVER).unwrap();
    assert_eq!(server.texts(), ["one", "two"]);
}

#[test]
fn a_simulated_manual_reset_calls_the_handler_on_this_thread() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let (handler, required) = handler();
    let configuration = app.builder().error_handler(handler).build().unwrap();
    let options = SyncOptions::new().reset(ResetPolicy::Manual);
    let file = app.sync.open_file_with(&configuration, options).unwrap();
    write(&file, 1, "one");
    file.simulate_reset().unwrap();
    let reset = required.try_recv().unwrap();
    drop(file);
    assert!(reset.execute().unwrap());
    assert!(reset.backup_file().exists() && !reset.original_file().exists());
}
