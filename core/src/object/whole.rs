//! Several properties of an object at once: all of them, or none.
//!
//! - B3 A refused operation changes nothing.
//!
//! Specification: docs/objects.md#typed-objects.

use super::catalog::{Column, Place, Table};
use super::list::{Element, check_room};
use super::lists::{list_too_long, new_element};
use super::record::value_bytes;
use super::transaction::Transaction;
use super::value::{ObjectId, Value};
use super::view::type_error;
use crate::conc::Arc;
use crate::error::{ObjectError, Result};
use crate::fault::{self, Fault};

/// What a property holds, whatever its type.
#[derive(Clone, Debug, PartialEq)]
pub enum Content<'a> {
    /// One value; the sum of a counter.
    Value(Value<'a>),
    /// The values of the elements of a list.
    List(Vec<Value<'a>>),
}

impl Transaction {
    /// Creates an object with properties. A key is given exactly if the class has a primary key.
    pub(crate) fn create_whole(
        &mut self,
        class: &str,
        key: Option<Value<'_>>,
        properties: &[(&str, Content<'_>)],
    ) -> Result<ObjectId> {
        let table = Arc::clone(self.catalog.table(class)?);
        if !fault::on(Fault::Ob09) {
            self.check_all(&table, properties)?;
        }
        let id = match key {
            Some(key) => self.create_with_key(class, key)?,
            None => self.create(class)?,
        };
        if fault::on(Fault::Ob09) {
            self.check_all(&table, properties)?;
        }
        self.set_checked(&id, properties)?;
        Ok(id)
    }

    /// Sets the properties of the object with a primary key, which is created unless it is there.
    /// Tells whether it was created.
    pub(crate) fn upsert_whole(
        &mut self,
        class: &str,
        key: Value<'_>,
        properties: &[(&str, Content<'_>)],
    ) -> Result<(ObjectId, bool)> {
        self.check_all(&Arc::clone(self.catalog.table(class)?), properties)?;
        let (id, created) = self.upsert(class, key)?;
        self.set_checked(&id, properties)?;
        Ok((id, created))
    }

    /// Sets properties of an object that is there.
    pub(crate) fn set_whole(
        &mut self,
        id: &ObjectId,
        properties: &[(&str, Content<'_>)],
    ) -> Result<()> {
        self.check_all(&Arc::clone(self.catalog.table_numbered(id.class)?), properties)?;
        self.set_checked(id, properties)
    }

    /// Checks everything for which setting a property can be refused.
    fn check_all(&mut self, table: &Table, properties: &[(&str, Content<'_>)]) -> Result<()> {
        for (name, content) in properties {
            let column = table.column(name)?;
            match (content, column.place) {
                (_, Place::Key) => {
                    let (class, property) = (table.name.clone(), (*name).to_owned());
                    return Err(ObjectError::KeyFixed { class, property }.into());
                }
                (Content::Value(value), Place::Slot(_)) => {
                    self.check_value((table, column), value)?;
                }
                (Content::List(_), Place::Apart) if fault::on(Fault::Ob06) => {}
                (Content::List(values), Place::Apart) => {
                    values.iter().try_for_each(|value| self.check_value((table, column), value))?;
                    let elements: Vec<Element> = values.iter().map(new_element).collect();
                    if !check_room(&elements) {
                        return Err(list_too_long(table, column));
                    }
                }
                (content, _) => {
                    let names = (column.kind().to_string(), content.type_name().to_owned());
                    return Err(type_error(table, column, names));
                }
            }
        }
        Ok(())
    }

    /// Sets properties of which it was checked that none is refused. The record is written once.
    fn set_checked(&mut self, id: &ObjectId, properties: &[(&str, Content<'_>)]) -> Result<()> {
        let table = Arc::clone(self.catalog.table_numbered(id.class)?);
        let key = id.key.to_bytes();
        let record = self.record(&table, id)?;
        let mut changes: Vec<Change<'_, '_>> = Vec::new();
        for (name, content) in properties {
            let Content::Value(value) = content else { continue };
            let column = table.column(name)?;
            let held = self.view().read_value((&table, column), (&key, &record));
            let held = held.map(Value::into_owned);
            let held = self.noted(held)?;
            let overlooked = *value == Value::Null && fault::on(Fault::Ob05);
            if !overlooked && !held.is_same(value) {
                changes.push((column, held, value));
            }
        }
        if !changes.is_empty() {
            self.change(|txn| txn.replace_all(&table, (id, &record), &changes))?;
        }
        for (name, content) in properties {
            if let Content::List(values) = content {
                self.list(id, name)?.assign(values)?;
            }
        }
        Ok(())
    }

    fn replace_all(
        &mut self,
        table: &Table,
        (id, record): (&ObjectId, &[u8]),
        changes: &[Change<'_, '_>],
    ) -> Result<()> {
        let key = id.key.to_bytes();
        let bytes: Vec<_> = changes.iter().map(|(.., value)| value_bytes(value)).collect();
        let mut cells = Vec::with_capacity(changes.len());
        for ((column, ..), bytes) in changes.iter().zip(&bytes) {
            self.keep_apart((table, column), &key, (record, bytes))?;
            cells.push((column.number, bytes.cell()));
        }
        self.write_record(table, (&key, record), &cells)?;
        for (column, held, value) in changes {
            self.index_and_link((table, column), &key, (held, value))?;
            self.note_value((table, column), &id.key, (held, value));
        }
        Ok(())
    }
}

/// A property, what it holds, and what it is to hold.
type Change<'a, 'v> = (&'a Column, Value<'static>, &'a Value<'v>);

impl Content<'_> {
    const fn type_name(&self) -> &'static str {
        match self {
            Self::Value(value) => value.type_name(),
            Self::List(_) => "a list",
        }
    }
}
