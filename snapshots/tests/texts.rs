//! Reviewed texts of errors and settings.

use fastness::schema::SchemaError;
use fastness::vfs::MemoryVfs;
use fastness::{
    ArgumentError, CommitId, ConfigError, Damage, Error, FileErrorCause, InstanceError, Key,
    ObjectError, PageId, Recovery, RecoveryOutcome, StoreOptions,
};
use fastness_sync::client::{BadDownload, ClientError};
use fastness_sync::reset::Cause;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

fn causes() -> Vec<FileErrorCause> {
    let damaged = |damage| FileErrorCause::Damaged { page: PageId(17), damage };
    vec![
        FileErrorCause::NotFound,
        FileErrorCause::Exists,
        FileErrorCause::PermissionDenied,
        FileErrorCause::InUse,
        FileErrorCause::OpenHere,
        FileErrorCause::NotFastness,
        FileErrorCause::NewerFormat { found: 3, supported: 1 },
        damaged(Damage::Seal),
        damaged(Damage::Missing),
        damaged(Damage::Content),
        damaged(Damage::Header),
        FileErrorCause::Truncated { expected_bytes: 40_960, found_bytes: 8_192 },
        FileErrorCause::WrongKey,
        FileErrorCause::KeyMissing,
        FileErrorCause::KeyForPlainFile,
        FileErrorCause::OtherContent { expected: "users" },
        FileErrorCause::MalformedObject,
        FileErrorCause::NotRegular,
        FileErrorCause::SeveralNames { names: 2 },
        FileErrorCause::CommitLimit,
        FileErrorCause::NoSpace,
        FileErrorCause::IncompatibleSync { moved_to: PathBuf::from("data/synced-realm-a") },
        FileErrorCause::Io(io::ErrorKind::TimedOut),
    ]
}

fn errors() -> Vec<Error> {
    let path = PathBuf::from("data/app.fastness");
    let files = causes().into_iter().map(|cause| Error::File { path: path.clone(), cause });
    let others = [
        Error::Poisoned { path: path.clone() },
        Error::ReadOnly { path: path.clone() },
        Error::TransactionFailed,
        Error::CommitRefused { reason: "an entry has at most 1048576 bytes; split it".into() },
        Error::RandomSource,
        Error::Argument(ArgumentError::KeyTooLong { bytes: 1025 }),
        Error::Argument(ArgumentError::ValueTooLong { bytes: 16_777_217 }),
        Error::Argument(ArgumentError::TreeName { bytes: 0 }),
        Error::Argument(ArgumentError::EncryptionKeyLength { bytes: 32 }),
        Error::Argument(ArgumentError::TooManyTrees),
        Error::Schema(SchemaError::StringTooLong { bytes: 16_777_200 }),
        Error::Config(ConfigError::FileNameEmpty),
        Error::Object(ObjectError::ClassUnknown { class: "Person".to_owned(), nearest: None }),
        Error::Instance(InstanceError::Closed { path: path.clone() }),
        Error::app(io::Error::other("the app's own text")),
    ];
    files.chain(others).collect()
}

#[test]
fn every_error_says_what_happened_and_what_to_do() {
    let mut text = String::new();
    for error in errors() {
        let kind = match error.file_kind() {
            Some(kind) => format!("{kind:?} {}", kind as u8),
            None => "no kind".to_owned(),
        };
        writeln!(text, "{error}\n    {error:?}\n    {kind}, remedy {:?}", error.remedy()).unwrap();
    }
    insta::assert_snapshot!("errors", text);
}

#[test]
fn errors_of_a_synced_file_say_what_to_do() {
    let errors = [
        ClientError::Download(BadDownload::Cursor),
        ClientError::Download(BadDownload::Entry),
        ClientError::Download(BadDownload::Own),
        ClientError::Download(BadDownload::Salt),
        ClientError::Download(BadDownload::Snapshot),
        ClientError::Download(BadDownload::Stamp),
        ClientError::ResetFailed(Cause::Diverged),
        ClientError::LocalClass("Draft".to_owned()),
        ClientError::SnapshotTooLong { bytes: 1 << 40, bytes_max: 16 << 30 },
    ];
    insta::assert_snapshot!("synced", errors.map(|error| error.to_string()).join("\n"));
}

#[test]
fn every_error_has_a_kind() {
    let lines: Vec<String> =
        errors().iter().map(|error| format!("{:?}  {error}", error.kind())).collect();
    insta::assert_snapshot!("kinds", lines.join("\n"));
}

/// The enums may grow: this test finds variants missing in the list above.
#[test]
fn every_variant_of_the_errors_is_reviewed() {
    let listed = format!("{:?}", errors());
    assert_all_listed("error.rs", &["Error", "FileErrorCause", "Damage", "ArgumentError"], &listed);
}

/// Checks that `listed` contains every variant of the enums in a file of core.
#[track_caller]
pub(crate) fn assert_all_listed(file: &str, names: &[&str], listed: &str) {
    let path = format!("{}/../core/src/{file}", env!("CARGO_MANIFEST_DIR"));
    let source = std::fs::read_to_string(path).unwrap();
    for name in names {
        let body = source.split(&format!("pub enum {name} {{\n")).nth(1).unwrap();
        let body = body.split("\n}\n").next().unwrap();
        let variants = body.lines().filter_map(|line| {
            let line = line.strip_prefix("    ")?;
            line.starts_with(char::is_uppercase)
                .then(|| line.split([' ', ',', '(']).next().unwrap())
        });
        let mut count = 0;
        for variant in variants {
            count += 1;
            assert!(listed.contains(variant), "list `{name}::{variant}`, to be reviewed");
        }
        assert!(count > 1, "found no variants of {name}");
    }
}

#[test]
fn settings_print_no_key() {
    let byte = 0xa7_u8;
    let key = Key::new([byte; 64]);
    let options = StoreOptions::new().key(key.clone()).vfs(Arc::new(MemoryVfs::default()));
    let store = options.in_memory().unwrap();
    let mut txn = store.write().unwrap();
    txn.tree("tree").unwrap().insert(b"k", b"v").unwrap();
    for text in [
        format!("{key:?} {key:#?}"),
        format!("{options:?} {options:#?}"),
        format!("{store:?} {:?}", store.snapshot()),
        format!("{txn:?}"),
    ] {
        // A key byte prints as 167 or a7.
        let leak = text.contains("167, 167") || text.to_lowercase().contains("a7a7");
        assert!(!leak, "a key is printed: {text}");
    }
    insta::assert_snapshot!("settings", format!("{key:?}\n{options:#?}\n"));
}

#[test]
fn recovery_says_what_became_of_the_newest_slot() {
    let outcomes = [
        RecoveryOutcome::LastCommitWhole,
        RecoveryOutcome::SlotDiscarded,
        RecoveryOutcome::CommitDiscarded(CommitId(12)),
    ];
    let lines = outcomes.map(|outcome| format!("{:?}", Recovery { commit: CommitId(11), outcome }));
    insta::assert_snapshot!("recoveries", lines.join("\n"));
}
