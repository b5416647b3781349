//! The state that the merge rules read and change.

use crate::entry::{Anchor, ElementId, ObjectRef, PrimaryKey, PropertyType, Value};

/// Order of the writes of a register: stamp, then client, then number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Stamp {
    /// Effective stamp of the entry, in milliseconds since 1970.
    pub time: u64,
    /// Its client.
    pub client: u32,
    /// Its number among the client's entries.
    pub client_seq: u64,
}

/// The last write of a register, as long as a concurrent one may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Register {
    /// Its stamp.
    pub stamp: Stamp,
    /// The seq of its entry; from [`PENDING_SEQ`](super::PENDING_SEQ) on before it has one.
    pub seq: u64,
}

/// Deletion record of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Deletion {
    /// Seq of the newest Delete.
    pub seq: u64,
    /// Its client.
    pub client: u32,
    /// Seq of the newest Delete by any other client; 0 if there is none.
    pub seq_of_others: u64,
}

/// The record of an element of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ElementRecord {
    /// The last write of its value.
    pub value: Option<Register>,
    /// The last move.
    pub place: Option<Register>,
    /// Seq of the removal; the element is kept, invisible, until a purge.
    pub removed: Option<u64>,
}

/// An element with a value that an operation writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WrittenElement<'a> {
    /// The element.
    pub id: ElementId,
    /// Its value.
    pub value: Value<'a>,
    /// The write.
    pub register: Register,
}

/// A property of an object that exists.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place<'a> {
    /// The object.
    pub target: ObjectRef<'a>,
    /// The property.
    pub property: &'a str,
}

/// Result of adding a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Definition {
    /// It was added.
    Added,
    /// It existed already. The server refuses one that differs, before it has a seq (MR6).
    Existed,
    /// Its class does not exist.
    WithoutClass,
}

/// A state that operations are merged into. Ids of elements and generated keys have their author,
/// never 0.
///
/// Methods that change a property are called only if the object exists and the property has a type
/// that fits; methods that change an element, only if the list has the element.
pub trait MergeState {
    /// Why a state cannot be read or written: damage, or the disk.
    type Error;

    /// Adds a class.
    ///
    /// # Errors
    /// If the state fails.
    fn add_class(
        &mut self,
        class: &str,
        primary_key: Option<PrimaryKey<'_>>,
    ) -> Result<Definition, Self::Error>;

    /// Adds a property to a class.
    ///
    /// # Errors
    /// If the state fails.
    fn add_property(
        &mut self,
        class: &str,
        property: &str,
        kind: PropertyType<'_>,
    ) -> Result<Definition, Self::Error>;

    /// Tells whether a class exists and its objects have such keys.
    ///
    /// # Errors
    /// If the state fails.
    fn has_class_of(&self, target: ObjectRef<'_>) -> Result<bool, Self::Error>;

    /// Tells whether an object exists.
    ///
    /// # Errors
    /// If the state fails.
    fn exists(&self, target: ObjectRef<'_>) -> Result<bool, Self::Error>;

    /// Calls `fits` with the type of a property; `false` if class or property does not exist.
    ///
    /// # Errors
    /// If the state fails.
    fn property_fits(
        &self,
        place: Place<'_>,
        fits: &dyn Fn(PropertyType<'_>) -> bool,
    ) -> Result<bool, Self::Error>;

    /// Returns the deletion record of an object.
    ///
    /// # Errors
    /// If the state fails.
    fn deletion(&self, target: ObjectRef<'_>) -> Result<Option<Deletion>, Self::Error>;

    /// Replaces the deletion record of an object.
    ///
    /// # Errors
    /// If the state fails.
    fn put_deletion(&mut self, target: ObjectRef<'_>, of: Deletion) -> Result<(), Self::Error>;

    /// Creates an object that does not exist.
    ///
    /// # Errors
    /// If the state fails.
    fn create(&mut self, target: ObjectRef<'_>) -> Result<(), Self::Error>;

    /// Deletes an object with its values, lists and stamps; tells whether it existed.
    ///
    /// # Errors
    /// If the state fails.
    fn delete(&mut self, target: ObjectRef<'_>) -> Result<bool, Self::Error>;

    /// Returns the last write of a property.
    ///
    /// # Errors
    /// If the state fails.
    fn register(&self, place: Place<'_>) -> Result<Option<Register>, Self::Error>;

    /// Returns the greatest stamp of a value that a purge dropped; none if none was dropped. The
    /// last write of a value without a register is not newer.
    ///
    /// # Errors
    /// If the state fails.
    fn purged_stamp(&self) -> Result<Option<u64>, Self::Error>;

    /// Sets a property.
    ///
    /// # Errors
    /// If the state fails.
    fn set(
        &mut self,
        place: Place<'_>,
        value: Value<'_>,
        register: Register,
    ) -> Result<(), Self::Error>;

    /// Adds to a counter, wrapping at 64 bits.
    ///
    /// # Errors
    /// If the state fails.
    fn increment(&mut self, place: Place<'_>, by: i64) -> Result<(), Self::Error>;

    /// Returns what is known about an element; `None` if the list does not contain it.
    ///
    /// # Errors
    /// If the state fails.
    fn element(
        &self,
        place: Place<'_>,
        element: ElementId,
    ) -> Result<Option<ElementRecord>, Self::Error>;

    /// Inserts an element immediately at an anchor, removed elements included.
    ///
    /// # Errors
    /// If the state fails.
    fn insert_element(
        &mut self,
        place: Place<'_>,
        element: WrittenElement<'_>,
        anchor: Anchor,
    ) -> Result<(), Self::Error>;

    /// Sets the value of an element.
    ///
    /// # Errors
    /// If the state fails.
    fn set_element(
        &mut self,
        place: Place<'_>,
        element: WrittenElement<'_>,
    ) -> Result<(), Self::Error>;

    /// Marks an element as removed.
    ///
    /// # Errors
    /// If the state fails.
    fn remove_element(
        &mut self,
        place: Place<'_>,
        element: ElementId,
        seq: u64,
    ) -> Result<(), Self::Error>;

    /// Moves an element immediately to an anchor, which is another element.
    ///
    /// # Errors
    /// If the state fails.
    fn move_element(
        &mut self,
        place: Place<'_>,
        element: (ElementId, Register),
        anchor: Anchor,
    ) -> Result<(), Self::Error>;
}
