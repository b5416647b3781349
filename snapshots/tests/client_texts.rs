//! Reviewed texts of the client's errors.

use crate::texts::assert_all_listed;
use fastness::Error;
use fastness_client::{ClientError, ConfigError, KeyStoreError, SyncCallError};
use std::fmt::{Debug, Display, Write as _};
use std::io;
use std::path::PathBuf;

fn texts<E: Debug + Display>(errors: &[E]) -> String {
    let mut text = String::new();
    for error in errors {
        writeln!(text, "{error}\n    {error:?}").unwrap();
    }
    text
}

#[test]
fn errors_of_calls_say_what_to_do() {
    let configurations = [
        ConfigError::Proxy,
        ConfigError::RootCertificates,
        ConfigError::Address,
        ConfigError::CertificateCheck,
    ];
    let calls = [
        ClientError::Store(Error::TransactionFailed),
        ClientError::Config(ConfigError::Proxy),
        ClientError::Cancelled,
        ClientError::Closed,
    ];
    let text = texts(&configurations) + &texts(&calls);
    assert_all_listed("../../client/src/error.rs", &["ConfigError"], &text);
    insta::assert_snapshot!("client_errors", text);
}

#[test]
fn errors_of_synced_files_say_what_to_do() {
    let stopped = "the user logged out; log in again to continue";
    let text = texts(&[
        SyncCallError::File(Error::ReadOnly { path: PathBuf::from("notes.fastness") }),
        SyncCallError::Config(ConfigError::Address),
        SyncCallError::OpenedBefore { path: PathBuf::from("notes.fastness") },
        SyncCallError::TimedOut,
        SyncCallError::Cancelled,
        SyncCallError::Stopped { reason: stopped.to_owned() },
        SyncCallError::Closed { reason: "the system has no thread left".to_owned() },
    ]);
    assert_all_listed("../../client/src/sync/error.rs", &["SyncCallError"], &text);
    insta::assert_snapshot!("sync_call_errors", text);
}

#[test]
fn errors_of_key_stores_say_what_to_do() {
    let text = texts(&[
        KeyStoreError::Store(keyring_core::Error::NoDefaultStore),
        KeyStoreError::NotAKey { bytes: 14 },
        KeyStoreError::Random(io::ErrorKind::Unsupported.into()),
    ]);
    assert_all_listed("../../client/src/key_store.rs", &["KeyStoreError"], &text);
    insta::assert_snapshot!("key_store_errors", text);
}
