//! Commits reach the server and other apps.

use super::support::{FOREVER, TestApp, TestServer, texts, write};
use std::sync::atomic::Ordering;

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
    server.cut();
    write(&file, 2, "after");
    file.upload_all(FOREVER).unwrap();
    assert_eq!(server.texts(), ["before", "after"]);
    assert!(server.state.connections.load(Ordering::SeqCst) >= 2);
}
