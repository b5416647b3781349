//! Sessions: states, waits, logout and login.

use super::relay::Relay;
use super::support::{Device, add, rows_of};
use crate::login::support::{FOREVER, Host, credentials};
use fastness::{Error, InstanceError};
use fastness_client::{Cancellation, SessionState, SyncCallError};
use std::thread;

#[test]
fn get_state_active() {
    let host = Host::with_tls();
    let device = Device::register(&host, "alice");
    let file = device.open();
    file.wait_for_state(SessionState::Active, FOREVER).unwrap();
}

/// The original throws after the session has ended; here the state says it.
#[test]
fn get_state_throw_on_closed_session() {
    let host = Host::with_tls();
    let device = Device::register(&host, "alice");
    let file = device.open();
    drop(device.sync);
    assert_eq!(file.state(), SessionState::Inactive);
    assert!(matches!(file.download_all(FOREVER), Err(SyncCallError::Stopped { .. })));
}

#[test]
fn get_state_logged_out() {
    let host = Host::with_tls();
    let device = Device::register(&host, "alice");
    let file = device.open();
    file.wait_for_state(SessionState::Active, FOREVER).unwrap();
    device.client.log_out(&device.user.id()).unwrap();
    file.wait_for_state(SessionState::Inactive, FOREVER).unwrap();
}

#[test]
fn logging_in_again_revives_the_session() {
    let host = Host::with_tls();
    let device = Device::register(&host, "alice");
    let file = device.open();
    add(&file, "before");
    file.upload_all(FOREVER).unwrap();
    device.client.log_out(&device.user.id()).unwrap();
    file.wait_for_state(SessionState::Inactive, FOREVER).unwrap();
    add(&file, "while logged out");
    let login = credentials("alice", "password", false);
    device.client.log_in(&host.server.url(), login).unwrap();
    file.wait_for_state(SessionState::Active, FOREVER).unwrap();
    file.upload_all(FOREVER).unwrap();
    let second = Device::log_in(&host, "alice");
    let other = second.open();
    other.download_all(FOREVER).unwrap();
    assert_eq!(rows_of(other.database()), ["before", "while logged out"]);
}

#[test]
fn upload_download_all_changes() {
    let host = Host::with_tls();
    let (device, other) = (Device::register(&host, "alice"), Device::log_in(&host, "alice"));
    let file = device.open();
    add(&file, "Foo");
    file.upload_all(FOREVER).unwrap();
    let seen = other.open();
    seen.download_all(FOREVER).unwrap();
    assert_eq!(rows_of(seen.database()), ["Foo"]);
}

#[test]
fn interrupt_waits() {
    let host = Host::with_tls();
    let device = Device::register(&host, "alice");
    let file = device.open();
    file.pause();
    add(&file, "Foo");
    for is_upload in [true, false] {
        let cancellation = Cancellation::new();
        let (waiting, cancel) = (file.clone(), cancellation.clone());
        let waiting = thread::spawn(move || match is_upload {
            true => waiting.upload_all_or_cancel(FOREVER, &cancel),
            false => waiting.download_all_or_cancel(FOREVER, &cancel),
        });
        cancellation.cancel();
        assert_eq!(waiting.join().unwrap(), Err(SyncCallError::Cancelled));
    }
    // The next waits work.
    file.resume();
    file.upload_all(FOREVER).unwrap();
    file.download_all(FOREVER).unwrap();
}

#[test]
fn upload_all_local_changes_throws_on_ui_thread() {
    throws_on_ui_thread(|file| file.upload_all(FOREVER));
}

#[test]
fn download_all_server_changes_throws_on_ui_thread() {
    throws_on_ui_thread(|file| file.download_all(FOREVER));
}

fn throws_on_ui_thread(wait: fn(&fastness_client::SyncedFile) -> Result<(), SyncCallError>) {
    let host = Host::with_tls();
    let device = Device::register(&host, "alice");
    let file = device.open();
    let ui_thread = device.registry.forbid_blocking();
    let error = wait(&file).unwrap_err();
    let SyncCallError::File(Error::Instance(error)) = error else { panic!("{error:?}") };
    assert!(matches!(error, InstanceError::BlockingForbidden { .. }), "{error:?}");
    drop(ui_thread);
    wait(&file).unwrap();
}

/// The original has 25 rows of a million characters and no limit of an entry; here an entry has one
/// mebibyte at most, so each row has half a million.
#[test]
fn upload_changes_when_realm_out_of_scope() {
    let host = Host::with_tls();
    let device = Device::register(&host, "alice");
    let file = device.open();
    let chars = "x".repeat(500_000);
    (0..10).for_each(|_| add(&file, &chars));
    drop(file);
    let second = Device::log_in(&host, "alice");
    let other = second.open();
    let (_, changes) = other.database().subscribe().unwrap();
    while rows_of(other.database()).len() < 10 {
        changes.recv(FOREVER).expect("all rows arrive");
    }
}

#[test]
fn session_exposes_url_user_and_configuration() {
    let host = Host::with_tls();
    let device = Device::register(&host, "alice");
    let file = device.open();
    let sync = file.configuration().sync().unwrap();
    let identity = device.user.user().identity();
    assert_eq!(sync.url().path(), format!("/{identity}/default"));
    assert_eq!(sync.user().identity(), Some(identity));
    assert_eq!(file.configuration(), &device.configuration());
}

#[test]
fn an_observer_is_woken_by_another_device() {
    let host = Host::with_tls();
    let (device, other) = (Device::register(&host, "alice"), Device::log_in(&host, "alice"));
    let (mine, seen) = (device.open(), other.open());
    let (_, changes) = seen.database().subscribe().unwrap();
    add(&mine, "Foo");
    let changes = changes.recv(FOREVER).expect("CS1: the row arrives without a call");
    assert_eq!(changes.classes["StringOnly"].inserted.len(), 1);
}

#[test]
fn a_server_that_starts_again_has_its_sessions_back() {
    let host = Host::new();
    let relay = Relay::new(host.server.address());
    let device = Device::at(&relay.url(), &host, ("alice", true));
    let file = device.open();
    add(&file, "before");
    file.upload_all(FOREVER).unwrap();
    let host = host.restart();
    relay.set_target(host.server.address());
    add(&file, "after");
    device.sync.reconnect();
    file.upload_all(FOREVER).unwrap();
    relay.cut();
    add(&file, "after a cut");
    device.sync.reconnect();
    file.upload_all(FOREVER).unwrap();
    let second = Device::at(&relay.url(), &host, ("alice", false));
    let other = second.open();
    other.download_all(FOREVER).unwrap();
    assert_eq!(rows_of(other.database()), ["after", "after a cut", "before"]);
}
