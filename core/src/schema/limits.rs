//! Limits of the lengths of names and values.

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
