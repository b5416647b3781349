//! Names of trees and their contents, for tools.
//!
//! Format: docs/objects.md#trees.

use super::catalog::{Catalog, MAIN, schema_tree};
use crate::error::Result;
use crate::txn::{ReadSource, StoreSnapshot};
use std::collections::BTreeMap;
use std::fmt;

/// The content of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holds {
    /// The classes.
    Schema,
    /// The objects of a class.
    Objects {
        /// The class.
        class: String,
    },
    /// Lists and long values of the objects of a class.
    Apart {
        /// The class.
        class: String,
    },
    /// Pieces of long lists of the objects of a class.
    Pieces {
        /// The class.
        class: String,
    },
    /// From where objects of a class are linked to.
    Links {
        /// The class.
        class: String,
    },
    /// The index of a property.
    Index {
        /// The class.
        class: String,
        /// The property.
        property: String,
    },
}

impl Holds {
    /// Returns the class, if it is one.
    #[must_use]
    pub fn class(&self) -> Option<&str> {
        match self {
            Self::Schema => None,
            Self::Objects { class }
            | Self::Apart { class }
            | Self::Pieces { class }
            | Self::Links { class }
            | Self::Index { class, .. } => Some(class),
        }
    }
}

impl fmt::Display for Holds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Schema => f.write_str("classes"),
            Self::Objects { class } => write!(f, "objects of {class}"),
            Self::Apart { class } => write!(f, "lists and long values of {class}"),
            Self::Pieces { class } => write!(f, "pieces of long lists of {class}"),
            Self::Links { class } => write!(f, "links to {class}"),
            Self::Index { class, property } => write!(f, "index of {class}.{property}"),
        }
    }
}

/// Returns the trees of objects by name, also those without entries; none if the file has no
/// classes. Any other tree belongs to the app.
///
/// # Errors
/// If the classes cannot be read or are damaged.
pub fn trees(snapshot: &StoreSnapshot) -> Result<BTreeMap<String, Holds>> {
    let catalog = Catalog::load(ReadSource::Snapshot(snapshot), MAIN)?;
    let mut trees = BTreeMap::new();
    for table in catalog.tables() {
        let class = || table.name.clone();
        let names = &table.trees;
        trees.insert(names.objects.clone(), Holds::Objects { class: class() });
        trees.insert(names.out_of_line.clone(), Holds::Apart { class: class() });
        trees.insert(names.chunks.clone(), Holds::Pieces { class: class() });
        trees.insert(names.links.clone(), Holds::Links { class: class() });
        for column in table.columns.iter().filter(|column| column.has_index_tree()) {
            let (class, property) = (class(), column.name().to_owned());
            let name = table.index_tree(column.number);
            trees.insert(name, Holds::Index { class, property });
        }
    }
    if snapshot.tree_names().any(|name| name == schema_tree(MAIN)) {
        trees.insert(schema_tree(MAIN), Holds::Schema);
    }
    Ok(trees)
}
