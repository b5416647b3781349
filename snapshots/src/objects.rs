//! Golden files of objects: their contents, and the program that creates them.

use crate::{Golden, key};
use fastness::object::{
    Database, DatabaseOptions, ObjectId, PropertyValue, Timestamp, Transaction, Value,
};
use fastness::schema::{Class, Property, PropertyType, Scalar, Schema};
use fastness::vfs::MemoryVfs;
use fastness::{Result, StoreOptions};
use fastness_testkit::{CountingRandom, read_file};
use std::path::Path;
use std::sync::Arc;

/// All golden files of objects, with schema version 3.
pub const OBJECT_FILES: &[Golden] = &[
    Golden { name: "v2-objects-plain.fastness", encrypted: false, closed: true },
    Golden { name: "v2-objects-encrypted.fastness", encrypted: true, closed: true },
];

/// The golden files of long lists.
pub const LIST_FILES: &[Golden] = &[
    Golden { name: "v2-lists-plain.fastness", encrypted: false, closed: true },
    Golden { name: "v2-lists-encrypted.fastness", encrypted: true, closed: true },
];

/// Their classes: one with a primary key and one without, an index, links, lists, a counter, an
/// out-of-line value, and a class without objects.
///
/// # Errors
/// None is expected.
pub fn schema() -> Result<Schema> {
    let dog = PropertyType::Object("Dog".to_owned());
    let dogs = PropertyType::ObjectList("Dog".to_owned());
    let tricks = PropertyType::List { of: Scalar::String, nullable: true };
    let classes = [
        Class::new("Dog")?
            .with(Property::new("name", Scalar::String)?.required().primary_key())
            .with(Property::new("age", Scalar::Int)?.nullable().indexed())
            .with(Property::new("friend", dog)?)
            .with(Property::new("note", Scalar::String)?)
            .with(Property::new("tricks", tricks)?),
        Class::new("Walk")?
            .with(Property::new("began", Scalar::Timestamp)?)
            .with(Property::new("dogs", dogs)?)
            .with(Property::new("steps", PropertyType::Counter)?),
        Class::new("Empty")?.with(Property::new("flag", Scalar::Bool)?),
    ];
    Ok(Schema::new(classes)?)
}

/// The out-of-line value: 1,500 bytes; byte `i` is letter `i % 26`.
#[must_use]
pub fn note() -> String {
    ('a'..='z').cycle().take(1500).collect()
}

fn fill(txn: &mut Transaction) -> Result<()> {
    let rex = txn.create_with_key("Dog", "Rex")?;
    let ida = txn.create_with_key("Dog", "Ida")?;
    txn.set(&rex, "age", 7)?;
    txn.set(&rex, "friend", &ida)?;
    txn.set(&ida, "note", note())?;
    for trick in [Value::from("sit"), Value::Null, Value::from("roll")] {
        txn.list(&ida, "tricks")?.push(trick)?;
    }
    let walk = txn.create("Walk")?;
    txn.set(&walk, "began", Timestamp::new(1_511_343_015, 500))?;
    txn.add(&walk, "steps", 4321)?;
    [&rex, &ida, &rex].into_iter().try_for_each(|dog| walked(txn, &walk, dog))
}

fn walked(txn: &mut Transaction, walk: &ObjectId, dog: &ObjectId) -> Result<()> {
    txn.list(walk, "dogs")?.push(dog).map(drop)
}

/// Creates the bytes of a golden file of objects, in one commit.
///
/// # Errors
/// Those of the store; none is expected.
pub fn make(golden: Golden) -> Result<Vec<u8>> {
    make_filled(golden, &DatabaseOptions::schema(schema()?, 3).initial_data(&fill))
}

/// Creates the bytes of a golden file of long lists: that of `Log` holds 0 to 299 in chunks, and
/// its last element was moved to the front.
///
/// # Errors
/// Those of the store; none is expected.
pub fn make_lists(golden: Golden) -> Result<Vec<u8>> {
    let numbers = PropertyType::List { of: Scalar::Int, nullable: false };
    let class = Class::new("Log")?.with(Property::new("numbers", numbers)?);
    let fill = |txn: &mut Transaction| {
        let id = txn.create_with("Log", &[("numbers", PropertyValue::list(0..300))])?;
        txn.list(&id, "numbers")?.move_to(299, 0)
    };
    make_filled(golden, &DatabaseOptions::schema(Schema::new([class])?, 1).initial_data(&fill))
}

fn make_filled(golden: Golden, wanted: &DatabaseOptions<'_>) -> Result<Vec<u8>> {
    let vfs = MemoryVfs::default();
    let path = Path::new(golden.name);
    let options = StoreOptions::new()
        .vfs(Arc::new(vfs.clone()))
        .random_source(Arc::<CountingRandom>::default());
    let options = if golden.encrypted { options.key(key()) } else { options };
    drop(Database::open(&options, path, wanted)?);
    Ok(read_file(&vfs, path))
}
