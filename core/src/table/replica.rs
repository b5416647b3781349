//! The face of the tables for a replica: definitions, objects and list elements by name, and trees
//! of the replica's own beside them, which pre-images cover too.
//!
//! - B12 Putting the pre-images of a transaction back restores the replica's own trees too.
//!
//! Specification: docs/sync.md. No promised interface.

use super::catalog::{Catalog, SCHEMA, class_of_entry, schema_tree};
use super::class_table::ClassTable;
use super::column::{Column, ColumnPlace};
use super::key::{fits, read_link};
use super::operation::ObjectRef;
use super::reader::{ColumnRef, ListRef, RecordRef};
use super::tables::{Tables, stored_next};
use super::value::{ClassId, ElementId, ObjectId, ObjectKey, Value};
use crate::error::{Error, Result};
use crate::schema::Property;
use crate::tree::Bytes;
use crate::txn::ReadSource;

/// A property whose value, or some of whose elements, link to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSource {
    /// The object that has the property.
    pub object: ObjectRef,
    /// The property.
    pub property: String,
    /// The elements that link, in order; none if the property is no list.
    pub elements: Option<Vec<ElementId>>,
}

/// A list, by names.
#[derive(Clone, Copy, Debug)]
pub struct NamedList<'n> {
    /// The object.
    pub target: &'n ObjectRef,
    /// The property.
    pub property: &'n str,
}

/// A tree of a replica, and a key in it.
#[derive(Clone, Copy, Debug)]
pub struct SideKey<'k> {
    /// Name of the tree, which is not below a root of objects.
    pub tree: &'k str,
    /// The key.
    pub key: &'k [u8],
}

/// A callback for each key and value of a tree of a replica.
pub type VisitSide<'v> = dyn FnMut(&mut Tables, &[u8], &[u8]) -> Result<()> + 'v;

/// An entry of a tree.
pub type SideEntry = (Vec<u8>, Vec<u8>);

impl ObjectKey {
    /// Returns the key as bytes, at most 501, in the order of keys.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.to_bytes().to_vec()
    }

    /// Reads the bytes of [`ObjectKey::to_vec`].
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Self::from_bytes(bytes)
    }
}

/// Definitions.
impl Tables {
    /// Returns the number of a class.
    #[must_use]
    pub fn class_id(&self, class: &str) -> Option<ClassId> {
        self.catalog.table(class).map(|table| table.id)
    }

    /// Returns the name of a class.
    #[must_use]
    pub fn class_name(&self, class: ClassId) -> Option<&str> {
        self.catalog.table_numbered(class).map(|table| &*table.name)
    }

    /// Returns the names of the classes.
    pub fn classes(&self) -> impl Iterator<Item = &str> {
        self.catalog.tables().map(|table| &*table.name)
    }

    /// Returns the properties of a class in the order of their names.
    pub fn properties(&self, class: &str) -> impl Iterator<Item = &Property> {
        let columns = self.catalog.table(class).into_iter().flat_map(|table| table.columns.iter());
        columns.map(|column| &column.property)
    }

    /// Returns a property, and the number of its column.
    #[must_use]
    pub fn property(&self, class: &str, property: &str) -> Option<(u16, &Property)> {
        let column = self.catalog.table(class)?.column(property)?;
        Some((column.number, &column.property))
    }

    /// Returns the name of the property of a column.
    #[must_use]
    pub fn property_numbered(&self, class: ClassId, column: u16) -> Option<&str> {
        let table = self.catalog.table_numbered(class)?;
        table.column_numbered(column).map(Column::name)
    }

    /// Tells whether a class exists and its objects can have such a key.
    #[must_use]
    pub fn has_class_of(&self, target: &ObjectRef) -> bool {
        self.catalog.table(&target.class).is_some_and(|table| fits(table, &target.key))
    }
}

/// Local classes, which a replica leaves alone.
impl Tables {
    /// Tells whether a class is local.
    #[must_use]
    pub fn is_local_class(&self, class: &str) -> bool {
        self.class_id(class).is_some_and(ClassId::is_local)
    }

    /// Tells whether an entry of a tree is one of a local class: of its objects, or its definition.
    #[must_use]
    pub fn is_local_entry(&self, tree: &str, key: &[u8]) -> bool {
        if !self.catalog.has_local() {
            return false;
        }
        let below = tree.strip_prefix(self.catalog.root()).and_then(|tree| tree.strip_prefix('/'));
        let Some(below) = below else { return false };
        if below == SCHEMA {
            return class_of_entry(key).is_some_and(ClassId::is_local);
        }
        let number = below.split_once('.').map_or(below, |(number, _)| number);
        number.parse().is_ok_and(|number| ClassId(number).is_local())
    }

    /// Returns the name of a class of the catalog below another root that is local there, or here;
    /// none for none.
    ///
    /// # Errors
    /// If that catalog cannot be read or is damaged.
    pub fn local_class_below(&self, root: &str) -> Result<Option<String>> {
        let other = Catalog::load(ReadSource::Txn(&self.txn), root)?;
        let is_local = |table: &ClassTable| table.id.is_local() || self.is_local_class(&table.name);
        let named = other.tables().find(|table| is_local(table));
        Ok(named.map(|table| table.name.clone()))
    }

    /// Returns the definitions of the local classes as entries of the tree of the catalog.
    #[must_use]
    pub fn local_definitions(&self) -> Vec<SideEntry> {
        self.catalog.local_entries()
    }

    /// Puts definitions of local classes into the tree of the catalog, which was replaced;
    /// [`Tables::reload`] follows.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn put_local_definitions(&mut self, definitions: &[SideEntry]) -> Result<()> {
        let mut tree = self.txn.tree(&schema_tree(self.catalog.root()))?;
        definitions.iter().try_for_each(|(key, value)| tree.insert(key, value).map(drop))
    }
}

/// Another catalog.
impl Tables {
    /// Reads the catalog again after its tree was replaced, under a new stamp. Numbers that were
    /// given out are not given out again.
    ///
    /// # Errors
    /// If the catalog cannot be read or is damaged; if the file cannot be written.
    pub fn reload(&mut self, next: u64) -> Result<()> {
        self.load_catalog()?;
        let stored = stored_next(ReadSource::Txn(&self.txn), self.catalog.root())?;
        self.set_next_number(next.max(stored));
        Ok(())
    }

    /// Returns the next number of an object or element.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn next_given_out(&mut self) -> Result<u64> {
        self.next_number()
    }

    /// Returns the names of the trees of the classes that are not local, also of those without
    /// entries.
    #[must_use]
    pub fn class_trees(&self) -> Vec<String> {
        let mut names = vec![schema_tree(self.catalog.root())];
        for table in self.catalog.tables().filter(|table| !table.id.is_local()) {
            let trees = &table.trees;
            let of_class = [&trees.objects, &trees.out_of_line, &trees.chunks, &trees.links];
            names.extend(of_class.map(String::clone));
            let indexed = table.columns.iter().filter(|column| column.has_index_tree());
            names.extend(indexed.map(|column| table.index_tree(column.number)));
        }
        names
    }
}

/// Objects and elements.
impl Tables {
    /// Returns the error for a tree that does not hold what it should.
    #[must_use]
    pub fn damaged(&self) -> Error {
        self.malformed()
    }

    /// Tells whether an object exists.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn contains(&self, target: &ObjectRef) -> Result<bool> {
        let Some(table) = self.catalog.table(&target.class) else { return Ok(false) };
        Ok(self.reader().record(table, &target.key)?.is_some())
    }

    /// Returns keys of objects of a class, in order, from the first one after a key; none at the
    /// end.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn object_keys(&self, class: &str, after: Option<&ObjectKey>) -> Result<Vec<ObjectKey>> {
        match self.catalog.table(class) {
            Some(table) => self.reader().keys_after(table, after),
            None => Ok(Vec::new()),
        }
    }

    /// Returns the value of a property that is no list; none if object or property do not exist.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn value(&self, target: &ObjectRef, property: &str) -> Result<Option<Value<'static>>> {
        let Some(table) = self.catalog.table(&target.class) else { return Ok(None) };
        let column = table.column(property).filter(|column| !column.is_list());
        let Some(column) = column else { return Ok(None) };
        let Some(record) = self.reader().record(table, &target.key)? else { return Ok(None) };
        if column.place == ColumnPlace::Key {
            return Ok(Some(target.key.value().into_owned()));
        }
        let row = RecordRef { key: &target.key.to_bytes(), record: &record };
        self.reader()
            .value(ColumnRef::new(table, column), row)
            .map(|value| Some(value.into_owned()))
    }

    /// Returns the elements of a list.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn list_elements(&self, list: NamedList<'_>) -> Result<Vec<super::Element>> {
        self.with_list(list, |tables, list| tables.reader().list(list))
            .map(Option::unwrap_or_default)
    }

    /// Returns the value of a list element; none if the list does not have it.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn element_value(
        &self,
        list: NamedList<'_>,
        element: ElementId,
    ) -> Result<Option<Value<'static>>> {
        let found = self.with_list(list, |tables, list| {
            let stored = tables.reader().stored_list(list)?;
            let Some(at) = tables.reader().position(list, &stored, element)? else {
                return Ok(None);
            };
            tables.reader().element(list, &stored, at).map(|element| Some(element.value))
        })?;
        Ok(found.flatten())
    }

    /// Tells whether a list has an element.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn has_element(&self, list: NamedList<'_>, element: ElementId) -> Result<bool> {
        let found = self.with_list(list, |tables, list| {
            let stored = tables.reader().stored_list(list)?;
            tables.reader().position(list, &stored, element)
        })?;
        Ok(found.flatten().is_some())
    }

    /// Returns the element after another one, or the first one.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn element_after(
        &self,
        list: NamedList<'_>,
        element: Option<ElementId>,
    ) -> Result<Option<ElementId>> {
        self.element_at(list, element, |at| at.map_or(Some(0), |at| at.checked_add(1)))
    }

    /// Returns the element before another one.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn element_before(
        &self,
        list: NamedList<'_>,
        element: ElementId,
    ) -> Result<Option<ElementId>> {
        self.element_at(list, Some(element), |at| at.and_then(|at| at.checked_sub(1)))
    }

    fn element_at(
        &self,
        list: NamedList<'_>,
        element: Option<ElementId>,
        to: impl Fn(Option<usize>) -> Option<usize>,
    ) -> Result<Option<ElementId>> {
        let found = self.with_list(list, |tables, list| {
            let stored = tables.reader().stored_list(list)?;
            let at = match element {
                None => None,
                Some(element) => match tables.reader().position(list, &stored, element)? {
                    None => return Ok(None),
                    at => at,
                },
            };
            let at = to(at).filter(|at| *at < stored.len());
            at.map(|at| tables.reader().element(list, &stored, at)).transpose()
        })?;
        Ok(found.flatten().map(|element| element.id))
    }

    fn with_list<T>(
        &self,
        NamedList { target, property }: NamedList<'_>,
        body: impl FnOnce(&Self, ListRef<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let Some(table) = self.catalog.table(&target.class) else { return Ok(None) };
        let Some(column) = table.column(property).filter(|column| column.is_list()) else {
            return Ok(None);
        };
        let key = target.key.to_bytes();
        body(self, ColumnRef::new(table, column).list(&key)).map(Some)
    }

    /// Returns the properties that link to an object.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn link_sources(&self, target: &ObjectRef) -> Result<Vec<LinkSource>> {
        let Some(table) = self.catalog.table(&target.class) else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for origin in self.reader().origins(table, &target.key.to_bytes())? {
            let from = self.catalog.table_numbered(origin.class).ok_or_else(|| self.malformed())?;
            let column = from.column_numbered(origin.column).ok_or_else(|| self.malformed())?;
            let key = ObjectKey::from_bytes(&origin.object).ok_or_else(|| self.malformed())?;
            let list = ColumnRef::new(from, column).list(&origin.object);
            let elements = match column.is_list() {
                true => Some(self.elements_linking(list, &target.key)?),
                false => None,
            };
            let object = ObjectRef { class: from.name.clone(), key };
            found.push(LinkSource { object, property: column.name().to_owned(), elements });
        }
        Ok(found)
    }

    fn elements_linking(&self, list: ListRef<'_>, to: &ObjectKey) -> Result<Vec<ElementId>> {
        let reader = self.reader();
        let stored = reader.stored_list(list)?;
        let positions = reader.positions_linking(list, to)?;
        let id = |at: usize| reader.element(list, &stored, at).map(|element| element.id);
        positions.into_iter().map(id).collect()
    }
}

/// Trees of the replica.
impl Tables {
    /// Returns the value of a key of a tree of the replica.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn side_get(&self, at: SideKey<'_>) -> Result<Option<Bytes>> {
        ReadSource::Txn(&self.txn).tree(at.tree).get(at.key)
    }

    /// Sets the value of a key; its pre-image is recorded.
    ///
    /// # Errors
    /// As [`crate::TreeMut::insert`].
    pub fn side_insert(&mut self, at: SideKey<'_>, value: &[u8]) -> Result<()> {
        self.tree(at.tree)?.insert(at.key, value).map(drop)
    }

    /// Removes a key; its pre-image is recorded.
    ///
    /// # Errors
    /// As [`crate::TreeMut::remove`].
    pub fn side_remove(&mut self, at: SideKey<'_>) -> Result<()> {
        self.tree(at.tree)?.remove(at.key).map(drop)
    }

    /// Returns the first entry whose key begins with `prefix`, from the key `from` on.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn side_next(&self, prefix: SideKey<'_>, from: &[u8]) -> Result<Option<SideEntry>> {
        let tree = ReadSource::Txn(&self.txn).tree(prefix.tree);
        let Some(entry) = tree.range(from..)?.next() else { return Ok(None) };
        let (key, value) = entry?;
        let is_within = key.starts_with(prefix.key);
        Ok(is_within.then(|| (key.to_vec(), value.to_vec())))
    }

    /// Returns the last entry of a tree.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn side_last(&self, tree: &str) -> Result<Option<SideEntry>> {
        let last = ReadSource::Txn(&self.txn).tree(tree).range(..)?.next_back();
        last.map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec()))).transpose()
    }

    /// Returns the last entry of a tree whose key is less than one.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn side_before(&self, at: SideKey<'_>) -> Result<Option<SideEntry>> {
        let before = ReadSource::Txn(&self.txn).tree(at.tree).range(..at.key)?.next_back();
        before.map(|entry| entry.map(|(key, value)| (key.to_vec(), value.to_vec()))).transpose()
    }

    /// Returns keys of a tree in order, from one on, at most so many.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn side_keys(&self, from: SideKey<'_>, count: usize) -> Result<Vec<Vec<u8>>> {
        let tree = ReadSource::Txn(&self.txn).tree(from.tree);
        let keys = tree.range(from.key..)?.take(count);
        keys.map(|entry| entry.map(|(key, _)| key.to_vec())).collect()
    }

    /// Calls `visit` with every entry whose key begins with `prefix`, in order. It may change any
    /// tree.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged; the first error of `visit`.
    pub fn side_each(&mut self, prefix: SideKey<'_>, visit: &mut VisitSide<'_>) -> Result<()> {
        self.each(prefix.tree, prefix.key, visit)
    }

    /// Tells whether a tree is the one of the classes.
    #[must_use]
    pub fn is_catalog(&self, tree: &str) -> bool {
        tree == schema_tree(self.catalog.root())
    }

    /// Returns the object that an entry of a tree below the root belongs to, if it is one that
    /// shows a change of the object: its record, a list or a long value.
    #[must_use]
    pub fn object_of(&self, tree: &str, key: &[u8]) -> Option<ObjectId> {
        let below = tree.strip_prefix(self.catalog.root())?.strip_prefix('/')?;
        let (number, rest) = match below.find('.') {
            Some(at) => below.split_at(at),
            None => (below, ""),
        };
        let class = ClassId(number.parse().ok()?);
        let key = match rest {
            "" => key,
            ".apart" => key.get(2..)?,
            _ => return None,
        };
        Some(ObjectId { class, key: ObjectKey::from_bytes(key)? })
    }

    /// Returns the object that a back-link leads to, if an entry of a tree is one.
    #[must_use]
    pub fn linked_object_of(&self, tree: &str, key: &[u8]) -> Option<ObjectId> {
        let below = tree.strip_prefix(self.catalog.root())?.strip_prefix('/')?;
        let class = ClassId(below.strip_suffix(".links")?.parse().ok()?);
        let (target, _) = read_link(key)?;
        Some(ObjectId { class, key: ObjectKey::from_bytes(target)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreOptions;

    #[test]
    fn a_change_of_a_tree_shows_the_object() {
        let store = StoreOptions::new().in_memory().unwrap();
        let tables = Tables::open(store.write().unwrap(), "main").unwrap();
        let key = ObjectKey::Int(7);
        let id = ObjectId { class: ClassId(3), key: key.clone() };
        assert_eq!(tables.object_of("main/3", &key.to_vec()), Some(id.clone()));
        let apart = [&[0, 1][..], &key.to_vec()].concat();
        assert_eq!(tables.object_of("main/3.apart", &apart), Some(id));
        assert_eq!(tables.object_of("main/3.links", &apart), None);
        let linked = [&[0, 9][..], &key.to_vec(), &[0, 0, 0, 1, 0, 2, 7]].concat();
        let target = ObjectId { class: ClassId(3), key: key.clone() };
        assert_eq!(tables.linked_object_of("main/3.links", &linked), Some(target));
        assert_eq!(tables.linked_object_of("main/3", &linked), None);
        assert_eq!(tables.object_of("other/3", &key.to_vec()), None);
        assert_eq!(tables.object_of("main/schema", &[0]), None);
    }
}
