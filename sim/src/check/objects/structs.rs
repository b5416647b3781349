//! Structs as objects: written and read as a whole, against the model.
//!
//! - B9 A struct and its stored object hold the same values.
//!
//! Fields are in the order of their names, which is the write order of the model.

use super::bridge::{self, Outcome};
use super::harness::ObjectHarness;
use crate::check::compare::CheckError;
use crate::check::definition::Violation;
use crate::check::promises::B9;
use fastness::object::{self, Timestamp, Transaction, View};
use fastness::schema::Schema;
use fastness::typed::{Counter, Link, Object};
use fastness_models::object_domain::{KEYED, ObjectDomain, ROWS};
use fastness_models::object_values::{ObjectValues, PropertyValue};
use fastness_models::objects::{DatabaseState, Id, Value, ValueType};
use fastness_models::struct_domain::StructSeed;
use fastness_models::{Op, OpKind};

/// A field type that holds one value.
trait Field: Sized {
    /// Converts a model value; none for a value of another type.
    fn of(view: &View<'_>, value: &Value) -> Outcome<Option<Self>>;
}

macro_rules! fields {
    ($($type:ty: $pattern:pat => $value:expr;)*) => {$(
        impl Field for $type {
            fn of(_: &View<'_>, value: &Value) -> Outcome<Option<Self>> {
                Ok(match value {
                    $pattern => Some($value),
                    _ => None,
                })
            }
        }
    )*};
}

fields! {
    i64: Value::Int(value) => *value;
    bool: Value::Bool(value) => *value;
    String: Value::Text(text) => text.clone();
    Vec<u8>: Value::Bytes(bytes) => bytes.clone();
    Timestamp: Value::Time(seconds, nanoseconds) => Timestamp::new(*seconds, *nanoseconds);
    f32: Value::Float(bits) => Self::from_bits(*bits);
    f64: Value::Double(bits) => Self::from_bits(*bits);
    Counter: Value::Int(value) => Self(*value);
}

impl<T: Field> Field for Option<T> {
    fn of(view: &View<'_>, value: &Value) -> Outcome<Option<Self>> {
        match value {
            Value::Null => Ok(Some(None)),
            value => Ok(T::of(view, value)?.map(Some)),
        }
    }
}

impl<T> Field for Link<T> {
    fn of(view: &View<'_>, value: &Value) -> Outcome<Option<Self>> {
        let Value::Link(id) = value else { return Ok(None) };
        Ok(Some(Self::new(bridge::object_id(view, id)?)))
    }
}

/// The source values of a struct.
struct StructSource<'a> {
    view: &'a View<'a>,
    key: &'a Value,
    object_values: &'a ObjectValues,
}

impl StructSource<'_> {
    fn content(&self, name: &str) -> &PropertyValue {
        let found = self.object_values.iter().find(|(held, _)| held == name);
        &found.expect("the check has every property").1
    }

    fn field<T: Field>(&self, value: &Value) -> Outcome<T> {
        let made = T::of(self.view, value)?;
        Ok(made.unwrap_or_else(|| panic!("{value:?} has another type")))
    }

    fn one<T: Field>(&self, name: &str) -> Outcome<T> {
        match self.content(name) {
            PropertyValue::Value(value) => self.field(value),
            PropertyValue::List(_) => panic!("the check has a list for {name}"),
        }
    }

    fn list<T: Field>(&self, name: &str) -> Outcome<Vec<T>> {
        match self.content(name) {
            PropertyValue::List(values) => values.iter().map(|value| self.field(value)).collect(),
            PropertyValue::Value(_) => panic!("the check has no list for {name}"),
        }
    }
}

/// A struct of this file.
trait TestStruct: Object {
    fn make(from: &StructSource<'_>) -> Outcome<Self>;

    /// Returns the back-links from the list `links` of the same class.
    fn fans(&self) -> &[Link<Self>];
}

macro_rules! structs {
    ($($module:ident: $key:ty;)*) => {$(
        mod $module {
            use crate::check::objects::structs::{
                Counter, Link, Object, Outcome, StructSource, TestStruct, Timestamp,
            };

            #[derive(Object)]
            pub(super) struct Keyed {
                #[object(indexed)]
                bool: bool,
                #[object(indexed)]
                bool0: Option<bool>,
                bytes: Vec<u8>,
                bytes0: Option<Vec<u8>>,
                count: Counter,
                double: f64,
                double0: Option<f64>,
                float: f32,
                float0: Option<f32>,
                #[object(primary_key)]
                id: $key,
                #[object(indexed)]
                int: i64,
                #[object(indexed)]
                int0: Option<i64>,
                ints0: Vec<Option<i64>>,
                link: Option<Link<Rows>>,
                links: Vec<Link<Keyed>>,
                #[object(property = "self")]
                own: Option<Link<Keyed>>,
                #[object(indexed)]
                text: String,
                #[object(indexed)]
                text0: Option<String>,
                texts: Vec<String>,
                #[object(indexed)]
                time: Timestamp,
                #[object(indexed)]
                time0: Option<Timestamp>,
                #[object(backlinks = "links")]
                fans: Vec<Link<Keyed>>,
            }

            #[derive(Object)]
            pub(super) struct Rows {
                #[object(indexed)]
                int: Option<i64>,
                link: Option<Link<Keyed>>,
                links: Vec<Link<Rows>>,
                #[object(indexed)]
                text: String,
                #[object(backlinks = "links")]
                fans: Vec<Link<Rows>>,
            }

            impl TestStruct for Keyed {
                fn make(from: &StructSource<'_>) -> Outcome<Self> {
                    Ok(Self {
                        bool: from.one("bool")?,
                        bool0: from.one("bool0")?,
                        bytes: from.one("bytes")?,
                        bytes0: from.one("bytes0")?,
                        count: from.one("count")?,
                        double: from.one("double")?,
                        double0: from.one("double0")?,
                        float: from.one("float")?,
                        float0: from.one("float0")?,
                        id: from.field(from.key)?,
                        int: from.one("int")?,
                        int0: from.one("int0")?,
                        ints0: from.list("ints0")?,
                        link: from.one("link")?,
                        links: from.list("links")?,
                        own: from.one("self")?,
                        text: from.one("text")?,
                        text0: from.one("text0")?,
                        texts: from.list("texts")?,
                        time: from.one("time")?,
                        time0: from.one("time0")?,
                        fans: Vec::new(),
                    })
                }

                fn fans(&self) -> &[Link<Self>] {
                    &self.fans
                }
            }

            impl TestStruct for Rows {
                fn make(from: &StructSource<'_>) -> Outcome<Self> {
                    Ok(Self {
                        int: from.one("int")?,
                        link: from.one("link")?,
                        links: from.list("links")?,
                        text: from.one("text")?,
                        fans: Vec::new(),
                    })
                }

                fn fans(&self) -> &[Link<Self>] {
                    &self.fans
                }
            }
        }
    )*};
}

structs! {
    int: i64;
    int0: Option<i64>;
    text: String;
    text0: Option<String>;
}

/// Functions over the struct of a class.
#[derive(Clone, Copy)]
struct StructOps {
    write: fn(&mut ObjectHarness<'_>, Op) -> Result<(), CheckError>,
    read: fn(&View<'_>, &DatabaseState, &Id) -> Result<(), CheckError>,
}

const fn ops<T: TestStruct>() -> StructOps {
    StructOps { write: write::<T>, read: read::<T> }
}

/// The structs of the classes.
struct Structs {
    keyed: StructOps,
    rows: StructOps,
    schema: fn() -> Outcome<Schema>,
}

macro_rules! structs_of {
    ($module:ident) => {
        Structs {
            keyed: ops::<$module::Keyed>(),
            rows: ops::<$module::Rows>(),
            schema: || Ok(Schema::new([$module::Keyed::class()?, $module::Rows::class()?])?),
        }
    };
}

impl Structs {
    /// Returns the structs; none if the classes no longer match them.
    fn of(domain: &ObjectDomain, state: &DatabaseState) -> Option<Self> {
        let same = domain.state().classes.iter().all(|(name, class)| {
            let held = state.classes.get(name);
            held.is_some_and(|it| (&it.key, &it.properties) == (&class.key, &class.properties))
        });
        same.then(|| match domain.key() {
            (ValueType::Int, false) => structs_of!(int),
            (ValueType::Int, true) => structs_of!(int0),
            (_, false) => structs_of!(text),
            (_, true) => structs_of!(text0),
        })
    }

    fn ops(&self, class: &str) -> Option<StructOps> {
        match class {
            KEYED => Some(self.keyed),
            ROWS => Some(self.rows),
            _ => None,
        }
    }
}

/// Returns the schema of the structs, if the file has exactly these classes.
pub(super) fn schema(domain: &ObjectDomain, state: &DatabaseState) -> Option<Outcome<Schema>> {
    let structs = Structs::of(domain, state)?;
    (domain.is_indexed() && state.classes.len() == 2).then(structs.schema)
}

impl ObjectHarness<'_> {
    /// Creates, upserts or updates an object as a struct; returns whether a struct exists for the
    /// class.
    pub(super) fn write_struct(&mut self, op: Op) -> Result<bool, CheckError> {
        let class = self.domain.class(op.a, self.seen());
        let structs = Structs::of(&self.domain, self.seen());
        let ops = structs.and_then(|structs| structs.ops(&class));
        ops.map_or(Ok(false), |ops| (ops.write)(self, op).map(|()| true))
    }

    /// Reads an object as a struct.
    pub(super) fn look_at_struct(
        &self,
        (view, state): (&View<'_>, &DatabaseState),
        id: &Id,
    ) -> Result<(), CheckError> {
        let structs = Structs::of(&self.domain, state);
        let ops = structs.and_then(|structs| structs.ops(&id.0));
        ops.map_or(Ok(()), |ops| (ops.read)(view, state, id))
    }
}

/// Writes a struct: a selects the class, b the object, c the values.
fn write<T: TestStruct>(harness: &mut ObjectHarness<'_>, op: Op) -> Result<(), CheckError> {
    let (class, domain, state) = (T::CLASS, harness.domain, harness.seen());
    let id = (class.to_owned(), domain.pick(class, op.b, state));
    let held = if op.kind == OpKind::Update { state.object_values(&id) } else { None };
    let seed = StructSeed { current: held.as_deref(), operands: [op.b, op.c] };
    let values = domain.struct_values(class, seed, state);
    let key = match domain.struct_key(class, op.b, state) {
        // Sometimes with a key that differs from the object's.
        Some(_) if op.kind == OpKind::Update && !op.c.is_multiple_of(16) => Some(id.1.value()),
        key => key,
    };
    let to = StructValues { key: key.as_ref().unwrap_or(&Value::Null), values: &values };
    let (txn, state) = harness.write()?;
    let (found, expected) = match op.kind {
        OpKind::Update => {
            let update = StructUpdate { id: &id, current: held.as_deref(), to };
            let found = self::update::<T>(txn, &update)?;
            let expected = state.update_values(&id, key.as_ref(), &values);
            (found.map(|()| (id.clone(), false)), expected.map(|()| (id.clone(), false)))
        }
        OpKind::Upsert => {
            let found = make::<T>(&txn.view(), to)?.upsert(txn);
            let found = found.and_then(|(link, new)| Ok((bridge::id(&txn.view(), &link)?, new)));
            (found, state.upsert_with_values(class, to.key, to.values))
        }
        _ => {
            let found = make::<T>(&txn.view(), to)?.create(txn);
            let found = found.and_then(|link| Ok((bridge::id(&txn.view(), &link)?, true)));
            (found, state.create_with_values(class, key.as_ref(), &values).map(|id| (id, true)))
        }
    };
    let done = harness.same(&(op.kind, class, &key, &values), found, expected)?;
    harness.probe.mark(match (op.kind, done.map(|(_, created)| created)) {
        (_, None) => "struct refused",
        (OpKind::Update, _) => "struct updated an object",
        (OpKind::Upsert, Some(false)) => "struct overwrote an object",
        _ => "struct created an object",
    });
    Ok(())
}

/// The primary key and the other values of a struct.
#[derive(Clone, Copy)]
struct StructValues<'a> {
    key: &'a Value,
    values: &'a ObjectValues,
}

/// An update of an object as a struct.
struct StructUpdate<'a> {
    id: &'a Id,
    /// The values of the object in the model, if it exists.
    current: Option<&'a ObjectValues>,
    to: StructValues<'a>,
}

fn make<T: TestStruct>(view: &View<'_>, from: StructValues<'_>) -> Outcome<T> {
    T::make(&StructSource { view, key: from.key, object_values: from.values })
}

/// Updates an object as a struct, which must first hold the model's values.
fn update<T: TestStruct>(
    txn: &mut Transaction,
    update: &StructUpdate<'_>,
) -> Result<Outcome<()>, CheckError> {
    let StructUpdate { id, current, to } = *update;
    let link = Link::<T>::new(bridge::object_id(&txn.view(), id)?);
    // A missing object has no key to build a struct with.
    let made = current.map(|_| make::<T>(&txn.view(), to)).transpose()?;
    let mut before = None;
    let outcome = link.update(txn, |object| {
        before = made.map(|made| std::mem::replace(object, made));
    });
    if let (Some(before), Some(current)) = (before, current) {
        same(&txn.view(), &before, current)?;
    }
    Ok(outcome)
}

/// Reads an object as a struct, and compares it with the model.
fn read<T: TestStruct>(view: &View<'_>, state: &DatabaseState, id: &Id) -> Result<(), CheckError> {
    let found = Link::<T>::new(bridge::object_id(view, id)?).get(*view)?;
    let (found, expected) = match (found, state.object_values(id)) {
        (Some(found), Some(expected)) => (found, expected),
        (None, None) => return Ok(()),
        (found, _) => {
            let text = format!("{id:?} as a struct: {}", found.is_some());
            return Err(Violation::new(B9.id, text).into());
        }
    };
    same(view, &found, &expected)?;
    let fans = found.fans().iter().map(|link| bridge::id(view, link));
    let (fans, expected) =
        (fans.collect::<Outcome<Vec<Id>>>()?, state.backlinks(id, &id.0, "links"));
    if Ok(&fans) != expected.as_ref() {
        let text = format!("{id:?} has the computed links {fans:?}, expected {expected:?}");
        return Err(Violation::new(B9.id, text).into());
    }
    Ok(())
}

/// Compares the values of a struct.
fn same<T: TestStruct>(
    view: &View<'_>,
    found: &T,
    expected: &ObjectValues,
) -> Result<(), CheckError> {
    let mut object_values = Vec::new();
    for (name, content) in found.properties() {
        let content = match content {
            object::PropertyValue::Value(value) => {
                PropertyValue::Value(bridge::value(view, &value)?)
            }
            object::PropertyValue::List(values) => {
                let values = values.iter().map(|value| bridge::value(view, value));
                PropertyValue::List(values.collect::<Outcome<_>>()?)
            }
        };
        object_values.push((name.to_owned(), content));
    }
    if object_values != expected {
        let text = format!("a struct is {object_values:?}, expected {expected:?}");
        return Err(Violation::new(B9.id, text).into());
    }
    Ok(())
}
