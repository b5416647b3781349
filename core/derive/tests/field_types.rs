//! Property tests of the types of fields: what a field holds is read back equal, and found by a
//! filter for it; a stored value that the type does not have is an error that names it (B17).

#![expect(clippy::unwrap_used, reason = "a test panics when what it needs is not there")]

use chrono::{DateTime, NaiveDate, Utc};
use fastness::object::{Database, DatabaseOptions, Filter, Timestamp, Value};
use fastness::schema::Schema;
use fastness::typed::{Object, ScalarType};
use fastness::{Error, ObjectError, StoreOptions};
use proptest::prelude::{ProptestConfig, Strategy, any, prop_assert, prop_assert_eq, proptest};
use rust_decimal::Decimal;
use std::borrow::Cow;
use std::fmt::Debug;
use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use time::{Date, OffsetDateTime};
use uuid::Uuid;

#[derive(ScalarType, Clone, Copy, Debug, PartialEq)]
enum Mood {
    Calm,
    #[object(name = "wild one")]
    Wild,
}

#[derive(ScalarType, Clone, Copy, Debug, PartialEq)]
enum Size {
    #[object(number = -1)]
    Small,
    #[object(number = 9)]
    Large,
}

#[derive(ScalarType, Clone, Debug, PartialEq)]
struct Name(String);

#[derive(ScalarType, Clone, Copy, Debug, PartialEq)]
struct Byte(u8);

/// A pair of numbers as text; an app's own type.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pair(u8, u8);

mod pair_text {
    use super::Pair;

    pub(crate) type Stored = Option<String>;

    pub(crate) fn to_stored(pair: &Pair) -> Stored {
        (*pair != Pair(0, 0)).then(|| format!("{}:{}", pair.0, pair.1))
    }

    pub(crate) fn from_stored(text: Stored) -> Option<Pair> {
        let Some(text) = text else { return Some(Pair(0, 0)) };
        let (one, two) = text.split_once(':')?;
        Some(Pair(one.parse().ok()?, two.parse().ok()?))
    }
}

/// A field of each type that is not one of the store.
#[derive(Object, Clone, Debug, PartialEq)]
struct Thing {
    #[object(primary_key)]
    id: u64,
    #[object(indexed)]
    tiny: i8,
    size: usize,
    wide: i128,
    some: Option<NonZero<u8>>,
    byte: u8,
    maybe_byte: Option<u8>,
    time: SystemTime,
    #[object(indexed)]
    span: Duration,
    boxed: Box<u32>,
    shared: Arc<str>,
    cow: Cow<'static, [u8]>,
    #[object(indexed)]
    mood: Option<Mood>,
    large: Size,
    #[object(indexed)]
    name: Name,
    #[object(with = "pair_text")]
    pair: Pair,
    bytes: Vec<Byte>,
    moods: Vec<Option<Mood>>,
    numbers: Vec<u16>,
    #[object(indexed)]
    uuid: Uuid,
    price: Decimal,
    at: Option<DateTime<Utc>>,
    day: NaiveDate,
    moment: OffsetDateTime,
    date: Date,
}

/// The same class, as it is.
#[derive(Object, Debug)]
#[object(class = "Plain")]
struct Plain {
    #[object(primary_key)]
    id: i64,
    int: i64,
    text: String,
    time: Timestamp,
}

fn database(class: fastness::schema::Class) -> Database {
    let options = DatabaseOptions::schema(Schema::new([class]).unwrap(), 0);
    Database::in_memory(&StoreOptions::new(), &options).unwrap()
}

/// Numbers around each boundary, and any others.
fn number() -> impl Strategy<Value = i128> {
    (any::<i128>(), 0_u32..200, -2_i128..3).prop_map(|(any, shift, near)| match shift {
        0..128 => any >> shift,
        128..160 => (1 << 63) + near,
        160..192 => (1_i128 << (shift - 160)) + near,
        _ => -(1 << 63) + near,
    })
}

fn thing() -> impl Strategy<Value = Thing> {
    let numbers = (number(), number(), any::<[u8; 8]>(), any::<[u32; 3]>(), any::<u128>());
    numbers.prop_map(|(wide, other, bytes, words, uuid)| {
        let fits = |number: i128| u64::try_from(number).unwrap_or(0);
        let moods = [None, Some(Mood::Calm), Some(Mood::Wild)];
        let seconds = i64::from(words[0]) - i64::from(words[1]);
        let time = Timestamp::new(seconds, words[2] % 1_000_000_000);
        let at = DateTime::from_timestamp(seconds, time.nanoseconds()).unwrap();
        let moment = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
        Thing {
            id: fits(other),
            tiny: wide.try_into().unwrap_or(7),
            size: usize::try_from(wide).unwrap_or(7),
            wide,
            some: NonZero::new(bytes[0] % 3),
            byte: bytes[1],
            maybe_byte: (bytes[2] > 99).then_some(bytes[2]),
            time: time.try_into().unwrap(),
            span: Duration::new(fits(other) >> 20, time.nanoseconds()),
            boxed: words[0].into(),
            shared: format!("{wide}").into(),
            cow: bytes.to_vec().into(),
            mood: moods[usize::from(bytes[3] % 3)],
            large: if bytes[4] > 99 { Size::Large } else { Size::Small },
            name: Name(format!("{other}")),
            pair: Pair(bytes[5] % 2, bytes[6] % 2),
            bytes: bytes.map(Byte).to_vec(),
            moods: bytes.iter().map(|byte| moods[usize::from(byte % 3)]).collect(),
            numbers: bytes.iter().map(|byte| u16::from(*byte) * 257).collect(),
            uuid: Uuid::from_u128(uuid),
            price: decimal(wide, bytes[7]),
            at: (bytes[0] > 99).then_some(at),
            day: at.date_naive(),
            moment: moment.to_offset(time::UtcOffset::from_hms(2, 0, 0).unwrap()),
            date: moment.date(),
        }
    })
}

fn decimal(number: i128, scale: u8) -> Decimal {
    Decimal::from_i128_with_scale(number % (1 << 96), u32::from(scale % 29))
}

/// Tells whether a property holds all numbers of a thing.
fn fits(thing: &Thing) -> bool {
    let numbers = [thing.id.into(), thing.wide, thing.span.as_nanos().try_into().unwrap()];
    numbers.iter().all(|number| i64::try_from(*number).is_ok()) && i64::try_from(thing.size).is_ok()
}

#[track_caller]
fn reads<T: Object + Debug, V: PartialEq + Debug>(
    database: &Database,
    take: fn(T) -> V,
    expected: Option<V>,
    held: &str,
) {
    let snapshot = database.snapshot().unwrap();
    let found = T::objects(&snapshot).unwrap().get(1).map(|found| found.unwrap().into_inner());
    match (found, expected) {
        (Ok(found), expected) => assert_eq!(Some(take(found)), expected, "B17: {held}"),
        (Err(error), None) => {
            let Error::Object(ObjectError::ValueUnknown { value, field, .. }) = &error else {
                panic!("B17: {error}");
            };
            assert_eq!(value, held, "B17");
            assert!(std::any::type_name::<V>() == field, "B17: {field}");
        }
        (Err(error), Some(expected)) => panic!("B17: {expected:?}: {error}"),
    }
}

/// Reads the property `$property` as a `$type`.
macro_rules! read_as {
    ($database:expr, $property:ident: $type:ty, $expected:expr, $held:expr) => {{
        #[derive(Object, Debug)]
        #[object(class = "Plain")]
        struct Other {
            #[object(primary_key)]
            id: i64,
            $property: $type,
        }
        reads::<Other, $type>(
            $database,
            |other| {
                assert_eq!(other.id, 1);
                other.$property
            },
            $expected,
            $held,
        );
    }};
}

/// Reads a number as each integer; what it should be is that of `TryFrom`.
macro_rules! read_as_integers {
    ($database:expr, $number:expr, $($type:ty),*) => {$(
        let held = $number.to_string();
        read_as!($database, int: $type, <$type>::try_from($number).ok(), &held);
        let nonzero = <$type>::try_from($number).ok().and_then(NonZero::<$type>::new);
        read_as!($database, int: NonZero<$type>, nonzero, &held);
    )*};
}

fn hold(int: i64, text: &str, time: Timestamp) -> Database {
    let database = database(Plain::class().unwrap());
    let held = Plain { id: 1, int, text: text.to_owned(), time };
    database.transact(|txn| held.create(txn)).unwrap();
    database
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A refused number leaves nothing behind.
    #[test]
    fn each_field_is_read_back_equal_and_found_by_a_filter(thing in thing()) {
        let database = database(Thing::class().unwrap());
        let created = database.transact(|txn| thing.create(txn));
        let snapshot = database.snapshot().unwrap();
        let things = Thing::objects(&snapshot).unwrap();
        if !fits(&thing) {
            let error = created.map(drop).unwrap_err();
            prop_assert!(matches!(error, Error::Object(ObjectError::Type { .. })), "{error}");
            prop_assert!(things.is_empty(), "B3");
            return Ok(());
        }
        created.unwrap();
        let found = things.get(thing.id).unwrap().unwrap().into_inner();
        // Zeros after the last digit are not stored.
        prop_assert_eq!(&found, &thing, "B17");
        let all: [Filter; 17] = [
            Filter::eq("tiny", thing.tiny), Filter::eq("size", thing.size),
            Filter::ge("wide", thing.wide), Filter::eq("some", thing.some),
            Filter::le("byte", thing.byte), Filter::eq("maybe_byte", thing.maybe_byte),
            Filter::eq("time", thing.time), Filter::eq("span", thing.span),
            Filter::eq("shared", thing.shared.clone()), Filter::eq("cow", thing.cow.clone()),
            Filter::eq("mood", thing.mood), Filter::eq("large", thing.large),
            Filter::eq("name", &thing.name), Filter::eq("uuid", thing.uuid),
            Filter::eq("price", thing.price), Filter::eq("day", thing.day),
            Filter::eq("moment", thing.moment),
        ];
        for filter in all {
            let text = format!("{filter:?}");
            prop_assert_eq!(things.filter(filter).count().unwrap(), 1, "B17: {}", text);
        }
    }

    #[test]
    fn a_number_beyond_the_type_of_a_field_is_an_error_that_names_it(number in number()) {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        let database = hold(number, "", Timestamp::default());
        read_as_integers!(&database, number, i8, i16, i32, i64, i128, isize);
        read_as_integers!(&database, number, u8, u16, u32, u64, u128, usize);
        let span = u64::try_from(number).ok().map(Duration::from_nanos);
        read_as!(&database, int: Duration, span, &number.to_string());
        let size = match number { -1 => Some(Size::Small), 9 => Some(Size::Large), _ => None };
        read_as!(&database, int: Size, size, &number.to_string());
    }

    #[test]
    fn a_text_that_a_type_does_not_have_is_an_error(text in "(wild one|Calm|[a-z]?)") {
        let database = hold(0, &text, Timestamp::default());
        let mood = [("Calm", Mood::Calm), ("wild one", Mood::Wild)];
        let mood = mood.into_iter().find_map(|(name, mood)| (name == text).then_some(mood));
        read_as!(&database, text: Mood, mood, &format!("{text:?}"));
        read_as!(&database, text: Uuid, None, &format!("{text:?}"));
    }

    /// A value has one text: otherwise a filter for it would not find it.
    #[test]
    fn an_id_and_a_decimal_have_one_text_each(id in any::<u128>(), digits in "(p|n)[0-9]{2,8}~?") {
        let id = Uuid::from_u128(id);
        for text in [id.simple().to_string(), id.braced().to_string(), format!("{id:X}")] {
            let held = Value::from(text.clone());
            let is_same = text == id.to_string();
            prop_assert_eq!(<Uuid as ScalarType>::of_value(held), is_same.then_some(id));
        }
        if let Some(number) = <Decimal as ScalarType>::of_value(digits.as_str().into()) {
            prop_assert_eq!(Value::from(number), Value::from(digits.as_str()));
        }
    }

    #[test]
    fn a_time_of_no_date_is_an_error(days in -99_999_i64..99_999, second in 0_i64..3) {
        let time = Timestamp::new(days * 86_400 + second, 0);
        let database = hold(0, "", time);
        let day = DateTime::from_timestamp(time.seconds(), 0).unwrap().date_naive();
        read_as!(&database, time: NaiveDate, (second == 0).then_some(day), &time.to_string());
        let date = OffsetDateTime::from_unix_timestamp(time.seconds()).unwrap().date();
        read_as!(&database, time: Date, (second == 0).then_some(date), &time.to_string());
    }

    #[test]
    fn decimals_are_stored_in_their_order(
        one in (number(), 0_u8..29), two in (number(), 0_u8..29), near in -1_i64..2
    ) {
        let one = decimal(one.0, one.1);
        for two in [decimal(two.0, two.1), one + Decimal::from(near) / Decimal::from(3)] {
            let (Value::String(first), Value::String(second)) = (one.into(), two.into()) else {
                panic!("a decimal is a text");
            };
            prop_assert_eq!(first.cmp(&second), one.cmp(&two), "{}: {}", first, second);
        }
    }
}

#[test]
fn times_that_a_type_does_not_reach_are_errors() {
    let time = Timestamp::new(i64::MAX, 0);
    let database = hold(0, "", time);
    read_as!(&database, time: DateTime<Utc>, None, &time.to_string());
    read_as!(&database, time: OffsetDateTime, None, &time.to_string());
}
