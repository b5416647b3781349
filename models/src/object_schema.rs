//! Schema changes, and their effect on objects.
//!
//! Written from docs/objects.md#opening, not from the code.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names the types it is about and treats all others alike"
)]

use crate::objects::{
    Class, DatabaseState, Id, Key, Object, ObjectRefusal, ObjectResult, Property, Value, ValueType,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A schema change.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it; the class comes first, then the property")]
pub enum SchemaChange {
    AddClass(String),
    RemoveClass(String),
    RenameClass(String, String),
    AddProperty(String, String, Property),
    AddKey(String, String, Property),
    RemoveProperty(String, String),
    RenameProperty(String, String, String),
    SetNullable(String, String, bool),
    SetKey(String, Option<String>),
    SetIndexed(String, String, bool),
}

fn refuse_if(refused: bool, refusal: ObjectRefusal) -> ObjectResult<()> {
    if refused { Err(refusal) } else { Ok(()) }
}

impl ValueType {
    const fn may_be_key(&self) -> bool {
        matches!(self, Self::Int | Self::Text)
    }

    /// Returns whether values of the type can be indexed.
    #[must_use]
    pub const fn may_be_indexed(&self) -> bool {
        matches!(self, Self::Int | Self::Bool | Self::Text | Self::Time)
    }
}

impl DatabaseState {
    /// Applies a schema change.
    ///
    /// # Errors
    /// As the specification defines; the state is unchanged.
    pub fn change_schema(&mut self, change_schema: &SchemaChange) -> ObjectResult<()> {
        let mut draft = self.clone();
        match change_schema {
            SchemaChange::AddClass(name) => {
                refuse_if(draft.classes.contains_key(name), ObjectRefusal::Exists)?;
                draft.classes.insert(name.clone(), Class::default());
            }
            SchemaChange::RemoveClass(name) => {
                draft.class(name)?;
                let linked = draft.classes.iter().any(|(other, class)| {
                    other != name && class.properties.values().any(|stored| stored.leads_to(name))
                });
                refuse_if(linked, ObjectRefusal::Linked)?;
                draft.classes.remove(name);
            }
            SchemaChange::RenameClass(name, to) => draft.rename_class(name, to)?,
            SchemaChange::AddProperty(class, name, property) => {
                let class = draft.class_mut(class)?;
                refuse_if(class.properties.contains_key(name), ObjectRefusal::Exists)?;
                class.add_property(name, property);
            }
            SchemaChange::AddKey(class, name, property) => {
                refuse_if(
                    draft.class(class)?.properties.contains_key(name),
                    ObjectRefusal::Exists,
                )?;
                refuse_if(!property.kind.may_be_key(), ObjectRefusal::Definition)?;
                draft.change_schema(&SchemaChange::AddProperty(
                    class.clone(),
                    name.clone(),
                    property.clone(),
                ))?;
                draft.set_key(class, Some(name))?;
            }
            SchemaChange::RemoveProperty(class, name) => {
                if draft.class(class)?.key.as_ref() == Some(name) {
                    draft.set_key(class, None)?;
                }
                let class = draft.class_mut(class)?;
                class.properties.remove(name).ok_or(ObjectRefusal::Property)?;
                class.edit_all(|object| object.take(name));
            }
            SchemaChange::RenameProperty(class, name, to) => {
                let class = draft.class_mut(class)?;
                let stored = class.properties.get(name).ok_or(ObjectRefusal::Property)?.clone();
                refuse_if(class.properties.contains_key(to), ObjectRefusal::Exists)?;
                class.properties.remove(name);
                class.properties.insert(to.clone(), stored);
                if class.key.as_ref() == Some(name) {
                    class.key = Some(to.clone());
                }
                class.edit_all(|object| object.rename(name, to));
            }
            SchemaChange::SetNullable(class, name, nullable) => {
                draft.set_nullable(class, name, *nullable)?
            }
            SchemaChange::SetKey(class, name) => draft.set_key(class, name.as_deref())?,
            SchemaChange::SetIndexed(class, name, indexed) => {
                let class = draft.class_mut(class)?;
                let stored = class.properties.get_mut(name).ok_or(ObjectRefusal::Property)?;
                refuse_if(*indexed && !stored.kind.may_be_indexed(), ObjectRefusal::Type)?;
                stored.indexed = *indexed || class.key.as_ref() == Some(name);
            }
        }
        *self = draft;
        Ok(())
    }

    fn rename_class(&mut self, name: &str, to: &str) -> ObjectResult<()> {
        self.class(name)?;
        refuse_if(self.classes.contains_key(to), ObjectRefusal::Exists)?;
        let Some(class) = self.classes.remove(name) else { return Err(ObjectRefusal::Class) };
        self.classes.insert(to.to_owned(), class);
        for class in self.classes.values_mut() {
            for property in class.properties.values_mut().filter(|stored| stored.leads_to(name)) {
                property.kind = match property.kind {
                    ValueType::Links(_) => ValueType::Links(to.to_owned()),
                    _ => ValueType::Link(to.to_owned()),
                };
            }
        }
        self.follow(|(class, key)| {
            let class = if class == name { to } else { class };
            (class.to_owned(), key.clone())
        });
        Ok(())
    }

    /// Maps the target of every link.
    fn follow(&mut self, to: impl Fn(&Id) -> Id) {
        for class in self.classes.values_mut() {
            class.edit_all(|object| {
                let listed = object.lists.values_mut().flatten().map(|(_, value)| value);
                for value in object.values.values_mut().chain(listed) {
                    if let Value::Link(id) = value {
                        *id = to(id);
                    }
                }
            });
        }
    }

    fn set_nullable(&mut self, name: &str, property: &str, nullable: bool) -> ObjectResult<()> {
        let class = self.class_mut(name)?;
        let stored = class.properties.get_mut(property).ok_or(ObjectRefusal::Property)?;
        let fixed = stored.kind.is_list() || stored.kind == ValueType::Counter;
        refuse_if(nullable && fixed, ObjectRefusal::Type)?;
        refuse_if(!nullable && matches!(stored.kind, ValueType::Link(_)), ObjectRefusal::Type)?;
        if fixed || stored.nullable == nullable {
            return Ok(());
        }
        stored.nullable = nullable;
        let zero = stored.initial();
        if class.key.as_deref() != Some(property) {
            class.edit_all(|object| object.replace_null(property, &zero));
            return Ok(());
        }
        let zero = class.key_of(&zero)?;
        self.rekey(name, |_, key| Ok(if *key == Key::Null { zero.clone() } else { key.clone() }))
    }

    /// Changes or removes the primary key.
    fn set_key(&mut self, name: &str, key: Option<&str>) -> ObjectResult<()> {
        let class = self.class_mut(name)?;
        if class.key.as_deref() == key {
            return Ok(());
        }
        if let Some(key) = key {
            let stored = class.properties.get(key).ok_or(ObjectRefusal::Property)?;
            refuse_if(!stored.kind.may_be_key(), ObjectRefusal::Type)?;
        }
        // The former key becomes a property without an index.
        if let Some(former) = class.key.take() {
            if let Some(stored) = class.properties.get_mut(&former) {
                stored.indexed = false;
            }
            for (key, object) in &mut class.objects {
                let value = match key {
                    Key::Int(value) => Value::Int(*value),
                    Key::Text(text) => Value::Text(text.clone()),
                    Key::Null | Key::Row(_) => Value::Null,
                };
                Arc::make_mut(object).values.insert(former.clone(), value);
            }
        }
        let Some(key) = key else {
            let mut numbers = self.numbers;
            self.rekey(name, |_, _| {
                numbers += 1;
                Ok(Key::Row(numbers))
            })?;
            self.numbers = numbers;
            return Ok(());
        };
        if let Some(stored) = class.properties.get_mut(key) {
            stored.indexed = true;
        }
        class.key = Some(key.to_owned());
        let checker = Class { objects: BTreeMap::new(), ..class.clone() };
        self.rekey(name, |object, _| checker.key_of(&object.values[key]))?;
        self.class_mut(name)?.edit_all(|object| object.take(key));
        Ok(())
    }

    /// Changes the key of every object of a class; links follow.
    fn rekey(
        &mut self,
        name: &str,
        mut to: impl FnMut(&Object, &Key) -> Result<Key, ObjectRefusal>,
    ) -> ObjectResult<()> {
        let class = self.class_mut(name)?;
        let mut moved = BTreeMap::new();
        let mut objects = BTreeMap::new();
        for (key, object) in std::mem::take(&mut class.objects) {
            let next = to(&object, &key)?;
            moved.insert(key, next.clone());
            refuse_if(objects.insert(next, object).is_some(), ObjectRefusal::KeysNotUnique)?;
        }
        class.objects = objects;
        self.follow(|(class, key)| {
            let key = if class == name { moved.get(key).unwrap_or(key) } else { key };
            (class.clone(), key.clone())
        });
        Ok(())
    }
}

impl Property {
    fn leads_to(&self, class: &str) -> bool {
        matches!(&self.kind, ValueType::Link(to) | ValueType::Links(to) if to == class)
    }
}

impl Class {
    pub(crate) fn add_property(&mut self, name: &str, property: &Property) {
        self.properties.insert(name.to_owned(), property.clone());
        self.edit_all(|object| object.add(name, property));
    }

    fn edit_all(&mut self, mut body: impl FnMut(&mut Object)) {
        self.objects.values_mut().for_each(|object| body(Arc::make_mut(object)));
    }
}

impl Object {
    fn add(&mut self, name: &str, property: &Property) {
        if property.kind.is_list() {
            self.lists.insert(name.to_owned(), Vec::new());
        } else {
            self.values.insert(name.to_owned(), property.initial());
        }
    }

    fn take(&mut self, name: &str) {
        self.values.remove(name);
        self.lists.remove(name);
    }

    fn rename(&mut self, name: &str, to: &str) {
        if let Some(value) = self.values.remove(name) {
            self.values.insert(to.to_owned(), value);
        }
        if let Some(list) = self.lists.remove(name) {
            self.lists.insert(to.to_owned(), list);
        }
    }

    fn replace_null(&mut self, name: &str, zero: &Value) {
        if let Some(value) = self.values.get_mut(name).filter(|value| **value == Value::Null) {
            *value = zero.clone();
        }
    }
}
