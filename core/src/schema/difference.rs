//! How the schema of a file differs from the one wanted.

use super::property_type::PropertyType;

/// One way in which a class of the file differs from the one wanted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Difference {
    /// The class.
    pub class: String,
    /// The change to the file.
    pub change: Change,
}

/// A change to a file, from the stored class to the wanted one.
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
    /// The property is not wanted, or is wanted as a computed one.
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
        /// Type wanted.
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
        /// Primary key wanted.
        to: Option<String>,
    },
    /// The property has no index.
    AddIndex {
        /// The property.
        property: String,
    },
    /// The property has an index that is not wanted.
    RemoveIndex {
        /// The property.
        property: String,
    },
}

impl Change {
    /// Tells whether an app must say what becomes of the objects.
    #[must_use]
    pub const fn needs_migration(&self) -> bool {
        match self {
            Self::AddProperty { .. }
            | Self::RemoveProperty { .. }
            | Self::ChangeType { .. }
            | Self::MakeNullable { .. }
            | Self::MakeRequired { .. }
            | Self::ChangePrimaryKey { .. } => true,
            Self::AddClass
            | Self::AddInitialProperties
            | Self::AddIndex { .. }
            | Self::RemoveIndex { .. } => false,
        }
    }

    /// Tells whether the change drops stored values.
    #[must_use]
    pub const fn drops_values(&self) -> bool {
        match self {
            Self::RemoveProperty { .. } | Self::ChangeType { .. } | Self::MakeRequired { .. } => {
                true
            }
            Self::AddClass
            | Self::AddInitialProperties
            | Self::AddProperty { .. }
            | Self::MakeNullable { .. }
            | Self::ChangePrimaryKey { .. }
            | Self::AddIndex { .. }
            | Self::RemoveIndex { .. } => false,
        }
    }

    /// Tells whether only an index changes.
    #[must_use]
    pub const fn is_of_index(&self) -> bool {
        matches!(self, Self::AddIndex { .. } | Self::RemoveIndex { .. })
    }
}
