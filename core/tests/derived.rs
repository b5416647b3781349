//! Structs of every form that the derive accepts, with names and types that could collide with the
//! generated code. Its own tests and its documentation have the refusals.

#![deny(warnings)]

use fastness::StoreOptions;
use fastness::object::{Database, DatabaseOptions, ObjectKey, RowId};
use fastness::schema::{Class, Property, PropertyType, Scalar, Schema};
use fastness::typed::{Link, Object};

fn database(classes: impl IntoIterator<Item = Class>) -> Database {
    let wanted = DatabaseOptions::schema(Schema::new(classes).unwrap(), 0);
    Database::in_memory(&StoreOptions::new(), &wanted).unwrap()
}

macro_rules! class {
    ($name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* }) => {
        #[derive(Object, Clone, Debug, Default, PartialEq)]
        struct $name { $($(#[$attribute])* $field: $type,)* }
    };
}

class!(Made {
    #[object(primary_key)]
    id: i64,
    #[object(indexed)]
    name: Option<String>,
    friend: Option<Link<Made>>,
    #[object(backlinks = "friend")]
    friends: Vec<Link<Made>>,
    scores: Vec<f64>,
    #[object(ignored)]
    seen: bool,
});

#[test]
fn a_struct_may_be_made_by_a_macro() {
    let database = database([Made::class().unwrap()]);
    let made = Made { id: 3, name: Some("a".into()), scores: vec![0.5], ..Made::default() };
    let link = database.transact(|txn| made.create(txn)).unwrap();
    assert_eq!(link.get(&database.snapshot().unwrap()).unwrap(), Some(made));
}

type Age = i64;
type Names = Vec<String>;

/// Names that the derive writes too, a link to itself, and types by other names.
#[derive(Object, Clone, Debug, Default, PartialEq)]
struct Option_ {
    object: i64,
    property: Age,
    key: Names,
    txn: Option<Link<Self>>,
    r#fn: Option<Vec<u8>>,
    list: Vec<Option<Vec<u8>>>,
    lists: Vec<Vec<u8>>,
}

#[test]
fn names_that_the_derive_writes_are_free_for_fields() {
    let database = database([Option_::class().unwrap()]);
    let first = Option_ {
        object: 1,
        property: 2,
        key: vec!["a".into()],
        txn: None,
        r#fn: Some(vec![1]),
        list: vec![None, Some(vec![2])],
        lists: vec![vec![], vec![3]],
    };
    let second = database.transact(|txn| {
        let txn_ = Some(first.create(txn)?);
        Option_ { txn: txn_, ..first.clone() }.create(txn)
    });
    let second = second.unwrap().get(&database.snapshot().unwrap()).unwrap().unwrap();
    assert_eq!(Option_ { txn: None, ..second.clone() }, first);
    assert_eq!(second.txn.unwrap().id().key, ObjectKey::Row(RowId::local(1)));
}

mod elsewhere {
    use fastness::typed::Object;

    /// A public struct with private fields.
    #[derive(Object, Default)]
    pub(crate) struct Shown {
        /// A key that may be null.
        #[object(primary_key)]
        pub(crate) id: Option<String>,
        #[deprecated = "the generated code may use it without a warning"]
        pub(crate) old: i64,
        hidden: i64,
    }

    impl Shown {
        pub(crate) fn new(id: Option<&str>, hidden: i64) -> Self {
            Self { id: id.map(str::to_owned), hidden, ..Self::default() }
        }

        pub(crate) fn hidden(&self) -> i64 {
            self.hidden
        }
    }
}

#[test]
fn fields_may_be_private_and_keys_null() {
    use elsewhere::Shown;
    let database = database([Shown::class().unwrap()]);
    let link = database.transact(|txn| {
        Shown::new(Some("a"), 1).create(txn)?;
        Shown::new(None, 2).create(txn)
    });
    let link = link.unwrap();
    assert_eq!(link.id().key, ObjectKey::Null);
    let found = link.get(&database.snapshot().unwrap()).unwrap().unwrap();
    assert_eq!((found.id.as_deref(), found.hidden()), (None, 2));
}

#[derive(Object, Debug, Default, PartialEq)]
struct Nothing {}

#[derive(Object, Debug, Default, PartialEq)]
#[object(class = "Ünüsual name, 57 at most")]
struct Renamed {
    #[object(property = "größe in cm")]
    size: f32,
    #[object(property = "type", indexed)]
    kind: bool,
    #[object(indexed, property = "size")]
    r#type: i64,
}

#[test]
fn classes_may_be_empty_and_names_of_any_script() {
    let property = |name, kind: Scalar| Property::new(name, PropertyType::Scalar(kind)).unwrap();
    let expected = Class::new("Ünüsual name, 57 at most")
        .unwrap()
        .with(property("größe in cm", Scalar::Float))
        .with(property("type", Scalar::Bool).indexed())
        .with(property("size", Scalar::Int).indexed());
    let classes = [Nothing::class().unwrap(), Renamed::class().unwrap()];
    assert_eq!(classes, [Class::new("Nothing").unwrap(), expected]);
    let database = database(classes);
    let renamed = Renamed { size: -0.5, kind: true, r#type: 7 };
    let (nothing, link) =
        database.transact(|txn| Ok((Nothing {}.create(txn)?, renamed.create(txn)?))).unwrap();
    let snapshot = database.snapshot().unwrap();
    assert_eq!(nothing.get(&snapshot).unwrap(), Some(Nothing {}));
    assert_eq!(link.get(&snapshot).unwrap(), Some(renamed));
}
