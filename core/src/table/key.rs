//! Keys of trees: objects, out-of-line values, list chunks, and back-links.
//!
//! Format: docs/objects.md#trees.

use super::class_table::ClassTable;
use super::value::{ClassId, ElementId, ObjectKey, RowId, Value};
use crate::codec::put_at;
use crate::schema::Scalar;
use crate::unit::PRIMARY_KEY_BYTES_MAX;
use std::borrow::Cow;
use std::ops::Deref;

const NULL: u8 = 0;
const NUMBER: u8 = 1;
const TEXT: u8 = 2;
/// The number of an object of this file.
const ROW: u8 = 3;
/// The author and the number of an object of another file.
const FOREIGN_ROW: u8 = 4;

/// The key of an object in the tree of its class; numbers need no heap.
#[derive(Clone, Debug)]
pub(crate) enum KeyBytes {
    Null([u8; 1]),
    Number([u8; 9]),
    Foreign([u8; 13]),
    Text(Vec<u8>),
}

impl Deref for KeyBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Null(bytes) => bytes,
            Self::Number(bytes) => bytes,
            Self::Foreign(bytes) => bytes,
            Self::Text(bytes) => bytes,
        }
    }
}

/// Maps integers to bytes of the same order.
pub(crate) const fn ordered(value: i64) -> [u8; 8] {
    (value ^ i64::MIN).to_be_bytes()
}

const fn unordered(bytes: [u8; 8]) -> i64 {
    i64::from_be_bytes(bytes) ^ i64::MIN
}

impl ObjectKey {
    /// Returns the key of the tree.
    #[inline]
    pub(crate) fn to_bytes(&self) -> KeyBytes {
        let number = |tag, [a, b, c, d, e, f, g, h]: [u8; 8]| {
            KeyBytes::Number([tag, a, b, c, d, e, f, g, h])
        };
        match self {
            Self::Null => KeyBytes::Null([NULL]),
            Self::Int(value) => number(NUMBER, ordered(*value)),
            Self::Row(RowId { author: 0, number: value }) => number(ROW, value.to_be_bytes()),
            Self::Row(RowId { author, number }) => {
                let mut bytes = [FOREIGN_ROW; 13];
                put_at(&mut bytes, 1, &author.to_be_bytes());
                put_at(&mut bytes, 5, &number.to_be_bytes());
                KeyBytes::Foreign(bytes)
            }
            Self::String(text) => KeyBytes::Text([&[TEXT], text.as_bytes()].concat()),
        }
    }

    /// Reads the key of a tree.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        match *tag {
            NULL if rest.is_empty() => Some(Self::Null),
            NUMBER => Some(Self::Int(unordered(rest.try_into().ok()?))),
            TEXT => Some(Self::String(String::from_utf8(rest.to_vec()).ok()?)),
            ROW => {
                let number = u64::from_be_bytes(rest.try_into().ok()?);
                Some(Self::Row(RowId { author: 0, number }))
            }
            FOREIGN_ROW => {
                let (author, number) = rest.split_first_chunk::<4>()?;
                let author = u32::from_be_bytes(*author);
                let number = u64::from_be_bytes(number.try_into().ok()?);
                // Author 0 has the shorter form only: an object has one key.
                (author != 0).then_some(Self::Row(RowId { author, number }))
            }
            _ => None,
        }
    }

    /// Returns the key of an object whose primary key has a value; none if no key can have it.
    pub(crate) fn from_value(value: &Value<'_>) -> Option<Self> {
        Some(match value {
            Value::Null => Self::Null,
            Value::Int(value) => Self::Int(*value),
            Value::String(text) if text.len() <= PRIMARY_KEY_BYTES_MAX => {
                Self::String(text.to_string())
            }
            _ => return None,
        })
    }

    /// Returns the value of the primary key.
    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Self::Int(value) => Value::Int(*value),
            Self::String(text) => Value::String(Cow::Borrowed(text)),
            Self::Null | Self::Row(_) => Value::Null,
        }
    }
}

/// Returns the key of an out-of-line value or list of an object.
pub(crate) fn out_of_line(column: u16, object: &[u8]) -> Vec<u8> {
    [&column.to_be_bytes(), object].concat()
}

/// Returns the prefix of the keys of a list's chunks.
pub(crate) fn chunks_of(column: u16, object: &[u8]) -> Vec<u8> {
    [&column.to_be_bytes()[..], &measured(object)].concat()
}

/// Returns the key of a chunk of a list.
pub(crate) fn chunk(column: u16, object: &[u8], number: u32) -> Vec<u8> {
    [&chunks_of(column, object)[..], &number.to_be_bytes()].concat()
}

/// How many successive ids of elements have their places in one entry.
pub(super) const IDS_AT_ONCE: u64 = 64;

/// In the place of a chunk's number: the places of elements, and the elements that link.
const PLACES: [u8; 4] = u32::MAX.to_be_bytes();
const LINKING: [u8; 4] = (u32::MAX - 1).to_be_bytes();

/// Returns the key of the number of the segment that a chunk is in.
pub(super) fn segment_of(column: u16, object: &[u8], number: u32) -> Vec<u8> {
    [&chunk(column, object, number)[..], &[0]].concat()
}

/// Returns the key of the places of some elements with successive ids.
pub(super) fn places(column: u16, object: &[u8], id: ElementId) -> Vec<u8> {
    let block = (id.number / IDS_AT_ONCE).to_be_bytes();
    [&chunks_of(column, object)[..], &PLACES, &id.author.to_be_bytes(), &block].concat()
}

/// Returns the prefix of the keys of a list's elements that link to an object.
pub(super) fn linking_to(column: u16, object: &[u8], target: &[u8]) -> Vec<u8> {
    [&chunks_of(column, object)[..], &LINKING, &measured(target)].concat()
}

/// Returns the key of an element that links to an object.
pub(super) fn linking(column: u16, object: &[u8], (target, id): (&[u8], ElementId)) -> Vec<u8> {
    let (author, number) = (id.author.to_be_bytes(), id.number.to_be_bytes());
    [&linking_to(column, object, target)[..], &author, &number].concat()
}

impl ElementId {
    /// Reads the end of a key that [`linking`] makes.
    pub(super) fn from_key(bytes: &[u8]) -> Option<Self> {
        let (author, number) = bytes.split_first_chunk::<4>()?;
        let number = u64::from_be_bytes(number.try_into().ok()?);
        Some(Self { author: u32::from_be_bytes(*author), number })
    }
}

/// The origin of a link: the property of an object that holds it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LinkOrigin {
    pub(crate) class: ClassId,
    pub(crate) column: u16,
    /// The key of the object, as in the tree of its class.
    pub(crate) object: Vec<u8>,
}

/// Returns the prefix of the keys of all back-links of an object.
pub(crate) fn links_to(target: &[u8]) -> Vec<u8> {
    measured(target)
}

/// Returns the key of an object after its length, so that no other has it as a prefix.
fn measured(object: &[u8]) -> Vec<u8> {
    let len = u16::try_from(object.len()).expect("B7: the key of an object fits in a key");
    [&len.to_be_bytes(), object].concat()
}

/// Returns the key of a back-link.
pub(crate) fn link(target: &[u8], origin: &LinkOrigin) -> Vec<u8> {
    let class = origin.class.0.to_be_bytes();
    [&links_to(target)[..], &class, &origin.column.to_be_bytes(), &origin.object].concat()
}

/// Returns the prefix of the keys of an object's back-links from one property.
pub(crate) fn links_from(target: &[u8], class: ClassId, column: u16) -> Vec<u8> {
    link(target, &LinkOrigin { class, column, object: Vec::new() })
}

/// Reads the key of a back-link: the target and the origin.
pub(crate) fn read_link(key: &[u8]) -> Option<(&[u8], LinkOrigin)> {
    let (len, rest) = key.split_first_chunk::<2>()?;
    let (target, rest) = rest.split_at_checked(u16::from_be_bytes(*len).into())?;
    let (class, rest) = rest.split_first_chunk::<4>()?;
    let (column, object) = rest.split_first_chunk::<2>()?;
    let class = ClassId(u32::from_be_bytes(*class));
    let column = u16::from_be_bytes(*column);
    Some((target, LinkOrigin { class, column, object: object.to_vec() }))
}

/// Returns the least key above all that begin with `prefix`; none if every key above does.
pub(crate) fn after(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// Tells whether objects of a class can have a key.
pub(super) fn fits(table: &ClassTable, key: &ObjectKey) -> bool {
    let Some(column) = table.key() else { return matches!(key, ObjectKey::Row(_)) };
    match key {
        ObjectKey::Null => column.accepts_null(),
        ObjectKey::Int(_) => column.kind().scalar() == Some(Scalar::Int),
        ObjectKey::String(_) => {
            column.kind().scalar() == Some(Scalar::String)
                && ObjectKey::from_value(&key.value()).is_some()
        }
        ObjectKey::Row(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_order_and_survive_their_bytes() {
        let keys = [
            ObjectKey::Null,
            ObjectKey::Int(i64::MIN),
            ObjectKey::Int(-1),
            ObjectKey::Int(0),
            ObjectKey::Int(1),
            ObjectKey::Int(i64::MAX),
            ObjectKey::String(String::new()),
            ObjectKey::String("a".into()),
            ObjectKey::String("\u{80}".into()),
        ];
        for pair in keys.windows(2) {
            assert!(*pair[0].to_bytes() < *pair[1].to_bytes(), "{pair:?}");
        }
        let rows = [(0, 7), (0, u64::MAX), (1, 0), (1, u64::MAX), (256, 0), (u32::MAX, 9)];
        let rows = rows.map(|(author, number)| ObjectKey::Row(RowId { author, number }));
        for pair in rows.windows(2) {
            assert!(*pair[0].to_bytes() < *pair[1].to_bytes() && pair[0] < pair[1], "{pair:?}");
        }
        assert_eq!(*rows[0].to_bytes(), [3, 0, 0, 0, 0, 0, 0, 0, 7]);
        assert_eq!(ObjectKey::from_bytes(&[4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]), None);
        for key in keys.into_iter().chain(rows) {
            assert_eq!(ObjectKey::from_bytes(&key.to_bytes()), Some(key));
        }
    }

    #[test]
    fn links_survive_their_bytes() {
        let origin = LinkOrigin { class: ClassId(7), column: 300, object: vec![1, 2] };
        let key = link(&[9; 3], &origin);
        assert!(key.starts_with(&links_from(&[9; 3], ClassId(7), 300)));
        assert_eq!(read_link(&key), Some((&[9_u8; 3][..], origin)));
        assert_eq!(read_link(&key[..8]), None);
    }

    #[test]
    fn the_key_after_a_prefix_is_the_least_that_does_not_begin_with_it() {
        assert_eq!(after(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(after(&[1, 255]), Some(vec![2]));
        assert_eq!(after(&[255]), None);
        assert_eq!(after(&[]), None);
    }
}
