//! Another process that makes a file the moment its name is free.

use super::{TestApp, add_row, string_only};
use fastness::instance::FileRegistry;
use fastness::vfs::{Access, OsVfs, Vfs, VfsFile};
use fastness::{StoreOptions, Time};
use std::io;
use std::path::Path;
use std::sync::Arc;

const THEIRS: &[u8] = b"another process's";

/// The system, with another process that acts in between.
#[derive(Debug)]
struct Crowd;

impl Vfs for Crowd {
    fn open(&self, path: &Path, access: Access) -> io::Result<Box<dyn VfsFile>> {
        let opened = OsVfs.open(path, access);
        if matches!(&opened, Err(error) if error.kind() == io::ErrorKind::NotFound) {
            make(path)?;
        }
        opened
    }

    fn rename(&self, source: &Path, target: &Path) -> io::Result<()> {
        OsVfs.rename(source, target)?;
        make(source)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        OsVfs.remove(path)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        OsVfs.exists(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        OsVfs.sync_dir(path)
    }
}

/// Makes a file of the app's, if that is what was looked for.
fn make(path: &Path) -> io::Result<()> {
    let is_of_app = path.parent().is_some_and(|parent| parent.ends_with("user"));
    if is_of_app && path.extension().is_none() { std::fs::write(path, THEIRS) } else { Ok(()) }
}

#[test]
fn a_file_that_another_process_makes_meanwhile_is_neither_moved_nor_deleted() {
    let test_app = TestApp::new(string_only());
    let synced = test_app.synced();
    let instance = test_app.instances.open_instance(&synced).unwrap();
    instance.transact(add_row).unwrap();
    let reset = test_app.instances.require_reset(&synced, Time::from_seconds(0)).unwrap();
    instance.close().unwrap();

    let crowded =
        FileRegistry::open(&test_app.app, StoreOptions::new().vfs(Arc::new(Crowd))).unwrap();
    assert_eq!(crowded.executed_at_start()[0].outcome, Ok(true));
    assert!(reset.backup_file().exists());
    assert_eq!(std::fs::read(synced.path()).unwrap(), THEIRS, "made when the file was moved");

    std::fs::remove_file(synced.path()).unwrap();
    assert_eq!(crowded.delete(&synced), Ok(false));
    assert_eq!(std::fs::read(synced.path()).unwrap(), THEIRS, "made when none was found");
}
