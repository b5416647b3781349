//! Commits whose record cannot be written, without dependents: they leave no trace for readers,
//! observers or the file.

use fastness::object::{Database, DatabaseOptions, ObjectKey};
use fastness::schema::{Class, Property, Scalar, Schema};
use fastness::{Error, Key, PAGE_BYTES, Store, StoreOptions};
use fastness_sim::fs::{Call, Disk, Fault, Injection, SimFs};
use std::path::Path;
use std::sync::Arc;

const FULL: Injection = Injection { fault: Fault::NoSpace, after: 0, lasting: false };

/// Plain and encrypted options.
fn twins(fs: &SimFs) -> [StoreOptions; 2] {
    let options = StoreOptions::new().vfs(Arc::new(fs.clone()));
    [options.clone(), options.key(Key::new([7; 64]))]
}

fn set(store: &Store, key: &[u8]) -> Result<(), Error> {
    let mut txn = store.write()?;
    txn.tree("t")?.insert(key, b"value")?;
    txn.commit().map(drop)
}

/// C11, N3: a log whose first record failed leaves no trace after a close.
#[test]
fn a_log_whose_first_record_failed_leaves_no_trace() {
    for twin in 0..2 {
        let fs = SimFs::boot(Disk::default(), 1);
        let options = twins(&fs)[twin].clone();
        drop(options.create("store").unwrap());
        let store = options.open("store").unwrap();
        let before = store.snapshot().commit();
        // The slot that announces the log, its zeros, then the record.
        fs.inject(Injection { after: 2, ..FULL });
        set(&store, b"lost").unwrap_err();
        let failure = fs.take_failure().unwrap();
        let log = 3 * PAGE_BYTES as u64;
        assert!(failure.call == Call::Write && failure.offset >= log, "{failure:?}");
        assert_eq!(store.snapshot().commit(), before);
        drop(store);
        let store = options.open("store").unwrap();
        assert_eq!((store.recovery(), store.snapshot().commit()), (None, before));
        set(&store, b"kept").unwrap();
        assert_eq!(store.snapshot().tree("t").len(), 1);
    }
}

/// W2, C11: observers receive nothing of a commit that was rolled back, and receive the commit that
/// reuses its number.
#[test]
fn a_rolled_back_commit_is_not_reported() {
    let key = Property::new("name", Scalar::String).unwrap().required().primary_key();
    let schema = Schema::new([Class::new("Dog").unwrap().with(key)]).unwrap();
    for twin in 0..2 {
        let fs = SimFs::boot(Disk::default(), 1);
        let wanted = DatabaseOptions::schema(schema.clone(), 0);
        let database = Database::open(&twins(&fs)[twin], Path::new("store"), &wanted).unwrap();
        let add = |name: &str| {
            let mut txn = database.write()?;
            txn.create_with_key("Dog", name)?;
            txn.commit()
        };
        add("first").unwrap();
        let (dogs, observer) = database.subscribe().unwrap();
        fs.inject(FULL);
        add("lost").unwrap_err();
        assert_eq!(fs.take_failure().unwrap().call, Call::Write);
        let kept = add("kept").unwrap();
        assert_eq!(kept.0, dogs.commit().0 + 1, "the number is used again");
        let changes = observer.try_recv().unwrap();
        assert_eq!(changes.classes["Dog"].inserted, [ObjectKey::String("kept".to_owned())]);
        assert!(changes.commit == kept && observer.try_recv().is_none());
    }
}
