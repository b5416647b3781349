//! Limits of names and values.

use super::class::Class;
use super::error::SchemaError;
use super::property::Property;

/// Longest string, in bytes of UTF-8.
pub const STRING_BYTES_MAX: usize = 0xFF_FFF8 - 8 - 1;

/// Longest binary, in bytes.
pub const BINARY_BYTES_MAX: usize = 0xFF_FFF8 - 8;

/// Longest name of a class, in UTF-16 units: what the name of a table leaves beside its prefix.
pub const CLASS_NAME_UNITS_MAX: usize = TABLE_NAME_UNITS_MAX - TABLE_PREFIX.len();

/// Longest name of a property, in UTF-16 units.
pub const PROPERTY_NAME_UNITS_MAX: usize = 63;

/// Prefix of the names of tables.
pub(super) const TABLE_PREFIX: &str = "class_";

const TABLE_NAME_UNITS_MAX: usize = 63;

/// Length in UTF-16 units, the unit of the limits of names and paths.
pub(crate) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Checks that a string can be stored.
///
/// # Errors
/// [`SchemaError::StringTooLong`].
pub const fn check_string(value: &str) -> Result<(), SchemaError> {
    if value.len() > STRING_BYTES_MAX {
        return Err(SchemaError::StringTooLong { bytes: value.len() });
    }
    Ok(())
}

/// Checks that a binary can be stored.
///
/// # Errors
/// [`SchemaError::BinaryTooLong`].
pub const fn check_binary(value: &[u8]) -> Result<(), SchemaError> {
    if value.len() > BINARY_BYTES_MAX {
        return Err(SchemaError::BinaryTooLong { bytes: value.len() });
    }
    Ok(())
}

/// Checks that a property of the class can be null.
///
/// # Errors
/// [`SchemaError::NullInRequired`].
pub fn check_null(class: &Class, property: &Property) -> Result<(), SchemaError> {
    if property.is_nullable() {
        return Ok(());
    }
    let (class, property) = (class.name().to_owned(), property.name().to_owned());
    Err(SchemaError::NullInRequired { class, property })
}
