//! Views: reading objects, of a snapshot or within a transaction.

use super::lookup::{self, class_numbered, list_property, read_key, type_error, value_property};
use crate::conc::Arc;
use crate::error::{Error, ObjectError, Result};
use crate::schema::Schema;
use crate::table::{
    ClassId, ClassTable, Column, ColumnPlace, ColumnRef, ELEMENTS_MAX, Element, Elements, ObjectId,
    ObjectKey, RecordSlot, TableReader, Value, links_from, plain, read_link,
};
use crate::tree::{Bytes, Range};
use crate::txn::TreeReader;

/// The objects of a file at one moment: of a snapshot, or as a transaction sees them.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub(super) tables: TableReader<'a>,
}

/// The objects of one class.
#[derive(Clone, Debug)]
pub struct Objects<'a> {
    pub(super) view: View<'a>,
    pub(super) table: &'a Arc<ClassTable>,
    pub(super) tree: TreeReader<'a>,
}

/// An object, as it is in a snapshot or was when a transaction read it.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    view: View<'a>,
    pub(super) table: &'a ClassTable,
    key: ObjectKey,
    record: Bytes,
}

/// Properties of a class that were found by their names once, to be read of many objects.
#[derive(Clone, Copy, Debug)]
pub struct Projection<'a, const N: usize> {
    table: &'a ClassTable,
    columns: [&'a Column; N],
    slots: [Option<RecordSlot>; N],
}

/// Walks the objects of a class, in the order of their keys.
#[derive(Debug)]
pub struct ObjectIter<'a> {
    objects: Objects<'a>,
    range: Range<'a>,
    has_failed: bool,
}

impl<'a> View<'a> {
    /// Returns the classes and properties the file holds.
    ///
    /// # Errors
    /// If the stored schema is malformed.
    pub fn schema(&self) -> Result<Schema> {
        self.tables.catalog.schema().map_err(|_| self.tables.malformed())
    }

    /// Returns the version of the schema; none if the file never had one.
    #[must_use]
    pub const fn schema_version(&self) -> Option<u64> {
        self.tables.catalog.version
    }

    /// Returns the objects of a class.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`].
    pub fn objects(&self, class: &str) -> Result<Objects<'a>> {
        Ok(self.of_table(lookup::class(self.tables.catalog, class)?))
    }

    /// Returns the name of the class of a number.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`].
    pub fn class_name(&self, class: ClassId) -> Result<&'a str> {
        class_numbered(self.tables.catalog, class).map(|table| table.name.as_str())
    }

    /// Returns an object; none if it is not there.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`]; if a page cannot be read or is damaged.
    pub fn object(&self, id: &ObjectId) -> Result<Option<Object<'a>>> {
        let table = class_numbered(self.tables.catalog, id.class)?;
        self.of_table(table).by_key(id.key.clone())
    }

    /// Returns the links to an object from a property of a class, in the order of their objects.
    /// An object that links twice is returned twice.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`], [`ObjectError::PropertyUnknown`], or [`ObjectError::Type`] if
    /// the property holds no links to the object's class; if a page cannot be read or is damaged.
    pub fn backlinks(&self, to: &ObjectId, class: &str, property: &str) -> Result<Vec<ObjectId>> {
        let target = class_numbered(self.tables.catalog, to.class)?;
        let origin = lookup::class(self.tables.catalog, class)?;
        let column = lookup::property(origin, property)?;
        if column.target() != Some(&target.name) {
            return Err(type_error(ColumnRef::new(origin, column), &target.name));
        }
        let prefix = links_from(&to.key.to_bytes(), origin.id, column.number);
        let mut found = Vec::new();
        for entry in self.tables.source.tree(&target.trees.links).range(&prefix[..]..)? {
            let (key, count) = entry?;
            if !key.starts_with(&prefix) {
                break;
            }
            let read = || {
                let (_, at) = read_link(&key)?;
                let key = ObjectKey::from_bytes(&at.object)?;
                let count = u32::from_le_bytes((*count).try_into().ok()?);
                // A hostile count must not cost more than a list can.
                let count = Some(count).filter(|count| *count as usize <= ELEMENTS_MAX)?;
                Some((ObjectId { class: origin.id, key }, count))
            };
            let (object, count) = read().ok_or_else(|| self.tables.malformed())?;
            found.extend((0..count).map(|_| object.clone()));
        }
        Ok(found)
    }

    pub(super) fn of_table(&self, table: &'a Arc<ClassTable>) -> Objects<'a> {
        Objects { view: *self, table, tree: self.tables.source.tree(&table.trees.objects) }
    }
}

impl<'a> Objects<'a> {
    /// Returns the number of the class.
    #[must_use]
    pub fn class(&self) -> ClassId {
        self.table.id
    }

    /// Returns the name of the class.
    #[must_use]
    pub fn class_name(&self) -> &'a str {
        &self.table.name
    }

    /// Returns how many objects there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.tree.len()
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the object with a primary key; none if it is not there.
    ///
    /// # Errors
    /// [`ObjectError::NoPrimaryKey`] if the class has no primary key, [`ObjectError::Type`] if the
    /// key is of another type; if a page cannot be read or is damaged.
    #[inline]
    pub fn get<'v>(&self, key: impl Into<Value<'v>>) -> Result<Option<Object<'a>>> {
        match read_key(self.table, &key.into()) {
            Ok(key) => self.by_key(key),
            // No object has such a key.
            Err(Error::Object(ObjectError::KeyTooLong { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Finds properties by their names, for [`Object::project`].
    ///
    /// # Errors
    /// [`ObjectError::PropertyUnknown`], or [`ObjectError::Type`] for a list.
    pub fn projection<const N: usize>(&self, names: [&str; N]) -> Result<Projection<'a, N>> {
        let table = &**self.table;
        let mut columns = Vec::with_capacity(N);
        for name in names {
            columns.push(value_property(table, name)?);
        }
        let columns: [_; N] = std::array::from_fn(|index| columns[index]);
        Ok(Projection { table, columns, slots: columns.map(RecordSlot::of) })
    }

    /// Walks all objects, in the order of their keys. The walk ends with its first error.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn iter(&self) -> Result<ObjectIter<'a>> {
        let range = self.tree.range(..)?;
        Ok(ObjectIter { range, objects: self.clone(), has_failed: false })
    }

    /// Walks all objects that can be read, in the order of their keys. Where a page is damaged or
    /// cannot be read, an error stands for all objects that it held, and the walk goes on.
    pub fn salvage(&self) -> impl Iterator<Item = Result<Object<'a>>> + use<'a> {
        let objects = self.clone();
        self.tree.salvage().map(move |entry| entry.and_then(|entry| objects.read(entry)))
    }

    /// Takes an entry of the tree for an object.
    fn read(&self, (key, record): (Bytes, Bytes)) -> Result<Object<'a>> {
        let key = ObjectKey::from_bytes(&key).ok_or_else(|| self.view.tables.malformed())?;
        Ok(Object { view: self.view, table: self.table, key, record })
    }

    /// Returns the object with a key; none if it is not there.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    #[inline]
    pub fn by_key(&self, key: ObjectKey) -> Result<Option<Object<'a>>> {
        let record = self.tree.get(&key.to_bytes())?;
        Ok(record.map(|record| Object { view: self.view, table: self.table, key, record }))
    }
}

impl<'a> Object<'a> {
    /// Returns what the object is addressed by.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        ObjectId { class: self.table.id, key: self.key.clone() }
    }

    /// Returns its key within the class.
    #[must_use]
    pub const fn key(&self) -> &ObjectKey {
        &self.key
    }

    /// Returns the name of its class.
    #[must_use]
    pub fn class_name(&self) -> &'a str {
        &self.table.name
    }

    /// Returns the value of a property.
    ///
    /// # Errors
    /// [`ObjectError::PropertyUnknown`], [`ObjectError::Type`] for a list; if a page cannot be read
    /// or is damaged.
    pub fn get(&self, property: &str) -> Result<Value<'_>> {
        self.value(value_property(self.table, property)?)
    }

    /// Returns the values of properties that were found before: the fastest way to read the same
    /// ones of many objects.
    ///
    /// ```
    /// # use fastness::object::{Database, DatabaseOptions};
    /// # use fastness::schema::{Class, Property, Scalar, Schema};
    /// # let dog = Class::new("Dog")?
    /// #     .with(Property::new("name", Scalar::String)?.required().primary_key())
    /// #     .with(Property::new("age", Scalar::Int)?);
    /// # let wanted = DatabaseOptions::schema(Schema::new([dog])?, 0);
    /// # let database = Database::in_memory(&fastness::StoreOptions::new(), &wanted)?;
    /// # database.transact(|txn| txn.create_with_key("Dog", "Rex").map(drop))?;
    /// # let snapshot = database.snapshot()?;
    /// let dogs = snapshot.objects("Dog")?;
    /// let wanted = dogs.projection(["name", "age"])?;
    /// for dog in dogs.iter()? {
    ///     let dog = dog?;
    ///     let [name, age] = dog.project(&wanted)?;
    ///     assert_eq!((name, age), ("Rex".into(), 0.into()));
    /// }
    /// # Ok::<(), fastness::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ObjectError::PropertyUnknown`] or [`ObjectError::Type`] if the properties are those of
    /// another class, and this one has none that are alike; if a page cannot be read or is damaged.
    pub fn project<const N: usize>(&self, of: &Projection<'_, N>) -> Result<[Value<'_>; N]> {
        let record = &*self.record;
        let same = std::ptr::eq(self.table, of.table);
        let mut values = [const { Value::Null }; N];
        for (index, value) in values.iter_mut().enumerate() {
            let slot = of.slots[index].filter(|_| same);
            *value = match slot.and_then(|slot| slot.plain(record)) {
                Some(plain) => plain,
                None => self.value_like(of.columns[index], same)?,
            };
        }
        Ok(values)
    }

    /// Returns the value of a property of this class, or of one like it.
    #[cold]
    fn value_like(&self, column: &Column, same: bool) -> Result<Value<'_>> {
        if same { self.value(column) } else { self.get(column.name()) }
    }

    fn value(&self, column: &Column) -> Result<Value<'_>> {
        if let Some(value) = plain(&self.record, column) {
            return Ok(value);
        }
        if column.place == ColumnPlace::Key {
            return Ok(self.key.value());
        }
        let (field, key) = (ColumnRef::new(self.table, column), self.key.to_bytes());
        self.view.tables.value_in(field, &self.record, &key)
    }

    /// Returns the elements of a list.
    ///
    /// # Errors
    /// [`ObjectError::PropertyUnknown`], or [`ObjectError::Type`] if it is no list; if a page
    /// cannot be read or is damaged.
    pub fn list(&self, property: &str) -> Result<Vec<Element>> {
        let column = list_property(self.table, property)?;
        self.view.tables.list(ColumnRef::new(self.table, column).list(&self.key.to_bytes()))
    }

    /// Walks the elements of a list; a long one is read chunk by chunk.
    ///
    /// # Errors
    /// As [`Object::list`].
    pub fn elements(&self, property: &str) -> Result<Elements<'a>> {
        let column = list_property(self.table, property)?;
        self.view.tables.elements(ColumnRef::new(self.table, column), &self.key.to_bytes())
    }

    /// Returns the objects that link here from a property of a class; see [`View::backlinks`].
    ///
    /// # Errors
    /// As [`View::backlinks`].
    pub fn backlinks(&self, class: &str, property: &str) -> Result<Vec<ObjectId>> {
        self.view.backlinks(&self.id(), class, property)
    }
}

impl<'a> Iterator for ObjectIter<'a> {
    type Item = Result<Object<'a>>;

    /// After an error, also one in the record of an object, there is nothing more (A4).
    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        let object = self.range.next()?.and_then(|entry| self.objects.read(entry));
        self.has_failed = object.is_err();
        Some(object)
    }
}

impl std::iter::FusedIterator for ObjectIter<'_> {}
