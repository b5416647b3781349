//! Creating, changing and deleting objects; several properties at once, or none of them.
//!
//! - B3 A refused operation changes nothing.
//!
//! Specification: docs/objects.md#operations, docs/objects.md#objects-as-a-whole.

use super::lookup::{class, list_too_long, property, read_key, type_error};
use super::transaction::Transaction;
use crate::conc::Arc;
use crate::error::{ObjectError, Result};
use crate::fault::{self, Fault};
use crate::schema::PropertyType;
#[cfg(doc)]
use crate::schema::SchemaError;
use crate::table::{
    ClassTable, Column, ColumnPlace, ColumnRef, EMPTY_RECORD, LIST_BYTES_MAX, ObjectId, ObjectKey,
    Operation, RecordRef, Replaced, Value, ValueChange, element_bytes,
};

/// The content of a property of any type.
#[derive(Clone, Debug, PartialEq)]
pub enum PropertyValue<'a> {
    /// One value; the sum of a counter.
    Value(Value<'a>),
    /// The values of the elements of a list.
    List(Vec<Value<'a>>),
}

/// Checked properties with their new contents, in the order they were given.
struct Checked<'a> {
    key: Option<ObjectKey>,
    values: Vec<(&'a Column, &'a Value<'a>)>,
    lists: Vec<(&'a Column, &'a [Value<'a>])>,
}

impl Transaction {
    /// Creates an object of a class without a primary key. Its properties are null, zero or empty.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`] or [`ObjectError::KeyMissing`].
    pub fn create(&mut self, class: &str) -> Result<ObjectId> {
        self.create_with(class, &[])
    }

    /// Creates an object with a primary key. Its other properties are null, zero or empty.
    ///
    /// # Errors
    /// [`ObjectError::KeyExists`] if it exists; [`ObjectError::ClassUnknown`],
    /// [`ObjectError::NoPrimaryKey`], [`ObjectError::Type`], [`ObjectError::KeyTooLong`], or
    /// [`SchemaError::NullInRequired`] if there cannot be such an object.
    pub fn create_with_key<'v>(
        &mut self,
        class: &str,
        key: impl Into<Value<'v>>,
    ) -> Result<ObjectId> {
        let (id, created) = self.get_or_create(class, key)?;
        if created {
            return Ok(id);
        }
        let (class, key) = (self.view().class_name(id.class)?.to_owned(), id.key.to_string());
        Err(ObjectError::KeyExists { class, key }.into())
    }

    /// Creates the object with a primary key unless it exists, and tells whether it was created.
    ///
    /// # Errors
    /// As [`Transaction::create_with_key`], except for an object that exists.
    pub fn get_or_create<'v>(
        &mut self,
        class: &str,
        key: impl Into<Value<'v>>,
    ) -> Result<(ObjectId, bool)> {
        let table = self.class(class)?;
        let no_key = || ObjectError::NoPrimaryKey { class: table.name.clone() };
        let name = table.key().ok_or_else(no_key)?.name();
        self.upsert(class, &[(name, PropertyValue::Value(key.into()))])
    }

    /// Returns the table of a class.
    pub(super) fn class(&self, name: &str) -> Result<Arc<ClassTable>> {
        class(self.tables.catalog(), name).map(Arc::clone)
    }

    /// Sets a property. A counter is set by adding the difference.
    ///
    /// # Errors
    /// [`ObjectError::ObjectNotFound`] if the object, or the target of the link, does not exist;
    /// [`ObjectError::PropertyUnknown`], [`ObjectError::Type`],
    /// [`ObjectError::PrimaryKeyImmutable`], [`SchemaError::NullInRequired`],
    /// [`SchemaError::StringTooLong`] or [`SchemaError::BinaryTooLong`] if it cannot have the
    /// value.
    pub fn set<'v>(
        &mut self,
        id: &ObjectId,
        property: &str,
        value: impl Into<Value<'v>>,
    ) -> Result<()> {
        let value = value.into();
        let table = self.table_of(id)?;
        let field = ColumnRef::new(&table, self::property(&table, property)?);
        match field.column.place {
            ColumnPlace::Key => return Err(key_immutable(field)),
            ColumnPlace::OutOfLine => return Err(type_error(field, value.type_name())),
            ColumnPlace::Slot(_) => self.check_value(field, &value)?,
        }
        let key = id.key.to_bytes();
        let record = self.record(&table, id)?;
        let row = RecordRef { key: &key, record: &record };
        let held = self.tables.reader().value(field, row).map(Value::into_owned);
        let held = self.noted(held)?;
        if held.bitwise_eq(&value) {
            return Ok(());
        }
        let replaced = Replaced::by(&held, &value);
        self.change(|txn| {
            txn.tables.replace_value(field, row, replaced)?;
            txn.note_value(field, &id.key, replaced);
            Ok(())
        })
    }

    /// Adds to a counter, and returns the sum. It wraps around at 64 bits.
    ///
    /// # Errors
    /// [`ObjectError::ObjectNotFound`], [`ObjectError::PropertyUnknown`], or [`ObjectError::Type`]
    /// if it is no counter.
    pub fn add(&mut self, id: &ObjectId, property: &str, by: i64) -> Result<i64> {
        let table = self.table_of(id)?;
        let field = ColumnRef::new(&table, self::property(&table, property)?);
        if *field.column.kind() != PropertyType::Counter {
            return Err(type_error(field, "a counter"));
        }
        let key = id.key.to_bytes();
        let record = self.record(&table, id)?;
        let row = RecordRef { key: &key, record: &record };
        let held = self.tables.reader().value(field, row).map(Value::into_owned);
        let Value::Int(held) = self.noted(held)? else {
            return Err(self.tables.reader().malformed());
        };
        let sum = held.wrapping_add(by);
        if by != 0 {
            let (old, new) = (Value::Int(held), Value::Int(sum));
            let replaced = Replaced::by(&old, &new);
            self.change(|txn| {
                txn.tables.replace_value(field, row, replaced)?;
                txn.note_value(field, &id.key, replaced);
                Ok(())
            })?;
        }
        Ok(sum)
    }

    /// Deletes an object. Links to it become null, and list elements that link to it are removed.
    ///
    /// # Errors
    /// [`ObjectError::ObjectNotFound`] if it does not exist.
    pub fn delete(&mut self, id: &ObjectId) -> Result<()> {
        let table = self.table_of(id)?;
        let record = self.record(&table, id)?;
        self.change(|txn| {
            let row = RecordRef { key: &id.key.to_bytes(), record: &record };
            let nullified = txn.tables.delete_object(&table, row)?;
            txn.note_nullified(nullified);
            txn.note(&table, &id.key, Operation::Delete);
            Ok(())
        })
    }

    /// Deletes all objects of a class, and returns how many there were.
    ///
    /// # Errors
    /// [`ObjectError::ClassUnknown`].
    pub fn delete_all(&mut self, class: &str) -> Result<u64> {
        let table = self.class(class)?;
        let (mut count, mut after) = (0, None);
        loop {
            let keys = self.tables.reader().keys_after(&table, after.as_ref());
            let keys = self.noted(keys)?;
            let Some(last) = keys.last() else { return Ok(count) };
            after = Some(last.clone());
            for key in keys {
                self.delete(&ObjectId { class: table.id, key })?;
                count += 1;
            }
        }
    }

    /// Creates an object with the given properties; the others are null, zero or empty. The primary
    /// key, if the class has one, is one of the properties.
    ///
    /// The effect is that of creating the object and setting one property after the other, but the
    /// call is refused before anything has changed, and is the fastest way to write many objects.
    ///
    /// ```
    /// use fastness::object::{Database, DatabaseOptions, PropertyValue};
    /// use fastness::schema::{Class, Property, PropertyType, Scalar, Schema};
    ///
    /// let tricks = PropertyType::List { of: Scalar::String, nullable: false };
    /// let dog = Class::new("Dog")?
    ///     .with(Property::new("name", Scalar::String)?.required().primary_key())
    ///     .with(Property::new("age", Scalar::Int)?)
    ///     .with(Property::new("friend", PropertyType::Object("Dog".into()))?)
    ///     .with(Property::new("tricks", tricks)?);
    /// let options = DatabaseOptions::schema(Schema::new([dog])?, 0);
    /// let database = Database::in_memory(&fastness::StoreOptions::new(), &options)?;
    ///
    /// let mut txn = database.write()?;
    /// let ida = txn.create_with("Dog", &[("name", "Ida".into()), ("age", 3.into())])?;
    /// txn.create_with(
    ///     "Dog",
    ///     &[
    ///         ("name", "Rex".into()),
    ///         ("friend", (&ida).into()),
    ///         ("tricks", PropertyValue::list(["sit", "roll"])),
    ///     ],
    /// )?;
    /// let (rex, created) = txn.upsert("Dog", &[("name", "Rex".into()), ("age", 7.into())])?;
    /// assert!(!created);
    /// txn.commit()?;
    ///
    /// let dogs = database.snapshot()?;
    /// let rex = dogs.object(&rex)?.unwrap();
    /// assert_eq!((rex.get("age")?, rex.get("friend")?), (7.into(), ida.into()));
    /// assert_eq!(rex.list("tricks")?.len(), 2);
    /// # Ok::<(), fastness::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ObjectError::KeyExists`] if it exists, [`ObjectError::KeyMissing`] if it has no key,
    /// [`ObjectError::KeyTooLong`], [`ObjectError::PropertyTwice`]; for each property as
    /// [`Transaction::set`] and [`ListMut::insert`](super::ListMut::insert).
    pub fn create_with(
        &mut self,
        class: &str,
        properties: &[(&str, PropertyValue<'_>)],
    ) -> Result<ObjectId> {
        let table = self.class(class)?;
        let checked = self.check_all(&table, properties);
        let checked = fault::object::create_refused(checked, self, &table, properties)?;
        match &checked.key {
            Some(key) if self.held(&table, key)?.is_some() => {
                let (class, key) = (table.name.clone(), key.to_string());
                Err(ObjectError::KeyExists { class, key }.into())
            }
            None if !table.has_rows() => {
                Err(ObjectError::KeyMissing { class: table.name.clone() }.into())
            }
            _ => self.create_checked(&table, &checked),
        }
    }

    /// Sets properties of the object with a primary key, which is created unless it exists; tells
    /// whether it was created. Other properties of an object that exists stay as they are.
    ///
    /// # Errors
    /// As [`Transaction::create_with`], except for an object that exists;
    /// [`ObjectError::NoPrimaryKey`] if the class has no primary key.
    pub fn upsert(
        &mut self,
        class: &str,
        properties: &[(&str, PropertyValue<'_>)],
    ) -> Result<(ObjectId, bool)> {
        let table = self.class(class)?;
        let checked = self.check_all(&table, properties)?;
        if table.has_rows() {
            return Err(ObjectError::NoPrimaryKey { class: table.name.clone() }.into());
        }
        let Some(key) = checked.key.clone() else {
            return Err(ObjectError::KeyMissing { class: table.name.clone() }.into());
        };
        if self.held(&table, &key)?.is_none() {
            return Ok((self.create_checked(&table, &checked)?, true));
        }
        let id = ObjectId { class: table.id, key };
        let record = self.record(&table, &id)?;
        self.update_checked(&table, &id, &record, &checked)?;
        Ok((id, false))
    }

    /// Sets several properties of an object. In a list, equal elements at the beginning and at the
    /// end keep their ids, and those in between are replaced.
    ///
    /// # Errors
    /// [`ObjectError::ObjectNotFound`], [`ObjectError::PrimaryKeyImmutable`], and for each property
    /// as [`Transaction::create_with`]. Nothing is changed then.
    pub fn update(
        &mut self,
        id: &ObjectId,
        properties: &[(&str, PropertyValue<'_>)],
    ) -> Result<()> {
        let table = self.table_of(id)?;
        let checked = self.check_all(&table, properties)?;
        if let (Some(_), Some(column)) = (&checked.key, table.key()) {
            return Err(key_immutable(ColumnRef::new(&table, column)));
        }
        let record = self.record(&table, id)?;
        self.update_checked(&table, id, &record, &checked)
    }

    /// Checks everything for which setting a property can be refused.
    fn check_all<'a>(
        &mut self,
        table: &'a ClassTable,
        properties: &'a [(&str, PropertyValue<'_>)],
    ) -> Result<Checked<'a>> {
        let mut checked = Checked { key: None, values: Vec::new(), lists: Vec::new() };
        checked.values.reserve(properties.len());
        let mut named = vec![false; table.next_column.into()];
        for (name, content) in properties {
            let field = ColumnRef::new(table, property(table, name)?);
            let column = field.column;
            let named = named.get_mut(usize::from(column.number));
            if named.is_some_and(|named| std::mem::replace(named, true)) {
                let (class, property) = (table.name.clone(), (*name).to_owned());
                return Err(ObjectError::PropertyTwice { class, property }.into());
            }
            match (content, column.place) {
                (PropertyValue::Value(value), ColumnPlace::Key) => {
                    checked.key = Some(read_key(table, value)?);
                }
                (PropertyValue::Value(value), ColumnPlace::Slot(_)) => {
                    self.check_value(field, value)?;
                    checked.values.push((column, value));
                }
                (PropertyValue::List(values), ColumnPlace::OutOfLine) => {
                    if !fault::on(Fault::Ob06) {
                        self.check_list(field, values)?;
                    }
                    checked.lists.push((column, values));
                }
                (content, _) => return Err(type_error(field, content.type_name())),
            }
        }
        Ok(checked)
    }

    /// Checks everything for which assigning a list can be refused.
    fn check_list(&mut self, field: ColumnRef<'_>, values: &[Value<'_>]) -> Result<()> {
        values.iter().try_for_each(|value| self.check_value(field, value))?;
        let fits = values.iter().map(element_bytes).sum::<usize>() <= LIST_BYTES_MAX;
        fits.then_some(()).ok_or_else(|| list_too_long(field))
    }

    /// Creates an object from checked properties.
    fn create_checked(&mut self, table: &ClassTable, checked: &Checked<'_>) -> Result<ObjectId> {
        self.change(|txn| {
            let key = match &checked.key {
                Some(key) => key.clone(),
                None => txn.tables.new_row_key()?,
            };
            let id = ObjectId { class: table.id, key };
            let key = id.key.to_bytes();
            let changes =
                txn.changes_of(table, RecordRef { key: &key, record: &EMPTY_RECORD }, checked)?;
            txn.tables.create_object(table, &key, &changes)?;
            txn.note(table, &id.key, Operation::Create);
            for ValueChange { column, old, new } in &changes {
                txn.note_value(ColumnRef::new(table, column), &id.key, Replaced::by(old, new));
            }
            for (column, values) in &checked.lists {
                txn.assign(ColumnRef::new(table, column), &id, &[], values)?;
            }
            Ok(id)
        })
    }

    /// Sets checked properties of an object.
    fn update_checked(
        &mut self,
        table: &ClassTable,
        id: &ObjectId,
        record: &[u8],
        checked: &Checked<'_>,
    ) -> Result<()> {
        let row = RecordRef { key: &id.key.to_bytes(), record };
        let changes = self.changes_of(table, row, checked);
        let changes = self.noted(changes)?;
        let mut lists = Vec::with_capacity(checked.lists.len());
        for (column, values) in &checked.lists {
            let field = ColumnRef::new(table, column);
            let held = self.tables.reader().list(field.list(row.key));
            lists.push((field, self.noted(held)?, *values));
        }
        self.change(|txn| {
            txn.tables.update_object(table, row, &changes)?;
            for ValueChange { column, old, new } in &changes {
                txn.note_value(ColumnRef::new(table, column), &id.key, Replaced::by(old, new));
            }
            for (field, held, values) in lists {
                txn.assign(field, id, &held, values)?;
            }
            Ok(())
        })
    }

    /// Returns the checked values that an object does not have yet.
    fn changes_of<'a>(
        &self,
        table: &ClassTable,
        row: RecordRef<'_>,
        checked: &Checked<'a>,
    ) -> Result<Vec<ValueChange<'a>>> {
        let mut changes = Vec::with_capacity(checked.values.len());
        for (column, value) in &checked.values {
            let old = self.tables.reader().value(ColumnRef::new(table, column), row)?;
            if !old.bitwise_eq(value) && !fault::object::is_overlooked(value) {
                changes.push(ValueChange { column, old: old.into_owned(), new: value });
            }
        }
        Ok(changes)
    }
}

fn key_immutable(field: ColumnRef<'_>) -> crate::error::Error {
    let (class, property) = (field.table.name.clone(), field.column.name().to_owned());
    ObjectError::PrimaryKeyImmutable { class, property }.into()
}

impl<'a> PropertyValue<'a> {
    /// Makes the content of a list.
    pub fn list<V: Into<Value<'a>>>(values: impl IntoIterator<Item = V>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }

    const fn type_name(&self) -> &'static str {
        match self {
            Self::Value(value) => value.type_name(),
            Self::List(_) => "a list",
        }
    }
}

impl<'a, T: Into<Value<'a>>> From<T> for PropertyValue<'a> {
    fn from(value: T) -> Self {
        Self::Value(value.into())
    }
}
