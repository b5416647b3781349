//! Writing the objects of a JSON export, and afterwards the links between them.

use super::value::scalar;
use crate::failure::Failure;
use fastness::Error;
use fastness::object::{ObjectId, ObjectKey, PropertyValue, Transaction, Value};
use fastness::schema::{Class, Property, PropertyType, Scalar};
use serde_json::Value as Json;
use std::collections::HashMap;

/// An object of the document.
pub(super) struct Row<'r> {
    pub(super) class: &'r Class,
    pub(super) key: &'r Json,
    pub(super) values: &'r Json,
}

/// Objects of classes without a primary key, by class and key in the document: they get numbers of
/// their own in the new file.
#[derive(Default)]
pub(super) struct LinkTargets(HashMap<String, HashMap<String, ObjectId>>);

/// Refuses an object that has more, or less, than an export has.
pub(super) fn check(class: &Class, object: &Json) -> Result<(), Failure> {
    let refused = |text: String| Err(Failure::problem(format!("{}: {text}", class.name())));
    let fields = object.as_object().filter(|fields| fields.len() == 2);
    let fields = fields.and_then(|fields| fields.get("key").zip(fields.get("values")));
    let Some((key, values)) = fields.and_then(|(key, values)| Some((key, values.as_object()?)))
    else {
        let object = shortened(object);
        return refused(format!(
            "an object has a `key` and its `values`, and nothing else: {object}"
        ));
    };
    for name in values.keys() {
        if class.property(name).is_none() {
            return refused(format!("object {key} has a value of {name}, which the class has not"));
        }
    }
    match class.primary_key().and_then(|property| values.get(property.name())) {
        Some(value) if value != key => refused(format!("object {key} has the primary key {value}")),
        _ => Ok(()),
    }
}

/// Creates an object without its links.
pub(super) fn create(
    txn: &mut Transaction,
    row: &Row<'_>,
    targets: &mut LinkTargets,
) -> Result<(), Failure> {
    let mut values: Vec<(&str, PropertyValue<'_>)> = Vec::new();
    let mut counters = Vec::new();
    for property in row.class.stored_properties() {
        let (name, kind) = (property.name(), property.kind());
        let json = if property.is_primary_key() { Some(row.key) } else { row.values.get(name) };
        // A value that was unreadable when it was exported is absent.
        let Some(json) = json else { continue };
        match kind {
            PropertyType::Scalar(of) => {
                values.push((name, one(row, property, (*of, json))?.into()))
            }
            PropertyType::Counter => {
                let value = one(row, property, (Scalar::Int, json))?;
                if let Value::Int(count) = value {
                    counters.push((name, count));
                }
            }
            PropertyType::List { of, .. } => {
                let elements = array(row, property, json)?;
                let elements = elements.iter().map(|json| one(row, property, (*of, json)));
                values.push((name, PropertyValue::List(elements.collect::<Result<_, _>>()?)));
            }
            // Links follow when all objects exist.
            _ => {}
        }
    }
    let id = txn.create_with(row.class.name(), &values).map_err(of(row))?;
    for (name, count) in counters {
        txn.add(&id, name, count).map_err(of(row))?;
    }
    if row.class.primary_key().is_none() {
        let class = targets.0.entry(row.class.name().to_owned()).or_default();
        class.insert(row.key.to_string(), id);
    }
    Ok(())
}

/// Sets the links of an object that was created.
pub(super) fn link(
    txn: &mut Transaction,
    row: &Row<'_>,
    targets: &LinkTargets,
) -> Result<(), Failure> {
    let mut id = None;
    for property in row.class.stored_properties() {
        let (PropertyType::Object(class) | PropertyType::ObjectList(class)) = property.kind()
        else {
            continue;
        };
        let Some(json) = row.values.get(property.name()).filter(|json| !json.is_null()) else {
            continue;
        };
        let target = |txn: &mut Transaction, json: &Json| {
            let key = json.get("key").ok_or_else(|| refused(row, property, json))?;
            let target = targets.find(txn, class, key)?;
            target.ok_or_else(|| refused(row, property, json))
        };
        let id = match &id {
            Some(id) => id,
            None => {
                let found = targets.find(txn, row.class.name(), row.key)?;
                id.insert(found.ok_or_else(|| refused(row, property, row.key))?)
            }
        };
        if let PropertyType::Object(_) = property.kind() {
            let target = target(txn, json)?;
            txn.set(id, property.name(), target).map_err(of(row))?;
            continue;
        }
        for json in array(row, property, json)? {
            let target = target(txn, json)?;
            let mut list = txn.list(id, property.name()).map_err(of(row))?;
            list.push(target).map_err(of(row))?;
        }
    }
    Ok(())
}

impl LinkTargets {
    /// Finds an object by its class and its key in the document.
    fn find(
        &self,
        txn: &mut Transaction,
        class: &str,
        key: &Json,
    ) -> Result<Option<ObjectId>, Failure> {
        if let Some(objects) = self.0.get(class) {
            return Ok(objects.get(&key.to_string()).cloned());
        }
        let objects = txn.objects(class)?;
        let key = match key {
            Json::Null => ObjectKey::Null,
            Json::Number(number) => match number.as_i64() {
                Some(number) => ObjectKey::Int(number),
                None => return Ok(None),
            },
            Json::String(text) => ObjectKey::String(text.as_str().into()),
            Json::Bool(_) | Json::Array(_) | Json::Object(_) => return Ok(None),
        };
        Ok(Some(ObjectId { class: objects.class(), key }))
    }
}

/// Makes the failure of an object of an error of the file.
fn of(row: &Row<'_>) -> impl Fn(Error) -> Failure {
    let object = format!("{} {}", row.class.name(), row.key);
    move |error| match error {
        Error::File { .. } => Failure::from(error),
        refused => Failure::problem(format!("{object}: {refused}")),
    }
}

fn shortened(json: &Json) -> String {
    let json = json.to_string();
    match json.len() {
        0..=80 => json,
        _ => json.chars().take(80).chain("...".chars()).collect(),
    }
}

fn one(
    row: &Row<'_>,
    property: &Property,
    (of, json): (Scalar, &Json),
) -> Result<Value<'static>, Failure> {
    scalar(of, json).ok_or_else(|| refused(row, property, json))
}

fn array<'j>(row: &Row<'_>, property: &Property, json: &'j Json) -> Result<&'j [Json], Failure> {
    json.as_array().map(Vec::as_slice).ok_or_else(|| refused(row, property, json))
}

fn refused(row: &Row<'_>, property: &Property, json: &Json) -> Failure {
    let (class, key): (&Class, &Json) = (row.class, row.key);
    let (class, property, kind) = (class.name(), property.name(), property.kind());
    let json = shortened(json);
    Failure::problem(format!("{class} {key}, {property}: {json} is no value of type {kind}"))
}
