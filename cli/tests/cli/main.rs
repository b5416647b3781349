//! The built binary, run on real files: what it answers, how it ends, and what it never says.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod campaign;
mod export;
mod kill;
mod opening;
mod recover;
mod sample;
mod serve;
mod texts;
mod tools;

use fastness::{Key, StoreOptions};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

/// A key no other bytes of a test look like.
const KEY: [u8; 64] = [0xd7; 64];
const OTHER_KEY: [u8; 64] = [0x5e; 64];

/// How a command ended.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

/// A folder with files to run commands on.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Makes a store with some hundred entries in two trees, closed cleanly.
    fn store(&self, name: &str, key: Option<[u8; 64]>) -> PathBuf {
        let path = self.path(name);
        let _alone = alone();
        let store = options(key).create(&path).unwrap();
        for round in 0..4_u32 {
            let mut txn = store.write().unwrap();
            let mut tree = txn.tree("entries").unwrap();
            for number in 0..200_u32 {
                tree.insert(&number.to_be_bytes(), &[7; 100]).unwrap();
            }
            txn.tree("rounds").unwrap().insert(&round.to_be_bytes(), b"done").unwrap();
            txn.commit().unwrap();
        }
        path
    }

    fn key_file(&self) -> PathBuf {
        self.write("key", &KEY)
    }
}

/// A process that is being started holds, until its program is loaded, every lock this one holds on
/// a file. So a store that a command is to open next is closed before any process is started.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn options(key: Option<[u8; 64]>) -> StoreOptions {
    match key {
        Some(key) => StoreOptions::new().key(Key::new(key)),
        None => StoreOptions::new(),
    }
}

fn hex(key: [u8; 64]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn command(args: &[&dyn AsRef<std::ffi::OsStr>]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fastness"));
    command.env_remove("FASTNESS_KEY");
    for arg in args {
        command.arg(arg);
    }
    command
}

fn start(command: &mut Command) -> Child {
    let _alone = alone();
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn ran(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let ran = Ran {
        code: output.status.code().unwrap(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    };
    for said in [&ran.out, &ran.err] {
        for key in [KEY, OTHER_KEY] {
            assert!(!said.to_lowercase().contains(&hex(key)[..16]), "a key was shown: {said}");
            assert!(!said.contains("d7d7d7d7"), "a key was shown: {said}");
        }
    }
    ran
}

fn fastness(args: &[&dyn AsRef<std::ffi::OsStr>]) -> Ran {
    ran(start(&mut command(args)))
}

fn json(ran: &Ran) -> serde_json::Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.out))
}

fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}
