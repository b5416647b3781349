//! Errors of definitions, of values, and of the schema of a file.

use super::difference::Difference;
use super::mode::SchemaMode;
use crate::error_kind::ErrorKind;
use std::path::PathBuf;

/// An error of a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaError {
    /// The name of a class is empty or too long.
    ClassName {
        /// The name.
        name: String,
    },
    /// The name of a property is empty or too long, or has a `.`.
    PropertyName {
        /// The name.
        name: String,
    },
    /// A string is longer than [`super::STRING_BYTES_MAX`].
    StringTooLong {
        /// Its length in UTF-8.
        bytes: usize,
    },
    /// A binary is longer than [`super::BINARY_BYTES_MAX`].
    BinaryTooLong {
        /// Its length.
        bytes: usize,
    },
    /// A required property was to be null.
    NullInRequired {
        /// Class of the object.
        class: String,
        /// The property.
        property: String,
    },
    /// Everything that is wrong with a definition.
    Definition(Vec<DefinitionError>),
    /// The file was written under a higher version.
    VersionLower {
        /// The file.
        path: PathBuf,
        /// Version in the file.
        stored: u64,
        /// Version asked for.
        wanted: u64,
    },
    /// The file is only read, and has another version than the very one it needs.
    VersionDiffers {
        /// The file.
        path: PathBuf,
        /// Version in the file; none if it never had a schema.
        stored: Option<u64>,
        /// Version asked for.
        wanted: u64,
    },
    /// The file differs in a way its mode does not allow.
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The mode.
        mode: SchemaMode,
        /// Differences that the mode does not allow.
        differences: Vec<Difference>,
    },
    /// The file differs and must be migrated.
    MigrationNeeded {
        /// The file.
        path: PathBuf,
        /// How it differs.
        differences: Vec<Difference>,
    },
    /// The file is only read and lacks classes.
    ClassesMissing {
        /// The file.
        path: PathBuf,
        /// The classes.
        classes: Vec<String>,
    },
}

/// One thing that is wrong with a definition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DefinitionError {
    /// Class that is wrong.
    pub class: String,
    /// Property that is wrong; none if it is the class as a whole.
    pub property: Option<String>,
    /// The problem.
    pub problem: DefinitionProblem,
}

/// A problem of a class or property.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DefinitionProblem {
    /// Two different classes have the name.
    ClassTwice,
    /// Two properties have the name.
    PropertyTwice,
    /// The type is never null.
    NeverNull,
    /// A link can always be null.
    LinkRequired,
    /// Only integers and strings can be the primary key.
    KeyType,
    /// A class has one primary key at most.
    KeyTwice {
        /// The other one.
        first: String,
    },
    /// The primary key is no property.
    KeyUnknown,
    /// Values of the type are not indexed.
    IndexType,
    /// The class that is linked to is not in the schema.
    ClassUnknown {
        /// That class.
        class: String,
    },
    /// The class that is linked to is local, and this one is not.
    LinkToLocal {
        /// That class.
        class: String,
    },
    /// The class that is linked to is not local, and this one is.
    LinkFromLocal {
        /// That class.
        class: String,
    },
    /// The property that links come from does not exist.
    OriginUnknown {
        /// Class it should be in.
        class: String,
        /// The property.
        property: String,
    },
    /// The property that links come from is no link.
    OriginNoLink {
        /// Its class.
        class: String,
        /// The property.
        property: String,
    },
    /// The property that links come from links to another class.
    OriginElsewhere {
        /// Its class.
        class: String,
        /// The property.
        property: String,
        /// Class it links to.
        to: String,
    },
}

impl DefinitionError {
    pub(super) fn new(class: &str, property: &str, problem: DefinitionProblem) -> Self {
        Self { class: class.to_owned(), property: Some(property.to_owned()), problem }
    }

    pub(super) fn of_class(class: &str, problem: DefinitionProblem) -> Self {
        Self { class: class.to_owned(), property: None, problem }
    }
}

impl SchemaError {
    pub(crate) const fn kind(&self) -> ErrorKind {
        match self {
            Self::ClassName { .. }
            | Self::PropertyName { .. }
            | Self::StringTooLong { .. }
            | Self::BinaryTooLong { .. }
            | Self::NullInRequired { .. }
            | Self::VersionLower { .. }
            | Self::VersionDiffers { .. } => ErrorKind::InvalidArgument,
            Self::Definition(_) | Self::Mismatch { .. } => ErrorKind::IllegalState,
            Self::MigrationNeeded { .. } | Self::ClassesMissing { .. } => {
                ErrorKind::MigrationNeeded
            }
        }
    }
}

impl std::error::Error for SchemaError {}
