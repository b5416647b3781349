//! Client reset: a client's own operations, written again onto a fresh state of the server.
//!
//! - SY12 A reset reports one outcome for each operation; applied ones are in the new entries.
//!
//! Written from docs/sync.md#client-reset, not from code.

use super::fold::State;
use super::{
    Anchor, Content, Effect, Element, ListOperation, ObjectRef, Operation, PropertyNumber,
};
use super::{PENDING, SyncEntry, SyncValue};

/// Outcome of an operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Recovered {
    /// The operation is written again.
    Applied,
    /// It is written again with another anchor.
    Adjusted,
    /// The fresh state is like that already.
    NoOperation,
    /// The server has a newer value.
    Conflict,
    /// The object or element does not exist on the server.
    Deleted,
    /// The server has another definition.
    Schema,
}

/// The states between which a client resets.
pub struct Reset<'a> {
    /// The state of the server, with the new entries so far.
    pub fresh: State,
    /// The client's canonical state before the reset.
    pub canonical: &'a State,
    /// The client's working state before the reset.
    pub working: &'a State,
}

impl Reset<'_> {
    /// Writes an entry again; `header` is the new entry without operations. Returns the outcome of
    /// each operation.
    pub fn recover(&mut self, entry: &SyncEntry, header: &mut SyncEntry) -> Vec<Recovered> {
        let mut outcomes = Vec::new();
        for operation in &entry.operations {
            let (again, mut outcome) = match self.again(entry, operation) {
                Ok(again) if again == *operation => (Some(again), Recovered::Applied),
                Ok(again) => (Some(again), Recovered::Adjusted),
                Err(outcome) => (None, outcome),
            };
            if let Some(again) = again {
                let operations = vec![again];
                let entry = SyncEntry { seq: PENDING, operations, ..header.clone() };
                // The property does not exist or has another type.
                if self.fresh.apply(&entry).contains(&Effect::Absent) {
                    outcome = Recovered::Schema;
                } else {
                    header.operations.push(again);
                }
            }
            outcomes.push(outcome);
        }
        outcomes
    }

    fn again(&self, entry: &SyncEntry, operation: &Operation) -> Result<Operation, Recovered> {
        match *operation {
            Operation::AddClass(class, definition) => {
                let held = self.fresh.schema().get(&class).map(|(held, _)| *held);
                check(held.is_none_or(|held| held == definition), Recovered::Schema)?;
            }
            Operation::AddProperty(class, property, kind) => {
                let properties = self.fresh.schema().get(&class).map(|(_, properties)| properties);
                let held = properties.and_then(|properties| properties.get(&property));
                check(held.is_none_or(|held| *held == kind), Recovered::Schema)?;
            }
            Operation::Create(_) => {}
            Operation::Delete(object) => {
                check(self.fresh.exists(object), Recovered::NoOperation)?;
            }
            Operation::Increment(object, ..) => {
                check(self.fresh.exists(object), Recovered::Deleted)?;
            }
            Operation::Set(object, property, _) => {
                check(self.fresh.exists(object), Recovered::Deleted)?;
                let is_unchanged = self.value(&self.fresh, object, property)
                    == self.value(self.canonical, object, property);
                let stamp = self.fresh.value_stamp(object, property);
                let is_newer = stamp.is_none_or(|stamp| stamp <= entry.order());
                check(is_unchanged || is_newer, Recovered::Conflict)?;
            }
            Operation::List(object, property, change) => {
                check(self.fresh.exists(object), Recovered::Deleted)?;
                let change = self.again_list(entry, (object, property), change)?;
                return Ok(Operation::List(object, property, change));
            }
        }
        Ok(*operation)
    }

    fn again_list(
        &self,
        entry: &SyncEntry,
        list: (ObjectRef, PropertyNumber),
        change: ListOperation,
    ) -> Result<ListOperation, Recovered> {
        let contains = |element| elements(&self.fresh, list).contains(&element);
        Ok(match change {
            ListOperation::Insert(element, anchor, value) => {
                check(!contains(element), Recovered::NoOperation)?;
                ListOperation::Insert(element, self.anchor(list, element, anchor), value)
            }
            ListOperation::Set(element, _) => {
                check(contains(element), Recovered::Deleted)?;
                let value = |state: &State| {
                    let mut shown = state.elements(list.0, list.1).into_iter();
                    shown.find(|(other, _)| *other == element)
                };
                let stamp = self.fresh.element_stamp(list.0, list.1, element);
                let is_newer = stamp.is_none_or(|stamp| stamp <= entry.order());
                let is_unchanged = value(&self.fresh) == value(self.canonical);
                check(is_unchanged || is_newer, Recovered::Conflict)?;
                change
            }
            ListOperation::Remove(element) => {
                check(contains(element), Recovered::NoOperation)?;
                change
            }
            ListOperation::Move(element, anchor) => {
                check(contains(element), Recovered::Deleted)?;
                ListOperation::Move(element, self.anchor(list, element, anchor))
            }
        })
    }

    /// The anchor if it is visible, else the nearest visible left neighbour in the old list.
    fn anchor(
        &self,
        list: (ObjectRef, PropertyNumber),
        element: Element,
        anchor: Anchor,
    ) -> Anchor {
        let shown = elements(&self.fresh, list);
        if let Anchor::After(next) | Anchor::Before(next) = anchor
            && !shown.contains(&next)
        {
            let old = elements(self.working, list);
            let left = old.iter().take_while(|other| **other != element);
            let survivor = left.filter(|other| shown.contains(other)).last();
            return survivor.map_or(Anchor::Head, |left| Anchor::After(*left));
        }
        anchor
    }

    fn value(&self, state: &State, object: ObjectRef, property: PropertyNumber) -> SyncValue {
        let contents = state.visible().remove(&object).unwrap_or_default();
        match contents.get(&property) {
            Some(Content::Value(value)) => *value,
            Some(Content::Counter(_) | Content::List(_)) | None => SyncValue::Null,
        }
    }
}

fn elements(state: &State, (object, property): (ObjectRef, PropertyNumber)) -> Vec<Element> {
    state.elements(object, property).into_iter().map(|(element, _)| element).collect()
}

fn check(holds: bool, otherwise: Recovered) -> Result<(), Recovered> {
    if holds { Ok(()) } else { Err(otherwise) }
}
