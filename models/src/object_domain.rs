//! The values of operands in plans about objects: two classes, few objects, values that are easily
//! confused.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names the types it is about and treats all others alike"
)]

use crate::object_schema::Alter;
use crate::objects::{Class, Key, Kind, Property, State, Value};
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

fn property(kind: Kind, nullable: bool, indexed: bool) -> Property {
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
    pub const fn key(&self) -> (Kind, bool) {
        let kind = if self.salt & 1 == 0 { Kind::Int } else { Kind::Text };
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
    pub fn state(&self) -> State {
        let (key, key_nullable) = self.key();
        let indexed = self.is_indexed();
        let mut properties = BTreeMap::new();
        let mut put = |name: &str, property| properties.insert(name.to_owned(), property);
        put("id", property(key, key_nullable, true));
        for (name, kind, may) in [
            ("int", Kind::Int, true),
            ("bool", Kind::Bool, true),
            ("text", Kind::Text, true),
            ("time", Kind::Time, true),
            ("bytes", Kind::Bytes, false),
            ("float", Kind::Float, false),
            ("double", Kind::Double, false),
        ] {
            put(name, property(kind.clone(), false, indexed && may));
            put(&format!("{name}0"), property(kind, true, indexed && may));
        }
        put("count", property(Kind::Counter, false, false));
        put("link", property(Kind::Link(ROWS.into()), true, false));
        put("self", property(Kind::Link(KEYED.into()), true, false));
        put("links", property(Kind::Links(KEYED.into()), false, false));
        put("texts", property(Kind::List(Box::new(Kind::Text)), false, false));
        put("ints0", property(Kind::List(Box::new(Kind::Int)), true, false));
        let keyed = Class { key: Some("id".into()), properties, ..Class::default() };
        let rows = [
            ("int", property(Kind::Int, true, indexed)),
            ("text", property(Kind::Text, false, indexed)),
            ("link", property(Kind::Link(KEYED.into()), true, false)),
            ("links", property(Kind::Links(ROWS.into()), false, false)),
        ];
        let properties = rows.into_iter().map(|(name, held)| (name.to_owned(), held)).collect();
        let rows = Class { properties, ..Class::default() };
        let classes = [(KEYED.to_owned(), keyed), (ROWS.to_owned(), rows)].into();
        State { classes, version: Some(1), numbers: 0 }
    }

    /// Returns a value of a type, sometimes null.
    #[must_use]
    pub fn value(&self, kind: &Kind, operand: u8, state: &State) -> Value {
        let at = usize::from(operand);
        let double = f64::from(FLOATS[at % FLOATS.len()]);
        match kind.element() {
            _ if operand % 11 == 10 => Value::Null,
            Kind::Int | Kind::Counter => Value::Int(INTS[at % INTS.len()]),
            Kind::Bool => Value::Bool(operand.is_multiple_of(2)),
            Kind::Text => Value::Text(text(operand)),
            Kind::Bytes => Value::Bytes(text(operand).into_bytes()),
            Kind::Time => {
                let (seconds, nanoseconds) = TIMES[at % TIMES.len()];
                Value::Time(seconds, nanoseconds)
            }
            Kind::Float => Value::Float(FLOATS[at % FLOATS.len()].to_bits()),
            Kind::Double => Value::Double(double.to_bits()),
            Kind::Link(class) => Value::Link((class.clone(), self.pick(&class, operand, state))),
            Kind::Links(_) | Kind::List(_) => Value::Null,
        }
    }

    /// Returns the class name of an operand.
    #[must_use]
    pub fn class(&self, operand: u8, state: &State) -> String {
        let at = usize::from(operand) % state.classes.len().max(1);
        state.classes.keys().nth(at).cloned().unwrap_or_else(|| KEYED.to_owned())
    }

    /// Returns the primary key of an operand.
    #[must_use]
    pub fn key_value(&self, class: &str, operand: u8, state: &State) -> Value {
        let key = state.classes.get(class).and_then(|held| {
            let key = held.key.as_ref()?;
            held.properties.get(key).map(|property| property.kind.clone())
        });
        match key.unwrap_or(Kind::Int) {
            // Short keys, so that few objects collide often; sometimes one that is too long.
            Kind::Text if operand == 255 => Value::Text("k".repeat(501)),
            Kind::Text if operand == 254 => Value::Text("k".repeat(500)),
            kind => self.value(&kind, operand % 12, state),
        }
    }

    /// Returns the schema change of three operands.
    #[must_use]
    pub fn alter(&self, [a, b, c]: [u8; 3], state: &State) -> Alter {
        let class = self.class(a, state);
        let name = self.property(&class, a / 8, state);
        let fresh = || format!("p{}", c % 6);
        match b % 16 {
            0..3 => Alter::AddProperty(class, fresh(), self.new_property(b / 16, c, state)),
            3 => Alter::AddKey(class, fresh(), self.new_property(b / 16 % 3, c, state)),
            4..6 => Alter::RemoveProperty(class, name),
            6 => Alter::RenameProperty(class, name, fresh()),
            7 if b < 128 => Alter::SetNullable(class, name, c.is_multiple_of(2)),
            7 | 8 => {
                // A null key that can become zero is rare, so search for one.
                let class = null_key(state).unwrap_or(class);
                let key = state.classes.get(&class).and_then(|held| held.key.clone());
                Alter::SetNullable(class, key.unwrap_or(name), c.is_multiple_of(8))
            }
            9 => Alter::SetKey(class, None),
            10..12 => Alter::SetKey(class, Some(name)),
            12 => Alter::SetIndexed(class, name, c.is_multiple_of(2)),
            13 => Alter::AddClass(format!("C{}", c % 3)),
            14 => Alter::RenameClass(class, format!("C{}", c % 3)),
            // At least one class remains.
            _ if state.classes.len() > 1 => Alter::RemoveClass(class),
            _ => Alter::SetKey(class, None),
        }
    }

    fn new_property(&self, what: u8, c: u8, state: &State) -> Property {
        let to = self.class(c / 8, state);
        let kinds = [
            Kind::Int,
            Kind::Text,
            Kind::Time,
            Kind::Double,
            Kind::Counter,
            Kind::Link(to.clone()),
            Kind::Links(to),
            Kind::List(Box::new(Kind::Bytes)),
        ];
        let kind = kinds[usize::from(what) % kinds.len()].clone();
        let nullable = match kind {
            Kind::Link(_) => true,
            Kind::Links(_) | Kind::Counter => false,
            _ => c.is_multiple_of(2),
        };
        let indexed = c.is_multiple_of(3) && kind.may_be_indexed();
        Property { kind, nullable, indexed }
    }

    /// Returns the key of an object that may exist.
    #[must_use]
    pub fn pick(&self, class: &str, operand: u8, state: &State) -> Key {
        let held = state.classes.get(class);
        let keys: Vec<&Key> = held.into_iter().flat_map(|held| held.objects.keys()).collect();
        // Sometimes a missing object.
        let there = (operand % 16 != 15).then(|| usize::from(operand) % keys.len().max(1));
        match there.and_then(|at| keys.get(at)) {
            Some(key) => (*key).clone(),
            None if held.is_some_and(|held| held.key.is_none()) => Key::Row(u64::MAX),
            None => match self.key_value(class, operand, state) {
                Value::Int(value) => Key::Int(value),
                Value::Text(text) => Key::Text(text),
                _ => Key::Null,
            },
        }
    }

    /// Returns the property name of an operand, sometimes an unknown one.
    #[must_use]
    pub fn property(&self, class: &str, operand: u8, state: &State) -> String {
        let Some(held) = state.classes.get(class) else { return "id".to_owned() };
        let at = usize::from(operand) % held.properties.len().max(1);
        let name = held.properties.keys().nth(at).filter(|_| operand < 250);
        name.cloned().unwrap_or_else(|| "none".to_owned())
    }
}

/// Returns a class that has an object with a null key, if any.
fn null_key(state: &State) -> Option<String> {
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
