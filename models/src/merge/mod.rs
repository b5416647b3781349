//! Merge of concurrent write transactions by a server-ordered log.
//!
//! - [`fold`]: the state that a history makes, entry by entry; `list` is its part for lists.
//! - [`statement`]: the same state without an order of application.
//! - [`server`]: which entries the server accepts, and with which stamp.
//! - [`recover`]: a client's operations after a reset.
//! - [`behaviours`]: histories of a small domain, all of them, and random ones.
//! - [`mutant`]: wrong rules, which every check of this model must find.
//!
//! Written from docs/sync.md#merge-rules, not from code.

pub mod behaviours;
pub mod fold;
mod list;
pub mod mutant;
pub mod recover;
pub mod server;
pub mod statement;

use std::collections::BTreeMap;

/// A class; its definition is the type of its key.
pub type ClassNumber = u8;
/// A property of a class.
pub type PropertyNumber = u8;
/// A client file.
pub type Client = u32;

/// An object, addressed by class and key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ObjectRef {
    /// Its class.
    pub class: ClassNumber,
    /// Its key.
    pub key: u8,
}

/// An element of a list, unique for ever.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Element {
    /// The client that made it.
    pub author: Client,
    /// Number among its author's elements, from 1.
    pub number: u64,
}

/// A value of a property or of an element.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SyncValue {
    /// No value.
    #[default]
    Null,
    /// A number.
    Int(i64),
    /// A link.
    Link(ObjectRef),
}

/// Type of a property.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Null or a number.
    Int,
    /// Null or a link.
    Link,
    /// A counter.
    Counter,
    /// A list of numbers and links.
    List,
}

/// Position of an inserted or moved element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Anchor {
    /// Before all elements.
    Head,
    /// Immediately after an element.
    After(Element),
    /// Immediately before an element.
    Before(Element),
}

/// One operation of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Adds a class; the number is its definition.
    AddClass(ClassNumber, u8),
    /// Adds a property to a class.
    AddProperty(ClassNumber, PropertyNumber, Kind),
    /// Creates an object.
    Create(ObjectRef),
    /// Deletes an object.
    Delete(ObjectRef),
    /// Sets a property.
    Set(ObjectRef, PropertyNumber, SyncValue),
    /// Increments a counter.
    Increment(ObjectRef, PropertyNumber, i64),
    /// Changes a list.
    List(ObjectRef, PropertyNumber, ListOperation),
}

/// One change of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListOperation {
    /// Inserts a new element.
    Insert(Element, Anchor, SyncValue),
    /// Sets an element.
    Set(Element, SyncValue),
    /// Removes an element.
    Remove(Element),
    /// Moves an element.
    Move(Element, Anchor),
}

/// One write transaction of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SyncEntry {
    /// Position in the history; [`PENDING`] before it has one.
    pub seq: u64,
    /// The author.
    pub client: Client,
    /// Number among the author's entries, from 1.
    pub client_seq: u64,
    /// The last entry that the author had applied.
    pub base: u64,
    /// Time of the entry; in the history, the effective stamp.
    pub stamp: u64,
    /// Operations in order.
    pub operations: Vec<Operation>,
}

/// The seq of an entry that is not in the history.
pub const PENDING: u64 = u64::MAX;

/// Order of the writes of one register.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Stamp {
    /// Effective stamp of the entry.
    pub time: u64,
    /// Its author.
    pub client: Client,
    /// Its number.
    pub client_seq: u64,
}

impl SyncEntry {
    /// Returns the entry's place in the order of writes.
    #[must_use]
    pub fn order(&self) -> Stamp {
        Stamp { time: self.stamp, client: self.client, client_seq: self.client_seq }
    }

    /// Returns whether the author had applied another entry.
    #[must_use]
    pub fn knows(&self, other: &Self) -> bool {
        other.seq <= self.base
            || (self.client == other.client && other.client_seq < self.client_seq)
    }
}

impl Kind {
    /// Returns whether a property of this type holds such a value.
    #[must_use]
    pub fn holds(self, value: SyncValue) -> bool {
        match self {
            Self::Int => !matches!(value, SyncValue::Link(_)),
            Self::Link => !matches!(value, SyncValue::Int(_)),
            Self::Counter | Self::List => false,
        }
    }
}

/// Effect of one operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Effect {
    /// The state has changed.
    Applied,
    /// The state was like that already.
    Unchanged,
    /// The object, element, anchor, class or property does not exist, or has another type.
    Absent,
    /// A foreign Delete is concurrent.
    Deleted,
    /// A write with a greater stamp came before.
    Overridden,
}

/// Properties of each class.
pub type Schema = BTreeMap<ClassNumber, (u8, BTreeMap<PropertyNumber, Kind>)>;

/// Visible content of a property.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// A value; a link leads to an object that exists.
    Value(SyncValue),
    /// The sum of a counter.
    Counter(i64),
    /// Visible elements; in order, or by id where there is none.
    List(Vec<(Element, SyncValue)>),
}

/// The visible state: all properties of all objects.
pub type Visible = BTreeMap<ObjectRef, BTreeMap<PropertyNumber, Content>>;

/// Sorts the elements of every list by id.
#[must_use]
pub fn without_order(mut visible: Visible) -> Visible {
    for content in visible.values_mut().flat_map(BTreeMap::values_mut) {
        if let Content::List(elements) = content {
            elements.sort_by_key(|(element, _)| *element);
        }
    }
    visible
}
