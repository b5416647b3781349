//! JSON export: one object per line, streamed.

use super::sink::{ExportSink, PropertyContent, Source};
use crate::contents::properties;
use crate::failure::Failure;
use base64ct::{Base64, Encoding as _};
use fastness::object::{ObjectKey, RowId, Value};
use fastness::schema::{Class, Property};
use serde_json::{Map, Value as Json, json};
use std::io::{BufWriter, Write};

/// Version of the format.
const FORMAT_VERSION: u32 = 1;

/// A document being written.
pub(super) struct Document<W: Write> {
    out: BufWriter<W>,
    classes: usize,
    /// Number of objects in the current class.
    objects: usize,
}

impl<W: Write> Document<W> {
    pub(super) fn new(out: W, source: &Source) -> Result<Self, Failure> {
        let mut out = BufWriter::new(out);
        let (commit, version) = (source.commit, json!(source.version));
        write!(
            out,
            "{{\"export\": {FORMAT_VERSION}, \"commit\": {commit}, \"schema_version\": {version}"
        )?;
        write!(out, ", \"classes\": [")?;
        Ok(Self { out, classes: 0, objects: 0 })
    }

    fn end_class(&mut self) -> Result<(), Failure> {
        if self.classes > 0 {
            write!(self.out, "\n]}}")?;
        }
        Ok(())
    }
}

impl<W: Write> ExportSink for Document<W> {
    fn class(&mut self, class: &Class) -> Result<(), Failure> {
        self.end_class()?;
        let name = json!(class.name());
        let key = json!(class.primary_key().map(Property::name));
        let properties = properties(class);
        let separator = if self.classes > 0 { "," } else { "" };
        write!(self.out, "{separator}\n{{\"name\": {name}, \"primary_key\": {key}, ")?;
        write!(self.out, "\"properties\": {properties}, \"objects\": [")?;
        self.classes += 1;
        self.objects = 0;
        Ok(())
    }

    fn object(
        &mut self,
        key: &ObjectKey,
        contents: &[(&Property, PropertyContent<'_>)],
    ) -> Result<(), Failure> {
        let value = |contents: &PropertyContent<'_>| match contents {
            PropertyContent::One(value) => json(value),
            PropertyContent::Many(values) => values.iter().map(json).collect(),
        };
        let values = contents
            .iter()
            .map(|(property, contents)| (property.name().to_owned(), value(contents)));
        let values: Map<String, Json> = values.collect();
        let separator = if self.objects > 0 { "," } else { "" };
        let object = json!({ "key": self::key(key), "values": values });
        write!(self.out, "{separator}\n{object}")?;
        self.objects += 1;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), Failure> {
        self.end_class()?;
        writeln!(self.out, "\n]}}")?;
        Ok(self.out.flush()?)
    }
}

fn key(key: &ObjectKey) -> Json {
    match key {
        ObjectKey::Null => Json::Null,
        ObjectKey::Int(number) => json!(number),
        ObjectKey::String(text) => json!(text),
        ObjectKey::Row(RowId { author: 0, number }) => json!(number),
        ObjectKey::Row(id) => json!(id.to_string()),
    }
}

fn json(value: &Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Int(number) => json!(number),
        Value::Bool(flag) => json!(flag),
        Value::String(text) => json!(text),
        Value::Binary(bytes) => json!(Base64::encode_string(bytes)),
        Value::Timestamp(time) => json!(time.to_string()),
        Value::Float(number) => real((*number).into()),
        Value::Double(number) => real(*number),
        Value::Link(object) => json!({ "key": key(&object.key) }),
        Value::TooLarge => unreachable!("B1: no property holds a number beyond 64 bits"),
    }
}

/// JSON has no NaN and no infinities.
fn real(number: f64) -> Json {
    if number.is_finite() { json!(number) } else { json!(number.to_string()) }
}
