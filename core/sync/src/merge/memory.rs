//! A state in memory: what operations merge into without a file.

use super::list::{ListSlot, MemoryList};
use super::state::{
    Definition, Deletion, ElementRecord, MergeState, Place, Register, WrittenElement,
};
use crate::entry::{Anchor, ElementId, Key, ObjectRef, PrimaryKey, PropertyType, Scalar, Value};
use std::borrow::Borrow;
use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{Hash, Hasher};

/// A state in memory.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    classes: HashMap<Box<str>, MemoryClass>,
    /// By class; a class need not exist.
    deletions: HashMap<Box<str>, HashMap<OwnedKey, Deletion>>,
}

#[derive(Clone, Debug, Default)]
struct MemoryClass {
    primary_key: Option<OwnedPrimaryKey>,
    /// Properties, each with its position in the fields of an object.
    properties: HashMap<Box<str>, (usize, OwnedType)>,
    objects: HashMap<OwnedKey, Vec<Field>>,
}

#[derive(Clone, Debug)]
struct OwnedPrimaryKey {
    is_string: bool,
    nullable: bool,
}

#[derive(Clone, Debug)]
enum OwnedType {
    Scalar(Scalar),
    Counter,
    Link(Box<str>),
    LinkList(Box<str>),
    List(Scalar),
}

/// A property of an object.
#[derive(Clone, Debug, Default)]
enum Field {
    /// As in a new object.
    #[default]
    Unset,
    Value(OwnedValue, Option<Register>),
    Counter(i64),
    List(Box<MemoryList<OwnedValue>>),
}

#[derive(Clone, Debug)]
enum OwnedValue {
    /// Anything that borrows nothing.
    Plain(Value<'static>),
    String(Box<str>),
    Binary(Box<[u8]>),
    Link(Box<str>, OwnedKey),
}

#[derive(Clone, Debug)]
enum OwnedKey {
    Plain(Key<'static>),
    String(Box<str>),
}

/// A key, owned or borrowed: a map of owned keys is searched by borrowed ones.
trait AnyKey {
    fn key(&self) -> Key<'_>;
}

impl AnyKey for OwnedKey {
    fn key(&self) -> Key<'_> {
        match self {
            Self::Plain(key) => *key,
            Self::String(text) => Key::String(text),
        }
    }
}

impl AnyKey for Key<'_> {
    fn key(&self) -> Key<'_> {
        *self
    }
}

impl Hash for dyn AnyKey + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialEq for dyn AnyKey + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for dyn AnyKey + '_ {}

impl Hash for OwnedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialEq for OwnedKey {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for OwnedKey {}

impl<'a> Borrow<dyn AnyKey + 'a> for OwnedKey {
    fn borrow(&self) -> &(dyn AnyKey + 'a) {
        self
    }
}

impl From<Key<'_>> for OwnedKey {
    fn from(key: Key<'_>) -> Self {
        match key {
            Key::Null => Self::Plain(Key::Null),
            Key::Int(key) => Self::Plain(Key::Int(key)),
            Key::Generated(id) => Self::Plain(Key::Generated(id)),
            Key::String(text) => Self::String(text.into()),
        }
    }
}

impl From<Value<'_>> for OwnedValue {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Plain(Value::Null),
            Value::Bool(value) => Self::Plain(Value::Bool(value)),
            Value::Int(value) => Self::Plain(Value::Int(value)),
            Value::Float(value) => Self::Plain(Value::Float(value)),
            Value::Double(value) => Self::Plain(Value::Double(value)),
            Value::Timestamp { seconds, nanoseconds } => {
                Self::Plain(Value::Timestamp { seconds, nanoseconds })
            }
            Value::String(text) => Self::String(text.into()),
            Value::Binary(bytes) => Self::Binary(bytes.into()),
            Value::Link(target) => Self::Link(target.class.into(), target.key.into()),
        }
    }
}

impl OwnedValue {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Plain(value) => *value,
            Self::String(text) => Value::String(text),
            Self::Binary(bytes) => Value::Binary(bytes),
            Self::Link(class, key) => Value::Link(ObjectRef { class, key: key.key() }),
        }
    }
}

impl From<PropertyType<'_>> for OwnedType {
    fn from(kind: PropertyType<'_>) -> Self {
        match kind {
            PropertyType::Scalar(scalar) => Self::Scalar(scalar),
            PropertyType::Counter => Self::Counter,
            PropertyType::Link(class) => Self::Link(class.into()),
            PropertyType::LinkList(class) => Self::LinkList(class.into()),
            PropertyType::List(scalar) => Self::List(scalar),
        }
    }
}

impl OwnedType {
    fn kind(&self) -> PropertyType<'_> {
        match self {
            Self::Scalar(scalar) => PropertyType::Scalar(*scalar),
            Self::Counter => PropertyType::Counter,
            Self::Link(class) => PropertyType::Link(class),
            Self::LinkList(class) => PropertyType::LinkList(class),
            Self::List(scalar) => PropertyType::List(*scalar),
        }
    }
}

impl Memory {
    fn object(&self, target: ObjectRef<'_>) -> Option<&Vec<Field>> {
        self.classes.get(target.class)?.objects.get(&target.key as &dyn AnyKey)
    }

    fn field(&self, place: Place<'_>) -> Option<&Field> {
        let class = self.classes.get(place.target.class)?;
        let (index, _) = class.properties.get(place.property)?;
        class.objects.get(&place.target.key as &dyn AnyKey)?.get(*index)
    }

    fn field_mut(&mut self, place: Place<'_>) -> &mut Field {
        let class = self.classes.get_mut(place.target.class).expect("SY15: the class exists");
        let (index, _) = class.properties.get(place.property).expect("SY15: the property exists");
        let fields = class.objects.get_mut(&place.target.key as &dyn AnyKey);
        let fields = fields.expect("SY15: the object exists");
        if fields.len() <= *index {
            fields.resize_with(index + 1, Field::default);
        }
        &mut fields[*index]
    }

    fn list(&self, place: Place<'_>) -> Option<&MemoryList<OwnedValue>> {
        match self.field(place)? {
            Field::List(list) => Some(list),
            Field::Unset | Field::Value(..) | Field::Counter(_) => None,
        }
    }

    fn list_mut(&mut self, place: Place<'_>) -> &mut MemoryList<OwnedValue> {
        let field = self.field_mut(place);
        if matches!(field, Field::Unset) {
            *field = Field::List(Box::default());
        }
        match field {
            Field::List(list) => list,
            Field::Unset | Field::Value(..) | Field::Counter(_) => {
                unreachable!("SY15: the property is a list")
            }
        }
    }

    /// Tells whether a value is visible as it is: no link to an object that does not exist.
    fn leads(&self, value: Value<'_>) -> bool {
        !matches!(value, Value::Link(target) if self.object(target).is_none())
    }

    /// Returns the keys of the objects of a class, in no order.
    pub fn keys(&self, class: &str) -> impl Iterator<Item = Key<'_>> {
        let objects = self.classes.get(class).into_iter().flat_map(|class| class.objects.keys());
        objects.map(AnyKey::key)
    }

    /// Returns the visible value of a property; null if it was never set, or is a link to an object
    /// that does not exist.
    #[must_use]
    pub fn value(&self, place: Place<'_>) -> Value<'_> {
        match self.field(place) {
            Some(Field::Value(value, _)) if self.leads(value.value()) => value.value(),
            _ => Value::Null,
        }
    }

    /// Returns the sum of a counter.
    #[must_use]
    pub fn counter(&self, place: Place<'_>) -> i64 {
        match self.field(place) {
            Some(Field::Counter(sum)) => *sum,
            _ => 0,
        }
    }

    /// Returns the visible elements of a list, in order.
    pub fn elements(&self, place: Place<'_>) -> impl Iterator<Item = (ElementId, Value<'_>)> {
        self.visible_from(place, 0).map(|slot| (slot.id, slot.value.value()))
    }

    /// Returns the visible element at an index.
    #[must_use]
    pub fn element_at(&self, place: Place<'_>, index: usize) -> Option<(ElementId, Value<'_>)> {
        let slot = self.visible_from(place, index).next()?;
        Some((slot.id, slot.value.value()))
    }

    /// Returns the visible elements of a list from the one at `index` on.
    fn visible_from<'a>(
        &'a self,
        place: Place<'_>,
        index: usize,
    ) -> impl Iterator<Item = &'a ListSlot<OwnedValue>> {
        // Only links may be hidden.
        let is_link = |kind: PropertyType<'_>| matches!(kind, PropertyType::LinkList(_));
        let Ok(hides) = self.property_fits(place, &is_link);
        let (skipped, counted) = if hides { (0, index) } else { (index, 0) };
        let slots = self.list(place).into_iter().flat_map(move |list| list.kept_from(skipped));
        slots.filter(|slot| self.leads(slot.value.value())).skip(counted)
    }

    /// Returns the anchor of an author that inserts before its visible element `index` (MR5).
    #[must_use]
    pub fn anchor(&self, place: Place<'_>, index: usize) -> Anchor {
        let mut visible = self.visible_from(place, index.saturating_sub(1));
        let left = if index == 0 { None } else { visible.next() };
        let list = self.list(place);
        let is_gap = list.is_some_and(|list| list.is_removed_after(left.map(|left| left.id)));
        match (left, visible.next()) {
            (Some(left), right) if !left.is_followed || right.is_none() || is_gap => {
                Anchor::After(left.id)
            }
            (_, Some(right)) if !is_gap => Anchor::Before(right.id),
            (_, _) => Anchor::Head,
        }
    }

    /// Forgets what entries with a base of at least `horizon` cannot meet (MR9).
    #[expect(clippy::iter_over_hash_type, reason = "each object is purged by itself")]
    pub fn purge(&mut self, horizon: u64) {
        let is_recent = |register: &Register| register.seq > horizon;
        for class in self.classes.values_mut() {
            for field in class.objects.values_mut().flatten() {
                match field {
                    Field::Value(_, register) => *register = register.filter(is_recent),
                    Field::List(list) => list.retain(|slot| {
                        let record = &mut slot.record;
                        record.value = record.value.filter(is_recent);
                        record.place = record.place.filter(is_recent);
                        record.removed.is_none_or(|seq| seq > horizon)
                    }),
                    Field::Unset | Field::Counter(_) => {}
                }
            }
        }
        for deletions in self.deletions.values_mut() {
            deletions.retain(|_, deletion| {
                if deletion.seq_of_others <= horizon {
                    deletion.seq_of_others = 0;
                }
                deletion.seq > horizon
            });
        }
    }
}

/// Tells whether objects of a class have such keys.
fn key_fits(primary_key: Option<&OwnedPrimaryKey>, key: Key<'_>) -> bool {
    match (primary_key, key) {
        (None, Key::Generated(_)) => true,
        (Some(primary_key), Key::Null) => primary_key.nullable,
        (Some(primary_key), Key::Int(_)) => !primary_key.is_string,
        (Some(primary_key), Key::String(_)) => primary_key.is_string,
        (None, _) | (Some(_), Key::Generated(_)) => false,
    }
}

impl MergeState for Memory {
    type Error = Infallible;

    fn add_class(
        &mut self,
        class: &str,
        primary_key: Option<PrimaryKey<'_>>,
    ) -> Result<Definition, Infallible> {
        if self.classes.contains_key(class) {
            return Ok(Definition::Existed);
        }
        let primary_key = primary_key
            .map(|PrimaryKey { is_string, nullable, .. }| OwnedPrimaryKey { is_string, nullable });
        let added = MemoryClass { primary_key, ..MemoryClass::default() };
        self.classes.insert(class.into(), added);
        Ok(Definition::Added)
    }

    fn add_property(
        &mut self,
        class: &str,
        property: &str,
        kind: PropertyType<'_>,
    ) -> Result<Definition, Infallible> {
        let Some(class) = self.classes.get_mut(class) else {
            return Ok(Definition::WithoutClass);
        };
        if class.properties.contains_key(property) {
            return Ok(Definition::Existed);
        }
        class.properties.insert(property.into(), (class.properties.len(), kind.into()));
        Ok(Definition::Added)
    }

    fn has_class_of(&self, target: ObjectRef<'_>) -> Result<bool, Infallible> {
        let class = self.classes.get(target.class);
        Ok(class.is_some_and(|class| key_fits(class.primary_key.as_ref(), target.key)))
    }

    fn exists(&self, target: ObjectRef<'_>) -> Result<bool, Infallible> {
        Ok(self.object(target).is_some())
    }

    fn property_fits(
        &self,
        place: Place<'_>,
        fits: &dyn Fn(PropertyType<'_>) -> bool,
    ) -> Result<bool, Infallible> {
        let class = self.classes.get(place.target.class);
        let property = class.and_then(|class| class.properties.get(place.property));
        Ok(property.is_some_and(|(_, kind)| fits(kind.kind())))
    }

    fn deletion(&self, target: ObjectRef<'_>) -> Result<Option<Deletion>, Infallible> {
        let deletions = self.deletions.get(target.class);
        Ok(deletions.and_then(|all| all.get(&target.key as &dyn AnyKey)).copied())
    }

    fn put_deletion(&mut self, target: ObjectRef<'_>, of: Deletion) -> Result<(), Infallible> {
        if !self.deletions.contains_key(target.class) {
            self.deletions.insert(target.class.into(), HashMap::new());
        }
        if let Some(deletions) = self.deletions.get_mut(target.class) {
            deletions.insert(target.key.into(), of);
        }
        Ok(())
    }

    fn create(&mut self, target: ObjectRef<'_>) -> Result<(), Infallible> {
        if let Some(class) = self.classes.get_mut(target.class) {
            class.objects.insert(target.key.into(), Vec::new());
        }
        Ok(())
    }

    fn delete(&mut self, target: ObjectRef<'_>) -> Result<bool, Infallible> {
        let class = self.classes.get_mut(target.class);
        let removed = class.and_then(|class| class.objects.remove(&target.key as &dyn AnyKey));
        Ok(removed.is_some())
    }

    fn register(&self, place: Place<'_>) -> Result<Option<Register>, Infallible> {
        Ok(match self.field(place) {
            Some(Field::Value(_, register)) => *register,
            _ => None,
        })
    }

    fn set(
        &mut self,
        place: Place<'_>,
        value: Value<'_>,
        register: Register,
    ) -> Result<(), Infallible> {
        *self.field_mut(place) = Field::Value(value.into(), Some(register));
        Ok(())
    }

    fn increment(&mut self, place: Place<'_>, by: i64) -> Result<(), Infallible> {
        let sum = self.counter(place).wrapping_add(by);
        *self.field_mut(place) = Field::Counter(sum);
        Ok(())
    }

    fn element(
        &self,
        place: Place<'_>,
        element: ElementId,
    ) -> Result<Option<ElementRecord>, Infallible> {
        Ok(self.list(place).and_then(|list| list.get(element)).map(|slot| slot.record))
    }

    fn insert_element(
        &mut self,
        place: Place<'_>,
        WrittenElement { id, value, register }: WrittenElement<'_>,
        anchor: Anchor,
    ) -> Result<(), Infallible> {
        let record = ElementRecord { value: Some(register), ..ElementRecord::default() };
        let slot = ListSlot { id, value: value.into(), record, is_followed: false };
        self.list_mut(place).insert(slot, anchor);
        Ok(())
    }

    fn set_element(
        &mut self,
        place: Place<'_>,
        WrittenElement { id, value, register }: WrittenElement<'_>,
    ) -> Result<(), Infallible> {
        if let Some(slot) = self.list_mut(place).get_mut(id) {
            slot.value = value.into();
            slot.record.value = Some(register);
        }
        Ok(())
    }

    fn remove_element(
        &mut self,
        place: Place<'_>,
        element: ElementId,
        seq: u64,
    ) -> Result<(), Infallible> {
        self.list_mut(place).remove(element, seq);
        Ok(())
    }

    fn move_element(
        &mut self,
        place: Place<'_>,
        (id, register): (ElementId, Register),
        anchor: Anchor,
    ) -> Result<(), Infallible> {
        self.list_mut(place).relocate(id, register, anchor);
        Ok(())
    }
}
