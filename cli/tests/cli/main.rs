//! Tests of the built binary on real files: output, exit codes, and secrecy of keys.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod campaign;
mod export;
mod import;
#[cfg(feature = "serve")]
mod kill;
#[cfg(all(unix, feature = "serve"))]
mod kill_run;
mod nightly;
mod opening;
mod recover;
mod sample;
#[cfg(feature = "serve")]
mod serve;
#[cfg(feature = "serve")]
mod server;
mod shell;
mod texts;
mod tools;

use fastness::{Key, StoreOptions};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

/// A key with a recognisable byte.
const KEY: [u8; 64] = [0xd7; 64];
const OTHER_KEY: [u8; 64] = [0x5e; 64];

/// The result of a command.
struct CommandOutput {
    code: i32,
    out: String,
    err: String,
}

/// A temporary folder with files for commands.
struct TestFolder {
    folder: TempDir,
}

impl TestFolder {
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

    /// Creates a store with some hundred entries in two trees, cleanly closed.
    fn store(&self, name: &str, key: Option<[u8; 64]>) -> PathBuf {
        let path = self.path(name);
        let _fork_lock = fork_lock();
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

/// A starting process holds this process's file locks until exec. So a store must be closed before
/// any process starts that opens it.
fn fork_lock() -> MutexGuard<'static, ()> {
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
    command.env_remove("FASTNESS_KEY").env_remove("RUST_LOG");
    for arg in args {
        command.arg(arg);
    }
    command
}

fn start(command: &mut Command) -> Child {
    let _fork_lock = fork_lock();
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn output_of(child: Child) -> CommandOutput {
    let output = child.wait_with_output().unwrap();
    let decode = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let output = CommandOutput {
        code: output.status.code().unwrap(),
        out: decode(&output.stdout),
        err: decode(&output.stderr),
    };
    for text in [&output.out, &output.err] {
        for key in [KEY, OTHER_KEY] {
            assert!(!text.to_lowercase().contains(&hex(key)[..16]), "a key was shown: {text}");
            assert!(!text.contains("d7d7d7d7"), "a key was shown: {text}");
        }
    }
    output
}

fn fastness(args: &[&dyn AsRef<std::ffi::OsStr>]) -> CommandOutput {
    output_of(start(&mut command(args)))
}

fn json(output: &CommandOutput) -> serde_json::Value {
    serde_json::from_str(&output.out).unwrap_or_else(|error| panic!("{error}: {}", output.out))
}

fn bytes(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}
