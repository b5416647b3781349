//! How the schema of a file differs from the one wanted.

use super::class::Class;
use super::property::{Property, PropertyType};
use super::set::Schema;

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

/// Returns what must change in a file with the schema `stored` to fit `wanted`: first the new
/// classes, then class by class. Classes that are not wanted are left alone and make no difference.
#[must_use]
pub fn differences(stored: &Schema, wanted: &Schema) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut push = |class: &Class, change| {
        found.push(Difference { class: class.name().to_owned(), change });
    };
    for class in wanted.classes().iter().filter(|class| stored.class(class.name()).is_none()) {
        push(class, Change::AddClass);
    }
    for class in wanted.classes() {
        match stored.class(class.name()) {
            None => push(class, Change::AddInitialProperties),
            Some(old) => of_class(old, class, &mut |change| push(class, change)),
        }
    }
    found
}

fn of_class(stored: &Class, wanted: &Class, push: &mut dyn FnMut(Change)) {
    for old in stored.stored_properties() {
        match wanted.property(old.name()).filter(|new| !new.kind().is_computed()) {
            None => push(Change::RemoveProperty { property: old.name().to_owned() }),
            Some(new) => of_property(old, new, push),
        }
    }
    let key = |class: &Class| class.primary_key().map(|key| key.name().to_owned());
    let (from, to) = (key(stored), key(wanted));
    if from != to {
        push(Change::ChangePrimaryKey { from, to });
    }
    let is_stored = |name| stored.property(name).is_some_and(|old| !old.kind().is_computed());
    for new in wanted.stored_properties().filter(|new| !is_stored(new.name())) {
        push(Change::AddProperty { property: new.name().to_owned() });
    }
}

fn of_property(old: &Property, new: &Property, push: &mut dyn FnMut(Change)) {
    let property = old.name().to_owned();
    if old.kind() != new.kind() {
        // Other differences disappear with the old column.
        let (from, to) = (old.kind().clone(), new.kind().clone());
        return push(Change::ChangeType { property, from, to });
    }
    match (old.is_nullable(), new.is_nullable()) {
        (true, false) => push(Change::MakeRequired { property: property.clone() }),
        (false, true) => push(Change::MakeNullable { property: property.clone() }),
        (true, true) | (false, false) => {}
    }
    match (old.is_indexed(), new.is_indexed()) {
        (true, false) => push(Change::RemoveIndex { property }),
        (false, true) => push(Change::AddIndex { property }),
        (true, true) | (false, false) => {}
    }
}
