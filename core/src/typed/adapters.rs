//! Values of types of other crates, each behind the feature with the name of the crate.

#![cfg(any(feature = "chrono", feature = "time", feature = "uuid", feature = "rust_decimal"))]

use super::field::{ElementType, ScalarType};
use crate::object::Value;
use crate::schema::{PropertyType, Scalar};

/// Implements the traits for a type, and its conversion into values that filters take.
macro_rules! adapters {
    ($($type:ty: $scalar:ident, $this:ident => $to:expr, $held:ident => $of:expr;)*) => {$(
        impl ScalarType for $type {
            const SCALAR: Scalar = Scalar::$scalar;

            fn to_value(&self) -> Value<'_> {
                Value::from(*self)
            }

            fn of_value(value: Value<'_>) -> Option<Self> {
                match value {
                    Value::$scalar($held) => $of,
                    _ => None,
                }
            }
        }

        impl ElementType for $type {
            fn list() -> PropertyType {
                PropertyType::List { of: Scalar::$scalar, nullable: false }
            }

            fn to_value(&self) -> Value<'_> {
                Value::from(*self)
            }

            fn of_value(value: Value<'_>) -> Option<Self> {
                ScalarType::of_value(value)
            }
        }

        impl From<$type> for Value<'_> {
            fn from($this: $type) -> Self {
                Value::$scalar($to)
            }
        }
    )*};
}

/// Seconds of a day.
#[cfg(any(feature = "chrono", feature = "time"))]
const DAY: i64 = 86_400;

/// A point in time in UTC: other zones would be lost. A leap second is the last nanosecond before
/// the next second. A date is its midnight.
#[cfg(feature = "chrono")]
mod with_chrono {
    use super::*;
    use crate::object::Timestamp;
    use chrono::{DateTime, NaiveDate, Utc};

    adapters! {
        DateTime<Utc>: Timestamp,
            time => Timestamp::new(time.timestamp(), time.timestamp_subsec_nanos()),
            held => Self::from_timestamp(held.seconds(), held.nanoseconds());
        NaiveDate: Timestamp,
            date => Timestamp::new(i64::from(date.to_epoch_days()) * DAY, 0),
            held => of_midnight(held);
    }

    fn of_midnight(time: Timestamp) -> Option<NaiveDate> {
        let is_midnight = time.nanoseconds() == 0 && time.seconds() % DAY == 0;
        is_midnight.then(|| DateTime::from_timestamp(time.seconds(), 0))?.map(|it| it.date_naive())
    }
}

/// A point in time, which is read as UTC; a date is its midnight.
#[cfg(feature = "time")]
mod with_time {
    use super::*;
    use crate::object::Timestamp;
    use time::{Date, OffsetDateTime, UtcDateTime};

    adapters! {
        OffsetDateTime: Timestamp,
            time => Timestamp::new(time.unix_timestamp(), time.nanosecond()),
            held => utc(held).map(Self::from);
        UtcDateTime: Timestamp,
            time => Timestamp::new(time.unix_timestamp(), time.nanosecond()),
            held => utc(held);
        Date: Timestamp,
            date => Timestamp::new(date.midnight().as_utc().unix_timestamp(), 0),
            held => of_midnight(held);
    }

    fn utc(time: Timestamp) -> Option<UtcDateTime> {
        let whole = UtcDateTime::from_unix_timestamp(time.seconds()).ok()?;
        whole.replace_nanosecond(time.nanoseconds()).ok()
    }

    fn of_midnight(time: Timestamp) -> Option<Date> {
        let is_midnight = time.nanoseconds() == 0 && time.seconds() % DAY == 0;
        is_midnight.then(|| utc(time))?.map(UtcDateTime::date)
    }
}

/// As text in lower case with hyphens, and in no other form: equal ids are equal texts.
#[cfg(feature = "uuid")]
mod with_uuid {
    use super::*;
    use std::borrow::Cow;
    use uuid::Uuid;

    adapters! {
        Uuid: String,
            id => Cow::Owned(id.hyphenated().to_string()),
            held => Self::try_parse(&held).ok().filter(|id| id.hyphenated().to_string() == held);
    }
}

/// As text that is in the order of the numbers, so that an index and a filter are too. The text is
/// `p`, the place of the point and the digits; of a negative number `n`, both counted from 9 down,
/// and `~`; of zero `o`. `p5215` is 15, `p51125` is 1.25. The number of zeros after the last digit
/// is not stored: 1.50 is read as 1.5.
#[cfg(feature = "rust_decimal")]
mod with_rust_decimal {
    use super::*;
    use rust_decimal::Decimal;
    use std::borrow::Cow;

    adapters! {
        Decimal: String, number => Cow::Owned(text(&number)), held => of_text(&held);
    }

    /// The place of the point before the first digit.
    const MIDDLE: i64 = 50;

    fn text(number: &Decimal) -> String {
        let number = number.normalize();
        if number.is_zero() {
            return "o".to_owned();
        }
        let digits = number.mantissa().unsigned_abs().to_string();
        let digits = digits.trim_end_matches('0');
        let all = number.mantissa().unsigned_abs().to_string().len();
        let place = MIDDLE + i64::try_from(all).unwrap_or(0) - i64::from(number.scale());
        match number.is_sign_negative() {
            false => format!("p{place:02}{digits}"),
            true => format!("n{}~", complement(&format!("{place:02}{digits}"))),
        }
    }

    /// Counts each digit from 9 down.
    fn complement(digits: &str) -> String {
        digits.bytes().map(|digit| char::from(b'9' - (digit - b'0'))).collect()
    }

    fn of_text(stored: &str) -> Option<Decimal> {
        if stored == "o" {
            return Some(Decimal::ZERO);
        }
        let (digits, is_negative) = match stored.strip_prefix('p') {
            Some(digits) => (digits, false),
            None => (stored.strip_prefix('n')?.strip_suffix('~')?, true),
        };
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits = if is_negative { complement(digits) } else { digits.to_owned() };
        let (place, digits) = digits.split_at_checked(2)?;
        let place = place.parse::<i64>().ok()? - MIDDLE;
        let zeros = usize::try_from(place - i64::try_from(digits.len()).ok()?).unwrap_or(0);
        let scale = (i64::try_from(digits.len()).ok()? - place).max(0);
        let mantissa: i128 = format!("{digits}{}", "0".repeat(zeros)).parse().ok()?;
        let mantissa = if is_negative { -mantissa } else { mantissa };
        let number = Decimal::try_from_i128_with_scale(mantissa, u32::try_from(scale).ok()?);
        // Each number has one text.
        number.ok().filter(|number| text(number) == stored)
    }
}
