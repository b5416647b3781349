//! JSON: a lenient parser that is total over any bytes, as in the original client, and a writer
//! that allocates once, so that it leaves no copy of a secret behind.
//!
//! No other module names the JSON library. docs/auth.md#answers defines the leniency.

use crate::secret::{Secret, SecretBytes};
use serde_json::Map;
pub(crate) use serde_json::Value;
use std::borrow::Cow;
use std::io;
use zeroize::Zeroize as _;

/// JSON object whose strings are zeroed on drop.
pub(crate) struct Object(Map<String, Value>);

impl Object {
    pub(crate) fn new() -> Self {
        Self(Map::new())
    }

    /// Parses the first value; `None` unless it is an object.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut text = String::from_utf8_lossy(bytes);
        let json = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let first = serde_json::Deserializer::from_str(json).into_iter::<Value>().next();
        if let Cow::Owned(copy) = &mut text {
            copy.zeroize();
        }
        let mut value = first?.ok()?;
        if let Value::Object(map) = &mut value {
            return Some(Self(std::mem::take(map)));
        }
        wipe(&mut value);
        None
    }

    /// Parses exactly one object in UTF-8. The server is strict about its input.
    pub(crate) fn read_strictly(bytes: &[u8]) -> Option<Self> {
        let mut value = serde_json::from_slice(bytes).ok()?;
        if let Value::Object(map) = &mut value {
            return Some(Self(std::mem::take(map)));
        }
        wipe(&mut value);
        None
    }

    pub(crate) fn fields(&self) -> Fields<'_> {
        Fields(&self.0)
    }

    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    pub(crate) fn with_text(self, key: &str, text: &str) -> Self {
        self.with(key, text)
    }

    pub(crate) fn with_secret(self, key: &str, secret: &Secret) -> Self {
        self.with(key, secret.expose())
    }

    pub(crate) fn with_object(self, key: &str, mut object: Self) -> Self {
        self.with(key, Value::Object(std::mem::take(&mut object.0)))
    }

    pub(crate) fn with_list(self, key: &str, objects: impl IntoIterator<Item = Self>) -> Self {
        let objects =
            objects.into_iter().map(|mut object| Value::Object(std::mem::take(&mut object.0)));
        self.with(key, objects.collect::<Vec<_>>())
    }

    /// Serializes the object: measures first, so that the buffer never moves.
    pub(crate) fn write(&self) -> SecretBytes {
        let mut count = Count(0);
        serde_json::to_writer(&mut count, &self.0).expect("U6: counting does not fail");
        let mut bytes = Vec::with_capacity(count.0);
        serde_json::to_writer(&mut bytes, &self.0).expect("U6: memory takes what is written");
        SecretBytes::new(bytes)
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

/// Lenient accessors of an object or a nested one.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// Returns whether the key exists, with any value.
    pub(crate) fn has(self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// Returns whether the key is missing or `null`.
    pub(crate) fn is_null(self, key: &str) -> bool {
        self.0.get(key).is_none_or(Value::is_null)
    }

    /// Returns a JSON boolean, without conversion.
    pub(crate) fn truth(self, key: &str) -> Option<bool> {
        self.0.get(key)?.as_bool()
    }

    /// Returns a JSON string, without conversion.
    pub(crate) fn string(self, key: &str) -> Option<&'a str> {
        self.0.get(key)?.as_str()
    }

    /// Returns any value but `null` as text.
    pub(crate) fn text(self, key: &str) -> Option<String> {
        self.0.get(key).and_then(text)
    }

    /// Returns a string, or a number or boolean as text.
    pub(crate) fn scalar(self, key: &str) -> Option<String> {
        let value = self.0.get(key)?;
        match value {
            Value::String(_) | Value::Bool(_) | Value::Number(_) => text(value),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// Returns a number or a numeric string; fractions are truncated, large values saturate.
    pub(crate) fn integer(self, key: &str) -> Option<i64> {
        match self.0.get(key)? {
            Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
            Value::String(text) => {
                let text = text.trim();
                text.parse().ok().or_else(|| whole(text.parse().ok()?))
            }
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// Returns a boolean, or a string `true` or `false` in any case.
    pub(crate) fn boolean(self, key: &str) -> Option<bool> {
        match self.0.get(key)? {
            Value::Bool(value) => Some(*value),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            Value::String(_)
            | Value::Null
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => None,
        }
    }

    pub(crate) fn object(self, key: &str) -> Option<Fields<'a>> {
        self.0.get(key)?.as_object().map(Fields)
    }

    /// Returns the elements of an array of objects.
    pub(crate) fn objects(self, key: &str) -> Option<impl Iterator<Item = Fields<'a>>> {
        let values = self.0.get(key)?.as_array()?;
        let objects: Option<Vec<_>> = values.iter().map(|value| value.as_object()).collect();
        Some(objects?.into_iter().map(Fields))
    }

    /// Returns the elements of an array as texts.
    pub(crate) fn texts(self, key: &str) -> Option<Vec<String>> {
        let values = self.0.get(key)?.as_array()?;
        Some(values.iter().map(|value| text(value).unwrap_or_else(|| "null".to_owned())).collect())
    }

    pub(crate) fn keys(self) -> impl Iterator<Item = &'a str> {
        self.0.keys().map(String::as_str)
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Some(value.to_string())
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "U5: the cast cuts off and saturates")]
fn whole(number: f64) -> Option<i64> {
    number.is_finite().then_some(number as i64)
}

/// Zeroes every string in a value, except the keys of objects, which are not secret.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn number(value: &str, expect: Option<i64>) {
        let object = Object::read(format!("{{\"n\": {value}}}").as_bytes());
        assert_eq!(object.and_then(|object| object.fields().integer("n")), expect, "{value}");
    }

    #[test]
    fn numbers_are_read_leniently_and_saturate() {
        number("611", Some(611));
        number("611.9", Some(611));
        number("-0.5", Some(0));
        number("4294967907", Some(4_294_967_907));
        number("9223372036854775808", Some(i64::MAX));
        number("-1e300", Some(i64::MIN));
        number("1e999", None);
        number("\" 611 \"", Some(611));
        number("\"6.11e2\"", Some(611));
        number("\"NaN\"", None);
        number("\"inf\"", None);
        number("\"abc\"", None);
        number("\"\"", None);
        number("null", None);
        number("true", None);
        number("[1]", None);
    }

    #[test]
    fn booleans_may_be_strings() {
        let object =
            Object::read(br#"{"a": true, "b": "FALSE", "c": "yes", "d": 1, "e": null}"#).unwrap();
        let read = |key| object.fields().boolean(key);
        assert_eq!((read("a"), read("b"), read("c")), (Some(true), Some(false), None));
        assert_eq!((read("d"), read("e"), read("f")), (None, None, None));
    }

    #[test]
    fn only_the_first_value_is_read_and_it_must_be_an_object() {
        let reads = |bytes: &[u8]| Object::read(bytes).is_some();
        assert!(reads(b"{} trailing") && reads(b"{}{") && reads(b"\xef\xbb\xbf{}"));
        assert!(reads(b" \n{\"a\": \"\xff\"}"));
        for bytes in [&b""[..], b" ", b"[]", b"\"a\"", b"7", b"{", b"x{}", b"\xff{}", b"null"] {
            assert!(!reads(bytes), "{bytes:?}");
        }
        assert!(!reads("[".repeat(1 << 20).as_bytes()), "deep nesting is no stack overflow");
    }

    #[test]
    fn serialized_objects_fill_their_buffer() {
        let object = Object::new().with_text("a", "é\n\u{1}\"\\/").with_secret("b", &"x".into());
        let bytes = object.write();
        assert_eq!(bytes.capacity(), bytes.expose().len(), "it moved, and left a copy behind");
        assert_eq!(bytes.expose(), r#"{"a":"é\n\u0001\"\\/","b":"x"}"#.as_bytes());
        assert_eq!(bytes.into_secret().expose().len(), 31);
    }
}
