//! Lists: elements that keep their ids when they move.
//!
//! Format: docs/objects.md#lists.

use super::column::fixed_bytes;
use super::record::{link, scalar, value_bytes};
use super::value::{ClassId, ElementId, Value};
use crate::codec::{Reader, Writer, u32_len};
use crate::schema::PropertyType;

/// An element of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// Its id, which it keeps when it moves.
    pub id: ElementId,
    /// Its value.
    pub value: Value<'static>,
}

const NULL: u8 = 0;
const VALUE: u8 = 1;

/// Most bytes of all elements of a list (64 MiB), which bounds the entry of the list that each edit
/// writes.
pub(crate) const LIST_BYTES_MAX: usize = 64 << 20;

/// Bytes of the shortest element: its id, and that it is null.
const ELEMENT_BYTES_MIN: usize = 12 + 1;

/// Most elements of a list.
pub(crate) const ELEMENTS_MAX: usize = LIST_BYTES_MAX / ELEMENT_BYTES_MIN;

/// Encodes a list.
pub(crate) fn encode(elements: &[Element]) -> Vec<u8> {
    let mut out = Writer::default();
    out.u32(u32_len(elements.len()));
    for Element { id, value } in elements {
        out.u32(id.author);
        out.u64(id.number);
        let bytes = value_bytes(value);
        out.u8(if value.is_null() { NULL } else { VALUE });
        let fixed = !matches!(value, Value::String(_) | Value::Binary(_) | Value::Link(_));
        let Some(bytes) = bytes.get() else { continue };
        if !fixed {
            out.u32(u32_len(bytes.len()));
        }
        out.put(bytes);
    }
    out.into_bytes()
}

/// Returns the encoded length of an element.
pub(crate) fn element_bytes(value: &Value<'_>) -> usize {
    let value = match value {
        Value::String(text) => 4 + text.len(),
        Value::Binary(bytes) => 4 + bytes.len(),
        Value::Link(to) => 4 + to.key.to_bytes().len(),
        fixed => value_bytes(fixed).get().map_or(0, <[u8]>::len),
    };
    ELEMENT_BYTES_MIN + value
}

/// Finds an element of an encoded list without decoding the values; the outer `None` says that the
/// list is malformed.
#[expect(clippy::option_option, reason = "malformed, and not found, are different answers")]
pub(crate) fn find(kind: &PropertyType, bytes: &[u8], id: ElementId) -> Option<Option<usize>> {
    let mut rest = Reader::new(bytes);
    let count = rest.u32()? as usize;
    let fixed = fixed_bytes(kind).map(usize::from);
    for at in 0..count {
        if (ElementId { author: rest.u32()?, number: rest.u64()? }) == id {
            return Some(Some(at));
        }
        if rest.u8()? != NULL {
            let len = match fixed {
                Some(len) => len,
                None => rest.u32()? as usize,
            };
            rest.take(len)?;
        }
    }
    rest.is_empty().then_some(None)
}

/// Decodes a list, in which links lead to objects of `target`; none if it is malformed.
pub(crate) fn decode(
    kind: &PropertyType,
    target: Option<ClassId>,
    bytes: &[u8],
) -> Option<Vec<Element>> {
    let mut rest = Reader::new(bytes);
    let count = rest.u32()? as usize;
    let mut elements = Vec::with_capacity(count.min(bytes.len() / ELEMENT_BYTES_MIN));
    let fixed = fixed_bytes(kind);
    for _ in 0..count {
        let id = ElementId { author: rest.u32()?, number: rest.u64()? };
        let value = match rest.u8()? {
            NULL => Value::Null,
            _ => {
                let len = match fixed {
                    Some(len) => usize::from(len),
                    None => rest.u32()? as usize,
                };
                let bytes = rest.take(len)?;
                match target {
                    Some(target) => Value::Link(link(target, bytes)?),
                    None => scalar(kind, bytes)?.into_owned(),
                }
            }
        };
        elements.push(Element { id, value });
    }
    rest.is_empty().then_some(elements)
}
