//! The shell: statements, their results, and the file afterwards.

use super::{KEY, TestFolder, bytes, command, fastness, fork_lock, output_of};
use std::io::Write as _;
use std::process::Stdio;

/// Runs lines from stdin; returns exit code, stdout and stderr.
fn run(args: &[&dyn AsRef<std::ffi::OsStr>], lines: &[&str]) -> (i32, String, String) {
    let mut child = {
        let _fork_lock = fork_lock();
        let mut command = command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = output_of(child);
    (output.code, output.out, output.err)
}

#[test]
fn statements_find_and_change_objects() {
    let dir = TestFolder::new();
    let key = dir.key_file();
    for (name, secret) in [("plain", None), ("encrypted", Some(KEY))] {
        let file = dir.objects(name, secret, 3);
        let mut args: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"shell", &file];
        if secret.is_some() {
            args.extend([&"--key-file" as &dyn AsRef<std::ffi::OsStr>, &key]);
        }
        let (code, out, err) = run(
            &args,
            &[
                "find Person where age >= 30 and friend.email contains '\"key\"'",
                "create Person email = 'cy''s', age = 7, friend = 'ann@example.org'",
                "find Person where friend.age = 34 or age in (1, 2)",
                "set Person 'cy''s' age = 8, friend = null",
                "find Person sort age desc, email limit 2",
                "count many where id > 10 and not text begins '11'",
                "explain Person where email = 'x'",
                "find All where time >= '2017-11-22T09:30:15Z' distinct int",
                "set All #1 bytes = '00ff', double = -1.5e3, slot = null",
                "find All where bytes = '00ff'",
                "delete Person 'cy''s'",
                "",
                "count Person",
            ],
        );
        assert_eq!((code, &*err), (0, ""), "{out}");
        for expected in [
            "'ann@example.org'  age: 34  friend: 'bo''s \"key\"'\n1 object\n",
            "created Person 'cy''s'\n",
            "'cy''s'  age: 7  friend: 'ann@example.org'\n1 object\n",
            "changed Person 'cy''s'\n'ann@example.org'  age: 34",
            "'cy''s'  age: 8  friend: null\n2 objects\n",
            "98 objects\n",
            "by the primary key `email`",
            "int: -9223372036854775808  ints: [1, null, 9223372036854775807]",
            "float: 0  floats: []  int: null",
            "bytes: '00ff'",
            "double: -1500",
            "deleted Person 'cy''s'\n2 objects\n",
        ] {
            assert!(out.contains(expected), "{expected}: {out}");
        }
        let all = out.lines().find(|line| line.starts_with("#2 ")).unwrap();
        assert!(all.contains("text: 'é \"\\n\\0'"), "one line for each object: {all}");
    }
}

#[test]
fn a_transaction_is_whole_or_not_at_all() {
    let dir = TestFolder::new();
    let file = dir.objects("file", None, 3);
    let count = || run(&[&"shell", &file], &["count Person"]).1;
    let create = "create Person email = 'x'";
    let (code, out, err) =
        run(&[&"shell", &file], &["begin", create, "count Person", "rollback", "count Person"]);
    assert_eq!((code, &*err), (0, ""), "{out}");
    assert!(out.contains("3 objects") && out.ends_with("2 objects\n"), "{out}");
    let (code, _, err) = run(&[&"shell", &file], &["begin", create]);
    assert!(code == 1 && err.contains("rolled back: commit is missing"), "{err}");
    assert_eq!(count(), "2 objects\n", "Y12");
    let (code, _, err) = run(&[&"shell", &file], &["begin", create, create, "commit"]);
    assert!(code == 1 && err.contains("line 3") && err.contains("already"), "{err}");
    assert_eq!(count(), "2 objects\n", "Y12");
    let (code, out, _) = run(&[&"shell", &file], &["begin", create, "commit", "quit", "nonsense"]);
    assert!(code == 0 && out.contains("commit "), "{out}");
    assert_eq!(count(), "3 objects\n");
}

#[test]
fn a_wrong_statement_says_what_is_right() {
    let dir = TestFolder::new();
    let file = dir.objects("file", None, 3);
    let before = bytes(&file);
    for (line, message) in [
        ("nonsense", "no statement; type help"),
        ("find Cat", "there are: All, Person, Slot, many"),
        ("find Person where agee = 1", "only: age, email, friend"),
        ("find Person where age = x", "texts are in quotes: 'x'"),
        ("find Person where age = 'x'", "age: 'x' is no value of type int"),
        ("find Person where age.x = 1", "age is no link"),
        ("find Person where age ~ 1", "'~' has no meaning"),
        ("find Person where age like 1", "no operator"),
        ("find Person where (age = 1", ") is missing at the end"),
        ("find Person where email begins 1", "followed by a text in quotes"),
        ("find Person limit x", "limit is followed by a number"),
        ("find Person limit 1 1", "too much here"),
        ("find Person where email = 'x", "a text is not closed"),
        ("find All where time = 5", "'2017-11-22T09:30:15Z'"),
        ("set All 1 int = 2", "have numbers, as #1"),
        ("set Person 'nobody' age = 2", "Person"),
        ("commit", "no transaction is open"),
    ] {
        let (code, out, err) = run(&[&"shell", &file], &[line]);
        assert!((code, &*out) == (1, "") && err.contains(message), "{line}: {err}{out}");
    }
    let deep = format!("find Person where {}age = 1", "(".repeat(100_000));
    let (code, _, err) = run(&[&"shell", &file], &[&deep]);
    assert!(code == 1 && err.contains("more than 100 brackets"), "{err}");
    let output = fastness(&[&"shell", &file, &"--read-only", &"-c", &"delete Person 'x'"]);
    assert!(output.code == 1 && output.err.contains("read-only"), "{}", output.err);
    assert_eq!(bytes(&file), before, "Y12");
}

#[test]
fn a_synced_file_is_only_read() {
    let dir = TestFolder::new();
    let file = dir.objects("file", None, 3);
    {
        let _fork_lock = fork_lock();
        let store = fastness::StoreOptions::new().open(&file).unwrap();
        let mut txn = store.write().unwrap();
        txn.tree("sync/meta").unwrap().insert(b"client", b"7").unwrap();
        txn.commit().unwrap();
    }
    let (code, out, err) = run(&[&"shell", &file], &["count Person", "create Person email = 'x'"]);
    assert!(code == 1 && out == "2 objects\n", "{out}");
    assert!(err.contains("the file is synced: only its app may write"), "Y12: {err}");
}
