//! JSON, one object of the file a line, written as it is read.

use super::{Held, Source, Target};
use crate::contents::properties;
use crate::failure::Failure;
use base64ct::{Base64, Encoding as _};
use fastness::object::{ObjectKey, Value};
use fastness::schema::{Class, Property};
use serde_json::{Map, Value as Json, json};
use std::fs::File;
use std::io::{BufWriter, Write as _};

/// Version of the shape.
const SHAPE: u32 = 1;

/// A document that is being written.
pub(super) struct Document {
    out: BufWriter<File>,
    classes: usize,
    /// Of the class that came last.
    objects: usize,
}

impl Document {
    pub(super) fn new(file: File, source: &Source) -> Result<Self, Failure> {
        let mut out = BufWriter::new(file);
        let (commit, version) = (source.commit, json!(source.version));
        write!(out, "{{\"export\": {SHAPE}, \"commit\": {commit}, \"schema_version\": {version}")?;
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

impl Target for Document {
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

    fn object(&mut self, key: &ObjectKey, held: &[(&Property, Held<'_>)]) -> Result<(), Failure> {
        let value = |held: &Held<'_>| match held {
            Held::One(value) => json(value),
            Held::Many(values) => values.iter().map(json).collect(),
        };
        let values = held.iter().map(|(property, held)| (property.name().to_owned(), value(held)));
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
        ObjectKey::Row(number) => json!(number),
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
    }
}

/// JSON has no numbers that are none or infinite.
fn real(number: f64) -> Json {
    if number.is_finite() { json!(number) } else { json!(number.to_string()) }
}
