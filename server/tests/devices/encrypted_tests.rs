//! Encryption is of each file, not of the data: every device has a key of its own.

use super::support::{Device, add, rows_of};
use crate::login::support::{FOREVER, Host};
use fastness::{ErrorKind, FileErrorKind};
use fastness_client::SyncCallError;

#[test]
fn set_encryption_key_can_reopen_realm_without_key() {
    let host = Host::with_tls();
    let device = Device::register(&host, "alice");
    let configuration = device.builder().encryption_key(&[7; 64]).unwrap().build().unwrap();
    let file = device.sync.open_file(&configuration).unwrap();
    add(&file, "Foo");
    file.upload_all(FOREVER).unwrap();
    drop((file, device));
    // The local file is deleted; a file without a key downloads everything.
    let second = Device::log_in(&host, "alice");
    let again = second.open();
    again.download_all(FOREVER).unwrap();
    assert_eq!(rows_of(again.database()), ["Foo"]);
}

#[test]
fn set_encryption_key_forbid_open_realm_without_key() {
    let host = Host::with_tls();
    let device = Device::register(&host, "alice");
    let configuration = device.builder().encryption_key(&[7; 64]).unwrap().build().unwrap();
    let file = device.sync.open_file(&configuration).unwrap();
    add(&file, "Foo");
    file.upload_all(FOREVER).unwrap();
    drop(file);
    let deadline = std::time::Instant::now() + FOREVER;
    while device.registry.global_count(&configuration) > 0 {
        assert!(std::time::Instant::now() < deadline);
        std::thread::yield_now();
    }
    let plain = device.sync.open_file(&device.configuration());
    let Err(SyncCallError::File(error)) = plain else { panic!("{plain:?}") };
    assert_eq!(error.kind(), ErrorKind::File(FileErrorKind::AccessError));
}

#[test]
fn set_encryption_key_different_clients_with_different_keys() {
    let host = Host::with_tls();
    let (one, two) = (Device::register(&host, "alice"), Device::log_in(&host, "alice"));
    let keyed = |device: &Device, byte| {
        let configuration = device.builder().encryption_key(&[byte; 64]).unwrap().build().unwrap();
        device.sync.open_file(&configuration).unwrap()
    };
    let (mine, other) = (keyed(&one, 1), keyed(&two, 2));
    add(&mine, "of one");
    add(&other, "of two");
    for file in [&mine, &other] {
        file.upload_all(FOREVER).unwrap();
    }
    for file in [&mine, &other] {
        file.download_all(FOREVER).unwrap();
        assert_eq!(rows_of(file.database()), ["of one", "of two"]);
    }
}
