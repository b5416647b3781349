//! Why an operation on objects is refused. A refused operation changes nothing.

use crate::error_kind::ErrorKind;
use crate::unit::PRIMARY_KEY_BYTES_MAX;
use std::fmt;

/// Why an operation on objects is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ObjectError {
    /// The file has no such class.
    ClassUnknown {
        /// Name that was given.
        class: String,
        /// The class whose name is nearest, if one is near.
        nearest: Option<String>,
    },
    /// The class has no such property.
    PropertyUnknown {
        /// The class.
        class: String,
        /// Name that was given.
        property: String,
        /// The property whose name is nearest, if one is near.
        nearest: Option<String>,
    },
    /// A property is given twice.
    PropertyTwice {
        /// The class.
        class: String,
        /// The property.
        property: String,
    },
    /// The file has a class of this name already.
    ClassExists {
        /// The class.
        class: String,
    },
    /// The class has a property of this name already.
    PropertyExists {
        /// The class.
        class: String,
        /// The property.
        property: String,
    },
    /// Other classes link to the class.
    ClassLinked {
        /// The class.
        class: String,
        /// A class that links to it.
        by: String,
    },
    /// The class cannot hold more properties.
    TooManyProperties {
        /// The class.
        class: String,
    },
    /// The property holds something else.
    Type {
        /// The class.
        class: String,
        /// The property.
        property: String,
        /// The type of the property.
        expected: String,
        /// The type of the value, or the request.
        found: String,
    },
    /// The property holds a value that the type of the field does not have.
    ValueUnknown {
        /// The class.
        class: String,
        /// The property.
        property: String,
        /// The value.
        value: String,
        /// The type of the field.
        field: String,
    },
    /// Objects of the class need a primary key.
    KeyMissing {
        /// The class.
        class: String,
    },
    /// Objects of the class have no primary key.
    NoPrimaryKey {
        /// The class.
        class: String,
    },
    /// An object with this primary key exists.
    KeyExists {
        /// The class.
        class: String,
        /// The key.
        key: String,
    },
    /// The primary key of an object never changes.
    PrimaryKeyImmutable {
        /// The class.
        class: String,
        /// The property.
        property: String,
    },
    /// A primary key is longer than [`PRIMARY_KEY_BYTES_MAX`].
    KeyTooLong {
        /// Its length in UTF-8.
        bytes: usize,
    },
    /// Two objects would have the same primary key.
    KeysNotUnique {
        /// The class.
        class: String,
        /// The key.
        key: String,
    },
    /// The object does not exist.
    ObjectNotFound {
        /// The class.
        class: String,
        /// The key that was given.
        key: String,
    },
    /// A list has no such position.
    OutOfBounds {
        /// Index that was given.
        index: usize,
        /// The number of elements.
        len: usize,
    },
    /// A synced file only gets more classes, properties and indexes.
    SyncedChange {
        /// The class that was to be changed.
        class: String,
        /// The property; none if it is the class as a whole.
        property: Option<String>,
    },
    /// A class of a synced file has the primary key that it was made with.
    SyncedKey {
        /// The class.
        class: String,
        /// The property that was to be the key.
        property: String,
    },
    /// A list would take more than 64 MiB.
    ListTooLong {
        /// The class.
        class: String,
        /// The property.
        property: String,
    },
}

impl ObjectError {
    pub(crate) const fn kind(&self) -> ErrorKind {
        match self {
            Self::ClassUnknown { .. }
            | Self::PropertyUnknown { .. }
            | Self::ClassExists { .. }
            | Self::PropertyTwice { .. }
            | Self::PropertyExists { .. }
            | Self::TooManyProperties { .. }
            | Self::Type { .. }
            | Self::ValueUnknown { .. }
            | Self::PrimaryKeyImmutable { .. }
            | Self::KeyTooLong { .. }
            | Self::SyncedChange { .. }
            | Self::ListTooLong { .. } => ErrorKind::InvalidArgument,
            Self::ClassLinked { .. }
            | Self::NoPrimaryKey { .. }
            | Self::KeysNotUnique { .. }
            | Self::ObjectNotFound { .. } => ErrorKind::IllegalState,
            Self::KeyMissing { .. } | Self::KeyExists { .. } => ErrorKind::General,
            Self::OutOfBounds { .. } => ErrorKind::OutOfBounds,
            Self::SyncedKey { .. } => ErrorKind::Unsupported,
        }
    }
}

impl fmt::Display for ObjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClassUnknown { class, nearest } => {
                write!(f, "there is no class `{class}`; {}", Hint(nearest.as_deref()))
            }
            Self::PropertyUnknown { class, property, nearest } => {
                let hint = Hint(nearest.as_deref());
                write!(f, "`{class}` has no property `{property}`; {hint}")
            }
            Self::PropertyTwice { class, property } => {
                write!(f, "`{class}.{property}` is given twice; give it once")
            }
            Self::ClassExists { class } => {
                write!(f, "there is a class `{class}` already; choose another name")
            }
            Self::PropertyExists { class, property } => {
                write!(f, "`{class}` has a property `{property}` already; choose another name")
            }
            Self::ClassLinked { class, by } => {
                write!(f, "`{by}` links to `{class}`; remove its property first")
            }
            Self::TooManyProperties { class } => {
                write!(f, "`{class}` has no room for more properties; use another class")
            }
            Self::Type { class, property, expected, found } => {
                write!(f, "`{class}.{property}` holds {expected}, not {found}")
            }
            Self::ValueUnknown { class, property, value, field } => write!(
                f,
                "`{class}.{property}` holds {value}, which `{field}` does not have; set another \
                 value, or give the field a type that has it"
            ),
            Self::KeyMissing { class } => {
                write!(f, "`{class}` has a primary key; give it when creating an object")
            }
            Self::NoPrimaryKey { class } => {
                write!(f, "`{class}` has no primary key; create objects without one")
            }
            Self::KeyExists { class, key } => {
                write!(f, "there is a `{class}` {key} already; update it or choose another key")
            }
            Self::PrimaryKeyImmutable { class, property } => {
                write!(f, "`{class}.{property}` is the primary key; create another object instead")
            }
            Self::KeyTooLong { bytes } => {
                let max = PRIMARY_KEY_BYTES_MAX;
                write!(f, "a primary key has {bytes} bytes; at most {max} are allowed")
            }
            Self::KeysNotUnique { class, key } => {
                write!(f, "two objects `{class}` would have the key {key}; make keys unique first")
            }
            Self::ObjectNotFound { class, key } => {
                write!(f, "there is no `{class}` {key}; it was deleted or never created")
            }
            Self::OutOfBounds { index, len } => {
                write!(f, "a list of {len} elements has no place {index}")
            }
            Self::SyncedChange { class, property } => {
                synced_change(f, (class, property.as_deref()))
            }
            Self::SyncedKey { class, property } => write!(
                f,
                "`{class}` is synced, so `{property}` cannot become its primary key; create \
                 another class with it"
            ),
            Self::ListTooLong { class, property } => {
                write!(f, "`{class}.{property}` would take more than 64 MiB; use objects instead")
            }
        }
    }
}

fn synced_change(
    f: &mut fmt::Formatter<'_>,
    (class, property): (&str, Option<&str>),
) -> fmt::Result {
    let dot = if property.is_some() { "." } else { "" };
    let property = property.unwrap_or_default();
    write!(
        f,
        "`{class}{dot}{property}` is synced, so it cannot be changed or removed; add another one \
         beside it"
    )
}

/// The remedy for a name that does not exist.
struct Hint<'a>(Option<&'a str>);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(nearest) => write!(f, "did you mean `{nearest}`?"),
            None => f.write_str("check the name and the schema"),
        }
    }
}
