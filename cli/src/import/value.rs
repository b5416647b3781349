//! Properties and values of a JSON export.

use base64ct::{Base64, Encoding as _};
use fastness::object::Value;
use fastness::schema::{Property, PropertyType, Scalar};
use serde_json::Value as Json;

/// Reads a property of a class.
pub(super) fn property(json: &Json) -> Result<Property, String> {
    let name = json["name"].as_str().ok_or("a property without a name")?;
    let has = |flag: &str| json[flag] == true;
    let kind =
        kind(&json["type"]).ok_or_else(|| format!("{name}: unknown type {}", json["type"]))?;
    let is_scalar = matches!(kind, PropertyType::Scalar(_));
    let mut property = Property::new(name, kind).map_err(|error| error.to_string())?;
    if is_scalar {
        property = if has("nullable") { property.nullable() } else { property.required() };
    }
    if has("primary_key") {
        property = property.primary_key();
    }
    Ok(if has("indexed") { property.indexed() } else { property })
}

fn kind(json: &Json) -> Option<PropertyType> {
    let link = |json: &Json| Some(json.get("link")?.as_str()?.to_owned());
    if let Some(class) = link(json) {
        return Some(PropertyType::Object(class));
    }
    if let Some(of) = json.get("list") {
        return match link(of) {
            Some(class) => Some(PropertyType::ObjectList(class)),
            None => Some(PropertyType::List {
                of: scalar_type(of)?,
                nullable: json["nullable"] == true,
            }),
        };
    }
    match scalar_type(json) {
        Some(scalar) => Some(scalar.into()),
        None => (*json == PropertyType::Counter.to_string()).then_some(PropertyType::Counter),
    }
}

fn scalar_type(json: &Json) -> Option<Scalar> {
    Scalar::ALL.into_iter().find(|scalar| *json == scalar.to_string())
}

/// Reads a value of a type.
pub(super) fn scalar(of: Scalar, json: &Json) -> Option<Value<'static>> {
    if json.is_null() {
        return Some(Value::Null);
    }
    Some(match of {
        Scalar::Int => json.as_i64()?.into(),
        Scalar::Bool => json.as_bool()?.into(),
        Scalar::String => json.as_str()?.to_owned().into(),
        Scalar::Binary => Base64::decode_vec(json.as_str()?).ok()?.into(),
        Scalar::Timestamp => Value::Timestamp(json.as_str()?.parse().ok()?),
        Scalar::Float => match json.as_str() {
            Some(text) => text.parse::<f32>().ok()?.into(),
            None => narrowed(json.as_f64()?)?.into(),
        },
        Scalar::Double => match json.as_str() {
            Some(text) => text.parse::<f64>().ok()?.into(),
            None => json.as_f64()?.into(),
        },
    })
}

/// An export writes a number of 32 bits exactly. Others are rounded, but none to an infinite one.
#[expect(clippy::cast_possible_truncation, reason = "rounds numbers that no export writes")]
fn narrowed(number: f64) -> Option<f32> {
    let narrow = number as f32;
    narrow.is_finite().then_some(narrow)
}
