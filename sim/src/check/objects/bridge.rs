//! Translation between core types and model types.

use fastness::object::{ElementId, Object, ObjectId, ObjectKey, RowId, Timestamp, Value, View};
use fastness::schema::{self, PropertyType, Scalar, Schema, SchemaError};
use fastness::{Error, ObjectError};
use fastness_models::objects::{
    DatabaseState, Id, Key, Object as ModelObject, ObjectRefusal, Property, Value as ModelValue,
    ValueType,
};

/// The result of a call that the check has arranged to succeed.
pub(in crate::check) type Outcome<T> = Result<T, Error>;

pub(in crate::check) fn key(key: &ObjectKey) -> Key {
    match key {
        ObjectKey::Null => Key::Null,
        ObjectKey::Int(value) => Key::Int(*value),
        ObjectKey::String(text) => Key::Text(text.clone()),
        // The model knows no author but the file.
        ObjectKey::Row(RowId { author, number }) => {
            Key::Row(if *author == 0 { *number } else { u64::MAX })
        }
    }
}

pub(in crate::check) fn id(view: &View<'_>, id: &ObjectId) -> Outcome<Id> {
    Ok((view.class_name(id.class)?.to_owned(), key(&id.key)))
}

/// Translates a value of the core.
pub(in crate::check) fn value(view: &View<'_>, value: &Value<'_>) -> Outcome<ModelValue> {
    Ok(match value {
        Value::Null => ModelValue::Null,
        Value::Int(value) => ModelValue::Int(*value),
        Value::Bool(value) => ModelValue::Bool(*value),
        Value::String(text) => ModelValue::Text(text.to_string()),
        Value::Binary(bytes) => ModelValue::Bytes(bytes.to_vec()),
        Value::Timestamp(time) => ModelValue::Time(time.seconds(), time.nanoseconds()),
        Value::Float(value) => ModelValue::Float(value.to_bits()),
        Value::Double(value) => ModelValue::Double(value.to_bits()),
        Value::Link(to) => ModelValue::Link(id(view, to)?),
        Value::TooLarge => unreachable!("B1: no property holds a number beyond 64 bits"),
    })
}

/// Translates an address of the model; an error if the class does not exist.
pub(in crate::check) fn object_id(view: &View<'_>, (class, key): &Id) -> Outcome<ObjectId> {
    let key = match key {
        Key::Null => ObjectKey::Null,
        Key::Int(value) => ObjectKey::Int(*value),
        Key::Text(text) => ObjectKey::String(text.clone()),
        Key::Row(number) => ObjectKey::Row(RowId::local(*number)),
    };
    Ok(ObjectId { class: view.objects(class)?.class(), key })
}

/// Translates a value of the model.
pub(in crate::check) fn core_value(view: &View<'_>, value: &ModelValue) -> Outcome<Value<'static>> {
    Ok(match value {
        ModelValue::Null => Value::Null,
        ModelValue::Int(value) => (*value).into(),
        ModelValue::Bool(value) => (*value).into(),
        ModelValue::Text(text) => text.clone().into(),
        ModelValue::Bytes(bytes) => bytes.clone().into(),
        ModelValue::Time(seconds, nanoseconds) => Timestamp::new(*seconds, *nanoseconds).into(),
        ModelValue::Float(bits) => f32::from_bits(*bits).into(),
        ModelValue::Double(bits) => f64::from_bits(*bits).into(),
        ModelValue::Link(to) => object_id(view, to)?.into(),
    })
}

fn scalar(kind: &ValueType) -> Scalar {
    match kind {
        ValueType::Int | ValueType::Counter => Scalar::Int,
        ValueType::Bool => Scalar::Bool,
        ValueType::Bytes => Scalar::Binary,
        ValueType::Time => Scalar::Timestamp,
        ValueType::Float => Scalar::Float,
        ValueType::Double => Scalar::Double,
        ValueType::Text | ValueType::Link(_) | ValueType::Links(_) | ValueType::List(_) => {
            Scalar::String
        }
    }
}

/// Translates a property of the model.
pub(in crate::check) fn property(
    name: &str,
    property: &Property,
    is_key: bool,
) -> Result<schema::Property, SchemaError> {
    let kind = match &property.kind {
        ValueType::Counter => PropertyType::Counter,
        ValueType::Link(class) => PropertyType::Object(class.clone()),
        ValueType::Links(class) => PropertyType::ObjectList(class.clone()),
        ValueType::List(of) => PropertyType::List { of: scalar(of), nullable: property.nullable },
        kind => PropertyType::Scalar(scalar(kind)),
    };
    let nullable = property.nullable && !property.kind.is_list();
    let made = schema::Property::new(name, kind)?;
    let made = if nullable { made.nullable() } else { made.required() };
    Ok(match (is_key, property.indexed) {
        // An index of a primary key is the key itself, so naming it changes nothing.
        (true, true) => made.indexed().primary_key(),
        (true, false) => made.primary_key(),
        (false, true) => made.indexed(),
        (false, false) => made,
    })
}

/// Translates the classes of the model.
pub(in crate::check) fn schema(state: &DatabaseState) -> Result<Schema, SchemaError> {
    let mut classes = Vec::new();
    for (name, class) in &state.classes {
        let mut made = schema::Class::new(name.as_str())?;
        for (name, held) in &class.properties {
            made = made.with(property(name, held, class.key.as_ref() == Some(name))?);
        }
        classes.push(made);
    }
    Schema::new(classes)
}

/// Reads an object into the model's form.
pub(in crate::check) fn object(
    view: &View<'_>,
    (state, class): (&DatabaseState, &str),
    object: &Object<'_>,
) -> Outcome<ModelObject> {
    let mut read = ModelObject::default();
    let Some(class) = state.classes.get(class) else { return Ok(read) };
    for (name, property) in &class.properties {
        if property.kind.is_list() {
            let mut elements = Vec::new();
            for element in object.list(name)? {
                let ElementId { author, number } = element.id;
                // Only this file writes elements so far.
                let number = if author == 0 { number } else { u64::MAX };
                elements.push((number, value(view, &element.value)?));
            }
            read.lists.insert(name.clone(), elements);
        } else if class.key.as_ref() != Some(name) {
            read.values.insert(name.clone(), value(view, &object.get(name)?)?);
        }
    }
    Ok(read)
}

/// Translates an error of the core.
pub(in crate::check) fn refusal(error: &Error) -> Option<ObjectRefusal> {
    Some(match error {
        Error::Schema(SchemaError::NullInRequired { .. }) => ObjectRefusal::Null,
        Error::Schema(SchemaError::Definition(_)) => ObjectRefusal::Definition,
        Error::Object(error) => match error {
            ObjectError::ClassUnknown { .. } => ObjectRefusal::Class,
            ObjectError::PropertyUnknown { .. } => ObjectRefusal::Property,
            ObjectError::Type { .. } => ObjectRefusal::Type,
            ObjectError::KeyMissing { .. } => ObjectRefusal::KeyMissing,
            ObjectError::NoPrimaryKey { .. } => ObjectRefusal::NoPrimaryKey,
            ObjectError::KeyExists { .. } => ObjectRefusal::KeyExists,
            ObjectError::PrimaryKeyImmutable { .. } => ObjectRefusal::PrimaryKeyImmutable,
            ObjectError::KeyTooLong { .. } => ObjectRefusal::KeyTooLong,
            ObjectError::KeysNotUnique { .. } => ObjectRefusal::KeysNotUnique,
            ObjectError::ClassExists { .. } | ObjectError::PropertyExists { .. } => {
                ObjectRefusal::Exists
            }
            ObjectError::ClassLinked { .. } => ObjectRefusal::Linked,
            ObjectError::SyncedChange { .. } => ObjectRefusal::SyncedChange,
            ObjectError::SyncedKey { .. } => ObjectRefusal::SyncedKey,
            ObjectError::ObjectNotFound { .. } => ObjectRefusal::ObjectNotFound,
            ObjectError::OutOfBounds { .. } => ObjectRefusal::OutOfBounds,
            _ => return None,
        },
        _ => return None,
    })
}
