//! An entry and its operations as values. They borrow names, texts and bytes.

/// The part of an entry that a server reads to order it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Number among its client's entries, from 1.
    pub client_seq: u64,
    /// Position of the last entry that the author had applied.
    pub base: u64,
    /// Milliseconds since 1970.
    pub stamp: u64,
}

/// A write transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<'a> {
    /// Number, base and stamp.
    pub header: Header,
    /// Operations in order; at least one.
    pub operations: Vec<Operation<'a>>,
}

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Operation<'a> {
    /// A class was added.
    AddClass {
        /// The class.
        class: &'a str,
        /// Its primary key.
        primary_key: Option<PrimaryKey<'a>>,
    },
    /// A property was added.
    AddProperty {
        /// The class.
        class: &'a str,
        /// The property.
        property: &'a str,
        /// Its type.
        kind: PropertyType<'a>,
    },
    /// An object was created.
    Create(ObjectRef<'a>),
    /// An object was deleted.
    Delete(ObjectRef<'a>),
    /// A property or a list changed.
    Change {
        /// The object.
        target: ObjectRef<'a>,
        /// The property.
        property: &'a str,
        /// The change.
        change: Change<'a>,
    },
}

/// A change of a property.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Change<'a> {
    /// The property has another value.
    Set(Value<'a>),
    /// A counter was incremented.
    Increment(i64),
    /// An element was inserted.
    ListInsert {
        /// The element.
        element: ElementId,
        /// Its place.
        anchor: Anchor,
        /// Its value.
        value: Value<'a>,
    },
    /// An element has another value.
    ListSet {
        /// The element.
        element: ElementId,
        /// Its value.
        value: Value<'a>,
    },
    /// An element was removed.
    ListRemove {
        /// The element.
        element: ElementId,
    },
    /// An element was moved.
    ListMove {
        /// The element.
        element: ElementId,
        /// Its place.
        anchor: Anchor,
    },
}

/// The primary key of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrimaryKey<'a> {
    /// The property.
    pub property: &'a str,
    /// Whether it is a string; an int otherwise.
    pub is_string: bool,
    /// Whether it may be null.
    pub nullable: bool,
}

/// Type of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PropertyType<'a> {
    /// One value.
    Scalar(Scalar),
    /// A counter.
    Counter,
    /// A link to an object of the class, or null.
    Link(&'a str),
    /// A list of links to objects of the class.
    LinkList(&'a str),
    /// A list of values.
    List(Scalar),
}

/// Type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// The type.
    pub kind: ScalarType,
    /// Whether it may be null.
    pub nullable: bool,
}

/// Type of a value that is not null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScalarType {
    /// A whole number.
    Int,
    /// True or false.
    Bool,
    /// Text.
    String,
    /// Bytes.
    Binary,
    /// A point in time.
    Timestamp,
    /// A number of 32 bits with a binary point.
    Float,
    /// A number of 64 bits with a binary point.
    Double,
}

/// An object, addressed by class and key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ObjectRef<'a> {
    /// Name of its class.
    pub class: &'a str,
    /// Its key.
    pub key: Key<'a>,
}

/// Key of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key<'a> {
    /// The primary key is null.
    Null,
    /// The primary key is a number.
    Int(i64),
    /// The primary key is a text.
    String(&'a str),
    /// The class has no primary key: an id like that of an element.
    Generated(ElementId),
}

/// Id of a list element, or of an object without primary key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ElementId {
    /// The client that made it; 0 is the author of the entry.
    pub author: u32,
    /// Its number among the author's.
    pub number: u64,
}

/// Place of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// Before all elements.
    Head,
    /// Immediately after an element.
    After(ElementId),
    /// Immediately before an element.
    Before(ElementId),
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number of 32 bits with a binary point; all its bits count.
    Float(f32),
    /// A number of 64 bits with a binary point; all its bits count.
    Double(f64),
    /// Text.
    String(&'a str),
    /// Bytes.
    Binary(&'a [u8]),
    /// A point in time.
    Timestamp {
        /// Seconds since 1970.
        seconds: i64,
        /// Nanoseconds after them, below 1,000,000,000.
        nanoseconds: u32,
    },
    /// A link.
    Link(ObjectRef<'a>),
}
