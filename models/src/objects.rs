//! A database of objects: maps of maps, copied where the database would copy. There are no indexes;
//! back-links are found by a scan of all objects.
//!
//! Written from docs/objects.md, not from the code.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names the types it is about and treats all others alike"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

/// The key of an object within its class, in the order of the specification.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Key {
    /// The primary key is null.
    Null,
    /// The primary key is an integer.
    Int(i64),
    /// The primary key is a string.
    Text(String),
    /// There is no primary key.
    Row(u64),
}

/// The address of an object.
pub type Id = (String, Key);

/// A value. Floating-point numbers are stored as bits, so that every value equals itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Value {
    Null,
    Int(i64),
    Bool(bool),
    Text(String),
    Bytes(Vec<u8>),
    Time(i64, u32),
    Float(u32),
    Double(u64),
    Link(Id),
}

/// The type of a property.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ValueType {
    Int,
    Bool,
    Text,
    Bytes,
    Time,
    Float,
    Double,
    Counter,
    Link(String),
    Links(String),
    List(Box<ValueType>),
}

/// A property. For a list, `nullable` applies to its elements.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Property {
    /// The type.
    pub kind: ValueType,
    /// Whether null is allowed.
    pub nullable: bool,
    /// Whether it has an index.
    pub indexed: bool,
}

/// An object: values and lists by property. A list holds pairs of an element number and a value.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Object {
    /// Values, except the primary key.
    pub values: BTreeMap<String, Value>,
    /// Lists.
    pub lists: BTreeMap<String, Vec<(u64, Value)>>,
}

/// A class and its objects.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Class {
    /// The primary key.
    pub key: Option<String>,
    /// The properties, the primary key included.
    pub properties: BTreeMap<String, Property>,
    /// The objects.
    pub objects: BTreeMap<Key, Arc<Object>>,
}

/// The state of a database.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct DatabaseState {
    /// The classes.
    pub classes: BTreeMap<String, Class>,
    /// The schema version; none without a schema.
    pub version: Option<u64>,
    /// The last number that was assigned.
    pub numbers: u64,
}

/// The reason of a refusal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ObjectRefusal {
    Class,
    Property,
    Type,
    Null,
    KeyMissing,
    NoPrimaryKey,
    KeyExists,
    PrimaryKeyImmutable,
    KeyTooLong,
    KeysNotUnique,
    Exists,
    Definition,
    Linked,
    SyncedChange,
    SyncedKey,
    ObjectNotFound,
    OutOfBounds,
}

/// The result of an operation on objects.
pub type ObjectResult<T> = Result<T, ObjectRefusal>;

/// Maximum length of a primary key string, in bytes.
pub const KEY_TEXT_BYTES_MAX: usize = 500;

impl ValueType {
    /// Returns the default value of a required property.
    #[must_use]
    pub fn zero(&self) -> Value {
        match self {
            Self::Int | Self::Counter => Value::Int(0),
            Self::Bool => Value::Bool(false),
            Self::Text => Value::Text(String::new()),
            Self::Bytes => Value::Bytes(Vec::new()),
            Self::Time => Value::Time(0, 0),
            Self::Float => Value::Float(0),
            Self::Double => Value::Double(0),
            Self::Link(_) | Self::Links(_) | Self::List(_) => Value::Null,
        }
    }

    /// Returns whether the type is a list.
    #[must_use]
    pub const fn is_list(&self) -> bool {
        matches!(self, Self::Links(_) | Self::List(_))
    }

    /// Returns the type of one value.
    #[must_use]
    pub fn element(&self) -> Self {
        match self {
            Self::Links(class) => Self::Link(class.clone()),
            Self::List(of) => (**of).clone(),
            other => other.clone(),
        }
    }
}

impl Property {
    /// Returns the value in a new object.
    #[must_use]
    pub fn initial(&self) -> Value {
        if self.nullable { Value::Null } else { self.kind.zero() }
    }

    /// Returns the reason why a value is not allowed; does not check the target of a link.
    fn check(&self, value: &Value) -> ObjectResult<()> {
        let fits = match (value, self.kind.element()) {
            (Value::Null, ValueType::Link(_)) => !self.kind.is_list(),
            (Value::Null, _) => self.nullable,
            (Value::Link((class, _)), ValueType::Link(to)) => {
                return require(*class == to, ObjectRefusal::Type);
            }
            (Value::Int(_), ValueType::Int | ValueType::Counter)
            | (Value::Bool(_), ValueType::Bool)
            | (Value::Text(_), ValueType::Text)
            | (Value::Bytes(_), ValueType::Bytes)
            | (Value::Time(..), ValueType::Time)
            | (Value::Float(_), ValueType::Float)
            | (Value::Double(_), ValueType::Double) => true,
            _ => return Err(ObjectRefusal::Type),
        };
        require(fits, ObjectRefusal::Null)
    }
}

fn require(fits: bool, refusal: ObjectRefusal) -> ObjectResult<()> {
    if fits { Ok(()) } else { Err(refusal) }
}

impl Class {
    /// Returns a property by name.
    fn property(&self, name: &str) -> ObjectResult<&Property> {
        self.properties.get(name).ok_or(ObjectRefusal::Property)
    }

    /// Converts a value to a primary key.
    ///
    /// # Errors
    /// If the value cannot be a key.
    pub fn key_of(&self, value: &Value) -> ObjectResult<Key> {
        let name = self.key.as_ref().ok_or(ObjectRefusal::NoPrimaryKey)?;
        self.property(name)?.check(value)?;
        match value {
            Value::Int(value) => Ok(Key::Int(*value)),
            Value::Text(text) if text.len() > KEY_TEXT_BYTES_MAX => Err(ObjectRefusal::KeyTooLong),
            Value::Text(text) => Ok(Key::Text(text.clone())),
            _ => Ok(Key::Null),
        }
    }

    /// Returns a new object.
    fn new_object(&self) -> Object {
        let mut object = Object::default();
        for (name, property) in &self.properties {
            if property.kind.is_list() {
                object.lists.insert(name.clone(), Vec::new());
            } else if self.key.as_ref() != Some(name) {
                object.values.insert(name.clone(), property.initial());
            }
        }
        object
    }
}

impl DatabaseState {
    /// Returns a class by name.
    ///
    /// # Errors
    /// If there is none.
    pub fn class(&self, name: &str) -> ObjectResult<&Class> {
        self.classes.get(name).ok_or(ObjectRefusal::Class)
    }

    pub(crate) fn class_mut(&mut self, name: &str) -> ObjectResult<&mut Class> {
        self.classes.get_mut(name).ok_or(ObjectRefusal::Class)
    }

    /// Returns an object.
    #[must_use]
    pub fn object(&self, id: &Id) -> Option<&Object> {
        self.classes.get(&id.0)?.objects.get(&id.1).map(|object| &**object)
    }

    /// Assigns a number.
    pub(crate) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Creates an object without a primary key.
    ///
    /// # Errors
    /// As the specification defines, for all operations.
    pub fn create(&mut self, class: &str) -> ObjectResult<Id> {
        require(self.class(class)?.key.is_none(), ObjectRefusal::KeyMissing)?;
        let key = Key::Row(self.number());
        let stored = self.class_mut(class)?;
        stored.objects.insert(key.clone(), Arc::new(stored.new_object()));
        Ok((class.to_owned(), key))
    }

    /// Creates an object with a primary key unless it exists; returns whether it was created.
    ///
    /// # Errors
    /// See [`DatabaseState::create`].
    pub fn get_or_create(&mut self, class: &str, key: &Value) -> ObjectResult<(Id, bool)> {
        let stored = self.class_mut(class)?;
        let key = stored.key_of(key)?;
        let new_object = !stored.objects.contains_key(&key);
        if new_object {
            stored.objects.insert(key.clone(), Arc::new(stored.new_object()));
        }
        Ok(((class.to_owned(), key), new_object))
    }

    /// Sets a property.
    ///
    /// # Errors
    /// See [`DatabaseState::create`].
    pub fn set(&mut self, id: &Id, name: &str, value: &Value) -> ObjectResult<()> {
        let class = self.class(&id.0)?;
        let property = class.property(name)?;
        require(class.key.as_deref() != Some(name), ObjectRefusal::PrimaryKeyImmutable)?;
        require(!property.kind.is_list(), ObjectRefusal::Type)?;
        property.check(value)?;
        self.target(value)?;
        self.edit(id, |object| drop(object.values.insert(name.to_owned(), value.clone())))
    }

    /// Increments a counter.
    ///
    /// # Errors
    /// See [`DatabaseState::create`].
    pub fn add(&mut self, id: &Id, name: &str, by: i64) -> ObjectResult<i64> {
        let property = self.class(&id.0)?.property(name)?;
        require(property.kind == ValueType::Counter, ObjectRefusal::Type)?;
        let stored = self.object(id).ok_or(ObjectRefusal::ObjectNotFound)?.values.get(name);
        let sum = if let Some(Value::Int(stored)) = stored { stored.wrapping_add(by) } else { by };
        self.edit(id, |object| drop(object.values.insert(name.to_owned(), Value::Int(sum))))?;
        Ok(sum)
    }

    /// Deletes an object; links to it become null and leave their lists.
    ///
    /// # Errors
    /// See [`DatabaseState::create`].
    pub fn delete(&mut self, id: &Id) -> ObjectResult<()> {
        self.class_mut(&id.0)?.objects.remove(&id.1).ok_or(ObjectRefusal::ObjectNotFound)?;
        let deleted_link = Value::Link(id.clone());
        for object in self.classes.values_mut().flat_map(|class| class.objects.values_mut()) {
            if object.values.values().any(|value| *value == deleted_link) {
                let values = Arc::make_mut(object).values.values_mut();
                values
                    .filter(|value| **value == deleted_link)
                    .for_each(|value| *value = Value::Null);
            }
            if object.lists.values().flatten().any(|(_, value)| *value == deleted_link) {
                let lists = Arc::make_mut(object).lists.values_mut();
                lists.for_each(|list| list.retain(|(_, value)| *value != deleted_link));
            }
        }
        Ok(())
    }

    /// Returns the objects that link to one through a property, once per link.
    ///
    /// # Errors
    /// See [`DatabaseState::create`].
    pub fn backlinks(&self, id: &Id, class: &str, name: &str) -> ObjectResult<Vec<Id>> {
        let from = self.class(class)?;
        let kind = from.property(name)?.kind.element();
        require(kind == ValueType::Link(id.0.clone()), ObjectRefusal::Type)?;
        let to = Value::Link(id.clone());
        let mut found = Vec::new();
        for (key, object) in &from.objects {
            let single = object.values.get(name).into_iter();
            let listed = object.lists.get(name).into_iter().flatten().map(|(_, value)| value);
            let count = single.chain(listed).filter(|value| **value == to).count();
            found.extend((0..count).map(|_| (class.to_owned(), key.clone())));
        }
        Ok(found)
    }

    /// Returns the reason why a value is not allowed in a property.
    pub(crate) fn accepts(&self, class: &str, name: &str, value: &Value) -> ObjectResult<()> {
        self.class(class)?.property(name)?.check(value)?;
        self.target(value)
    }

    /// Checks that the target of a link exists.
    fn target(&self, value: &Value) -> ObjectResult<()> {
        let Value::Link(id) = value else { return Ok(()) };
        self.object(id).map(drop).ok_or(ObjectRefusal::ObjectNotFound)
    }

    fn edit(&mut self, id: &Id, body: impl FnOnce(&mut Object)) -> ObjectResult<()> {
        let object =
            self.class_mut(&id.0)?.objects.get_mut(&id.1).ok_or(ObjectRefusal::ObjectNotFound)?;
        body(Arc::make_mut(object));
        Ok(())
    }

    /// Changes a list: see [`ListEdit`].
    ///
    /// # Errors
    /// See [`DatabaseState::create`].
    pub fn edit_list(&mut self, id: &Id, name: &str, edit: &ListEdit) -> ObjectResult<()> {
        let property = self.class(&id.0)?.property(name)?.clone();
        require(property.kind.is_list(), ObjectRefusal::Type)?;
        let mut list = self.object(id).ok_or(ObjectRefusal::ObjectNotFound)?.lists[name].clone();
        let within = |at: usize, end: usize| require(at < end, ObjectRefusal::OutOfBounds);
        if let ListEdit::Insert(_, value) | ListEdit::Set(_, value) = edit {
            property.check(value)?;
            self.target(value)?;
        }
        match edit {
            ListEdit::Insert(at, value) => {
                within(*at, list.len() + 1)?;
                list.insert(*at, (self.number(), value.clone()));
            }
            ListEdit::Set(at, value) => {
                within(*at, list.len())?;
                list[*at].1 = value.clone();
            }
            ListEdit::Remove(at) => {
                within(*at, list.len())?;
                list.remove(*at);
            }
            ListEdit::Move(from, to) => {
                within(*from, list.len())?;
                within(*to, list.len())?;
                let moved = list.remove(*from);
                list.insert(*to, moved);
            }
            ListEdit::Clear => list.clear(),
        }
        self.edit(id, |object| drop(object.lists.insert(name.to_owned(), list)))
    }
}

/// A change of a list.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ListEdit {
    Insert(usize, Value),
    Set(usize, Value),
    Remove(usize),
    Move(usize, usize),
    Clear,
}
