//! A commit hook that receives the operations of commits and writes to the same file.

use fastness::object::{Database, DatabaseOptions, Operation, SchemaChange, Transaction};
use fastness::schema::{Class, Property, Scalar, Schema};
use fastness::{ErrorKind, Key, Result, Store, StoreOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const LOG: &str = "sync/log";

/// The operations of the first opening.
const CREATED: &str = "add Dog, add Dog.age, add Dog.name, version 0";

fn schema_change(change: &SchemaChange) -> String {
    if let SchemaChange::AddClass(class) = change {
        format!("add {}", class.name())
    } else if let SchemaChange::AddProperty { class, property } = change {
        format!("add {class}.{}", property.name())
    } else if let SchemaChange::SetVersion { version } = change {
        format!("version {version}")
    } else {
        "another change".to_owned()
    }
}

fn schema() -> Schema {
    let key = Property::new("name", Scalar::String).unwrap().required().primary_key();
    let age = Property::new("age", Scalar::Int).unwrap();
    Schema::new([Class::new("Dog").unwrap().with(key).with(age)]).unwrap()
}

/// Opens a database with a commit hook that logs all operations.
fn open(options: &StoreOptions, path: &Path, fails: &Arc<AtomicBool>) -> Database {
    let fails = Arc::clone(fails);
    let wanted =
        DatabaseOptions::schema(schema(), 0).commit_hook(Arc::new(move |operations, txn| {
            let mut log = txn.tree(LOG)?;
            let commit = u8::try_from(log.len()).unwrap();
            let text = |operation: &Operation| {
                if let Operation::Create(target) = operation {
                    format!("create {:?}", target.key)
                } else if let Operation::Set { property, .. } = operation {
                    format!("set {property}")
                } else if let Operation::SchemaChange(change) = operation {
                    schema_change(change)
                } else {
                    "another".to_owned()
                }
            };
            let operations = operations.iter().map(text);
            log.insert(&[commit], operations.collect::<Vec<_>>().join(", ").as_bytes())?;
            if fails.load(Ordering::Relaxed) {
                log.insert(&[0; 5000], b"no key is as long")?;
            }
            Ok(())
        }));
    Database::open(options, path, &wanted).unwrap()
}

fn log(store: &Store) -> Vec<String> {
    let (snapshot, mut log) = (store.snapshot(), Vec::new());
    for entry in snapshot.tree(LOG).range(..).unwrap() {
        log.push(String::from_utf8(entry.unwrap().1.to_vec()).unwrap());
    }
    log
}

fn add(name: &str, age: i64) -> impl FnOnce(&mut Transaction) -> Result<()> {
    move |txn| {
        let dog = txn.create_with_key("Dog", name)?;
        txn.set(&dog, "age", age)
    }
}

#[test]
fn the_writes_of_a_commit_hook_commit_with_the_transaction() {
    for options in [StoreOptions::new(), StoreOptions::new().key(Key::new([3; 64]))] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dogs");
        let fails = Arc::default();
        let database = open(&options, &path, &fails);
        database.transact(add("Rex", 3)).unwrap();
        let mut undone = database.write().unwrap();
        add("Ida", 4)(&mut undone).unwrap();
        undone.abort();
        database.write().unwrap().commit().unwrap();
        database.transact(add("Bo", 5)).unwrap();
        let expected =
            [CREATED, "create String(\"Rex\"), set age", "create String(\"Bo\"), set age"];
        assert_eq!(log(database.store()), expected);
        drop(database);
        let database = open(&options, &path, &fails);
        assert_eq!(log(database.store()), expected);
        assert_eq!(database.snapshot().unwrap().objects("Dog").unwrap().len(), 2);
    }
}

#[test]
fn a_listener_that_fails_commits_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("dogs");
    let fails: Arc<AtomicBool> = Arc::default();
    let database = open(&StoreOptions::new(), &path, &fails);
    database.transact(add("Rex", 3)).unwrap();
    let observer = database.subscribe().unwrap().1;
    fails.store(true, Ordering::Relaxed);
    let error = database.transact(add("Ida", 4)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
    assert!(observer.try_recv().is_none());
    assert_eq!(database.snapshot().unwrap().objects("Dog").unwrap().len(), 1);
    // Its writes before the failure are rolled back too, and the operations arrive again.
    assert_eq!(log(database.store()).len(), 2);
    fails.store(false, Ordering::Relaxed);
    database.transact(add("Ida", 4)).unwrap();
    assert!(observer.try_recv().is_some());
    let expected = [CREATED, "create String(\"Rex\"), set age", "create String(\"Ida\"), set age"];
    assert_eq!(log(database.store()), expected);
}
