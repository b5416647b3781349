//! Schema changes in a transaction: a refused change changes nothing, and the transaction continues
//! (B3). `synced.rs` has the refusals of synced files.

use fastness::object::{Database, DatabaseOptions, Transaction};
use fastness::schema::{Property, PropertyType, Scalar, Schema};
use fastness::{ErrorKind, Result, StoreOptions};
use fastness_testkit::{class, property};

const INVALID: ErrorKind = ErrorKind::InvalidArgument;
const STATE: ErrorKind = ErrorKind::IllegalState;

fn ints() -> PropertyType {
    PropertyType::List { of: Scalar::Int, nullable: false }
}

/// Owners, whose links are computed, not stored.
fn owners() -> Property {
    let (class, property_) = ("Person".to_owned(), "dog".to_owned());
    property("owners", PropertyType::LinkingObjects { class, property: property_ })
}

/// Two dogs of one age, one of them somebody's.
fn schema() -> Schema {
    let dog = class("Dog", [property("age", Scalar::Int), property("fur", Scalar::Double)]);
    let person = class("Person", [property("dog", PropertyType::Object("Dog".into()))]);
    Schema::new([dog, person]).unwrap()
}

fn fill(txn: &mut Transaction) -> Result<()> {
    txn.create("Dog")?;
    let (dog, person) = (txn.create("Dog")?, txn.create("Person")?);
    txn.set(&person, "dog", &dog)
}

type SchemaChange = fn(&mut Transaction) -> Result<()>;

/// Every way in which a change of classes is refused.
const REFUSED: &[(&str, SchemaChange, ErrorKind)] = &[
    ("a class that exists", |txn| txn.add_class(&class("Dog", [])), INVALID),
    (
        "a class with two properties of one name",
        |txn| {
            txn.add_class(&class("Cat", [property("a", Scalar::Int), property("a", Scalar::Bool)]))
        },
        STATE,
    ),
    (
        "a class with two primary keys",
        |txn| {
            let key = |name| property(name, Scalar::Int).primary_key();
            txn.add_class(&class("Cat", [key("a"), key("b")]))
        },
        STATE,
    ),
    (
        "a class whose primary key is no property",
        |txn| txn.add_class(&class("Cat", []).primary_key_named("a")),
        STATE,
    ),
    (
        "a class with an index of a list",
        |txn| txn.add_class(&class("Cat", [property("a", ints()).indexed()])),
        STATE,
    ),
    (
        "a class with more properties than records have room for",
        |txn| {
            let many = (0..8192).map(|number| property(&format!("p{number}"), Scalar::Int));
            txn.add_class(&class("Cat", many))
        },
        INVALID,
    ),
    ("to remove a class that does not exist", |txn| txn.remove_class("Cat"), INVALID),
    ("to remove a class that others link to", |txn| txn.remove_class("Dog"), STATE),
    ("to rename a class to an existing one", |txn| txn.rename_class("Dog", "Person"), INVALID),
    ("to rename a class to no name", |txn| txn.rename_class("Dog", ""), INVALID),
    ("a property of no class", |txn| txn.add_property("Cat", &property("a", Scalar::Int)), INVALID),
    (
        "a property that exists",
        |txn| txn.add_property("Dog", &property("age", Scalar::Bool)),
        INVALID,
    ),
    (
        "a primary key of a type that none can have",
        |txn| txn.add_property("Dog", &property("id", Scalar::Double).primary_key()),
        STATE,
    ),
    (
        "a primary key that would be the same of two objects",
        |txn| txn.add_property("Dog", &property("id", Scalar::Int).primary_key()),
        STATE,
    ),
    (
        "a list with an index",
        |txn| txn.add_property("Dog", &property("a", ints()).indexed()),
        STATE,
    ),
    (
        "a link that is never null",
        |txn| {
            let link = PropertyType::Object("Dog".into());
            txn.add_property("Dog", &property("a", link).required())
        },
        STATE,
    ),
    (
        "a counter that may be null",
        |txn| txn.add_property("Dog", &property("a", PropertyType::Counter).nullable()),
        STATE,
    ),
    ("to remove a property that does not exist", |txn| txn.remove_property("Dog", "a"), INVALID),
    ("to rename one to an existing one", |txn| txn.rename_property("Dog", "age", "fur"), INVALID),
    ("to rename one to a name with a dot", |txn| txn.rename_property("Dog", "age", "a.b"), INVALID),
    (
        "to choose a primary key that is not unique",
        |txn| txn.set_primary_key("Dog", Some("age")),
        STATE,
    ),
    (
        "to choose one of a type that none can have",
        |txn| txn.set_primary_key("Dog", Some("fur")),
        INVALID,
    ),
    ("to index a double", |txn| txn.set_indexed("Dog", "fur", true), INVALID),
    ("to require a link", |txn| txn.set_nullable("Person", "dog", false), INVALID),
];

#[test]
fn a_refused_operation_changes_nothing_and_the_transaction_goes_on() {
    let wanted = DatabaseOptions::schema(schema(), 0);
    let database = Database::in_memory(&StoreOptions::new(), &wanted).unwrap();
    database.transact(fill).unwrap();
    let mut txn = database.write().unwrap();
    for (what, change, kind) in REFUSED {
        let error = change(&mut txn).expect_err(what);
        assert_eq!(error.kind(), *kind, "{what}: {error}");
        assert_eq!(txn.view().schema().unwrap(), schema(), "{what}");
    }
    assert_eq!(txn.objects("Dog").unwrap().len(), 2);
    txn.create("Dog").unwrap();
    txn.commit().unwrap();
    let snapshot = database.snapshot().unwrap();
    assert_eq!(snapshot.view().schema().unwrap(), schema());
    assert_eq!(snapshot.objects("Dog").unwrap().len(), 3);
}

#[test]
fn whether_classes_fit_together_is_checked_at_the_end() {
    let wanted = DatabaseOptions::schema(schema(), 0);
    let database = Database::in_memory(&StoreOptions::new(), &wanted).unwrap();
    let cat = PropertyType::Object("Cat".into());
    let lost = database.transact(|txn| txn.add_property("Dog", &property("foe", cat.clone())));
    assert_eq!(lost.unwrap_err().kind(), ErrorKind::IllegalState);
    let both = database.transact(|txn| {
        txn.add_property("Dog", &property("foe", cat.clone()))?;
        txn.add_class(&class("Cat", []))
    });
    both.unwrap();
}

/// Once a file became unreadable by this: what is computed was stored, under a number that no
/// stored property has.
#[test]
fn a_computed_property_is_not_stored() {
    let dir = tempfile::tempdir().unwrap();
    let open = |wanted: &DatabaseOptions<'_>| {
        Database::open(&StoreOptions::new(), dir.path().join("dogs"), wanted)
    };
    let database = open(&DatabaseOptions::schema(schema(), 0)).unwrap();
    let added = database.transact(|txn| {
        fill(txn)?;
        txn.add_property("Dog", &owners())?;
        txn.add_class(&class("Cat", [owners()]))
    });
    added.unwrap();
    drop(database);
    let dog = schema().class("Dog").unwrap().clone().with(owners());
    let wanted = Schema::new([dog, schema().class("Person").unwrap().clone()]).unwrap();
    let database = open(&DatabaseOptions::schema(wanted, 0)).unwrap();
    let snapshot = database.snapshot().unwrap();
    assert_eq!(snapshot.view().schema().unwrap().class("Dog"), schema().class("Dog"));
    let dogs = snapshot.objects("Dog").unwrap();
    let owned = dogs.iter().unwrap().map(|dog| dog.unwrap().backlinks("Person", "dog").unwrap());
    assert_eq!(owned.map(|owners| owners.len()).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn a_class_is_added_with_the_primary_key_that_it_names() {
    let database = Database::in_memory(&StoreOptions::new(), &DatabaseOptions::dynamic()).unwrap();
    let cat = class("Cat", [property("id", Scalar::Int)]).primary_key_named("id");
    let twice = database.transact(|txn| {
        txn.add_class(&cat)?;
        txn.create_with_key("Cat", 1)?;
        txn.create_with_key("Cat", 1)
    });
    assert_eq!(twice.unwrap_err().kind(), ErrorKind::General);
}

/// The prefix of tables is left out however often a name has it; otherwise the name that is stored
/// would be read as another one.
#[test]
fn a_class_keeps_its_name_when_it_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let wanted = Schema::new([class("class_class_Dog", [])]).unwrap();
    for _ in 0..2 {
        let wanted = DatabaseOptions::schema(wanted.clone(), 0);
        let database =
            Database::open(&StoreOptions::new(), dir.path().join("dogs"), &wanted).unwrap();
        database.transact(|txn| txn.create("Dog")).unwrap();
    }
}
