//! Kinds of paths on the system's files: links, leftovers, pipes and long names.

use fastness::{Error, FileErrorCause, Store, StoreOptions};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use tempfile::tempdir;

fn fill(store: &Store, value: &[u8]) {
    let mut txn = store.write().unwrap();
    txn.tree("t").unwrap().insert(b"key", value).unwrap();
    txn.commit().unwrap();
}

fn value(path: &Path) -> Vec<u8> {
    let store = StoreOptions::new().open(path).unwrap();
    store.snapshot().tree("t").get(b"key").unwrap().unwrap().to_vec()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o777
}

#[test]
fn a_new_file_is_not_written_through_a_link_at_its_temporary_name() {
    let dir = tempdir().unwrap();
    let (path, other) = (dir.path().join("store"), dir.path().join("other"));
    let temporary = dir.path().join("store.fastness-tmp");
    for link in [|a: &Path, b: &Path| symlink(a, b), |a: &Path, b: &Path| fs::hard_link(a, b)] {
        fs::write(&other, "precious").unwrap();
        fs::set_permissions(&other, fs::Permissions::from_mode(0o644)).unwrap();
        link(&other, &temporary).unwrap();
        drop(StoreOptions::new().create(&path).unwrap());
        assert_eq!(fs::read(&other).unwrap(), b"precious", "V5");
        assert_eq!((mode(&path), mode(&other)), (0o600, 0o644), "V5");
        assert!(!path.is_symlink() && !temporary.exists(), "V5");
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_new_file_does_not_keep_the_permissions_of_a_leftover() {
    let dir = tempdir().unwrap();
    let (path, temporary) = (dir.path().join("store"), dir.path().join("store.fastness-tmp"));
    fs::write(&temporary, "left").unwrap();
    fs::set_permissions(&temporary, fs::Permissions::from_mode(0o666)).unwrap();
    drop(StoreOptions::new().create(&path).unwrap());
    assert_eq!(mode(&path), 0o600, "V5");
}

#[test]
fn a_link_that_leads_nowhere_is_not_followed() {
    let dir = tempdir().unwrap();
    let (path, nowhere) = (dir.path().join("store"), dir.path().join("nowhere"));
    symlink(&nowhere, dir.path().join("store.fastness-tmp")).unwrap();
    StoreOptions::new().create(&path).unwrap_err();
    assert!(!nowhere.exists() && !path.exists(), "V5");
}

#[test]
fn compaction_replaces_the_file_behind_a_link_and_keeps_its_permissions() {
    let dir = tempdir().unwrap();
    let below = dir.path().join("below");
    fs::create_dir(&below).unwrap();
    let (path, link) = (below.join("store"), dir.path().join("link"));
    fill(&StoreOptions::new().create(&path).unwrap(), b"old");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    symlink(&path, &link).unwrap();
    let store = StoreOptions::new().open(&link).unwrap();
    store.compact().unwrap();
    fill(&store, b"new");
    drop(store);
    assert!(link.is_symlink(), "F4");
    assert_eq!((value(&path), value(&link)), (b"new".to_vec(), b"new".to_vec()), "F4");
    assert_eq!(mode(&path), 0o640, "F4");
}

#[test]
fn a_file_with_two_names_is_not_compacted() {
    let dir = tempdir().unwrap();
    let (path, other) = (dir.path().join("store"), dir.path().join("other"));
    let store = StoreOptions::new().create(&path).unwrap();
    fs::hard_link(&path, &other).unwrap();
    let cause = FileErrorCause::SeveralNames { names: 2 };
    assert_eq!(store.compact().unwrap_err(), Error::File { path: path.clone(), cause });
    fill(&store, b"both");
    fs::remove_file(&path).unwrap();
    let refused = store.compact().unwrap_err();
    assert_eq!(refused, Error::File { path, cause: FileErrorCause::NotFound });
    drop(store);
    assert_eq!(value(&other), b"both");
}

#[test]
fn a_name_of_any_length_can_be_created_compacted_and_copied() {
    let dir = tempdir().unwrap();
    for bytes in [1, 241, 242, 243, 254, 255] {
        let path = dir.path().join("n".repeat(bytes));
        let store = StoreOptions::new().create(&path).unwrap();
        fill(&store, b"value");
        store.compact().unwrap();
        let copy = dir.path().join("c".repeat(bytes));
        store.copy(&copy, None).unwrap();
        drop(store);
        assert_eq!((value(&path), value(&copy)), (b"value".to_vec(), b"value".to_vec()));
    }
    let names = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(names, 12, "no temporary file is left");
}

#[test]
fn a_path_to_anything_but_a_regular_file_is_refused_at_once() {
    let dir = tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let options = StoreOptions::new();
    for path in [&*pipe, Path::new("/dev/null")] {
        for refused in [options.open(path), options.open_read_only(path)] {
            let error = Error::File { path: path.into(), cause: FileErrorCause::NotRegular };
            assert_eq!(refused.unwrap_err(), error, "V6");
        }
    }
    let refused = options.open(dir.path()).unwrap_err();
    let cause = FileErrorCause::Io(std::io::ErrorKind::IsADirectory);
    assert_eq!(refused, Error::File { path: dir.path().into(), cause }, "V6");
}
