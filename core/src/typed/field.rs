//! Types of the fields of a struct.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a type takes values of its own and treats all others alike"
)]

use super::Object;
use super::link::Link;
use crate::error::{Error, ObjectError, Result};
use crate::object::{self, PropertyValue, Timestamp, Value};
#[cfg(doc)]
use crate::schema::SchemaError;
use crate::schema::{Property, PropertyType, Scalar};
use std::borrow::Cow;
use std::ops::{AddAssign, SubAssign};

/// A type that a field of a struct can have.
///
/// | field | property |
/// |---|---|
/// | `i64`, `bool`, `String`, `Vec<u8>`, [`Timestamp`], `f32`, `f64` | a required one |
/// | `Option` of these | a nullable one |
/// | [`Counter`] | a counter |
/// | `Option<Link<T>>` | a link |
/// | `Vec<Link<T>>`, `Vec` of the first row or of `Option` of it | a list |
#[diagnostic::on_unimplemented(
    message = "no property holds a `{Self}`",
    label = "cannot be stored",
    note = "a field is i64, bool, String, Vec<u8>, Timestamp, f32 or f64, an Option or a Vec of \
            these, a Counter, an Option<Link<T>> or a Vec<Link<T>>",
    note = "a link leads to a struct that derives `Object` itself",
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

/// A type of which a property holds one value.
#[diagnostic::on_unimplemented(
    message = "no property holds a `{Self}`",
    note = "a value is i64, bool, String, Vec<u8>, Timestamp, f32 or f64",
    note = "a link is an `Option<Link<T>>`: the object that it leads to may be deleted"
)]
pub trait ScalarType: ElementType {
    /// The type.
    const SCALAR: Scalar;
}

/// A type that an element of a list can have.
#[diagnostic::on_unimplemented(
    message = "no list holds a `{Self}`",
    note = "an element is i64, bool, String, Vec<u8>, Timestamp, f32 or f64, an Option of these, \
            or a Link<T>"
)]
pub trait ElementType: Sized {
    /// Returns the type of the list.
    fn list() -> PropertyType;

    /// Returns the value.
    fn to_value(&self) -> Value<'_>;

    /// Takes a value; none if it is of another type.
    fn of_value(value: Value<'_>) -> Option<Self>;
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

macro_rules! scalars {
    ($($type:ty: $scalar:ident, $this:ident => $to:expr, $held:ident => $of:expr;)*) => {$(
        impl ScalarType for $type {
            const SCALAR: Scalar = Scalar::$scalar;
        }

        impl ElementType for $type {
            fn list() -> PropertyType {
                PropertyType::List { of: Scalar::$scalar, nullable: false }
            }

            fn to_value(&self) -> Value<'_> {
                let $this = self;
                Value::$scalar($to)
            }

            fn of_value(value: Value<'_>) -> Option<Self> {
                match value {
                    Value::$scalar($held) => Some($of),
                    _ => None,
                }
            }
        }

        impl Field for $type {
            const SCALAR: Option<Scalar> = Some(Scalar::$scalar);

            fn property(name: &str) -> Result<Property> {
                Ok(Property::new(name, Scalar::$scalar)?.required())
            }

            fn read(object: &object::Object<'_>, property: &str) -> Result<Self> {
                one((object, property), &Scalar::$scalar.into(), ElementType::of_value)
            }

            fn content(&self) -> PropertyValue<'_> {
                PropertyValue::Value(ElementType::to_value(self))
            }
        }
    )*};
}

scalars! {
    i64: Int, this => *this, held => held;
    bool: Bool, this => *this, held => held;
    String: String, this => Cow::Borrowed(this), held => held.into_owned();
    Vec<u8>: Binary, this => Cow::Borrowed(this), held => held.into_owned();
    Timestamp: Timestamp, this => *this, held => held;
    f32: Float, this => *this, held => held;
    f64: Double, this => *this, held => held;
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
        PropertyValue::Value(self.as_ref().map_or(Value::Null, ElementType::to_value))
    }
}

impl<T: ScalarType> ElementType for Option<T> {
    fn list() -> PropertyType {
        PropertyType::List { of: T::SCALAR, nullable: true }
    }

    fn to_value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, ElementType::to_value)
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
        one((object, property), &PropertyType::Counter, |value| i64::of_value(value).map(Self))
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
        let elements = object.elements(property)?.map(|element| {
            let element = element?;
            let held = element.value.type_name();
            let unlike = || unlike((object, property), &T::list(), held);
            T::of_value(element.value).ok_or_else(unlike)
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

/// Reads a property that holds one value.
fn one<T>(
    (object, property): PropertyRef<'_>,
    wanted: &PropertyType,
    take: impl FnOnce(Value<'_>) -> Option<T>,
) -> Result<T> {
    let value = object.get(property)?;
    let held = value.type_name();
    take(value).ok_or_else(|| unlike((object, property), wanted, held))
}

/// The error of a property that holds something else than its field can.
fn unlike((object, property): PropertyRef<'_>, wanted: &PropertyType, held: &str) -> Error {
    let (class, property) = (object.class_name().to_owned(), property.to_owned());
    let (expected, found) = (held.to_owned(), wanted.to_string());
    ObjectError::Type { class, property, expected, found }.into()
}
