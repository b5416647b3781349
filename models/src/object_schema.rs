//! Schema changes, and their effect on objects.
//!
//! Written from docs/objects.md#opening, not from the code.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names the types it is about and treats all others alike"
)]

use crate::objects::{Class, Id, Key, Kind, Object, Property, Refusal, State, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A schema change.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it; the class comes first, then the property")]
pub enum Alter {
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

type Result = std::result::Result<(), Refusal>;

fn unless(refused: bool, refusal: Refusal) -> Result {
    if refused { Err(refusal) } else { Ok(()) }
}

impl Kind {
    const fn may_be_key(&self) -> bool {
        matches!(self, Self::Int | Self::Text)
    }

    /// Returns whether values of the type can be indexed.
    #[must_use]
    pub const fn may_be_indexed(&self) -> bool {
        matches!(self, Self::Int | Self::Bool | Self::Text | Self::Time)
    }
}

impl State {
    /// Applies a schema change.
    ///
    /// # Errors
    /// As the specification defines; the state is unchanged.
    pub fn alter(&mut self, alter: &Alter) -> Result {
        let mut draft = self.clone();
        match alter {
            Alter::AddClass(name) => {
                unless(draft.classes.contains_key(name), Refusal::Exists)?;
                draft.classes.insert(name.clone(), Class::default());
            }
            Alter::RemoveClass(name) => {
                draft.class(name)?;
                let linked = draft.classes.iter().any(|(other, class)| {
                    other != name && class.properties.values().any(|held| held.leads_to(name))
                });
                unless(linked, Refusal::Linked)?;
                draft.classes.remove(name);
            }
            Alter::RenameClass(name, to) => draft.rename_class(name, to)?,
            Alter::AddProperty(class, name, property) => {
                let class = draft.class_mut(class)?;
                unless(class.properties.contains_key(name), Refusal::Exists)?;
                class.add_property(name, property);
            }
            Alter::AddKey(class, name, property) => {
                unless(draft.class(class)?.properties.contains_key(name), Refusal::Exists)?;
                unless(!property.kind.may_be_key(), Refusal::Definition)?;
                draft.alter(&Alter::AddProperty(class.clone(), name.clone(), property.clone()))?;
                draft.set_key(class, Some(name))?;
            }
            Alter::RemoveProperty(class, name) => {
                if draft.class(class)?.key.as_ref() == Some(name) {
                    draft.set_key(class, None)?;
                }
                let class = draft.class_mut(class)?;
                class.properties.remove(name).ok_or(Refusal::Property)?;
                class.edit_all(|object| object.take(name));
            }
            Alter::RenameProperty(class, name, to) => {
                let class = draft.class_mut(class)?;
                let held = class.properties.get(name).ok_or(Refusal::Property)?.clone();
                unless(class.properties.contains_key(to), Refusal::Exists)?;
                class.properties.remove(name);
                class.properties.insert(to.clone(), held);
                if class.key.as_ref() == Some(name) {
                    class.key = Some(to.clone());
                }
                class.edit_all(|object| object.rename(name, to));
            }
            Alter::SetNullable(class, name, nullable) => draft.null(class, name, *nullable)?,
            Alter::SetKey(class, name) => draft.set_key(class, name.as_deref())?,
            Alter::SetIndexed(class, name, indexed) => {
                let class = draft.class_mut(class)?;
                let held = class.properties.get_mut(name).ok_or(Refusal::Property)?;
                unless(*indexed && !held.kind.may_be_indexed(), Refusal::Type)?;
                held.indexed = *indexed || class.key.as_ref() == Some(name);
            }
        }
        *self = draft;
        Ok(())
    }

    fn rename_class(&mut self, name: &str, to: &str) -> Result {
        self.class(name)?;
        unless(self.classes.contains_key(to), Refusal::Exists)?;
        let Some(class) = self.classes.remove(name) else { return Err(Refusal::Class) };
        self.classes.insert(to.to_owned(), class);
        for class in self.classes.values_mut() {
            for property in class.properties.values_mut().filter(|held| held.leads_to(name)) {
                property.kind = match property.kind {
                    Kind::Links(_) => Kind::Links(to.to_owned()),
                    _ => Kind::Link(to.to_owned()),
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

    fn null(&mut self, name: &str, property: &str, nullable: bool) -> Result {
        let class = self.class_mut(name)?;
        let held = class.properties.get_mut(property).ok_or(Refusal::Property)?;
        let fixed = held.kind.is_list() || held.kind == Kind::Counter;
        unless(nullable && fixed, Refusal::Type)?;
        unless(!nullable && matches!(held.kind, Kind::Link(_)), Refusal::Type)?;
        if fixed || held.nullable == nullable {
            return Ok(());
        }
        held.nullable = nullable;
        let zero = held.initial();
        if class.key.as_deref() != Some(property) {
            class.edit_all(|object| object.replace_null(property, &zero));
            return Ok(());
        }
        let zero = class.key_of(&zero)?;
        self.rekey(name, |_, key| Ok(if *key == Key::Null { zero.clone() } else { key.clone() }))
    }

    /// Changes or removes the primary key.
    fn set_key(&mut self, name: &str, key: Option<&str>) -> Result {
        let class = self.class_mut(name)?;
        if class.key.as_deref() == key {
            return Ok(());
        }
        if let Some(key) = key {
            let held = class.properties.get(key).ok_or(Refusal::Property)?;
            unless(!held.kind.may_be_key(), Refusal::Type)?;
        }
        // The former key becomes a property without an index.
        if let Some(former) = class.key.take() {
            if let Some(held) = class.properties.get_mut(&former) {
                held.indexed = false;
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
        if let Some(held) = class.properties.get_mut(key) {
            held.indexed = true;
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
        mut to: impl FnMut(&Object, &Key) -> std::result::Result<Key, Refusal>,
    ) -> Result {
        let class = self.class_mut(name)?;
        let mut moved = BTreeMap::new();
        let mut objects = BTreeMap::new();
        for (key, object) in std::mem::take(&mut class.objects) {
            let next = to(&object, &key)?;
            moved.insert(key, next.clone());
            unless(objects.insert(next, object).is_some(), Refusal::KeysNotUnique)?;
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
        matches!(&self.kind, Kind::Link(to) | Kind::Links(to) if to == class)
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
