//! Client reset: a client's own operations, written again onto a fresh state of the server.
//!
//! - SY12 A reset reports one outcome for each operation; applied ones are in the new entries.
//!
//! Written from docs/sync.md#client-reset, not from code.

use super::fold::State;
use super::{
    Anchor, Client, Content, Effect, Element, ListOperation, ObjectRef, Operation, PENDING,
    PropertyNumber, Stamp, SyncEntry, SyncValue,
};
use std::collections::BTreeSet;

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

/// A rule of the reset that is broken on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResetMutant {
    /// A Set is written again whatever the server's stamp.
    SetIgnoresStamp,
    /// A Set is not written again if the server has another stamp, with the same value or not.
    SetIgnoresValue,
    /// A Set competes with an earlier one of the same client that was written again.
    OwnSetConflicts,
    /// A Delete is written again even if the object does not exist.
    DeleteAlways,
    /// An element is inserted again even if the list contains it.
    InsertAlways,
    /// An anchor that is not visible is replaced by the head.
    AnchorIsHead,
    /// Removed elements of the old list are no neighbours.
    RemovedAreNoPlaces,
    /// An element that is not visible is moved.
    MoveRemoved,
    /// An operation on a property that does not exist is written again.
    SchemaIgnored,
    /// A changed value whose stamp was purged is overwritten.
    PurgedIsOld,
    /// A value of an object that this reset creates competes with purged ones.
    CreatedIsPurged,
}

impl ResetMutant {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::SetIgnoresStamp,
        Self::SetIgnoresValue,
        Self::OwnSetConflicts,
        Self::DeleteAlways,
        Self::InsertAlways,
        Self::AnchorIsHead,
        Self::RemovedAreNoPlaces,
        Self::MoveRemoved,
        Self::SchemaIgnored,
        Self::PurgedIsOld,
        Self::CreatedIsPurged,
    ];
}

/// The states between which a client resets.
pub struct Reset<'a> {
    /// The state of the server, with the new entries so far.
    pub fresh: State,
    /// The client's canonical state before the reset.
    pub canonical: &'a State,
    /// The client's working state before the reset.
    pub working: &'a State,
    /// The objects that did not exist before the reset created them.
    pub created: BTreeSet<ObjectRef>,
    /// A broken rule.
    pub mutant: Option<ResetMutant>,
}

/// The entries of one decision: the one that has the operation, and the new client.
#[derive(Clone, Copy)]
struct Entries<'a> {
    entry: &'a SyncEntry,
    identity: Client,
}

impl Reset<'_> {
    /// Writes an entry again; `header` is the new entry without operations. Returns the outcome of
    /// each operation.
    pub fn recover(&mut self, entry: &SyncEntry, header: &mut SyncEntry) -> Vec<Recovered> {
        let mut outcomes = Vec::new();
        for operation in &entry.operations {
            let entries = Entries { entry, identity: header.client };
            let (again, mut outcome) = match self.again(entries, operation) {
                Ok(again) if again == *operation => (Some(again), Recovered::Applied),
                Ok(again) => (Some(again), Recovered::Adjusted),
                Err(outcome) => (None, outcome),
            };
            if let Some(again) = again {
                if let Operation::Create(object) = again
                    && !self.fresh.exists(object)
                {
                    self.created.insert(object);
                }
                let operations = vec![again];
                let entry = SyncEntry { seq: PENDING, operations, ..header.clone() };
                // The property does not exist or has another type.
                let is_absent = self.fresh.apply(&entry).contains(&Effect::Absent);
                if is_absent && !self.is_broken(ResetMutant::SchemaIgnored) {
                    outcome = Recovered::Schema;
                } else {
                    header.operations.push(again);
                }
            }
            outcomes.push(outcome);
        }
        outcomes
    }

    fn is_broken(&self, mutant: ResetMutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Whether a Set with this stamp on the server is overwritten.
    fn is_overwritten(
        &self,
        entries: Entries<'_>,
        (object, stamp): (ObjectRef, Option<Stamp>),
        is_unchanged: bool,
    ) -> bool {
        let is_own = |stamp: Stamp| {
            stamp.client == entries.identity && !self.is_broken(ResetMutant::OwnSetConflicts)
        };
        let is_later =
            |purged| entries.entry.stamp > purged || self.is_broken(ResetMutant::PurgedIsOld);
        let is_newer = match stamp {
            Some(stamp) => is_own(stamp) || stamp <= entries.entry.order(),
            None if self.created.contains(&object) => !self.is_broken(ResetMutant::CreatedIsPurged),
            None => self.fresh.purged_stamp().is_none_or(is_later),
        };
        is_newer
            || (is_unchanged && !self.is_broken(ResetMutant::SetIgnoresValue))
            || self.is_broken(ResetMutant::SetIgnoresStamp)
    }

    fn again(&self, entries: Entries<'_>, operation: &Operation) -> Result<Operation, Recovered> {
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
                let always = self.is_broken(ResetMutant::DeleteAlways);
                check(self.fresh.exists(object) || always, Recovered::NoOperation)?;
            }
            Operation::Increment(object, ..) => {
                check(self.fresh.exists(object), Recovered::Deleted)?;
            }
            Operation::Set(object, property, _) => {
                check(self.fresh.exists(object), Recovered::Deleted)?;
                let is_unchanged = self.value(&self.fresh, object, property)
                    == self.value(self.canonical, object, property);
                let stamp = (object, self.fresh.value_stamp(object, property));
                check(self.is_overwritten(entries, stamp, is_unchanged), Recovered::Conflict)?;
            }
            Operation::List(object, property, change) => {
                check(self.fresh.exists(object), Recovered::Deleted)?;
                let change = self.again_list(entries, (object, property), change)?;
                return Ok(Operation::List(object, property, change));
            }
        }
        Ok(*operation)
    }

    fn again_list(
        &self,
        entries: Entries<'_>,
        list: (ObjectRef, PropertyNumber),
        change: ListOperation,
    ) -> Result<ListOperation, Recovered> {
        let is_visible = |element| elements(&self.fresh, list).contains(&element);
        Ok(match change {
            ListOperation::Insert(element, anchor, value) => {
                let is_contained = self.fresh.places(list.0, list.1).contains(&element);
                let always = self.is_broken(ResetMutant::InsertAlways);
                check(!is_contained || always, Recovered::NoOperation)?;
                ListOperation::Insert(element, self.anchor(list, element, anchor), value)
            }
            ListOperation::Set(element, _) => {
                check(is_visible(element), Recovered::Deleted)?;
                let value = |state: &State| {
                    let mut shown = state.elements(list.0, list.1).into_iter();
                    shown.find(|(other, _)| *other == element)
                };
                let stamp = (list.0, self.fresh.element_stamp(list.0, list.1, element));
                let is_unchanged = value(&self.fresh) == value(self.canonical);
                check(self.is_overwritten(entries, stamp, is_unchanged), Recovered::Conflict)?;
                change
            }
            ListOperation::Remove(element) => {
                check(is_visible(element), Recovered::NoOperation)?;
                change
            }
            ListOperation::Move(element, anchor) => {
                let always = self.is_broken(ResetMutant::MoveRemoved);
                check(is_visible(element) || always, Recovered::Deleted)?;
                let is_itself =
                    matches!(anchor, Anchor::After(a) | Anchor::Before(a) if a == element);
                check(!is_itself, Recovered::NoOperation)?;
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
            if self.is_broken(ResetMutant::AnchorIsHead) {
                return Anchor::Head;
            }
            let mut old = self.working.places(list.0, list.1);
            if self.is_broken(ResetMutant::RemovedAreNoPlaces) {
                old = elements(self.working, list);
            }
            let at = old.iter().position(|other| *other == element).unwrap_or_default();
            let survivor = old[..at].iter().rfind(|other| shown.contains(other));
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
