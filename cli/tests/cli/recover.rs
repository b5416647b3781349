//! `recover` explains every kind of file, and its statements hold.

use super::sample::{MANY, schema};
use super::{
    CommandOutput, KEY, OTHER_KEY, TestFolder, bytes, command, fastness, fork_lock, hex, json,
    output_of, start,
};
use fastness::config::{App, Configuration};
use fastness::instance::FileRegistry;
use fastness::object::{Database, DatabaseOptions};
use fastness::schema::Module;
use fastness::{Key, StoreOptions};
use serde_json::Value as Json;
use std::path::Path;
use std::process::Command;

const BACKUP: &str = "recovered_realm-20171122-093015-aB3dE6gH";

fn texts(value: &Json) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// Runs a suggested command in a shell.
fn run(command: &str, out: &Path) -> i32 {
    let binary = Path::new(env!("CARGO_BIN_EXE_fastness")).parent().unwrap().to_owned();
    let command = command.replace(" OUT ", &format!(" {} ", out.display()));
    let path = format!("{}:/usr/bin:/bin", binary.display());
    let mut shell = Command::new("sh");
    let child = start(shell.arg("-c").arg(command).env("PATH", path).env_remove("FASTNESS_KEY"));
    let output = output_of(child);
    assert!(output.code == 0 || !output.out.is_empty(), "{}", output.err);
    output.code
}

/// Opens a backup as docs/instances.md says; returns whether it opens dynamically and typed.
fn opens(path: &Path, key: Option<[u8; 64]>) -> (bool, bool) {
    let _fork_lock = fork_lock();
    let module = Module::new("app", schema().classes().to_vec());
    let app = App::new(path.parent().unwrap()).default_module(module);
    let instances = FileRegistry::open(&app, StoreOptions::new()).unwrap();
    let key = key.as_ref().map(|key| &key[..]);
    let backup = Configuration::for_recovery_with(&app, path, key, &[]).unwrap();
    (instances.open_dynamic(&backup).is_ok(), instances.open_instance(&backup).is_ok())
}

#[test]
fn every_statement_about_a_backup_holds() {
    let dir = TestFolder::new();
    let key_file = dir.key_file();
    for key in [None, Some(KEY)] {
        for version in [0, 3] {
            let file = dir.objects(BACKUP, key, version);
            let before = bytes(&file);
            let mut args: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"recover", &file];
            if key.is_some() {
                args.extend([&"--key-file" as &dyn AsRef<std::ffi::OsStr>, &key_file]);
            }
            let output = fastness(&args);
            assert_eq!((output.code, output.err.as_str()), (0, ""), "{}", output.out);
            let origin = "backed up because its server no longer had its history, on \
                 2017-11-22 09:30:15 UTC (from its name)";
            assert!(output.out.contains(origin), "{}", output.out);
            assert!(output.out.contains(&format!("many: {MANY} objects, ")), "{}", output.out);
            args.push(&"--json");
            let report = json(&fastness(&args));
            assert_eq!(report["encrypted"], key.is_some());
            assert_eq!(report["created"], "2017-11-22 09:30:15");
            assert_eq!(report["contents"]["schema_version"], version);
            assert_eq!(report["contents"]["classes"][1]["objects"], 2);
            let statements = texts(&report["opens"]);
            assert!(statements[0].contains(if key.is_some() {
                "with its key"
            } else {
                "without a key"
            }));
            let typed = statements[1].starts_with("typed: the same configuration");
            assert_eq!(opens(&file, key), (true, typed), "{statements:?}");
            if !typed {
                assert_version(&file, key, version);
            }
            for next in texts(&report["next"]) {
                let out = dir.path("out");
                assert_eq!(run(next, &out), 0, "{next}");
                std::fs::remove_file(out).unwrap();
            }
            assert_eq!(bytes(&file), before, "the file was written to");
            std::fs::remove_file(file).unwrap();
        }
    }
}

/// A copy opens with classes under the reported version.
fn assert_version(file: &Path, key: Option<[u8; 64]>, version: u64) {
    let _fork_lock = fork_lock();
    let copy = file.with_file_name("copy");
    std::fs::copy(file, &copy).unwrap();
    let options = key.map_or_else(StoreOptions::new, |key| StoreOptions::new().key(Key::new(key)));
    let open =
        |version| Database::open(&options, &copy, &DatabaseOptions::schema(schema(), version));
    assert!(open(version - 1).is_err());
    assert!(open(version).is_ok());
    std::fs::remove_file(copy).unwrap();
}

#[track_caller]
fn check(output: &CommandOutput, expect: &[&str]) {
    assert_eq!((output.code, output.err.as_str()), (1, ""), "{}", output.out);
    for text in expect {
        assert!(output.out.contains(text), "{text}: {}", output.out);
    }
}

#[test]
fn missing_wrong_and_unneeded_keys_are_explained() {
    let dir = TestFolder::new();
    let encrypted = dir.objects("it's encrypted", Some(KEY), 0);
    let other = dir.write("other", &OTHER_KEY);
    let quoted = encrypted.display().to_string().replace('\'', r"'\''");
    let next = format!("fastness recover '{quoted}' --key-file KEY");
    check(
        &fastness(&[&"recover", &encrypted]),
        &["encrypted  yes", "no key was given", "only with the 64-byte key", &next],
    );
    check(
        &fastness(&[&"recover", &encrypted, &"--key-file", &other]),
        &["encrypted  yes", "another key than the given one", &next],
    );
    let plain = dir.objects("plain", None, 0);
    let output = fastness(&[&"recover", &plain, &"--key-file", &other]);
    assert_eq!(output.code, 0, "{}", output.err);
    assert!(output.out.contains("encrypted  no"), "{}", output.out);
    assert!(!output.out.contains("--key-file"), "{}", output.out);
    let output =
        output_of(start(command(&[&"recover", &plain]).env("FASTNESS_KEY", hex(OTHER_KEY))));
    let next = format!("env -u FASTNESS_KEY fastness export --json OUT {}", plain.display());
    assert!(output.out.contains(&next), "{}", output.out);
}

#[test]
fn foreign_and_missing_files_are_explained() {
    let dir = TestFolder::new();
    let mut realm = vec![0; 4096];
    realm[16..20].copy_from_slice(b"T-DB");
    for (name, content, expect) in [
        ("empty", &b""[..], "it is empty"),
        ("sqlite", &b"SQLite format 3\0 and more"[..], "it is an SQLite database"),
        ("realm", &realm[..], "it is a realm-java file"),
        ("text", &[b'x'; 9000][..], "it is not a Fastness file"),
        ("short", b"T", "it is not a Fastness file"),
    ] {
        let file = dir.write(name, content);
        check(&fastness(&[&"recover", &file]), &[expect]);
        let report = json(&fastness(&[&"recover", &file, &"--json"]));
        assert_eq!((&report["encrypted"], &report["contents"]), (&Json::Null, &Json::Null));
        assert_eq!(bytes(&file), content);
    }
    let renamed = dir.write("synced-realm-aB3dE6g", &realm);
    check(&fastness(&[&"recover", &renamed]), &["renamed because a file of an older generation"]);
    let absent = fastness(&[&"recover", &dir.path("absent")]);
    assert_eq!(absent.code, 1);
    assert!(absent.err.contains("not found"), "{}", absent.err);
    let folder = fastness(&[&"recover", &dir.path("")]);
    assert_eq!(folder.code, 4, "{}", folder.err);
}

#[test]
fn a_file_without_objects_is_explained() {
    let dir = TestFolder::new();
    let trees = dir.store("trees", None);
    let output = fastness(&[&"recover", &trees]);
    assert_eq!((output.code, output.err.as_str()), (0, ""), "{}", output.out);
    assert!(output.out.contains("typed: not possible, it never had a schema"), "{}", output.out);
    assert!(output.out.contains(&format!("next       fastness dump {}", trees.display())));
    assert_eq!(opens(&trees, None), (true, false));
}

#[test]
fn damage_is_named_and_readable_objects_are_counted() {
    let dir = TestFolder::new();
    let key = dir.key_file();
    let file = dir.objects("encrypted", Some(KEY), 0);
    let good = bytes(&file);
    let (mut part, mut none) = (0, 0);
    for page in 0..good.len() / 4096 {
        let mut bad = good.clone();
        bad[page * 4096 + 100] ^= 1;
        std::fs::write(&file, &bad).unwrap();
        let output = fastness(&[&"recover", &file, &"--key-file", &key]);
        assert_eq!(output.err, "", "page {page}");
        assert_eq!(bytes(&file), bad, "the file was written to");
        let info = fastness(&[&"info", &file, &"--key-file", &key]);
        if output.code == 0 {
            assert_eq!(info.code, 0, "{}", info.err);
            continue;
        }
        assert_eq!((output.code, info.code), (1, 1), "page {page}: {}{}", output.out, info.out);
        assert!(output.out.contains(&format!("page {page}")), "page {page}: {}", output.out);
        let report = json(&fastness(&[&"recover", &file, &"--key-file", &key, &"--json"]));
        assert!(!report["problems"].as_array().unwrap().is_empty());
        let Some(classes) = report["contents"]["classes"].as_array() else {
            none += 1;
            continue;
        };
        let lost = |class: &Json| class["objects"] != class["readable"];
        if classes.iter().any(lost) {
            part += 1;
            assert!(output.out.contains("readable"), "{}", output.out);
        }
        for next in texts(&report["next"]) {
            assert!(next.contains(" --salvage "), "{next}");
            let out = dir.path("out");
            // Indexes and the free list hold no data.
            assert!(run(next, &out) <= 1);
            std::fs::remove_file(out).unwrap();
        }
    }
    assert!(part > 2 && none > 0, "{part} in part, {none} without classes");
    std::fs::write(&file, &good[..good.len() / 2]).unwrap();
    check(&fastness(&[&"recover", &file, &"--key-file", &key]), &["it is truncated to "]);
    let mut header = good.clone();
    header[4096..4096 + 512].fill(0);
    header[8192..8192 + 512].fill(0);
    std::fs::write(&file, header).unwrap();
    check(&fastness(&[&"recover", &file, &"--key-file", &key]), &["neither header slot"]);
}
