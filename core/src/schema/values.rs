//! Checks of values against their property and the limits.

use super::class::Class;
use super::error::SchemaError;
use super::limits::{BINARY_BYTES_MAX, STRING_BYTES_MAX};
use super::property::Property;

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
