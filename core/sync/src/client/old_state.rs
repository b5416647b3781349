//! The states of a client before a reset, as far as its own operations need them.
//!
//! The file has one set of objects, so the two old states are read before the fresh one replaces
//! them: the order of the lists that operations edit, and the canonical values that they replace.

use crate::entry::{Change, ElementId, Key, ObjectRef, Operation, PrimaryKey, PropertyType, Value};
use crate::merge::{OwnedValue, Place, VisibleState};
use crate::table_state::{FileResult, TableState};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Recorded parts of a state.
#[derive(Debug, Default)]
pub(super) struct OldState {
    values: HashMap<Vec<u8>, OwnedValue>,
    /// Elements of lists in order, hidden ones included.
    orders: HashMap<Vec<u8>, Vec<ElementId>>,
}

/// Returns a key of a property, or of an element of it.
fn slot(place: Place<'_>, element: Option<ElementId>) -> Vec<u8> {
    let Place { target: ObjectRef { class, key }, property } = place;
    let mut bytes = Vec::new();
    let mut put = |part: &[u8]| {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    };
    put(class.as_bytes());
    put(property.as_bytes());
    match key {
        Key::Null => put(&[0]),
        Key::Int(key) => put(&key.to_le_bytes()),
        Key::String(key) => put(&[b"s", key.as_bytes()].concat()),
        Key::Generated(id) => {
            put(&[&id.author.to_le_bytes()[..], &id.number.to_le_bytes()].concat())
        }
    }
    if let Some(id) = element {
        put(&id.author.to_le_bytes());
        put(&id.number.to_le_bytes());
    }
    bytes
}

impl OldState {
    /// Records the order of the list that an operation edits.
    pub(super) fn record_order(
        &mut self,
        state: &TableState<'_>,
        operation: Operation<'_>,
    ) -> FileResult<()> {
        let Operation::Change { target, property, change } = operation else { return Ok(()) };
        if matches!(change, Change::ListInsert { .. } | Change::ListMove { .. }) {
            let place = Place { target, property };
            if let Entry::Vacant(order) = self.orders.entry(slot(place, None)) {
                order.insert(state.elements_with_hidden(place)?);
            }
        }
        Ok(())
    }

    /// Records the value that an operation replaces.
    pub(super) fn record_value(
        &mut self,
        state: &TableState<'_>,
        operation: Operation<'_>,
    ) -> FileResult<()> {
        let Operation::Change { target, property, change } = operation else { return Ok(()) };
        let place = Place { target, property };
        let element = match change {
            Change::Set(_) => None,
            Change::ListSet { element, .. } => Some(element),
            Change::Increment(_)
            | Change::ListInsert { .. }
            | Change::ListRemove { .. }
            | Change::ListMove { .. } => return Ok(()),
        };
        let mut value = None;
        let mut see = |seen: Value<'_>| value = Some(OwnedValue::from(seen));
        match element {
            None => state.see_value(place, &mut see)?,
            Some(element) => state.see_element(place, element, &mut see)?,
        }
        if let Some(value) = value {
            self.values.insert(slot(place, element), value);
        }
        Ok(())
    }
}

impl VisibleState for OldState {
    type Error = fastness::Error;

    fn class_conflicts(&self, _: &str, _: Option<PrimaryKey<'_>>) -> FileResult<bool> {
        Ok(false)
    }

    fn property_conflicts(&self, _: &str, _: &str, _: PropertyType<'_>) -> FileResult<bool> {
        Ok(false)
    }

    fn see_value(&self, place: Place<'_>, see: &mut dyn FnMut(Value<'_>)) -> FileResult<()> {
        see(self.values.get(&slot(place, None)).map_or(Value::Null, OwnedValue::value));
        Ok(())
    }

    fn see_element(
        &self,
        place: Place<'_>,
        element: ElementId,
        see: &mut dyn FnMut(Value<'_>),
    ) -> FileResult<()> {
        if let Some(value) = self.values.get(&slot(place, Some(element))) {
            see(value.value());
        }
        Ok(())
    }

    fn see_left(
        &self,
        place: Place<'_>,
        element: ElementId,
        see: &mut dyn FnMut(ElementId) -> bool,
    ) -> FileResult<()> {
        let Some(order) = self.orders.get(&slot(place, None)) else { return Ok(()) };
        let at = order.iter().position(|held| *held == element).unwrap_or_default();
        for left in order[..at].iter().rev() {
            if !see(*left) {
                break;
            }
        }
        Ok(())
    }
}
