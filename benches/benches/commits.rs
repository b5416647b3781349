//! Commits and opening: in memory, which is our own cost, and on a temporary file, which is mostly
//! the disk's. `sync floor` writes and syncs as many bytes without us, to compare with.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fastness::{Key, Store, StoreOptions};
use std::fs::File;
use std::os::unix::fs::FileExt as _;

const VALUE: [u8; 100] = [7; 100];

fn key(number: u64) -> [u8; 8] {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()
}

fn options(encrypted: bool) -> StoreOptions {
    if encrypted { StoreOptions::new().key(Key::new([3; 64])) } else { StoreOptions::new() }
}

fn write(store: &Store, first: u64, rows: u64) {
    let mut txn = store.write().expect("no other writer");
    let mut tree = txn.tree("tree").expect("a good name");
    for number in first..first + rows {
        tree.insert(&key(number % 100_000), &VALUE).expect("a good entry");
    }
    txn.commit().expect("the disk takes it");
}

fn bench_commits(c: &mut Criterion, name: &str, make: impl Fn(bool) -> Store) {
    let mut group = c.benchmark_group(name);
    for (twin, encrypted) in [("plain", false), ("encrypted", true)] {
        let store = make(encrypted);
        write(&store, 0, 10_000);
        for rows in [1, 100] {
            let mut first = 0;
            group.throughput(Throughput::Elements(rows));
            group.bench_function(BenchmarkId::new(twin, rows), |b| {
                b.iter(|| {
                    first += 7_919;
                    write(&store, first, rows);
                });
            });
        }
    }
    group.finish();
}

fn in_memory(c: &mut Criterion) {
    bench_commits(c, "commit/memory", |encrypted| {
        options(encrypted).in_memory().expect("memory has room")
    });
}

/// Commits without durability, with no reader and with a snapshot held for each.
fn unsynced(c: &mut Criterion) {
    let mut group = c.benchmark_group("commit/unsynced");
    for held in [false, true] {
        let store = options(true).in_memory().expect("memory has room");
        write(&store, 0, 10_000);
        let (mut number, mut snapshot) = (0, None);
        group.bench_function(if held { "held" } else { "alone" }, |b| {
            b.iter(|| {
                number += 7_919;
                let mut txn = store.write().expect("no other writer");
                let mut tree = txn.tree("tree").expect("a good name");
                tree.insert(&key(number % 100_000), &VALUE).expect("a good entry");
                txn.commit_with(fastness::Durability::None).expect("the disk takes it");
                snapshot = held.then(|| store.snapshot());
            });
        });
    }
    group.finish();
}

fn on_file(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    bench_commits(c, "commit/file", |encrypted| {
        let name = if encrypted { "encrypted.fastness" } else { "plain.fastness" };
        options(encrypted).create(dir.path().join(name)).expect("a new file")
    });
    let floor = File::create(dir.path().join("floor")).expect("a new file");
    let mut at = 0;
    c.bench_function("commit/file/sync floor, 16 KiB", |b| {
        b.iter(|| {
            floor.write_all_at(&[5; 16 << 10], at).expect("the disk takes it");
            floor.sync_data().expect("the disk takes it");
            at = (at + (16 << 10)) % (64 << 20);
        });
    });
}

fn open(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut group = c.benchmark_group("open");
    for (twin, encrypted) in [("plain", false), ("encrypted", true)] {
        for rows in [1_000, 100_000] {
            let path = dir.path().join(format!("{twin}-{rows}.fastness"));
            write(&options(encrypted).create(&path).expect("a new file"), 0, rows);
            let options = options(encrypted);
            group.bench_function(BenchmarkId::new(twin, rows), |b| {
                b.iter(|| options.open_read_only(&path).expect("a closed file"));
            });
        }
    }
    group.finish();
}

criterion_group!(commits, in_memory, unsynced, on_file, open);
criterion_main!(commits);
