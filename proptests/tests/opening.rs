//! Malformed files and their errors, with the kinds of realm-java.
//!
//! - C10 A failed opening reports the reason, with kind, remedy and path, and leaves every byte
//!   unchanged.
//!
//! Specified in docs/format.md. The fuzz target `file` covers panics.

use crate::kill::no_child_starts;
use fastness::{
    CommitId, Damage, Error, FileErrorCause, FileErrorKind, Key, PAGE_BYTES, PageId, Remedy,
    StoreOptions,
};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::RwLockReadGuard;
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_128;

/// A closed file with three commits.
struct Fixture {
    dir: TempDir,
    path: PathBuf,
    _alone: RwLockReadGuard<'static, ()>,
}

fn options(encrypted: bool) -> StoreOptions {
    if encrypted { StoreOptions::new().key(Key::new([0x33; 64])) } else { StoreOptions::new() }
}

impl Fixture {
    fn new(encrypted: bool) -> Self {
        let alone = no_child_starts();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store.fastness");
        let store = options(encrypted).create(&path).unwrap();
        for commit in 0..3_u8 {
            let mut txn = store.write().unwrap();
            txn.tree("tree").unwrap().insert(&[commit], &[commit; 3_000]).unwrap();
            txn.commit().unwrap();
        }
        drop(store);
        Self { dir, path, _alone: alone }
    }

    fn edit(&self, change: impl FnOnce(&mut Vec<u8>)) -> &Self {
        let mut bytes = fs::read(&self.path).unwrap();
        change(&mut bytes);
        fs::write(&self.path, bytes).unwrap();
        self
    }

    /// Checks that every way of opening fails with the same error and writes nothing.
    #[track_caller]
    fn check(&self, options: &StoreOptions, expect: &FileErrorCause, kind: FileErrorKind) {
        let before = fs::read(&self.path).ok();
        for outcome in [
            options.open(&self.path),
            options.open_read_only(&self.path),
            options.open_or_create(&self.path),
        ] {
            let error = outcome.err().unwrap_or_else(|| panic!("opened, expected {expect:?}"));
            let Error::File { path, cause } = &error else { panic!("{error:?}") };
            assert_eq!((path, cause), (&self.path, expect));
            assert_eq!(error.file_kind(), Some(kind));
            assert!(error.to_string().starts_with(self.path.to_str().unwrap()), "{error}");
        }
        assert!(fs::read(&self.path).ok() == before, "C10: a file that did not open was changed");
    }
}

fn damaged(page: u64, damage: Damage) -> FileErrorCause {
    FileErrorCause::Damaged { page: PageId(page), damage }
}

#[test]
fn a_missing_file_is_not_found() {
    let fixture = Fixture::new(false);
    fs::remove_file(&fixture.path).unwrap();
    for outcome in
        [StoreOptions::new().open(&fixture.path), StoreOptions::new().open_read_only(&fixture.path)]
    {
        let error = outcome.unwrap_err();
        assert_eq!(error.file_kind(), Some(FileErrorKind::NotFound));
        assert_eq!(error.remedy(), Remedy::FixProgram);
    }
    assert!(!fixture.path.exists(), "opening made a file");
    let in_no_directory = fixture.dir.path().join("none/store.fastness");
    let error = StoreOptions::new().open_or_create(in_no_directory).unwrap_err();
    assert_eq!(error.file_kind(), Some(FileErrorKind::NotFound));
}

#[test]
fn creating_never_replaces_a_file() {
    let fixture = Fixture::new(false);
    let before = fs::read(&fixture.path).unwrap();
    let error = StoreOptions::new().create(&fixture.path).unwrap_err();
    assert_eq!(error.file_kind(), Some(FileErrorKind::Exists));
    let other = fixture.dir.path().join("other");
    fs::write(&other, b"precious").unwrap();
    let store = StoreOptions::new().open(&fixture.path).unwrap();
    let error = store.copy(&other, None).unwrap_err();
    assert_eq!(error.file_kind(), Some(FileErrorKind::Exists));
    drop(store);
    assert!(fs::read(&fixture.path).unwrap() == before);
    assert_eq!(fs::read(&other).unwrap(), b"precious");
}

#[test]
fn a_file_that_is_open_is_in_use() {
    let fixture = Fixture::new(true);
    let store = options(true).open(&fixture.path).unwrap();
    assert_eq!(store.path(), fixture.path);
    let kind = FileErrorKind::IncompatibleLockFile;
    fixture.check(&options(true), &FileErrorCause::OpenHere, kind);
    drop(store);
    // Readers share the lock; a writer needs all of them closed.
    let first = options(true).open_read_only(&fixture.path).unwrap();
    let second = options(true).open_read_only(&fixture.path).unwrap();
    assert_eq!(options(true).open(&fixture.path).unwrap_err().file_kind(), Some(kind));
    assert_eq!(first.snapshot().commit(), second.snapshot().commit());
    let error = first.write().unwrap_err();
    assert_eq!(
        (error.clone(), error.remedy()),
        (Error::ReadOnly { path: fixture.path.clone() }, Remedy::FixProgram,)
    );
    drop((first, second));
    options(true).open(&fixture.path).unwrap();
}

#[test]
fn a_file_that_may_not_be_read_is_denied() {
    let fixture = Fixture::new(false);
    fs::set_permissions(&fixture.path, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(&fixture.path).is_ok() {
        // Root may read everything.
        return;
    }
    let error = StoreOptions::new().open(&fixture.path).unwrap_err();
    assert_eq!(error.file_kind(), Some(FileErrorKind::PermissionDenied));
}

#[test]
fn only_the_owner_may_read_what_we_create() {
    let fixture = Fixture::new(false);
    let mode = fs::metadata(&fixture.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
}

#[test]
fn other_files_are_not_ours() {
    let fixture = Fixture::new(false);
    let kind = FileErrorKind::AccessError;
    for bytes in [&b"x"[..], b"SQLite format 3\0", &[0; 3 * PAGE_BYTES], &[0xff; 5_000]] {
        fs::write(&fixture.path, bytes).unwrap();
        fixture.check(&options(false), &FileErrorCause::NotFastness, kind);
        fixture.check(&options(true), &FileErrorCause::NotFastness, kind);
    }
    fs::write(&fixture.path, b"").unwrap();
    let cause = FileErrorCause::Truncated { expected_bytes: 12_288, found_bytes: 0 };
    fixture.check(&options(false), &cause, kind);
}

#[test]
fn keys_are_distinguished() {
    let kind = FileErrorKind::AccessError;
    let encrypted = Fixture::new(true);
    encrypted.check(&options(false), &FileErrorCause::KeyMissing, kind);
    let wrong = StoreOptions::new().key(Key::new([0x34; 64]));
    encrypted.check(&wrong, &FileErrorCause::WrongKey, kind);
    drop(encrypted);
    Fixture::new(false).check(&options(true), &FileErrorCause::KeyForPlainFile, kind);
}

#[test]
fn a_newer_format_asks_for_a_newer_program() {
    for encrypted in [false, true] {
        let fixture = Fixture::new(encrypted);
        fixture.edit(|bytes| {
            // All three preludes, with corrected checksums.
            for at in [0, PAGE_BYTES + 2048, 2 * PAGE_BYTES + 2048] {
                bytes[at + 12..at + 16].copy_from_slice(&7_u32.to_le_bytes());
                let sum = xxh3_128(&bytes[at..at + 72]).to_le_bytes();
                bytes[at + 72..at + 88].copy_from_slice(&sum);
            }
        });
        let cause = FileErrorCause::NewerFormat { found: 7, supported: 2 };
        let error = options(encrypted).open(&fixture.path).unwrap_err();
        assert_eq!(error.remedy(), Remedy::Upgrade);
        fixture.check(&options(encrypted), &cause, error.file_kind().unwrap());
    }
}

#[test]
fn a_shortened_file_is_truncated() {
    for encrypted in [false, true] {
        let fixture = Fixture::new(encrypted);
        let whole = fs::read(&fixture.path).unwrap();
        for pages in 3..whole.len() / PAGE_BYTES {
            let found_bytes = (pages * PAGE_BYTES) as u64;
            fixture.edit(|bytes| bytes.truncate(pages * PAGE_BYTES));
            let cause =
                FileErrorCause::Truncated { expected_bytes: whole.len() as u64, found_bytes };
            fixture.check(&options(encrypted), &cause, FileErrorKind::AccessError);
            fs::write(&fixture.path, &whole).unwrap();
        }
    }
}

#[test]
fn a_file_without_a_slot_is_damaged() {
    for encrypted in [false, true] {
        let fixture = Fixture::new(encrypted);
        fixture.edit(|bytes| {
            for page in [1, 2] {
                bytes[page * PAGE_BYTES + 40] ^= 1;
            }
        });
        let error = options(encrypted).open(&fixture.path).unwrap_err();
        let Error::File { cause: FileErrorCause::Damaged { page, damage }, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(damage, Damage::Header);
        let cause = damaged(page.0, damage);
        fixture.check(&options(encrypted), &cause, FileErrorKind::AccessError);
    }
}

/// Damage to one header page is harmless: every part of the header exists twice.
#[test]
fn one_damaged_header_page_is_harmless_after_a_clean_close() {
    for encrypted in [false, true] {
        let fixture = Fixture::new(encrypted);
        let whole = fs::read(&fixture.path).unwrap();
        let last = options(encrypted).open_read_only(&fixture.path).unwrap().snapshot().commit();
        assert!(last > CommitId(3));
        for page in 0..3 {
            fixture.edit(|bytes| bytes[page * PAGE_BYTES..(page + 1) * PAGE_BYTES].fill(0xee));
            read_all(&fixture.path, encrypted, last);
            fs::write(&fixture.path, &whole).unwrap();
        }
    }
}

#[track_caller]
fn read_all(path: &Path, encrypted: bool, last: CommitId) {
    let store = options(encrypted).open(path).unwrap();
    let snapshot = store.snapshot();
    assert_eq!(snapshot.commit(), last);
    for commit in 0..3_u8 {
        let value = snapshot.tree("tree").get(&[commit]).unwrap().unwrap();
        assert_eq!(value, [commit; 3_000][..]);
    }
    assert!(!snapshot.tree("tree").is_empty());
}

#[test]
fn a_damaged_page_names_itself() {
    for encrypted in [false, true] {
        let fixture = Fixture::new(encrypted);
        let pages = fs::read(&fixture.path).unwrap().len() / PAGE_BYTES;
        let mut report = 0;
        for page in 3..pages {
            fixture.edit(|bytes| bytes[page * PAGE_BYTES + 100] ^= 4);
            let store = options(encrypted).open_read_only(&fixture.path).unwrap();
            let snapshot = store.snapshot();
            let problems = snapshot.verify().unwrap().problems;
            let reading = (0..3_u8).find_map(|commit| snapshot.tree("tree").get(&[commit]).err());
            if let Some(Error::File { cause, .. }) = reading {
                assert_eq!(cause, damaged(page as u64, Damage::Seal));
            }
            assert!(problems.iter().all(|problem| problem.page == PageId(page as u64)));
            report += problems.len();
            drop((snapshot, store));
            fixture.edit(|bytes| bytes[page * PAGE_BYTES + 100] ^= 4);
        }
        assert!(report >= 2, "hardly any page holds something");
    }
}
