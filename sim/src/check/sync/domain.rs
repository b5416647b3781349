//! The small domain of synced files, and entries of the core in the terms of the model.

use fastness::table::{ObjectKey, RowId, Tables};
use fastness_models::merge::{
    self as model, Client, Content, Element, Kind, ListOperation, Schema, SyncEntry, SyncValue,
    Visible,
};
use fastness_sync::entry::{
    Anchor, Change, ElementId, EntryError, Header, Key, ObjectRef, Operation, Operations,
    PrimaryKey, PropertyType, Scalar, ScalarType, Value,
};
use fastness_sync::merge::{Memory, Place};
use fastness_sync::table_state::{TableState, WINDOW_TREE};
use std::collections::BTreeMap;

/// A class with int keys, and all properties.
pub(super) const PAGE: &str = "Page";
/// A class without primary key.
pub(super) const TAG: &str = "Tag";
/// A class that some clients add later, with one of two definitions.
pub(super) const LATE: &str = "Late";
const CLASSES: [&str; 3] = [PAGE, TAG, LATE];

/// A text.
pub(super) const TITLE: &str = "title";
/// A link to a page.
pub(super) const NEXT: &str = "next";
/// A counter.
pub(super) const VIEWS: &str = "views";
/// A list of numbers.
pub(super) const LINES: &str = "lines";
/// A list of links to pages.
pub(super) const LINKS: &str = "links";
/// A property that some clients add later, with one of two types.
pub(super) const EXTRA: &str = "extra";
pub(super) const PROPERTIES: [&str; 6] = [TITLE, NEXT, VIEWS, LINES, LINKS, EXTRA];

/// Number of pages, whose keys count from 0.
pub(super) const PAGES: i64 = 4;
/// First number of a generated key in the model.
const GENERATED_FIRST: usize = 100;

const fn scalar(kind: ScalarType, nullable: bool) -> Scalar {
    Scalar { kind, nullable }
}

/// Types of the properties that every client knows; a tag has the first three.
pub(super) const TYPES: [(&str, PropertyType<'_>); 5] = [
    (TITLE, PropertyType::Scalar(scalar(ScalarType::String, true))),
    (NEXT, PropertyType::Link(PAGE)),
    (VIEWS, PropertyType::Counter),
    (LINES, PropertyType::List(scalar(ScalarType::Int, false))),
    (LINKS, PropertyType::LinkList(PAGE)),
];
/// The two types of the later property.
pub(super) const EXTRA_TYPES: [PropertyType<'_>; 2] =
    [PropertyType::Scalar(scalar(ScalarType::Int, true)), PropertyType::Counter];
/// The two primary keys of the later class.
pub(super) const LATE_KEYS: [PrimaryKey<'_>; 2] = [int_key("id"), int_key("number")];

pub(super) const fn int_key(property: &str) -> PrimaryKey<'_> {
    PrimaryKey { property, is_string: false, nullable: false }
}

/// Returns the operations of a client's first entry: the classes that every client knows.
pub(super) fn foundation() -> Vec<Operation<'static>> {
    let class = |class, primary_key| Operation::AddClass { class, primary_key };
    let mut operations = vec![class(PAGE, Some(int_key("id"))), class(TAG, None)];
    for (owner, count) in [(PAGE, TYPES.len()), (TAG, 3)] {
        let types = TYPES[..count].iter();
        operations.extend(types.map(|(property, kind)| Operation::AddProperty {
            class: owner,
            property,
            kind: *kind,
        }));
    }
    operations
}

/// The numbers that the model gives to names, keys and values.
#[derive(Clone, Debug, Default)]
pub(super) struct ModelNames {
    generated: Vec<ElementId>,
}

/// Index of a name, as a number of the model.
fn number(names: &[&str], name: &str) -> u8 {
    let index = names.iter().position(|other| *other == name);
    index.and_then(|index| u8::try_from(index).ok()).expect("the domain has the name")
}

const fn kind(kind: PropertyType<'_>) -> Kind {
    match kind {
        PropertyType::Counter => Kind::Counter,
        PropertyType::Link(_) => Kind::Link,
        PropertyType::List(_) | PropertyType::LinkList(_) => Kind::List,
        _ => Kind::Int,
    }
}

fn definition(primary_key: Option<PrimaryKey<'_>>) -> u8 {
    primary_key.map_or(0, |key| if key.property == "id" { 1 } else { 2 })
}

/// The author of the ids of an entry, which it may leave out.
const fn element(author: Client, id: ElementId) -> Element {
    let author = if id.author == 0 { author } else { id.author };
    Element { author, number: id.number }
}

const fn anchor(author: Client, anchor: Anchor) -> model::Anchor {
    match anchor {
        Anchor::Head => model::Anchor::Head,
        Anchor::After(to) => model::Anchor::After(element(author, to)),
        Anchor::Before(to) => model::Anchor::Before(element(author, to)),
    }
}

impl ModelNames {
    fn object(&mut self, author: Client, target: ObjectRef<'_>) -> model::ObjectRef {
        let key = match target.key {
            Key::Int(key) => u8::try_from(key).expect("keys are small"),
            Key::Generated(id) => {
                let Element { author, number } = element(author, id);
                let id = ElementId { author, number };
                let known = self.generated.iter().position(|other| *other == id);
                let index = known.unwrap_or(self.generated.len());
                if known.is_none() {
                    self.generated.push(id);
                }
                u8::try_from(GENERATED_FIRST + index).expect("few keys are generated")
            }
            Key::Null | Key::String(_) => unreachable!("no class has such keys"),
        };
        model::ObjectRef { class: number(&CLASSES, target.class), key }
    }

    fn value(&mut self, author: Client, value: Value<'_>) -> SyncValue {
        match value {
            Value::Null => SyncValue::Null,
            Value::Int(value) => SyncValue::Int(value),
            Value::String(text) => SyncValue::Int(text.parse().expect("texts are numbers")),
            Value::Link(target) => SyncValue::Link(self.object(author, target)),
            other => unreachable!("no property holds {other:?}"),
        }
    }

    /// Translates an operation of a client's entry.
    pub(super) fn operation(
        &mut self,
        author: Client,
        operation: &Operation<'_>,
    ) -> model::Operation {
        match *operation {
            Operation::AddClass { class, primary_key } => {
                model::Operation::AddClass(number(&CLASSES, class), definition(primary_key))
            }
            Operation::AddProperty { class, property, kind: of } => model::Operation::AddProperty(
                number(&CLASSES, class),
                number(&PROPERTIES, property),
                kind(of),
            ),
            Operation::Create(target) => model::Operation::Create(self.object(author, target)),
            Operation::Delete(target) => model::Operation::Delete(self.object(author, target)),
            Operation::Change { target, property, change } => {
                let object = self.object(author, target);
                self.change(author, (object, number(&PROPERTIES, property)), change)
            }
            ref other => unreachable!("the domain has no {other:?}"),
        }
    }

    fn change(
        &mut self,
        author: Client,
        (object, property): (model::ObjectRef, u8),
        change: Change<'_>,
    ) -> model::Operation {
        let list = |change| model::Operation::List(object, property, change);
        match change {
            Change::Set(value) => {
                model::Operation::Set(object, property, self.value(author, value))
            }
            Change::Increment(by) => model::Operation::Increment(object, property, by),
            Change::ListInsert { element: id, anchor: at, value } => list(ListOperation::Insert(
                element(author, id),
                anchor(author, at),
                self.value(author, value),
            )),
            Change::ListSet { element: id, value } => {
                list(ListOperation::Set(element(author, id), self.value(author, value)))
            }
            Change::ListRemove { element: id } => list(ListOperation::Remove(element(author, id))),
            Change::ListMove { element: id, anchor: at } => {
                list(ListOperation::Move(element(author, id), anchor(author, at)))
            }
            other => unreachable!("the domain has no {other:?}"),
        }
    }

    /// Translates an encoded entry of a client; it gets this seq.
    ///
    /// # Errors
    /// If the bytes are no entry.
    pub(super) fn entry(
        &mut self,
        (client, seq): (Client, u64),
        bytes: &[u8],
    ) -> Result<SyncEntry, EntryError> {
        let decoder = Operations::new(bytes)?;
        let Header { client_seq, base, stamp } = decoder.header();
        let mut operations = Vec::new();
        for operation in decoder {
            operations.push(self.operation(client, &operation?));
        }
        Ok(SyncEntry { seq, client, client_seq, base, stamp, operations })
    }

    /// Returns the number of generated keys.
    pub(super) const fn generated(&self) -> usize {
        self.generated.len()
    }

    /// Returns the key of an object of the model.
    pub(super) fn target(&self, object: model::ObjectRef) -> ObjectRef<'static> {
        let class = CLASSES[usize::from(object.class)];
        let generated = usize::from(object.key).checked_sub(GENERATED_FIRST);
        let key = match generated.and_then(|index| self.generated.get(index)) {
            Some(id) => Key::Generated(*id),
            None => Key::Int(object.key.into()),
        };
        ObjectRef { class, key }
    }

    /// Returns the visible contents of a state in memory that has these classes.
    pub(super) fn visible(&mut self, state: &Memory, schema: &Schema) -> Visible {
        let mut visible = Visible::new();
        for (class, (_, properties)) in schema {
            for key in state.keys(CLASSES[usize::from(*class)]) {
                let target = ObjectRef { class: CLASSES[usize::from(*class)], key };
                let contents = properties.iter().map(|(property, kind)| {
                    let place = Place { target, property: PROPERTIES[usize::from(*property)] };
                    (*property, self.content(state, place, *kind))
                });
                let contents = contents.collect();
                visible.insert(self.object(0, target), contents);
            }
        }
        visible
    }

    /// Returns the visible contents of the tables of a file.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn visible_in(
        &mut self,
        tables: &mut Tables,
        schema: &Schema,
    ) -> Result<Visible, fastness::Error> {
        let state = TableState::new(tables, WINDOW_TREE);
        let mut visible = Visible::new();
        for (class, (_, properties)) in schema {
            let name = CLASSES[usize::from(*class)];
            let mut last = None;
            loop {
                let keys = state.tables().object_keys(name, last.as_ref())?;
                last = keys.last().cloned();
                if last.is_none() {
                    break;
                }
                for key in &keys {
                    let target = ObjectRef { class: name, key: key_of(key) };
                    let mut contents = BTreeMap::new();
                    for (property, kind) in properties {
                        let place = Place { target, property: PROPERTIES[usize::from(*property)] };
                        contents.insert(*property, self.content_in(&state, place, *kind)?);
                    }
                    visible.insert(self.object(0, target), contents);
                }
            }
        }
        Ok(visible)
    }

    fn content_in(
        &mut self,
        state: &TableState<'_>,
        place: Place<'_>,
        kind: Kind,
    ) -> Result<Content, fastness::Error> {
        if kind == Kind::List {
            let mut list = Vec::new();
            state.each_element(place, &mut |id, value| {
                list.push((element(0, id), self.value(0, value)));
            })?;
            return Ok(Content::List(list));
        }
        let found = state.value_of(place, &mut |value| self.value(0, value))?;
        Ok(match (kind, found.unwrap_or_default()) {
            (Kind::Counter, SyncValue::Int(sum)) => Content::Counter(sum),
            (_, value) => Content::Value(value),
        })
    }

    fn content(&mut self, state: &Memory, place: Place<'_>, kind: Kind) -> Content {
        match kind {
            Kind::Int | Kind::Link => Content::Value(self.value(0, state.value(place))),
            Kind::Counter => Content::Counter(state.counter(place)),
            Kind::List => {
                let elements = state.elements(place);
                let list = elements.map(|(id, value)| (element(0, id), self.value(0, value)));
                Content::List(list.collect())
            }
        }
    }
}

fn key_of(key: &ObjectKey) -> Key<'_> {
    match key {
        ObjectKey::Int(key) => Key::Int(*key),
        ObjectKey::Row(RowId { author, number }) => {
            Key::Generated(ElementId { author: *author, number: *number })
        }
        ObjectKey::Null | ObjectKey::String(_) => Key::Null,
    }
}
