//! An import makes a file with every value of a document, or no file.

use super::sample::{MANY, exported};
use super::{KEY, TestFolder, bytes, command, fastness, fork_lock, output_of, start};
use serde_json::{Value as Json, json};
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;

fn classes(path: &Path) -> Json {
    let document: Json = serde_json::from_slice(&bytes(path)).unwrap();
    document["classes"].clone()
}

#[test]
fn an_import_of_an_export_exports_the_same() {
    let dir = TestFolder::new();
    let key = dir.key_file();
    for (name, secret) in [("plain", None), ("encrypted", Some(KEY))] {
        let file = dir.objects(name, secret, 3);
        let [first, second, copy] =
            ["first", "second", "copy"].map(|what| dir.path(&format!("{name} {what}")));
        let flags: &[&dyn AsRef<std::ffi::OsStr>] =
            if secret.is_some() { &[&"--key-file", &key] } else { &[] };
        let run = |args: &[&dyn AsRef<std::ffi::OsStr>]| {
            let output = fastness(&[args, flags].concat());
            assert_eq!((output.code, output.err.as_str()), (0, ""), "{}", output.out);
            output.out
        };
        run(&[&"export", &"--json", &first, &file]);
        let out = run(&[&"import", &"--json", &first, &copy]);
        let objects = MANY + 6;
        assert!(out.contains(&format!("{objects} objects of 4 classes")), "{out}");
        run(&[&"export", &"--json", &second, &copy]);
        assert_eq!(classes(&first), classes(&second), "Y11");
        let lines = |path: &Path| {
            let text = String::from_utf8(bytes(path)).unwrap();
            text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(lines(&first), lines(&second), "Y11: to the last digit");
        let found = classes(&second);
        for class in found.as_array().unwrap() {
            if let Some(expected) = exported().get(class["name"].as_str().unwrap()) {
                assert_eq!(&class["objects"], expected);
            }
        }
        assert!(run(&[&"info", &copy]).contains("schema version 3"));
        assert!(run(&[&"verify", &copy]).contains("clean"));
    }
}

#[test]
fn a_wrong_document_makes_no_file_and_says_where_it_is_wrong() {
    let dir = TestFolder::new();
    let class = |objects: Json| {
        let property = |name: &str, of: Json| {
            json!({ "name": name, "type": of, "nullable": false, "primary_key": name == "id",
                "indexed": false })
        };
        let properties = json!([
            property("id", json!("int")),
            property("at", json!("timestamp")),
            property("next", json!({ "link": "A" })),
        ]);
        // In this order, which `json` does not keep.
        format!(
            r#"{{"classes": [{{"name": "A", "properties": {properties}, "objects": {objects}}}],
            "schema_version": 0, "export": 1}}"#
        )
    };
    let at = "1970-01-01T00:00:00Z";
    let no_target = json!([{ "key": 1, "values": { "at": at, "next": { "key": 7 } } }]);
    let twice = json!([{ "key": 1, "values": { "at": at } }, { "key": 1, "values": { "at": at } }]);
    for (document, message) in [
        ("[]".to_owned(), "is no JSON export of fastness"),
        (r#"{"classes": []}"#.to_owned(), "missing field `export`"),
        (r#"{"export": 2, "classes": []}"#.to_owned(), "install a newer fastness"),
        (r#"{"export": 1, "classes": [{"objects": []}]}"#.to_owned(), "before its objects"),
        (
            class(json!([{ "key": "x", "values": {} }])),
            "A \"x\", id: \"x\" is no value of type int",
        ),
        (class(json!([{ "key": 1, "values": { "at": "soon" } }])), "A 1, at: \"soon\" is no value"),
        (class(no_target), "A"),
        (class(json!([{ "key": 1, "values": { "at": at, "agee": 7 } }])), "agee, which the class"),
        (class(json!([{ "key": 1, "value": { "at": at } }])), "has a `key` and its `values`"),
        (class(json!([{ "values": { "id": 1, "at": at } }])), "has a `key` and its `values`"),
        (class(json!([{ "key": 1, "values": { "id": 2 } }])), "object 1 has the primary key 2"),
        (class(twice), "already"),
    ] {
        let (source, target) = (dir.write("in.json", document.as_bytes()), dir.path("out"));
        let output = fastness(&[&"import", &"--json", &source, &target]);
        assert_eq!(output.code, 1, "{document}: {}", output.err);
        assert!(output.err.contains(message), "{document}: {}", output.err);
        assert!(!target.exists(), "Y11: {document}");
        let left = std::fs::read_dir(source.parent().unwrap()).unwrap().count();
        assert_eq!(left, 1, "an unfinished file is left");
    }
}

#[test]
fn an_import_changes_no_file_that_exists() {
    let dir = TestFolder::new();
    let (file, out) = (dir.objects("file", None, 3), dir.path("out.json"));
    assert_eq!(fastness(&[&"export", &"--json", &out, &file]).code, 0);
    let before = bytes(&file);
    let output = fastness(&[&"import", &"--json", &out, &file]);
    assert_eq!(output.code, 1);
    assert!(output.err.contains("exists already"), "{}", output.err);
    assert_eq!(bytes(&file), before, "Y11");
    let output = fastness(&[&"import", &"--json", &dir.path("none"), &dir.path("new")]);
    assert!(output.code == 4 && output.err.contains("cannot read the document"), "{}", output.err);
}

#[test]
fn an_export_to_stdout_is_the_one_to_a_file() {
    let dir = TestFolder::new();
    let (file, out) = (dir.objects("file", None, 3), dir.path("out.json"));
    assert_eq!(fastness(&[&"export", &"--json", &out, &file]).code, 0);
    let streamed = output_of(start(&mut command(&[&"export", &"--json", &"-", &file])));
    assert_eq!((streamed.code, streamed.out.as_bytes()), (0, &*bytes(&out)));
    assert!(streamed.err.contains("126 objects of 4 classes"), "{}", streamed.err);
    let sqlite = fastness(&[&"export", &"--sqlite", &"-", &file]);
    assert!(sqlite.code == 2 && sqlite.err.contains("cannot be streamed"), "{}", sqlite.err);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let dir = TestFolder::new();
    let file = dir.objects("file", None, 3);
    for args in [&["info"][..], &["dump"], &["export", "--json", "-"]] {
        let mut all: Vec<&dyn AsRef<std::ffi::OsStr>> = Vec::new();
        all.extend(args.iter().map(|arg| arg as &dyn AsRef<std::ffi::OsStr>));
        all.push(&file);
        let child = {
            let _fork_lock = fork_lock();
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            command(&all).stdout(writer).stderr(Stdio::piped()).spawn().unwrap()
        };
        let mut child = child;
        let mut text = String::new();
        child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!((child.wait().unwrap().code(), &*text), (Some(0), ""), "Y3, Y10: {args:?}");
    }
}

#[test]
fn every_digit_and_every_counter_is_imported() {
    let dir = TestFolder::new();
    let property = |name: &str, of: &str| {
        json!({ "name": name, "type": of, "nullable": false, "primary_key": false,
            "indexed": false })
    };
    let properties = json!([
        property("double", "double"),
        property("float", "float"),
        property("likes", "counter"),
        property("views", "counter"),
    ]);
    let values = r#"{"double":449.49106478873813,"float":0.10000000149011612,"likes":5,"views":9}"#;
    let document = format!(
        r#"{{"export": 1, "schema_version": 0, "classes": [{{"name": "A",
        "properties": {properties}, "objects": [{{"key": 1, "values": {values}}}]}}]}}"#
    );
    let (source, target) = (dir.write("in.json", document.as_bytes()), dir.path("file"));
    let output = fastness(&[&"import", &"--json", &source, &target]);
    assert_eq!(output.code, 0, "{}", output.err);
    let output = fastness(&[&"export", &"--json", &"-", &target]);
    assert!(output.out.contains(values), "Y11: {}", output.out);
}
