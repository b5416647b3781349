//! Indexes: trees whose keys are a value and the key of an object with it.
//!
//! - Q2 An index holds exactly one entry for each object, at the value that the object has.
//!
//! Format: docs/objects.md#indexes.

use super::column::fixed_bytes;
use super::key::ordered;
use super::value::Value;
use crate::schema::{PropertyType, Scalar};

/// Bytes of a string that an index holds; a query reads the objects with longer ones.
pub(crate) const TEXT_BYTES_MAX: usize = 200;

const NULL: u8 = 0;
const VALUE: u8 = 1;

/// Terminators of a whole string, and of the beginning of a longer one.
const WHOLE: [u8; 2] = [0, 0];
const BEGINNING: [u8; 2] = [0, 1];

/// Returns the prefix of all entries of a value. Prefixes are in the order of the values, as far
/// as the index distinguishes these.
pub(crate) fn value_prefix(value: &Value<'_>) -> Vec<u8> {
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
        // Other types have no index.
        Value::Null | Value::Binary(_) | Value::Float(_) | Value::Double(_) | Value::Link(_) => {}
        Value::TooLarge => unreachable!("B1: no property takes a number beyond 64 bits"),
    }
    key
}

/// Returns the bytes of a string that an index holds, escaped so that none contain [`WHOLE`].
pub(crate) fn text_prefix(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len().min(TEXT_BYTES_MAX) + WHOLE.len());
    for byte in text.bytes().take(TEXT_BYTES_MAX) {
        bytes.push(byte);
        if byte == 0 {
            bytes.push(u8::MAX);
        }
    }
    bytes
}

/// Returns the entry of an object with a value.
pub(crate) fn entry(value: &Value<'_>, object: &[u8]) -> Vec<u8> {
    [&value_prefix(value), object].concat()
}

/// Returns the key of an entry's object; none if the entry is malformed.
pub(crate) fn object<'k>(kind: &PropertyType, entry: &'k [u8]) -> Option<&'k [u8]> {
    let (tag, rest) = entry.split_first()?;
    if *tag == NULL {
        return Some(rest);
    }
    if let Some(len) = fixed_bytes(kind) {
        return rest.get(usize::from(len)..);
    }
    // The first 0 without a 255 after it ends a string.
    let end = rest.windows(2).position(|pair| pair[0] == 0 && pair[1] != u8::MAX)?;
    rest.get(end + WHOLE.len()..)
}

/// Tells whether an entry has the beginning of a longer string instead of its value.
pub(crate) fn is_shortened(kind: &PropertyType, value: &[u8]) -> bool {
    // A null is one byte, and no value of another type is shortened.
    kind.scalar() == Some(Scalar::String) && value.len() > 1 && value.ends_with(&BEGINNING)
}

/// Returns the least key of an entry that is not null, in an index and among the keys of objects.
pub(crate) fn without_null() -> Vec<u8> {
    vec![VALUE]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Timestamp;

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
