//! Progress listeners against our server.

use super::support::{Device, add, rows_of};
use crate::login::support::{FOREVER, Host};
use fastness_client::{Progress, ProgressDirection, ProgressMode, SyncedFile};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

fn listen(file: &SyncedFile, kind: (ProgressDirection, ProgressMode)) -> Receiver<Progress> {
    let (sender, progress) = channel();
    file.add_progress_listener(kind, move |progress| sender.send(progress).unwrap_or_default());
    progress
}

/// Reads up to the end of a listener.
#[track_caller]
fn read_all(progress: &Receiver<Progress>) -> Vec<Progress> {
    let mut seen = Vec::new();
    loop {
        match progress.recv_timeout(FOREVER) {
            Ok(next) => seen.push(next),
            Err(end) => {
                assert_eq!(end, RecvTimeoutError::Disconnected, "CS4: {seen:?}");
                return seen;
            }
        }
    }
}

#[test]
fn download_progress_listener_changes_only() {
    let host = Host::with_tls();
    let (device, other) = (Device::register(&host, "alice"), Device::log_in(&host, "alice"));
    let file = device.open();
    (0..10).for_each(|_| add(&file, "Foo"));
    file.upload_all(FOREVER).unwrap();
    let seen = other.open();
    let progress = listen(&seen, (ProgressDirection::Download, ProgressMode::CurrentChanges));
    let all = read_all(&progress);
    assert!(all.last().unwrap().is_complete(), "CS4: {all:?}");
    assert_eq!(rows_of(seen.database()).len(), 10, "CS4: {all:?}");
}

/// As in the original, the first completion may be of nothing, then of 10 objects, then of 20.
#[test]
fn download_progress_listener_indefinitely() {
    let host = Host::with_tls();
    let (device, other) = (Device::register(&host, "alice"), Device::log_in(&host, "alice"));
    let (file, seen) = (device.open(), other.open());
    let progress = listen(&seen, (ProgressDirection::Download, ProgressMode::Indefinitely));
    for count in [10, 20] {
        (0..10).for_each(|_| add(&file, "Foo"));
        while rows_of(seen.database()).len() < count {
            let next = progress.recv_timeout(FOREVER).unwrap();
            assert!(next.transferred <= next.transferable, "CS4: {next:?}");
        }
    }
}

#[test]
fn upload_progress_listener_changes_only() {
    let host = Host::with_tls();
    let device = Device::register(&host, "alice");
    let file = device.open();
    file.pause();
    (0..10).for_each(|_| add(&file, &"x".repeat(1000)));
    let progress = listen(&file, (ProgressDirection::Upload, ProgressMode::CurrentChanges));
    file.resume();
    let all = read_all(&progress);
    let last = all.last().unwrap();
    assert!(last.is_complete() && last.transferred > 10_000, "CS4: {all:?}");
    let first = all.first().unwrap();
    assert!(!first.is_complete() && first.fraction() < 1.0, "CS4: {all:?}");
}
