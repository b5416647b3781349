//! Records: the values of an object, each in a slot at an offset that the class knows, so that a
//! read of one property skips the others.
//!
//! - B8 A slot beyond the end of a record reads as the value of a new object: null, zero or empty.
//!   A new property therefore rewrites no record.
//!
//! Format: docs/objects.md#records.

use super::class_table::ClassTable;
use super::column::{Column, ColumnPlace, HEADER_BYTES, fixed_bytes};
use super::value::{ClassId, ObjectId, ObjectKey, Timestamp, Value};
use crate::codec::{put_at, u16_at, u32_len};
use crate::schema::{PropertyType, Scalar};
use std::borrow::Cow;

/// Longest value within a record, in bytes; a longer one is stored out of line.
pub(crate) const INLINE_BYTES_MAX: usize = 1024;

/// Replaces the offset of a value out of line.
const OUT_OF_LINE: u32 = u32::MAX;

/// The record of a new object: it reaches no slot (B8).
pub(crate) const EMPTY: [u8; 2] = HEADER_BYTES.to_le_bytes();

/// The content of a slot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    /// No value.
    Null,
    /// A value of fixed length.
    Fixed(&'a [u8]),
    /// A value of any length, within the record.
    Bytes(&'a [u8]),
    /// A value out of line, in an entry of its own.
    OutOfLine,
}

/// The layout of a property within records: all that a read needs of the column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordSlot {
    at: u16,
    /// Length of the value, if it is fixed.
    fixed: Option<u8>,
    nullable: bool,
    /// None of a link; a list has no slot.
    scalar: Option<Scalar>,
}

impl RecordSlot {
    /// Returns the slot of a column; none if the value is stored elsewhere.
    pub(crate) fn of(column: &Column) -> Option<Self> {
        let ColumnPlace::Slot(at) = column.place else { return None };
        let kind = column.kind();
        let (nullable, scalar) = (column.property.is_nullable(), kind.scalar());
        Some(Self { at, fixed: fixed_bytes(kind), nullable, scalar })
    }

    /// Reads the slot of a record; none if it is malformed.
    #[inline]
    pub(crate) fn cell(self, record: &[u8]) -> Option<Cell<'_>> {
        let (at, nullable) = (usize::from(self.at), self.nullable);
        let len = self.fixed.map_or(8, |len| usize::from(len) + usize::from(nullable));
        let fixed_part = usize::from(u16::from_le_bytes(*record.first_chunk()?));
        if at + len > fixed_part {
            return self.unreached();
        }
        let slot = record.get(at..at + len)?;
        if self.fixed.is_some() {
            let value = slot.get(usize::from(nullable)..)?;
            return Some(if nullable && slot[0] == 0 { Cell::Null } else { Cell::Fixed(value) });
        }
        let (offset, len) = slot.split_first_chunk::<4>()?;
        let offset = u32::from_le_bytes(*offset);
        let len = u32::from_le_bytes(len.try_into().ok()?) as usize;
        Some(match offset {
            0 if nullable => Cell::Null,
            0 => Cell::Bytes(&[]),
            OUT_OF_LINE => Cell::OutOfLine,
            offset => Cell::Bytes(record.get(offset as usize..)?.get(..len)?),
        })
    }

    /// Returns the content of a slot beyond the end of a record (B8).
    #[cold]
    fn unreached(self) -> Option<Cell<'static>> {
        let zeros: &[u8] = &[0; 12];
        Some(match self.fixed {
            _ if self.nullable => Cell::Null,
            Some(len) => Cell::Fixed(zeros.get(..usize::from(len))?),
            None => Cell::Bytes(&[]),
        })
    }

    /// Reads an integer, or a bool as zero or one; none for null and for other types.
    #[inline]
    pub(crate) fn number(self, record: &[u8]) -> Option<i64> {
        let Cell::Fixed(bytes) = self.cell(record)? else { return None };
        match self.scalar? {
            Scalar::Int => Some(i64::from_le_bytes(bytes.try_into().ok()?)),
            Scalar::Bool => bytes.first().map(|byte| i64::from(*byte != 0)),
            _ => None,
        }
    }

    /// Reads a value in the record that is no link; none otherwise or if it is malformed.
    #[inline]
    pub(crate) fn plain(self, record: &[u8]) -> Option<Value<'_>> {
        match self.cell(record)? {
            Cell::Null => Some(Value::Null),
            Cell::Fixed(bytes) | Cell::Bytes(bytes) => read(self.scalar?, bytes),
            Cell::OutOfLine => None,
        }
    }
}

/// Reads the slot of a property; none if the record is malformed.
pub(crate) fn cell<'a>(record: &'a [u8], column: &Column) -> Option<Cell<'a>> {
    RecordSlot::of(column)?.cell(record)
}

/// Reads a value in the record that is no link; none otherwise or if it is malformed.
pub(crate) fn plain<'a>(record: &'a [u8], column: &Column) -> Option<Value<'a>> {
    RecordSlot::of(column)?.plain(record)
}

/// Encodes a record of a class: an older one, if given, with some slots changed.
pub(crate) fn write(
    table: &ClassTable,
    older: Option<&[u8]>,
    changes: &[(&Column, Cell<'_>)],
) -> Option<Vec<u8>> {
    if let Some(record) = older.and_then(|older| patched(table, older, changes)) {
        return Some(record);
    }
    let mut record = vec![0; usize::from(table.fixed_bytes)];
    put_at(&mut record, 0, &table.fixed_bytes.to_le_bytes());
    let is_changed = |column: &Column| changes.iter().any(|(one, _)| one.number == column.number);
    for column in older.iter().flat_map(|_| &*table.columns) {
        if let (ColumnPlace::Slot(_), Some(older)) = (column.place, older)
            && !is_changed(column)
        {
            put(&mut record, column, &cell(older, column)?);
        }
    }
    for (column, changed) in changes {
        put(&mut record, column, changed);
    }
    Some(record)
}

/// Patches values of fixed length in a copy of a record; none if another layout is needed.
fn patched(table: &ClassTable, older: &[u8], changes: &[(&Column, Cell<'_>)]) -> Option<Vec<u8>> {
    if older.len() < usize::from(HEADER_BYTES) || u16_at(older, 0) != table.fixed_bytes {
        return None;
    }
    let mut record = older.to_vec();
    for (column, changed) in changes {
        let (ColumnPlace::Slot(at), Some(len)) = (column.place, fixed_bytes(column.kind())) else {
            return None;
        };
        let (at, nullable) = (usize::from(at), column.property.is_nullable());
        record.get_mut(at..at + usize::from(len) + usize::from(nullable))?.fill(0);
        put(&mut record, column, changed);
    }
    Some(record)
}

/// Writes the slot of a property, which holds zeros.
fn put(record: &mut Vec<u8>, column: &Column, cell: &Cell<'_>) {
    let ColumnPlace::Slot(at) = column.place else { return };
    let (at, nullable) = (usize::from(at), column.property.is_nullable());
    match cell {
        Cell::Null => {}
        Cell::Fixed(value) => {
            if nullable {
                put_at(record, at, &[1]);
            }
            put_at(record, at + usize::from(nullable), value);
        }
        Cell::Bytes(value) => {
            let (offset, len) = (u32_len(record.len()), u32_len(value.len()));
            put_at(record, at, &offset.to_le_bytes());
            put_at(record, at + 4, &len.to_le_bytes());
            record.extend_from_slice(value);
        }
        Cell::OutOfLine => put_at(record, at, &OUT_OF_LINE.to_le_bytes()),
    }
}

/// Bytes of a value; those of fixed length need no heap.
#[derive(Clone, Debug)]
pub(crate) enum ValueBytes<'a> {
    Null,
    Fixed([u8; 12], usize),
    Any(Cow<'a, [u8]>),
}

impl ValueBytes<'_> {
    /// Returns the bytes; none for null.
    pub(crate) fn get(&self) -> Option<&[u8]> {
        match self {
            Self::Null => None,
            Self::Fixed(bytes, len) => bytes.get(..*len),
            Self::Any(bytes) => Some(bytes),
        }
    }

    /// Returns the content of the value's slot.
    pub(crate) fn cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Fixed(bytes, len) => Cell::Fixed(&bytes[..*len]),
            Self::Any(bytes) if bytes.len() > INLINE_BYTES_MAX => Cell::OutOfLine,
            Self::Any(bytes) => Cell::Bytes(bytes),
        }
    }
}

fn fixed<const N: usize>(value: [u8; N]) -> ValueBytes<'static> {
    let mut bytes = [0; 12];
    put_at(&mut bytes, 0, &value);
    ValueBytes::Fixed(bytes, N)
}

/// Returns the bytes of a value, whose type the caller has checked.
pub(crate) fn value_bytes<'a>(value: &'a Value<'_>) -> ValueBytes<'a> {
    match value {
        Value::Null => ValueBytes::Null,
        Value::Int(value) => fixed(value.to_le_bytes()),
        Value::Bool(value) => fixed([u8::from(*value)]),
        Value::String(value) => ValueBytes::Any(Cow::Borrowed(value.as_bytes())),
        Value::Binary(value) => ValueBytes::Any(Cow::Borrowed(value)),
        Value::Timestamp(value) => {
            let mut bytes = [0; 12];
            put_at(&mut bytes, 0, &value.seconds().to_le_bytes());
            put_at(&mut bytes, 8, &value.nanoseconds().to_le_bytes());
            ValueBytes::Fixed(bytes, 12)
        }
        Value::Float(value) => fixed(value.to_le_bytes()),
        Value::Double(value) => fixed(value.to_le_bytes()),
        Value::Link(object) => ValueBytes::Any(Cow::Owned(object.key.to_bytes().to_vec())),
        Value::TooLarge => unreachable!("B1: no property takes a number beyond 64 bits"),
    }
}

/// Reads a value of a type, or an element of a list of it; none for links or if it is malformed.
pub(crate) fn scalar<'a>(kind: &PropertyType, bytes: &'a [u8]) -> Option<Value<'a>> {
    read(kind.scalar()?, bytes)
}

#[inline]
fn read(scalar: Scalar, bytes: &[u8]) -> Option<Value<'_>> {
    Some(match scalar {
        Scalar::Int => Value::Int(i64::from_le_bytes(bytes.try_into().ok()?)),
        Scalar::Bool => Value::Bool(*bytes.first()? != 0),
        Scalar::Float => Value::Float(f32::from_le_bytes(bytes.try_into().ok()?)),
        Scalar::Double => Value::Double(f64::from_le_bytes(bytes.try_into().ok()?)),
        Scalar::String => Value::String(Cow::Borrowed(std::str::from_utf8(bytes).ok()?)),
        Scalar::Binary => Value::Binary(Cow::Borrowed(bytes)),
        Scalar::Timestamp => {
            let (seconds, rest) = bytes.split_first_chunk::<8>()?;
            let nanoseconds = u32::from_le_bytes(rest.try_into().ok()?);
            Value::Timestamp(Timestamp::new(i64::from_le_bytes(*seconds), nanoseconds))
        }
    })
}

/// Reads a link to an object of a class; none if it is malformed.
pub(crate) fn link(target: ClassId, bytes: &[u8]) -> Option<ObjectId> {
    let key = ObjectKey::from_bytes(bytes)?;
    Some(ObjectId { class: target, key })
}
