//! Fuzzing of files of objects: any bytes as a file, opened as a database.
//!
//! - P1 Reading and changing the objects of any file ends without a panic, in bounded memory.
//! - T6 It takes time linear in the length of the file, and no list has more elements than the file
//!   has bytes.

use super::file::FuzzedFile;
use super::sparse::Image;
use fastness::object::{
    Database, DatabaseOptions, Filter, ListMut, Object, ObjectId, Order, Transaction, Value, View,
};
use fastness::schema::{Class, Property, PropertyType, Scalar};
use fastness::vfs::MemoryVfs;
use fastness::{Store, StoreOptions};
use fastness_testkit::{CountingRandom, class, list, property, read_file};
use std::sync::Arc;

/// Objects of each class that are changed.
const CHANGED: usize = 3;

/// Opens the bytes as a database, and reads and changes its objects.
///
/// # Panics
/// If P1 or T6 is violated.
pub fn object_file(bytes: &[u8]) {
    let file = FuzzedFile::of_input(bytes);
    if let Some(store) = file.open_read_only() {
        drop(read(&file, &store));
    }
    if let Some(store) = file.open() {
        file.vfs.begin();
        drop(change(&file, &store));
        file.vfs.begin();
    }
}

fn read(file: &FuzzedFile, store: &Store) -> fastness::Result<()> {
    let database = Database::from_store(store.clone(), &DatabaseOptions::dynamic())?;
    let snapshot = database.snapshot()?;
    let view = snapshot.view();
    for class in view.schema()?.classes() {
        file.vfs.begin();
        let objects = view.objects(class.name())?;
        let found: Vec<_> = objects.salvage().filter_map(Result::ok).collect();
        for object in &found {
            file.vfs.begin();
            read_object(file, class, object);
        }
        file.vfs.begin();
        ends(objects.iter()?);
        for property in class.stored_properties() {
            file.vfs.begin();
            query(&view, class, property);
        }
    }
    Ok(())
}

/// Walks to the end, and returns how many items came before it. Nothing follows an error.
fn ends<T>(mut walk: impl Iterator<Item = fastness::Result<T>>) -> usize {
    let count = walk.by_ref().take_while(Result::is_ok).count();
    assert!(walk.next().is_none(), "A4: a walk goes on after it returned an error");
    count
}

fn read_object(file: &FuzzedFile, class: &Class, object: &Object<'_>) {
    for property in class.stored_properties() {
        if is_list(property) {
            let Ok(elements) = object.elements(property.name()) else { continue };
            let count = ends(elements);
            assert!(
                count <= file.len_bytes,
                "T6: a list has more elements than the file has bytes"
            );
        } else {
            drop(object.get(property.name()));
        }
        drop(object.backlinks(class.name(), property.name()));
    }
}

fn is_list(property: &Property) -> bool {
    matches!(property.kind(), PropertyType::List { .. } | PropertyType::ObjectList(_))
}

fn query(view: &View<'_>, class: &Class, property: &Property) {
    let Ok(objects) = view.objects(class.name()) else { return };
    drop(objects.query().sort(property.name(), Order::Ascending).first());
    drop(objects.query().max(property.name()));
    drop(objects.filter(Filter::is_null(property.name())).count());
}

fn change(file: &FuzzedFile, store: &Store) -> fastness::Result<()> {
    let database = Database::from_store(store.clone(), &DatabaseOptions::dynamic())?;
    let schema = database.snapshot()?.view().schema()?;
    for class in schema.classes() {
        file.vfs.begin();
        let mut txn = database.write()?;
        let objects = txn.objects(class.name())?.salvage();
        let ids: Vec<_> = objects.filter_map(Result::ok).take(CHANGED).map(|o| o.id()).collect();
        for id in &ids {
            for property in class.stored_properties() {
                file.vfs.begin();
                drop(change_property(&mut txn, id, property));
            }
        }
        file.vfs.begin();
        drop(txn.create(class.name()));
        if let Some(id) = ids.last() {
            drop(txn.delete(id));
        }
        file.vfs.begin();
        drop(txn.commit());
    }
    Ok(())
}

fn change_property(
    txn: &mut Transaction,
    id: &ObjectId,
    property: &Property,
) -> fastness::Result<()> {
    let name = property.name();
    if is_list(property) {
        return change_list(&mut txn.list(id, name)?);
    }
    drop(txn.add(id, name, i64::MAX));
    drop(txn.set(id, name, Value::Null));
    txn.set(id, name, 7_i64)
}

fn change_list(list: &mut ListMut<'_>) -> fastness::Result<()> {
    let len = list.len()?;
    for value in [Value::Null, Value::Int(5), Value::from("five")] {
        drop(list.push(value.clone()));
        drop(list.insert(len / 2, value));
    }
    drop(list.remove(0));
    list.move_to(0, list.len()?.saturating_sub(1))?;
    list.clear()
}

/// Returns the seed corpus: classes with every type, short and long lists, links and indexes.
///
/// # Panics
/// If the store fails in memory.
#[must_use]
pub fn object_file_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for encrypted in [false, true] {
        for (objects, elements) in [(0, 0), (3, 2), (6, 400)] {
            let file = make(encrypted, objects, elements);
            seeds.push(Image::of_file(&file, encrypted).write());
        }
    }
    seeds
}

fn make(encrypted: bool, objects: i64, elements: i64) -> Vec<u8> {
    let vfs = MemoryVfs::default();
    let mut options = StoreOptions::new()
        .vfs(Arc::new(vfs.clone()))
        .random_source(Arc::new(CountingRandom::default()));
    if encrypted {
        options = options.key(super::file_key());
    }
    let store = options.create("made.fastness").expect("memory has room");
    let database = Database::from_store(store, &DatabaseOptions::dynamic()).expect("a new file");
    let made = database.transact(|txn| fill(txn, objects, elements));
    made.expect("memory has room");
    drop(database);
    read_file(&vfs, "made.fastness")
}

fn fill(txn: &mut Transaction, objects: i64, elements: i64) -> fastness::Result<()> {
    for class in classes() {
        txn.add_class(&class)?;
    }
    let mut last = None;
    for number in 0..objects {
        let id = txn.create_with_key("Person", number)?;
        let long = "long".repeat(usize::try_from(number).unwrap_or_default() * 200);
        txn.set(&id, "name", long.as_str())?;
        txn.set(&id, "age", number * 7)?;
        if let Some(last) = &last {
            txn.set(&id, "friend", last)?;
        }
        let mut friends = txn.list(&id, "numbers")?;
        for element in 0..elements {
            friends.push(element * number)?;
        }
        let mut friends = txn.list(&id, "friends")?;
        for _ in 0..elements.min(60) {
            friends.push(last.as_ref().unwrap_or(&id))?;
        }
        let note = txn.create("Note")?;
        txn.set(&note, "about", &id)?;
        last = Some(id);
    }
    Ok(())
}

fn classes() -> [Class; 2] {
    let person = class(
        "Person",
        [
            property("id", Scalar::Int).primary_key(),
            property("name", Scalar::String),
            property("age", Scalar::Int).indexed(),
            property("friend", PropertyType::Object("Person".into())),
            property("numbers", list(Scalar::Int, true)),
            property("friends", PropertyType::ObjectList("Person".into())),
        ],
    );
    [person, class("Note", [property("about", PropertyType::Object("Person".into()))])]
}
