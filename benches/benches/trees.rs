//! Named trees: point reads, writes into a transaction, and scans, all in memory.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fastness::{Range, Store, StoreOptions, Tree};
use std::hint::black_box;

const TREE: &str = "tree";
const VALUE: [u8; 100] = [7; 100];

/// Keys that do not arrive in order, all different.
fn key(number: u64) -> [u8; 8] {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()
}

fn filled(rows: u64) -> Store {
    let store = StoreOptions::new().in_memory().expect("memory has room");
    let mut txn = store.write().expect("no other writer");
    let mut tree = txn.tree(TREE).expect("a good name");
    for number in 0..rows {
        tree.insert(&key(number), &VALUE).expect("a good entry");
    }
    txn.commit().expect("memory has room");
    store
}

fn get(c: &mut Criterion) {
    let mut group = c.benchmark_group("tree/get");
    for rows in [1_000, 100_000] {
        let store = filled(rows);
        let snapshot = store.snapshot();
        let tree = snapshot.tree(TREE);
        let mut number = 0;
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::from_parameter(rows), |b| {
            b.iter(|| {
                number = (number + 7_919) % rows;
                black_box(tree.get(&key(number)).expect("the page is whole"))
            });
        });
    }
    group.finish();
}

fn insert(c: &mut Criterion) {
    let mut group = c.benchmark_group("tree/insert");
    for rows in [1_000, 100_000] {
        let store = filled(rows);
        group.throughput(Throughput::Elements(1_000));
        group.bench_function(BenchmarkId::from_parameter(rows), |b| {
            b.iter_batched(
                || store.write().expect("no other writer"),
                |mut txn| {
                    let mut tree = txn.tree(TREE).expect("a good name");
                    for number in rows..rows + 1_000 {
                        tree.insert(&key(number), &VALUE).expect("a good entry");
                    }
                    txn.abort();
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn walk<'a>(tree: &Tree<'a>) -> Range<'a> {
    tree.range(..).expect("the root is whole")
}

fn scan(c: &mut Criterion) {
    let mut group = c.benchmark_group("tree/scan");
    let rows = 100_000;
    let store = filled(rows);
    let snapshot = store.snapshot();
    let tree = snapshot.tree(TREE);
    group.throughput(Throughput::Elements(rows));
    group.bench_function("forward", |b| {
        b.iter(|| walk(&tree).filter(Result::is_ok).count());
    });
    group.bench_function("backward", |b| {
        b.iter(|| walk(&tree).rev().filter(Result::is_ok).count());
    });
    group.finish();
}

criterion_group!(trees, get, insert, scan);
criterion_main!(trees);
