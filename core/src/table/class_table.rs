//! A table: a class, its columns and the names of its trees.
//!
//! - B6 Numbers of columns and slots of records are never reused.
//!
//! Format: docs/objects.md#catalog.

use super::column::{Column, ColumnPlace, HEADER_BYTES, is_list, slot_bytes};
use super::columns::Columns;
use super::value::ClassId;
use crate::codec::{Reader, Writer, u16_len};
use crate::conc::Arc;
use crate::schema::{Property, PropertyType, Scalar};

/// Longest fixed part of a record, in bytes.
const FIXED_BYTES_MAX: usize = u16::MAX as usize;

const NULLABLE: u8 = 1;
const KEY: u8 = 2;
const INDEXED: u8 = 4;

/// A class and where its objects are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClassTable {
    pub(crate) id: ClassId,
    pub(crate) name: String,
    pub(crate) columns: Columns,
    /// Length of the fixed part of a new record.
    pub(crate) fixed_bytes: u16,
    pub(crate) next_column: u16,
    pub(crate) trees: TreeNames,
}

/// The trees of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TreeNames {
    root: Arc<str>,
    /// Objects by key.
    pub(crate) objects: String,
    /// Lists and long values, by column and key.
    pub(crate) out_of_line: String,
    /// Chunks of long lists, by column, key and number.
    pub(crate) chunks: String,
    /// Back-links: links by the object that they lead to.
    pub(crate) links: String,
}

impl TreeNames {
    fn new(root: &Arc<str>, id: ClassId) -> Self {
        let tree = |suffix: &str| format!("{root}/{}{suffix}", id.0);
        Self {
            root: Arc::clone(root),
            objects: tree(""),
            out_of_line: tree(".apart"),
            chunks: tree(".pieces"),
            links: tree(".links"),
        }
    }
}

impl ClassTable {
    /// Makes a table without columns.
    pub(super) fn new(root: &Arc<str>, id: ClassId, name: &str) -> Self {
        let (columns, fixed_bytes, next_column) = (Columns::default(), HEADER_BYTES, 0);
        let trees = TreeNames::new(root, id);
        Self { id, name: name.to_owned(), columns, fixed_bytes, next_column, trees }
    }

    /// Returns the column of a property.
    pub(crate) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.named(name)
    }

    pub(crate) fn column_numbered(&self, number: u16) -> Option<&Column> {
        self.columns.iter().find(|column| column.number == number)
    }

    /// Returns the column of the primary key.
    pub(crate) fn key(&self) -> Option<&Column> {
        self.columns.key()
    }

    /// Tells whether objects are numbered instead of having a primary key.
    pub(crate) fn has_rows(&self) -> bool {
        self.key().is_none()
    }

    /// Returns the name of the index tree of a column.
    pub(crate) fn index_tree(&self, column: u16) -> String {
        format!("{}/{}.{column}", self.trees.root, self.id.0)
    }

    /// Returns the name of the tree of changing keys, which is empty outside of a rebuild.
    pub(super) fn moved_tree(&self) -> String {
        format!("{}/{}.moved", self.trees.root, self.id.0)
    }

    /// Appends a column for a property; none if the class has no room for it.
    #[must_use]
    pub(crate) fn add(&mut self, property: Property) -> Option<()> {
        let place = match property.kind() {
            _ if property.is_primary_key() => ColumnPlace::Key,
            kind if is_list(kind) => ColumnPlace::OutOfLine,
            _ => self.take_slot(&property)?,
        };
        let number = self.next_column;
        self.next_column = number.checked_add(1)?;
        self.columns.change(|columns| columns.push(Column { number, place, property }));
        Some(())
    }

    /// Reserves a slot of the records for a property; none if there is no room for it.
    #[must_use]
    pub(super) fn take_slot(&mut self, property: &Property) -> Option<ColumnPlace> {
        let bytes = slot_bytes(property.kind(), property.is_nullable());
        let end = usize::from(self.fixed_bytes) + bytes;
        if end > FIXED_BYTES_MAX {
            return None;
        }
        Some(ColumnPlace::Slot(std::mem::replace(&mut self.fixed_bytes, u16_len(end))))
    }

    /// Changes a column, and puts the columns in order again.
    ///
    /// # Panics
    /// B6: if another column gets its number.
    pub(super) fn change(&mut self, number: u16, body: impl FnOnce(&mut Column)) {
        self.columns.change(|all| {
            if let Some(column) = all.iter_mut().find(|column| column.number == number) {
                body(column);
                assert_eq!(column.number, number, "B6: a column keeps its number");
            }
        });
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::default();
        put_text(&mut out, &self.name);
        put_u16(&mut out, self.fixed_bytes);
        put_u16(&mut out, self.next_column);
        put_u16(&mut out, u16_len(self.columns.len()));
        for Column { number, place, property } in &*self.columns {
            put_u16(&mut out, *number);
            put_u16(&mut out, if let ColumnPlace::Slot(at) = place { *at } else { 0 });
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

    pub(super) fn decode(root: &Arc<str>, id: ClassId, bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader::new(bytes);
        let mut table = Self::new(root, id, text(&mut rest)?);
        table.fixed_bytes = u16(&mut rest)?;
        table.next_column = u16(&mut rest)?;
        let mut columns = Vec::new();
        for _ in 0..u16(&mut rest)? {
            columns.push(decode_column(&mut rest)?);
        }
        let end = usize::from(table.fixed_bytes);
        let fits = |column: &Column| match column.place {
            ColumnPlace::Slot(at) => {
                let bytes = slot_bytes(column.kind(), column.property.is_nullable());
                at >= HEADER_BYTES && usize::from(at) + bytes <= end
            }
            ColumnPlace::Key | ColumnPlace::OutOfLine => true,
        };
        // A slot outside of the fixed part could not be written.
        let is_sound = rest.is_empty() && columns.iter().all(fits);
        table.columns.change(|held| *held = columns);
        is_sound.then_some(table)
    }
}

fn decode_column(rest: &mut Reader<'_>) -> Option<Column> {
    let (number, slot) = (u16(rest)?, u16(rest)?);
    let (flags, elements, code) = (rest.u8()?, rest.u8()?, rest.u8()?);
    let kind = kind(code, text(rest)?, elements != 0)?;
    let mut property = Property::new(text(rest)?, kind).ok()?.required();
    if flags & NULLABLE != 0 {
        property = property.nullable();
    }
    if flags & KEY != 0 {
        property = property.primary_key();
    } else if flags & INDEXED != 0 {
        property = property.indexed();
    }
    let place = match property.kind() {
        _ if property.is_primary_key() => ColumnPlace::Key,
        kind if is_list(kind) => ColumnPlace::OutOfLine,
        _ => ColumnPlace::Slot(slot),
    };
    Some(Column { number, place, property })
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

/// Returns the type of a code.
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
