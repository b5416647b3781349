//! A column: a property of a class and where its values are stored.
//!
//! Format: docs/objects.md#catalog.

use super::value::Value;
use crate::schema::{Property, PropertyType, Scalar, check_binary, check_string};

/// Bytes before the first slot of a record: the length of the fixed part.
pub(crate) const HEADER_BYTES: u16 = 2;

/// Where the values of a property are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnPlace {
    /// In the key of the object.
    Key,
    /// In the record, from this byte.
    Slot(u16),
    /// In an entry of their own.
    OutOfLine,
}

/// A property and where its values are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) number: u16,
    pub(crate) place: ColumnPlace,
    pub(crate) property: Property,
}

impl Column {
    pub(crate) fn name(&self) -> &str {
        self.property.name()
    }

    pub(crate) fn kind(&self) -> &PropertyType {
        self.property.kind()
    }

    pub(crate) fn is_list(&self) -> bool {
        is_list(self.kind())
    }

    /// Returns the class that values link to.
    pub(crate) fn target(&self) -> Option<&str> {
        self.kind().class()
    }

    /// Tells whether the property has an index tree. The index of a primary key is the order of
    /// the objects.
    pub(crate) fn has_index_tree(&self) -> bool {
        self.property.is_indexed() && !self.property.is_primary_key()
    }
}

impl Column {
    /// Tells whether null can be a value, or an element if the property is a list.
    pub(crate) const fn accepts_null(&self) -> bool {
        match self.property.kind() {
            PropertyType::List { nullable, .. } => *nullable,
            PropertyType::ObjectList(_) => false,
            _ => self.property.is_nullable(),
        }
    }

    /// Tells whether a value has the type of the property, or of its elements if it is a list,
    /// and an allowed length. The class of a link is not compared.
    pub(crate) fn accepts(&self, value: &Value<'_>) -> bool {
        match (value, self.kind().scalar()) {
            (Value::Null, _) => self.accepts_null(),
            (Value::String(text), Some(Scalar::String)) => check_string(text).is_ok(),
            (Value::Binary(bytes), Some(Scalar::Binary)) => check_binary(bytes).is_ok(),
            (Value::Int(_), Some(Scalar::Int))
            | (Value::Bool(_), Some(Scalar::Bool))
            | (Value::Timestamp(_), Some(Scalar::Timestamp))
            | (Value::Float(_), Some(Scalar::Float))
            | (Value::Double(_), Some(Scalar::Double)) => true,
            (Value::Link(_), _) => self.target().is_some(),
            _ => false,
        }
    }
}

/// Tells whether values of a type are lists.
pub(super) const fn is_list(kind: &PropertyType) -> bool {
    matches!(kind, PropertyType::ObjectList(_) | PropertyType::List { .. })
}

/// Returns the length of a value of fixed length; none for types of variable length.
pub(super) const fn fixed_bytes(kind: &PropertyType) -> Option<u8> {
    match kind.scalar() {
        Some(Scalar::Int | Scalar::Double) => Some(8),
        Some(Scalar::Bool) => Some(1),
        Some(Scalar::Float) => Some(4),
        Some(Scalar::Timestamp) => Some(12),
        Some(Scalar::String | Scalar::Binary) | None => None,
    }
}

/// Returns the length of a slot: a value of fixed length with a byte for null, or an offset and a
/// length.
pub(super) fn slot_bytes(kind: &PropertyType, nullable: bool) -> usize {
    fixed_bytes(kind).map_or(8, |len| usize::from(len) + usize::from(nullable))
}
