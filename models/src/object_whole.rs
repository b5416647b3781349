//! Objects written as a whole, as structs are: all properties except the primary key, or none.
//!
//! Written from docs/objects.md#typed-objects, not from the code.

use crate::objects::{Id, Key, ListEdit, Refusal, State, Value};

/// The content of a property.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PropertyValue {
    /// A value.
    Value(Value),
    /// The elements of a list.
    List(Vec<Value>),
}

/// All properties except the primary key, in the order of the struct's fields.
pub type Whole = [(String, PropertyValue)];

type Result<T> = std::result::Result<T, Refusal>;

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

impl State {
    /// Returns the values of an object.
    #[must_use]
    pub fn whole(&self, id: &Id) -> Option<Vec<(String, PropertyValue)>> {
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
    pub fn create_whole(&mut self, class: &str, key: Option<&Value>, whole: &Whole) -> Result<Id> {
        let mut draft = self.clone();
        draft.check_whole(class, whole)?;
        let id = match key {
            None => draft.create(class)?,
            Some(key) => match draft.get_or_create(class, key)? {
                (id, true) => id,
                (_, false) => return Err(Refusal::KeyExists),
            },
        };
        draft.put_whole(&id, whole)?;
        *self = draft;
        Ok(id)
    }

    /// Creates or overwrites the object with a primary key; returns whether it was created.
    ///
    /// # Errors
    /// See [`State::create_whole`].
    pub fn upsert_whole(&mut self, class: &str, key: &Value, whole: &Whole) -> Result<(Id, bool)> {
        let mut draft = self.clone();
        draft.check_whole(class, whole)?;
        let (id, created) = draft.get_or_create(class, key)?;
        draft.put_whole(&id, whole)?;
        *self = draft;
        Ok((id, created))
    }

    /// Overwrites an existing object; its primary key cannot change.
    ///
    /// # Errors
    /// See [`State::create_whole`].
    pub fn update_whole(&mut self, id: &Id, key: Option<&Value>, whole: &Whole) -> Result<()> {
        self.object(id).ok_or(Refusal::ObjectNotFound)?;
        if key.is_some_and(|key| *key != id.1.value()) {
            return Err(Refusal::PrimaryKeyImmutable);
        }
        let mut draft = self.clone();
        draft.check_whole(&id.0, whole)?;
        draft.put_whole(id, whole)?;
        *self = draft;
        Ok(())
    }

    /// Returns the first reason for a refusal.
    fn check_whole(&self, class: &str, whole: &Whole) -> Result<()> {
        for (name, content) in whole {
            let values = match content {
                PropertyValue::Value(value) => std::slice::from_ref(value),
                PropertyValue::List(values) => values,
            };
            values.iter().try_for_each(|value| self.accepts(class, name, value))?;
        }
        Ok(())
    }

    fn put_whole(&mut self, id: &Id, whole: &Whole) -> Result<()> {
        for (name, content) in whole {
            if let PropertyValue::Value(value) = content {
                self.set(id, name, value)?;
            }
        }
        for (name, content) in whole {
            if let PropertyValue::List(values) = content {
                self.assign(id, name, values)?;
            }
        }
        Ok(())
    }

    /// Keeps the common prefix and suffix, and replaces the elements between them.
    fn assign(&mut self, id: &Id, name: &str, values: &[Value]) -> Result<()> {
        let held = self.object(id).ok_or(Refusal::ObjectNotFound)?.lists[name].clone();
        let shorter = held.len().min(values.len());
        let head = (0..shorter).take_while(|at| held[*at].1 == values[*at]).count();
        let from_end = |at: &usize| held[held.len() - 1 - at].1 == values[values.len() - 1 - at];
        let tail = (0..shorter - head).take_while(from_end).count();
        for _ in head..held.len() - tail {
            self.edit_list(id, name, &ListEdit::Remove(head))?;
        }
        for (at, value) in values.iter().enumerate().take(values.len() - tail).skip(head) {
            self.edit_list(id, name, &ListEdit::Insert(at, value.clone()))?;
        }
        Ok(())
    }
}
