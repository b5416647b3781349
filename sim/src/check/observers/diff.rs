//! Comparison of reported changes with the states before and after a commit.

use crate::check::compare::CheckError;
use crate::check::definition::Violation;
use crate::check::objects::bridge;
use crate::check::promises::W1;
use fastness::object::{Changes, ElementId, ListChanges, ObjectKey, PropertyChange};
use fastness_models::objects::{Class, DatabaseState, Key, Value};
use std::collections::BTreeMap;

/// Keys of a class: inserted, deleted, modified.
type Keys = [Vec<Key>; 3];

/// Returns the difference of two states.
pub(super) fn changed<'s>(
    before: &'s DatabaseState,
    after: &'s DatabaseState,
) -> BTreeMap<&'s str, Keys> {
    let none = Class::default();
    let mut changed: BTreeMap<&str, Keys> = BTreeMap::new();
    for name in before.classes.keys().chain(after.classes.keys()) {
        let [older, newer] = [before, after].map(|state| state.classes.get(name).unwrap_or(&none));
        let mut keys = Keys::default();
        for key in newer.objects.keys() {
            if !older.objects.contains_key(key) {
                keys[0].push(key.clone());
            } else if !modified((older, newer), key).is_empty() {
                keys[2].push(key.clone());
            }
        }
        let removed = older.objects.keys().filter(|key| !newer.objects.contains_key(*key));
        keys[1].extend(removed.cloned());
        if keys.iter().any(|keys| !keys.is_empty()) {
            changed.insert(name, keys);
        }
    }
    changed
}

/// Returns the properties, present in both versions of the class, whose value changed in an object.
fn modified<'s>((older, newer): (&Class, &'s Class), key: &Key) -> Vec<&'s str> {
    let both = newer.properties.keys().filter(|name| older.properties.contains_key(*name));
    both.filter(|name| held(older, key, name) != held(newer, key, name))
        .map(String::as_str)
        .collect()
}

/// Returns the value or the list of a property.
fn held(class: &Class, key: &Key, name: &str) -> (Option<Value>, Option<Elements>) {
    let Some(object) = class.objects.get(key) else { return (None, None) };
    let value = match key {
        _ if class.key.as_deref() != Some(name) => object.values.get(name).cloned(),
        Key::Int(value) => Some(Value::Int(*value)),
        Key::Text(text) => Some(Value::Text(text.clone())),
        Key::Null | Key::Row(_) => Some(Value::Null),
    };
    (value, object.lists.get(name).cloned())
}

/// Compares reported changes with the difference of two states.
pub(super) fn differ(
    (before, after): (&DatabaseState, &DatabaseState),
    changes: &Changes,
) -> Result<(), CheckError> {
    let unexpected_error = |text: String| CheckError::from(Violation::new(W1.id, text));
    let expected = changed(before, after);
    let mut found: BTreeMap<&str, Keys> = BTreeMap::new();
    for (name, class) in &changes.classes {
        let keys = |keys: &[ObjectKey]| keys.iter().map(bridge::key).collect();
        let modified = class.modified.iter().map(|(key, _)| bridge::key(key)).collect();
        found.insert(name, [keys(&class.inserted), keys(&class.deleted), modified]);
    }
    if found != expected {
        return Err(unexpected_error(format!("changed {found:?}, expected {expected:?}")));
    }
    for (name, class) in &changes.classes {
        let classes = [before, after].map(|state| state.classes.get(name));
        let [Some(older), Some(newer)] = classes else { continue };
        for (key, found) in &class.modified {
            let key = bridge::key(key);
            properties((older, newer), &key, found)
                .map_err(|text| unexpected_error(format!("{name} {key:?}: {text}")))?;
        }
    }
    Ok(())
}

/// Compares the reported properties.
fn properties(
    (older, newer): (&Class, &Class),
    key: &Key,
    found: &[PropertyChange],
) -> Result<(), String> {
    let expected = modified((older, newer), key);
    let names: Vec<&str> = found.iter().map(|change| change.property.as_str()).collect();
    if names != expected {
        return Err(format!("changed {names:?}, expected {expected:?}"));
    }
    for PropertyChange { property, list } in found {
        let lists = [older, newer].map(|class| held(class, key, property).1);
        match (list, lists) {
            (Some(list), [Some(older), Some(newer)]) => same_list((&older, &newer), list)?,
            (Some(_), _) | (None, [Some(_), Some(_)]) => {
                return Err("a list has no changes".to_owned());
            }
            (None, _) => {}
        }
    }
    Ok(())
}

type Elements = Vec<(u64, Value)>;

/// Compares the reported changes of a list.
fn same_list((older, newer): (&Elements, &Elements), found: &ListChanges) -> Result<(), String> {
    let place = |list: &Elements, number: u64| list.iter().position(|held| held.0 == number);
    let placed = |list: &Elements, met: &dyn Fn(&(u64, Value)) -> bool| -> Vec<(usize, u64)> {
        let all = list.iter().enumerate().filter(|(_, held)| met(held));
        all.map(|(at, held)| (at, held.0)).collect()
    };
    let reported = |reported: &[(usize, ElementId)]| -> Vec<(usize, u64)> {
        reported.iter().map(|(at, id)| (*at, id.number)).collect()
    };
    let value = |number| place(older, number).map(|at| &older[at].1);
    let expected = [
        placed(older, &|held| place(newer, held.0).is_none()),
        placed(newer, &|held| place(older, held.0).is_none()),
        placed(newer, &|held| value(held.0).is_some_and(|value| *value != held.1)),
    ];
    let changes = [reported(&found.deleted), reported(&found.inserted), reported(&found.modified)];
    if changes != expected {
        return Err(format!("the list changed {changes:?}, expected {expected:?}"));
    }
    // Elements that were not moved keep their order, and no larger set could.
    let stays: Vec<usize> = newer
        .iter()
        .filter(|held| !found.moved.iter().any(|(_, _, id)| id.number == held.0))
        .filter_map(|held| place(older, held.0))
        .collect();
    if !stays.is_sorted() {
        return Err(format!("changed elements not reported: {found:?}"));
    }
    let common: Vec<usize> = newer.iter().filter_map(|held| place(older, held.0)).collect();
    if stays.len() != longest(&common) {
        return Err(format!("reported more moves than happened: {found:?}"));
    }
    for (from, to, id) in &found.moved {
        if place(older, id.number) != Some(*from) || place(newer, id.number) != Some(*to) {
            return Err(format!("reported a wrong index: {found:?}"));
        }
    }
    Ok(())
}

/// Length of the longest increasing subsequence.
fn longest(numbers: &[usize]) -> usize {
    let mut lens: Vec<usize> = Vec::new();
    for (at, number) in numbers.iter().enumerate() {
        let before = (0..at).filter(|other| numbers[*other] < *number).map(|other| lens[other]);
        lens.push(before.max().unwrap_or(0) + 1);
    }
    lens.into_iter().max().unwrap_or(0)
}
