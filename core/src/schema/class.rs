//! Classes, and modules that name a set of them.

use super::error::SchemaError;
use super::limits::{CLASS_NAME_UNITS_MAX, TABLE_PREFIX, units};
use super::property::Property;
use crate::sorted::sort_by;

/// The definition of a class. [`super::Schema::new`] checks it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class {
    pub(super) name: String,
    pub(super) properties: Vec<Property>,
    /// Primary keys that were given by name.
    pub(super) keys: Vec<String>,
    pub(super) is_local: bool,
}

/// A named set of classes, of a library or an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    name: String,
    classes: Vec<Class>,
}

impl Class {
    /// Names a class. The prefix `class_`, which tables have, is stripped from the name, also when
    /// repeated.
    ///
    /// # Errors
    /// [`SchemaError::ClassName`] if the name is empty or has more than [`CLASS_NAME_UNITS_MAX`]
    /// UTF-16 units.
    pub fn new(name: impl Into<String>) -> Result<Self, SchemaError> {
        let given = name.into();
        let name = given.trim_start_matches(TABLE_PREFIX);
        if name.is_empty() || units(name) > CLASS_NAME_UNITS_MAX {
            return Err(SchemaError::ClassName { name: given });
        }
        let (properties, keys) = (Vec::new(), Vec::new());
        Ok(Self { name: name.to_owned(), properties, keys, is_local: false })
    }

    /// Adds a property.
    #[must_use]
    pub fn with(mut self, property: Property) -> Self {
        self.properties.push(property);
        self
    }

    /// Makes the class local: a synced file keeps its objects for itself. No entry, snapshot or
    /// client reset contains or changes them. Links between a local class and another one are
    /// refused. With the feature `derive`, `#[object(local)]` on the struct does the same.
    ///
    /// ```
    /// use fastness::schema::{Class, Property, Scalar, Schema};
    ///
    /// let task = Class::new("Task")?.with(Property::new("title", Scalar::String)?);
    /// let draft = Class::new("Draft")?.local().with(Property::new("text", Scalar::String)?);
    /// let schema = Schema::new([task, draft])?;
    /// assert!(schema.class("Draft").is_some_and(Class::is_local));
    /// # fastness::Result::Ok(())
    /// ```
    #[must_use]
    pub const fn local(mut self) -> Self {
        self.is_local = true;
        self
    }

    /// Makes the named property the primary key, and indexed.
    #[must_use]
    pub fn primary_key_named(mut self, property: impl Into<String>) -> Self {
        self.keys.push(property.into());
        self
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells whether a synced file keeps the objects of the class for itself.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        self.is_local
    }

    /// Returns the name of the table that holds the objects.
    #[must_use]
    pub fn table(&self) -> String {
        format!("{TABLE_PREFIX}{}", self.name)
    }

    /// Returns the properties; those of a class in a schema are in the order of their names.
    #[must_use]
    pub fn properties(&self) -> &[Property] {
        &self.properties
    }

    /// Returns the properties that are stored, not computed.
    pub fn stored_properties(&self) -> impl Iterator<Item = &Property> {
        self.properties.iter().filter(|property| !property.kind.is_computed())
    }

    /// Returns the property of this name.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|property| property.name == name)
    }

    /// Returns the primary key.
    #[must_use]
    pub fn primary_key(&self) -> Option<&Property> {
        self.properties.iter().find(|property| property.primary_key)
    }

    /// Orders the properties, marks keys that were given by name, and returns names of keys that
    /// no property has.
    pub(super) fn settle(&mut self) -> Vec<String> {
        sort_by(&mut self.properties, Ord::cmp);
        let mut missing = Vec::new();
        for key in std::mem::take(&mut self.keys) {
            let mut found = false;
            for property in self.properties.iter_mut().filter(|property| property.name == key) {
                *property = property.clone().primary_key();
                found = true;
            }
            if !found {
                missing.push(key);
            }
        }
        sort_by(&mut self.properties, Ord::cmp);
        sort_by(&mut missing, Ord::cmp);
        missing.dedup();
        missing
    }
}

impl Module {
    /// Names a set of classes.
    #[must_use]
    pub fn new(name: impl Into<String>, classes: impl IntoIterator<Item = Class>) -> Self {
        Self { name: name.into(), classes: classes.into_iter().collect() }
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the classes as they were given.
    #[must_use]
    pub fn classes(&self) -> &[Class] {
        &self.classes
    }
}
