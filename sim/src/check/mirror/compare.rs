//! Comparison of the mirror with the original: tree by tree where equal operations lead to equal
//! bytes, through the public face elsewhere.
//!
//! Classes with their numbers, back-links, indexes, the keys of objects and the next number are
//! equal byte for byte. Records and chunks of lists depend on the order of single writes, so their
//! values and element ids are compared.

use crate::check::compare::CheckError;
use crate::check::definition::Violation;
use crate::check::promises::{B10, B11};
use crate::check::store_harness::objects_agree;
use fastness::object::{Database, DatabaseOptions, Object, Operation, SchemaChange, Snapshot};
use fastness::table::{Applied, Tables};
use fastness::{Error, Store};
use std::collections::BTreeMap;

/// The tree of the classes.
const SCHEMA: &str = "main/schema";
/// Bytes of the stamp at the beginning of the first entry of the classes.
const STAMP_BYTES: usize = 8;

/// Returns a violation of the mirror.
pub(super) fn broken(text: impl Into<String>) -> CheckError {
    Violation::new(B11.id, text).into()
}

/// Returns the violation for an error of the mirror, which has no faulty disk.
pub(super) fn mirror_failed(error: Error) -> CheckError {
    broken(format!("the mirror fails: {error}"))
}

/// Entries of trees, by tree and key.
pub(super) type Trees = BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>;

/// Reads all trees of objects.
pub(super) fn trees(snapshot: &fastness::StoreSnapshot) -> Result<Trees, Error> {
    let mut trees = Trees::new();
    for name in snapshot.tree_names().filter(|name| name.starts_with("main/")) {
        let mut entries = BTreeMap::new();
        for entry in snapshot.tree(name).range(..)? {
            let (key, value) = entry?;
            entries.insert(key.to_vec(), value.to_vec());
        }
        trees.insert(name.to_owned(), entries);
    }
    Ok(trees)
}

/// Keeps the parts that equal operations make equal byte for byte.
pub(super) fn exact(mut trees: Trees) -> Trees {
    // An undo gives the classes another stamp.
    clear_stamp(&mut trees);
    trees.retain(|name, _| !name.ends_with(".apart") && !name.ends_with(".pieces"));
    for (name, entries) in &mut trees {
        let is_objects = name.strip_prefix("main/").is_some_and(|id| id.parse::<u32>().is_ok());
        if is_objects {
            entries.values_mut().for_each(Vec::clear);
        }
    }
    trees
}

/// Keeps the parts that an undo restores.
pub(super) fn undoable(mut trees: Trees) -> Trees {
    clear_stamp(&mut trees);
    if let Some(schema) = trees.get_mut(SCHEMA) {
        // The next number.
        schema.remove(&[1][..]);
        // A catalog without classes is equal to none.
        if schema.values().all(|value| value.iter().all(|byte| *byte == 0)) {
            schema.clear();
        }
    }
    trees.retain(|_, entries| !entries.is_empty());
    trees
}

fn clear_stamp(trees: &mut Trees) {
    let head = trees.get_mut(SCHEMA).and_then(|schema| schema.get_mut(&[0][..]));
    if let Some(stamp) = head.and_then(|head| head.get_mut(..STAMP_BYTES)) {
        stamp.fill(0);
    }
}

/// Returns the first difference between trees.
pub(super) fn difference(before: &Trees, after: &Trees) -> Option<String> {
    let names = |trees: &Trees| trees.keys().cloned().collect::<Vec<_>>();
    if names(before) != names(after) {
        return Some(format!("the trees are {:?}, expected {:?}", names(after), names(before)));
    }
    for ((name, expected), found) in before.iter().zip(after.values()) {
        for key in expected.keys().chain(found.keys()) {
            if expected.get(key) != found.get(key) {
                let (found, expected) = (found.get(key), expected.get(key));
                return Some(format!("{name} {key:?} is {found:?}, expected {expected:?}"));
            }
        }
    }
    None
}

/// Adds every class and every property of the file to the mirror, which has them already.
pub(super) fn classes_again(original: &Snapshot, mut mirror: Tables) -> Result<(), CheckError> {
    for class in original.view().schema()?.classes() {
        let name = class.name();
        let properties = class.stored_properties().map(|property| SchemaChange::AddProperty {
            class: name.to_owned(),
            property: property.clone(),
        });
        for change in std::iter::once(SchemaChange::AddClass(class.clone())).chain(properties) {
            let operation = Operation::SchemaChange(change);
            let applied = mirror.apply(&operation, &mut |_| ()).map_err(mirror_failed)?;
            if applied != Applied::Unchanged {
                let text = format!("{operation:?} is {applied:?}, though {name} is like it");
                return Err(Violation::new(B10.id, text).into());
            }
        }
    }
    Ok(())
}

/// Compares all objects of the file with those of the mirror.
pub(super) fn objects(original: &Snapshot, mirror: &Store) -> Result<(), CheckError> {
    let mirror = Database::from_store(mirror.clone(), &DatabaseOptions::dynamic());
    let mirror = mirror.and_then(|mirror| mirror.snapshot()).map_err(mirror_failed)?;
    objects_agree(&mirror.store().verify().map_err(mirror_failed)?)?;
    let (original, mirror) = (original.view(), mirror.view());
    let schema = original.schema()?;
    if mirror.schema().map_err(mirror_failed)? != schema
        || mirror.schema_version() != original.schema_version()
    {
        return Err(broken("the classes differ"));
    }
    for class in schema.classes() {
        let copies = mirror.objects(class.name()).map_err(mirror_failed)?;
        for object in original.objects(class.name())?.iter()? {
            let object = object?;
            let copy = copies.by_key(object.key().clone()).map_err(mirror_failed)?;
            let copy = copy.ok_or_else(|| broken(format!("{:?} is missing", object.id())))?;
            for property in class.stored_properties() {
                same_property(&object, &copy, property.name(), is_list(property))?;
            }
        }
    }
    Ok(())
}

fn is_list(property: &fastness::schema::Property) -> bool {
    use fastness::schema::PropertyType;
    matches!(property.kind(), PropertyType::ObjectList(_) | PropertyType::List { .. })
}

/// Compares a property of an object with that of its copy, list elements with their ids.
fn same_property(
    object: &Object<'_>,
    copy: &Object<'_>,
    name: &str,
    is_list: bool,
) -> Result<(), CheckError> {
    let (found, expected) = if is_list {
        let (held, found) = (object.list(name)?, copy.list(name).map_err(mirror_failed)?);
        let equal = held.len() == found.len()
            && held
                .iter()
                .zip(&found)
                .all(|(one, two)| one.id == two.id && one.value.bitwise_eq(&two.value));
        if equal {
            return Ok(());
        }
        (format!("{found:?}"), format!("{held:?}"))
    } else {
        let (held, found) = (object.get(name)?, copy.get(name).map_err(mirror_failed)?);
        if held.bitwise_eq(&found) {
            return Ok(());
        }
        (format!("{found:?}"), format!("{held:?}"))
    };
    Err(broken(format!("{:?}.{name} is {found}, expected {expected}", object.id())))
}
