//! One page: sealing, opening, decoding. The floor under every read and every commit.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use fastness::inspect::{TestSealer, decode_page};
use fastness::vfs::{Access, MemoryVfs, Vfs as _};
use fastness::{CommitId, Key, PAGE_BYTES, PageId, StoreOptions};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

const PLACE: (PageId, CommitId) = (PageId(77), CommitId(5));
const SALT: [u8; 16] = [9; 16];

fn seal_and_open(c: &mut Criterion) {
    let mut group = c.benchmark_group("page");
    group.throughput(Throughput::Bytes(PAGE_BYTES as u64));
    let key = Key::new([3; 64]);
    for (twin, key) in [("plain", None), ("encrypted", Some(&key))] {
        let sealer = TestSealer::new(key);
        let content = [0x5a; PAGE_BYTES];
        group.bench_function(format!("seal/{twin}"), |b| {
            let mut page = content;
            b.iter(|| black_box(sealer.seal(PLACE, SALT, &mut page)));
        });
        let mut sealed = content;
        let seal = sealer.seal(PLACE, SALT, &mut sealed);
        group.bench_function(format!("open/{twin}"), |b| {
            b.iter_batched_ref(
                || sealed,
                |page| assert!(sealer.open(PLACE, seal, page), "it was sealed so"),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// The pages of a plain file by kind, the fullest of each.
fn pages() -> Vec<(&'static str, Vec<u8>)> {
    let vfs = MemoryVfs::default();
    let path = Path::new("bench.fastness");
    let store =
        StoreOptions::new().vfs(Arc::new(vfs.clone())).create(path).expect("memory has room");
    let mut txn = store.write().expect("no other writer");
    let mut tree = txn.tree("tree").expect("a good name");
    for number in 0..20_000_u32 {
        tree.insert(&number.to_be_bytes(), &[7; 30]).expect("a good entry");
    }
    tree.insert(b"large", &[7; 20_000]).expect("a good entry");
    txn.commit().expect("memory has room");
    let file = vfs.open(path, Access::Read).expect("the file exists");
    let mut bytes = vec![0; usize::try_from(file.len().expect("memory")).expect("it fits")];
    file.read_at(&mut bytes, 0).expect("memory reads");
    let mut found: Vec<(&str, Vec<u8>)> = Vec::new();
    for page in bytes.chunks(PAGE_BYTES) {
        if let Ok(kind) = decode_page(page)
            && found.iter().all(|(held, _)| *held != kind)
        {
            found.push((kind, page.to_vec()));
        }
    }
    found
}

fn decode(c: &mut Criterion) {
    let mut group = c.benchmark_group("page/decode");
    group.throughput(Throughput::Bytes(PAGE_BYTES as u64));
    for (kind, page) in pages() {
        group.bench_function(kind, |b| b.iter(|| black_box(decode_page(&page).is_ok())));
    }
    group.finish();
}

criterion_group!(layer, seal_and_open, decode);
criterion_main!(layer);
