//! Objects written as a whole, as structs are: all properties except the primary key, or none.
//!
//! Written from docs/objects.md#typed-objects, not from the code.

use crate::objects::{DatabaseState, Id, Key, ListEdit, ObjectRefusal, ObjectResult, Value};

/// The content of a property.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PropertyValue {
    /// A value.
    Value(Value),
    /// The elements of a list.
    List(Vec<Value>),
}

/// All properties except the primary key, in the order of the struct's fields.
pub type ObjectValues = [(String, PropertyValue)];

impl Key {
    /// Returns the value of the primary key.
    #[must_use]
    pub fn value(&self) -> Value {
        match self {
            Self::Int(value) => Value::Int(*value),
            Self::Text(text) => Value::Text(text.clone()),
            Self::Null | Self::Row(_) => Value::Null,
        }
    }
}

impl DatabaseState {
    /// Returns the values of an object.
    #[must_use]
    pub fn object_values(&self, id: &Id) -> Option<Vec<(String, PropertyValue)>> {
        let (class, object) = (self.classes.get(&id.0)?, self.object(id)?);
        let names = class.properties.keys().filter(|name| class.key.as_ref() != Some(*name));
        let content = |name: &String| match (object.values.get(name), object.lists.get(name)) {
            (_, Some(list)) => {
                PropertyValue::List(list.iter().map(|(_, value)| value.clone()).collect())
            }
            (value, None) => PropertyValue::Value(value.cloned().unwrap_or(Value::Null)),
        };
        Some(names.map(|name| (name.clone(), content(name))).collect())
    }

    /// Creates an object with these values, and with a primary key exactly if the class has one.
    ///
    /// # Errors
    /// As the specification defines, for all of them.
    pub fn create_with_values(
        &mut self,
        class: &str,
        key: Option<&Value>,
        object_values: &ObjectValues,
    ) -> ObjectResult<Id> {
        let mut draft = self.clone();
        draft.check_values(class, object_values)?;
        let id = match key {
            None => draft.create(class)?,
            Some(key) => match draft.get_or_create(class, key)? {
                (id, true) => id,
                (_, false) => return Err(ObjectRefusal::KeyExists),
            },
        };
        draft.put_values(&id, object_values)?;
        *self = draft;
        Ok(id)
    }

    /// Creates or overwrites the object with a primary key; returns whether it was created.
    ///
    /// # Errors
    /// See [`DatabaseState::create_with_values`].
    pub fn upsert_with_values(
        &mut self,
        class: &str,
        key: &Value,
        object_values: &ObjectValues,
    ) -> ObjectResult<(Id, bool)> {
        let mut draft = self.clone();
        draft.check_values(class, object_values)?;
        let (id, created) = draft.get_or_create(class, key)?;
        draft.put_values(&id, object_values)?;
        *self = draft;
        Ok((id, created))
    }

    /// Overwrites an existing object; its primary key cannot change.
    ///
    /// # Errors
    /// See [`DatabaseState::create_with_values`].
    pub fn update_values(
        &mut self,
        id: &Id,
        key: Option<&Value>,
        object_values: &ObjectValues,
    ) -> ObjectResult<()> {
        self.object(id).ok_or(ObjectRefusal::ObjectNotFound)?;
        if key.is_some_and(|key| *key != id.1.value()) {
            return Err(ObjectRefusal::PrimaryKeyImmutable);
        }
        let mut draft = self.clone();
        draft.check_values(&id.0, object_values)?;
        draft.put_values(id, object_values)?;
        *self = draft;
        Ok(())
    }

    /// Returns the first reason for a refusal.
    fn check_values(&self, class: &str, object_values: &ObjectValues) -> ObjectResult<()> {
        for (name, content) in object_values {
            let values = match content {
                PropertyValue::Value(value) => std::slice::from_ref(value),
                PropertyValue::List(values) => values,
            };
            values.iter().try_for_each(|value| self.accepts(class, name, value))?;
        }
        Ok(())
    }

    fn put_values(&mut self, id: &Id, object_values: &ObjectValues) -> ObjectResult<()> {
        for (name, content) in object_values {
            if let PropertyValue::Value(value) = content {
                self.set(id, name, value)?;
            }
        }
        for (name, content) in object_values {
            if let PropertyValue::List(values) = content {
                self.assign(id, name, values)?;
            }
        }
        Ok(())
    }

    /// Keeps the common prefix and suffix, and replaces the elements between them.
    fn assign(&mut self, id: &Id, name: &str, values: &[Value]) -> ObjectResult<()> {
        let stored = self.object(id).ok_or(ObjectRefusal::ObjectNotFound)?.lists[name].clone();
        let shorter = stored.len().min(values.len());
        let head = (0..shorter).take_while(|at| stored[*at].1 == values[*at]).count();
        let from_end =
            |at: &usize| stored[stored.len() - 1 - at].1 == values[values.len() - 1 - at];
        let tail = (0..shorter - head).take_while(from_end).count();
        for _ in head..stored.len() - tail {
            self.edit_list(id, name, &ListEdit::Remove(head))?;
        }
        for (at, value) in values.iter().enumerate().take(values.len() - tail).skip(head) {
            self.edit_list(id, name, &ListEdit::Insert(at, value.clone()))?;
        }
        Ok(())
    }
}
