//! Values of the types of Rust itself.

use super::field::{ElementType, ScalarType};
use crate::object::{Timestamp, Value};
use crate::schema::{PropertyType, Scalar};
use std::borrow::Cow;
use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Implements [`ScalarType`]: how a value is stored, and how a stored one is taken.
macro_rules! scalars {
    ($($type:ty: $scalar:ident, $this:ident => $to:expr, $held:ident => $of:expr;)*) => {$(
        impl ScalarType for $type {
            const SCALAR: Scalar = Scalar::$scalar;

            fn to_value(&self) -> Value<'_> {
                let $this = self;
                $to
            }

            fn of_value(value: Value<'_>) -> Option<Self> {
                match value {
                    Value::$scalar($held) => $of,
                    _ => None,
                }
            }
        }
    )*};
}

/// Implements [`ElementType`] for scalars. A list of bytes is a binary, so `u8` is none.
macro_rules! elements {
    ($($type:ty,)*) => {$(
        impl ElementType for $type {
            fn list() -> PropertyType {
                PropertyType::List { of: <$type as ScalarType>::SCALAR, nullable: false }
            }

            fn to_value(&self) -> Value<'_> {
                ScalarType::to_value(self)
            }

            fn of_value(value: Value<'_>) -> Option<Self> {
                ScalarType::of_value(value)
            }
        }
    )*};
}

macro_rules! integers {
    ($($type:ty,)*) => {
        scalars! {$(
            $type: Int, this => (*this).into(), held => held.try_into().ok();
            NonZero<$type>: Int, this => this.get().into(),
                held => held.try_into().ok().and_then(Self::new);
        )*}
    };
}

integers! { i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, }

elements! {
    i8, i16, i32, i64, i128, isize, u16, u32, u64, u128, usize,
    NonZero<i8>, NonZero<i16>, NonZero<i32>, NonZero<i64>, NonZero<i128>, NonZero<isize>,
    NonZero<u8>, NonZero<u16>, NonZero<u32>, NonZero<u64>, NonZero<u128>, NonZero<usize>,
    bool, f32, f64, String, Vec<u8>, Timestamp, SystemTime, Duration,
    Box<str>, Arc<str>, Cow<'static, str>, Box<[u8]>, Arc<[u8]>, Cow<'static, [u8]>,
}

scalars! {
    bool: Bool, this => (*this).into(), held => Some(held);
    f32: Float, this => (*this).into(), held => Some(held);
    f64: Double, this => (*this).into(), held => Some(held);
    Timestamp: Timestamp, this => (*this).into(), held => Some(held);
    SystemTime: Timestamp, this => (*this).into(), held => held.try_into().ok();
    Duration: Int, this => (*this).into(), held => held.try_into().ok().map(Self::from_nanos);
    String: String, this => this.as_str().into(), held => Some(held.into_owned());
    Box<str>: String, this => (&**this).into(), held => Some(held.into_owned().into());
    Arc<str>: String, this => (&**this).into(), held => Some((&*held).into());
    Cow<'static, str>: String, this => (&**this).into(), held => Some(held.into_owned().into());
    Vec<u8>: Binary, this => this.as_slice().into(), held => Some(held.into_owned());
    Box<[u8]>: Binary, this => (&**this).into(), held => Some(held.into_owned().into());
    Arc<[u8]>: Binary, this => (&**this).into(), held => Some((&*held).into());
    Cow<'static, [u8]>: Binary, this => (&**this).into(), held => Some(held.into_owned().into());
}

/// Implements the traits for a pointer to a value.
macro_rules! pointers {
    ($($pointer:ident,)*) => {$(
        impl<T: ScalarType> ScalarType for $pointer<T> {
            const SCALAR: Scalar = T::SCALAR;

            fn to_value(&self) -> Value<'_> {
                (**self).to_value()
            }

            fn of_value(value: Value<'_>) -> Option<Self> {
                T::of_value(value).map(Self::new)
            }
        }

        impl<T: ElementType> ElementType for $pointer<T> {
            fn list() -> PropertyType {
                T::list()
            }

            fn to_value(&self) -> Value<'_> {
                (**self).to_value()
            }

            fn of_value(value: Value<'_>) -> Option<Self> {
                T::of_value(value).map(Self::new)
            }
        }
    )*};
}

pointers! { Box, Arc, }
