//! Files that do not open, each with its own error.

use super::{KEY, OTHER_KEY, TestFolder, bytes, command, fastness, hex, options, output_of, start};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_128;

/// Checks that every tool reports the same error.
#[track_caller]
fn check(args: &[&dyn AsRef<OsStr>], code: i32, expect: &str) {
    for tool in ["info", "verify", "dump", "compact"] {
        let mut all: Vec<&dyn AsRef<OsStr>> = vec![&tool];
        all.extend(args);
        let output = fastness(&all);
        assert_eq!(output.code, code, "{tool}: {}{}", output.out, output.err);
        assert!(output.err.contains(expect), "{tool}: {}", output.err);
        assert_eq!(output.out, "", "{tool}");
    }
}

#[test]
fn a_missing_file() {
    let dir = TestFolder::new();
    let path = dir.path("absent");
    check(&[&path], 1, &format!("fastness: {}: not found", path.display()));
    assert!(!path.exists());
}

#[test]
fn a_foreign_file() {
    let dir = TestFolder::new();
    check(&[&dir.write("text", &[b'x'; 20_000])], 1, "not a Fastness file");
}

#[test]
fn a_folder() {
    let dir = TestFolder::new();
    check(&[&dir.path("")], 4, "directory");
}

#[test]
fn missing_wrong_and_unneeded_keys() {
    let dir = TestFolder::new();
    let key = dir.key_file();
    let other = dir.write("other", &OTHER_KEY);
    let encrypted = dir.store("encrypted", Some(KEY));
    let plain = dir.store("plain", None);
    check(&[&encrypted], 1, "encrypted; give its key (--key-file FILE");
    check(&[&encrypted, &"--key-file", &other], 1, "the key does not open this file");
    check(&[&plain, &"--key-file", &key], 1, "not encrypted; open it without a key");
    let output = output_of(start(command(&[&"info", &plain]).env("FASTNESS_KEY", hex(KEY))));
    assert_eq!(output.code, 1);
    assert!(output.err.contains("unset FASTNESS_KEY"), "{}", output.err);
}

#[test]
fn a_file_open_in_another_process() {
    let dir = TestFolder::new();
    let file = dir.store("plain", None);
    let _store = options(None).open(&file).unwrap();
    check(&[&file], 4, "in use");
}

#[test]
fn a_truncated_file() {
    let dir = TestFolder::new();
    let file = dir.store("plain", None);
    let whole = bytes(&file);
    fs::write(&file, &whole[..whole.len() - 4096]).unwrap();
    let output = fastness(&[&"info", &file]);
    assert_eq!(output.code, 1);
    assert!(output.err.contains("truncated"), "{}", output.err);
}

#[test]
fn a_file_with_two_damaged_headers() {
    let dir = TestFolder::new();
    let file = dir.store("plain", None);
    let mut bad = bytes(&file);
    bad[4096..4096 + 2000].fill(0);
    bad[8192..8192 + 2000].fill(0);
    fs::write(&file, bad).unwrap();
    check(&[&file], 1, "neither header slot");
}

#[test]
fn a_file_of_a_newer_format() {
    let dir = TestFolder::new();
    let file = dir.store("plain", None);
    let mut newer = bytes(&file);
    for prelude in [0, 4096 + 2048, 8192 + 2048] {
        newer[prelude + 12] = 9;
        let sum = xxh3_128(&newer[prelude..prelude + 72]).to_le_bytes();
        newer[prelude + 72..prelude + 88].copy_from_slice(&sum);
    }
    fs::write(&file, newer).unwrap();
    check(&[&file], 1, "written in format 9");
}

#[cfg(unix)]
#[test]
fn a_file_without_read_permission() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = TestFolder::new();
    let file = dir.store("plain", None);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read everything.
    if fs::File::open(&file).is_err() {
        check(&[&file], 4, "permission denied");
    }
}

#[test]
fn usage_errors_have_their_own_exit_code() {
    for args in [&["info"][..], &["nothing"], &["info", "x", "--no"], &["dump", "x", "--page", "y"]]
    {
        let args: Vec<&dyn AsRef<OsStr>> = args.iter().map(|arg| arg as _).collect();
        assert_eq!(fastness(&args).code, 2);
    }
    assert_eq!(fastness(&[&"--help"]).code, 0);
    assert!(!Path::new("x").exists());
}
