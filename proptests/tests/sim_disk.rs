//! The simulated disk: the bytes, lengths and names that it may lose.

use fastness::vfs::{Access, Lock, Vfs, VfsFile};
use fastness_sim::Rng;
use fastness_sim::fs::{Call, Disk, Fault, Injection, SimFs};
use std::collections::BTreeSet;
use std::path::Path;

const FILE: &str = "/sim/file";

fn file(fs: &SimFs) -> Box<dyn VfsFile> {
    fs.open(Path::new(FILE), Access::CreateNew).unwrap()
}

/// The file after a boot of the disk; none without a name.
fn bytes(disk: &Disk) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(disk.len(Path::new(FILE))?).unwrap()];
    let file = SimFs::boot(disk.clone(), 0).open(Path::new(FILE), Access::Read).unwrap();
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    Some(bytes)
}

fn fates(fs: &SimFs) -> BTreeSet<Option<Vec<u8>>> {
    let disk = fs.disk();
    (0..500).map(|seed| bytes(&disk.power_loss(&mut Rng::new(seed)))).collect()
}

#[test]
fn reads_see_what_was_written() {
    let fs = SimFs::boot(Disk::default(), 0);
    let file = file(&fs);
    let long: Vec<u8> = (0..10_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    file.write_at(&long, 3000).unwrap();
    let mut read = vec![9; 14_000];
    assert_eq!(file.read_at(&mut read, 0).unwrap(), 13_000);
    assert_eq!(read[..3000], vec![0; 3000]);
    assert_eq!(read[3000..13_000], long);
    file.set_len(3001).unwrap();
    file.set_len(3003).unwrap();
    assert_eq!(file.read_at(&mut read, 3000).unwrap(), 3);
    assert_eq!(read[..3], [long[0], 0, 0]);
}

#[test]
fn synced_bytes_survive_once_the_name_is_synced() {
    let fs = SimFs::boot(Disk::default(), 0);
    let file = file(&fs);
    file.write_at(b"one", 0).unwrap();
    file.sync().unwrap();
    assert_eq!(fates(&fs), BTreeSet::from([None, Some(b"one".to_vec())]));
    fs.sync_dir(Path::new(FILE)).unwrap();
    assert_eq!(fates(&fs), BTreeSet::from([Some(b"one".to_vec())]));
}

#[test]
fn unsynced_sectors_are_lost_kept_and_torn_each_alone() {
    let fs = SimFs::boot(Disk::default(), 0);
    let file = file(&fs);
    file.write_at(&[1; 1024], 0).unwrap();
    file.sync().unwrap();
    fs.sync_dir(Path::new(FILE)).unwrap();
    file.write_at(&[2; 1024], 0).unwrap();
    file.write_at(&[3; 512], 512).unwrap();
    let seen = fates(&fs).into_iter().map(|bytes| {
        let bytes = bytes.unwrap();
        assert!(bytes[..512].iter().all(|byte| *byte == bytes[0]), "a sector is torn");
        (bytes[0], bytes[512])
    });
    let seen: Vec<_> = seen.collect();
    for fate in [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)] {
        assert!(seen.contains(&fate), "{fate:?}");
    }
    assert_eq!(seen.len(), 6);
}

#[test]
fn lengths_are_lost_apart_from_bytes() {
    let fs = SimFs::boot(Disk::default(), 0);
    let file = file(&fs);
    file.write_at(&[1; 4096], 0).unwrap();
    file.sync().unwrap();
    fs.sync_dir(Path::new(FILE)).unwrap();
    file.set_len(8192).unwrap();
    file.set_len(100).unwrap();
    let lens: BTreeSet<_> = fates(&fs).into_iter().map(|bytes| bytes.unwrap().len()).collect();
    assert_eq!(lens, BTreeSet::from([100, 4096, 8192]));
}

#[test]
fn a_failed_sync_is_not_made_good_by_a_later_one() {
    let lost = (0..50).any(|seed| {
        let fs = SimFs::boot(Disk::default(), seed);
        let file = file(&fs);
        file.write_at(b"one", 0).unwrap();
        fs.sync_dir(Path::new(FILE)).unwrap();
        fs.inject(Injection { fault: Fault::SyncIo, after: 0, lasting: false });
        file.sync().unwrap_err();
        assert_eq!(fs.take_failure().map(|failure| failure.call), Some(Call::Sync));
        file.sync().unwrap();
        fates(&fs).iter().any(|bytes| bytes.as_deref() != Some(b"one"))
    });
    assert!(lost);
}

#[test]
fn renames_replace_and_locks_go_with_the_machine() {
    let fs = SimFs::boot(Disk::default(), 0);
    let held = file(&fs);
    held.write_at(b"old", 0).unwrap();
    let other = fs.open(Path::new("/sim/other"), Access::CreateNew).unwrap();
    other.write_at(b"new", 0).unwrap();
    fs.rename(Path::new("/sim/other"), Path::new(FILE)).unwrap();
    assert!(other.is_at(Path::new(FILE)).unwrap());
    assert!(!held.is_at(Path::new(FILE)).unwrap());
    assert!(other.try_lock(Lock::Exclusive).unwrap());
    let again = fs.open(Path::new(FILE), Access::Read).unwrap();
    assert!(!again.try_lock(Lock::Shared).unwrap());
    let booted = SimFs::boot(fs.disk(), 0);
    let again = booted.open(Path::new(FILE), Access::Read).unwrap();
    assert!(again.try_lock(Lock::Shared).unwrap());
    assert_eq!(bytes(&booted.disk()).unwrap(), b"new");
}

#[test]
fn every_change_leaves_a_fork() {
    let fs = SimFs::boot(Disk::default(), 1);
    fs.record_forks();
    let file = file(&fs);
    file.write_at(&[1; 100], 0).unwrap();
    file.sync().unwrap();
    fs.sync_dir(Path::new(FILE)).unwrap();
    let calls: Vec<_> = fs.take_forks().into_iter().map(|fork| fork.at).collect();
    assert_eq!(calls, [Call::Create, Call::Write, Call::Sync, Call::SyncDir]);
}
