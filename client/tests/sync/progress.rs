//! Progress listeners.

use super::support::{FOREVER, TestApp, TestServer, write};
use fastness_client::{Progress, ProgressDirection, ProgressMode, SyncedFile};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

fn listen(file: &SyncedFile, kind: (ProgressDirection, ProgressMode)) -> Receiver<Progress> {
    let (sender, progress) = channel();
    file.add_progress_listener(kind, move |progress| sender.send(progress).unwrap_or_default());
    progress
}

/// Reads up to the end of a listener, and checks that it never lied.
fn read_all(progress: &Receiver<Progress>) -> Vec<Progress> {
    let mut seen: Vec<Progress> = Vec::new();
    loop {
        match progress.recv_timeout(FOREVER) {
            Ok(next) => {
                assert!(next.transferred <= next.transferable, "CS4: {next:?}");
                if let Some(last) = seen.last() {
                    assert!(!last.is_complete(), "CS4: {next:?} after the end");
                    assert!(last.transferred <= next.transferred, "CS4: {last:?} {next:?}");
                }
                seen.push(next);
            }
            // The listener was removed, and its sender with it.
            Err(end) => {
                assert_eq!(end, RecvTimeoutError::Disconnected, "CS4: {seen:?}");
                return seen;
            }
        }
    }
}

#[test]
fn listeners_of_current_changes_end_with_them() {
    let server = TestServer::new();
    let (one, two) = (TestApp::new(&server), TestApp::new(&server));
    let (mine, other) = (one.open(), two.open());
    other.pause();
    mine.pause();
    for id in 0..20 {
        write(&mine, id, &"x".repeat(10_000));
    }
    let uploads = listen(&mine, (ProgressDirection::Upload, ProgressMode::CurrentChanges));
    mine.resume();
    let seen = read_all(&uploads);
    let last = seen.last().unwrap();
    assert!(last.is_complete() && last.transferred > 200_000, "{seen:?}");
    let downloads = listen(&other, (ProgressDirection::Download, ProgressMode::CurrentChanges));
    other.resume();
    let seen = read_all(&downloads);
    let last = seen.last().unwrap();
    assert!(last.is_complete() && last.transferred > 200_000, "{seen:?}");
    let again = listen(&mine, (ProgressDirection::Upload, ProgressMode::CurrentChanges));
    assert!(read_all(&again).last().unwrap().is_complete(), "nothing is left to upload");
}

#[test]
fn a_listener_of_all_changes_goes_on_until_it_is_removed() {
    let server = TestServer::new();
    let app = TestApp::new(&server);
    let file = app.open();
    let (sender, progress) = channel();
    let kind = (ProgressDirection::Upload, ProgressMode::Indefinitely);
    let listener = file.add_progress_listener(kind, move |progress| {
        sender.send(progress).unwrap_or_default();
    });
    for id in 0..3 {
        write(&file, id, "text");
        file.upload_all(FOREVER).unwrap();
        let complete = |progress: &Progress| progress.is_complete() && progress.transferred > 0;
        while !complete(&progress.recv_timeout(FOREVER).expect("CS4: the upload completes")) {}
    }
    listener.remove();
    write(&file, 4, "text");
    file.upload_all(FOREVER).unwrap();
    let end = progress.recv_timeout(FOREVER);
    assert_eq!(end, Err(RecvTimeoutError::Disconnected), "the listener is dropped");
}
