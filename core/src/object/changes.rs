//! Changes of a commit: the difference between the objects before it and after it.
//!
//! - W1 The changes of a commit are exactly the differences between the objects before it and after
//!   it.
//! - W5 They tell a commit of sync from one of the app.
//!
//! Specification: docs/objects.md#observers. Check: `sim::check::observers`.

use super::view::{Object, View};
use crate::conc::Arc;
use crate::error::Result;
use crate::sorted::sort_by;
use crate::table::{
    Catalog, ClassTable, Column, ColumnRef, ComparedLists, EditedLists, Element, ElementId,
    ObjectId, ObjectKey,
};
use crate::unit::CommitId;
use std::collections::{BTreeMap, BTreeSet};

/// The changes of a commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Number of the commit.
    pub commit: CommitId,
    /// Whether sync made the commit, from entries of a server, and no transaction of this app.
    pub is_remote: bool,
    /// Changes of the objects of a class, by the name of the class after the commit, or before it
    /// if the class was removed.
    pub classes: BTreeMap<String, ClassChanges>,
}

/// The changes of a commit to the objects of a class. Keys are in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassChanges {
    /// Objects that the commit inserted.
    pub inserted: Vec<ObjectKey>,
    /// Objects that the commit deleted.
    pub deleted: Vec<ObjectKey>,
    /// Objects with another value in a property that the class had before.
    pub modified: Vec<(ObjectKey, Vec<PropertyChange>)>,
}

/// A changed property of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyChange {
    /// The property.
    pub property: String,
    /// Its changes, if it is a list.
    pub list: Option<ListChanges>,
}

/// Changes of a list: removing the deleted and moved elements, and then inserting the moved and the
/// inserted ones, both in the order of their positions, turns the list before into the list after.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListChanges {
    /// Deleted elements, with their positions before.
    pub deleted: Vec<(usize, ElementId)>,
    /// Inserted elements, with their positions after.
    pub inserted: Vec<(usize, ElementId)>,
    /// Elements with another value, with their positions after.
    pub modified: Vec<(usize, ElementId)>,
    /// Elements that moved past others, as few as possible, with their positions before and after.
    pub moved: Vec<(usize, usize, ElementId)>,
}

impl Changes {
    /// Returns whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }
}

/// The objects before a transaction and after it.
pub(super) struct Compared<'c> {
    pub(super) before: View<'c>,
    pub(super) after: View<'c>,
    pub(super) edited: &'c EditedLists,
}

impl Compared<'_> {
    /// Compares the objects that the transaction touched with their states before it.
    pub(super) fn changes(&self, touched: &BTreeSet<ObjectId>) -> Result<Changes> {
        let Self { before, after, .. } = *self;
        let mut changes = Changes::default();
        for id in touched {
            let [older, newer] = [before, after].map(|view| table(view.tables.catalog, id));
            let Some(class) = newer.or(older).map(|table| table.name.clone()) else { continue };
            let [older, newer] = [(before, older), (after, newer)].map(|(view, table)| {
                let find = |table| view.of_table(table).by_key(id.key.clone());
                table.map(find).transpose().map(Option::flatten)
            });
            let (key, held) = (id.key.clone(), &mut changes.classes);
            match (older?, newer?) {
                (None, None) => {}
                (None, Some(_)) => held.entry(class).or_default().inserted.push(key),
                (Some(_), None) => held.entry(class).or_default().deleted.push(key),
                (Some(older), Some(newer)) => {
                    let found = self.object(&older, &newer)?;
                    if !found.is_empty() {
                        held.entry(class).or_default().modified.push((key, found));
                    }
                }
            }
        }
        Ok(changes)
    }

    /// Returns the properties in which two versions of an object differ.
    fn object(&self, older: &Object<'_>, newer: &Object<'_>) -> Result<Vec<PropertyChange>> {
        let mut found = Vec::new();
        for column in &*newer.table.columns {
            let Some(before) = older.table.column(column.name()) else { continue };
            let property = column.name().to_owned();
            match (before.is_list(), column.is_list()) {
                (true, true) => {
                    let list = self.list((older, before), (newer, column))?;
                    if list != ListChanges::default() {
                        found.push(PropertyChange { property, list: Some(list) });
                    }
                }
                (false, false) => {
                    if !older.get(&property)?.bitwise_eq(&newer.get(&property)?) {
                        found.push(PropertyChange { property, list: None });
                    }
                }
                (true, false) | (false, true) => {
                    found.push(PropertyChange { property, list: None });
                }
            }
        }
        Ok(found)
    }

    /// Returns how two versions of a list differ.
    fn list(
        &self,
        (older, before): (&Object<'_>, &Column),
        (newer, after): (&Object<'_>, &Column),
    ) -> Result<ListChanges> {
        let key = newer.key().to_bytes();
        let [one, two] = [(older, before), (newer, after)]
            .map(|(object, column)| ColumnRef::new(object.table, column).list(&key));
        let (reader, newer) = (self.before.tables, self.after.tables);
        // Columns of one name need not be one.
        let found = match before.number == after.number {
            true => reader.compare_lists(one, newer, two, self.edited)?,
            false => ComparedLists { start: 0, before: reader.list(one)?, after: newer.list(two)? },
        };
        let mut changes = lists(&found.before, &found.after);
        changes.shift(found.start);
        Ok(changes)
    }
}

impl ListChanges {
    /// Counts positions from `start` elements before.
    fn shift(&mut self, start: usize) {
        let all = [&mut self.deleted, &mut self.inserted, &mut self.modified];
        all.into_iter().flatten().for_each(|(at, _)| *at += start);
        for (from, to, _) in &mut self.moved {
            *from += start;
            *to += start;
        }
    }
}

fn table<'a>(catalog: &'a Catalog, id: &ObjectId) -> Option<&'a Arc<ClassTable>> {
    catalog.table_numbered(id.class)
}

/// Returns how two versions of a list differ.
pub(super) fn lists(before: &[Element], after: &[Element]) -> ListChanges {
    let mut changes = ListChanges::default();
    let mut places: Vec<(ElementId, usize)> =
        before.iter().enumerate().map(|(at, element)| (element.id, at)).collect();
    sort_by(&mut places, Ord::cmp);
    let place = |id| Some(places[places.binary_search_by_key(&id, |(id, _)| *id).ok()?].1);
    let mut kept = vec![false; before.len()];
    let mut common = Vec::new();
    for (at, element) in after.iter().enumerate() {
        match place(element.id) {
            None => changes.inserted.push((at, element.id)),
            Some(was) => {
                if !before[was].value.bitwise_eq(&element.value) {
                    changes.modified.push((at, element.id));
                }
                kept[was] = true;
                common.push((was, at, element.id));
            }
        }
    }
    let deleted = before.iter().enumerate().filter(|(at, _)| !kept[*at]);
    changes.deleted = deleted.map(|(at, element)| (at, element.id)).collect();
    let stays = longest_increasing(&common.iter().map(|(was, ..)| *was).collect::<Vec<_>>());
    let moved = common.into_iter().filter(|(was, ..)| stays.binary_search(was).is_err());
    changes.moved = moved.collect();
    changes
}

/// Returns a longest increasing subsequence of distinct numbers (patience sorting).
pub(super) fn longest_increasing(numbers: &[usize]) -> Vec<usize> {
    // For each length, the index of the least number that ends an increasing subsequence.
    let mut ends: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(numbers.len());
    for (at, number) in numbers.iter().enumerate() {
        let len = ends.partition_point(|end| numbers[*end] < *number);
        before.push(len.checked_sub(1).map(|last| ends[last]));
        if len == ends.len() {
            ends.push(at);
        } else {
            ends[len] = at;
        }
    }
    let mut members = Vec::new();
    let mut next = ends.last().copied();
    while let Some(at) = next {
        members.push(numbers[at]);
        next = before[at];
    }
    members.reverse();
    members
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longest_increasing_subsequence_is_found() {
        let found = longest_increasing(&[3, 1, 2, 5, 4, 6]);
        assert_eq!(found, [1, 2, 4, 6]);
        assert!(longest_increasing(&[]).is_empty());
        assert_eq!(longest_increasing(&[2, 1, 0]).len(), 1);
    }
}
