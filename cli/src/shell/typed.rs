//! Values and conditions of the shell, which get their types from the classes of the file.

use super::line::{Condition, Literal, QueryText};
use fastness::object::{ClassId, Filter, ObjectId, ObjectKey, Objects, Query, RowId, Value, View};
use fastness::schema::{Class, Property, PropertyType, Scalar, Schema};

/// The classes of a file, and how to address their objects.
pub(super) struct Types<'v> {
    pub(super) view: View<'v>,
    pub(super) schema: Schema,
}

/// The type of the value that a path leads to.
enum PathType {
    Scalar(Scalar),
    /// Objects of a class.
    Link(String),
}

impl<'v> Types<'v> {
    pub(super) fn new(view: View<'v>) -> fastness::Result<Self> {
        Ok(Self { view, schema: view.schema()? })
    }

    /// Returns a class.
    pub(super) fn class(&self, name: &str) -> Result<&Class, String> {
        let found = self.schema.classes().iter().find(|class| class.name() == name);
        found.ok_or_else(|| {
            let names: Vec<_> = self.schema.classes().iter().map(Class::name).collect();
            format!("no class {name}; there are: {}", names.join(", "))
        })
    }

    /// Returns a property of a class.
    fn property<'c>(class: &'c Class, name: &str) -> Result<&'c Property, String> {
        class.property(name).ok_or_else(|| {
            let names: Vec<_> = class.stored_properties().map(Property::name).collect();
            format!("{} has no property {name}, only: {}", class.name(), names.join(", "))
        })
    }

    /// Returns the type at the end of a path from a class.
    fn path(&self, class: &Class, path: &str) -> Result<PathType, String> {
        let (mut class, mut steps) = (class, path.split('.').peekable());
        loop {
            let name = steps.next().unwrap_or_default();
            let property = Self::property(class, name)?;
            let found = match property.kind() {
                PropertyType::Scalar(scalar) | PropertyType::List { of: scalar, .. } => {
                    PathType::Scalar(*scalar)
                }
                PropertyType::Counter => PathType::Scalar(Scalar::Int),
                PropertyType::Object(target) | PropertyType::ObjectList(target) => {
                    PathType::Link(target.clone())
                }
                PropertyType::LinkingObjects { class, .. } => PathType::Link(class.clone()),
                other => {
                    return Err(format!("{name} has the type {other}, which has no values here"));
                }
            };
            if steps.peek().is_none() {
                return Ok(found);
            }
            let PathType::Link(target) = found else {
                return Err(format!("{path}: {name} is no link, so nothing follows it"));
            };
            class = self.class(&target)?;
        }
    }

    /// Returns the key of an object.
    pub(super) fn key(&self, class: &Class, literal: &Literal) -> Result<ObjectKey, String> {
        let Some(property) = class.primary_key() else {
            let Literal::Row(number) = literal else {
                return Err(format!("objects of {} have numbers, as #1", class.name()));
            };
            let number = number.parse().map_err(|_| format!("#{number} is no number"))?;
            return Ok(ObjectKey::Row(RowId::local(number)));
        };
        let PropertyType::Scalar(of) = property.kind() else {
            return Err(format!("{} has a key of another type", class.name()));
        };
        match scalar(*of, literal)? {
            Value::Null => Ok(ObjectKey::Null),
            Value::Int(number) => Ok(ObjectKey::Int(number)),
            Value::String(text) => Ok(ObjectKey::String(text.into_owned())),
            other => Err(format!("{other:?} is no key")),
        }
    }

    /// Returns the address of an object.
    pub(super) fn id(&self, class: &str, literal: &Literal) -> Result<ObjectId, String> {
        let key = self.key(self.class(class)?, literal)?;
        let objects = self.view.objects(class).map_err(|error| error.to_string())?;
        let class: ClassId = objects.class();
        Ok(ObjectId { class, key })
    }

    /// Returns a value of what a path leads to.
    pub(super) fn value(
        &self,
        class: &Class,
        path: &str,
        literal: &Literal,
    ) -> Result<Value<'static>, String> {
        match self.path(class, path)? {
            PathType::Scalar(of) => {
                scalar(of, literal).map_err(|reason| format!("{path}: {reason}"))
            }
            PathType::Link(_) if *literal == Literal::Null => Ok(Value::Null),
            PathType::Link(target) => self.id(&target, literal).map(Value::Link),
        }
    }

    fn filter(&self, class: &Class, condition: &Condition) -> Result<Filter, String> {
        let all = |parts: &[Condition]| {
            parts.iter().map(|part| self.filter(class, part)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match condition {
            Condition::Compare(path, how, literal) => Filter::Compare {
                path: path.clone(),
                how: *how,
                value: self.value(class, path, literal)?,
            },
            Condition::OneOf(path, literals) => {
                let values = literals.iter().map(|literal| self.value(class, path, literal));
                Filter::OneOf { path: path.clone(), values: values.collect::<Result<_, _>>()? }
            }
            Condition::Text(path, how, text) => {
                self.path(class, path)?;
                let (path, text) = (path.clone(), text.clone());
                Filter::Text { path, how: *how, text, case_insensitive: false }
            }
            Condition::And(parts) => Filter::And(all(parts)?),
            Condition::Or(parts) => Filter::Or(all(parts)?),
            Condition::Not(part) => self.filter(class, part)?.not(),
        })
    }

    /// Returns the query of a text.
    pub(super) fn query(&self, class: &str, text: &QueryText) -> Result<Query<'v>, String> {
        let known = self.class(class)?;
        let objects: Objects<'v> = self.view.objects(class).map_err(|error| error.to_string())?;
        let mut query = objects.query();
        if let Some(condition) = &text.condition {
            query = query.filter(self.filter(known, condition)?);
        }
        for (path, order) in &text.sort {
            query = query.sort(path, *order);
        }
        query = query.distinct(text.distinct.iter().map(String::as_str));
        Ok(match text.limit {
            Some(limit) => query.limit(limit),
            None => query,
        })
    }
}

/// Returns a value of a type.
fn scalar(of: Scalar, literal: &Literal) -> Result<Value<'static>, String> {
    let value = match (of, literal) {
        (_, Literal::Null) => Some(Value::Null),
        (Scalar::Bool, Literal::Bool(flag)) => Some(Value::Bool(*flag)),
        (Scalar::Int, Literal::Number(text)) => text.parse().ok().map(Value::Int),
        (Scalar::Float, Literal::Number(text)) => text.parse().ok().map(Value::Float),
        (Scalar::Double, Literal::Number(text)) => text.parse().ok().map(Value::Double),
        (Scalar::String, Literal::Text(text)) => Some(text.clone().into()),
        (Scalar::Timestamp, Literal::Text(text)) => text.parse().ok().map(Value::Timestamp),
        (Scalar::Binary, Literal::Text(text)) => from_hex(text).map(Value::from),
        _ => None,
    };
    value.ok_or_else(|| match (of, literal) {
        (Scalar::Timestamp, _) => "a timestamp is a text as '2017-11-22T09:30:15Z'".to_owned(),
        (Scalar::Binary, _) => "a binary is a text of hexadecimal digits, as '0aff'".to_owned(),
        (_, Literal::Text(text)) => format!("'{text}' is no value of type {of}"),
        (_, Literal::Number(text) | Literal::Row(text)) => {
            format!("{text} is no value of type {of}")
        }
        (_, other) => format!("{other:?} is no value of type {of}").to_lowercase(),
    })
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<_>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    digits.chunks(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).ok()).collect()
}

/// Writes a value as the shell reads it, but for escaped control characters.
pub(super) fn text(value: &Value<'_>) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::String(text) => quote(text),
        Value::Binary(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            quote(&digits)
        }
        Value::Timestamp(time) => quote(&time.to_string()),
        Value::Float(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Link(to) => key_text(&to.key),
        Value::TooLarge => unreachable!("B1: no property holds a number beyond 64 bits"),
    }
}

/// Writes a key as the shell reads it.
pub(super) fn key_text(key: &ObjectKey) -> String {
    match key {
        ObjectKey::Null => "null".to_owned(),
        ObjectKey::Int(number) => number.to_string(),
        ObjectKey::String(text) => quote(text),
        ObjectKey::Row(RowId { author: 0, number }) => format!("#{number}"),
        ObjectKey::Row(id) => format!("#{id}"),
    }
}

/// Quotes a text. Control characters are escaped, so that they do not reach the terminal.
fn quote(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        match c {
            '\'' => out.push_str("''"),
            c if c.is_control() => out.extend(c.escape_debug()),
            c => out.push(c),
        }
    }
    out + "'"
}
