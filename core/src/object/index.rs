//! Indexes: a tree whose keys are a value and the key of the object that holds it.
//!
//! - Q2 An index holds exactly one entry for each object, at the value that the object has.
//!
//! Format: docs/objects.md#indexes.

use super::key::ordered;
use super::record::fixed_bytes;
use super::value::Value;
use crate::schema::PropertyType;

/// Bytes of a text that an index tells apart; objects with longer ones are looked at.
pub(super) const TEXT_BYTES_MAX: usize = 200;

const NULL: u8 = 0;
const VALUE: u8 = 1;

/// What follows the bytes of a text: of all of it, or of its beginning.
const WHOLE: [u8; 2] = [0, 0];
const BEGINNING: [u8; 2] = [0, 1];

/// Returns what the keys of all objects with a value begin with. They are in the order of the
/// values as far as the index tells these apart.
pub(super) fn value_prefix(value: &Value<'_>) -> Vec<u8> {
    let mut key = vec![if value.is_null() { NULL } else { VALUE }];
    match value {
        Value::Int(value) => key.extend(ordered(*value)),
        Value::Bool(value) => key.push((*value).into()),
        Value::Timestamp(value) => {
            key.extend(ordered(value.seconds()));
            key.extend(value.nanoseconds().to_be_bytes());
        }
        Value::String(text) => {
            key.extend(text_prefix(text));
            key.extend(if text.len() > TEXT_BYTES_MAX { BEGINNING } else { WHOLE });
        }
        // Nothing else is indexed.
        Value::Null | Value::Binary(_) | Value::Float(_) | Value::Double(_) | Value::Link(_) => {}
    }
    key
}

/// Returns the bytes of a text, as far as an index holds them, so that none contains [`WHOLE`].
pub(super) fn text_prefix(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len().min(TEXT_BYTES_MAX) + WHOLE.len());
    for byte in text.bytes().take(TEXT_BYTES_MAX) {
        bytes.push(byte);
        if byte == 0 {
            bytes.push(u8::MAX);
        }
    }
    bytes
}

/// Returns the key of an object with a value.
pub(super) fn entry(value: &Value<'_>, object: &[u8]) -> Vec<u8> {
    [&value_prefix(value), object].concat()
}

/// Returns the key of the object that an entry is about; none if the entry is malformed.
pub(super) fn object<'k>(kind: &PropertyType, entry: &'k [u8]) -> Option<&'k [u8]> {
    let (tag, rest) = entry.split_first()?;
    if *tag == NULL {
        return Some(rest);
    }
    if let Some(len) = fixed_bytes(kind) {
        return rest.get(usize::from(len)..);
    }
    // The first 0 that no 255 follows ends a text.
    let end = rest.windows(2).position(|pair| pair[0] == 0 && pair[1] != u8::MAX)?;
    rest.get(end + WHOLE.len()..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Timestamp;
    use crate::schema::Scalar;

    #[test]
    fn keys_are_in_the_order_of_the_values() {
        let ascending: [&[Value<'_>]; 3] = [
            &[Value::Null, i64::MIN.into(), (-1).into(), 0.into(), i64::MAX.into()],
            &[Value::Null, "".into(), "\0".into(), "\0a".into(), "a".into(), "a\0".into()],
            &[
                Value::Null,
                Timestamp::new(i64::MIN, 0).into(),
                Timestamp::new(-1, 999_999_999).into(),
                Timestamp::new(0, 0).into(),
                Timestamp::new(0, 1).into(),
            ],
        ];
        for values in ascending {
            for pair in values.windows(2) {
                assert!(entry(&pair[0], &[255]) < entry(&pair[1], &[0]), "{pair:?}");
            }
            let kind = match values[2] {
                Value::Int(_) => Scalar::Int,
                Value::String(_) => Scalar::String,
                _ => Scalar::Timestamp,
            };
            for value in values {
                assert_eq!(object(&kind.into(), &entry(value, &[0, 7])), Some(&[0, 7][..]));
            }
        }
    }
}
