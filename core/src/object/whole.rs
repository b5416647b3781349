//! Several properties of an object at once: all of them, or none, and the record is written once.
//!
//! - B3 A refused operation changes nothing.
//!
//! Specification: docs/objects.md#objects-as-a-whole.

use super::catalog::{Column, Place, Table};
use super::list::{LIST_BYTES_MAX, element_bytes};
use super::lists::list_too_long;
use super::operation::Operation;
use super::record::{self, value_bytes};
use super::transaction::Transaction;
use super::value::{ObjectId, ObjectKey, Value};
use super::view::{read_key, type_error};
use crate::conc::Arc;
use crate::error::{ObjectError, Result};
use crate::fault::{self, Fault};

/// What a property holds, whatever its type.
#[derive(Clone, Debug, PartialEq)]
pub enum PropertyValue<'a> {
    /// One value; the sum of a counter.
    Value(Value<'a>),
    /// The values of the elements of a list.
    List(Vec<Value<'a>>),
}

/// Properties that were checked, with what they are to hold, in the order they were given.
struct Given<'a> {
    key: Option<ObjectKey>,
    values: Vec<(&'a Column, &'a Value<'a>)>,
    lists: Vec<(&'a Column, &'a [Value<'a>])>,
}

/// A property, what it holds, and what it is to hold.
type Change<'a> = (&'a Column, Value<'static>, &'a Value<'a>);

impl Transaction {
    /// Creates an object that holds what is given; what is not given is null, zero or empty. The
    /// primary key, if the class has one, is one of the properties.
    ///
    /// This does the same as creating the object and setting one property after the other, is
    /// refused before anything has changed, and is the fastest way to write many objects.
    ///
    /// ```
    /// use fastness::object::{PropertyValue, Database, DatabaseOptions};
    /// use fastness::schema::{Class, Property, PropertyType, Scalar, Schema};
    ///
    /// let tricks = PropertyType::List { of: Scalar::String, nullable: false };
    /// let dog = Class::new("Dog")?
    ///     .with(Property::new("name", Scalar::String)?.required().primary_key())
    ///     .with(Property::new("age", Scalar::Int)?)
    ///     .with(Property::new("friend", PropertyType::Object("Dog".into()))?)
    ///     .with(Property::new("tricks", tricks)?);
    /// let wanted = DatabaseOptions::schema(Schema::new([dog])?, 0);
    /// let database = Database::in_memory(&fastness::StoreOptions::new(), &wanted)?;
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
    /// [`ObjectError::KeyExists`] if it is there, [`ObjectError::KeyMissing`] if it has no key,
    /// [`ObjectError::KeyTooLong`], [`ObjectError::PropertyTwice`]; of each property what
    /// [`Transaction::set`] and [`ListMut::insert`](super::ListMut::insert) say.
    pub fn create_with(
        &mut self,
        class: &str,
        properties: &[(&str, PropertyValue<'_>)],
    ) -> Result<ObjectId> {
        let table = Arc::clone(self.catalog.table(class)?);
        let given = self.check_all(&table, properties);
        if given.is_err() && fault::on(Fault::Ob09) {
            self.create_with_key_of(&table, properties)?;
        }
        let given = given?;
        match &given.key {
            Some(key) if self.held(&table, key)?.is_some() => {
                let (class, key) = (table.name.clone(), key.to_string());
                Err(ObjectError::KeyExists { class, key }.into())
            }
            None if !table.has_rows() => {
                Err(ObjectError::KeyMissing { class: table.name.clone() }.into())
            }
            _ => self.create_given(&table, &given),
        }
    }

    /// What [`Fault::Ob09`] does.
    fn create_with_key_of(
        &mut self,
        table: &Table,
        all: &[(&str, PropertyValue<'_>)],
    ) -> Result<()> {
        let is_key = |name| table.column(name).is_ok_and(|column| column.place == Place::Key);
        let key: Vec<_> = all.iter().filter(|(name, _)| is_key(name)).cloned().collect();
        match key.len() < all.len() {
            true => self.create_with(&table.name, &key).map(drop),
            false => Ok(()),
        }
    }

    /// Sets properties of the object with a primary key, which is created unless it is there;
    /// tells whether it was created. Of one that is there, what is not given stays as it is.
    ///
    /// # Errors
    /// As [`Transaction::create_with`], but for one that is there; [`ObjectError::NoPrimaryKey`] if
    /// the class has no primary key.
    pub fn upsert(
        &mut self,
        class: &str,
        properties: &[(&str, PropertyValue<'_>)],
    ) -> Result<(ObjectId, bool)> {
        let table = Arc::clone(self.catalog.table(class)?);
        let given = self.check_all(&table, properties)?;
        if table.has_rows() {
            return Err(ObjectError::NoPrimaryKey { class: table.name.clone() }.into());
        }
        let Some(key) = given.key.clone() else {
            return Err(ObjectError::KeyMissing { class: table.name.clone() }.into());
        };
        if self.held(&table, &key)?.is_none() {
            return Ok((self.create_given(&table, &given)?, true));
        }
        let id = ObjectId { class: table.id, key };
        let record = self.record(&table, &id)?;
        self.set_given(&table, (&id, &record), &given)?;
        Ok((id, false))
    }

    /// Sets several properties of an object. In a list, the elements that are alike at the
    /// beginning and at the end stay what they are, and those in between are replaced.
    ///
    /// # Errors
    /// [`ObjectError::ObjectNotFound`], [`ObjectError::PrimaryKeyImmutable`], and as [`Transaction::create_with`] of
    /// each property. Nothing is changed then.
    pub fn update(
        &mut self,
        id: &ObjectId,
        properties: &[(&str, PropertyValue<'_>)],
    ) -> Result<()> {
        let table = Arc::clone(self.catalog.table_numbered(id.class)?);
        let given = self.check_all(&table, properties)?;
        if let (Some(_), Some(column)) = (&given.key, table.key()) {
            let (class, property) = (table.name.clone(), column.name().to_owned());
            return Err(ObjectError::PrimaryKeyImmutable { class, property }.into());
        }
        let record = self.record(&table, id)?;
        self.set_given(&table, (id, &record), &given)
    }

    /// Checks everything for which setting a property can be refused.
    fn check_all<'a>(
        &mut self,
        table: &'a Table,
        properties: &'a [(&str, PropertyValue<'_>)],
    ) -> Result<Given<'a>> {
        let mut given = Given { key: None, values: Vec::new(), lists: Vec::new() };
        given.values.reserve(properties.len());
        let mut named = vec![false; table.next_column.into()];
        for (name, content) in properties {
            let column = table.column(name)?;
            let named = named.get_mut(usize::from(column.number));
            if named.is_some_and(|named| std::mem::replace(named, true)) {
                let (class, property) = (table.name.clone(), (*name).to_owned());
                return Err(ObjectError::PropertyTwice { class, property }.into());
            }
            match (content, column.place) {
                (PropertyValue::Value(value), Place::Key) => {
                    given.key = Some(read_key(table, value)?)
                }
                (PropertyValue::Value(value), Place::Slot(_)) => {
                    self.check_value((table, column), value)?;
                    given.values.push((column, value));
                }
                (PropertyValue::List(values), Place::Apart) if fault::on(Fault::Ob06) => {
                    given.lists.push((column, values));
                }
                (PropertyValue::List(values), Place::Apart) => {
                    values.iter().try_for_each(|value| self.check_value((table, column), value))?;
                    if values.iter().map(element_bytes).sum::<usize>() > LIST_BYTES_MAX {
                        return Err(list_too_long(table, column));
                    }
                    given.lists.push((column, values));
                }
                (content, _) => {
                    let names = (column.kind().to_string(), content.type_name().to_owned());
                    return Err(type_error(table, column, names));
                }
            }
        }
        Ok(given)
    }

    /// Creates an object of which it was checked that it can be.
    fn create_given(&mut self, table: &Table, given: &Given<'_>) -> Result<ObjectId> {
        self.change(|txn| {
            let key = match &given.key {
                Some(key) => key.clone(),
                None => ObjectKey::Row(txn.take_number()?),
            };
            let id = ObjectId { class: table.id, key };
            let changes = txn.changes_of(table, (&id, &record::EMPTY), given)?;
            let record = txn.put_record(table, (&id, None), &changes)?;
            let key = id.key.to_bytes();
            for column in table.columns.iter().filter(|column| column.has_index_tree()) {
                let value = txn.view().read_value((table, column), (&key, &record))?.into_owned();
                txn.index((table.id, column), &key, (None, Some(&value)))?;
            }
            txn.note(table, &id.key, Operation::Create);
            for (column, held, value) in &changes {
                txn.link_anew((table.id, column), &key, (held, value))?;
                txn.note_value((table, column), &id.key, (held, value));
            }
            for (column, values) in &given.lists {
                txn.assign((table, column), &id, (Vec::new(), values))?;
            }
            Ok(id)
        })
    }

    /// Sets properties of an object of which it was checked that none is refused.
    fn set_given(
        &mut self,
        table: &Table,
        (id, record): (&ObjectId, &[u8]),
        given: &Given<'_>,
    ) -> Result<()> {
        let key = id.key.to_bytes();
        let changes = self.changes_of(table, (id, record), given);
        let changes = self.noted(changes)?;
        let mut lists = Vec::with_capacity(given.lists.len());
        for (column, values) in &given.lists {
            let held = self.view().read_list((table, column), &key);
            lists.push((*column, self.noted(held)?, *values));
        }
        self.change(|txn| {
            if !changes.is_empty() {
                txn.put_record(table, (id, Some(record)), &changes)?;
            }
            for (column, held, value) in &changes {
                txn.index_and_link((table, column), &key, (held, value))?;
                txn.note_value((table, column), &id.key, (held, value));
            }
            for (column, held, values) in lists {
                txn.assign((table, column), id, (held, values))?;
            }
            Ok(())
        })
    }

    /// Returns the values that an object does not have yet.
    fn changes_of<'a>(
        &self,
        table: &Table,
        (id, record): (&ObjectId, &[u8]),
        given: &Given<'a>,
    ) -> Result<Vec<Change<'a>>> {
        let key = id.key.to_bytes();
        let mut changes = Vec::with_capacity(given.values.len());
        for (column, value) in &given.values {
            let held = self.view().read_value((table, column), (&key, record))?;
            let overlooked = **value == Value::Null && fault::on(Fault::Ob05);
            if !overlooked && !held.bitwise_eq(value) {
                changes.push((*column, held.into_owned(), *value));
            }
        }
        Ok(changes)
    }

    /// Writes the record of an object, an older one with some values changed, and what is apart.
    fn put_record(
        &mut self,
        table: &Table,
        (id, older): (&ObjectId, Option<&[u8]>),
        changes: &[Change<'_>],
    ) -> Result<Vec<u8>> {
        let key = id.key.to_bytes();
        let bytes: Vec<_> = changes.iter().map(|(.., value)| value_bytes(value)).collect();
        let mut cells = Vec::with_capacity(changes.len());
        for ((column, ..), bytes) in changes.iter().zip(&bytes) {
            self.keep_apart((table, column), &key, (older.unwrap_or(&record::EMPTY), bytes))?;
            cells.push((*column, bytes.cell()));
        }
        let record = record::write(table, older, &cells);
        let record = record.ok_or_else(|| self.view().malformed())?;
        self.txn.tree(&table.trees.objects)?.insert(&key, &record)?;
        Ok(record)
    }
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
