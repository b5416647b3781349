//! Golden files stay readable forever.

use fastness::{Error, FileErrorCause, Key, StoreOptions, StoreSnapshot};
use fastness_snapshots::{Entries, FILES, Golden, NEWEST, content, key, make, options};
use fastness_testkit::in_memory_file;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The rule that a change breaks if a golden file is not read as before, and the next step.
pub(crate) const RULE: &str = "each version of the format is read for ever; if the bytes mean \
    something else now, add a version and keep the reader of this one (docs/reviewing.md)";

/// Path of the files on the file system in memory.
const PLACE: &str = "golden.fastness";

pub(crate) fn bytes(golden: Golden) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(golden.name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn read(snapshot: &StoreSnapshot) -> BTreeMap<String, Entries> {
    let entries = |name: &str| -> Entries {
        let read = snapshot.tree(name).range(..).unwrap().map(Result::unwrap).collect::<Vec<_>>();
        read.into_iter().map(|(key, value)| (key.to_vec(), value.to_vec())).collect()
    };
    snapshot.tree_names().map(|name| (name.to_owned(), entries(name))).collect()
}

#[track_caller]
fn check(snapshot: &StoreSnapshot, golden: Golden) {
    assert!(read(snapshot) == content(), "{}: other entries than it has; {RULE}", golden.name);
    let verification = snapshot.verify().unwrap();
    assert_eq!(verification.problems, [], "{}: {RULE}", golden.name);
}

#[test]
fn every_golden_file_holds_what_it_held() {
    for golden in FILES {
        let vfs = in_memory_file(PLACE, &bytes(*golden));
        let opened = options(golden.encrypted, &vfs).open_read_only(PLACE);
        let store = opened.unwrap_or_else(|error| panic!("{}: {error}; {RULE}", golden.name));
        check(&store.snapshot(), *golden);
        drop(store);
        let store = options(golden.encrypted, &vfs).open(PLACE).unwrap();
        assert_eq!(store.recovery().is_some(), !golden.closed, "{}", golden.name);
        check(&store.snapshot(), *golden);
    }
}

#[test]
fn every_golden_file_can_be_written_compacted_and_read_again() {
    for golden in FILES {
        let vfs = in_memory_file(PLACE, &bytes(*golden));
        let options = options(golden.encrypted, &vfs);
        let store = options.open(PLACE).unwrap();
        let mut txn = store.write().unwrap();
        txn.tree("added").unwrap().insert(b"key", b"value").unwrap();
        txn.commit().unwrap();
        store.compact().unwrap();
        let mut txn = store.write().unwrap();
        txn.tree("added").unwrap().clear().unwrap();
        txn.commit().unwrap();
        check(&store.snapshot(), *golden);
        drop(store);
        check(&options.open(PLACE).unwrap().snapshot(), *golden);
    }
}

#[test]
fn a_golden_file_opens_with_its_key_alone() {
    for golden in FILES {
        let vfs = Arc::new(in_memory_file(PLACE, &bytes(*golden)));
        let cause = |options: StoreOptions| match options.vfs(vfs.clone()).open_read_only(PLACE) {
            Err(Error::File { cause, .. }) => cause,
            other => panic!("{}: {other:?}", golden.name),
        };
        if golden.encrypted {
            assert_eq!(cause(StoreOptions::new()), FileErrorCause::KeyMissing);
            assert_eq!(cause(StoreOptions::new().key(Key::new([1; 64]))), FileErrorCause::WrongKey);
        } else {
            assert_eq!(cause(StoreOptions::new().key(key())), FileErrorCause::KeyForPlainFile);
        }
    }
}

/// Not a promise of the format, but a review should see a change of the written size.
#[test]
fn a_file_made_today_has_the_content_and_size_of_the_golden_one() {
    for golden in FILES.iter().filter(|golden| golden.name.starts_with(NEWEST)) {
        let made = make(*golden).unwrap();
        let vfs = in_memory_file(PLACE, &made);
        check(&options(golden.encrypted, &vfs).open(PLACE).unwrap().snapshot(), *golden);
        let (made, golden) = (made.len(), bytes(*golden).len());
        assert!(made <= golden, "the same content takes {made} bytes, it took {golden}");
    }
}
