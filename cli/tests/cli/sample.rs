//! A sample file with a value of every type, and its literal contents.

use super::{TestFolder, fork_lock, options};
use fastness::object::{Database, DatabaseOptions, Timestamp, Transaction, Value};
use fastness::schema::{Class, Property, PropertyType, Scalar, Schema};
use fastness::{Error, Store};
use serde_json::{Value as Json, json};
use std::path::PathBuf;

/// Number of objects in the class that fills several pages.
pub(crate) const MANY: i64 = 120;

/// Longer than a page.
pub(crate) fn long_text() -> String {
    "0123456789".repeat(700)
}

fn property(name: &str, kind: impl Into<PropertyType>) -> Property {
    Property::new(name, kind).unwrap()
}

fn list(name: &str, of: Scalar) -> Property {
    property(name, PropertyType::List { of, nullable: true })
}

pub(crate) fn schema() -> Schema {
    let link = |class: &str| PropertyType::Object(class.to_owned());
    let person = Class::new("Person").unwrap();
    let person = person
        .with(property("email", Scalar::String).required().primary_key())
        .with(property("age", Scalar::Int).nullable().indexed())
        .with(property("friend", link("Person")));
    let slot = Class::new("Slot").unwrap();
    let slot = slot
        .with(property("number", Scalar::Int).nullable().primary_key())
        .with(property("note", Scalar::String));
    let all = [
        property("int", Scalar::Int).nullable(),
        property("bool", Scalar::Bool),
        property("text", Scalar::String),
        property("bytes", Scalar::Binary),
        property("time", Scalar::Timestamp),
        property("float", Scalar::Float),
        property("double", Scalar::Double),
        property("counter", PropertyType::Counter),
        property("person", link("Person")),
        property("slot", link("Slot")),
        property("other", link("All")),
        property("persons", PropertyType::ObjectList("Person".to_owned())),
        property("slots", PropertyType::ObjectList("Slot".to_owned())),
        list("ints", Scalar::Int),
        list("bools", Scalar::Bool),
        list("texts", Scalar::String),
        list("binaries", Scalar::Binary),
        list("times", Scalar::Timestamp),
        list("floats", Scalar::Float),
        list("doubles", Scalar::Double),
    ];
    let all = all.into_iter().fold(Class::new("All").unwrap(), Class::with);
    let many = Class::new("many").unwrap();
    let many =
        many.with(property("id", Scalar::Int).primary_key()).with(property("text", Scalar::String));
    Schema::new([person, slot, all, many]).unwrap()
}

fn fill(txn: &mut Transaction) -> Result<(), Error> {
    let ann = txn.create_with_key("Person", "ann@example.org")?;
    let bo = txn.create_with_key("Person", "bo's \"key\"")?;
    txn.set(&ann, "age", 34)?;
    txn.set(&ann, "friend", &bo)?;
    let none = txn.create_with_key("Slot", Value::Null)?;
    let minus = txn.create_with_key("Slot", -5)?;
    txn.set(&none, "note", "without a number")?;
    let empty = txn.create("All")?;
    let all = txn.create("All")?;
    txn.set(&all, "int", i64::MIN)?;
    txn.set(&all, "bool", true)?;
    txn.set(&all, "text", "\u{e9} \"\n\0")?;
    txn.set(&all, "bytes", vec![0_u8, 255, 16])?;
    txn.set(&all, "time", Timestamp::new(1_511_343_015, 1))?;
    txn.set(&all, "float", 0.1_f32)?;
    txn.set(&all, "double", f64::NAN)?;
    txn.add(&all, "counter", -3)?;
    txn.set(&all, "person", &ann)?;
    txn.set(&all, "slot", &none)?;
    txn.set(&all, "other", &empty)?;
    let null = || Value::Null;
    let lists: [(&str, Vec<Value<'_>>); 9] = [
        ("persons", vec![bo.clone().into(), ann.into(), bo.into()]),
        ("slots", vec![minus.into(), none.into()]),
        ("ints", vec![1.into(), null(), i64::MAX.into()]),
        ("bools", vec![false.into(), null()]),
        ("texts", vec!["".into(), null(), "b".into()]),
        ("binaries", vec![vec![0_u8; 0].into(), null(), vec![7_u8].into()]),
        ("times", vec![Timestamp::default().into(), null()]),
        ("floats", vec![f32::INFINITY.into(), null(), 1.5_f32.into()]),
        ("doubles", vec![f64::NEG_INFINITY.into(), null(), 1e300.into()]),
    ];
    for (name, values) in lists {
        for value in values {
            txn.list(&all, name)?.push(value)?;
        }
    }
    for id in 0..MANY {
        let many = txn.create_with_key("many", id)?;
        let text = if id == 7 { long_text() } else { format!("{id} {}", "x".repeat(60)) };
        txn.set(&many, "text", text)?;
    }
    Ok(())
}

impl TestFolder {
    /// Creates a file of objects and one more tree, cleanly closed.
    pub(crate) fn objects(&self, name: &str, key: Option<[u8; 64]>, version: u64) -> PathBuf {
        let path = self.path(name);
        let guard = fork_lock();
        let wanted = DatabaseOptions::schema(schema(), version).initial_data(&fill);
        let database = Database::open(&options(key), &path, &wanted).unwrap();
        let store: &Store = database.store();
        let mut txn = store.write().unwrap();
        txn.tree("beside").unwrap().insert(b"key", b"value").unwrap();
        txn.commit().unwrap();
        drop(database);
        drop(guard);
        path
    }
}

/// The expected export of all classes except `many`.
pub(crate) fn exported() -> Json {
    let link = |key: Json| json!({ "key": key });
    let empty = json!({
        "int": null, "bool": false, "text": null, "bytes": null, "time": null, "float": 0.0,
        "double": 0.0, "counter": 0, "person": null, "slot": null, "other": null,
        "persons": [], "slots": [], "ints": [], "bools": [], "texts": [], "binaries": [],
        "times": [], "floats": [], "doubles": [],
    });
    let full = json!({
        "int": i64::MIN, "bool": true, "text": "\u{e9} \"\n\0", "bytes": "AP8Q",
        "time": "2017-11-22T09:30:15.000000001Z", "float": f64::from(0.1_f32), "double": "NaN",
        "counter": -3, "person": link(json!("ann@example.org")), "slot": link(Json::Null),
        "other": link(json!(1)),
        "persons": [
            link(json!("bo's \"key\"")), link(json!("ann@example.org")),
            link(json!("bo's \"key\"")),
        ],
        "slots": [link(json!(-5)), link(Json::Null)],
        "ints": [1, null, i64::MAX], "bools": [false, null], "texts": ["", null, "b"],
        "binaries": ["", null, "Bw=="], "times": ["1970-01-01T00:00:00.000000000Z", null],
        "floats": ["inf", null, 1.5], "doubles": ["-inf", null, 1e300],
    });
    json!({
        "All": [{ "key": 1, "values": empty }, { "key": 2, "values": full }],
        "Person": [
            { "key": "ann@example.org", "values": {
                "email": "ann@example.org", "age": 34, "friend": link(json!("bo's \"key\"")) } },
            { "key": "bo's \"key\"", "values": {
                "email": "bo's \"key\"", "age": null, "friend": null } },
        ],
        "Slot": [
            { "key": null, "values": { "number": null, "note": "without a number" } },
            { "key": -5, "values": { "number": -5, "note": null } },
        ],
    })
}
