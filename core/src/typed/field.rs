//! Types of the fields of a struct.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a type takes values of its own and treats all others alike"
)]

use super::Object;
use super::link::Link;
use crate::error::{Error, ObjectError, Result};
#[cfg(doc)]
use crate::object::Timestamp;
use crate::object::{self, PropertyValue, Value};
#[cfg(doc)]
use crate::schema::SchemaError;
use crate::schema::{Property, PropertyType, Scalar};
use std::ops::{AddAssign, SubAssign};

/// A type that a field of a struct can have.
///
/// | field | property |
/// |---|---|
/// | each integer of Rust, and `NonZero` of it | a required int |
/// | `bool`, `f32`, `f64`, `String`, `Vec<u8>`, [`Timestamp`] | a required one of that type |
/// | [`SystemTime`](std::time::SystemTime) | a required timestamp |
/// | [`Duration`](std::time::Duration) | a required int: nanoseconds |
/// | `Box<str>`, `Arc<str>`, `Cow<'static, str>`, or of `[u8]` | a required string or binary |
/// | `Box` and `Arc` of these | the same as without it |
/// | a type with `#[derive(ScalarType)]` | a required string or int, or what the type is around |
/// | `Option` of these | a nullable one |
/// | [`Counter`] | a counter |
/// | `Option<Link<T>>` | a link |
/// | `Vec<Link<T>>`, `Vec` of the first rows or of `Option` of it, but of `u8` | a list |
///
/// Types of other crates, each with the feature of that name:
///
/// | field | property |
/// |---|---|
/// | `chrono::DateTime<Utc>`, `time::OffsetDateTime`, read as UTC | a required timestamp |
/// | `chrono::NaiveDate`, `time::Date` | a required timestamp: midnight in UTC |
/// | `uuid::Uuid` | a required string: lower case with hyphens |
/// | `rust_decimal::Decimal` | a required string, in the order of the numbers |
///
/// A value is checked when it is read: one that the type of the field does not have is an error
/// that names it. An integer beyond the 64 signed bits of a property is refused when it is written.
#[diagnostic::on_unimplemented(
    message = "no property holds a `{Self}`",
    label = "cannot be stored",
    note = "a field is an integer, bool, String, Vec<u8>, Timestamp, SystemTime, Duration, f32 or \
            f64, an Option or a Vec of these, a Counter, an Option<Link<T>> or a Vec<Link<T>>",
    note = "an enum without fields and a struct around one value derive `ScalarType`",
    note = "types of chrono, time, uuid and rust_decimal need the feature of that name",
    note = "a link leads to a struct that derives `Object` itself",
    note = "mark the field `#[object(with = \"..\")]` to convert it yourself",
    note = "mark the field `#[object(ignored)]` to leave it out of the file"
)]
pub trait Field: Sized {
    /// Type of a single value, which decides whether the field can be a key or have an index.
    const SCALAR: Option<Scalar>;

    /// Returns the property of this type.
    ///
    /// # Errors
    /// [`SchemaError::PropertyName`].
    fn property(name: &str) -> Result<Property>;

    /// Reads the property of an object.
    ///
    /// # Errors
    /// [`ObjectError::PropertyUnknown`], or [`ObjectError::Type`] if it holds something else; if a
    /// page cannot be read or is damaged.
    fn read(object: &object::Object<'_>, property: &str) -> Result<Self>;

    /// Returns what the property holds.
    fn content(&self) -> PropertyValue<'_>;
}

/// A type of which a property holds one value; `#[derive(ScalarType)]` makes one.
#[diagnostic::on_unimplemented(
    message = "no property holds a `{Self}`",
    label = "cannot be stored",
    note = "a field is an integer, bool, String, Vec<u8>, Timestamp, SystemTime, Duration, f32 or \
            f64, an Option or a Vec of these, a Counter, an Option<Link<T>> or a Vec<Link<T>>",
    note = "an enum without fields and a struct around one value derive `ScalarType`",
    note = "types of chrono, time, uuid and rust_decimal need the feature of that name",
    note = "a link is an `Option<Link<T>>`: the object that it leads to may be deleted",
    note = "mark the field `#[object(with = \"..\")]` to convert it yourself",
    note = "mark the field `#[object(ignored)]` to leave it out of the file"
)]
pub trait ScalarType: Sized {
    /// The type of the property.
    const SCALAR: Scalar;

    /// Returns the value; a value of another type than [`ScalarType::SCALAR`] is refused.
    fn to_value(&self) -> Value<'_>;

    /// Takes a value; none if it is of another type, or one that this type does not have.
    fn of_value(value: Value<'_>) -> Option<Self>;
}

/// A type that an element of a list can have.
#[diagnostic::on_unimplemented(
    message = "no list holds a `{Self}`",
    note = "an element is an integer except u8, bool, String, Vec<u8>, Timestamp, SystemTime, \
            Duration, f32 or f64, a type that derives `ScalarType`, an Option of these, or a \
            Link<T>"
)]
pub trait ElementType: Sized {
    /// Returns the type of the list.
    fn list() -> PropertyType;

    /// Returns the value.
    fn to_value(&self) -> Value<'_>;

    /// Takes a value; none if it is of another type, or one that this type does not have.
    fn of_value(value: Value<'_>) -> Option<Self>;
}

/// Reads a field that an app converts itself. The derive uses it.
///
/// # Errors
/// As [`Field::read`]; [`ObjectError::ValueUnknown`] if the app does not take what is stored.
#[doc(hidden)]
pub fn read_with<S: Field, T>(
    object: &object::Object<'_>,
    property: &str,
    from_stored: impl FnOnce(S) -> Option<T>,
) -> Result<T> {
    let taken = from_stored(S::read(object, property)?);
    taken.ok_or_else(|| match object.get(property) {
        Ok(value) => value_unknown::<T>((object, property), shown(&value)),
        Err(_) => value_unknown::<T>((object, property), "a list".to_owned()),
    })
}

/// Returns the content of a field that an app converted itself. The derive uses it.
#[doc(hidden)]
pub fn content_with<S: Field>(stored: S) -> PropertyValue<'static> {
    match stored.content() {
        PropertyValue::Value(value) => PropertyValue::Value(value.into_owned()),
        PropertyValue::List(values) => {
            PropertyValue::List(values.into_iter().map(Value::into_owned).collect())
        }
    }
}

/// A whole number that several writers add to; it wraps around at 64 bits.
///
/// A write stores the difference to the stored number, so that concurrent additions sum up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Counter(pub i64);

impl AddAssign<i64> for Counter {
    fn add_assign(&mut self, by: i64) {
        self.0 = self.0.wrapping_add(by);
    }
}

impl SubAssign<i64> for Counter {
    fn sub_assign(&mut self, by: i64) {
        self.0 = self.0.wrapping_sub(by);
    }
}

/// One value is one property: a required one.
impl<T: ScalarType> Field for T {
    const SCALAR: Option<Scalar> = Some(T::SCALAR);

    fn property(name: &str) -> Result<Property> {
        Ok(Property::new(name, T::SCALAR)?.required())
    }

    fn read(object: &object::Object<'_>, property: &str) -> Result<Self> {
        one((object, property), &T::SCALAR.into(), T::of_value)
    }

    fn content(&self) -> PropertyValue<'_> {
        PropertyValue::Value(self.to_value())
    }
}

impl<T: ScalarType> Field for Option<T> {
    const SCALAR: Option<Scalar> = Some(T::SCALAR);

    fn property(name: &str) -> Result<Property> {
        Ok(Property::new(name, T::SCALAR)?.nullable())
    }

    fn read(object: &object::Object<'_>, property: &str) -> Result<Self> {
        one((object, property), &T::SCALAR.into(), or_null)
    }

    fn content(&self) -> PropertyValue<'_> {
        PropertyValue::Value(self.as_ref().map_or(Value::Null, ScalarType::to_value))
    }
}

impl<T: ScalarType> ElementType for Option<T> {
    fn list() -> PropertyType {
        PropertyType::List { of: T::SCALAR, nullable: true }
    }

    fn to_value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, ScalarType::to_value)
    }

    fn of_value(value: Value<'_>) -> Option<Self> {
        or_null(value)
    }
}

impl Field for Counter {
    const SCALAR: Option<Scalar> = None;

    fn property(name: &str) -> Result<Property> {
        Ok(Property::new(name, PropertyType::Counter)?)
    }

    fn read(object: &object::Object<'_>, property: &str) -> Result<Self> {
        one((object, property), &PropertyType::Counter, |value| {
            ScalarType::of_value(value).map(Self)
        })
    }

    fn content(&self) -> PropertyValue<'_> {
        PropertyValue::Value(self.0.into())
    }
}

impl<T: Object> Field for Option<Link<T>> {
    const SCALAR: Option<Scalar> = None;

    fn property(name: &str) -> Result<Property> {
        Ok(Property::new(name, PropertyType::Object(T::CLASS.to_owned()))?)
    }

    fn read(object: &object::Object<'_>, property: &str) -> Result<Self> {
        let wanted = PropertyType::Object(T::CLASS.to_owned());
        one((object, property), &wanted, |value| match value {
            Value::Null => Some(None),
            value => ElementType::of_value(value).map(Some),
        })
    }

    fn content(&self) -> PropertyValue<'_> {
        PropertyValue::Value(self.as_ref().map_or(Value::Null, ElementType::to_value))
    }
}

impl<T: Object> ElementType for Link<T> {
    fn list() -> PropertyType {
        PropertyType::ObjectList(T::CLASS.to_owned())
    }

    fn to_value(&self) -> Value<'_> {
        self.into()
    }

    fn of_value(value: Value<'_>) -> Option<Self> {
        match value {
            Value::Link(id) => Some(Self::new(id)),
            _ => None,
        }
    }
}

impl<T: ElementType> Field for Vec<T> {
    const SCALAR: Option<Scalar> = None;

    fn property(name: &str) -> Result<Property> {
        Ok(Property::new(name, T::list())?)
    }

    fn read(object: &object::Object<'_>, property: &str) -> Result<Self> {
        let elements = object.elements(property)?.enumerate().map(|(index, element)| {
            match T::of_value(element?.value) {
                Some(taken) => Ok(taken),
                None => {
                    let held = object.list(property)?.into_iter().nth(index);
                    let held = held.map_or(Value::Null, |element| element.value);
                    Err(unlike::<T>((object, property), &T::list(), &held))
                }
            }
        });
        elements.collect()
    }

    fn content(&self) -> PropertyValue<'_> {
        PropertyValue::List(self.iter().map(ElementType::to_value).collect())
    }
}

fn or_null<T: ScalarType>(value: Value<'_>) -> Option<Option<T>> {
    match value {
        Value::Null => Some(None),
        value => T::of_value(value).map(Some),
    }
}

/// An object and the name of the property to read.
type PropertyRef<'a> = (&'a object::Object<'a>, &'a str);

/// Characters of a text that an error shows.
const SHOWN_MAX: usize = 100;

/// Reads a property that holds one value.
fn one<T>(
    (object, property): PropertyRef<'_>,
    wanted: &PropertyType,
    take: impl FnOnce(Value<'_>) -> Option<T>,
) -> Result<T> {
    match take(object.get(property)?) {
        Some(taken) => Ok(taken),
        None => Err(unlike::<T>((object, property), wanted, &object.get(property)?)),
    }
}

/// Returns the text of a value for an error.
fn shown(value: &Value<'_>) -> String {
    match value {
        Value::Int(value) => value.to_string(),
        Value::Timestamp(value) => value.to_string(),
        Value::String(text) => format!("{:?}", text.chars().take(SHOWN_MAX).collect::<String>()),
        value => format!("a {}", value.type_name()),
    }
}

/// The error of a property that holds something else than its field can.
#[cold]
fn unlike<T>(
    (object, property): PropertyRef<'_>,
    wanted: &PropertyType,
    held: &Value<'_>,
) -> Error {
    let scalar = match wanted {
        PropertyType::Scalar(scalar) | PropertyType::List { of: scalar, .. } => Some(scalar),
        _ => None,
    };
    if scalar.is_some_and(|scalar| scalar.to_string() == held.type_name()) {
        return value_unknown::<T>((object, property), shown(held));
    }
    let (class, property) = (object.class_name().to_owned(), property.to_owned());
    let (expected, found) = (held.type_name().to_owned(), wanted.to_string());
    ObjectError::Type { class, property, expected, found }.into()
}

fn value_unknown<T>((object, property): PropertyRef<'_>, value: String) -> Error {
    let (class, property) = (object.class_name().to_owned(), property.to_owned());
    let field = std::any::type_name::<T>().to_owned();
    ObjectError::ValueUnknown { class, property, value, field }.into()
}
