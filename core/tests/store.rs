//! The store as a program uses it, on real files. The promises are checked in `sim`.

#![expect(clippy::cast_possible_truncation, reason = "the numbers are small")]

use fastness::{FileErrorCause, FileErrorKind, Key, Store, StoreOptions};
use std::collections::BTreeMap;

fn options(encrypted: bool) -> StoreOptions {
    if encrypted { StoreOptions::new().key(Key::new([7; 64])) } else { StoreOptions::new() }
}

/// A small generator, so that the test needs no dependency.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn compare(store: &Store, model: &Model) {
    let snapshot = store.snapshot();
    let tree = snapshot.tree("t");
    assert_eq!(tree.len(), model.len() as u64);
    let found: Vec<_> = tree.range(..).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(found.len(), model.len());
    for ((key, value), (expect_key, expect_value)) in found.iter().zip(model) {
        assert_eq!(&**key, expect_key);
        assert_eq!(&**value, expect_value);
        assert_eq!(&*tree.get(key).unwrap().unwrap(), &**value);
    }
    let mut back: Vec<_> = tree.range(..).unwrap().rev().map(|entry| entry.unwrap()).collect();
    back.reverse();
    assert_eq!(back, found);
}

fn churn(encrypted: bool) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let mut store = options(encrypted).create(&path).unwrap();
    let mut model = Model::new();
    let mut dice = Dice(1);
    for round in 0..60 {
        let mut txn = store.write().unwrap();
        let mut draft = model.clone();
        let mut tree = txn.tree("t").unwrap();
        for _ in 0..dice.roll(300) {
            let key = format!("{:0width$}", dice.roll(3000), width = 1 + dice.roll(40) as usize);
            let key = key.into_bytes();
            if dice.roll(3) == 0 {
                assert_eq!(tree.remove(&key).unwrap(), draft.remove(&key).is_some());
            } else {
                let len = [3, 100, 1300, 5000][dice.roll(4) as usize];
                let value = vec![dice.roll(256) as u8; len];
                let there = draft.insert(key.clone(), value.clone()).is_some();
                assert_eq!(tree.insert(&key, &value).unwrap(), there);
            }
        }
        if dice.roll(4) == 0 {
            txn.abort();
        } else {
            txn.commit().unwrap();
            model = draft;
        }
        compare(&store, &model);
        if round % 7 == 0 {
            drop(store);
            store = options(encrypted).open(&path).unwrap();
            assert_eq!(store.recovery(), None);
            compare(&store, &model);
        }
        if round % 20 == 19 {
            store.compact().unwrap();
            compare(&store, &model);
        }
    }
    let copy = dir.path().join("copy");
    store.copy(&copy, Some(&Key::new([9; 64]))).unwrap();
    compare(&StoreOptions::new().key(Key::new([9; 64])).open(&copy).unwrap(), &model);
    let error = store.copy(&copy, None).unwrap_err();
    assert_eq!(error.file_kind(), Some(FileErrorKind::Exists));
}

#[test]
fn a_plain_store_agrees_with_a_map() {
    churn(false);
}

#[test]
fn an_encrypted_store_agrees_with_a_map() {
    churn(true);
}

#[test]
fn a_large_value_and_a_large_transaction_survive_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = options(true).create(&path).unwrap();
    let value: Vec<u8> = (0..16_usize << 20).map(|i| (i % 251) as u8).collect();
    let mut txn = store.write().unwrap();
    txn.tree("large").unwrap().insert(b"value", &value).unwrap();
    for i in 0..20_000_u32 {
        txn.tree("many").unwrap().insert(&i.to_be_bytes(), &[0; 40]).unwrap();
    }
    txn.commit().unwrap();
    drop(store);
    let store = options(true).open(&path).unwrap();
    let snapshot = store.snapshot();
    assert_eq!(&*snapshot.tree("large").get(b"value").unwrap().unwrap(), value);
    assert_eq!(snapshot.tree("many").range(..).unwrap().count(), 20_000);
    assert_eq!(snapshot.tree_names().collect::<Vec<_>>(), ["large", "many"]);
    let from = 100_u32.to_be_bytes();
    let to = 200_u32.to_be_bytes();
    assert_eq!(snapshot.tree("many").range(&from[..]..&to[..]).unwrap().count(), 100);
    assert_eq!(snapshot.tree("many").range(&to[..]..&from[..]).unwrap().count(), 0);
}

#[test]
fn opening_tells_what_is_the_matter() {
    let dir = tempfile::tempdir().unwrap();
    let cause = |options: &StoreOptions, name: &str| {
        let error = options.open(dir.path().join(name)).unwrap_err();
        let fastness::Error::File { cause, .. } = error else { panic!("{error}") };
        cause
    };
    drop(options(false).create(dir.path().join("plain")).unwrap());
    drop(options(true).create(dir.path().join("sealed")).unwrap());
    std::fs::write(dir.path().join("foreign"), vec![b'x'; 20_000]).unwrap();
    std::fs::write(dir.path().join("empty"), b"").unwrap();
    assert_eq!(cause(&options(false), "none"), FileErrorCause::NotFound);
    assert_eq!(cause(&options(false), "foreign"), FileErrorCause::NotFastness);
    let truncated = FileErrorCause::Truncated { expected_bytes: 12_288, found_bytes: 0 };
    assert_eq!(cause(&options(false), "empty"), truncated);
    assert_eq!(cause(&options(true), "plain"), FileErrorCause::KeyForPlainFile);
    assert_eq!(cause(&options(false), "sealed"), FileErrorCause::KeyMissing);
    let other = StoreOptions::new().key(Key::new([8; 64]));
    assert_eq!(cause(&other, "sealed"), FileErrorCause::WrongKey);
    let store = options(false).open(dir.path().join("plain")).unwrap();
    assert_eq!(cause(&options(false), "plain"), FileErrorCause::OpenHere);
    drop(store);
}
