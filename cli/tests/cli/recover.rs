//! Each kind of file that somebody may try to recover, explained; and that what is said holds.

use super::sample::{MANY, schema};
use super::{Bench, KEY, OTHER_KEY, Ran, alone, bytes, command, fastness, hex, json, ran, start};
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

/// Runs a command as it was told, in a shell.
fn run(command: &str, out: &Path) -> i32 {
    let binary = Path::new(env!("CARGO_BIN_EXE_fastness")).parent().unwrap().to_owned();
    let command = command.replace(" OUT ", &format!(" {} ", out.display()));
    let path = format!("{}:/usr/bin:/bin", binary.display());
    let mut shell = Command::new("sh");
    let child = start(shell.arg("-c").arg(command).env("PATH", path).env_remove("FASTNESS_KEY"));
    let ran = ran(child);
    assert!(ran.code == 0 || !ran.out.is_empty(), "{}", ran.err);
    ran.code
}

/// Opens a backup as docs/instances.md says, and tells which ways do: dynamically, and typed.
fn opens(path: &Path, key: Option<[u8; 64]>) -> (bool, bool) {
    let _alone = alone();
    let module = Module::new("app", schema().classes().to_vec());
    let app = App::new(path.parent().unwrap()).default_module(module);
    let instances = FileRegistry::open(&app, StoreOptions::new()).unwrap();
    let key = key.as_ref().map(|key| &key[..]);
    let backup = Configuration::for_recovery_with(&app, path, key, &[]).unwrap();
    (instances.open_dynamic(&backup).is_ok(), instances.open_instance(&backup).is_ok())
}

#[test]
fn a_backup_is_explained_and_what_is_said_about_it_holds() {
    let bench = Bench::new();
    let key_file = bench.key_file();
    for key in [None, Some(KEY)] {
        for version in [0, 3] {
            let file = bench.objects(BACKUP, key, version);
            let before = bytes(&file);
            let mut args: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"recover", &file];
            if key.is_some() {
                args.extend([&"--key-file" as &dyn AsRef<std::ffi::OsStr>, &key_file]);
            }
            let said = fastness(&args);
            assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
            let origin = "backed up because its server no longer had its history, on \
                 2017-11-22 09:30:15 UTC, by its name";
            assert!(said.out.contains(origin), "{}", said.out);
            assert!(said.out.contains(&format!("many: {MANY} objects, ")), "{}", said.out);
            args.push(&"--json");
            let told = json(&fastness(&args));
            assert_eq!(told["encrypted"], key.is_some());
            assert_eq!(told["made"], "2017-11-22 09:30:15");
            assert_eq!(told["holds"]["schema_version"], version);
            assert_eq!(told["holds"]["classes"][1]["objects"], 2);
            let ways = texts(&told["opens"]);
            assert!(ways[0].contains(if key.is_some() { "with its key" } else { "without a key" }));
            let typed = ways[1].starts_with("the same with classes");
            assert_eq!(opens(&file, key), (true, typed), "{ways:?}");
            if !typed {
                assert_version(&file, key, version);
            }
            for next in texts(&told["next"]) {
                let out = bench.path("out");
                assert_eq!(run(next, &out), 0, "{next}");
                std::fs::remove_file(out).unwrap();
            }
            assert_eq!(bytes(&file), before, "the file was written to");
            std::fs::remove_file(file).unwrap();
        }
    }
}

/// A copy opens with classes under the version that was told.
fn assert_version(file: &Path, key: Option<[u8; 64]>, version: u64) {
    let _alone = alone();
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
fn check(said: &Ran, expect: &[&str]) {
    assert_eq!((said.code, said.err.as_str()), (1, ""), "{}", said.out);
    for text in expect {
        assert!(said.out.contains(text), "{text}: {}", said.out);
    }
}

#[test]
fn a_key_that_is_missing_wrong_or_not_needed() {
    let bench = Bench::new();
    let encrypted = bench.objects("it's encrypted", Some(KEY), 0);
    let other = bench.write("other", &OTHER_KEY);
    let quoted = encrypted.display().to_string().replace('\'', r"'\''");
    let next = format!("fastness recover '{quoted}' --key-file KEY");
    check(
        &fastness(&[&"recover", &encrypted]),
        &["encrypted  yes", "no key was given", "with the 64-byte key", &next],
    );
    check(
        &fastness(&[&"recover", &encrypted, &"--key-file", &other]),
        &["encrypted  yes", "the key that was given is another one", "no other", &next],
    );
    let plain = bench.objects("plain", None, 0);
    let said = fastness(&[&"recover", &plain, &"--key-file", &other]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("encrypted  no"), "{}", said.out);
    assert!(!said.out.contains("--key-file"), "{}", said.out);
    let said = ran(start(command(&[&"recover", &plain]).env("FASTNESS_KEY", hex(OTHER_KEY))));
    let next = format!("env -u FASTNESS_KEY fastness export --json OUT {}", plain.display());
    assert!(said.out.contains(&next), "{}", said.out);
}

#[test]
fn files_of_others_and_files_that_are_not_there() {
    let bench = Bench::new();
    let mut realm = vec![0; 4096];
    realm[16..20].copy_from_slice(b"T-DB");
    for (name, content, expect) in [
        ("empty", &b""[..], "it has no bytes"),
        ("sqlite", &b"SQLite format 3\0 and more"[..], "it is an SQLite database"),
        ("realm", &realm[..], "it is a file of the original, realm-java"),
        ("text", &[b'x'; 9000][..], "it is not a Fastness file"),
        ("short", b"T", "it is not a Fastness file"),
    ] {
        let file = bench.write(name, content);
        check(&fastness(&[&"recover", &file]), &[expect]);
        let told = json(&fastness(&[&"recover", &file, &"--json"]));
        assert_eq!((&told["encrypted"], &told["holds"]), (&Json::Null, &Json::Null));
        assert_eq!(bytes(&file), content);
    }
    let aside = bench.write("synced-realm-aB3dE6g", &realm);
    check(&fastness(&[&"recover", &aside]), &["moved aside because an older generation"]);
    let absent = fastness(&[&"recover", &bench.path("absent")]);
    assert_eq!(absent.code, 1);
    assert!(absent.err.contains("not found"), "{}", absent.err);
    let folder = fastness(&[&"recover", &bench.path("")]);
    assert_eq!(folder.code, 4, "{}", folder.err);
}

#[test]
fn a_file_without_objects_is_told_as_such() {
    let bench = Bench::new();
    let trees = bench.store("trees", None);
    let said = fastness(&[&"recover", &trees]);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{}", said.out);
    assert!(said.out.contains("not with classes: it never had a schema"), "{}", said.out);
    assert!(said.out.contains(&format!("next       fastness dump {}", trees.display())));
    assert_eq!(opens(&trees, None), (true, false));
}

#[test]
fn damage_is_named_and_what_can_still_be_read_is_counted() {
    let bench = Bench::new();
    let key = bench.key_file();
    let file = bench.objects("encrypted", Some(KEY), 0);
    let good = bytes(&file);
    let (mut part, mut none) = (0, 0);
    for page in 0..good.len() / 4096 {
        let mut bad = good.clone();
        bad[page * 4096 + 100] ^= 1;
        std::fs::write(&file, &bad).unwrap();
        let said = fastness(&[&"recover", &file, &"--key-file", &key]);
        assert_eq!(said.err, "", "page {page}");
        assert_eq!(bytes(&file), bad, "the file was written to");
        let info = fastness(&[&"info", &file, &"--key-file", &key]);
        if said.code == 0 {
            assert_eq!(info.code, 0, "{}", info.err);
            continue;
        }
        assert_eq!((said.code, info.code), (1, 1), "page {page}: {}{}", said.out, info.out);
        assert!(said.out.contains(&format!("page {page}")), "page {page}: {}", said.out);
        let told = json(&fastness(&[&"recover", &file, &"--key-file", &key, &"--json"]));
        assert!(!told["problems"].as_array().unwrap().is_empty());
        let Some(classes) = told["holds"]["classes"].as_array() else {
            none += 1;
            continue;
        };
        let lost = |class: &Json| class["objects"] != class["readable"];
        if classes.iter().any(lost) {
            part += 1;
            assert!(said.out.contains(" of them readable"), "{}", said.out);
        }
        for next in texts(&told["next"]) {
            assert!(next.contains(" --salvage "), "{next}");
            let out = bench.path("out");
            // Indexes and the record of free pages are no data.
            assert!(run(next, &out) <= 1);
            std::fs::remove_file(out).unwrap();
        }
    }
    assert!(part > 2 && none > 0, "{part} in part, {none} without classes");
    std::fs::write(&file, &good[..good.len() / 2]).unwrap();
    check(&fastness(&[&"recover", &file, &"--key-file", &key]), &["it was cut short, to "]);
    let mut header = good.clone();
    header[4096..4096 + 512].fill(0);
    header[8192..8192 + 512].fill(0);
    std::fs::write(&file, header).unwrap();
    check(&fastness(&[&"recover", &file, &"--key-file", &key]), &["neither header slot"]);
}
