//! Opening files whose classes differ: what becomes of the objects. The decisions themselves are in
//! `schema_modes.rs`.

use fastness::object::{
    Database, DatabaseOptions, Migration, ObjectKey, Snapshot, Transaction, Value,
};
use fastness::schema::{Class, Property, PropertyType, Scalar, Schema, SchemaError, SchemaMode};
use fastness::{Error, ErrorKind, ObjectError, Result, StoreOptions};
use fastness_testkit::property;

fn int(name: &str) -> Property {
    property(name, Scalar::Int)
}

fn schema(classes: &[(&str, Vec<Property>)]) -> Schema {
    let class = |(name, properties): &(&str, Vec<Property>)| {
        properties.iter().cloned().fold(Class::new(*name).unwrap(), Class::with)
    };
    Schema::new(classes.iter().map(class)).unwrap()
}

/// Dogs numbered, with an age; a person links to dogs in both ways.
fn before() -> Schema {
    let dog = PropertyType::Object("Dog".into());
    let dogs = PropertyType::ObjectList("Dog".into());
    schema(&[
        ("Dog", vec![int("age").nullable().indexed(), property("friend", dog.clone())]),
        ("Person", vec![property("dog", dog), property("dogs", dogs)]),
    ])
}

struct MigrationFile {
    dir: tempfile::TempDir,
}

impl MigrationFile {
    /// Makes a file of some dogs of these ages; each is the friend of the next.
    fn of_ages(ages: &[Option<i64>]) -> Self {
        let file = Self { dir: tempfile::tempdir().unwrap() };
        let database = file.open(&DatabaseOptions::schema(before(), 1)).unwrap();
        database
            .transact(|txn| {
                let mut dogs = Vec::new();
                for age in ages {
                    let dog = txn.create("Dog")?;
                    txn.set(&dog, "age", *age)?;
                    dogs.push(dog);
                }
                for pair in dogs.windows(2) {
                    txn.set(&pair[0], "friend", &pair[1])?;
                }
                let person = txn.create("Person")?;
                txn.set(&person, "dog", &dogs[0])?;
                for dog in dogs.iter().chain(&dogs) {
                    txn.list(&person, "dogs")?.push(dog)?;
                }
                Ok(())
            })
            .unwrap();
        file
    }

    fn open(&self, wanted: &DatabaseOptions<'_>) -> Result<Database> {
        Database::open(&StoreOptions::new(), self.dir.path().join("dogs"), wanted)
    }

    /// A snapshot of the file, opened without a schema.
    fn snapshot(&self) -> Snapshot {
        self.open(&DatabaseOptions::dynamic()).unwrap().snapshot().unwrap()
    }
}

/// Age of every dog, in the order of their keys, with the ages of those it is linked by.
fn ages(snapshot: &Snapshot) -> Vec<(Option<i64>, usize)> {
    let number = |value: Value<'_>| if let Value::Int(age) = value { Some(age) } else { None };
    let dogs = snapshot.objects("Dog").unwrap();
    dogs.iter()
        .unwrap()
        .map(|dog| {
            let dog = dog.unwrap();
            let owners = dog.backlinks("Person", "dogs").unwrap().len();
            (number(dog.get("age").unwrap()), owners)
        })
        .collect()
}

fn migrated(
    file: &MigrationFile,
    to: &Schema,
    migration: &dyn Fn(&mut Migration<'_>) -> Result<()>,
) -> Result<Database> {
    file.open(&DatabaseOptions::schema(to.clone(), 2).migration(migration))
}

#[test]
fn a_new_primary_key_takes_links_along() {
    let file = MigrationFile::of_ages(&[Some(5), Some(3), None]);
    let mut classes = before().classes().to_vec();
    let dog = classes.remove(0);
    let keyed = dog.primary_key_named("age");
    let wanted = Schema::new([keyed, classes.remove(0)]).unwrap();
    let database = migrated(&file, &wanted, &|migration| {
        migration.new_txn().set_primary_key("Dog", Some("age"))
    })
    .unwrap();
    {
        let snapshot = database.snapshot().unwrap();
        assert_eq!(snapshot.view().schema_version(), Some(2));
        assert_eq!(ages(&snapshot), [(None, 2), (Some(3), 2), (Some(5), 2)]);
        let five = snapshot.objects("Dog").unwrap().get(5).unwrap().unwrap();
        let Value::Link(three) = five.get("friend").unwrap() else { panic!("no friend") };
        assert_eq!(three.key, ObjectKey::Int(3));
        assert_eq!(snapshot.view().backlinks(&three, "Dog", "friend").unwrap(), [five.id()]);
        let person = snapshot.objects("Person").unwrap().iter().unwrap().next().unwrap().unwrap();
        assert_eq!(person.get("dog").unwrap(), Value::Link(five.id()));
    }
    drop(database);
    // And back: objects are numbered again, links follow.
    let wanted = DatabaseOptions::schema(before(), 3);
    let back = |migration: &mut Migration<'_>| {
        migration.new_txn().set_primary_key("Dog", None)?;
        migration.new_txn().set_indexed("Dog", "age", true)
    };
    let database = file.open(&wanted.migration(&back)).unwrap();
    let mut found = ages(&database.snapshot().unwrap());
    found.sort();
    assert_eq!(found, [(None, 2), (Some(3), 2), (Some(5), 2)]);
}

#[test]
fn keys_that_are_not_unique_end_the_migration_and_change_nothing() {
    let file = MigrationFile::of_ages(&[Some(4), Some(4)]);
    let wanted = schema(&[("Dog", vec![int("age").nullable().primary_key()])]);
    let error = migrated(&file, &wanted, &|migration| {
        migration.new_txn().set_primary_key("Dog", Some("age"))
    })
    .unwrap_err();
    assert!(matches!(error, Error::Object(ObjectError::KeysNotUnique { .. })), "{error}");
    assert_eq!(error.kind(), ErrorKind::IllegalState);
    assert_eq!(file.snapshot().view().schema().unwrap(), before());
    assert_eq!(file.snapshot().view().schema_version(), Some(1));
}

#[test]
fn a_key_that_is_no_longer_null_may_not_collide() {
    for (zero_is_there, outcome) in [(false, true), (true, false)] {
        let nullable = schema(&[("Dog", vec![int("id").nullable().primary_key()])]);
        let required = schema(&[("Dog", vec![int("id").primary_key()])]);
        let file = MigrationFile { dir: tempfile::tempdir().unwrap() };
        let database = file.open(&DatabaseOptions::schema(nullable, 1)).unwrap();
        database
            .transact(|txn| {
                txn.create_with_key("Dog", Value::Null)?;
                let second = if zero_is_there { 0 } else { 1 };
                txn.create_with_key("Dog", second).map(drop)
            })
            .unwrap();
        drop(database);
        let migrated = migrated(&file, &required, &|migration| {
            migration.new_txn().set_nullable("Dog", "id", false)
        });
        assert_eq!(migrated.is_ok(), outcome);
        drop(migrated);
        assert_eq!(file.snapshot().objects("Dog").unwrap().len(), 2);
    }
}

#[test]
fn a_renamed_key_stays_the_key() {
    let older = schema(&[("Dog", vec![int("id").primary_key(), int("age")])]);
    let newer = schema(&[("Hound", vec![int("number").primary_key(), int("age")])]);
    let file = MigrationFile { dir: tempfile::tempdir().unwrap() };
    drop(file.open(&DatabaseOptions::schema(older, 1)).unwrap());
    let database = migrated(&file, &newer, &|migration| {
        let txn = migration.new_txn();
        txn.rename_property("Dog", "id", "number")?;
        txn.rename_class("Dog", "Hound")
    })
    .unwrap();
    let twice = database.transact(|txn| {
        txn.create_with_key("Hound", 1)?;
        txn.create_with_key("Hound", 1)
    });
    assert!(matches!(twice, Err(Error::Object(ObjectError::KeyExists { .. }))));
}

#[test]
fn a_migration_that_leaves_something_else_is_needed_still() {
    let file = MigrationFile::of_ages(&[Some(1)]);
    let wanted = schema(&[("Dog", vec![int("age").nullable(), int("legs")])]);
    let error = migrated(&file, &wanted, &|migration| {
        assert_eq!((migration.from(), migration.to()), (1, 2));
        migration.new_txn().add_property("Dog", &int("legs"))
    })
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MigrationNeeded);
    assert!(matches!(error, Error::Schema(SchemaError::MigrationNeeded { .. })));
    assert_eq!(ages(&file.snapshot()), [(Some(1), 2)]);
    let database = migrated(&file, &wanted, &|migration| {
        let older = migration.old().clone();
        let txn = migration.new_txn();
        txn.add_property("Dog", &int("legs"))?;
        txn.remove_property("Dog", "friend")?;
        txn.set_indexed("Dog", "age", false)?;
        for dog in older.objects("Dog")?.iter()? {
            txn.set(&dog?.id(), "legs", 4)?;
        }
        Ok(())
    })
    .unwrap();
    let snapshot = database.snapshot().unwrap();
    let dog = snapshot.objects("Dog").unwrap().iter().unwrap().next().unwrap().unwrap();
    assert_eq!(dog.get("legs").unwrap(), 4.into());
    assert!(dog.get("friend").is_err());
}

#[test]
fn initial_data_is_written_once_and_only_to_a_fresh_file() {
    let fill = |txn: &mut Transaction| txn.create("Dog").map(drop);
    let file = MigrationFile { dir: tempfile::tempdir().unwrap() };
    for _ in 0..2 {
        let wanted = DatabaseOptions::schema(before(), 1).initial_data(&fill);
        let database = file.open(&wanted).unwrap();
        assert_eq!(database.snapshot().unwrap().objects("Dog").unwrap().len(), 1);
    }
    let error = |_: &mut Transaction| {
        Err(Error::Object(ObjectError::ClassUnknown { class: "Cat".into(), nearest: None }))
    };
    let other = MigrationFile { dir: tempfile::tempdir().unwrap() };
    other.open(&DatabaseOptions::schema(before(), 1).initial_data(&error)).unwrap_err();
    assert_eq!(other.snapshot().view().schema_version(), None);
    assert!(other.snapshot().objects("Dog").is_err());
}

#[test]
fn a_file_that_would_need_a_migration_is_emptied_in_mode_reset() {
    let file = MigrationFile::of_ages(&[Some(1)]);
    let wanted = schema(&[("Dog", vec![int("legs")])]);
    let fill = |txn: &mut Transaction| txn.create("Dog").map(drop);
    let wanted = DatabaseOptions::schema(wanted, 1).mode(SchemaMode::ResetFile).initial_data(&fill);
    let database = file.open(&wanted).unwrap();
    let snapshot = database.snapshot().unwrap();
    assert_eq!(snapshot.objects("Dog").unwrap().len(), 1);
    assert!(snapshot.objects("Person").is_err());
}

#[test]
fn additive_keeps_what_is_no_longer_wanted() {
    let file = MigrationFile::of_ages(&[Some(1), Some(2)]);
    let wanted = schema(&[("Dog", vec![int("legs").nullable().indexed()])]);
    let database =
        file.open(&DatabaseOptions::schema(wanted, 1).mode(SchemaMode::Additive)).unwrap();
    let snapshot = database.snapshot().unwrap();
    assert_eq!(ages(&snapshot), [(Some(1), 2), (Some(2), 2)]);
    let dog = snapshot.objects("Dog").unwrap().iter().unwrap().next().unwrap().unwrap();
    assert_eq!(dog.get("legs").unwrap(), Value::Null);
}

#[test]
fn automatic_brings_everything_about() {
    let file = MigrationFile::of_ages(&[Some(7), None]);
    let wanted = schema(&[
        ("Dog", vec![int("age"), property("id", Scalar::String).primary_key()]),
        ("Cat", vec![int("lives")]),
    ]);
    let fill = |migration: &mut Migration<'_>| {
        let older = migration.old().clone();
        let dogs = older.objects("Dog")?;
        for (index, dog) in dogs.iter()?.enumerate() {
            migration.new_txn().set(&dog?.id(), "id", format!("dog {index}"))?;
        }
        Ok(())
    };
    let wanted =
        DatabaseOptions::schema(wanted.clone(), 2).mode(SchemaMode::Automatic).migration(&fill);
    let database = file.open(&wanted).unwrap();
    let snapshot = database.snapshot().unwrap();
    let dogs = snapshot.objects("Dog").unwrap();
    assert_eq!(dogs.get("dog 0").unwrap().unwrap().get("age").unwrap(), 7.into());
    assert_eq!(dogs.get("dog 1").unwrap().unwrap().get("age").unwrap(), 0.into());
    assert_eq!(snapshot.objects("Cat").unwrap().len(), 0);
    let owner = snapshot.objects("Person").unwrap().iter().unwrap().next().unwrap().unwrap();
    assert_eq!(owner.list("dogs").unwrap().len(), 4);
}

#[test]
fn a_file_that_is_only_read_is_not_changed() {
    let file = MigrationFile::of_ages(&[Some(1)]);
    let read = |schema: Schema, version| {
        file.open(&DatabaseOptions::schema(schema, version).mode(SchemaMode::Immutable))
    };
    let database = read(before(), 1).unwrap();
    assert!(matches!(database.write(), Err(Error::ReadOnly { .. })));
    drop(database);
    assert_eq!(read(before(), 0).unwrap_err().kind(), ErrorKind::InvalidArgument);
    let cat = schema(&[("Cat", vec![int("lives")])]);
    let error = read(cat, 1).unwrap_err();
    assert!(matches!(error, Error::Schema(SchemaError::ClassesMissing { .. })), "{error}");
    let other = schema(&[("Dog", vec![property("age", Scalar::String)])]);
    assert_eq!(read(other, 1).unwrap_err().kind(), ErrorKind::IllegalState);
}

/// Objects are stored under one root among others. Other trees stay; only the removal of the whole
/// file removes them too.
#[test]
fn trees_beside_those_of_objects_stay_until_the_whole_file_is_removed() {
    const BESIDE: [&str; 4] = ["main2/schema", "mainly", "other/0", "other/schema"];
    let file = MigrationFile::of_ages(&[Some(7), Some(8)]);
    let path = file.dir.path().join("dogs");
    let store = StoreOptions::new().open(&path).unwrap();
    let mut txn = store.write().unwrap();
    for name in BESIDE {
        txn.tree(name).unwrap().insert(b"\0", name.as_bytes()).unwrap();
    }
    txn.commit().unwrap();
    drop(store);
    let beside = || {
        let store = StoreOptions::new().open_read_only(&path).unwrap();
        let snapshot = store.snapshot();
        let holds = |name: &str| snapshot.tree(name).get(b"\0").unwrap();
        BESIDE.map(|name| holds(name).is_some_and(|value| *value == *name.as_bytes()))
    };
    // Another primary key rebuilds a class.
    let dog = property("age", Scalar::Int).required().primary_key();
    let wanted =
        DatabaseOptions::schema(schema(&[("Dog", vec![dog])]), 2).mode(SchemaMode::Automatic);
    let database = file.open(&wanted).unwrap();
    assert!(database.snapshot().unwrap().objects("Dog").unwrap().get(8).unwrap().is_some());
    drop(database);
    assert_eq!(beside(), [true; 4]);
    let wanted = schema(&[("Dog", vec![int("legs")])]);
    let wanted = DatabaseOptions::schema(wanted, 3).mode(SchemaMode::ResetFile);
    let database = file.open(&wanted).unwrap();
    assert!(database.snapshot().unwrap().objects("Dog").unwrap().is_empty());
    drop(database);
    assert_eq!(beside(), [false; 4]);
}
