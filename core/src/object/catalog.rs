//! The catalog: which classes a file has, and where their properties are kept.
//!
//! - B6 Numbers of classes and of columns, and places in a record, are never given out twice.
//!
//! Format: docs/objects.md#catalog.

use super::columns::Columns;
use super::record::{HEADER_BYTES, slot_bytes};
use super::value::ClassId;
use crate::codec::{Reader, Writer, u16_len};
use crate::conc::Arc;
use crate::error::{Error, FileErrorCause, ObjectError, Result};
use crate::schema::{Class, Property, PropertyType, Scalar, Schema, SchemaError};
use crate::sorted::Sorted;
use crate::txn::{Peek, Source};
use std::path::Path;

/// Name of the objects that an app works with. There may be others beside them in one file.
pub(super) const MAIN: &str = "main";

/// Longest fixed part of a record, in bytes.
const FIXED_BYTES_MAX: usize = u16::MAX as usize;

const HEAD: &[u8] = &[0];
const CLASSES: u8 = 2;

const NULLABLE: u8 = 1;
const KEY: u8 = 2;
const INDEXED: u8 = 4;

/// Where a property is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the key of the object.
    Key,
    /// In the record, from this byte.
    Slot(u16),
    /// In an entry of its own.
    Apart,
}

/// A property and where it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) number: u16,
    pub(super) place: Place,
    pub(super) property: Property,
}

/// A class and where it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) id: ClassId,
    pub(super) name: String,
    pub(super) columns: Columns,
    /// Length of the fixed part of a record written now.
    pub(super) fixed_bytes: u16,
    pub(super) next_column: u16,
    pub(super) trees: TreeNames,
}

/// The trees of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TreeNames {
    /// Objects by key.
    pub(super) objects: String,
    /// Lists and long values, by column and key.
    pub(super) apart: String,
    /// Pieces of long lists, by column, key and number.
    pub(super) pieces: String,
    /// Links to the objects.
    pub(super) links: String,
}

/// The classes of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Catalog {
    /// Changes with the catalog.
    pub(super) stamp: u64,
    pub(super) version: Option<u64>,
    next_class: u32,
    tables: Sorted<ClassId, Arc<Table>>,
    names: Sorted<String, ClassId>,
}

/// What a tree holds is no object.
pub(super) fn malformed(path: &Path) -> Error {
    Error::file(path, FileErrorCause::MalformedObject)
}

/// The tree of the catalog.
pub(super) fn schema_tree() -> String {
    format!("{MAIN}/schema")
}

/// The tree of an index.
pub(super) fn index_tree(class: ClassId, column: u16) -> String {
    format!("{MAIN}/{}.{column}", class.0)
}

/// The tree of keys that change, empty but while they do.
pub(super) fn moved_tree(class: ClassId) -> String {
    format!("{MAIN}/{}.moved", class.0)
}

impl Column {
    pub(super) fn name(&self) -> &str {
        self.property.name()
    }

    pub(super) fn kind(&self) -> &PropertyType {
        self.property.kind()
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.kind(), PropertyType::ObjectList(_) | PropertyType::List { .. })
    }

    /// Returns the class that values link to.
    pub(super) fn target(&self) -> Option<&str> {
        self.kind().class()
    }

    /// Tells whether there is an index in a tree of its own; that of a key is the order of objects.
    pub(super) fn has_index_tree(&self) -> bool {
        self.property.is_indexed() && !self.property.is_primary_key()
    }
}

impl Table {
    fn new(id: ClassId, name: &str) -> Self {
        let tree = |what: &str| format!("{MAIN}/{}{what}", id.0);
        let trees = TreeNames {
            objects: tree(""),
            apart: tree(".apart"),
            pieces: tree(".pieces"),
            links: tree(".links"),
        };
        let (columns, fixed_bytes, next_column) = (Columns::default(), HEADER_BYTES, 0);
        Self { id, name: name.to_owned(), columns, fixed_bytes, next_column, trees }
    }

    /// Returns the property of a name.
    pub(super) fn column(&self, name: &str) -> Result<&Column> {
        self.columns.named(name).ok_or_else(|| {
            let (class, property) = (self.name.clone(), name.to_owned());
            ObjectError::PropertyUnknown { class, property }.into()
        })
    }

    pub(super) fn column_numbered(&self, number: u16) -> Option<&Column> {
        self.columns.iter().find(|column| column.number == number)
    }

    pub(super) fn key(&self) -> Option<&Column> {
        self.columns.key()
    }

    /// Tells whether objects are numbered instead of having a primary key.
    pub(super) fn has_rows(&self) -> bool {
        self.key().is_none()
    }

    /// Gives a property a column of its own.
    pub(super) fn add(&mut self, property: Property) -> Result<()> {
        let place = match property.kind() {
            _ if property.is_primary_key() => Place::Key,
            PropertyType::ObjectList(_) | PropertyType::List { .. } => Place::Apart,
            _ => self.slot(&property)?,
        };
        let number = self.next_column;
        self.next_column = number.checked_add(1).ok_or_else(|| self.full())?;
        self.columns.change(|columns| columns.push(Column { number, place, property }));
        Ok(())
    }

    /// Makes room for a property in the records.
    pub(super) fn slot(&mut self, property: &Property) -> Result<Place> {
        let bytes = slot_bytes(property.kind(), property.is_nullable());
        let end = usize::from(self.fixed_bytes) + bytes;
        if end > FIXED_BYTES_MAX {
            return Err(self.full());
        }
        Ok(Place::Slot(std::mem::replace(&mut self.fixed_bytes, u16_len(end))))
    }

    fn full(&self) -> Error {
        ObjectError::TooManyProperties { class: self.name.clone() }.into()
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        put_text(&mut out, &self.name);
        put_u16(&mut out, self.fixed_bytes);
        put_u16(&mut out, self.next_column);
        put_u16(&mut out, u16_len(self.columns.len()));
        for Column { number, place, property } in &*self.columns {
            put_u16(&mut out, *number);
            put_u16(&mut out, if let Place::Slot(at) = place { *at } else { 0 });
            let flags = [
                (property.is_nullable(), NULLABLE),
                (property.is_primary_key(), KEY),
                (property.is_indexed(), INDEXED),
            ];
            out.u8(flags.into_iter().filter(|(on, _)| *on).map(|(_, flag)| flag).sum());
            let elements = matches!(property.kind(), PropertyType::List { nullable: true, .. });
            out.u8(elements.into());
            out.u8(property.kind().code());
            put_text(&mut out, property.kind().class().unwrap_or_default());
            put_text(&mut out, property.name());
        }
        out.into_bytes()
    }

    fn decode(id: ClassId, bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader::new(bytes);
        let mut table = Self::new(id, text(&mut rest)?);
        table.fixed_bytes = u16(&mut rest)?;
        table.next_column = u16(&mut rest)?;
        let mut columns = Vec::new();
        for _ in 0..u16(&mut rest)? {
            let (number, slot) = (u16(&mut rest)?, u16(&mut rest)?);
            let (flags, elements, code) = (rest.u8()?, rest.u8()?, rest.u8()?);
            let kind = kind(code, text(&mut rest)?, elements != 0)?;
            let mut property = Property::new(text(&mut rest)?, kind).ok()?.required();
            if flags & NULLABLE != 0 {
                property = property.nullable();
            }
            if flags & KEY != 0 {
                property = property.primary_key();
            } else if flags & INDEXED != 0 {
                property = property.indexed();
            }
            let place = match property.kind() {
                _ if property.is_primary_key() => Place::Key,
                PropertyType::ObjectList(_) | PropertyType::List { .. } => Place::Apart,
                _ => Place::Slot(slot),
            };
            columns.push(Column { number, place, property });
        }
        table.columns.change(|held| *held = columns);
        rest.is_empty().then_some(table)
    }
}

impl Catalog {
    /// Returns what the catalog of a file changes with, without reading all of it.
    pub(super) fn stamp_of(source: Source<'_>) -> Result<u64> {
        let head = source.tree(&schema_tree()).get(HEAD)?;
        let Some(head) = head else { return Ok(0) };
        Reader::new(&head).u64().ok_or_else(|| malformed(source.path()))
    }

    /// Reads the catalog of a file.
    pub(super) fn load(source: Source<'_>) -> Result<Self> {
        let tree = source.tree(&schema_tree());
        Self::read(&tree)?.ok_or_else(|| malformed(source.path()))
    }

    fn read(tree: &Peek<'_>) -> Result<Option<Self>> {
        let mut catalog = Self::default();
        let Some(head) = tree.get(HEAD)? else { return Ok(Some(catalog)) };
        if catalog.read_head(&head).is_none() {
            return Ok(None);
        }
        for entry in tree.range(&[CLASSES][..]..&[CLASSES + 1][..])? {
            let (key, value) = entry?;
            let id = key.split_first().and_then(|(_, id)| id.try_into().ok());
            let Some(id) = id.map(u32::from_be_bytes).map(ClassId) else { return Ok(None) };
            let Some(table) = Table::decode(id, &value) else { return Ok(None) };
            catalog.put(table);
        }
        Ok(Some(catalog))
    }

    fn read_head(&mut self, head: &[u8]) -> Option<()> {
        let mut rest = Reader::new(head);
        self.stamp = rest.u64()?;
        self.next_class = rest.u32()?;
        let versioned = rest.u8()? != 0;
        self.version = Some(rest.u64()?).filter(|_| versioned);
        rest.is_empty().then_some(())
    }

    /// Returns the entries that differ from those of an older catalog; none is one to remove.
    pub(super) fn entries(&self, older: &Self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let key = |id: ClassId| [&[CLASSES], &id.0.to_be_bytes()[..]].concat();
        let mut head = Writer::default();
        head.u64(self.stamp);
        head.u32(self.next_class);
        head.u8(self.version.is_some().into());
        head.u64(self.version.unwrap_or_default());
        let mut entries = vec![(HEAD.to_vec(), Some(head.into_bytes()))];
        let gone = older.tables.keys().filter(|id| !self.tables.contains_key(id));
        entries.extend(gone.map(|id| (key(*id), None)));
        let changed = self.tables.iter().filter(|(id, table)| older.tables.get(id) != Some(table));
        entries.extend(changed.map(|(id, table)| (key(*id), Some(table.encode()))));
        entries
    }

    /// Returns the class of a name.
    pub(super) fn table(&self, class: &str) -> Result<&Arc<Table>> {
        let found = self.names.get(class).and_then(|id| self.tables.get(id));
        found.ok_or_else(|| ObjectError::ClassUnknown { class: class.to_owned() }.into())
    }

    /// Returns the class of a number.
    pub(super) fn table_numbered(&self, id: ClassId) -> Result<&Arc<Table>> {
        let unknown = || ObjectError::ClassUnknown { class: format!("number {}", id.0) };
        self.tables.get(&id).ok_or_else(|| unknown().into())
    }

    pub(super) fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values()
    }

    pub(super) fn has(&self, class: &str) -> bool {
        self.names.contains_key(class)
    }

    /// Returns a class without properties, under the next number, to be put in.
    pub(super) fn draft(&self, name: &str) -> Table {
        Table::new(ClassId(self.next_class), name)
    }

    /// Adds a class, or puts it in the place of the one with its number.
    pub(super) fn put(&mut self, table: Table) {
        let (id, name) = (table.id, table.name.clone());
        self.next_class = self.next_class.max(id.0 + 1);
        if let Some(older) = self.tables.insert(id, Arc::new(table)) {
            self.names.remove(&older.name);
        }
        self.names.insert(name, id);
    }

    pub(super) fn remove(&mut self, id: ClassId) {
        if let Some(table) = self.tables.remove(&id) {
            self.names.remove(&table.name);
        }
    }

    /// Forgets every class, but no number that was given out.
    pub(super) fn clear(&mut self) {
        let (stamp, next_class) = (self.stamp, self.next_class);
        *self = Self { stamp, next_class, ..Self::default() };
    }

    /// Returns the classes as a schema, if they fit together.
    pub(super) fn schema(&self) -> std::result::Result<Schema, SchemaError> {
        let mut classes = Vec::new();
        for table in self.tables.values() {
            let mut class = Class::new(table.name.clone())?;
            for column in &*table.columns {
                class = class.with(column.property.clone());
            }
            classes.push(class);
        }
        Schema::new(classes)
    }
}

fn put_u16(out: &mut Writer, value: u16) {
    out.put(&value.to_le_bytes());
}

fn put_text(out: &mut Writer, text: &str) {
    put_u16(out, u16_len(text.len()));
    out.put(text.as_bytes());
}

fn u16(rest: &mut Reader<'_>) -> Option<u16> {
    rest.array().map(u16::from_le_bytes)
}

fn text<'a>(rest: &mut Reader<'a>) -> Option<&'a str> {
    let len = u16(rest)?;
    std::str::from_utf8(rest.take(len.into())?).ok()
}

/// Returns the type of a number.
fn kind(code: u8, class: &str, nullable: bool) -> Option<PropertyType> {
    let scalar = |code| Scalar::ALL.into_iter().find(|scalar| scalar.code() == code);
    Some(match code {
        12 => PropertyType::Object(class.to_owned()),
        13 => PropertyType::ObjectList(class.to_owned()),
        15 => PropertyType::Counter,
        128.. => PropertyType::List { of: scalar(code - 128)?, nullable },
        _ => PropertyType::Scalar(scalar(code)?),
    })
}
