//! A state in memory: what operations merge into without a file.

use super::list::{ListSlot, MemoryList};
use super::owned::{AnyKey, OwnedKey, OwnedPrimaryKey, OwnedType, OwnedValue, key_fits};
use super::state::{
    Definition, Deletion, ElementRecord, MergeState, Place, Register, WrittenElement,
};
use super::visible::VisibleState;
use crate::entry::{Anchor, ElementId, Key, ObjectRef, PrimaryKey, PropertyType, Value};
use std::collections::HashMap;
use std::convert::Infallible;

/// A state in memory.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    classes: HashMap<Box<str>, MemoryClass>,
    /// By class; a class need not exist.
    deletions: HashMap<Box<str>, HashMap<OwnedKey, Deletion>>,
    /// The greatest stamp of a value that a purge dropped.
    purged_stamp: Option<u64>,
}

#[derive(Clone, Debug, Default)]
struct MemoryClass {
    primary_key: Option<OwnedPrimaryKey>,
    /// Properties, each with its position in the fields of an object.
    properties: HashMap<Box<str>, (usize, OwnedType)>,
    objects: HashMap<OwnedKey, Vec<Field>>,
}

/// A property of an object.
#[derive(Clone, Debug, Default)]
enum Field {
    /// As in a new object.
    #[default]
    Unset,
    Value(OwnedValue, Option<Register>),
    Counter(i64),
    List(Box<MemoryList<OwnedValue>>),
}

impl Memory {
    fn object(&self, target: ObjectRef<'_>) -> Option<&Vec<Field>> {
        self.classes.get(target.class)?.objects.get(&target.key as &dyn AnyKey)
    }

    fn field(&self, place: Place<'_>) -> Option<&Field> {
        let class = self.classes.get(place.target.class)?;
        let (index, _) = class.properties.get(place.property)?;
        class.objects.get(&place.target.key as &dyn AnyKey)?.get(*index)
    }

    fn field_mut(&mut self, place: Place<'_>) -> &mut Field {
        let class = self.classes.get_mut(place.target.class).expect("SY15: the class exists");
        let (index, _) = class.properties.get(place.property).expect("SY15: the property exists");
        let fields = class.objects.get_mut(&place.target.key as &dyn AnyKey);
        let fields = fields.expect("SY15: the object exists");
        if fields.len() <= *index {
            fields.resize_with(index + 1, Field::default);
        }
        &mut fields[*index]
    }

    fn list(&self, place: Place<'_>) -> Option<&MemoryList<OwnedValue>> {
        match self.field(place)? {
            Field::List(list) => Some(list),
            Field::Unset | Field::Value(..) | Field::Counter(_) => None,
        }
    }

    fn list_mut(&mut self, place: Place<'_>) -> &mut MemoryList<OwnedValue> {
        let field = self.field_mut(place);
        if matches!(field, Field::Unset) {
            *field = Field::List(Box::default());
        }
        match field {
            Field::List(list) => list,
            Field::Unset | Field::Value(..) | Field::Counter(_) => {
                unreachable!("SY15: the property is a list")
            }
        }
    }

    /// Tells whether a value is visible as it is: no link to an object that does not exist.
    fn leads(&self, value: Value<'_>) -> bool {
        !matches!(value, Value::Link(target) if self.object(target).is_none())
    }

    /// Returns the keys of the objects of a class, in no order.
    pub fn keys(&self, class: &str) -> impl Iterator<Item = Key<'_>> {
        let objects = self.classes.get(class).into_iter().flat_map(|class| class.objects.keys());
        objects.map(AnyKey::key)
    }

    /// Returns the visible value of a property; null if it was never set, or is a link to an object
    /// that does not exist.
    #[must_use]
    pub fn value(&self, place: Place<'_>) -> Value<'_> {
        match self.field(place) {
            Some(Field::Value(value, _)) if self.leads(value.value()) => value.value(),
            _ => Value::Null,
        }
    }

    /// Returns the sum of a counter.
    #[must_use]
    pub fn counter(&self, place: Place<'_>) -> i64 {
        match self.field(place) {
            Some(Field::Counter(sum)) => *sum,
            _ => 0,
        }
    }

    /// Returns the visible elements of a list, in order.
    pub fn elements(&self, place: Place<'_>) -> impl Iterator<Item = (ElementId, Value<'_>)> {
        self.visible_from(place, 0).map(|slot| (slot.id, slot.value.value()))
    }

    /// Returns the visible element at an index.
    #[must_use]
    pub fn element_at(&self, place: Place<'_>, index: usize) -> Option<(ElementId, Value<'_>)> {
        let slot = self.visible_from(place, index).next()?;
        Some((slot.id, slot.value.value()))
    }

    /// Returns the visible elements of a list from the one at `index` on.
    fn visible_from<'a>(
        &'a self,
        place: Place<'_>,
        index: usize,
    ) -> impl Iterator<Item = &'a ListSlot<OwnedValue>> {
        // Only links may be hidden.
        let is_link = |kind: PropertyType<'_>| matches!(kind, PropertyType::LinkList(_));
        let Ok(hides) = self.property_fits(place, &is_link);
        let (skipped, counted) = if hides { (0, index) } else { (index, 0) };
        let slots = self.list(place).into_iter().flat_map(move |list| list.kept_from(skipped));
        slots.filter(|slot| self.leads(slot.value.value())).skip(counted)
    }

    /// Returns the anchor of an author that inserts before its visible element `index` (MR5).
    #[must_use]
    pub fn anchor(&self, place: Place<'_>, index: usize) -> Anchor {
        let mut visible = self.visible_from(place, index.saturating_sub(1));
        let left = if index == 0 { None } else { visible.next() };
        let list = self.list(place);
        let is_gap = list.is_some_and(|list| list.is_removed_after(left.map(|left| left.id)));
        match (left, visible.next()) {
            (Some(left), right) if !left.is_followed || right.is_none() || is_gap => {
                Anchor::After(left.id)
            }
            (_, Some(right)) if !is_gap => Anchor::Before(right.id),
            (_, _) => Anchor::Head,
        }
    }

    /// Forgets what entries with a base of at least `horizon` cannot meet (MR9).
    #[expect(clippy::iter_over_hash_type, reason = "each object is purged by itself")]
    pub fn purge(&mut self, horizon: u64) {
        let is_recent = |register: &Register| register.seq > horizon;
        let mut purged = self.purged_stamp;
        let mut value = |register: &mut Option<Register>| {
            let dropped = register.take_if(|register| !is_recent(register));
            purged = purged.max(dropped.map(|register| register.stamp.time));
        };
        for class in self.classes.values_mut() {
            for field in class.objects.values_mut().flatten() {
                match field {
                    Field::Value(_, register) => value(register),
                    Field::List(list) => list.retain(|slot| {
                        let record = &mut slot.record;
                        value(&mut record.value);
                        record.place = record.place.filter(is_recent);
                        record.removed.is_none_or(|seq| seq > horizon)
                    }),
                    Field::Unset | Field::Counter(_) => {}
                }
            }
        }
        self.purged_stamp = purged;
        for deletions in self.deletions.values_mut() {
            deletions.retain(|_, deletion| {
                if deletion.seq_of_others <= horizon {
                    deletion.seq_of_others = 0;
                }
                deletion.seq > horizon
            });
        }
    }
}

impl MergeState for Memory {
    type Error = Infallible;

    fn add_class(
        &mut self,
        class: &str,
        primary_key: Option<PrimaryKey<'_>>,
    ) -> Result<Definition, Infallible> {
        if self.classes.contains_key(class) {
            return Ok(Definition::Existed);
        }
        let primary_key = primary_key.map(OwnedPrimaryKey::from);
        let added = MemoryClass { primary_key, ..MemoryClass::default() };
        self.classes.insert(class.into(), added);
        Ok(Definition::Added)
    }

    fn add_property(
        &mut self,
        class: &str,
        property: &str,
        kind: PropertyType<'_>,
    ) -> Result<Definition, Infallible> {
        let Some(class) = self.classes.get_mut(class) else {
            return Ok(Definition::WithoutClass);
        };
        if class.properties.contains_key(property) {
            return Ok(Definition::Existed);
        }
        class.properties.insert(property.into(), (class.properties.len(), kind.into()));
        Ok(Definition::Added)
    }

    fn has_class_of(&self, target: ObjectRef<'_>) -> Result<bool, Infallible> {
        let class = self.classes.get(target.class);
        Ok(class.is_some_and(|class| key_fits(class.primary_key.as_ref(), target.key)))
    }

    fn exists(&self, target: ObjectRef<'_>) -> Result<bool, Infallible> {
        Ok(self.object(target).is_some())
    }

    fn property_fits(
        &self,
        place: Place<'_>,
        fits: &dyn Fn(PropertyType<'_>) -> bool,
    ) -> Result<bool, Infallible> {
        let class = self.classes.get(place.target.class);
        let property = class.and_then(|class| class.properties.get(place.property));
        Ok(property.is_some_and(|(_, kind)| fits(kind.kind())))
    }

    fn deletion(&self, target: ObjectRef<'_>) -> Result<Option<Deletion>, Infallible> {
        let deletions = self.deletions.get(target.class);
        Ok(deletions.and_then(|all| all.get(&target.key as &dyn AnyKey)).copied())
    }

    fn put_deletion(&mut self, target: ObjectRef<'_>, of: Deletion) -> Result<(), Infallible> {
        if !self.deletions.contains_key(target.class) {
            self.deletions.insert(target.class.into(), HashMap::new());
        }
        if let Some(deletions) = self.deletions.get_mut(target.class) {
            deletions.insert(target.key.into(), of);
        }
        Ok(())
    }

    fn create(&mut self, target: ObjectRef<'_>) -> Result<(), Infallible> {
        if let Some(class) = self.classes.get_mut(target.class) {
            class.objects.insert(target.key.into(), Vec::new());
        }
        Ok(())
    }

    fn delete(&mut self, target: ObjectRef<'_>) -> Result<bool, Infallible> {
        let class = self.classes.get_mut(target.class);
        let removed = class.and_then(|class| class.objects.remove(&target.key as &dyn AnyKey));
        Ok(removed.is_some())
    }

    fn register(&self, place: Place<'_>) -> Result<Option<Register>, Infallible> {
        Ok(match self.field(place) {
            Some(Field::Value(_, register)) => *register,
            _ => None,
        })
    }

    fn purged_stamp(&self) -> Result<Option<u64>, Infallible> {
        Ok(self.purged_stamp)
    }

    fn set(
        &mut self,
        place: Place<'_>,
        value: Value<'_>,
        register: Register,
    ) -> Result<(), Infallible> {
        *self.field_mut(place) = Field::Value(value.into(), Some(register));
        Ok(())
    }

    fn increment(&mut self, place: Place<'_>, by: i64) -> Result<(), Infallible> {
        let sum = self.counter(place).wrapping_add(by);
        *self.field_mut(place) = Field::Counter(sum);
        Ok(())
    }

    fn element(
        &self,
        place: Place<'_>,
        element: ElementId,
    ) -> Result<Option<ElementRecord>, Infallible> {
        Ok(self.list(place).and_then(|list| list.get(element)).map(|slot| slot.record))
    }

    fn insert_element(
        &mut self,
        place: Place<'_>,
        WrittenElement { id, value, register }: WrittenElement<'_>,
        anchor: Anchor,
    ) -> Result<(), Infallible> {
        let record = ElementRecord { value: Some(register), ..ElementRecord::default() };
        let slot = ListSlot { id, value: value.into(), record, is_followed: false };
        self.list_mut(place).insert(slot, anchor);
        Ok(())
    }

    fn set_element(
        &mut self,
        place: Place<'_>,
        WrittenElement { id, value, register }: WrittenElement<'_>,
    ) -> Result<(), Infallible> {
        if let Some(slot) = self.list_mut(place).get_mut(id) {
            slot.value = value.into();
            slot.record.value = Some(register);
        }
        Ok(())
    }

    fn remove_element(
        &mut self,
        place: Place<'_>,
        element: ElementId,
        seq: u64,
    ) -> Result<(), Infallible> {
        self.list_mut(place).remove(element, seq);
        Ok(())
    }

    fn move_element(
        &mut self,
        place: Place<'_>,
        (id, register): (ElementId, Register),
        anchor: Anchor,
    ) -> Result<(), Infallible> {
        self.list_mut(place).relocate(id, register, anchor);
        Ok(())
    }
}

impl VisibleState for Memory {
    type Error = Infallible;

    fn class_conflicts(
        &self,
        class: &str,
        primary_key: Option<PrimaryKey<'_>>,
    ) -> Result<bool, Infallible> {
        let held = self.classes.get(class).map(|class| class.primary_key.as_ref());
        Ok(held.is_some_and(|held| held.map(OwnedPrimaryKey::primary_key) != primary_key))
    }

    fn property_conflicts(
        &self,
        class: &str,
        property: &str,
        kind: PropertyType<'_>,
    ) -> Result<bool, Infallible> {
        let held = self.classes.get(class).and_then(|class| class.properties.get(property));
        Ok(held.is_some_and(|(_, held)| held.kind() != kind))
    }

    fn see_value(
        &self,
        place: Place<'_>,
        see: &mut dyn FnMut(Value<'_>),
    ) -> Result<(), Infallible> {
        see(self.value(place));
        Ok(())
    }

    fn see_element(
        &self,
        place: Place<'_>,
        element: ElementId,
        see: &mut dyn FnMut(Value<'_>),
    ) -> Result<(), Infallible> {
        let slot = self.list(place).and_then(|list| list.get(element));
        let kept = slot.filter(|slot| slot.record.removed.is_none());
        if let Some(slot) = kept.filter(|slot| self.leads(slot.value.value())) {
            see(slot.value.value());
        }
        Ok(())
    }

    fn see_left(
        &self,
        place: Place<'_>,
        element: ElementId,
        see: &mut dyn FnMut(ElementId) -> bool,
    ) -> Result<(), Infallible> {
        let list = self.list(place).filter(|list| list.get(element).is_some());
        let slots = list.into_iter().flat_map(MemoryList::all);
        let left: Vec<ElementId> =
            slots.map(|slot| slot.id).take_while(|id| *id != element).collect();
        left.into_iter().rev().all(see);
        Ok(())
    }
}
