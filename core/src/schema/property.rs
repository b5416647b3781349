//! Properties: their types, and their limits.

use super::error::SchemaError;
use super::limits::{PROPERTY_NAME_UNITS_MAX, units};
use super::property_type::PropertyType;

/// A property of a class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Property {
    pub(super) name: String,
    pub(super) kind: PropertyType,
    pub(super) nullable: bool,
    pub(super) primary_key: bool,
    /// Set for a primary key too, so that equal definitions are equal values.
    pub(super) indexed: bool,
}

impl Property {
    /// Defines a property. Strings, binaries, timestamps and links are nullable, all else is
    /// required, until [`Property::nullable`] or [`Property::required`] says otherwise.
    ///
    /// # Errors
    /// [`SchemaError::PropertyName`] if the name is empty, has a `.`, or more than
    /// [`PROPERTY_NAME_UNITS_MAX`] UTF-16 units.
    pub fn new(
        name: impl Into<String>,
        kind: impl Into<PropertyType>,
    ) -> Result<Self, SchemaError> {
        let (name, kind) = (name.into(), kind.into());
        if name.is_empty() || name.contains('.') || units(&name) > PROPERTY_NAME_UNITS_MAX {
            return Err(SchemaError::PropertyName { name });
        }
        let nullable = kind.is_nullable_by_default();
        Ok(Self { name, kind, nullable, primary_key: false, indexed: false })
    }

    /// Lets the property be null.
    #[must_use]
    pub fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// Forbids the property to be null.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.nullable = false;
        self
    }

    /// Makes the property the primary key of its class, and indexed.
    #[must_use]
    pub fn primary_key(mut self) -> Self {
        self.primary_key = true;
        self.indexed = true;
        self
    }

    /// Keeps an index over the property.
    #[must_use]
    pub fn indexed(mut self) -> Self {
        self.indexed = true;
        self
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what the property holds.
    #[must_use]
    pub const fn kind(&self) -> &PropertyType {
        &self.kind
    }

    /// Returns whether the property may be null.
    #[must_use]
    pub const fn is_nullable(&self) -> bool {
        self.nullable
    }

    /// Returns whether this is the primary key of its class.
    #[must_use]
    pub const fn is_primary_key(&self) -> bool {
        self.primary_key
    }

    /// Returns whether there is an index; a primary key always has one.
    #[must_use]
    pub const fn is_indexed(&self) -> bool {
        self.indexed
    }
}
