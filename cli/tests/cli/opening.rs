//! Each way in which a file does not open, told apart.

use super::{Bench, KEY, OTHER_KEY, bytes, command, fastness, hex, options, ran, start};
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use xxhash_rust::xxh3::xxh3_128;

/// Every tool that opens a file says the same about it.
#[track_caller]
fn check(args: &[&dyn AsRef<OsStr>], code: i32, expect: &str) {
    for tool in ["info", "verify", "dump", "compact"] {
        let mut all: Vec<&dyn AsRef<OsStr>> = vec![&tool];
        all.extend(args);
        let said = fastness(&all);
        assert_eq!(said.code, code, "{tool}: {}{}", said.out, said.err);
        assert!(said.err.contains(expect), "{tool}: {}", said.err);
        assert_eq!(said.out, "", "{tool}");
    }
}

#[test]
fn a_file_that_is_not_there() {
    let bench = Bench::new();
    let path = bench.path("absent");
    check(&[&path], 1, &format!("fastness: {}: not found", path.display()));
    assert!(!path.exists());
}

#[test]
fn a_file_that_is_not_ours() {
    let bench = Bench::new();
    check(&[&bench.write("text", &[b'x'; 20_000])], 1, "not a Fastness file");
}

#[test]
fn a_folder() {
    let bench = Bench::new();
    check(&[&bench.path("")], 4, "directory");
}

#[test]
fn keys_that_do_not_fit() {
    let bench = Bench::new();
    let key = bench.key_file();
    let other = bench.write("other", &OTHER_KEY);
    let encrypted = bench.store("encrypted", Some(KEY));
    let plain = bench.store("plain", None);
    check(&[&encrypted], 1, "encrypted; give its key (--key-file FILE");
    check(&[&encrypted, &"--key-file", &other], 1, "the key does not open this file");
    check(&[&plain, &"--key-file", &key], 1, "not encrypted; open it without a key");
    let said = ran(start(command(&[&"info", &plain]).env("FASTNESS_KEY", hex(KEY))));
    assert_eq!(said.code, 1);
    assert!(said.err.contains("unset FASTNESS_KEY"), "{}", said.err);
}

#[test]
fn a_file_that_is_open_elsewhere() {
    let bench = Bench::new();
    let file = bench.store("plain", None);
    let _store = options(None).open(&file).unwrap();
    check(&[&file], 4, "in use");
}

#[test]
fn a_file_that_was_cut_short() {
    let bench = Bench::new();
    let file = bench.store("plain", None);
    let whole = bytes(&file);
    fs::write(&file, &whole[..whole.len() - 4096]).unwrap();
    let said = fastness(&[&"info", &file]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("truncated"), "{}", said.err);
}

#[test]
fn a_file_whose_header_is_gone() {
    let bench = Bench::new();
    let file = bench.store("plain", None);
    let mut bad = bytes(&file);
    bad[4096..4096 + 2000].fill(0);
    bad[8192..8192 + 2000].fill(0);
    fs::write(&file, bad).unwrap();
    check(&[&file], 1, "neither header slot");
}

#[test]
fn a_file_of_a_newer_version() {
    let bench = Bench::new();
    let file = bench.store("plain", None);
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
fn a_file_we_may_not_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let bench = Bench::new();
    let file = bench.store("plain", None);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    // Nothing is forbidden to root.
    if fs::File::open(&file).is_err() {
        check(&[&file], 4, "permission denied");
    }
}

#[test]
fn usage_is_told_from_everything_else() {
    for args in [&["info"][..], &["nothing"], &["info", "x", "--no"], &["dump", "x", "--page", "y"]]
    {
        let args: Vec<&dyn AsRef<OsStr>> = args.iter().map(|arg| arg as _).collect();
        assert_eq!(fastness(&args).code, 2);
    }
    assert_eq!(fastness(&[&"--help"]).code, 0);
    assert!(!Path::new("x").exists());
}
