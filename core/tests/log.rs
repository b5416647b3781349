//! The log after crashes that are rare: images of the disk, put together by hand.

use fastness::vfs::{Access, MemoryVfs, Vfs as _};
use fastness::{CommitId, RecoveryOutcome, Store, StoreOptions};
use fastness_testkit::{in_memory_file, read_file};
use std::path::Path;
use std::sync::Arc;

const SECTOR: usize = 512;
const PAGE: usize = 4096;

/// Opens an image of a disk.
fn open(image: &[u8]) -> (MemoryVfs, Store) {
    let vfs = in_memory_file("store", image);
    let store = StoreOptions::new().vfs(Arc::new(vfs.clone())).open("store").unwrap();
    (vfs, store)
}

fn set(store: &Store, key: &[u8], value: &[u8]) -> CommitId {
    let mut txn = store.write().unwrap();
    txn.tree("t").unwrap().insert(key, value).unwrap();
    txn.commit().unwrap()
}

/// L1, FS-04: what two attempts at a record have in common must not make the first one whole.
#[test]
fn a_torn_record_is_not_completed_by_the_next_one() {
    let vfs = MemoryVfs::default();
    let store = StoreOptions::new().vfs(Arc::new(vfs.clone())).create("store").unwrap();
    let first = set(&store, b"first", b"1");
    // The first record is on page 3, this one on page 4; the key fills its second sector.
    let key = [b'q'; 1000];
    set(&store, &key, b"lost");
    let mut torn = read_file(&vfs, "store");
    let second = 4 * PAGE + SECTOR..4 * PAGE + 2 * SECTOR;
    assert!(torn[second.clone()].iter().all(|byte| *byte == b'q'), "the key is in the log");
    torn[second.clone()].fill(0);

    let (vfs, store) = open(&torn);
    assert_eq!(store.snapshot().commit(), first);
    let outcome = store.recovery().unwrap().outcome;
    assert_eq!(outcome, RecoveryOutcome::CommitDiscarded(first.next()));
    let mut recovered = read_file(&vfs, "store");
    set(&store, &key, b"a longer value");
    let written = read_file(&vfs, "store");
    assert_eq!(written[second.clone()], [b'q'; SECTOR]);
    // Only this sector of the next record reaches the disk.
    recovered[second.clone()].copy_from_slice(&written[second]);

    let (_, store) = open(&recovered);
    assert_eq!(store.snapshot().commit(), first);
    assert_eq!(store.snapshot().tree("t").len(), 1, "a commit that was lost came back");
}

/// L2, FS-13: pages behind a record that a crash lost do not belong to the next one in its place.
#[test]
fn a_record_behind_a_lost_one_does_not_come_back_with_another() {
    let vfs = MemoryVfs::default();
    let options = StoreOptions::new().waiting_bytes(1);
    let store = options.vfs(Arc::new(vfs.clone())).create("store").unwrap();
    let first = set(&store, b"first", b"1");
    for key in [b"lost", b"more"] {
        // Each is written at once, to pages 4 and 5, and not synced.
        let mut txn = store.write().unwrap();
        txn.tree("t").unwrap().insert(key, b"2").unwrap();
        txn.commit_with(fastness::Durability::None).unwrap();
    }
    let mut lost = read_file(&vfs, "store");
    assert!(lost[4 * PAGE..6 * PAGE].chunks(PAGE).all(|page| page.iter().any(|byte| *byte > 0)));
    lost[4 * PAGE..5 * PAGE].fill(0);

    let (vfs, store) = open(&lost);
    assert_eq!(store.snapshot().commit(), first);
    let second = set(&store, b"second", b"2");
    let (_, store) = open(&read_file(&vfs, "store"));
    let snapshot = store.snapshot();
    assert_eq!((snapshot.commit(), snapshot.tree("t").len()), (second, 2), "it came back");
}

/// L2: damage with a later record behind it is reported, not taken for a crash.
#[test]
fn a_damaged_record_with_others_behind_it_is_damage() {
    let vfs = MemoryVfs::default();
    let store = StoreOptions::new().vfs(Arc::new(vfs.clone())).create("store").unwrap();
    for number in 0..3 {
        set(&store, &[number], b"value");
    }
    let whole = read_file(&vfs, "store");
    for page in [3, 4] {
        let mut damaged = whole.clone();
        damaged[page * PAGE + 100] ^= 1;
        let vfs = MemoryVfs::default();
        let file = vfs.open(Path::new("store"), Access::CreateNew).unwrap();
        file.write_at(&damaged, 0).unwrap();
        drop(file);
        let error = StoreOptions::new().vfs(Arc::new(vfs)).open("store").unwrap_err();
        assert!(error.to_string().contains(&format!("page {page} is damaged")), "{error}");
    }
}
