//! Reviewed output of the file tools, outcome by outcome. `DIR` stands for the folder.

use super::{KEY, OTHER_KEY, TestFolder, bytes, command, fastness, hex, options, output_of, start};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Commands and their output.
struct Script {
    dir: TestFolder,
    text: String,
}

impl Script {
    fn new() -> Self {
        let dir = TestFolder::new();
        dir.key_file();
        dir.write("other", &OTHER_KEY);
        Self { dir, text: String::new() }
    }

    /// Runs a command line in which `@` stands for the folder.
    fn run(&mut self, line: &str) {
        self.run_with(line, None);
    }

    fn run_with(&mut self, line: &str, key: Option<&str>) {
        let folder = self.dir.path("").display().to_string();
        let folder = folder.trim_end_matches('/');
        let words: Vec<String> = line.split(' ').map(|word| word.replace('@', folder)).collect();
        let words: Vec<&dyn AsRef<std::ffi::OsStr>> = words.iter().map(|word| word as _).collect();
        let mut command = command(&words);
        if let Some(key) = key {
            command.env("FASTNESS_KEY", key);
        }
        let output = output_of(start(&mut command));
        let variable = if key.is_some() { "FASTNESS_KEY=.. " } else { "" };
        let line = line.replace('@', "DIR");
        writeln!(self.text, "$ {variable}fastness {line}").unwrap();
        let output = format!("{}{}[{}]\n", output.out, output.err, output.code);
        writeln!(self.text, "{}", output.replace(folder, "DIR")).unwrap();
    }

    /// Changes a file.
    fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let path = self.dir.path(name);
        let mut content = bytes(&path);
        change(&mut content);
        std::fs::write(path, content).unwrap();
    }

    /// Returns the first leaf of a tree with this content.
    fn page(&self, file: &Path, contents: &str) -> usize {
        let dump = fastness(&[&"dump", &file]).out;
        let wanted = format!("({contents})");
        let line = dump.lines().find(|line| line.contains("leaf") && line.contains(&wanted));
        let number = line.unwrap().split([' ', ':']).nth(1).unwrap();
        number.parse().unwrap()
    }
}

#[test]
fn outputs_for_good_files() {
    let mut script = Script::new();
    script.dir.objects("plain", None, 0);
    script.dir.objects("recovered_realm-20171122-093015-aB3dE6gH", Some(KEY), 3);
    script.dir.store("trees", None);
    for line in [
        "info @/plain",
        "recover @/plain",
        "recover @/recovered_realm-20171122-093015-aB3dE6gH --key-file @/key",
        "recover @/trees",
        "export --json @/json @/plain",
    ] {
        script.run(line);
    }
    if cfg!(feature = "sqlite") {
        script.run("export --sqlite @/sqlite @/plain");
    }
    insta::assert_snapshot!("good_files", script.text);
}

#[test]
fn outputs_for_files_that_do_not_open() {
    let mut script = Script::new();
    let plain = script.dir.objects("plain", None, 0);
    script.dir.objects("encrypted", Some(KEY), 0);
    script.dir.write("text", &[b'x'; 9000]);
    script.dir.write("empty", b"");
    script.dir.write("short", &KEY[..63]);
    script.dir.write("sqlite", b"SQLite format 3\0");
    let mut realm = vec![0; 4096];
    realm[16..20].copy_from_slice(b"T-DB");
    script.dir.write("synced-realm-aB3dE6g", &realm);
    for name in ["cut", "headless"] {
        script.dir.write(name, &bytes(&plain));
    }
    script.damage("cut", |content| content.truncate(content.len() / 2));
    script.damage("headless", |content| {
        content[4096..4096 + 512].fill(0);
        content[8192..8192 + 512].fill(0);
    });
    script.dir.objects("open", None, 0);
    let held = options(None).open(script.dir.path("open")).unwrap();
    for tool in ["info", "recover", "export --json @/out"] {
        for file in ["absent", "text", "empty", "sqlite", "synced-realm-aB3dE6g"] {
            script.run(&format!("{tool} @/{file}"));
        }
        for file in ["cut", "headless", "open", "encrypted"] {
            script.run(&format!("{tool} @/{file}"));
        }
        script.run(&format!("{tool} @/encrypted --key-file @/other"));
        script.run(&format!("{tool} @/encrypted --key-file @/short"));
        script.run(&format!("{tool} @/encrypted --key-file @/absent"));
        script.run(&format!("{tool} @/plain --key-file @/key"));
        script.run_with(&format!("{tool} @/plain"), Some(&hex(KEY)));
        script.run_with(&format!("{tool} @/encrypted"), Some("0123"));
    }
    drop(held);
    insta::assert_snapshot!("closed_files", script.text);
}

#[test]
fn outputs_for_damaged_files_and_output_paths() {
    let mut script = Script::new();
    let plain = script.dir.objects("plain", None, 0);
    script.dir.store("trees", None);
    script.dir.write("there", b"precious");
    for (name, contents) in
        [("damaged", "objects of many"), ("unindexed", "index of Person.age"), ("lost", "classes")]
    {
        let copy: PathBuf = script.dir.write(name, &bytes(&plain));
        let page = script.page(&copy, contents);
        script.damage(name, |content| content[page * 4096 + 100] ^= 1);
        script.run(&format!("info @/{name}"));
        script.run(&format!("recover @/{name}"));
        script.run(&format!("export --json @/{name}.json @/{name}"));
        script.run(&format!("export --json @/{name}.json @/{name} --salvage"));
    }
    for line in [
        "export --json @/there @/plain",
        "export --json @/there @/plain --overwrite",
        "export --json @/plain @/plain --overwrite",
        "export --json @/no/such @/plain",
        "export --json @/out @/trees",
        "copy @/plain @/there",
        "dump @/plain --page 9999",
    ] {
        script.run(line);
    }
    insta::assert_snapshot!("damage_and_outputs", script.text);
}
