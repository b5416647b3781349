//! Comparison of all objects of a database with the model.

use super::bridge;
use crate::check::compare::CheckError;
use crate::check::definition::Violation;
use crate::check::promises::{A1, A4, B1, B4, M6};
use fastness::object::{Object, Snapshot, View};
use fastness_models::objects::{DatabaseState, Id, Key, ValueType};

/// Compares everything in a file, including the counter for numbers, so that no difference between
/// two states goes unnoticed.
pub(in crate::check) fn file(
    snapshot: &Snapshot,
    state: &DatabaseState,
) -> Result<u64, CheckError> {
    let reads = all(&snapshot.view(), state)?;
    let next = snapshot.store().tree("main/schema").get(&[1])?;
    let next = next.and_then(|bytes| (*bytes).try_into().ok()).map_or(1, u64::from_le_bytes);
    if next != state.numbers + 1 {
        let text = format!("the next number is {next}, expected after {}", state.numbers);
        return Err(Violation::new(B1.id, text).into());
    }
    Ok(reads + 1)
}

/// Compares everything; returns the number of reads.
pub(in crate::check) fn all(view: &View<'_>, state: &DatabaseState) -> Result<u64, CheckError> {
    if view.schema_version() != state.version {
        let (found, expected) = (view.schema_version(), state.version);
        let text = format!("the schema has version {found:?}, expected {expected:?}");
        return Err(Violation::new(M6.id, text).into());
    }
    let schema = view.schema()?;
    let expected = bridge::schema(state).map_err(|error| check_bug(&error.to_string()))?;
    if schema != expected {
        let text = format!("the classes are {schema}, expected {expected}");
        return Err(Violation::new(M6.id, text).into());
    }
    let mut reads = 2;
    for (class, held) in &state.classes {
        let objects = view.objects(class)?;
        let mut expected = held.objects.keys();
        let mut walk = objects.iter()?;
        while let Some(object) = walk.next() {
            let object = object.map_err(|error| ended(&mut walk, error))?;
            let (found, expected) = (bridge::key(object.key()), expected.next());
            if Some(&found) != expected {
                let text = format!("{class} {found:?} exists, expected {expected:?}");
                return Err(Violation::new(B1.id, text).into());
            }
            reads += one(view, state, (&(class.clone(), found), Some(&object)))?;
        }
        if let Some(missing) = expected.next() {
            return Err(Violation::new(B1.id, format!("{class} {missing:?} is missing")).into());
        }
        if objects.len() != held.objects.len() as u64 {
            let (len, expected) = (objects.len(), held.objects.len());
            let text = format!("{class} has length {len}, expected {expected}");
            return Err(Violation::new(B1.id, text).into());
        }
    }
    Ok(reads)
}

/// Returns the error of a walk, which must have ended with it.
pub(in crate::check) fn ended<T>(
    walk: &mut impl Iterator<Item = T>,
    error: fastness::Error,
) -> CheckError {
    match walk.next() {
        None => error.into(),
        Some(_) => {
            Violation::new(A4.id, format!("a walk goes on after it returned {error}")).into()
        }
    }
}

/// Compares one object that may exist, with its back-links; returns the number of reads.
pub(in crate::check) fn one(
    view: &View<'_>,
    state: &DatabaseState,
    (id, found): (&Id, Option<&Object<'_>>),
) -> Result<u64, CheckError> {
    let (class, _) = id;
    let read = found.map(|found| bridge::object(view, (state, class), found)).transpose()?;
    let expected = state.object(id);
    if read.as_ref() != expected {
        let text = format!("{id:?} is {read:?}, expected {expected:?}");
        return Err(Violation::new(B1.id, text).into());
    }
    if let Some(found) = found {
        known(view, (state, class), found)?;
    }
    let core_id = bridge::object_id(view, id)?;
    let mut reads = 1;
    for (from, held) in &state.classes {
        let linking = |kind: &ValueType| kind.element() == ValueType::Link(class.clone());
        let properties = held.properties.iter().filter(|(_, held)| linking(&held.kind));
        for (name, _) in properties {
            let mut links: Vec<Key> = Vec::new();
            for link in view.backlinks(&core_id, from, name)? {
                let (origin, key) = bridge::id(view, &link)?;
                if origin != *from {
                    let text =
                        format!("{origin} {key:?} is listed as a back-link of {from}.{name}");
                    return Err(Violation::new(B4.id, text).into());
                }
                links.push(key);
            }
            let expected = state.backlinks(id, from, name).map_err(|error| check_bug(&error))?;
            let expected: Vec<Key> = expected.into_iter().map(|(_, key)| key).collect();
            if links != expected {
                let text = format!(
                    "{id:?} is linked by {from}.{name} of {links:?}, expected {expected:?}"
                );
                return Err(Violation::new(B4.id, text).into());
            }
            reads += 1;
        }
    }
    Ok(reads)
}

/// Compares values read by a projection with values read by name.
fn known(
    view: &View<'_>,
    (state, class): (&DatabaseState, &str),
    object: &Object<'_>,
) -> Result<(), CheckError> {
    let objects = view.objects(class)?;
    let held = state.classes.get(class).into_iter().flat_map(|class| &class.properties);
    for (name, _) in held.filter(|(_, property)| !property.kind.is_list()) {
        let [value] = object.project(&objects.projection([name.as_str()])?)?;
        let named = object.get(name)?;
        if !value.bitwise_eq(&named) {
            let text = format!("{class}.{name} is {named:?} by name, and {value:?} by handle");
            return Err(Violation::new(B1.id, text).into());
        }
    }
    Ok(())
}

/// Returns the error for a bug of the check itself.
pub(in crate::check) fn check_bug(what: &dyn std::fmt::Debug) -> CheckError {
    Violation::new(A1.id, format!("bug in the check: {what:?}")).into()
}
