//! Operations: the changes of a transaction as values, enough to repeat them on a second copy.
//!
//! Specification: docs/objects.md#operations-of-a-commit. Check: `sim::check::observers`.

use super::list::Element;
use super::value::{ElementId, ObjectKey, Value};
use crate::schema::{Class, Property};

/// One operation of a transaction. Objects are named by class and key, so that an operation means
/// the same in every copy of the file. Values that link name the class by its number.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Operation {
    /// An object was created, with null, zero and empty values.
    Create(ObjectRef),
    /// An object was deleted. Earlier operations of the same transaction removed the links to it.
    Delete(ObjectRef),
    /// A property has another value.
    Set {
        /// The object.
        target: ObjectRef,
        /// The property.
        property: String,
        /// The value.
        value: Value<'static>,
    },
    /// A counter was incremented.
    Increment {
        /// The object.
        target: ObjectRef,
        /// The counter.
        property: String,
        /// The increment.
        by: i64,
    },
    /// An element was inserted into a list.
    ListInsert {
        /// The object.
        target: ObjectRef,
        /// The list.
        property: String,
        /// The element.
        element: Element,
        /// Its predecessor; none if it is the first.
        after: Option<ElementId>,
    },
    /// An element has another value.
    ListSet {
        /// The object.
        target: ObjectRef,
        /// The list.
        property: String,
        /// The element, with its new value.
        element: Element,
    },
    /// An element was removed.
    ListRemove {
        /// The object.
        target: ObjectRef,
        /// The list.
        property: String,
        /// The element.
        element: ElementId,
    },
    /// An element was moved.
    ListMove {
        /// The object.
        target: ObjectRef,
        /// The list.
        property: String,
        /// The element.
        element: ElementId,
        /// Its new predecessor; none if it is the first.
        after: Option<ElementId>,
    },
    /// The classes were changed.
    SchemaChange(SchemaChange),
}

/// The object of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRef {
    /// Name of its class.
    pub class: String,
    /// Its key.
    pub key: ObjectKey,
}

/// One change of the classes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaChange {
    /// A class was added, with its stored properties.
    AddClass(Class),
    /// A class was removed with its objects.
    RemoveClass {
        /// The class.
        class: String,
    },
    /// A class was renamed.
    RenameClass {
        /// The class.
        class: String,
        /// Its new name.
        name: String,
    },
    /// A property was added. If it is the primary key, the key of every object changed.
    AddProperty {
        /// The class.
        class: String,
        /// The property.
        property: Property,
    },
    /// A property was removed with its values. If it was the primary key, objects were numbered.
    RemoveProperty {
        /// The class.
        class: String,
        /// The property.
        property: String,
    },
    /// A property was renamed.
    RenameProperty {
        /// The class.
        class: String,
        /// The property.
        property: String,
        /// Its new name.
        name: String,
    },
    /// A property became nullable, or required: null then became zero or empty.
    SetNullable {
        /// The class.
        class: String,
        /// The property.
        property: String,
        /// Whether it may be null.
        nullable: bool,
    },
    /// Another property became the primary key, or none: objects were then numbered.
    SetPrimaryKey {
        /// The class.
        class: String,
        /// The property.
        property: Option<String>,
    },
    /// A property got an index or lost it.
    SetIndexed {
        /// The class.
        class: String,
        /// The property.
        property: String,
        /// Whether it has an index.
        indexed: bool,
    },
    /// The schema got another version.
    SetVersion {
        /// The version.
        version: u64,
    },
    /// All classes and objects were removed. Numbers go on.
    Clear,
}
