//! The contents of a file: classes, numbers of objects, bytes.
//!
//! - Y6 Unreadable data is reported and excluded from the sums; it never hides readable data.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names what it is about and treats all else alike"
)]

use crate::failure::Failure;
use fastness::inspect::{Holds, trees};
use fastness::object::{Database, DatabaseOptions, Snapshot};
use fastness::schema::{Class, Property, PropertyType};
use fastness::{Error, FileErrorCause, Store};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;

/// The contents of a file.
pub(crate) struct Contents {
    /// None without a schema.
    pub(crate) version: Option<u64>,
    pub(crate) classes: Vec<ClassContents>,
    /// Trees with their number of entries and their content.
    pub(crate) trees: Vec<(String, u64, Option<Holds>)>,
    /// Unreadable parts, each once.
    pub(crate) problems: Vec<String>,
}

/// The contents of a class.
pub(crate) struct ClassContents {
    pub(crate) class: Class,
    /// Number of objects.
    pub(crate) objects: u64,
    /// Number of readable objects.
    pub(crate) readable: u64,
    /// Bytes of keys and values, lists and out-of-line values included.
    pub(crate) bytes: u64,
    /// Bytes of indexes and back-links.
    pub(crate) index_bytes: u64,
}

/// Opens the objects of a store for reading.
pub(crate) fn objects(store: &Store) -> Result<Snapshot, Failure> {
    Ok(Database::from_store(store.clone(), &DatabaseOptions::dynamic())?.snapshot()?)
}

impl Contents {
    /// Reads all trees of objects.
    pub(crate) fn read(snapshot: &Snapshot) -> fastness::Result<Self> {
        let (view, store) = (snapshot.view(), snapshot.store());
        let mut holds = trees(store)?;
        let mut classes = BTreeMap::new();
        for class in view.schema()?.classes() {
            let objects = view.objects(class.name())?.len();
            let (class, readable, bytes, index_bytes) = (class.clone(), 0, 0, 0);
            let name = class.name().to_owned();
            let contents = ClassContents { class, objects, readable, bytes, index_bytes };
            classes.insert(name, contents);
        }
        let mut problems = Vec::new();
        for (tree, what) in &holds {
            let Some(class) = what.class().and_then(|class| classes.get_mut(class)) else {
                continue;
            };
            for entry in store.tree(tree).salvage() {
                match entry {
                    Ok((key, value)) => class.count(what, (key.len() + value.len()) as u64),
                    Err(error) => problems.push(format!("{what}: {}", describe_error(&error))),
                }
            }
        }
        problems.dedup();
        let trees = store
            .tree_names()
            .map(|name| (name.to_owned(), store.tree(name).len(), holds.remove(name)));
        let trees = trees.collect();
        let classes = classes.into_values().collect();
        Ok(Self { version: view.schema_version(), classes, trees, problems })
    }

    /// Returns whether there are classes.
    pub(crate) fn has_classes(&self) -> bool {
        !self.classes.is_empty()
    }

    /// Writes the contents as text.
    pub(crate) fn write(&self, out: &mut dyn Write) -> Result<(), Failure> {
        if self.has_classes() || self.version.is_some() {
            let version = match self.version {
                Some(version) => format!("schema version {version}"),
                None => "no schema version".to_owned(),
            };
            writeln!(out, "classes    {}, {version}", self.classes.len())?;
        }
        for class in &self.classes {
            class.write(out)?;
        }
        writeln!(out, "trees      {}", self.trees.len())?;
        for (name, len, holds) in &self.trees {
            let what = holds.as_ref().map(|holds| format!(", {holds}")).unwrap_or_default();
            writeln!(out, "  {name:?}: {}{what}", counted(*len, "entry", "entries"))?;
        }
        Ok(())
    }

    /// Returns the classes as JSON.
    pub(crate) fn classes_json(&self) -> Value {
        self.classes.iter().map(ClassContents::json).collect()
    }

    /// Returns the trees as JSON.
    pub(crate) fn trees_json(&self) -> Value {
        let tree = |(name, len, holds): &(String, u64, Option<Holds>)| {
            let holds = holds.as_ref().map(ToString::to_string);
            json!({ "name": name, "len": len, "holds": holds })
        };
        self.trees.iter().map(tree).collect()
    }
}

impl ClassContents {
    fn count(&mut self, what: &Holds, bytes: u64) {
        match what {
            Holds::Schema => {}
            Holds::Objects { .. } => {
                self.readable += 1;
                self.bytes += bytes;
            }
            Holds::Apart { .. } | Holds::Pieces { .. } => self.bytes += bytes,
            Holds::Links { .. } | Holds::Index { .. } => self.index_bytes += bytes,
        }
    }

    fn write(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let Self { class, objects, readable, index_bytes, .. } = self;
        let bytes = bytes(self.bytes);
        let count = counted(*objects, "object", "objects");
        let lost = match objects - readable.min(objects) {
            0 => String::new(),
            _ => format!(", {readable} of them readable"),
        };
        let indexes = match index_bytes {
            0 => String::new(),
            bytes => format!(", and {bytes} of indexes and links"),
        };
        writeln!(out, "  {}: {count}{lost}, {bytes}{indexes}", class.name())?;
        for property in class.properties() {
            writeln!(out, "    {property}")?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        json!({
            "name": self.class.name(), "objects": self.objects, "readable": self.readable,
            "bytes": self.bytes, "index_bytes": self.index_bytes,
            "properties": properties(&self.class),
        })
    }
}

/// Returns the properties of a class as JSON.
pub(crate) fn properties(class: &Class) -> Value {
    let property = |property: &Property| {
        json!({
            "name": property.name(), "type": kind(property.kind()),
            "nullable": property.is_nullable(), "primary_key": property.is_primary_key(),
            "indexed": property.is_indexed(),
        })
    };
    class.stored_properties().map(property).collect()
}

fn kind(kind: &PropertyType) -> Value {
    match kind {
        PropertyType::Object(class) => json!({ "link": class }),
        PropertyType::ObjectList(class) => json!({ "list": { "link": class } }),
        PropertyType::List { of, nullable } => {
            json!({ "list": of.to_string(), "nullable": nullable })
        }
        other => json!(other.to_string()),
    }
}

/// Writes a number of bytes, and what it is in larger units.
pub(crate) fn bytes(count: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.into_iter().find(|(_, bits)| count >= 1 << bits) {
        Some((unit, bits)) => {
            // Whole numbers, as a float may not have that many digits.
            let tenths = (u128::from(count) * 10) >> bits;
            format!("{count} bytes ({}.{} {unit})", tenths / 10, tenths % 10)
        }
        None => format!("{count} bytes"),
    }
}

pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Describes an error without repeating the file name.
pub(crate) fn describe_error(error: &Error) -> String {
    let Error::File { cause, .. } = error else { return error.to_string() };
    match cause {
        FileErrorCause::Damaged { page, damage } => format!("page {page}: {damage}"),
        cause => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit_and_every_digit() {
        assert_eq!(bytes(0), "0 bytes");
        assert_eq!(bytes(1023), "1023 bytes");
        assert_eq!(bytes(1024), "1024 bytes (1.0 KiB)");
        assert_eq!(bytes(106_496), "106496 bytes (104.0 KiB)");
        assert_eq!(bytes((3 << 30) + (900 << 20)), "4164943872 bytes (3.8 GiB)");
        assert_eq!(bytes(u64::MAX), "18446744073709551615 bytes (16777215.9 TiB)");
    }
}
