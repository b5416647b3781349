//! Fuzzing of store files: any bytes as a file, and a mutator that works behind its seals.
//!
//! - P1 Opening, reading, verifying and writing any bytes ends without a panic, in bounded memory.
//! - D4 A file that verifies is intact: every read and write works, and it verifies again.
//!
//! Plain mutation rarely gets past a seal. The input therefore holds pages in the clear, and the
//! body seals them before it opens the file, so that decoders and tree walks see hostile content.
//! [`mutate_file`] respects page boundaries.

use super::sparse::{Image, file_key};
use fastness::vfs::{Access, MemoryVfs, Vfs as _};
use fastness::{PAGE_BYTES, Store, StoreOptions, StoreSnapshot};
use fastness_testkit::CountingRandom;
use std::path::Path;
use std::sync::Arc;

const PLACE: &str = "fuzzed.fastness";
/// A hostile tree may repeat a page, so reading is limited.
const READS_MAX: usize = 2_000;

/// Opens, reads, verifies and writes the bytes as a store file.
///
/// # Panics
/// If D4 is violated.
pub fn file(bytes: &[u8]) {
    let (bytes, encrypted) = file_bytes(bytes);
    let vfs = MemoryVfs::default();
    let held = vfs.open(Path::new(PLACE), Access::CreateNew).expect("the file system is empty");
    held.write_at(&bytes, 0).expect("memory takes every write");
    drop(held);
    let mut options = StoreOptions::new()
        .vfs(Arc::new(vfs))
        .random_source(Arc::new(CountingRandom::default()))
        .cache_bytes(1 << 20);
    if encrypted {
        options = options.key(file_key());
    }
    let clean_before = options.open_read_only(PLACE).is_ok_and(|store| examine(&store.snapshot()));
    let Ok(store) = options.open(PLACE) else {
        assert!(!clean_before, "D4: a file that verifies opens for writing");
        return;
    };
    let clean = examine(&store.snapshot());
    let written = write(&store);
    assert!(written || !clean, "D4: a file that verifies takes a commit");
    if written && clean {
        let snapshot = store.snapshot();
        let still = examine(&snapshot);
        assert!(still, "D4: a commit broke a file that verified: {:?}", snapshot.verify());
    }
    drop(store);
    if written && clean {
        let store = options.open(PLACE).expect("D4: a file that verifies opens again");
        assert!(store.recovery().is_none(), "D4: a file that was closed needs no recovery");
        assert!(examine(&store.snapshot()), "D4: a file that verified does so when opened again");
    }
}

/// Reads the contents; returns whether the file verifies.
fn examine(snapshot: &StoreSnapshot) -> bool {
    let clean = snapshot.verify().is_ok_and(|verification| verification.problems.is_empty());
    for name in snapshot.tree_names() {
        let tree = snapshot.tree(name);
        let (Ok(mut forward), Ok(backward)) = (tree.range(..), tree.range(..)) else {
            assert!(!clean, "D4: a tree can be walked");
            continue;
        };
        let forward = forward.by_ref().take(READS_MAX).try_fold(0, |count, entry| {
            let (key, value) = entry.ok()?;
            let found = tree.get(&key).ok()??;
            assert!(!clean || found == value, "D4: get and range agree");
            Some(count + 1)
        });
        let backward = backward.rev().take(READS_MAX).filter(Result::is_ok).count();
        assert!(!clean || forward == Some(backward), "D4: both ways of a range agree");
        let len = usize::try_from(tree.len()).unwrap_or(usize::MAX).min(READS_MAX);
        assert!(!clean || backward == len, "D4: a tree has as many entries as it says");
    }
    clean
}

/// Returns the store file of an input, and whether it is encrypted.
#[must_use]
pub fn file_bytes(input: &[u8]) -> (Vec<u8>, bool) {
    let image = Image::read(input);
    let encrypted = image.is_encrypted();
    (image.into_file(), encrypted)
}

/// Makes many kinds of changes; returns whether they were committed.
fn write(store: &Store) -> bool {
    let names: Vec<String> = store.snapshot().tree_names().take(4).map(str::to_owned).collect();
    let attempt = || -> fastness::Result<()> {
        let mut txn = store.write()?;
        txn.tree("fuzzed")?.insert(b"key", &[7; 100])?;
        for (index, name) in names.iter().enumerate() {
            let mut tree = txn.tree(name)?;
            tree.insert(b"inserted", &[index.to_le_bytes()[0]; 6_000])?;
            if let Some((key, _)) = tree.first()? {
                tree.remove(&key)?;
            }
            if index == 3 {
                tree.clear()?;
            }
        }
        txn.commit()?;
        let mut txn = store.write()?;
        txn.tree("fuzzed")?.clear()?;
        txn.commit().map(drop)
    };
    attempt().is_ok()
}

/// libFuzzer's mutator: mutates `size` bytes and returns the new size.
pub type Mutate = fn(&mut [u8], usize, usize) -> usize;

/// A seeded generator.
struct MutationRng(u32);

impl MutationRng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        usize::try_from(self.0 >> 8).unwrap_or_default() % bound.max(1)
    }
}

/// Mutates a store file behind its seals, by pages and parts of pages.
///
/// The first `size` bytes of `bytes` are the input, the rest is room to grow. Returns the new size.
pub fn mutate_file(bytes: &mut [u8], size: usize, seed: u32, mutate: Mutate) -> usize {
    let mut rng = MutationRng(seed);
    let mut image = Image::read(&bytes[..size]);
    if image.is_raw() || image.bytes.len() < 4 * PAGE_BYTES || rng.below(16) == 0 {
        return mutate(bytes, size, bytes.len());
    }
    for _ in 0..=rng.below(2) {
        mutate_page(&mut image.bytes, &mut rng, mutate);
    }
    let output = image.write();
    match bytes.get_mut(..output.len()) {
        Some(target) => target.copy_from_slice(&output),
        None => return mutate(bytes, size, bytes.len()),
    }
    output.len()
}

fn mutate_page(bytes: &mut [u8], rng: &mut MutationRng, mutate: Mutate) {
    // Page 0 holds the prelude, which has its own checksum; sealed content starts at page 1.
    let pages = bytes.len() / PAGE_BYTES;
    let page = |number: usize| (1 + number) * PAGE_BYTES;
    let at = page(rng.below(pages - 1));
    match rng.below(8) {
        0 => {
            let source = page(rng.below(pages - 1));
            bytes.copy_within(source..source + PAGE_BYTES, at);
        }
        1 => {
            // The head of a page or slot: kind, level, counts, lengths.
            let at = at + 16 + rng.below(48);
            bytes[at] = bytes[at].wrapping_add([1, 255, 128, 16][rng.below(4)]);
        }
        2 => {
            let (source, len) = (at + rng.below(PAGE_BYTES - 64), 1 + rng.below(64));
            let target = at + rng.below(PAGE_BYTES - 64);
            bytes.copy_within(source..source + len, target);
        }
        _ => {
            // In-place mutation, so that the rest of the page keeps its position.
            let (from, len) = match rng.below(3) {
                0 => (at, PAGE_BYTES),
                1 => (at + 16, 112),
                _ => (at + rng.below(PAGE_BYTES - 32), 32),
            };
            mutate(&mut bytes[from..from + len], len, len);
        }
    }
}

/// Returns the seed corpus: empty files, one leaf, branches and overflow pages, free pages, each
/// plain and encrypted.
///
/// # Panics
/// If the store fails in memory.
#[must_use]
pub fn file_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for encrypted in [false, true] {
        for (entries, bytes, rounds) in
            [(0, 0, 1), (3, 20, 1), (40, 150, 1), (2, 9_000, 1), (30, 60, 3)]
        {
            seeds.push(seed(encrypted, [entries, bytes, rounds], true));
        }
        seeds.push(seed(encrypted, [5, 300, 3], false));
    }
    seeds
}

fn seed(encrypted: bool, [entries, bytes, rounds]: [usize; 3], closed: bool) -> Vec<u8> {
    Image::of_file(&make(encrypted, [entries, bytes, rounds], closed), encrypted).write()
}

fn make(encrypted: bool, [entries, bytes, rounds]: [usize; 3], closed: bool) -> Vec<u8> {
    let vfs = MemoryVfs::default();
    let mut options = StoreOptions::new()
        .vfs(Arc::new(vfs.clone()))
        .random_source(Arc::new(CountingRandom::default()));
    if encrypted {
        options = options.key(file_key());
    }
    let store = options.create(PLACE).expect("memory has room");
    for round in 0..rounds {
        let mut txn = store.write().expect("there is one writer");
        for entry in 0..entries {
            let name = if entry % 3 == 2 { "b" } else { "a" };
            let key = format!("{:04}", entry * 7 + round);
            let mut tree = txn.tree(name).expect("a good name");
            tree.insert(key.as_bytes(), &vec![b'v'; bytes]).expect("a good entry");
            if let Some((key, _)) = tree.first().expect("memory reads")
                && entry % 4 == round
            {
                tree.remove(&key).expect("memory reads");
            }
        }
        txn.commit().expect("memory has room");
    }
    let copy = |vfs: &MemoryVfs| {
        let file = vfs.open(Path::new(PLACE), Access::Read).expect("the file exists");
        let mut bytes = vec![0; usize::try_from(file.len().expect("memory")).expect("it fits")];
        file.read_at(&mut bytes, 0).expect("memory reads");
        bytes
    };
    if closed {
        drop(store);
        copy(&vfs)
    } else {
        let bytes = copy(&vfs);
        drop(store);
        bytes
    }
}
