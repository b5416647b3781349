//! Keys, values and definitions that own their texts.

use crate::entry::{Key, ObjectRef, PrimaryKey, PropertyType, Scalar, Value};
use std::borrow::Borrow;
use std::hash::{Hash, Hasher};

#[derive(Clone, Debug)]
pub(super) struct OwnedPrimaryKey {
    property: Box<str>,
    is_string: bool,
    nullable: bool,
}

#[derive(Clone, Debug)]
pub(super) enum OwnedType {
    Scalar(Scalar),
    Counter,
    Link(Box<str>),
    LinkList(Box<str>),
    List(Scalar),
}

#[derive(Clone, Debug)]
pub(crate) enum OwnedValue {
    /// Anything that borrows nothing.
    Plain(Value<'static>),
    String(Box<str>),
    Binary(Box<[u8]>),
    Link(Box<str>, OwnedKey),
}

#[derive(Clone, Debug)]
pub(crate) enum OwnedKey {
    Plain(Key<'static>),
    String(Box<str>),
}

/// A key, owned or borrowed: a map of owned keys is searched by borrowed ones.
pub(super) trait AnyKey {
    fn key(&self) -> Key<'_>;
}

impl AnyKey for OwnedKey {
    fn key(&self) -> Key<'_> {
        match self {
            Self::Plain(key) => *key,
            Self::String(text) => Key::String(text),
        }
    }
}

impl AnyKey for Key<'_> {
    fn key(&self) -> Key<'_> {
        *self
    }
}

impl Hash for dyn AnyKey + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialEq for dyn AnyKey + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for dyn AnyKey + '_ {}

impl Hash for OwnedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialEq for OwnedKey {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for OwnedKey {}

impl<'a> Borrow<dyn AnyKey + 'a> for OwnedKey {
    fn borrow(&self) -> &(dyn AnyKey + 'a) {
        self
    }
}

impl From<Key<'_>> for OwnedKey {
    fn from(key: Key<'_>) -> Self {
        match key {
            Key::Null => Self::Plain(Key::Null),
            Key::Int(key) => Self::Plain(Key::Int(key)),
            Key::Generated(id) => Self::Plain(Key::Generated(id)),
            Key::String(text) => Self::String(text.into()),
        }
    }
}

impl From<Value<'_>> for OwnedValue {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Plain(Value::Null),
            Value::Bool(value) => Self::Plain(Value::Bool(value)),
            Value::Int(value) => Self::Plain(Value::Int(value)),
            Value::Float(value) => Self::Plain(Value::Float(value)),
            Value::Double(value) => Self::Plain(Value::Double(value)),
            Value::Timestamp { seconds, nanoseconds } => {
                Self::Plain(Value::Timestamp { seconds, nanoseconds })
            }
            Value::String(text) => Self::String(text.into()),
            Value::Binary(bytes) => Self::Binary(bytes.into()),
            Value::Link(target) => Self::Link(target.class.into(), target.key.into()),
        }
    }
}

impl OwnedValue {
    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Self::Plain(value) => *value,
            Self::String(text) => Value::String(text),
            Self::Binary(bytes) => Value::Binary(bytes),
            Self::Link(class, key) => Value::Link(ObjectRef { class, key: key.key() }),
        }
    }
}

impl From<PropertyType<'_>> for OwnedType {
    fn from(kind: PropertyType<'_>) -> Self {
        match kind {
            PropertyType::Scalar(scalar) => Self::Scalar(scalar),
            PropertyType::Counter => Self::Counter,
            PropertyType::Link(class) => Self::Link(class.into()),
            PropertyType::LinkList(class) => Self::LinkList(class.into()),
            PropertyType::List(scalar) => Self::List(scalar),
        }
    }
}

impl OwnedType {
    pub(super) fn kind(&self) -> PropertyType<'_> {
        match self {
            Self::Scalar(scalar) => PropertyType::Scalar(*scalar),
            Self::Counter => PropertyType::Counter,
            Self::Link(class) => PropertyType::Link(class),
            Self::LinkList(class) => PropertyType::LinkList(class),
            Self::List(scalar) => PropertyType::List(*scalar),
        }
    }
}

impl From<PrimaryKey<'_>> for OwnedPrimaryKey {
    fn from(key: PrimaryKey<'_>) -> Self {
        let PrimaryKey { property, is_string, nullable } = key;
        Self { property: property.into(), is_string, nullable }
    }
}

impl OwnedPrimaryKey {
    pub(super) fn primary_key(&self) -> PrimaryKey<'_> {
        let Self { property, is_string, nullable } = self;
        PrimaryKey { property, is_string: *is_string, nullable: *nullable }
    }
}

/// Tells whether objects of a class have such keys.
pub(super) fn key_fits(primary_key: Option<&OwnedPrimaryKey>, key: Key<'_>) -> bool {
    match (primary_key, key) {
        (None, Key::Generated(_)) => true,
        (Some(primary_key), Key::Null) => primary_key.nullable,
        (Some(primary_key), Key::Int(_)) => !primary_key.is_string,
        (Some(primary_key), Key::String(_)) => primary_key.is_string,
        (None, _) | (Some(_), Key::Generated(_)) => false,
    }
}
