//! Fuzzing of store files: any bytes as a file, and a mutator that works behind its seals.
//!
//! - P1 Opening, reading, verifying and writing any bytes ends without a panic, in bounded memory.
//! - T6 It takes time linear in the length of the file.
//! - D4 A file that verifies is intact: every read and write works, and it verifies again.
//!
//! Plain mutation rarely gets past a seal. The input therefore holds pages in the clear, and the
//! body seals them before it opens the file, so that decoders and tree walks see hostile content.
//! [`mutate_file`] respects page boundaries.

use super::counted::CountedVfs;
use super::hostile::{claim_commit, claim_pages, share_pages, share_values};
use super::sparse::{Image, file_key};
use fastness::inspect;
use fastness::vfs::MemoryVfs;
use fastness::{Error, FileErrorCause, PAGE_BYTES, Store, StoreOptions, StoreSnapshot};
use fastness_testkit::{CountingRandom, read_file};
use std::sync::Arc;

const PLACE: &str = "fuzzed.fastness";
const COPY_PLACE: &str = "copied.fastness";

/// A hostile file, and how it is opened.
pub(super) struct FuzzedFile {
    pub(super) vfs: CountedVfs,
    pub(super) len_bytes: usize,
    options: StoreOptions,
}

impl FuzzedFile {
    /// Makes the file of an input.
    pub(super) fn of_input(input: &[u8]) -> Self {
        Self::with_cache(input, 1 << 20)
    }

    /// Makes the file of an input, to be read with a cache of so many bytes.
    fn with_cache(input: &[u8], cache_bytes: usize) -> Self {
        let image = Image::read(input);
        let (encrypted, is_sparse) = (image.is_encrypted(), image.is_sparse());
        let bytes = image.into_file();
        let vfs = CountedVfs::with_file(PLACE, &bytes, is_sparse);
        let mut options = StoreOptions::new()
            .vfs(Arc::new(vfs.clone()))
            .random_source(Arc::new(CountingRandom::default()))
            .cache_bytes(cache_bytes);
        if encrypted {
            options = options.key(file_key());
        }
        Self { vfs, len_bytes: bytes.len(), options }
    }

    pub(super) fn open(&self) -> Option<Store> {
        self.vfs.begin();
        self.options.open(PLACE).ok()
    }

    pub(super) fn open_read_only(&self) -> Option<Store> {
        self.vfs.begin();
        self.options.open_read_only(PLACE).ok()
    }
}

/// Opens, reads, verifies and writes the bytes as a store file.
///
/// # Panics
/// If D4 or T6 is violated.
pub fn file(bytes: &[u8]) {
    read_and_write(bytes);
    close_after_commit(bytes);
    write_without_cache(bytes);
}

/// Closes the file after a commit that changes none of its trees, so that closing may relocate
/// them as they are.
fn close_after_commit(bytes: &[u8]) {
    let file = FuzzedFile::with_cache(bytes, 0);
    let Some(store) = file.open() else { return };
    let commit = || -> fastness::Result<()> {
        let mut txn = store.write()?;
        txn.tree("fuzzed")?.insert(b"key", &[7; 100])?;
        txn.commit().map(drop)
    };
    file.vfs.begin();
    drop(commit());
    file.vfs.begin();
    drop(store);
}

/// Writes to the file, closes and compacts it with no room for nodes in memory: a walk that comes
/// to a page again reads it again.
fn write_without_cache(bytes: &[u8]) {
    let file = FuzzedFile::with_cache(bytes, 0);
    let Some(store) = file.open() else { return };
    drop(file.write(&store));
    file.vfs.begin();
    drop(store);
    if let Some(store) = file.open() {
        file.vfs.begin();
        drop(store.copy(COPY_PLACE, None));
        file.vfs.begin();
        drop(store.compact());
        file.vfs.begin();
    }
}

fn read_and_write(bytes: &[u8]) {
    let file = FuzzedFile::of_input(bytes);
    let clean_before = file.open_read_only().is_some_and(|store| {
        let clean = file.examine(&store.snapshot());
        file.use_tools(&store, clean);
        clean
    });
    let Some(store) = file.open() else {
        assert!(!clean_before, "D4: a file that verifies opens for writing");
        return;
    };
    let clean = file.examine(&store.snapshot());
    let outcome = file.write(&store);
    let written = outcome.is_ok() || is_commit_limit(&outcome);
    assert!(written || !clean, "D4: a file that verifies takes a commit: {outcome:?}");
    if written && clean {
        let snapshot = store.snapshot();
        let still = file.examine(&snapshot);
        assert!(still, "D4: a commit broke a file that verified: {:?}", snapshot.verify());
    }
    file.vfs.begin();
    drop(store);
    if written && clean {
        let store = file.open().expect("D4: a file that verifies opens again");
        assert!(store.recovery().is_none(), "D4: a file that was closed needs no recovery");
        let clean = file.examine(&store.snapshot());
        assert!(clean, "D4: a file that verified does so when opened again");
        file.vfs.begin();
        let compacted = store.compact();
        assert!(
            compacted.is_ok() || is_commit_limit(&compacted),
            "D4: a file that verifies is compacted: {compacted:?}"
        );
        assert!(file.examine(&store.snapshot()), "D4: a compacted file verifies");
    } else if let Some(store) = file.open() {
        file.vfs.begin();
        drop(store.compact());
        file.vfs.begin();
    }
}

/// Tells whether a file refuses its next commit because no number is left for it. It is as intact
/// as before.
fn is_commit_limit<T>(outcome: &fastness::Result<T>) -> bool {
    matches!(outcome, Err(Error::File { cause: FileErrorCause::CommitLimit, .. }))
}

impl FuzzedFile {
    /// Reads the contents; returns whether the file verifies.
    fn examine(&self, snapshot: &StoreSnapshot) -> bool {
        self.vfs.begin();
        let clean = snapshot.verify().is_ok_and(|verification| verification.problems.is_empty());
        for name in snapshot.tree_names() {
            let tree = snapshot.tree(name);
            let (Ok(mut forward), Ok(backward)) = (tree.range(..), tree.range(..)) else {
                assert!(!clean, "D4: a tree can be walked");
                continue;
            };
            self.vfs.begin();
            let backward = backward.rev().take_while(Result::is_ok).count();
            self.vfs.begin();
            let salvaged = tree.salvage().filter(Result::is_ok).count();
            self.vfs.begin();
            let forward = forward.try_fold(0, |count, entry| {
                let (key, value) = entry.ok()?;
                let found = tree.get(&key).ok()??;
                assert!(!clean || found == value, "D4: get and range agree");
                Some(count + 1)
            });
            assert!(!clean || forward == Some(backward), "D4: both ways of a range agree");
            assert!(!clean || salvaged == backward, "D6: a salvage of a whole tree misses nothing");
            let len = usize::try_from(tree.len()).unwrap_or(usize::MAX);
            assert!(!clean || backward == len, "D4: a tree has as many entries as it says");
        }
        clean
    }

    /// Uses the file as the tools do, for reading.
    fn use_tools(&self, store: &Store, clean: bool) {
        let snapshot = store.snapshot();
        self.vfs.begin();
        let copied = store.copy(COPY_PLACE, None);
        assert!(
            !clean || copied.is_ok() || is_commit_limit(&copied),
            "D4: a file that verifies can be copied: {copied:?}"
        );
        self.vfs.begin();
        let ledger = inspect::ledger(&snapshot);
        assert!(!clean || ledger.is_ok(), "D4: a file that verifies has a ledger");
        self.vfs.begin();
        let dump = inspect::dump_file(&snapshot);
        assert!(!clean || dump.is_ok(), "D4: a file that verifies can be dumped");
        self.vfs.begin();
        drop(inspect::trees(&snapshot));
    }

    /// Makes many kinds of changes, in two commits.
    fn write(&self, store: &Store) -> fastness::Result<()> {
        let names: Vec<String> = store.snapshot().tree_names().take(4).map(str::to_owned).collect();
        let attempt = || -> fastness::Result<()> {
            // A file that has had a commit is truncated when it is closed, whatever follows here.
            self.vfs.begin();
            let mut txn = store.write()?;
            txn.tree("fuzzed")?.insert(b"key", &[7; 100])?;
            txn.commit()?;
            let mut txn = store.write()?;
            for (index, name) in names.iter().enumerate() {
                self.vfs.begin();
                let mut tree = txn.tree(name)?;
                tree.insert(b"inserted", &[index.to_le_bytes()[0]; 6_000])?;
                if let Some((key, _)) = tree.first()? {
                    tree.remove(&key)?;
                }
                if index == 3 {
                    tree.clear()?;
                }
            }
            self.vfs.begin();
            txn.commit()?;
            let mut txn = store.write()?;
            txn.tree("fuzzed")?.clear()?;
            txn.commit().map(drop)
        };
        let outcome = attempt();
        // Each tree can be cleared, or is damaged.
        for name in &names {
            self.vfs.begin();
            let Ok(mut txn) = store.write() else { break };
            drop(txn.tree(name).and_then(|mut tree| tree.clear()));
        }
        outcome
    }
}

/// Returns the store file of an input, and whether it is encrypted.
#[must_use]
pub fn file_bytes(input: &[u8]) -> (Vec<u8>, bool) {
    let image = Image::read(input);
    let encrypted = image.is_encrypted();
    (image.into_file(), encrypted)
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
        seeds.extend(hostile_seeds(encrypted));
    }
    seeds
}

/// Returns files that no writer makes.
fn hostile_seeds(encrypted: bool) -> Vec<Vec<u8>> {
    let bytes = make(encrypted, [10, 9_000, 1], true);
    let image = || Image::of_file(&bytes, encrypted);
    let (mut pages, mut values) = (image(), image());
    share_pages(&mut pages, leaf(&bytes, encrypted));
    share_values(&mut values);
    let sparse = [47, 48].map(|bits| {
        let mut sparse = image();
        claim_pages(&mut sparse, (1 << bits) - 1);
        sparse.make_sparse();
        sparse
    });
    let mut images = vec![pages, values];
    images.extend(sparse);
    images.extend(many_commits(encrypted));
    let bytes = make_with_room(encrypted);
    let mut pages_and_room = Image::of_file(&bytes, encrypted);
    share_pages(&mut pages_and_room, leaf(&bytes, encrypted));
    images.push(pages_and_room);
    images.iter().map(Image::write).collect()
}

/// Returns the page of the first leaf of the first tree: a file also has leaves of older commits.
fn leaf(bytes: &[u8], encrypted: bool) -> usize {
    let vfs = fastness_testkit::in_memory_file(PLACE, bytes);
    let store = options(&vfs, encrypted).open_read_only(PLACE).expect("a whole file");
    let snapshot = store.snapshot();
    let name = snapshot.tree_names().next().expect("a file with a tree").to_owned();
    let dump = inspect::dump_file(&snapshot).expect("a whole file");
    let page = dump.lines().find_map(|line| {
        let (page, rest) = line.strip_prefix("page ")?.split_once(": leaf")?;
        rest.contains(&format!(" of {name}")).then(|| page.parse().ok()).flatten()
    });
    page.expect("a tree has a leaf")
}

/// Returns files whose last commit has one of the highest numbers, or one beyond them, in a slot
/// and in a log.
fn many_commits(encrypted: bool) -> impl Iterator<Item = Image> {
    (0..4).flat_map(move |below| {
        [true, false].map(|closed| {
            let bytes = make(encrypted, [5, 300, 3], closed);
            let mut image = Image::of_file(&bytes, encrypted);
            claim_commit(&mut image, (1 << 47) - below, 4);
            image
        })
    })
}

/// Returns a file most of whose pages are free, so that closing it relocates nodes.
fn make_with_room(encrypted: bool) -> Vec<u8> {
    let vfs = MemoryVfs::default();
    let store = options(&vfs, encrypted).create(PLACE).expect("memory has room");
    let mut txn = store.write().expect("there is one writer");
    for (name, bytes) in [("a", 9_000), ("z", 40_000)] {
        let mut tree = txn.tree(name).expect("a good name");
        for key in 0..10_u8 {
            tree.insert(&[key], &vec![b'v'; bytes]).expect("a good entry");
        }
    }
    txn.commit().expect("memory has room");
    let snapshot = store.snapshot();
    let mut txn = store.write().expect("there is one writer");
    txn.tree("z").and_then(|mut tree| tree.clear()).expect("memory reads");
    txn.commit().expect("memory has room");
    // Beside a snapshot, nothing is relocated.
    drop(store);
    let bytes = read_file(&vfs, PLACE);
    drop(snapshot);
    bytes
}

fn options(vfs: &MemoryVfs, encrypted: bool) -> StoreOptions {
    let options = StoreOptions::new()
        .vfs(Arc::new(vfs.clone()))
        .random_source(Arc::new(CountingRandom::default()));
    if encrypted { options.key(file_key()) } else { options }
}

fn seed(encrypted: bool, [entries, bytes, rounds]: [usize; 3], closed: bool) -> Vec<u8> {
    Image::of_file(&make(encrypted, [entries, bytes, rounds], closed), encrypted).write()
}

fn make(encrypted: bool, [entries, bytes, rounds]: [usize; 3], closed: bool) -> Vec<u8> {
    let vfs = MemoryVfs::default();
    let store = options(&vfs, encrypted).create(PLACE).expect("memory has room");
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
    if closed {
        drop(store);
        return read_file(&vfs, PLACE);
    }
    let bytes = read_file(&vfs, PLACE);
    drop(store);
    bytes
}
