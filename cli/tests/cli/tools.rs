//! Tests of each file tool.

use super::{
    KEY, OTHER_KEY, TestFolder, bytes, command, fastness, fork_lock, hex, json, options, output_of,
    start,
};

#[test]
fn info_shows_trees_of_a_store() {
    let dir = TestFolder::new();
    let file = dir.store("plain", None);
    let output = fastness(&[&"info", &file]);
    assert_eq!((output.code, output.err.as_str()), (0, ""));
    assert!(output.out.contains("encrypted  no"), "{}", output.out);
    assert!(output.out.contains("\"entries\": 200 entries"), "{}", output.out);
    let value = json(&fastness(&[&"info", &file, &"--json"]));
    assert_eq!(value["encrypted"], false);
    assert_eq!(value["trees"][0]["name"], "entries");
    assert_eq!(value["trees"][1]["len"], 4);
    assert_eq!(value["recovery"], serde_json::Value::Null);
    assert_eq!(value["file_bytes"], bytes(&file).len());
}

#[test]
fn a_key_file_is_made_once_and_opens_what_it_encrypted() {
    let dir = TestFolder::new();
    let (key, file) = (dir.path("new key"), dir.path("file"));
    let output = fastness(&[&"keygen", &key]);
    assert_eq!((output.code, output.err.as_str()), (0, ""), "{}", output.out);
    let made = bytes(&key);
    assert_eq!(made.len(), 64);
    assert!(!output.out.contains(&hex(made[..].try_into().unwrap())), "Y2");
    let source = dir.store("plain", None);
    let copy = fastness(&[&"copy", &"--new-key-file", &key, &source, &file]);
    assert_eq!(copy.code, 0, "{}", copy.err);
    assert_eq!(fastness(&[&"verify", &file, &"--key-file", &key]).code, 0);
    let again = fastness(&[&"keygen", &key]);
    assert!(again.code == 1 && again.err.contains("never replaced"), "{}", again.err);
    assert_eq!(bytes(&key), made);
    let output = fastness(&[&"keygen", &dir.path("none/key")]);
    assert!(output.code == 4 && output.err.contains("cannot write the key"), "{}", output.err);
}

#[test]
fn completions_and_pages_name_every_command() {
    let dir = TestFolder::new();
    for shell in ["bash", "zsh", "fish"] {
        let output = fastness(&[&"completions", &shell]);
        assert_eq!((output.code, output.err.as_str()), (0, ""));
        assert!(output.out.contains("keygen") && output.out.contains("overwrite"), "{shell}");
    }
    let folder = dir.path("man");
    std::fs::create_dir(&folder).unwrap();
    assert_eq!(fastness(&[&"man", &folder]).code, 0);
    let page = String::from_utf8(bytes(&folder.join("fastness-verify.1"))).unwrap();
    assert!(page.contains("Exit codes"), "{page}");
    assert!(folder.join("fastness.1").exists());
    let output = fastness(&[&"man", &dir.path("none")]);
    assert!(output.code == 4 && output.err.contains("cannot write the pages"), "{}", output.err);
}

#[test]
fn info_shows_classes_properties_objects_and_bytes() {
    let dir = TestFolder::new();
    let key = dir.key_file();
    for (name, secret) in [("plain", None), ("encrypted", Some(KEY))] {
        let file = dir.objects(name, secret, 7);
        let mut args: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"info", &file];
        if secret.is_some() {
            args.extend([&"--key-file" as &dyn AsRef<std::ffi::OsStr>, &key]);
        }
        let output = fastness(&args);
        assert_eq!((output.code, output.err.as_str()), (0, ""), "{}", output.out);
        for line in [
            "classes    4, schema version 7",
            "    email: string key",
            "    age: int? index",
            "    friend: Person?",
            ", index of Person.age",
            "  \"beside\": 1 entry\n",
        ] {
            assert!(output.out.contains(line), "{line}: {}", output.out);
        }
        args.push(&"--json");
        let value = json(&fastness(&args));
        assert_eq!(value["schema_version"], 7);
        let classes = value["classes"].as_array().unwrap();
        let names: Vec<_> = classes.iter().map(|class| class["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["All", "Person", "Slot", "many"]);
        let objects: Vec<_> = classes.iter().map(|class| &class["objects"]).collect();
        assert_eq!(objects, [2, 2, 2, 120]);
        assert_eq!(classes[1]["properties"][0]["name"], "age");
        assert_eq!(classes[1]["properties"][0]["indexed"], true);
        assert_bytes(&file, secret, classes);
    }
}

/// Checks that the bytes of a class are those of the entries of its trees.
fn assert_bytes(file: &std::path::Path, key: Option<[u8; 64]>, classes: &[serde_json::Value]) {
    let guard = fork_lock();
    let store = options(key).open(file).unwrap();
    drop(guard);
    let snapshot = store.snapshot();
    let sum = |wanted: &dyn Fn(&str) -> bool| {
        let names = snapshot.tree_names().filter(|name| wanted(name));
        let entries = names.flat_map(|name| snapshot.tree(name).range(..).unwrap());
        let bytes = entries.map(|entry| entry.map(|(key, value)| key.len() + value.len()).unwrap());
        bytes.sum::<usize>()
    };
    let listed = |property: &str| -> usize {
        let bytes = classes.iter().map(|class| class[property].as_u64().unwrap());
        usize::try_from(bytes.sum::<u64>()).unwrap()
    };
    let data = |name: &str| {
        let rest = name.strip_prefix("main/").unwrap_or("schema");
        rest != "schema" && (!rest.contains('.') || rest.ends_with(".apart"))
    };
    let index = |name: &str| name.starts_with("main/") && name != "main/schema" && !data(name);
    assert_eq!(listed("bytes"), sum(&data));
    assert_eq!(listed("index_bytes"), sum(&index));
    assert!(listed("bytes") > 7000 && listed("index_bytes") > 20);
}

#[test]
fn keys_are_bytes_digits_or_a_variable() {
    let dir = TestFolder::new();
    let file = dir.store("encrypted", Some(KEY));
    let raw = dir.key_file();
    let digits = dir.write("digits", format!("{}\n", hex(KEY)).as_bytes());
    for key in [raw, digits] {
        let output = fastness(&[&"info", &file, &"--key-file", &key]);
        assert_eq!(output.code, 0, "{}", output.err);
        assert!(output.out.contains("encrypted  yes"));
    }
    let child = start(command(&[&"info", &file]).env("FASTNESS_KEY", hex(KEY)));
    assert_eq!(output_of(child).code, 0);
}

#[test]
fn an_invalid_key_is_a_usage_error() {
    let dir = TestFolder::new();
    let file = dir.store("encrypted", Some(KEY));
    let short = dir.write("short", &KEY[..63]);
    let output = fastness(&[&"info", &file, &"--key-file", &short]);
    assert_eq!(output.code, 2);
    assert!(output.err.contains("63 bytes that are not a key"), "{}", output.err);
    let output = output_of(start(command(&[&"info", &file]).env("FASTNESS_KEY", &hex(KEY)[2..])));
    assert_eq!(output.code, 2);
    assert!(output.err.contains("FASTNESS_KEY holds 126 bytes"), "{}", output.err);
    let absent = dir.path("absent");
    assert_eq!(fastness(&[&"info", &file, &"--key-file", &absent]).code, 4);
    let as_argument = fastness(&[&"info", &file, &"--key", &hex(KEY)]);
    assert_eq!(as_argument.code, 2);
}

#[test]
fn verify_accepts_a_valid_file_and_does_not_write() {
    let dir = TestFolder::new();
    let key = dir.key_file();
    for (name, secret) in [("plain", None), ("encrypted", Some(KEY))] {
        let file = dir.store(name, secret);
        let before = bytes(&file);
        let mut args: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"verify", &file];
        if secret.is_some() {
            args.extend([&"--key-file" as &dyn AsRef<std::ffi::OsStr>, &key]);
        }
        let output = fastness(&args);
        assert_eq!((output.code, output.err.as_str()), (0, ""), "{}", output.out);
        assert!(output.out.contains("clean"), "{}", output.out);
        args.push(&"--json");
        let value = json(&fastness(&args));
        assert_eq!(value["clean"], true);
        assert_eq!(value["problems"], serde_json::json!([]));
        assert_eq!(bytes(&file), before, "verify wrote to the file");
    }
}

#[test]
fn verify_names_the_damaged_page() {
    let dir = TestFolder::new();
    let file = dir.store("plain", None);
    let good = bytes(&file);
    let mut found = 0;
    for page in 3..good.len() / 4096 {
        let mut bad = good.clone();
        bad[page * 4096 + 2000] ^= 1;
        std::fs::write(&file, &bad).unwrap();
        let output = fastness(&[&"verify", &file, &"--json"]);
        if output.code == 0 {
            continue;
        }
        found += 1;
        assert_eq!(output.code, 1);
        let report =
            if output.err.is_empty() { json(&output)["problems"].to_string() } else { output.err };
        assert!(report.contains(&format!("page {page} ")), "page {page}: {report}");
        assert_eq!(bytes(&file), bad, "verify wrote to the file");
    }
    assert!(found > 0, "no damage to any page was found");
}

#[test]
fn dump_shows_every_page_and_one_in_detail() {
    let dir = TestFolder::new();
    let file = dir.store("encrypted", Some(KEY));
    let key = dir.key_file();
    let output = fastness(&[&"dump", &file, &"--key-file", &key]);
    assert_eq!((output.code, output.err.as_str()), (0, ""));
    assert!(output.out.starts_with("page 0: "), "{}", output.out);
    let page = fastness(&[&"dump", &file, &"--key-file", &key, &"--page", &"0", &"--json"]);
    assert_eq!(page.code, 0, "{}", page.err);
    assert_eq!(json(&page)["page"], 0);
    assert!(!json(&page)["lines"].as_array().unwrap().is_empty());
    let beyond = fastness(&[&"dump", &file, &"--key-file", &key, &"--page", &"99999"]);
    assert_eq!(beyond.code, 1);
    assert!(beyond.err.contains("99999"), "{}", beyond.err);
}

#[test]
fn compact_shrinks_a_file_and_keeps_its_contents() {
    let dir = TestFolder::new();
    let file = dir.store("plain", None);
    let guard = fork_lock();
    let store = options(None).open(&file).unwrap();
    let mut txn = store.write().unwrap();
    txn.tree("entries").unwrap().clear().unwrap();
    txn.commit().unwrap();
    drop((store, guard));
    let before = bytes(&file).len();
    let value = json(&fastness(&[&"compact", &file, &"--json"]));
    assert_eq!(value["before_bytes"], before);
    assert_eq!(value["after_bytes"], bytes(&file).len());
    assert!(bytes(&file).len() < before);
    assert_eq!(options(None).open(&file).unwrap().snapshot().tree("rounds").len(), 4);
    assert!(fastness(&[&"compact", &file]).out.contains("KiB), now"));
}

#[test]
fn copy_keeps_changes_or_removes_the_key() {
    let dir = TestFolder::new();
    let file = dir.store("encrypted", Some(KEY));
    let key = dir.key_file();
    let new_key = dir.write("new-key", &OTHER_KEY);
    let [same, other, plain] = ["same", "other", "plain"].map(|name| dir.path(name));
    let output = fastness(&[&"copy", &file, &same, &"--key-file", &key]);
    assert_eq!(output.code, 0, "{}", output.err);
    let report = json(&fastness(&[
        &"copy",
        &file,
        &other,
        &"--key-file",
        &key,
        &"--new-key-file",
        &new_key,
        &"--json",
    ]));
    assert_eq!(report["encrypted"], true);
    let output = fastness(&[&"copy", &file, &plain, &"--key-file", &key, &"--plain"]);
    assert!(output.out.contains("not encrypted"), "{}", output.out);
    for (copy, secret) in [(&same, Some(KEY)), (&other, Some(OTHER_KEY)), (&plain, None)] {
        let store = options(secret).open(copy).unwrap();
        assert_eq!(store.snapshot().tree("entries").len(), 200);
    }
}

#[test]
fn copy_never_replaces_a_file() {
    let dir = TestFolder::new();
    let file = dir.store("plain", None);
    let target = dir.write("target", b"precious");
    let output = fastness(&[&"copy", &file, &target]);
    assert_eq!(output.code, 1);
    assert!(output.err.contains("exists already"), "{}", output.err);
    assert_eq!(bytes(&target), b"precious");
    let key = dir.key_file();
    let both = fastness(&[&"copy", &file, &"x", &"--plain", &"--new-key-file", &key]);
    assert_eq!(both.code, 2);
}

#[test]
fn an_unclosed_file_is_read_without_recovery_writes() {
    let dir = TestFolder::new();
    let file = dir.store("plain", None);
    let store = options(None).open(&file).unwrap();
    let mut txn = store.write().unwrap();
    txn.tree("entries").unwrap().insert(b"last", b"words").unwrap();
    txn.commit().unwrap();
    let crashed = dir.write("crashed", &bytes(&file));
    let before = bytes(&crashed);
    let output = fastness(&[&"info", &crashed]);
    assert!(output.out.contains("recovery   not closed cleanly"), "{}", output.out);
    assert!(output.out.contains("\"entries\": 201 entries"), "{}", output.out);
    assert_eq!(fastness(&[&"verify", &crashed]).code, 0);
    assert_eq!(bytes(&crashed), before, "a reader wrote to the file");
}
