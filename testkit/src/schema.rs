//! Schema shorthands for definitions that are valid.

use fastness::schema::{Class, Property, PropertyType, Scalar};

/// Defines a property.
///
/// # Panics
/// If the name is invalid.
#[must_use]
#[track_caller]
pub fn property(name: &str, kind: impl Into<PropertyType>) -> Property {
    Property::new(name, kind).expect("the name of the property is valid")
}

/// Defines a class with its properties.
///
/// # Panics
/// If the name is invalid.
#[must_use]
#[track_caller]
pub fn class(name: &str, properties: impl IntoIterator<Item = Property>) -> Class {
    let class = Class::new(name).expect("the name of the class is valid");
    properties.into_iter().fold(class, Class::with)
}

/// The type of a list of values.
#[must_use]
pub const fn list(of: Scalar, nullable: bool) -> PropertyType {
    PropertyType::List { of, nullable }
}
