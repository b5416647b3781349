//! The state of the merge rules, on tables.

use super::convert::{TableValue, core_key, core_link, core_property, core_target, entry_property};
use super::gaps::{ListPlace, Spot};
use super::links::LinkOwner;
use super::record::{ElementMemory, PURGED_STAMP, ValueRecord, deletion};
use super::{FileResult, TableState, core_element};
use crate::entry::{Anchor, ElementId, ObjectRef, PrimaryKey, PropertyType, Value as EntryValue};
use crate::fault::{self, Fault};
use crate::merge::{
    Definition, Deletion, ElementRecord, MergeState, Place, Register, WrittenElement,
};
use fastness::schema::{Class, Property, Scalar};
use fastness::table::{self, Operation, SchemaChange, Value};

impl TableState<'_> {
    /// Returns the object of a place whose property exists; the object need not.
    fn defined(&self, place: Place<'_>) -> Option<table::ObjectRef> {
        self.tables.property(place.target.class, place.property)?;
        core_target(place.target)
    }

    /// Calls `body` with the owner of a place, which exists.
    fn at<T>(
        &mut self,
        place: Place<'_>,
        body: impl FnOnce(&mut Self, LinkOwner<'_>) -> FileResult<T>,
    ) -> FileResult<T> {
        let target = core_target(place.target).ok_or_else(|| self.tables.damaged())?;
        body(self, LinkOwner { target: &target, property: place.property })
    }

    /// Calls `body` with the list of a place, which exists.
    fn in_list<T>(
        &mut self,
        place: Place<'_>,
        body: impl FnOnce(&mut Self, &ListPlace<'_>) -> FileResult<T>,
    ) -> FileResult<T> {
        self.at(place, |state, owner| {
            let list = state.list(owner)?;
            body(state, &list)
        })
    }

    /// Returns a written value as that of the tables, or the key of an object that does not exist.
    fn resolve(&self, value: EntryValue<'_>) -> FileResult<(Value<'static>, Option<Vec<u8>>)> {
        Ok(match TableValue::from(value) {
            TableValue::Value(value) => (value, None),
            TableValue::Link(to) if self.tables.contains(&to)? => (core_link(&to), None),
            TableValue::Link(to) => (Value::Null, Some(to.key.to_vec())),
            TableValue::Nowhere => (Value::Null, Some(Vec::new())),
        })
    }

    /// Records the write of an element, which may be a link to an object that does not exist.
    fn put_written(
        &mut self,
        list: &ListPlace<'_>,
        id: table::ElementId,
        (register, link): (Register, Option<Vec<u8>>),
    ) -> FileResult<()> {
        if let Some(link) = &link {
            let owner = LinkOwner { target: list.target, property: list.property };
            self.put_hidden_link(owner, link, Some(id))?;
        }
        let memory = ElementMemory { value: Some(register), link, ..self.memory(list, id)? };
        self.put_memory(list, id, &memory)
    }

    /// Takes the hidden link of an element out of the window.
    fn clear_link(&mut self, list: &ListPlace<'_>, id: table::ElementId) -> FileResult<()> {
        let memory = self.memory(list, id)?;
        let Some(link) = &memory.link else { return Ok(()) };
        let owner = LinkOwner { target: list.target, property: list.property };
        self.remove_hidden_link(owner, link, Some(id))?;
        self.put_memory(list, id, &ElementMemory { link: None, ..memory })
    }

    /// Records that an element was placed after another one.
    pub(super) fn follow(
        &mut self,
        list: &ListPlace<'_>,
        anchor: Anchor,
        seq: u64,
    ) -> FileResult<()> {
        let Anchor::After(left) = anchor else { return Ok(()) };
        let left = core_element(left);
        let memory = ElementMemory { followed: Some(seq), ..self.memory(list, left)? };
        self.put_memory(list, left, &memory)
    }

    fn set_visible(
        &mut self,
        list: &ListPlace<'_>,
        id: table::ElementId,
        value: Value<'static>,
    ) -> FileResult<()> {
        let (target, property) = (list.target.clone(), list.property.to_owned());
        let element = table::Element { id, value };
        self.apply(&Operation::ListSet { target, property, element }).map(drop)
    }
}

impl MergeState for TableState<'_> {
    type Error = fastness::Error;

    fn add_class(
        &mut self,
        class: &str,
        primary_key: Option<PrimaryKey<'_>>,
    ) -> FileResult<Definition> {
        if self.tables.class_id(class).is_some() {
            return Ok(Definition::Existed);
        }
        let Ok(mut added) = Class::new(class) else { return Ok(Definition::WithoutClass) };
        if let Some(PrimaryKey { property, is_string, nullable }) = primary_key {
            let kind = if is_string { Scalar::String } else { Scalar::Int };
            let Ok(property) = Property::new(property, kind) else {
                return Ok(Definition::WithoutClass);
            };
            let property = if nullable { property.nullable() } else { property.required() };
            added = added.with(property.primary_key());
        }
        let added = self.apply(&Operation::SchemaChange(SchemaChange::AddClass(added)))?;
        Ok(if added { Definition::Added } else { Definition::WithoutClass })
    }

    fn add_property(
        &mut self,
        class: &str,
        property: &str,
        kind: PropertyType<'_>,
    ) -> FileResult<Definition> {
        if self.tables.property(class, property).is_some() {
            return Ok(Definition::Existed);
        }
        if let PropertyType::Link(to) | PropertyType::LinkList(to) = kind
            && self.tables.class_id(to).is_none()
        {
            return Ok(Definition::WithoutClass);
        }
        let Some(property) = core_property(property, kind) else {
            return Ok(Definition::WithoutClass);
        };
        let class = class.to_owned();
        let change = SchemaChange::AddProperty { class, property };
        let added = self.apply(&Operation::SchemaChange(change))?;
        Ok(if added { Definition::Added } else { Definition::WithoutClass })
    }

    fn has_class_of(&self, target: ObjectRef<'_>) -> FileResult<bool> {
        Ok(core_target(target).is_some_and(|target| self.tables.has_class_of(&target)))
    }

    fn exists(&self, target: ObjectRef<'_>) -> FileResult<bool> {
        match core_target(target) {
            Some(target) => self.tables.contains(&target),
            None => Ok(false),
        }
    }

    fn property_fits(
        &self,
        place: Place<'_>,
        fits: &dyn Fn(PropertyType<'_>) -> bool,
    ) -> FileResult<bool> {
        let property = self.tables.property(place.target.class, place.property);
        let property = property.filter(|(_, property)| !property.is_primary_key());
        let kind = property.and_then(|(_, property)| entry_property(property));
        Ok(kind.is_some_and(fits))
    }

    fn deletion(&self, target: ObjectRef<'_>) -> FileResult<Option<Deletion>> {
        let key = core_key(target.key).and_then(|key| deletion(target.class, &key));
        let Some(key) = key else { return Ok(None) };
        let deletion: Deletion = self.read(&key)?;
        Ok(Some(deletion).filter(|deletion| deletion.seq > 0))
    }

    fn put_deletion(&mut self, target: ObjectRef<'_>, of: Deletion) -> FileResult<()> {
        match core_key(target.key).and_then(|key| deletion(target.class, &key)) {
            Some(key) => self.put(&key, &of),
            // No file can have the object.
            None => Ok(()),
        }
    }

    fn create(&mut self, target: ObjectRef<'_>) -> FileResult<()> {
        let Some(target) = core_target(target) else { return Ok(()) };
        if self.apply(&Operation::Create(target.clone()))? && !fault::on(Fault::Sn06) {
            self.show_links_to(&target)?;
        }
        Ok(())
    }

    fn delete(&mut self, target: ObjectRef<'_>) -> FileResult<bool> {
        let Some(target) = core_target(target) else { return Ok(false) };
        if !self.tables.contains(&target)? {
            return Ok(false);
        }
        let class = self.tables.class_id(&target.class).ok_or_else(|| self.tables.damaged())?;
        self.hide_links_to(&target)?;
        if !fault::on(Fault::Sn03) {
            self.forget_object(class, &target)?;
        }
        self.apply(&Operation::Delete(target))
    }

    fn register(&self, place: Place<'_>) -> FileResult<Option<Register>> {
        let Some(target) = self.defined(place) else { return Ok(None) };
        let owner = LinkOwner { target: &target, property: place.property };
        Ok(self.read::<ValueRecord>(&self.value_key(owner)?)?.register)
    }

    fn purged_stamp(&self) -> FileResult<Option<u64>> {
        self.number_at(PURGED_STAMP)
    }

    fn set(
        &mut self,
        place: Place<'_>,
        value: EntryValue<'_>,
        register: Register,
    ) -> FileResult<()> {
        let (value, link) = self.resolve(value)?;
        self.at(place, |state, owner| {
            let at = state.value_key(owner)?;
            let held: ValueRecord = state.read(&at)?;
            if let Some(held) = &held.link {
                state.remove_hidden_link(owner, held, None)?;
            }
            if let Some(link) = &link {
                state.put_hidden_link(owner, link, None)?;
            }
            state.put(&at, &ValueRecord { register: Some(register), link })?;
            let (target, property) = (owner.target.clone(), owner.property.to_owned());
            state.apply(&Operation::Set { target, property, value }).map(drop)
        })
    }

    fn increment(&mut self, place: Place<'_>, by: i64) -> FileResult<()> {
        self.at(place, |state, owner| {
            let (target, property) = (owner.target.clone(), owner.property.to_owned());
            state.apply(&Operation::Increment { target, property, by }).map(drop)
        })
    }

    fn element(&self, place: Place<'_>, element: ElementId) -> FileResult<Option<ElementRecord>> {
        let Some(target) = self.defined(place) else { return Ok(None) };
        let owner = LinkOwner { target: &target, property: place.property };
        let (list, id) = (self.list(owner)?, core_element(element));
        let memory = self.memory(&list, id)?;
        if memory.hidden.is_none() && !self.tables.has_element(list.named(), id)? {
            return Ok(None);
        }
        let ElementMemory { value, place, removed, .. } = memory;
        Ok(Some(ElementRecord { value, place, removed }))
    }

    fn insert_element(
        &mut self,
        place: Place<'_>,
        element: WrittenElement<'_>,
        anchor: Anchor,
    ) -> FileResult<()> {
        let (value, link) = self.resolve(element.value)?;
        let (id, register) = (core_element(element.id), element.register);
        self.in_list(place, |state, list| {
            let spot = state.spot(list, anchor)?;
            state.follow(list, anchor, register.seq)?;
            if link.is_some() {
                state.hide_at(list, id, spot)?;
            } else if !state.show_at(list, (id, &value), spot)? {
                return Ok(());
            }
            state.put_written(list, id, (register, link))
        })
    }

    fn set_element(&mut self, place: Place<'_>, element: WrittenElement<'_>) -> FileResult<()> {
        let (value, link) = self.resolve(element.value)?;
        let (id, register) = (core_element(element.id), element.register);
        self.in_list(place, |state, list| {
            let is_hidden = state.memory(list, id)?.hidden.is_some();
            state.clear_link(list, id)?;
            match (is_hidden, link.is_some()) {
                (false, false) => state.set_visible(list, id, value)?,
                (false, true) => state.hide(list, id)?,
                (true, false) => {
                    let spot = state.take_hidden(list, id)?;
                    state.show_at(list, (id, &value), spot)?;
                }
                (true, true) => {}
            }
            state.put_written(list, id, (register, link))
        })
    }

    fn remove_element(&mut self, place: Place<'_>, element: ElementId, seq: u64) -> FileResult<()> {
        let id = core_element(element);
        self.in_list(place, |state, list| {
            match state.memory(list, id)?.hidden {
                Some(_) => state.clear_link(list, id)?,
                None => state.hide(list, id)?,
            }
            let memory = ElementMemory { removed: Some(seq), ..state.memory(list, id)? };
            state.put_memory(list, id, &memory)
        })
    }

    fn move_element(
        &mut self,
        place: Place<'_>,
        (element, register): (ElementId, Register),
        anchor: Anchor,
    ) -> FileResult<()> {
        let id = core_element(element);
        self.in_list(place, |state, list| {
            let is_hidden = state.memory(list, id)?.hidden.is_some();
            let value = state.tables.element_value(list.named(), id)?;
            if !is_hidden {
                state.hide(list, id)?;
            }
            state.take_hidden(list, id)?;
            let spot: Spot = state.spot(list, anchor)?;
            state.follow(list, anchor, register.seq)?;
            match value {
                Some(value) => state.show_at(list, (id, &value), spot).map(drop)?,
                None => state.hide_at(list, id, spot)?,
            }
            let memory = ElementMemory { place: Some(register), ..state.memory(list, id)? };
            state.put_memory(list, id, &memory)
        })
    }
}
