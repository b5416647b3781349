//! Mapping of classes, properties and lists to tables and columns of SQLite.
//!
//! SQLite compares names without the case of ASCII letters. A name that collides gets `_` appended
//! until it is unique.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names what it is about and treats all else alike"
)]

use fastness::schema::{Class, Property, PropertyType, Scalar, Schema};
use std::collections::{BTreeMap, BTreeSet};

/// The tables of a schema.
pub(super) struct Tables {
    pub(super) classes: BTreeMap<String, Table>,
}

/// The table of a class.
pub(super) struct Table {
    pub(super) name: String,
    /// The column of object numbers, without a primary key.
    pub(super) number: Option<String>,
    pub(super) columns: Vec<Column>,
}

/// The mapping of a property.
pub(super) struct Column {
    pub(super) property: Property,
    /// The column, or the table of a list.
    pub(super) name: String,
    /// The SQLite type of its values.
    pub(super) affinity: &'static str,
    pub(super) is_list: bool,
}

/// Used names, compared as SQLite compares them.
#[derive(Default)]
struct UsedNames(BTreeSet<String>);

impl UsedNames {
    fn unused(&mut self, wanted: &str) -> String {
        let mut name = wanted.replace('\0', "\u{fffd}");
        // Reserved by SQLite.
        if name.to_ascii_lowercase().starts_with("sqlite_") {
            name.insert(0, '_');
        }
        while !self.0.insert(name.to_ascii_lowercase()) {
            name.push('_');
        }
        name
    }
}

/// The metadata tables.
pub(super) const FILE_TABLE: &str = "fastness_export";
pub(super) const PROPERTY_TABLE: &str = "fastness_properties";

impl Tables {
    pub(super) fn new(schema: &Schema) -> Self {
        let mut taken = UsedNames::default();
        for name in [FILE_TABLE, PROPERTY_TABLE] {
            taken.unused(name);
        }
        // Classes before lists, so that a list never takes the name of a class.
        let names: Vec<_> =
            schema.classes().iter().map(|class| taken.unused(class.name())).collect();
        let mut classes = BTreeMap::new();
        for (class, name) in schema.classes().iter().zip(names) {
            classes.insert(class.name().to_owned(), table(schema, (class, name), &mut taken));
        }
        Self { classes }
    }
}

fn table(schema: &Schema, (class, name): (&Class, String), tables: &mut UsedNames) -> Table {
    let mut taken = UsedNames::default();
    let column = |property: &Property| {
        let is_list =
            matches!(property.kind(), PropertyType::List { .. } | PropertyType::ObjectList(_));
        let name = match is_list {
            true => tables.unused(&format!("{}.{}", class.name(), property.name())),
            false => taken.unused(property.name()),
        };
        let affinity = affinity(schema, property.kind());
        Column { property: property.clone(), name, affinity, is_list }
    };
    let columns = class.stored_properties().map(column).collect();
    let number = class.primary_key().is_none().then(|| taken.unused("_key"));
    Table { name, number, columns }
}

/// Returns the SQLite type of a value, or of list elements.
fn affinity(schema: &Schema, kind: &PropertyType) -> &'static str {
    let of = |scalar: Scalar| match scalar {
        Scalar::Int | Scalar::Bool => "INTEGER",
        Scalar::String | Scalar::Timestamp => "TEXT",
        Scalar::Binary => "BLOB",
        Scalar::Float | Scalar::Double => "REAL",
    };
    match kind {
        PropertyType::Scalar(scalar) | PropertyType::List { of: scalar, .. } => of(*scalar),
        PropertyType::Object(class) | PropertyType::ObjectList(class) => {
            schema.class(class).map_or("INTEGER", |class| key_affinity(schema, class))
        }
        _ => "INTEGER",
    }
}

/// Returns the SQLite type of the key of a class.
pub(super) fn key_affinity(schema: &Schema, class: &Class) -> &'static str {
    class.primary_key().map_or("INTEGER", |key| affinity(schema, key.kind()))
}

/// Quotes an identifier.
pub(super) fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_equal_to_sqlite_are_made_distinct() {
        let mut taken = UsedNames::default();
        for (wanted, name) in [
            ("Dog", "Dog"),
            ("dog", "dog_"),
            ("DOG", "DOG__"),
            ("dog_", "dog___"),
            ("sqlite_master", "_sqlite_master"),
            ("SQLite_x", "_SQLite_x"),
            ("a\0b", "a\u{fffd}b"),
            ("\u{c4}", "\u{c4}"),
            ("\u{e4}", "\u{e4}"),
        ] {
            assert_eq!(taken.unused(wanted), name);
        }
        assert_eq!(quote_identifier("a\"b"), "\"a\"\"b\"");
    }
}
