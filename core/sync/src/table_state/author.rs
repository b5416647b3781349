//! The author's side: the entry of a transaction, from the operations that an app did.
//!
//! Operations of the tables name visible neighbours. While they are applied by the merge rules, one
//! after the other, each gets the anchor that its author's view has at that moment.
//!
//! - MR5 An author anchors at elements that it sees.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names the kinds it is about and treats all others alike"
)]

use super::convert::{entry_primary_key, entry_property, entry_target};
use super::links::LinkOwner;
use super::{FileResult, TableState, entry_element};
use crate::entry::{self, Anchor, Change, Encoder, EntryError, Header};
use crate::fault::{self, Fault};
use crate::merge::{self, Author, Effect};
use crate::outcome::Outcome;
use fastness::table::{ElementId, Operation, SchemaChange};

/// A reason not to commit a transaction of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// It changes or removes classes or properties.
    NotAdditive,
    /// It is too large for an entry.
    Entry(EntryError),
    /// An operation does not apply to the state that the app saw: an error of this crate.
    Effect(Effect),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAdditive => {
                f.write_str("classes and properties of a synced file can only be added")
            }
            Self::Entry(error) => write!(f, "the transaction is no entry: {error}; split it"),
            Self::Effect(effect) => write!(f, "an operation is {effect:?} on its own view"),
        }
    }
}

impl From<EntryError> for Refused {
    fn from(error: EntryError) -> Self {
        Self::Entry(error)
    }
}

pub(super) type Authored<T> = Result<T, Refused>;

/// The entry of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryWritten {
    /// The entry, encoded.
    pub entry: Vec<u8>,
    /// Outcomes of its operations; none if all are applied.
    pub outcomes: Vec<Outcome>,
}

/// The neighbours of an operation on a list: the element that it moves, and the one before the new
/// place.
#[derive(Clone, Copy)]
pub(super) struct Neighbours {
    pub(super) moved: Option<ElementId>,
    pub(super) left: Option<ElementId>,
}

impl TableState<'_> {
    /// Returns the anchor of an author that puts an element after a visible one, or at the head
    /// (MR5).
    pub(super) fn anchor(&self, owner: LinkOwner<'_>, of: Neighbours) -> FileResult<Anchor> {
        let list = self.list(owner)?;
        // The usual case reads no neighbour: a text that is typed.
        if let Some(left) = of.left
            && (self.memory(&list, left)?.followed.is_none() || fault::on(Fault::Sn27))
        {
            return Ok(Anchor::After(entry_element(left)));
        }
        if self.is_removed_after(&list, of.left)? {
            return Ok(of.left.map_or(Anchor::Head, |left| Anchor::After(entry_element(left))));
        }
        let mut right = self.tables.element_after(list.named(), of.left)?;
        if right.is_some() && right == of.moved {
            right = self.tables.element_after(list.named(), right)?;
        }
        Ok(match (of.left, right) {
            (_, Some(right)) => Anchor::Before(entry_element(right)),
            (Some(left), None) => Anchor::After(entry_element(left)),
            (None, None) => Anchor::Head,
        })
    }

    /// Returns the anchor of an author that inserts after a visible element, or at the head (MR5).
    pub(super) fn anchor_after(
        &self,
        owner: LinkOwner<'_>,
        left: Option<ElementId>,
    ) -> FileResult<Anchor> {
        self.anchor(owner, Neighbours { moved: None, left })
    }

    fn anchor_of(&self, operation: &Operation) -> FileResult<Anchor> {
        let (target, property, of) = match operation {
            Operation::ListInsert { target, property, after, .. } => {
                (target, property, Neighbours { moved: None, left: *after })
            }
            Operation::ListMove { target, property, element, after } => {
                (target, property, Neighbours { moved: Some(*element), left: *after })
            }
            _ => return Ok(Anchor::Head),
        };
        self.anchor(LinkOwner { target, property }, of)
    }

    /// Returns the class that the links of an operation lead to.
    fn link_class(&self, operation: &Operation) -> Option<&str> {
        let (target, property) = match operation {
            Operation::Set { target, property, .. }
            | Operation::ListInsert { target, property, .. }
            | Operation::ListSet { target, property, .. } => (target, property),
            _ => return None,
        };
        let (_, property) = self.tables.property(&target.class, property)?;
        property.kind().class()
    }

    /// Applies the operations of a transaction to the state that it began with, as one entry;
    /// returns the entry.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged; a [`Refused`] is the inner error.
    pub fn write_entry(
        &mut self,
        author: &Author,
        operations: &[Operation],
    ) -> FileResult<Authored<EntryWritten>> {
        let schema = match schema_operations(operations) {
            Ok(schema) => schema,
            Err(refused) => return Ok(Err(refused)),
        };
        let mut outcomes = Vec::new();
        for operation in &schema {
            match outcome(merge::apply(self, author, *operation)?) {
                Ok(outcome) => outcomes.push(outcome),
                Err(refused) => return Ok(Err(refused)),
            }
        }
        let mut anchors = Vec::new();
        for operation in operations {
            let anchor = self.anchor_of(operation)?;
            anchors.push(anchor);
            let class = self.link_class(operation).map(str::to_owned);
            let Some(again) = entry_operation(operation, anchor, class.as_deref()) else {
                continue;
            };
            match outcome(merge::apply(self, author, again)?) {
                Ok(outcome) => outcomes.push(outcome),
                Err(refused) => return Ok(Err(refused)),
            }
        }
        for change in local_changes(operations) {
            self.apply(&Operation::SchemaChange(change))?;
        }
        let entry = self.encode(author, &schema, operations.iter().zip(anchors));
        Ok(entry.map(|entry| EntryWritten { entry, outcomes }))
    }

    pub(super) fn encode<'o>(
        &self,
        author: &Author,
        schema: &[entry::Operation<'o>],
        operations: impl Iterator<Item = (&'o Operation, Anchor)>,
    ) -> Authored<Vec<u8>> {
        let Author { client_seq, base, stamp, client, .. } = *author;
        let mut encoder = Encoder::new(Header { client_seq, base, stamp })?;
        schema.iter().try_for_each(|operation| encoder.push(operation))?;
        let classes: Vec<&str> = self.tables.classes().collect();
        for (operation, anchor) in operations {
            let class = self.link_class(operation);
            let class = class.and_then(|class| classes.iter().find(|held| **held == class));
            let operation = entry_operation(operation, anchor, class.copied());
            if let Some(operation) = fault::tables::set_to_value(operation) {
                encoder.push(&own(operation, client))?;
            }
        }
        Ok(encoder.finish()?)
    }
}

/// Returns the outcome of an operation on its author's own view.
const fn outcome(effect: Effect) -> Authored<Outcome> {
    match effect {
        Effect::Applied => Ok(Outcome::Applied),
        Effect::Unchanged => Ok(Outcome::NoOperation),
        Effect::Absent | Effect::Deleted | Effect::Overridden => Err(Refused::Effect(effect)),
    }
}

/// Returns the changes of classes, classes first: their properties may link to any of them. A class
/// comes with its primary key, which may have been added to it later in the transaction.
fn schema_operations(operations: &[Operation]) -> Authored<Vec<entry::Operation<'_>>> {
    let changes = operations.iter().filter_map(|operation| match operation {
        Operation::SchemaChange(change) => Some(change),
        _ => None,
    });
    let (mut classes, mut properties) = (Vec::new(), Vec::new());
    for change in changes {
        match change {
            SchemaChange::AddClass(class) => {
                classes.push((class.name(), class.primary_key()));
                let stored = class.stored_properties().map(|property| (class.name(), property));
                properties.extend(stored);
            }
            SchemaChange::AddProperty { class, property } => {
                if property.is_primary_key() {
                    let added = classes.iter_mut().find(|(name, _)| name == class);
                    let (_, key) = added.ok_or(Refused::NotAdditive)?;
                    *key = Some(property);
                }
                properties.push((class, property));
            }
            SchemaChange::SetIndexed { .. } | SchemaChange::SetVersion { .. } => {}
            _ => return Err(Refused::NotAdditive),
        }
    }
    let classes = classes.into_iter().map(|(class, key)| entry::Operation::AddClass {
        class,
        primary_key: key.map(entry_primary_key),
    });
    let properties = properties.into_iter().filter(|(_, property)| !property.is_primary_key());
    let properties = properties.filter_map(|(class, property)| {
        let kind = entry_property(property)?;
        Some(entry::Operation::AddProperty { class, property: property.name(), kind })
    });
    Ok(classes.chain(properties).collect())
}

/// Returns the changes that no entry has: the indexes of this file, and the version of its schema.
pub fn local_changes(operations: &[Operation]) -> Vec<SchemaChange> {
    let mut local = Vec::new();
    let mut index = |class: &str, property: &fastness::schema::Property| {
        if property.is_indexed() && !property.is_primary_key() {
            let (class, property) = (class.to_owned(), property.name().to_owned());
            local.push(SchemaChange::SetIndexed { class, property, indexed: true });
        }
    };
    let mut other = Vec::new();
    for operation in operations {
        match operation {
            Operation::SchemaChange(SchemaChange::AddClass(class)) => {
                class.stored_properties().for_each(|property| index(class.name(), property));
            }
            Operation::SchemaChange(SchemaChange::AddProperty { class, property }) => {
                index(class, property);
            }
            Operation::SchemaChange(
                change @ (SchemaChange::SetIndexed { .. } | SchemaChange::SetVersion { .. }),
            ) => other.push(change.clone()),
            _ => {}
        }
    }
    local.append(&mut other);
    local
}

/// Returns an operation on an object as that of an entry. `class` is the one that links lead to.
fn entry_operation<'o>(
    operation: &'o Operation,
    anchor: Anchor,
    class: Option<&'o str>,
) -> Option<entry::Operation<'o>> {
    let value = |value: &'o fastness::table::Value<'static>| TableState::entry_value(value, class);
    let (target, property, change) = match operation {
        Operation::Create(target) => return Some(entry::Operation::Create(entry_target(target))),
        Operation::Delete(target) => return Some(entry::Operation::Delete(entry_target(target))),
        Operation::Set { target, property, value: to } => {
            (target, property, Change::Set(value(to)))
        }
        Operation::Increment { target, property, by } => (target, property, Change::Increment(*by)),
        Operation::ListInsert { target, property, element, .. } => {
            let (id, value) = (entry_element(element.id), value(&element.value));
            (target, property, Change::ListInsert { element: id, anchor, value })
        }
        Operation::ListSet { target, property, element } => {
            let (id, value) = (entry_element(element.id), value(&element.value));
            (target, property, Change::ListSet { element: id, value })
        }
        Operation::ListRemove { target, property, element } => {
            (target, property, Change::ListRemove { element: entry_element(*element) })
        }
        Operation::ListMove { target, property, element, .. } => {
            (target, property, Change::ListMove { element: entry_element(*element), anchor })
        }
        _ => return None,
    };
    Some(entry::Operation::Change { target: entry_target(target), property, change })
}

/// Writes the ids of a client as those of the entry's author.
fn own<'o>(operation: entry::Operation<'o>, client: u32) -> entry::Operation<'o> {
    use entry::{Key, ObjectRef, Value};
    let id = |id: entry::ElementId| match id.author == client {
        true => entry::ElementId { author: 0, ..id },
        false => id,
    };
    let target = |target: ObjectRef<'o>| match target.key {
        Key::Generated(key) => ObjectRef { key: Key::Generated(id(key)), ..target },
        Key::Null | Key::Int(_) | Key::String(_) => target,
    };
    let value = |value: Value<'o>| match value {
        Value::Link(to) => Value::Link(target(to)),
        value => value,
    };
    let anchor = |anchor: Anchor| match anchor {
        Anchor::Head => Anchor::Head,
        Anchor::After(to) => Anchor::After(id(to)),
        Anchor::Before(to) => Anchor::Before(id(to)),
    };
    let change = |change: Change<'o>| match change {
        Change::Set(to) => Change::Set(value(to)),
        Change::Increment(by) => Change::Increment(by),
        Change::ListInsert { element, anchor: at, value: to } => {
            Change::ListInsert { element: id(element), anchor: anchor(at), value: value(to) }
        }
        Change::ListSet { element, value: to } => {
            Change::ListSet { element: id(element), value: value(to) }
        }
        Change::ListRemove { element } => Change::ListRemove { element: id(element) },
        Change::ListMove { element, anchor: at } => {
            Change::ListMove { element: id(element), anchor: anchor(at) }
        }
    };
    match operation {
        entry::Operation::Create(to) => entry::Operation::Create(target(to)),
        entry::Operation::Delete(to) => entry::Operation::Delete(target(to)),
        entry::Operation::Change { target: to, property, change: of } => {
            entry::Operation::Change { target: target(to), property, change: change(of) }
        }
        schema => schema,
    }
}
