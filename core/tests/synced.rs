//! Schema changes of a synced file: additions only.

use fastness::config::{App, Configuration, User};
use fastness::instance::FileRegistry;
use fastness::object::{Database, DatabaseOptions, Transaction};
use fastness::schema::{Class, Module, Property, Scalar, Schema, SchemaMode};
use fastness::{Error, ErrorKind, ObjectError, Result, StoreOptions};
use fastness_testkit::property;

fn dog() -> Class {
    Class::new("Dog")
        .unwrap()
        .with(property("name", Scalar::String).required().primary_key())
        .with(property("age", Scalar::Int).indexed())
        .with(property("weight", Scalar::Float))
        .with(property("note", Scalar::String))
}

fn cat() -> Class {
    Class::new("Cat").unwrap().with(property("lives", Scalar::Int))
}

fn schema() -> Schema {
    Schema::new([dog(), cat()]).unwrap()
}

fn synced() -> Database {
    let wanted = DatabaseOptions::schema(schema(), 0).mode(SchemaMode::Additive).synced();
    Database::in_memory(&StoreOptions::new(), &wanted).unwrap()
}

type SyncedChange = fn(&mut Transaction) -> Result<()>;

/// Every operation on classes, and its outcome in a synced file.
const TABLE: &[(&str, SyncedChange, Option<ErrorKind>)] = &[
    ("add a class", |txn| txn.add_class(&Class::new("Bird")?), None),
    (
        "add a class with a primary key",
        |txn| {
            let id = Property::new("id", Scalar::Int)?.primary_key();
            txn.add_class(&Class::new("Bird")?.with(id))
        },
        None,
    ),
    (
        "add a property",
        |txn| txn.add_property("Dog", &Property::new("color", Scalar::String)?),
        None,
    ),
    ("add an index", |txn| txn.set_indexed("Cat", "lives", true), None),
    ("remove a class", |txn| txn.remove_class("Cat"), Some(ErrorKind::InvalidArgument)),
    ("rename a class", |txn| txn.rename_class("Cat", "Lion"), Some(ErrorKind::InvalidArgument)),
    (
        "remove a property",
        |txn| txn.remove_property("Dog", "age"),
        Some(ErrorKind::InvalidArgument),
    ),
    (
        "remove the property that is the primary key",
        |txn| txn.remove_property("Dog", "name"),
        Some(ErrorKind::InvalidArgument),
    ),
    (
        "rename a property",
        |txn| txn.rename_property("Dog", "age", "years"),
        Some(ErrorKind::InvalidArgument),
    ),
    (
        "remove an index",
        |txn| txn.set_indexed("Dog", "age", false),
        Some(ErrorKind::InvalidArgument),
    ),
    (
        "remove a primary key",
        |txn| txn.set_primary_key("Dog", None),
        Some(ErrorKind::InvalidArgument),
    ),
    ("make nullable", |txn| txn.set_nullable("Dog", "age", true), Some(ErrorKind::InvalidArgument)),
    (
        "make the primary key nullable",
        |txn| txn.set_nullable("Dog", "name", true),
        Some(ErrorKind::InvalidArgument),
    ),
    (
        "make required",
        |txn| txn.set_nullable("Dog", "note", false),
        Some(ErrorKind::InvalidArgument),
    ),
    (
        "add a primary key",
        |txn| txn.set_primary_key("Cat", Some("lives")),
        Some(ErrorKind::Unsupported),
    ),
    (
        "change a primary key",
        |txn| txn.set_primary_key("Dog", Some("age")),
        Some(ErrorKind::Unsupported),
    ),
    (
        "add a property that is the primary key",
        |txn| txn.add_property("Cat", &Property::new("id", Scalar::Int)?.primary_key()),
        Some(ErrorKind::Unsupported),
    ),
];

#[test]
fn classes_of_a_synced_file_are_only_added_and_a_refusal_changes_nothing() {
    for (about, change, expected) in TABLE {
        let database = synced();
        let mut txn = database.write().unwrap();
        let outcome = change(&mut txn);
        assert_eq!(outcome.as_ref().err().map(Error::kind), *expected, "{about}: {outcome:?}");
        // A refused operation changes nothing, and the transaction continues.
        let rex = txn.create_with_key("Dog", "Rex").unwrap();
        txn.set(&rex, "age", 7).unwrap();
        txn.commit().unwrap();
        let stored = database.snapshot().unwrap().view().schema().unwrap();
        assert_eq!(stored == schema(), expected.is_some(), "{about}");
        // A file that is not synced allows all of them.
        let wanted = DatabaseOptions::schema(schema(), 0);
        let local = Database::in_memory(&StoreOptions::new(), &wanted).unwrap();
        local.transact(change).unwrap();
        assert_ne!(local.snapshot().unwrap().view().schema().unwrap(), schema(), "{about}");
    }
}

#[test]
fn a_refusal_names_what_is_synced() {
    let database = synced();
    let mut txn = database.write().unwrap();
    let class = || "Dog".to_owned();
    let property = || "age".to_owned();
    let whole = ObjectError::SyncedChange { class: class(), property: None };
    assert_eq!(txn.remove_class("Dog"), Err(whole.into()));
    let part = ObjectError::SyncedChange { class: class(), property: Some(property()) };
    assert_eq!(txn.remove_property("Dog", "age"), Err(part.into()));
    let key = ObjectError::SyncedKey { class: class(), property: property() };
    assert_eq!(txn.set_primary_key("Dog", Some("age")), Err(key.into()));
    // An unknown property is reported as such, and a change without effect is allowed.
    let unknown = txn.remove_property("Dog", "tail").unwrap_err();
    assert!(matches!(unknown, Error::Object(ObjectError::PropertyUnknown { .. })));
    txn.set_primary_key("Dog", Some("name")).unwrap();
    txn.set_indexed("Cat", "lives", false).unwrap();
    txn.set_nullable("Dog", "age", false).unwrap();
}

/// The additive mode still makes its own changes.
#[test]
fn opening_a_synced_file_applies_the_decision_of_its_mode() {
    let database = synced();
    let bird = Class::new("Bird").unwrap().with(property("wings", Scalar::Int));
    let without_index = Class::new("Dog")
        .unwrap()
        .with(property("name", Scalar::String).required().primary_key())
        .with(property("age", Scalar::Int))
        .with(property("color", Scalar::String));
    let wanted = DatabaseOptions::schema(Schema::new([bird, without_index]).unwrap(), 1);
    let wanted = wanted.mode(SchemaMode::Additive).synced();
    let database = Database::from_store(database.store().clone(), &wanted).unwrap();
    let stored = database.snapshot().unwrap().view().schema().unwrap();
    let dog = stored.class("Dog").unwrap();
    assert!(stored.class("Bird").is_some() && stored.class("Cat").is_some());
    assert!(!dog.property("age").unwrap().is_indexed(), "the index was not removed");
    assert!(dog.property("color").is_some() && dog.property("weight").is_some());
}

#[test]
fn instances_of_a_synced_configuration_are_bound_by_it_typed_and_dynamic() {
    let dir = tempfile::tempdir().unwrap();
    let app = App::new(dir.path()).default_module(Module::new("app", [dog(), cat()]));
    let instances = FileRegistry::open(&app, StoreOptions::new()).unwrap();
    let user = User::new("user", "http://objectserver.realm.io/auth").unwrap();
    let url = "realm://objectserver.realm.io/default";
    let synced = Configuration::sync_builder(&app, &user, url).unwrap().build().unwrap();
    let local = Configuration::builder(&app).build().unwrap();
    let typed = instances.open_instance(&synced).unwrap();
    let dynamic = instances.open_dynamic(&synced).unwrap();
    for instance in [typed, dynamic] {
        for (about, change, expected) in TABLE {
            let outcome = instance.transact(|txn| {
                change(txn)?;
                // Only the outcome is of interest here.
                Err::<(), _>(Error::TransactionFailed)
            });
            let kind = expected.unwrap_or(ErrorKind::IllegalState);
            assert_eq!(outcome.unwrap_err().kind(), kind, "{about}");
        }
    }
    let local = instances.open_dynamic(&local).unwrap();
    local.transact(|txn| txn.add_class(&cat())).unwrap();
    local.transact(|txn| txn.remove_class("Cat")).unwrap();
}
