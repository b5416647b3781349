//! Names, types and values of entries as those of the tables, and back.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names the kinds it is about and treats all others alike"
)]

use super::{TableState, core_element};
use crate::entry::{self, Key, Scalar, ScalarType};
use fastness::schema::{self, Property, PropertyType};
use fastness::table::{ClassId, ObjectId, ObjectKey, ObjectRef, RowId, Timestamp, Value};
use std::borrow::Cow;

/// Longest string key of an object in a file.
const STRING_KEY_BYTES_MAX: usize = fastness::PRIMARY_KEY_BYTES_MAX;

pub(super) fn core_key(key: Key<'_>) -> Option<ObjectKey> {
    Some(match key {
        Key::Null => ObjectKey::Null,
        Key::Int(key) => ObjectKey::Int(key),
        Key::String(text) if text.len() <= STRING_KEY_BYTES_MAX => {
            ObjectKey::String(text.to_owned())
        }
        Key::String(_) => return None,
        Key::Generated(id) => {
            let id = core_element(id);
            ObjectKey::Row(RowId { author: id.author, number: id.number })
        }
    })
}

pub(super) fn entry_key(key: &ObjectKey) -> Key<'_> {
    match key {
        ObjectKey::Null => Key::Null,
        ObjectKey::Int(key) => Key::Int(*key),
        ObjectKey::String(text) => Key::String(text),
        ObjectKey::Row(RowId { author, number }) => {
            Key::Generated(entry::ElementId { author: *author, number: *number })
        }
    }
}

/// None if no file can have the object.
pub(super) fn core_target(target: entry::ObjectRef<'_>) -> Option<ObjectRef> {
    Some(ObjectRef { class: target.class.to_owned(), key: core_key(target.key)? })
}

pub(super) fn entry_target(target: &ObjectRef) -> entry::ObjectRef<'_> {
    entry::ObjectRef { class: &target.class, key: entry_key(&target.key) }
}

/// A value, or the object that it links to.
#[derive(Clone, Debug)]
pub(super) enum TableValue {
    Value(Value<'static>),
    Link(ObjectRef),
    /// A link to an object that no file can have.
    Nowhere,
}

impl From<entry::Value<'_>> for TableValue {
    fn from(value: entry::Value<'_>) -> Self {
        Self::Value(match value {
            entry::Value::Null => Value::Null,
            entry::Value::Bool(value) => Value::Bool(value),
            entry::Value::Int(value) => Value::Int(value),
            entry::Value::Float(value) => Value::Float(value),
            entry::Value::Double(value) => Value::Double(value),
            entry::Value::String(text) => Value::String(Cow::Owned(text.to_owned())),
            entry::Value::Binary(bytes) => Value::Binary(Cow::Owned(bytes.to_vec())),
            entry::Value::Timestamp { seconds, nanoseconds } => {
                Value::Timestamp(core_timestamp(seconds, nanoseconds))
            }
            entry::Value::Link(target) => {
                return core_target(target).map_or(Self::Nowhere, Self::Link);
            }
        })
    }
}

pub(super) fn core_link(to: &ObjectRef) -> Value<'static> {
    // Links lead to the class of the property, whatever number they name.
    Value::Link(ObjectId { class: ClassId(0), key: to.key.clone() })
}

impl TableState<'_> {
    /// Returns a value of the tables as that of an entry. `class` is the one that links lead to.
    pub(super) fn entry_value<'v>(
        value: &'v Value<'_>,
        class: Option<&'v str>,
    ) -> entry::Value<'v> {
        match value {
            Value::Null => entry::Value::Null,
            Value::Bool(value) => entry::Value::Bool(*value),
            Value::Int(value) => entry::Value::Int(*value),
            Value::Float(value) => entry::Value::Float(*value),
            Value::Double(value) => entry::Value::Double(*value),
            Value::String(text) => entry::Value::String(text),
            Value::Binary(bytes) => entry::Value::Binary(bytes),
            Value::Timestamp(time) => entry_timestamp(*time),
            Value::Link(to) => match class {
                Some(class) => {
                    entry::Value::Link(entry::ObjectRef { class, key: entry_key(&to.key) })
                }
                None => entry::Value::Null,
            },
            Value::TooLarge => unreachable!("B1: no property takes a number beyond 64 bits"),
        }
    }
}

const fn core_scalar(kind: ScalarType) -> schema::Scalar {
    match kind {
        ScalarType::Int => schema::Scalar::Int,
        ScalarType::Bool => schema::Scalar::Bool,
        ScalarType::Float => schema::Scalar::Float,
        ScalarType::Double => schema::Scalar::Double,
        ScalarType::String => schema::Scalar::String,
        ScalarType::Binary => schema::Scalar::Binary,
        ScalarType::Timestamp => schema::Scalar::Timestamp,
    }
}

const fn entry_scalar(kind: schema::Scalar) -> ScalarType {
    match kind {
        schema::Scalar::Int => ScalarType::Int,
        schema::Scalar::Bool => ScalarType::Bool,
        schema::Scalar::Float => ScalarType::Float,
        schema::Scalar::Double => ScalarType::Double,
        schema::Scalar::String => ScalarType::String,
        schema::Scalar::Binary => ScalarType::Binary,
        schema::Scalar::Timestamp => ScalarType::Timestamp,
    }
}

/// None if the name or the type is not one of the tables.
pub(super) fn core_property(name: &str, kind: entry::PropertyType<'_>) -> Option<Property> {
    use crate::entry::PropertyType as Kind;
    let (kind, nullable) = match kind {
        Kind::Scalar(Scalar { kind, nullable }) => {
            (PropertyType::Scalar(core_scalar(kind)), Some(nullable))
        }
        Kind::Counter => (PropertyType::Counter, None),
        Kind::Link(class) => (PropertyType::Object(class.to_owned()), None),
        Kind::LinkList(class) => (PropertyType::ObjectList(class.to_owned()), None),
        Kind::List(Scalar { kind, nullable }) => {
            (PropertyType::List { of: core_scalar(kind), nullable }, None)
        }
    };
    let property = Property::new(name, kind).ok()?;
    Some(match nullable {
        Some(true) => property.nullable(),
        Some(false) => property.required(),
        None => property,
    })
}

pub(super) fn entry_property(property: &Property) -> Option<entry::PropertyType<'_>> {
    use crate::entry::PropertyType as Kind;
    Some(match property.kind() {
        PropertyType::Scalar(kind) => {
            Kind::Scalar(Scalar { kind: entry_scalar(*kind), nullable: property.is_nullable() })
        }
        PropertyType::Counter => Kind::Counter,
        PropertyType::Object(class) => Kind::Link(class),
        PropertyType::ObjectList(class) => Kind::LinkList(class),
        PropertyType::List { of, nullable } => {
            Kind::List(Scalar { kind: entry_scalar(*of), nullable: *nullable })
        }
        _ => return None,
    })
}

/// The primary key of a class of tables.
pub(super) fn entry_primary_key(property: &Property) -> entry::PrimaryKey<'_> {
    let is_string = matches!(property.kind(), PropertyType::Scalar(schema::Scalar::String));
    entry::PrimaryKey { property: property.name(), is_string, nullable: property.is_nullable() }
}

const fn core_timestamp(seconds: i64, nanoseconds: u32) -> Timestamp {
    Timestamp::new(seconds, nanoseconds)
}

const fn entry_timestamp(time: Timestamp) -> entry::Value<'static> {
    entry::Value::Timestamp { seconds: time.seconds(), nanoseconds: time.nanoseconds() }
}
