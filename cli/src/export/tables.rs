//! Which table and which column of SQLite a class, a property or a list becomes.
//!
//! Names of SQLite differ in more than the case of letters a to z; names of ours need not, so one
//! that is taken gets `_` at its end until it is free.

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
    /// What objects are numbered in, if they have no primary key.
    pub(super) number: Option<String>,
    pub(super) columns: Vec<Column>,
}

/// Where a property is.
pub(super) struct Column {
    pub(super) property: Property,
    /// Its column, or the table of a list.
    pub(super) name: String,
    /// What SQLite is told of its values.
    pub(super) affinity: &'static str,
    pub(super) is_list: bool,
}

/// Names that are taken, as SQLite compares them.
#[derive(Default)]
struct Taken(BTreeSet<String>);

impl Taken {
    fn free(&mut self, wanted: &str) -> String {
        let mut name = wanted.replace('\0', "\u{fffd}");
        // SQLite keeps these for itself.
        if name.to_ascii_lowercase().starts_with("sqlite_") {
            name.insert(0, '_');
        }
        while !self.0.insert(name.to_ascii_lowercase()) {
            name.push('_');
        }
        name
    }
}

/// The tables that say what is exported.
pub(super) const FILE: &str = "fastness_export";
pub(super) const PROPERTIES: &str = "fastness_properties";

impl Tables {
    pub(super) fn new(schema: &Schema) -> Self {
        let mut taken = Taken::default();
        for name in [FILE, PROPERTIES] {
            taken.free(name);
        }
        // Classes before lists, so that a list never takes the name of a class.
        let names: Vec<_> = schema.classes().iter().map(|class| taken.free(class.name())).collect();
        let mut classes = BTreeMap::new();
        for (class, name) in schema.classes().iter().zip(names) {
            classes.insert(class.name().to_owned(), table(schema, (class, name), &mut taken));
        }
        Self { classes }
    }
}

fn table(schema: &Schema, (class, name): (&Class, String), tables: &mut Taken) -> Table {
    let mut taken = Taken::default();
    let column = |property: &Property| {
        let is_list =
            matches!(property.kind(), PropertyType::List { .. } | PropertyType::ObjectList(_));
        let name = match is_list {
            true => tables.free(&format!("{}.{}", class.name(), property.name())),
            false => taken.free(property.name()),
        };
        let affinity = affinity(schema, property.kind());
        Column { property: property.clone(), name, affinity, is_list }
    };
    let columns = class.stored_properties().map(column).collect();
    let number = class.primary_key().is_none().then(|| taken.free("_key"));
    Table { name, number, columns }
}

/// What SQLite is told of a value, or of the elements of a list.
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

/// What SQLite is told of the key of a class.
pub(super) fn key_affinity(schema: &Schema, class: &Class) -> &'static str {
    class.primary_key().map_or("INTEGER", |key| affinity(schema, key.kind()))
}

/// Quotes a name.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_sqlite_takes_for_one_are_told_apart() {
        let mut taken = Taken::default();
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
            assert_eq!(taken.free(wanted), name);
        }
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
