//! The values of operands in plans about objects: two classes, few objects, values that are easily
//! confused.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names the types it is about and treats all others alike"
)]

use crate::object_schema::SchemaChange;
use crate::objects::{Class, DatabaseState, Key, Property, Value, ValueType};
use std::collections::BTreeMap;

/// The class with a primary key.
pub const KEYED: &str = "Keyed";
/// The class without a primary key.
pub const ROWS: &str = "Rows";

/// Numbers that are easily confused with each other, or with null.
const INTS: [i64; 8] = [0, 1, -1, 2, 255, i64::MIN, i64::MAX, 3];
const TIMES: [(i64, u32); 6] =
    [(0, 0), (0, 1), (-1, 999_999_999), (1, 0), (i64::MIN, 0), (i64::MAX, 999_999_999)];
const FLOATS: [f32; 8] = [0.0, -0.0, 1.0, -1.5, f32::NAN, f32::INFINITY, f32::MIN, 2.5];
const TEXTS: [&str; 19] = [
    "",
    "a",
    "A",
    "ab",
    "\0",
    "a\0",
    "\u{e9}",
    "\u{c9}",
    "b",
    "null",
    "0",
    "\u{7f}",
    "ba",
    "aB",
    "\u{10ffff}",
    "\0\u{1}",
    "\u{3a3}",
    "b\u{3a3}",
    "B\u{3a3}a",
];

/// The operands of one plan.
#[derive(Clone, Copy, Debug)]
pub struct ObjectDomain {
    salt: u32,
}

fn property(kind: ValueType, nullable: bool, indexed: bool) -> Property {
    Property { kind, nullable, indexed }
}

impl ObjectDomain {
    /// Creates the domain of a salt.
    #[must_use]
    pub const fn new(salt: u32) -> Self {
        Self { salt }
    }

    pub(crate) const fn salt(&self) -> u32 {
        self.salt
    }

    /// Returns the type of the primary key, and whether it is nullable.
    #[must_use]
    pub const fn key(&self) -> (ValueType, bool) {
        let kind = if self.salt & 1 == 0 { ValueType::Int } else { ValueType::Text };
        (kind, self.salt & 2 == 0)
    }

    /// Returns whether indexable properties have an index.
    #[must_use]
    pub const fn is_indexed(&self) -> bool {
        self.salt & 4 == 0
    }

    /// Returns whether the file is synced, so that its schema is additive.
    #[must_use]
    pub const fn is_synced(&self) -> bool {
        self.salt & 0x18 == 0x18
    }

    /// Returns the classes, without objects.
    #[must_use]
    pub fn state(&self) -> DatabaseState {
        let (key, key_nullable) = self.key();
        let indexed = self.is_indexed();
        let mut properties = BTreeMap::new();
        let mut put = |name: &str, property| properties.insert(name.to_owned(), property);
        put("id", property(key, key_nullable, true));
        for (name, kind, may) in [
            ("int", ValueType::Int, true),
            ("bool", ValueType::Bool, true),
            ("text", ValueType::Text, true),
            ("time", ValueType::Time, true),
            ("bytes", ValueType::Bytes, false),
            ("float", ValueType::Float, false),
            ("double", ValueType::Double, false),
        ] {
            put(name, property(kind.clone(), false, indexed && may));
            put(&format!("{name}0"), property(kind, true, indexed && may));
        }
        put("count", property(ValueType::Counter, false, false));
        put("link", property(ValueType::Link(ROWS.into()), true, false));
        put("self", property(ValueType::Link(KEYED.into()), true, false));
        put("links", property(ValueType::Links(KEYED.into()), false, false));
        put("texts", property(ValueType::List(Box::new(ValueType::Text)), false, false));
        put("ints0", property(ValueType::List(Box::new(ValueType::Int)), true, false));
        let keyed = Class { key: Some("id".into()), properties, ..Class::default() };
        let rows = [
            ("int", property(ValueType::Int, true, indexed)),
            ("text", property(ValueType::Text, false, indexed)),
            ("link", property(ValueType::Link(KEYED.into()), true, false)),
            ("links", property(ValueType::Links(ROWS.into()), false, false)),
        ];
        let properties = rows.into_iter().map(|(name, stored)| (name.to_owned(), stored)).collect();
        let rows = Class { properties, ..Class::default() };
        let classes = [(KEYED.to_owned(), keyed), (ROWS.to_owned(), rows)].into();
        DatabaseState { classes, version: Some(1), numbers: 0 }
    }

    /// Returns a value of a type, sometimes null.
    #[must_use]
    pub fn value(&self, kind: &ValueType, operand: u8, state: &DatabaseState) -> Value {
        let at = usize::from(operand);
        let double = f64::from(FLOATS[at % FLOATS.len()]);
        match kind.element() {
            _ if operand % 11 == 10 => Value::Null,
            ValueType::Int | ValueType::Counter => Value::Int(INTS[at % INTS.len()]),
            ValueType::Bool => Value::Bool(operand.is_multiple_of(2)),
            ValueType::Text => Value::Text(text(operand)),
            ValueType::Bytes => Value::Bytes(text(operand).into_bytes()),
            ValueType::Time => {
                let (seconds, nanoseconds) = TIMES[at % TIMES.len()];
                Value::Time(seconds, nanoseconds)
            }
            ValueType::Float => Value::Float(FLOATS[at % FLOATS.len()].to_bits()),
            ValueType::Double => Value::Double(double.to_bits()),
            ValueType::Link(class) => {
                Value::Link((class.clone(), self.pick(&class, operand, state)))
            }
            ValueType::Links(_) | ValueType::List(_) => Value::Null,
        }
    }

    /// Returns the class name of an operand.
    #[must_use]
    pub fn class(&self, operand: u8, state: &DatabaseState) -> String {
        let at = usize::from(operand) % state.classes.len().max(1);
        state.classes.keys().nth(at).cloned().unwrap_or_else(|| KEYED.to_owned())
    }

    /// Returns the primary key of an operand.
    #[must_use]
    pub fn key_value(&self, class: &str, operand: u8, state: &DatabaseState) -> Value {
        let key = state.classes.get(class).and_then(|stored| {
            let key = stored.key.as_ref()?;
            stored.properties.get(key).map(|property| property.kind.clone())
        });
        match key.unwrap_or(ValueType::Int) {
            // Short keys, so that few objects collide often; sometimes one that is too long.
            ValueType::Text if operand == 255 => Value::Text("k".repeat(501)),
            ValueType::Text if operand == 254 => Value::Text("k".repeat(500)),
            kind => self.value(&kind, operand % 12, state),
        }
    }

    /// Returns the schema change of three operands.
    #[must_use]
    pub fn change_schema(&self, [a, b, c]: [u8; 3], state: &DatabaseState) -> SchemaChange {
        let class = self.class(a, state);
        let name = self.property(&class, a / 8, state);
        let new_object = || format!("p{}", c % 6);
        match b % 16 {
            0..3 => {
                SchemaChange::AddProperty(class, new_object(), self.new_property(b / 16, c, state))
            }
            3 => SchemaChange::AddKey(class, new_object(), self.new_property(b / 16 % 3, c, state)),
            4..6 => SchemaChange::RemoveProperty(class, name),
            6 => SchemaChange::RenameProperty(class, name, new_object()),
            7 if b < 128 => SchemaChange::SetNullable(class, name, c.is_multiple_of(2)),
            7 | 8 => {
                // A null key that can become zero is rare, so search for one.
                let class = null_key(state).unwrap_or(class);
                let key = state.classes.get(&class).and_then(|stored| stored.key.clone());
                SchemaChange::SetNullable(class, key.unwrap_or(name), c.is_multiple_of(8))
            }
            9 => SchemaChange::SetKey(class, None),
            10..12 => SchemaChange::SetKey(class, Some(name)),
            12 => SchemaChange::SetIndexed(class, name, c.is_multiple_of(2)),
            13 => SchemaChange::AddClass(format!("C{}", c % 3)),
            14 => SchemaChange::RenameClass(class, format!("C{}", c % 3)),
            // At least one class remains.
            _ if state.classes.len() > 1 => SchemaChange::RemoveClass(class),
            _ => SchemaChange::SetKey(class, None),
        }
    }

    fn new_property(&self, what: u8, c: u8, state: &DatabaseState) -> Property {
        let to = self.class(c / 8, state);
        let kinds = [
            ValueType::Int,
            ValueType::Text,
            ValueType::Time,
            ValueType::Double,
            ValueType::Counter,
            ValueType::Link(to.clone()),
            ValueType::Links(to),
            ValueType::List(Box::new(ValueType::Bytes)),
        ];
        let kind = kinds[usize::from(what) % kinds.len()].clone();
        let nullable = match kind {
            ValueType::Link(_) => true,
            ValueType::Links(_) | ValueType::Counter => false,
            _ => c.is_multiple_of(2),
        };
        let indexed = c.is_multiple_of(3) && kind.may_be_indexed();
        Property { kind, nullable, indexed }
    }

    /// Returns the key of an object that may exist.
    #[must_use]
    pub fn pick(&self, class: &str, operand: u8, state: &DatabaseState) -> Key {
        let stored = state.classes.get(class);
        let keys: Vec<&Key> = stored.into_iter().flat_map(|stored| stored.objects.keys()).collect();
        // Sometimes a missing object.
        let there = (operand % 16 != 15).then(|| usize::from(operand) % keys.len().max(1));
        match there.and_then(|at| keys.get(at)) {
            Some(key) => (*key).clone(),
            None if stored.is_some_and(|stored| stored.key.is_none()) => Key::Row(u64::MAX),
            None => match self.key_value(class, operand, state) {
                Value::Int(value) => Key::Int(value),
                Value::Text(text) => Key::Text(text),
                _ => Key::Null,
            },
        }
    }

    /// Returns the property name of an operand, sometimes an unknown one.
    #[must_use]
    pub fn property(&self, class: &str, operand: u8, state: &DatabaseState) -> String {
        let Some(stored) = state.classes.get(class) else { return "id".to_owned() };
        let at = usize::from(operand) % stored.properties.len().max(1);
        let name = stored.properties.keys().nth(at).filter(|_| operand < 250);
        name.cloned().unwrap_or_else(|| "none".to_owned())
    }
}

/// Returns a class that has an object with a null key, if any.
fn null_key(state: &DatabaseState) -> Option<String> {
    let mut classes = state.classes.iter();
    let (name, _) = classes.find(|(_, class)| class.objects.contains_key(&Key::Null))?;
    Some(name.clone())
}

/// Texts: mostly short; some exceed the prefix in an index, or the inline size of a record.
fn text(operand: u8) -> String {
    match operand {
        0..200 => TEXTS[usize::from(operand) % TEXTS.len()].to_owned(),
        200..220 => format!("{}{}", "x".repeat(199), "y".repeat(usize::from(operand) - 200)),
        220..240 => "\u{e9}".repeat(usize::from(operand) * 3),
        240..250 => "z".repeat(1015 + usize::from(operand) - 235),
        _ => "long".repeat(usize::from(operand) * 6),
    }
}
