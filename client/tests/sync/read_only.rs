//! Files that an app opens read-only: they get what the server has, and refuse commits.

use super::support::{FOREVER, TestApp, TestServer, texts, write};
use fastness::config::Configuration;
use fastness::{Error, ErrorKind};
use fastness_client::{SyncCallError, SyncOptions, SyncedFile};
use std::time::Duration;

fn configuration(app: &TestApp) -> Configuration {
    app.builder().wait_for_initial_data().read_only().build().unwrap()
}

fn open(app: &TestApp) -> Result<SyncedFile, SyncCallError> {
    let options = SyncOptions::new().initial_data_timeout(FOREVER);
    app.sync.open_file_with(&configuration(app), options)
}

#[test]
fn a_file_that_is_only_read_follows_the_server_and_refuses_commits() {
    let server = TestServer::new();
    let (writer, app) = (TestApp::new(&server), TestApp::new(&server));
    let mine = writer.open();
    write(&mine, 1, "one");
    mine.upload_all(FOREVER).unwrap();
    let file = open(&app).unwrap();
    assert_eq!(texts(file.database()), ["one"], "CS9");
    let refused = file.database().transact(|txn| txn.get_or_create("Note", 2_i64).map(drop));
    assert!(matches!(refused, Err(Error::ReadOnly { .. })), "CS9: {refused:?}");
    assert_eq!(texts(file.database()), ["one"], "CS9");
    write(&mine, 2, "two");
    mine.upload_all(FOREVER).unwrap();
    let head = server.head();
    file.download_all(FOREVER).unwrap();
    assert_eq!(texts(file.database()), ["one", "two"], "CS9");
    assert_eq!(server.head(), head, "CS9: nothing was uploaded");
    // Without the server, the file has what it had.
    drop((mine, file));
    server.refuse();
    let app = app.restart_offline();
    let file = open(&app).unwrap();
    assert_eq!(texts(file.database()), ["one", "two"], "CS9");
}

#[test]
fn a_file_that_is_only_read_needs_the_classes_of_the_app() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let Err(SyncCallError::File(error)) = open(&app) else { panic!("CS9: an empty server") };
    assert_eq!(error.kind(), ErrorKind::MigrationNeeded, "CS9: {error}");
    let writing = TestApp::new(&server);
    let writer = writing.open();
    write(&writer, 1, "one");
    writer.upload_all(FOREVER).unwrap();
    let deadline = std::time::Instant::now() + FOREVER;
    // The file is closed by its thread, and opens again afterwards.
    let file = loop {
        match open(&app) {
            Ok(file) => break file,
            Err(_) => assert!(std::time::Instant::now() < deadline, "CS9"),
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert_eq!(texts(file.database()), ["one"], "CS9");
}
