//! Dependents of a value: index entries, back-links, and values out of line.
//!
//! - B2 A link leads to an object that exists, or to none.
//! - B4 The back-links of an object are exactly the links that lead to it.
//! - Q2 An index holds exactly one entry for each object, at the object's value.
//!
//! Format: docs/objects.md#trees. Check: `sim::check::objects`.

use super::class_table::ClassTable;
use super::column::ColumnPlace;
use super::index;
use super::key::{LinkOrigin, link, out_of_line};
use super::reader::{ColumnRef, ListRef, RecordRef};
use super::record::{Cell, ValueBytes, cell};
use super::tables::Tables;
use super::value::{ElementId, ObjectId, ObjectKey, Value};
use crate::conc::Arc;
use crate::error::Result;
use crate::fault::{self, Fault};

/// A value that a property loses, and one that it gets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replaced<'v> {
    pub(crate) old: Option<&'v Value<'v>>,
    pub(crate) new: Option<&'v Value<'v>>,
}

/// A property that lost its links to a deleted object.
#[derive(Debug)]
pub(crate) struct Nullified {
    pub(crate) table: Arc<ClassTable>,
    pub(crate) column: u16,
    pub(crate) key: ObjectKey,
    /// The elements that were removed, if it is a list.
    pub(crate) elements: Vec<ElementId>,
}

impl<'v> Replaced<'v> {
    pub(crate) const fn by(old: &'v Value<'v>, new: &'v Value<'v>) -> Self {
        Self { old: Some(old), new: Some(new) }
    }

    pub(crate) const fn added(new: &'v Value<'v>) -> Self {
        Self { old: None, new: Some(new) }
    }

    pub(crate) const fn removed(old: &'v Value<'v>) -> Self {
        Self { old: Some(old), new: None }
    }
}

impl Tables {
    /// Removes the index entry of the old value of an object, and adds that of the new one.
    pub(crate) fn reindex(
        &mut self,
        field: ColumnRef<'_>,
        key: &[u8],
        value: Replaced<'_>,
    ) -> Result<()> {
        if !field.column.has_index_tree() {
            return Ok(());
        }
        let name = field.table.index_tree(field.column.number);
        let mut tree = self.tree(&name)?;
        if let Some(old) = value.old.filter(|_| !fault::on(Fault::Ob16)) {
            tree.remove(&index::entry(old, key))?;
        }
        if let Some(new) = value.new {
            tree.insert(&index::entry(new, key), &[])?;
        }
        Ok(())
    }

    /// Removes the back-link of the old value of an object, and adds that of the new one.
    pub(crate) fn relink(
        &mut self,
        field: ColumnRef<'_>,
        key: &[u8],
        value: Replaced<'_>,
    ) -> Result<()> {
        if let Some(Value::Link(to)) = value.old {
            self.count_link(field, key, to, |count| count.checked_sub(1))?;
        }
        if let Some(Value::Link(to)) = value.new {
            self.count_link(field, key, to, |count| count.checked_add(1))?;
        }
        Ok(())
    }

    /// Changes how often a property of an object links to another object. A count that would
    /// leave its range shows damage (B4).
    fn count_link(
        &mut self,
        field: ColumnRef<'_>,
        key: &[u8],
        to: &ObjectId,
        change: fn(u32) -> Option<u32>,
    ) -> Result<()> {
        let target = self.catalog.table_numbered(to.class).map(Arc::clone);
        let target = target.ok_or_else(|| self.malformed())?;
        let (class, column) = (field.table.id, field.column.number);
        let origin = LinkOrigin { class, column, object: key.to_vec() };
        let entry = link(&to.key.to_bytes(), &origin);
        let held = match self.tree(&target.trees.links)?.get(&entry)? {
            Some(bytes) => (*bytes).try_into().map(u32::from_le_bytes).ok(),
            None => Some(0),
        };
        let count = held.and_then(change).ok_or_else(|| self.malformed())?;
        let mut tree = self.tree(&target.trees.links)?;
        if count > 0 {
            tree.insert(&entry, &count.to_le_bytes())?;
        } else {
            tree.remove(&entry)?;
        }
        Ok(())
    }

    /// Writes a value that is too long for the record, and removes the entry of one that fits.
    pub(super) fn put_out_of_line(
        &mut self,
        field: ColumnRef<'_>,
        older: RecordRef<'_>,
        value: &ValueBytes<'_>,
    ) -> Result<()> {
        let ColumnRef { table, column } = field;
        let held = cell(older.record, column).ok_or_else(|| self.malformed())?;
        let entry = || out_of_line(column.number, older.key);
        match (value.cell(), value.get()) {
            (Cell::OutOfLine, Some(bytes)) => {
                self.tree(&table.trees.out_of_line)?.insert(&entry(), bytes)?;
            }
            _ if held == Cell::OutOfLine => {
                self.tree(&table.trees.out_of_line)?.remove(&entry())?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Moves the out-of-line value or list of a property to another object.
    pub(super) fn move_out_of_line(
        &mut self,
        field: ColumnRef<'_>,
        from: &[u8],
        to: &[u8],
    ) -> Result<()> {
        let ColumnRef { table, column } = field;
        let mut tree = self.tree(&table.trees.out_of_line)?;
        let entry = out_of_line(column.number, from);
        let held = tree.get(&entry)?.map(|held| held.to_vec());
        let Some(held) = held else { return Ok(()) };
        tree.remove(&entry)?;
        tree.insert(&out_of_line(column.number, to), &held)?;
        if column.is_list() { self.move_chunks(field.list(from), to) } else { Ok(()) }
    }

    /// Removes everything that depends on the value of a property outside of the record.
    pub(super) fn remove_dependents(
        &mut self,
        field: ColumnRef<'_>,
        row: RecordRef<'_>,
    ) -> Result<()> {
        match field.column.place {
            ColumnPlace::Key => Ok(()),
            ColumnPlace::Slot(_) => {
                let value = self.reader().value(field, row)?.into_owned();
                if !fault::on(Fault::Ob14) {
                    self.put_out_of_line(field, row, &ValueBytes::Null)?;
                }
                self.reindex(field, row.key, Replaced::removed(&value))?;
                self.relink(field, row.key, Replaced::removed(&value))
            }
            ColumnPlace::OutOfLine => {
                let list = field.list(row.key);
                let elements = match field.column.target() {
                    Some(_) => self.reader().list(list)?,
                    None => Vec::new(),
                };
                for element in &elements {
                    self.relink(field, row.key, Replaced::removed(&element.value))?;
                }
                self.remove_list(list)
            }
        }
    }

    /// Removes all links to an object: properties become null, list elements are removed.
    pub(super) fn nullify_links(
        &mut self,
        table: &ClassTable,
        key: &[u8],
    ) -> Result<Vec<Nullified>> {
        let mut nullified = Vec::new();
        for origin in self.reader().origins(table, key)? {
            let from = self.catalog.table_numbered(origin.class).map(Arc::clone);
            let from = from.ok_or_else(|| self.malformed())?;
            let column = from.column_numbered(origin.column).ok_or_else(|| self.malformed())?;
            let field = ColumnRef::new(&from, column);
            let [object, to] = [&origin.object[..], key].map(ObjectKey::from_bytes);
            let (Some(object), Some(to)) = (object, to) else { return Err(self.malformed()) };
            let mut elements = Vec::new();
            if column.is_list() {
                elements = self.remove_links(field.list(&origin.object), &to)?;
                self.tree(&table.trees.links)?.remove(&link(key, &origin))?;
            } else {
                let record = self.reader().record(&from, &object)?;
                let record = record.ok_or_else(|| self.malformed())?.to_vec();
                let row = RecordRef { key: &origin.object, record: &record };
                let to = Value::Link(ObjectId { class: table.id, key: to });
                self.replace_value(field, row, Replaced::by(&to, &Value::Null))?;
            }
            let column = origin.column;
            nullified.push(Nullified { table: Arc::clone(&from), column, key: object, elements });
        }
        Ok(nullified)
    }

    /// Removes the elements of a list that link to an object; returns their ids, in order. The
    /// caller removes the back-link.
    fn remove_links(&mut self, list: ListRef<'_>, to: &ObjectKey) -> Result<Vec<ElementId>> {
        let mut found = Vec::new();
        for at in self.reader().positions_linking(list, to)?.into_iter().rev() {
            let stored = self.reader().stored_list(list)?;
            found.extend(self.splice(list, stored, at..at + 1, &[])?);
        }
        Ok(found.into_iter().rev().map(|element| element.id).collect())
    }
}
