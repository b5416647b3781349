//! Observers of files that instances have open, whoever changes them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use fastness::config::{App, Configuration, User};
use fastness::instance::Instances;
use fastness::object::{ObjectKey, Observer};
use fastness::schema::{Class, Module, Property, Scalar};
use fastness::{Error, InstanceError, ObjectError, Options};
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

fn note() -> Class {
    let key = Property::new("key", Scalar::String).unwrap().required().primary_key();
    Class::new("Note").unwrap().with(key)
}

fn start(dir: &TempDir) -> (App, Instances) {
    let app = App::new(dir.path()).default_module(Module::new("notes", [note()]));
    let instances = Instances::start(&app, Options::new()).unwrap();
    (app, instances)
}

/// Returns which notes the next commit inserted, and which it deleted.
fn told(observer: &Observer) -> Option<(Vec<ObjectKey>, Vec<ObjectKey>)> {
    let changes = observer.next_changes()?;
    let notes = changes.classes["Note"].clone();
    Some((notes.inserted, notes.deleted))
}

fn key(text: &str) -> Vec<ObjectKey> {
    vec![ObjectKey::String(text.to_owned())]
}

#[test]
fn an_observer_is_told_what_any_instance_of_any_thread_commits() {
    let dir = tempfile::tempdir().unwrap();
    let (app, instances) = start(&dir);
    let plain = Configuration::builder(&app).build().unwrap();
    let own = instances.open(&plain).unwrap();
    own.transact(|txn| txn.create_with_key("Note", "before").map(drop)).unwrap();
    let (notes, observer) = own.observe().unwrap();
    assert_eq!(notes.objects("Note").unwrap().len(), 1);
    assert_eq!(told(&observer), None);

    own.transact(|txn| txn.create_with_key("Note", "own").map(drop)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let other = instances.open_dynamic(&plain).unwrap();
            other.transact(|txn| txn.create_with_key("Note", "other").map(drop)).unwrap();
        });
    });
    assert_eq!(told(&observer), Some((key("own"), vec![])));
    assert_eq!(told(&observer), Some((key("other"), vec![])));
    assert_eq!(told(&observer), None);
}

#[test]
fn opening_typed_tells_the_observers_of_who_has_it_open() {
    let dir = tempfile::tempdir().unwrap();
    let (app, instances) = start(&dir);
    let plain = Configuration::builder(&app).build().unwrap();
    let first = instances.open(&plain).unwrap();
    first.transact(|txn| txn.create_with_key("Note", "lost").map(drop)).unwrap();
    first.close().unwrap();

    let more = note().with(Property::new("more", Scalar::Int).unwrap());
    let changed = Configuration::builder(&app)
        .modules([Module::new("more", [more])])
        .delete_if_migration_needed()
        .unwrap()
        .build()
        .unwrap();
    let dynamic = instances.open_dynamic(&changed).unwrap();
    let (_, observer) = dynamic.observe().unwrap();
    let typed = instances.open(&changed).unwrap();
    assert_eq!(told(&observer), Some((vec![], key("lost"))));
    typed.transact(|txn| txn.create_with_key("Note", "new").map(drop)).unwrap();
    assert_eq!(told(&observer), Some((key("new"), vec![])));
}

#[test]
fn beginning_to_observe_within_a_transaction_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (app, instances) = start(&dir);
    let plain = Configuration::builder(&app).build().unwrap();
    let own = instances.open(&plain).unwrap();
    let refused = own.transact(|_| own.observe().map(drop));
    assert!(
        matches!(refused, Err(Error::Instance(InstanceError::InTransaction { .. }))),
        "{refused:?}"
    );
}

#[test]
fn opening_typed_beside_a_writer_decides_on_what_the_writer_left() {
    let dir = tempfile::tempdir().unwrap();
    let (app, instances) = start(&dir);
    let user = User::new("u", "http://127.0.0.1:9080/auth").unwrap();
    for round in 0..50 {
        let url = format!("realm://127.0.0.1:9080/~/{round}");
        let synced = Configuration::sync_builder(&app, &user, &url).unwrap().build().unwrap();
        let ready = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let dynamic = instances.open_dynamic(&synced).unwrap();
                ready.store(true, Ordering::Release);
                match dynamic.transact(|txn| txn.add_class(&note())) {
                    Ok(()) | Err(Error::Object(ObjectError::ClassExists { .. })) => {}
                    Err(error) => panic!("round {round}: {error}"),
                }
                dynamic.transact(|txn| txn.create_with_key("Note", "kept").map(drop)).unwrap();
            });
            while !ready.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            // Whoever comes first, the other one finds the class there, or makes it.
            drop(instances.open(&synced).unwrap());
        });
    }
}
