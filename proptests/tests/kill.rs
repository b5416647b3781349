//! Kill test: a child process commits and acknowledges, and is killed with SIGKILL at a random
//! moment.
//!
//! The child is this test binary, running only [`writer`]. It commits numbered transactions, whose
//! content is a function of the number, and acknowledges each on stdout. The parent kills it,
//! drains the pipe, opens the file and compares it with the model.
//!
//! - C2 Every acknowledged transaction survives, and at most the one in flight, complete.
//! - C8 The file verifies, and the next writer continues.
//!
//! The test covers process crashes, with the real file system, locks and signals. The simulated
//! disk covers machine crashes: see `sim::check::crash`.

use fastness::{Key, Store, StoreOptions, StoreSnapshot};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{RwLock, RwLockReadGuard};
use std::time::Duration;

/// The file of the child; without it [`writer`] does nothing.
const PATH_VARIABLE: &str = "FASTNESS_KILL_PATH";
const KEY_VARIABLE: &str = "FASTNESS_KILL_ENCRYPTED";
/// Number of kills per twin; can be overridden.
const KILLS_VARIABLE: &str = "FASTNESS_KILLS";
const KILLS: u64 = 100;
/// A writer without output for this long hangs.
const TIMEOUT: Duration = Duration::from_secs(30);
const COUNTER: &[u8] = b"counter";

/// Write-locked while a child starts, read-locked while a store is open. Between fork and exec a
/// child holds the parent's file locks, which would make other files appear in use.
static STARTING: RwLock<()> = RwLock::new(());

/// Prevents children from starting; hold it, once per thread, while files are locked.
pub(crate) fn no_child_starts() -> RwLockReadGuard<'static, ()> {
    STARTING.read().unwrap()
}

type Entries = BTreeMap<(String, Vec<u8>), Vec<u8>>;

/// The contents of the file after transaction `number`.
#[derive(Clone, Default)]
struct FileModel {
    number: u64,
    entries: Entries,
}

enum Change {
    Insert(&'static str, Vec<u8>, Vec<u8>),
    Remove(&'static str, Vec<u8>),
}

/// A splitmix64 generator.
struct PlanRng(u64);

impl PlanRng {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// Returns the changes of transaction `number`, a pure function.
fn changes(number: u64) -> Vec<Change> {
    let mut rng = PlanRng(number);
    let mut changes = Vec::new();
    for _ in 0..1 + rng.below(12) {
        let tree = if rng.below(4) == 0 { "rare" } else { "often" };
        let key = format!("key {:03}", rng.below(200)).into_bytes();
        // Some values fill overflow pages.
        let bytes_max = match rng.below(40) {
            0 => 200_000,
            1..5 => 9_000,
            _ => 120,
        };
        let len = usize::try_from(rng.below(bytes_max)).unwrap();
        if rng.below(5) == 0 {
            changes.push(Change::Remove(tree, key));
        } else {
            let value = number.to_le_bytes().into_iter().cycle().take(len).collect();
            changes.push(Change::Insert(tree, key, value));
        }
    }
    changes.push(Change::Insert("often", COUNTER.to_vec(), number.to_le_bytes().to_vec()));
    changes
}

impl FileModel {
    fn next(&mut self) {
        self.number += 1;
        for change in changes(self.number) {
            match change {
                Change::Insert(tree, key, value) => {
                    self.entries.insert((tree.to_owned(), key), value);
                }
                Change::Remove(tree, key) => {
                    self.entries.remove(&(tree.to_owned(), key));
                }
            }
        }
    }
}

fn options(encrypted: bool) -> StoreOptions {
    let options = StoreOptions::new();
    if encrypted { options.key(Key::new([0x5a; 64])) } else { options }
}

fn counter(snapshot: &StoreSnapshot) -> u64 {
    match snapshot.tree("often").get(COUNTER).unwrap() {
        Some(bytes) => u64::from_le_bytes(bytes[..].try_into().unwrap()),
        None => 0,
    }
}

fn commit(store: &Store, number: u64) {
    let mut txn = store.write().unwrap();
    for change in changes(number) {
        match change {
            Change::Insert(tree, key, value) => {
                txn.tree(tree).unwrap().insert(&key, &value).unwrap();
            }
            Change::Remove(tree, key) => {
                txn.tree(tree).unwrap().remove(&key).unwrap();
            }
        }
    }
    txn.commit().unwrap();
}

/// The child: writes until it is killed. Passes immediately in a normal run.
#[test]
fn writer() {
    let Ok(path) = std::env::var(PATH_VARIABLE) else { return };
    let store =
        options(std::env::var(KEY_VARIABLE).is_ok()).open_or_create(PathBuf::from(path)).unwrap();
    let mut number = counter(&store.snapshot());
    loop {
        number += 1;
        commit(&store, number);
        writeln!(std::io::stdout(), "committed {number}").unwrap();
        // Compaction can be interrupted in many places.
        if number.is_multiple_of(64) {
            store.compact().unwrap();
        }
    }
}

struct Writer {
    child: Child,
    acknowledged: Receiver<u64>,
}

impl Writer {
    fn start(path: &Path, encrypted: bool) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["kill::writer", "--exact", "--nocapture"]).env(PATH_VARIABLE, path);
        if encrypted {
            command.env(KEY_VARIABLE, "yes");
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let starting = STARTING.write().unwrap();
        let mut child = command.spawn().unwrap();
        drop(starting);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, acknowledged) = channel();
        // Ends with the pipe, when the child is dead.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(number) = line.strip_prefix("committed ") {
                    sender.send(number.parse().unwrap()).ok();
                }
            }
        });
        Self { child, acknowledged }
    }

    /// Kills the writer at a random moment; returns the last acknowledged number.
    fn kill(mut self, rng: &mut PlanRng) -> Option<u64> {
        let mut last = None;
        // An early kill interrupts the opening; a later one a commit.
        let commits = if rng.below(4) == 0 { 0 } else { 1 + rng.below(50) };
        for _ in 0..commits {
            let number = self.acknowledged.recv_timeout(TIMEOUT);
            last = Some(number.expect("the writer died or hangs"));
        }
        let longest_us = if commits == 0 { 20_000 } else { 3_000 };
        std::thread::sleep(Duration::from_micros(rng.below(longest_us)));
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), None, "the writer ended by itself: {status}");
        // The pipe still holds the acknowledgements before the kill.
        last = self.acknowledged.iter().last().or(last);
        last
    }
}

fn read(snapshot: &StoreSnapshot) -> Entries {
    let mut entries = Entries::new();
    for name in snapshot.tree_names() {
        for entry in snapshot.tree(name).range(..).unwrap() {
            let (key, value) = entry.unwrap();
            entries.insert((name.to_owned(), key.to_vec()), value.to_vec());
        }
    }
    entries
}

/// Opens the file of a killed writer, and advances the model to its state.
fn examine(path: &Path, encrypted: bool, acknowledged: u64, model: &mut FileModel) {
    let _alone = no_child_starts();
    let store = options(encrypted).open_or_create(path).unwrap();
    let snapshot = store.snapshot();
    let found = counter(&snapshot);
    assert!(found >= acknowledged, "C2: {acknowledged} acknowledged, {found} found");
    assert!(found <= acknowledged + 1, "C2: only {acknowledged} was begun before, not {found}");
    while model.number < found {
        model.next();
    }
    let entries = read(&snapshot);
    assert!(entries == model.entries, "C2: the file does not hold transaction {found}");
    let verification = snapshot.verify().unwrap();
    assert!(verification.problems.is_empty(), "C8: {:?}", verification.problems);
}

#[expect(clippy::print_stdout, reason = "statistics are shown on request")]
fn kill_again_and_again(encrypted: bool) {
    let kills = std::env::var(KILLS_VARIABLE).map_or(KILLS, |kills| kills.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("killed.fastness");
    let mut model = FileModel::default();
    let mut rng = PlanRng(if encrypted { 2 } else { 1 });
    let mut in_flight = 0;
    for _ in 0..kills {
        let before = model.number;
        let acknowledged = Writer::start(&path, encrypted).kill(&mut rng).unwrap_or(before);
        examine(&path, encrypted, acknowledged, &mut model);
        in_flight += model.number - acknowledged;
    }
    assert!(model.number > kills, "the writers hardly wrote: {} transactions", model.number);
    println!("{kills} kills, {} transactions, {in_flight} of them in flight", model.number);
}

#[test]
fn nothing_acknowledged_is_missing_after_a_kill() {
    kill_again_and_again(false);
}

#[test]
fn nothing_acknowledged_is_missing_after_a_kill_of_an_encrypted_writer() {
    kill_again_and_again(true);
}
