//! Two threads that open the same file while it is created or compacted.
//!
//! The file holds the number of sessions there have been. A session reads it, adds one and writes
//! it, as long as it holds the lock; some sessions move the file to a new one in between.
//!
//! - V4 The holder of the lock holds the file that the name leads to: no session is lost, and no
//!   two overlap.

use crate::conc::{AtomicUsize, Ordering};
use crate::explore::{Bound, explore};
use crate::vfs::{Lock, MemoryVfs, Opened, Vfs, VfsFile, create_locked, open_locked};
use loom::sync::Arc;
use loom::thread;
use std::io;
use std::path::Path;

const PATH: &str = "file";
const TEMPORARY: &str = "file.new";

/// State that the threads share: the file system, and the number of holders of the file.
struct OpenersModel {
    vfs: MemoryVfs,
    holders: AtomicUsize,
}

impl OpenersModel {
    fn new() -> Arc<Self> {
        Arc::new(Self { vfs: MemoryVfs::default(), holders: AtomicUsize::new(0) })
    }

    fn with_file(sessions: u8) -> Arc<Self> {
        let world = Self::new();
        let file = world.vfs.open(Path::new(PATH), crate::vfs::Access::CreateNew).unwrap();
        file.write_at(&[sessions], 0).unwrap();
        world
    }

    /// Opens the file or creates it. `None` if another thread holds the lock.
    fn open_or_create(&self) -> Option<Box<dyn VfsFile>> {
        match open_locked(&self.vfs, Path::new(PATH), Lock::Exclusive) {
            Ok(Opened::Locked(file)) => Some(file),
            Ok(Opened::InUse { .. }) => None,
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.create(),
            Err(e) => panic!("{e}"),
        }
    }

    /// Creates the whole file under another name, then renames it, unless it exists by now.
    fn create(&self) -> Option<Box<dyn VfsFile>> {
        let file = self.temporary()?;
        file.write_at(&[0], 0).unwrap();
        if self.vfs.exists(Path::new(PATH)).unwrap() {
            self.vfs.remove(Path::new(TEMPORARY)).unwrap();
            return None;
        }
        self.vfs.rename(Path::new(TEMPORARY), Path::new(PATH)).unwrap();
        Some(file)
    }

    fn temporary(&self) -> Option<Box<dyn VfsFile>> {
        match create_locked(&self.vfs, Path::new(TEMPORARY)).unwrap() {
            Opened::Locked(file) => Some(file),
            Opened::InUse { .. } => None,
        }
    }

    /// Moves the content to a new file, as compaction does, with both locked.
    fn compact(&self, file: Box<dyn VfsFile>) -> Box<dyn VfsFile> {
        let Some(fresh) = self.temporary() else { return file };
        let mut sessions = [0];
        assert_eq!(file.read_at(&mut sessions, 0).unwrap(), 1, "V4: the file is whole");
        fresh.write_at(&sessions, 0).unwrap();
        self.vfs.rename(Path::new(TEMPORARY), Path::new(PATH)).unwrap();
        fresh
    }

    /// One session; tells whether there was one.
    fn session(&self, compacts: bool) -> bool {
        let Some(mut file) = self.open_or_create() else { return false };
        assert_eq!(self.holders.fetch_add(1, Ordering::SeqCst), 0, "V4: two hold the file");
        if compacts {
            file = self.compact(file);
        }
        assert!(file.is_at(Path::new(PATH)).unwrap(), "V4: the name leads to another file");
        let mut sessions = [0];
        assert_eq!(file.read_at(&mut sessions, 0).unwrap(), 1, "V4: the file is whole");
        file.write_at(&[sessions[0] + 1], 0).unwrap();
        self.holders.fetch_sub(1, Ordering::SeqCst);
        true
    }

    fn sessions(&self) -> u8 {
        let file = self.vfs.open(Path::new(PATH), crate::vfs::Access::Read).unwrap();
        let mut sessions = [0];
        assert_eq!(file.read_at(&mut sessions, 0).unwrap(), 1, "V4: the file is whole");
        sessions[0]
    }
}

/// Runs one session in each of two threads, and counts those that took place.
fn two_sessions(world: &Arc<OpenersModel>, compacts: [bool; 2]) -> u8 {
    let other = Arc::clone(world);
    let handle = thread::spawn(move || other.session(compacts[0]));
    let here = world.session(compacts[1]);
    let there = handle.join().unwrap();
    u8::from(here) + u8::from(there)
}

#[test]
fn two_creators_make_one_file() {
    explore(Bound { preemptions: 6, executions_min: 1_000 }, || {
        let world = OpenersModel::new();
        let sessions = two_sessions(&world, [false, false]);
        assert_eq!(world.sessions(), sessions, "V4: a session is lost");
    });
}

#[test]
fn an_opener_meets_a_compaction() {
    explore(Bound { preemptions: 6, executions_min: 250 }, || {
        let world = OpenersModel::with_file(5);
        let sessions = two_sessions(&world, [true, false]);
        assert_eq!(world.sessions(), 5 + sessions, "V4: a session is lost");
    });
}

#[test]
fn a_creator_that_compacts_meets_another() {
    explore(Bound { preemptions: 5, executions_min: 2_000 }, || {
        let world = OpenersModel::new();
        let sessions = two_sessions(&world, [true, true]);
        assert_eq!(world.sessions(), sessions, "V4: a session is lost");
    });
}
