//! The fold: the state that a history makes, by applying its entries in the order of the server.
//!
//! - MR1 Create is idempotent, and dropped if a concurrent foreign Delete is in the history.
//! - MR2 Delete removes the object and leaves a deletion record of constant size.
//! - MR3 Set is last-writer-wins by effective stamp; links to absent objects are not visible.
//! - MR4 Increments add up.
//! - MR9 A purge at a permitted horizon changes nothing visible, then or later.
//!
//! Written from docs/sync.md#merge-rules, not from code.

use super::list::{List, Register, Slot};
use super::mutant::Mutant;
use super::{
    Anchor, ClassNumber, Client, Content, Element, Kind, ObjectRef, Operation, PropertyNumber,
    Schema, Stamp, SyncEntry,
};
use super::{Effect, SyncValue, Visible};
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Fields {
    values: BTreeMap<PropertyNumber, Register<SyncValue>>,
    counters: BTreeMap<PropertyNumber, i64>,
    lists: BTreeMap<PropertyNumber, List>,
}

/// Newest Delete of an object, and newest one by another client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Deletion {
    seq: u64,
    client: Client,
    seq_of_others: u64,
}

/// A replica's state.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct State {
    schema: Schema,
    objects: BTreeMap<ObjectRef, Fields>,
    deletions: BTreeMap<ObjectRef, Deletion>,
    /// Stamps that the mutant keeps.
    leftovers: BTreeMap<ObjectRef, Fields>,
    /// The greatest time of a value's stamp that a purge dropped.
    purged_stamp: Option<u64>,
    mutant: Option<Mutant>,
}

impl Deletion {
    fn note(&mut self, entry: &SyncEntry) {
        if self.client != entry.client {
            self.seq_of_others = self.seq;
        }
        (self.seq, self.client) = (entry.seq, entry.client);
    }
}

impl State {
    /// Returns the empty state; a mutant breaks one rule.
    #[must_use]
    pub fn new(mutant: Option<Mutant>) -> Self {
        Self { mutant, ..Self::default() }
    }

    /// Applies an entry; returns the effect of each operation.
    pub fn apply(&mut self, entry: &SyncEntry) -> Vec<Effect> {
        entry.operations.iter().map(|operation| self.apply_one(entry, operation)).collect()
    }

    fn apply_one(&mut self, entry: &SyncEntry, operation: &Operation) -> Effect {
        match *operation {
            Operation::AddClass(class, definition) => {
                let is_new = !self.schema.contains_key(&class);
                self.schema.entry(class).or_insert((definition, BTreeMap::new()));
                if is_new { Effect::Applied } else { Effect::Unchanged }
            }
            Operation::AddProperty(class, property, kind) => {
                self.add_property(class, property, kind)
            }
            Operation::Create(object) => self.create(entry, object),
            Operation::Delete(object) => self.delete(entry, object),
            Operation::Set(object, property, value) => {
                let is_value = |kind: Kind| kind.holds(value);
                if let Err(effect) = self.target(entry, object, (property, &is_value)) {
                    return effect;
                }
                let mutant = self.mutant;
                let fields = self.objects.entry(object).or_default();
                fields.values.entry(property).or_default().write(entry, value, mutant)
            }
            Operation::Increment(object, property, by) => {
                let is_counter = |kind| kind == Kind::Counter;
                if let Err(effect) = self.target(entry, object, (property, &is_counter)) {
                    return effect;
                }
                let replaces = self.mutant == Some(Mutant::IncrementReplaces);
                let fields = self.objects.entry(object).or_default();
                let sum = fields.counters.entry(property).or_default();
                *sum = if replaces { by } else { sum.wrapping_add(by) };
                Effect::Applied
            }
            Operation::List(object, property, operation) => {
                let is_list = |kind| kind == Kind::List;
                if let Err(effect) = self.target(entry, object, (property, &is_list)) {
                    return effect;
                }
                let mutant = self.mutant;
                let fields = self.objects.entry(object).or_default();
                fields.lists.entry(property).or_default().change(entry, operation, mutant)
            }
        }
    }

    fn add_property(&mut self, class: ClassNumber, property: PropertyNumber, kind: Kind) -> Effect {
        let Some((_, properties)) = self.schema.get_mut(&class) else { return Effect::Absent };
        if self.mutant == Some(Mutant::SchemaConflict) {
            properties.insert(property, kind);
            return Effect::Applied;
        }
        match properties.get(&property) {
            None => {
                properties.insert(property, kind);
                Effect::Applied
            }
            Some(_) => Effect::Unchanged,
        }
    }

    fn create(&mut self, entry: &SyncEntry, object: ObjectRef) -> Effect {
        let ignores = self.mutant == Some(Mutant::CreateIgnoresDelete);
        if !self.schema.contains_key(&object.class) {
            Effect::Absent
        } else if self.meets_delete(entry, object) && !ignores {
            Effect::Deleted
        } else if self.objects.contains_key(&object) {
            Effect::Unchanged
        } else {
            self.objects.insert(object, self.leftovers.remove(&object).unwrap_or_default());
            Effect::Applied
        }
    }

    fn delete(&mut self, entry: &SyncEntry, object: ObjectRef) -> Effect {
        self.deletions.entry(object).or_default().note(entry);
        if self.mutant == Some(Mutant::OneDeletion) {
            self.deletions.entry(object).or_default().seq_of_others = 0;
        }
        let Some(mut fields) = self.objects.remove(&object) else { return Effect::Unchanged };
        if self.mutant == Some(Mutant::DeleteKeepsStamps) {
            fields.values.values_mut().for_each(|register| register.value = SyncValue::Null);
            fields.counters.clear();
            fields.lists.clear();
            self.leftovers.insert(object, fields);
        }
        Effect::Applied
    }

    /// Whether a Delete by another client is concurrent with the entry.
    fn meets_delete(&self, entry: &SyncEntry, object: ObjectRef) -> bool {
        self.deletions.get(&object).is_some_and(|deletion| {
            let is_own = deletion.client == entry.client;
            (if is_own { deletion.seq_of_others } else { deletion.seq }) > entry.base
        })
    }

    /// Checks that the object exists, has such a property and meets no concurrent Delete.
    fn target(
        &self,
        entry: &SyncEntry,
        object: ObjectRef,
        (property, fits): (PropertyNumber, &dyn Fn(Kind) -> bool),
    ) -> Result<(), Effect> {
        let ignores = self.mutant == Some(Mutant::SetIgnoresDelete);
        if self.meets_delete(entry, object) && !ignores {
            return Err(Effect::Deleted);
        }
        let properties = self.schema.get(&object.class).map(|(_, properties)| properties);
        let kind = properties.and_then(|properties| properties.get(&property));
        let exists = self.objects.contains_key(&object) && kind.is_some_and(|kind| fits(*kind));
        if exists { Ok(()) } else { Err(Effect::Absent) }
    }

    /// Drops everything that entries with a base of at least `horizon` cannot meet.
    pub fn purge(&mut self, horizon: u64) {
        let horizon = horizon + u64::from(self.mutant == Some(Mutant::PurgeTooFar));
        for fields in self.objects.values_mut().chain(self.leftovers.values_mut()) {
            let values = fields.values.values_mut().map(|register| register.purge(horizon));
            let lists = fields.lists.values_mut().map(|list| list.purge(horizon));
            let dropped = values.chain(lists).max().flatten();
            self.purged_stamp = self.purged_stamp.max(dropped);
        }
        self.deletions.retain(|_, deletion| {
            if deletion.seq_of_others <= horizon {
                deletion.seq_of_others = 0;
            }
            deletion.seq > horizon
        });
    }

    /// Returns the greatest time of a value's stamp that a purge dropped: no value without a stamp
    /// was written later.
    #[must_use]
    pub fn purged_stamp(&self) -> Option<u64> {
        self.purged_stamp
    }

    /// Returns the classes.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Returns whether an object exists.
    #[must_use]
    pub fn exists(&self, object: ObjectRef) -> bool {
        self.objects.contains_key(&object)
    }

    /// Returns the visible elements of a list in order.
    #[must_use]
    pub fn elements(
        &self,
        object: ObjectRef,
        property: PropertyNumber,
    ) -> Vec<(Element, SyncValue)> {
        let list = self.objects.get(&object).and_then(|fields| fields.lists.get(&property));
        let shown = list.into_iter().flat_map(List::slots).filter(|slot| self.shows(slot));
        shown.map(|slot| (slot.element, slot.value.value)).collect()
    }

    /// Returns all elements of a list in order, removed and hidden ones included.
    #[must_use]
    pub fn places(&self, object: ObjectRef, property: PropertyNumber) -> Vec<Element> {
        let list = self.objects.get(&object).and_then(|fields| fields.lists.get(&property));
        list.into_iter().flat_map(List::slots).map(|slot| slot.element).collect()
    }

    /// Returns the stamp of a property inside the window.
    #[must_use]
    pub fn value_stamp(&self, object: ObjectRef, property: PropertyNumber) -> Option<Stamp> {
        self.objects.get(&object)?.values.get(&property)?.stamp()
    }

    /// Returns the stamp of an element's value inside the window.
    #[must_use]
    pub fn element_stamp(
        &self,
        object: ObjectRef,
        property: PropertyNumber,
        element: Element,
    ) -> Option<Stamp> {
        let list = self.objects.get(&object)?.lists.get(&property)?;
        list.slots().iter().find(|slot| slot.element == element)?.value.stamp()
    }

    /// Returns what an app reads.
    #[must_use]
    pub fn visible(&self) -> Visible {
        let visible = |object: &ObjectRef| {
            let properties = self.schema.get(&object.class).map(|(_, properties)| properties);
            let contents = properties
                .into_iter()
                .flatten()
                .map(|(property, kind)| (*property, self.content(*object, *property, *kind)));
            (*object, contents.collect())
        };
        self.objects.keys().map(visible).collect()
    }

    fn content(&self, object: ObjectRef, property: PropertyNumber, kind: Kind) -> Content {
        let fields = &self.objects[&object];
        match kind {
            Kind::Counter => {
                Content::Counter(fields.counters.get(&property).copied().unwrap_or_default())
            }
            Kind::List => Content::List(self.elements(object, property)),
            Kind::Int | Kind::Link => {
                let value = fields.values.get(&property).map(|register| register.value);
                let value = value.unwrap_or_default();
                Content::Value(if self.leads(value) { value } else { SyncValue::Null })
            }
        }
    }

    fn shows(&self, slot: &Slot) -> bool {
        slot.removed.is_none() && self.leads(slot.value.value)
    }

    /// Whether a value is no link to an absent object.
    fn leads(&self, value: SyncValue) -> bool {
        let dangles = self.mutant == Some(Mutant::LinkDangles);
        !matches!(value, SyncValue::Link(target) if !dangles && !self.objects.contains_key(&target))
    }

    /// Returns the anchor of an author that inserts before its visible element `index`.
    #[must_use]
    pub fn anchor(&self, object: ObjectRef, property: PropertyNumber, index: usize) -> Anchor {
        let list = self.objects.get(&object).and_then(|fields| fields.lists.get(&property));
        let slots: Vec<&Slot> = list.into_iter().flat_map(List::slots).collect();
        let mut shown = slots.iter().enumerate().filter(|(_, slot)| self.shows(slot));
        let left = index.checked_sub(1).and_then(|left| shown.nth(left));
        let after = left.map_or(0, |(at, _)| at + 1);
        let is_gap = slots.get(after).is_some_and(|slot| slot.removed.is_some());
        let always = self.mutant == Some(Mutant::AuthorAlwaysAfter);
        match (left, shown.next()) {
            (Some((_, left)), right)
                if !left.is_followed || right.is_none() || is_gap || always =>
            {
                Anchor::After(left.element)
            }
            (_, Some((_, right))) if !is_gap => Anchor::Before(right.element),
            (_, _) => Anchor::Head,
        }
    }
}
