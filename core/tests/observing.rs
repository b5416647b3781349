//! Subscriptions to files that instances have open, for changes of any instance.

use fastness::config::{App, Configuration, User};
use fastness::instance::FileRegistry;
use fastness::object::{
    Database, DatabaseOptions, ListChanges, ObjectKey, Snapshot, Subscription, Value,
};
use fastness::schema::{Class, Module, Property, PropertyType, Scalar, Schema};
use fastness::{Error, InstanceError, ObjectError, StoreOptions};
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

fn note() -> Class {
    let key = Property::new("key", Scalar::String).unwrap().required().primary_key();
    Class::new("Note").unwrap().with(key)
}

fn start(dir: &TempDir) -> (App, FileRegistry) {
    let app = App::new(dir.path()).default_module(Module::new("notes", [note()]));
    let instances = FileRegistry::open(&app, StoreOptions::new()).unwrap();
    (app, instances)
}

/// Returns which notes the next commit inserted, and which it deleted.
fn received(observer: &Subscription) -> Option<(Vec<ObjectKey>, Vec<ObjectKey>)> {
    let changes = observer.try_recv()?;
    let notes = changes.classes["Note"].clone();
    Some((notes.inserted, notes.deleted))
}

fn key(text: &str) -> Vec<ObjectKey> {
    vec![ObjectKey::String(text.to_owned())]
}

#[test]
fn a_subscription_delivers_commits_of_any_instance_on_any_thread() {
    let dir = tempfile::tempdir().unwrap();
    let (app, instances) = start(&dir);
    let plain = Configuration::builder(&app).build().unwrap();
    let own = instances.open_instance(&plain).unwrap();
    own.transact(|txn| txn.create_with_key("Note", "before").map(drop)).unwrap();
    let (notes, observer) = own.subscribe().unwrap();
    assert_eq!(notes.objects("Note").unwrap().len(), 1);
    assert_eq!(received(&observer), None);

    own.transact(|txn| txn.create_with_key("Note", "own").map(drop)).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let other = instances.open_dynamic(&plain).unwrap();
            other.transact(|txn| txn.create_with_key("Note", "other").map(drop)).unwrap();
        });
    });
    assert_eq!(received(&observer), Some((key("own"), vec![])));
    assert_eq!(received(&observer), Some((key("other"), vec![])));
    assert_eq!(received(&observer), None);
}

#[test]
fn opening_typed_tells_the_observers_of_who_has_it_open() {
    let dir = tempfile::tempdir().unwrap();
    let (app, instances) = start(&dir);
    let plain = Configuration::builder(&app).build().unwrap();
    let first = instances.open_instance(&plain).unwrap();
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
    let (_, observer) = dynamic.subscribe().unwrap();
    let typed = instances.open_instance(&changed).unwrap();
    assert_eq!(received(&observer), Some((vec![], key("lost"))));
    typed.transact(|txn| txn.create_with_key("Note", "new").map(drop)).unwrap();
    assert_eq!(received(&observer), Some((key("new"), vec![])));
}

#[test]
fn beginning_to_observe_within_a_transaction_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (app, instances) = start(&dir);
    let plain = Configuration::builder(&app).build().unwrap();
    let own = instances.open_instance(&plain).unwrap();
    let refused = own.transact(|_| own.subscribe().map(drop));
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
            // One thread creates the class, and the other finds it.
            drop(instances.open_instance(&synced).unwrap());
        });
    }
}

/// One commit makes every kind of change to a list, and the delivered changes turn the old list
/// into the new one.
#[test]
fn changes_of_a_list_are_delivered_by_positions_and_ids() {
    let tricks = PropertyType::List { of: Scalar::String, nullable: false };
    let dog = Class::new("Dog").unwrap().with(Property::new("tricks", tricks).unwrap());
    let wanted = DatabaseOptions::schema(Schema::new([dog]).unwrap(), 0);
    let database = Database::in_memory(&StoreOptions::new(), &wanted).unwrap();
    let rex = database.transact(|txn| {
        let rex = txn.create("Dog")?;
        ["sit", "roll", "beg", "jump"]
            .into_iter()
            .try_for_each(|trick| txn.list(&rex, "tricks")?.push(trick).map(drop))?;
        Ok(rex)
    });
    let rex = rex.unwrap();
    let (before, observer) = database.subscribe().unwrap();
    let list =
        |snapshot: &Snapshot| snapshot.object(&rex).unwrap().unwrap().list("tricks").unwrap();
    let before = list(&before);
    let changed = database.transact(|txn| {
        let mut tricks = txn.list(&rex, "tricks")?;
        tricks.remove(1)?;
        tricks.move_to(0, 2)?;
        tricks.set(0, "beg twice")?;
        tricks.insert(1, "fetch").map(drop)
    });
    changed.unwrap();
    let after = list(&database.snapshot().unwrap());
    let values: Vec<_> = after.iter().map(|element| element.value.clone()).collect();
    assert_eq!(values, ["beg twice", "fetch", "jump", "sit"].map(Value::from));

    let received = observer.try_recv().unwrap();
    let (key, properties) = &received.classes["Dog"].modified[0];
    assert_eq!((key, properties.len(), properties[0].property.as_str()), (&rex.key, 1, "tricks"));
    let expected = ListChanges {
        deleted: vec![(1, before[1].id)],
        inserted: vec![(1, after[1].id)],
        modified: vec![(0, before[2].id)],
        moved: vec![(0, 3, before[0].id)],
    };
    assert_eq!(properties[0].list.as_ref(), Some(&expected));

    let mut ids: Vec<_> = before.iter().map(|element| element.id).collect();
    let out = expected.deleted.iter().map(|(_, id)| id);
    let out: Vec<_> = out.chain(expected.moved.iter().map(|(.., id)| id)).collect();
    ids.retain(|id| !out.contains(&id));
    let into = expected.inserted.iter().copied();
    let mut into: Vec<_> = into.chain(expected.moved.iter().map(|m| (m.1, m.2))).collect();
    into.sort();
    into.into_iter().for_each(|(at, id)| ids.insert(at, id));
    assert_eq!(ids, after.iter().map(|element| element.id).collect::<Vec<_>>());
    assert!(observer.try_recv().is_none());
}
