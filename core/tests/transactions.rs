//! Transactions as programs use them: turns, failures, bounds.

#![expect(clippy::disallowed_methods, reason = "a test has threads of its own")]

use fastness::vfs::{Access, MemoryVfs, Vfs as _};
use fastness::{
    ArgumentError, Error, FileErrorKind, Key, Remedy, Store, StoreOptions, StoreSnapshot,
};
use fastness_testkit::SwitchedRandom;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

fn filled(vfs: &MemoryVfs, path: &str) -> Store {
    let options = StoreOptions::new().vfs(Arc::new(vfs.clone())).cache_bytes(0);
    let store = options.create(path).unwrap();
    let mut txn = store.write().unwrap();
    for key in 0..2000_u32 {
        txn.tree("t").unwrap().insert(&key.to_be_bytes(), &[7; 50]).unwrap();
    }
    txn.commit().unwrap();
    store
}

#[test]
fn writers_on_four_threads_share_syncs_and_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions::new().key(Key::new([7; 64]));
    let store = options.create(dir.path().join("store")).unwrap();
    let writer = |thread: u8| {
        let store = store.clone();
        move || {
            for number in 0..50_u8 {
                let mut txn = store.write().unwrap();
                txn.tree("t").unwrap().insert(&[thread, number], &[number; 60]).unwrap();
                let commit = txn.commit().unwrap();
                // Every later snapshot sees an acknowledged commit.
                let snapshot = store.snapshot();
                assert!(snapshot.commit() >= commit);
                assert!(snapshot.tree("t").get(&[thread, number]).unwrap().is_some());
            }
        }
    };
    let threads: Vec<_> = (0..4).map(|thread| std::thread::spawn(writer(thread))).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let last = store.snapshot().commit();
    drop(store);
    let store = options.open(dir.path().join("store")).unwrap();
    assert_eq!((store.snapshot().commit(), store.recovery()), (last, None));
    assert_eq!(store.snapshot().tree("t").len(), 200);
    assert_eq!(store.snapshot().verify().unwrap().problems, []);
}

#[test]
fn a_second_writer_waits_for_the_first() {
    let store = StoreOptions::new().in_memory().unwrap();
    let first = store.write().unwrap();
    let (begun, has_begun) = mpsc::channel();
    let second = std::thread::spawn({
        let store = store.clone();
        move || {
            begun.send(()).unwrap();
            let mut txn = store.write().unwrap();
            let there = txn.tree("t").unwrap().get(b"first").unwrap().is_some();
            txn.abort();
            there
        }
    });
    has_begun.recv().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(20));
    let mut first = first;
    first.tree("t").unwrap().insert(b"first", b"").unwrap();
    first.commit().unwrap();
    assert!(second.join().unwrap(), "the second writer sees what the first one left");
}

#[test]
fn a_panic_in_a_transaction_undoes_it_and_passes_the_turn_on() {
    let store = StoreOptions::new().in_memory().unwrap();
    let panicking = store.clone();
    let outcome = std::thread::spawn(move || {
        let mut txn = panicking.write().unwrap();
        txn.tree("t").unwrap().insert(b"lost", b"").unwrap();
        panic!("on purpose");
    });
    assert!(outcome.join().is_err());
    let mut txn = store.write().unwrap();
    assert!(txn.tree("t").unwrap().is_empty());
    txn.tree("t").unwrap().insert(b"kept", b"").unwrap();
    txn.commit().unwrap();
    assert_eq!(store.snapshot().tree("t").len(), 1);
}

#[test]
fn a_failed_operation_fails_its_transaction_and_not_the_store() {
    let vfs = MemoryVfs::default();
    let store = filled(&vfs, "store");
    let snapshot = store.snapshot();
    let file = vfs.open(Path::new("store"), Access::ReadWrite).unwrap();
    let leaf = 3 * 4096;
    let mut before = [0; 4096];
    file.read_at(&mut before, leaf).unwrap();
    file.write_at(&[1; 4096], leaf).unwrap();

    drop(snapshot);
    let options = StoreOptions::new().vfs(Arc::new(vfs.clone())).cache_bytes(0);
    drop(store);
    let store = options.open("store").unwrap();
    let mut txn = store.write().unwrap();
    let error = txn.tree("t").unwrap().clear().unwrap_err();
    assert_eq!(error.file_kind(), Some(FileErrorKind::AccessError));
    assert_eq!(error.remedy(), Remedy::Restore);
    assert_eq!(txn.tree("t").unwrap().insert(b"k", b""), Err(Error::TransactionFailed));
    assert_eq!(txn.commit(), Err(Error::TransactionFailed));

    file.write_at(&before, leaf).unwrap();
    let mut txn = store.write().unwrap();
    txn.tree("t").unwrap().clear().unwrap();
    txn.commit().unwrap();
    assert_eq!(store.snapshot().tree_names().count(), 0);
    assert_eq!(store.snapshot().verify().unwrap().problems, []);
}

#[test]
fn a_store_opened_to_read_refuses_to_write_and_shares_the_file_with_readers_only() {
    let vfs = MemoryVfs::default();
    drop(filled(&vfs, "store"));
    let options = StoreOptions::new().vfs(Arc::new(vfs));
    let one = options.open_read_only("store").unwrap();
    let two = options.open_read_only("store").unwrap();
    assert_eq!(one.snapshot().tree("t").len(), two.snapshot().tree("t").len());
    let refused = Error::ReadOnly { path: "store".into() };
    assert_eq!(one.write().err(), Some(refused.clone()));
    assert_eq!(one.compact().err(), Some(refused.clone()));
    assert_eq!(refused.remedy(), Remedy::FixProgram);
    let error = options.open("store").unwrap_err();
    assert_eq!(error.file_kind(), Some(FileErrorKind::IncompatibleLockFile));
    drop((one, two));
    options.open("store").unwrap();
}

#[test]
fn without_random_bytes_a_commit_fails_and_the_store_goes_on() {
    let random = Arc::new(SwitchedRandom::default());
    let options =
        StoreOptions::new().key(Key::new([7; 64])).random_source(Arc::clone(&random) as Arc<_>);
    let store = options.in_memory().unwrap();
    let commit = |value: &[u8]| {
        let mut txn = store.write().unwrap();
        txn.tree("t").unwrap().insert(b"k", value).unwrap();
        txn.commit()
    };
    commit(b"one").unwrap();
    random.switch_off(true);
    assert_eq!(commit(b"two"), Err(Error::RandomSource));
    assert_eq!(store.snapshot().tree("t").get(b"k").unwrap().unwrap(), b"one");
    assert_eq!(options.in_memory().err(), Some(Error::RandomSource));
    random.switch_off(false);
    commit(b"three").unwrap();
    assert_eq!(store.snapshot().tree("t").get(b"k").unwrap().unwrap(), b"three");
    assert_eq!(store.snapshot().verify().unwrap().problems, []);
}

#[test]
fn a_tree_in_a_transaction_shows_its_changes() {
    let store = StoreOptions::new().in_memory().unwrap();
    let mut txn = store.write().unwrap();
    let mut tree = txn.tree("t").unwrap();
    assert!(tree.is_empty() && tree.first().unwrap().is_none() && tree.last().unwrap().is_none());
    for key in [b"b", b"a", b"c"] {
        assert!(!tree.insert(key, key).unwrap());
    }
    assert_eq!(tree.len(), 3);
    assert_eq!(tree.first().unwrap().unwrap().0, b"a");
    assert_eq!(tree.last().unwrap().unwrap().0, b"c");
    assert_eq!(tree.range(&b"b"[..]..).unwrap().count(), 2);
    let refused = Err(ArgumentError::TreeName { bytes: 0 }.into());
    assert_eq!(txn.tree("").map(drop), refused);
    let long = "n".repeat(256);
    let refused = Err(ArgumentError::TreeName { bytes: 256 }.into());
    assert_eq!(txn.tree(&long).map(drop), refused);
    txn.commit().unwrap();
    let unchanged = store.write().unwrap().commit().unwrap();
    assert_eq!(unchanged, store.snapshot().commit());
    let tree = store.snapshot();
    assert_eq!(tree.tree("t").first().unwrap().unwrap().1, b"a");
    assert_eq!(tree.tree("t").last().unwrap().unwrap().1, b"c");
    assert!(tree.tree("other").is_empty());
}

#[test]
fn many_trees_take_their_catalog_out_of_the_slot_and_back() {
    let vfs = MemoryVfs::default();
    let options = StoreOptions::new().vfs(Arc::new(vfs));
    let store = options.create("store").unwrap();
    let names: Vec<_> = (0..300).map(|i| format!("tree number {i:03}")).collect();
    for round in 0..3_u8 {
        let mut txn = store.write().unwrap();
        for name in &names {
            txn.tree(name).unwrap().insert(&[round], b"v").unwrap();
        }
        txn.commit().unwrap();
    }
    drop(store);
    let store = options.open("store").unwrap();
    let snapshot = store.snapshot();
    assert!(snapshot.tree_names().eq(names.iter().map(String::as_str)));
    assert_eq!(snapshot.verify().unwrap().problems, []);
    let mut txn = store.write().unwrap();
    for name in &names[1..] {
        txn.tree(name).unwrap().clear().unwrap();
    }
    txn.commit().unwrap();
    drop(snapshot);
    drop(store);
    let store = options.open("store").unwrap();
    assert_eq!(store.snapshot().tree_names().collect::<Vec<_>>(), [&names[0]]);
    assert_eq!(store.snapshot().verify().unwrap().problems, []);
}

/// N1, C6: commits change nodes in place that no snapshot holds.
#[test]
fn snapshots_stay_unchanged_during_commits_without_durability() {
    const COMMITS: u32 = 20_000;
    let store = StoreOptions::new().in_memory().unwrap();
    let put = |number: u32| {
        let mut txn = store.write().unwrap();
        for tree in ["one", "two"] {
            let mut tree = txn.tree(tree).unwrap();
            tree.insert(b"number", &number.to_be_bytes()).unwrap();
            tree.insert(&(number % 500).to_be_bytes(), &[7; 50]).unwrap();
        }
        txn.commit_with(fastness::Durability::None).unwrap();
    };
    put(0);
    let ended = AtomicBool::new(false);
    let numbers = |snapshot: &StoreSnapshot| {
        ["one", "two"].map(|tree| snapshot.tree(tree).get(b"number").unwrap().unwrap().to_vec())
    };
    std::thread::scope(|scope| {
        for kept in [1, 8] {
            let (store, ended) = (&store, &ended);
            scope.spawn(move || {
                let mut held = std::collections::VecDeque::new();
                while !ended.load(Ordering::Relaxed) {
                    let snapshot = store.snapshot();
                    let [one, two] = numbers(&snapshot);
                    assert_eq!(one, two, "half of a commit");
                    held.push_back((snapshot, one));
                    if held.len() > kept {
                        let (snapshot, number) = held.pop_front().unwrap();
                        assert_eq!(numbers(&snapshot), [number.clone(), number]);
                    }
                }
            });
        }
        (1..COMMITS).for_each(put);
        ended.store(true, Ordering::Relaxed);
    });
    let snapshot = store.snapshot();
    assert_eq!(numbers(&snapshot), [(COMMITS - 1).to_be_bytes(); 2].map(Vec::from));
    assert_eq!(snapshot.verify().unwrap().problems, []);
}

#[test]
fn a_put_that_cannot_be_made_where_it_is_is_made_all_the_same() {
    let vfs = MemoryVfs::default();
    let options = StoreOptions::new().vfs(Arc::new(vfs)).key(Key::new([7; 64]));
    let store = options.create("store").unwrap();
    let put = |store: &Store, long: &[u8]| {
        let mut txn = store.write().unwrap();
        txn.tree("a").unwrap().insert(b"short", &long[..1]).unwrap();
        let mut tree = txn.tree("b").unwrap();
        assert_eq!(tree.get(b"long").unwrap().is_some(), tree.insert(b"long", long).unwrap());
        assert_eq!(tree.get(b"long").unwrap().as_deref(), Some(long));
        assert_eq!(tree.range(..).unwrap().count(), 1);
        txn.commit_with(fastness::Durability::None).unwrap();
        let snapshot = store.snapshot();
        assert_eq!(snapshot.tree("a").get(b"short").unwrap().as_deref(), Some(&long[..1]));
        assert_eq!(snapshot.tree("b").get(b"long").unwrap().as_deref(), Some(long));
        assert_eq!(snapshot.verify().unwrap().problems, []);
    };
    put(&store, &[1; 9000]);
    put(&store, &[2; 9000]);
    drop(store);
    // The value is in pages of its own now, which replacing it has to read.
    let store = options.open("store").unwrap();
    put(&store, &[3; 9000]);
    put(&store, &[4; 9000]);
    drop(store);
    let store = options.open("store").unwrap();
    assert_eq!(store.snapshot().tree("b").get(b"long").unwrap().as_deref(), Some(&[4; 9000][..]));
    assert_eq!(store.snapshot().verify().unwrap().problems, []);
}
