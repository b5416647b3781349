//! Values of properties, and the addresses of objects and list elements.

use crate::time::{date, day_of};
use std::borrow::Cow;
use std::fmt;
use std::num::NonZero;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A value of a property or of a list element.
///
/// Strings and binaries are borrowed from the snapshot where that is possible;
/// [`Value::into_owned`] copies it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// None.
    Null,
    /// A whole number; also that of a counter.
    Int(i64),
    /// True or false.
    Bool(bool),
    /// Text.
    String(Cow<'a, str>),
    /// Bytes.
    Binary(Cow<'a, [u8]>),
    /// A point in time.
    Timestamp(Timestamp),
    /// A number of 32 bits with a binary point.
    Float(f32),
    /// A number of 64 bits with a binary point.
    Double(f64),
    /// A link to an object.
    Link(ObjectId),
    /// A whole number beyond 64 signed bits. No property takes it, and no filter compares with it.
    TooLarge,
}

/// A point in time: seconds since the beginning of 1970, and nanoseconds after them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    seconds: i64,
    nanoseconds: u32,
}

/// Number of a class in its file. A class keeps its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassId(pub u32);

/// The least number of a local class.
pub(crate) const LOCAL_CLASSES: u32 = 1 << 31;

impl ClassId {
    /// Tells whether it is the number of a local class.
    #[must_use]
    pub const fn is_local(self) -> bool {
        self.0 >= LOCAL_CLASSES
    }
}

/// The address of an object within its class: its primary key or, without one, a number that no
/// other object of the file ever has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectKey {
    /// The primary key is null.
    Null,
    /// The primary key is a number.
    Int(i64),
    /// The primary key is a text.
    String(String),
    /// The class has no primary key.
    Row(RowId),
}

/// The id of an object without a primary key. No other object of the file ever has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowId {
    /// The author of the object; 0 is this file.
    pub author: u32,
    /// The number that the author gave it.
    pub number: u64,
}

/// The address of an object within its file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// Its class.
    pub class: ClassId,
    /// Which of the class.
    pub key: ObjectKey,
}

/// The id of a list element, which it keeps when it moves. No other element of the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ElementId {
    /// The author of the element; 0 is this file.
    pub author: u32,
    /// The number that the author gave it.
    pub number: u64,
}

impl Value<'_> {
    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Int(value) => Value::Int(value),
            Self::Bool(value) => Value::Bool(value),
            Self::String(value) => Value::String(Cow::Owned(value.into_owned())),
            Self::Binary(value) => Value::Binary(Cow::Owned(value.into_owned())),
            Self::Timestamp(value) => Value::Timestamp(value),
            Self::Float(value) => Value::Float(value),
            Self::Double(value) => Value::Double(value),
            Self::Link(value) => Value::Link(value),
            Self::TooLarge => Value::TooLarge,
        }
    }

    /// Tells whether this is null.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Returns the name of its type.
    pub(crate) const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Int(_) => "int",
            Self::Bool(_) => "bool",
            Self::String(_) => "string",
            Self::Binary(_) => "binary",
            Self::Timestamp(_) => "timestamp",
            Self::Float(_) => "float",
            Self::Double(_) => "double",
            Self::Link(_) => "a link",
            Self::TooLarge => "a number beyond 64 signed bits",
        }
    }

    /// Tells whether both are stored alike: unlike `==`, NaN is itself and 0.0 is not -0.0.
    #[must_use]
    pub fn bitwise_eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Float(one), Self::Float(two)) => one.to_bits() == two.to_bits(),
            (Self::Double(one), Self::Double(two)) => one.to_bits() == two.to_bits(),
            _ => self == other,
        }
    }
}

macro_rules! from {
    ($($from:ty => |$value:ident| $to:expr,)*) => {$(
        impl<'a> From<$from> for Value<'a> {
            fn from($value: $from) -> Self {
                $to
            }
        }
    )*};
}

from! {
    i64 => |value| Self::Int(value),
    i32 => |value| Self::Int(value.into()),
    i16 => |value| Self::Int(value.into()),
    i8 => |value| Self::Int(value.into()),
    u32 => |value| Self::Int(value.into()),
    u16 => |value| Self::Int(value.into()),
    u8 => |value| Self::Int(value.into()),
    SystemTime => |value| Self::Timestamp(value.into()),
    Duration => |value| value.as_nanos().into(),
    bool => |value| Self::Bool(value),
    &'a str => |value| Self::String(Cow::Borrowed(value)),
    &'a String => |value| Self::String(Cow::Borrowed(value)),
    String => |value| Self::String(Cow::Owned(value)),
    Box<str> => |value| Self::String(Cow::Owned(value.into())),
    Arc<str> => |value| Self::String(Cow::Owned((*value).to_owned())),
    Cow<'a, str> => |value| Self::String(value),
    Box<[u8]> => |value| Self::Binary(Cow::Owned(value.into())),
    Arc<[u8]> => |value| Self::Binary(Cow::Owned((*value).to_owned())),
    Cow<'a, [u8]> => |value| Self::Binary(value),
    &'a [u8] => |value| Self::Binary(Cow::Borrowed(value)),
    Vec<u8> => |value| Self::Binary(Cow::Owned(value)),
    Timestamp => |value| Self::Timestamp(value),
    f32 => |value| Self::Float(value),
    f64 => |value| Self::Double(value),
    ObjectId => |value| Self::Link(value),
    &ObjectId => |value| Self::Link(value.clone()),
}

/// Integers that are wider than a property: those beyond it are [`Value::TooLarge`].
macro_rules! from_wide {
    ($($from:ty,)*) => {$(
        impl From<$from> for Value<'_> {
            fn from(value: $from) -> Self {
                i64::try_from(value).map_or(Self::TooLarge, Self::Int)
            }
        }
    )*};
}

from_wide! { isize, i128, usize, u64, u128, }

macro_rules! from_nonzero {
    ($($from:ty,)*) => {$(
        impl From<NonZero<$from>> for Value<'_> {
            fn from(value: NonZero<$from>) -> Self {
                value.get().into()
            }
        }
    )*};
}

from_nonzero! { i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, }

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl Timestamp {
    /// Makes a point in time. Nanoseconds count forward, also before 1970; from a whole second on
    /// they are taken as the last one before the next.
    #[must_use]
    pub const fn new(seconds: i64, nanoseconds: u32) -> Self {
        let last = 999_999_999;
        Self { seconds, nanoseconds: if nanoseconds > last { last } else { nanoseconds } }
    }

    /// Makes a point in time of milliseconds since 1970.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "the remainder is from 0 to 999")]
    pub const fn from_millis(milliseconds: i64) -> Self {
        let rest = milliseconds.rem_euclid(1000).unsigned_abs() as u32;
        Self { seconds: milliseconds.div_euclid(1000), nanoseconds: rest * 1_000_000 }
    }

    /// Returns the seconds since 1970.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.seconds
    }

    /// Returns the nanoseconds after the second.
    #[must_use]
    pub const fn nanoseconds(self) -> u32 {
        self.nanoseconds
    }
}

/// Times before 1970 too. The clock of the system has seconds of 64 bits, so each time fits.
impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let whole = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => Self::new(whole(after.as_secs()), after.subsec_nanos()),
            Err(before) => {
                let before = before.duration();
                let seconds = -whole(before.as_secs());
                match before.subsec_nanos() {
                    0 => Self::new(seconds, 0),
                    nanoseconds => Self::new(seconds - 1, 1_000_000_000 - nanoseconds),
                }
            }
        }
    }
}

/// Fails for a time that the clock of the system does not reach.
impl TryFrom<Timestamp> for SystemTime {
    type Error = Timestamp;

    fn try_from(time: Timestamp) -> Result<Self, Timestamp> {
        let seconds = Duration::from_secs(time.seconds.unsigned_abs());
        let whole = match time.seconds {
            0.. => Self::UNIX_EPOCH.checked_add(seconds),
            _ => Self::UNIX_EPOCH.checked_sub(seconds),
        };
        let nanoseconds = Duration::from_nanos(time.nanoseconds.into());
        whole.and_then(|whole| whole.checked_add(nanoseconds)).ok_or(time)
    }
}

/// As ISO 8601 writes it, in UTC: `2017-11-22T09:30:15.000000000Z`. A year beyond four digits has
/// six at least, and a sign.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.seconds.div_euclid(86_400), self.seconds.rem_euclid(86_400));
        let (year, month, day) = date(days);
        match year {
            0..=9999 => write!(f, "{year:04}")?,
            _ => write!(f, "{year:+07}")?,
        }
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let nanoseconds = self.nanoseconds;
        write!(f, "-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanoseconds:09}Z")
    }
}

/// The text is not a point in time as [`Timestamp`] is displayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampTextError;

impl fmt::Display for TimestampTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a point in time, such as 2017-11-22T09:30:15.000000000Z")
    }
}

impl std::error::Error for TimestampTextError {}

/// Reads what [`Timestamp`] displays; up to nine digits of a second may be left out.
impl FromStr for Timestamp {
    type Err = TimestampTextError;

    fn from_str(text: &str) -> Result<Self, TimestampTextError> {
        parse(text).ok_or(TimestampTextError)
    }
}

fn parse(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let sign = date.len() - date.trim_start_matches(['+', '-']).len();
    let (year, rest) = date.split_at(sign + date.get(sign..)?.find('-')?);
    let digits = |text: &str, count: usize| {
        let is_number = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<i64>().ok()).flatten()
    };
    let year: i64 = match (sign, year.len()) {
        (0, 4) => digits(year, 4)?,
        (1, 7..) => year.parse().ok()?,
        _ => return None,
    };
    let (month, day) = rest.strip_prefix('-')?.split_once('-')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let mut parts = time.split(':').map(|part| digits(part, 2));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 || fraction.len() > 9 {
        return None;
    }
    let nanoseconds = match fraction {
        "" => 0,
        _ => digits(&format!("{fraction:0<9}"), 9)?,
    };
    let days = day_of(year, digits(month, 2)?, digits(day, 2)?)?;
    let of_day = hour * 3600 + minute * 60 + second;
    // The first day of all is before the first second that a timestamp can have.
    let seconds = i128::from(days) * 86_400 + i128::from(of_day);
    Some(Timestamp::new(i64::try_from(seconds).ok()?, u32::try_from(nanoseconds).ok()?))
}

impl RowId {
    /// Returns the id of an object that this file numbered.
    #[must_use]
    pub const fn local(number: u64) -> Self {
        Self { author: 0, number }
    }
}

/// `#7`, or `#3.7` if the author is another file.
impl fmt::Display for RowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { author: 0, number } => write!(f, "#{number}"),
            Self { author, number } => write!(f, "#{author}.{number}"),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Int(value) => value.fmt(f),
            Self::String(value) => write!(f, "{value:?}"),
            Self::Row(id) => id.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_print_as_iso_8601() {
        for (seconds, nanoseconds, expected) in [
            (0, 0, "1970-01-01T00:00:00.000000000Z"),
            (1_511_343_015, 1, "2017-11-22T09:30:15.000000001Z"),
            (-1, 999_999_999, "1969-12-31T23:59:59.999999999Z"),
            (253_402_300_799, 0, "9999-12-31T23:59:59.000000000Z"),
            (253_402_300_800, 0, "+010000-01-01T00:00:00.000000000Z"),
            (-62_167_219_201, 0, "-000001-12-31T23:59:59.000000000Z"),
            (i64::MAX, 0, "+292277026596-12-04T15:30:07.000000000Z"),
            (i64::MIN, 0, "-292277022657-01-27T08:29:52.000000000Z"),
        ] {
            assert_eq!(Timestamp::new(seconds, nanoseconds).to_string(), expected);
        }
    }
}
