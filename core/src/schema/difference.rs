//! Differences between the schema of a file and the requested one, as values.

use super::property_type::PropertyType;

/// A difference between a class of the file and the requested class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Difference {
    /// The class.
    pub class: String,
    /// The change to the file.
    pub change: Change,
}

/// A change to a file, from the stored class to the requested one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// The class does not exist.
    AddClass,
    /// The new class needs its properties, primary key and indexes.
    AddInitialProperties,
    /// The property does not exist.
    AddProperty {
        /// The property.
        property: String,
    },
    /// The property is not requested, or is requested as a computed one.
    RemoveProperty {
        /// The property.
        property: String,
    },
    /// The property has another type.
    ChangeType {
        /// The property.
        property: String,
        /// Type in the file.
        from: PropertyType,
        /// Requested type.
        to: PropertyType,
    },
    /// The property is required and should be nullable.
    MakeNullable {
        /// The property.
        property: String,
    },
    /// The property is nullable and should be required.
    MakeRequired {
        /// The property.
        property: String,
    },
    /// Another property is the primary key.
    ChangePrimaryKey {
        /// Primary key in the file.
        from: Option<String>,
        /// Requested primary key.
        to: Option<String>,
    },
    /// The property has no index.
    AddIndex {
        /// The property.
        property: String,
    },
    /// The property has an index that is not requested.
    RemoveIndex {
        /// The property.
        property: String,
    },
    /// The class is local in the file, or requested as a local one, and not both. No mode changes
    /// that: a class of another name replaces it.
    ChangeLocal {
        /// Whether it is requested as a local one.
        to: bool,
    },
}

impl Change {
    /// Returns whether an app must say what becomes of the objects.
    #[must_use]
    pub const fn needs_migration(&self) -> bool {
        match self {
            Self::AddProperty { .. }
            | Self::RemoveProperty { .. }
            | Self::ChangeType { .. }
            | Self::MakeNullable { .. }
            | Self::MakeRequired { .. }
            | Self::ChangePrimaryKey { .. }
            | Self::ChangeLocal { .. } => true,
            Self::AddClass
            | Self::AddInitialProperties
            | Self::AddIndex { .. }
            | Self::RemoveIndex { .. } => false,
        }
    }

    /// Returns whether the change drops stored values.
    #[must_use]
    pub const fn drops_values(&self) -> bool {
        match self {
            Self::RemoveProperty { .. }
            | Self::ChangeType { .. }
            | Self::MakeRequired { .. }
            | Self::ChangeLocal { .. } => true,
            Self::AddClass
            | Self::AddInitialProperties
            | Self::AddProperty { .. }
            | Self::MakeNullable { .. }
            | Self::ChangePrimaryKey { .. }
            | Self::AddIndex { .. }
            | Self::RemoveIndex { .. } => false,
        }
    }

    /// Returns whether only an index changes.
    #[must_use]
    pub const fn is_of_index(&self) -> bool {
        matches!(self, Self::AddIndex { .. } | Self::RemoveIndex { .. })
    }
}
