//! The catalog: the classes below one root, and their tables.
//!
//! - B6 Numbers of classes and columns, and slots of records, are never reused.
//!
//! Format: docs/objects.md#catalog.

use super::class_table::ClassTable;
use super::value::{ClassId, LOCAL_CLASSES};
use crate::codec::{Reader, Writer};
use crate::conc::Arc;
use crate::error::{Error, FileErrorCause, Result};
use crate::schema::{Class, Schema, SchemaError};
use crate::sorted::Sorted;
use crate::txn::ReadSource;
use std::path::Path;

/// The root of the objects that an app works with. A file can hold other roots beside it.
pub(crate) const MAIN: &str = "main";

const HEAD: &[u8] = &[0];
const CLASSES: u8 = 2;

/// The classes below one root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalog {
    root: Arc<str>,
    /// Changes with the catalog.
    pub(crate) stamp: u64,
    pub(crate) version: Option<u64>,
    next_class: u32,
    /// Local classes that were ever added: their numbers are counted apart.
    local_classes: u32,
    tables: Sorted<ClassId, Arc<ClassTable>>,
    names: Sorted<String, ClassId>,
}

/// An entry of the tree of the catalog: a key, and its value or none to remove it.
pub(super) type CatalogEntry = (Vec<u8>, Option<Vec<u8>>);

/// Returns the error for a tree that does not hold objects.
pub(crate) fn malformed(path: &Path) -> Error {
    Error::file(path, FileErrorCause::MalformedObject)
}

/// The tree of a catalog, below its root.
pub(super) const SCHEMA: &str = "schema";

/// Returns the name of the tree of a root's catalog.
pub(crate) fn schema_tree(root: &str) -> String {
    format!("{root}/{SCHEMA}")
}

/// Returns the key of a class.
fn class_key(id: ClassId) -> Vec<u8> {
    [&[CLASSES], &id.0.to_be_bytes()[..]].concat()
}

/// Returns the class that an entry defines; none for the other entries.
pub(super) fn class_of_entry(key: &[u8]) -> Option<ClassId> {
    let (kind, id) = key.split_first()?;
    let id = id.try_into().ok().map(u32::from_be_bytes);
    id.map(ClassId).filter(|_| *kind == CLASSES)
}

impl Catalog {
    /// Makes the catalog of a root without classes.
    pub(crate) fn new(root: &str) -> Self {
        let (tables, names) = (Sorted::default(), Sorted::default());
        let (next_class, local_classes) = (0, 0);
        let (root, stamp, version) = (Arc::from(root), 0, None);
        Self { root, stamp, version, next_class, local_classes, tables, names }
    }

    pub(crate) fn root(&self) -> &str {
        &self.root
    }

    /// Returns the stamp of a stored catalog without reading all of it.
    pub(crate) fn stored_stamp(source: ReadSource<'_>, root: &str) -> Result<u64> {
        let head = source.tree(&schema_tree(root)).get(HEAD)?;
        let Some(head) = head else { return Ok(0) };
        Reader::new(&head).u64().ok_or_else(|| malformed(source.path()))
    }

    /// Reads the catalog of a root.
    pub(crate) fn load(source: ReadSource<'_>, root: &str) -> Result<Self> {
        Self::read(source, root)?.ok_or_else(|| malformed(source.path()))
    }

    fn read(source: ReadSource<'_>, root: &str) -> Result<Option<Self>> {
        let tree = source.tree(&schema_tree(root));
        let mut catalog = Self::new(root);
        let head = tree.get(HEAD)?;
        if let Some(head) = &head
            && catalog.read_head(head).is_none()
        {
            return Ok(None);
        }
        for entry in tree.range(&[CLASSES][..]..&[CLASSES + 1][..])? {
            let (key, value) = entry?;
            let Some(id) = class_of_entry(&key) else { return Ok(None) };
            let table = ClassTable::decode(&catalog.root, id, &value);
            let Some(table) = table else { return Ok(None) };
            // An undo that removes the head leaves local classes.
            let is_headless = head.is_none() && !id.is_local();
            if catalog.table(&table.name).is_some() || is_headless {
                return Ok(None);
            }
            catalog.put(table);
        }
        Ok(Some(catalog))
    }

    fn read_head(&mut self, head: &[u8]) -> Option<()> {
        let mut rest = Reader::new(head);
        self.stamp = rest.u64()?;
        self.next_class = rest.u32()?;
        let versioned = rest.u8()? != 0;
        self.version = Some(rest.u64()?).filter(|_| versioned);
        if rest.is_empty() {
            return Some(());
        }
        self.local_classes = rest.u32()?;
        (rest.is_empty() && self.local_classes > 0).then_some(())
    }

    /// Returns the entries in which the stored form differs from that of an older catalog.
    pub(super) fn entries(&self, older: &Self) -> Vec<CatalogEntry> {
        let mut head = Writer::default();
        head.u64(self.stamp);
        head.u32(self.next_class);
        head.u8(self.version.is_some().into());
        head.u64(self.version.unwrap_or_default());
        if self.local_classes > 0 {
            head.u32(self.local_classes);
        }
        let mut entries = vec![(HEAD.to_vec(), Some(head.into_bytes()))];
        let removed = older.tables.keys().filter(|id| !self.tables.contains_key(id));
        entries.extend(removed.map(|id| (class_key(*id), None)));
        let changed = self.tables.iter().filter(|(id, table)| older.tables.get(id) != Some(table));
        entries.extend(changed.map(|(id, table)| (class_key(*id), Some(table.encode()))));
        entries
    }

    /// Returns the entries of the local classes.
    pub(super) fn local_entries(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let local = self.tables.values().filter(|table| table.id.is_local());
        local.map(|table| (class_key(table.id), table.encode())).collect()
    }

    /// Returns the table of a class.
    pub(crate) fn table(&self, class: &str) -> Option<&Arc<ClassTable>> {
        self.names.get(class).and_then(|id| self.tables.get(id))
    }

    /// Returns the table of a class by its number.
    pub(crate) fn table_numbered(&self, id: ClassId) -> Option<&Arc<ClassTable>> {
        self.tables.get(&id)
    }

    /// Tells whether the number of a class was given out.
    pub(super) const fn is_given_out(&self, id: ClassId) -> bool {
        match id.0.checked_sub(LOCAL_CLASSES) {
            Some(local) => local < self.local_classes,
            None => id.0 < self.next_class,
        }
    }

    /// Tells whether there are local classes.
    pub(super) const fn has_local(&self) -> bool {
        self.local_classes > 0
    }

    /// Keeps the numbers of local classes that another state of the file gave out.
    pub(super) fn continue_local(&mut self, other: &Self) {
        self.local_classes = self.local_classes.max(other.local_classes);
    }

    pub(crate) fn tables(&self) -> impl Iterator<Item = &Arc<ClassTable>> {
        self.tables.values()
    }

    /// Makes a table without columns under the next number of its kind, if there is one;
    /// [`Catalog::put`] adds it.
    pub(super) fn draft(&self, class: &Class) -> Option<ClassTable> {
        let id = match class.is_local() {
            true => LOCAL_CLASSES.checked_add(self.local_classes),
            false => Some(self.next_class).filter(|id| *id < LOCAL_CLASSES),
        };
        let id = id.filter(|id| *id < u32::MAX)?;
        Some(ClassTable::new(&self.root, ClassId(id), class.name()))
    }

    /// Adds a table, or replaces the one with its number.
    ///
    /// # Panics
    /// B6: if another class has its name.
    pub(super) fn put(&mut self, table: ClassTable) {
        let (id, name) = (table.id, table.name.clone());
        match id.0.checked_sub(LOCAL_CLASSES) {
            Some(local) => self.local_classes = self.local_classes.max(local.saturating_add(1)),
            None => self.next_class = self.next_class.max(id.0 + 1),
        }
        if let Some(older) = self.tables.insert(id, Arc::new(table)) {
            self.names.remove(&older.name);
        }
        let named = self.names.insert(name, id);
        assert!(named.is_none_or(|named| named == id), "B6: two classes have one name");
    }

    pub(super) fn remove(&mut self, id: ClassId) {
        if let Some(table) = self.tables.remove(&id) {
            self.names.remove(&table.name);
        }
    }

    /// Removes every class. Numbers of classes go on.
    pub(super) fn clear(&mut self) {
        let Self { stamp, next_class, local_classes, .. } = *self;
        *self = Self { stamp, next_class, local_classes, ..Self::new(&self.root) };
    }

    /// Returns the classes as a schema, if they fit together.
    pub(crate) fn schema(&self) -> std::result::Result<Schema, SchemaError> {
        let mut classes = Vec::new();
        for table in self.tables.values() {
            let mut class = Class::new(table.name.clone())?;
            if table.id.is_local() {
                class = class.local();
            }
            for column in &*table.columns {
                class = class.with(column.property.clone());
            }
            classes.push(class);
        }
        Schema::new(classes)
    }
}
