//! Objects: records with everything that depends on their values.
//!
//! Check: `sim::check::objects`.

use super::backlinks::{Nullified, Replaced};
use super::class_table::ClassTable;
use super::column::Column;
use super::reader::{ColumnRef, RecordRef};
use super::record::{self, value_bytes};
use super::tables::Tables;
use super::value::Value;
use crate::error::Result;

/// A property, the value that it has, and the one that it gets.
#[derive(Debug)]
pub(crate) struct ValueChange<'v> {
    pub(crate) column: &'v Column,
    pub(crate) old: Value<'static>,
    pub(crate) new: &'v Value<'v>,
}

impl Tables {
    /// Creates an object with some values, and returns its record. The key must be free.
    pub(crate) fn create_object(
        &mut self,
        table: &ClassTable,
        key: &[u8],
        changes: &[ValueChange<'_>],
    ) -> Result<()> {
        let record = self.put_record(table, key, None, changes)?;
        for column in table.columns.iter().filter(|column| column.has_index_tree()) {
            let field = ColumnRef::new(table, column);
            let row = RecordRef { key, record: &record };
            let value = self.reader().value(field, row)?.into_owned();
            self.reindex(field, key, Replaced::added(&value))?;
        }
        for ValueChange { column, old, new } in changes {
            self.relink(ColumnRef::new(table, column), key, Replaced::by(old, new))?;
        }
        Ok(())
    }

    /// Changes several values of an object.
    pub(crate) fn update_object(
        &mut self,
        table: &ClassTable,
        row: RecordRef<'_>,
        changes: &[ValueChange<'_>],
    ) -> Result<()> {
        if !changes.is_empty() {
            self.put_record(table, row.key, Some(row.record), changes)?;
        }
        for ValueChange { column, old, new } in changes {
            let field = ColumnRef::new(table, column);
            self.reindex(field, row.key, Replaced::by(old, new))?;
            self.relink(field, row.key, Replaced::by(old, new))?;
        }
        Ok(())
    }

    /// Changes one value of an object.
    pub(crate) fn replace_value(
        &mut self,
        field: ColumnRef<'_>,
        row: RecordRef<'_>,
        value: Replaced<'_>,
    ) -> Result<()> {
        let ColumnRef { table, column } = field;
        let bytes = value_bytes(value.new.unwrap_or(&Value::Null));
        self.put_out_of_line(field, row, &bytes)?;
        let record = record::write(table, Some(row.record), &[(column, bytes.cell())]);
        let record = record.ok_or_else(|| self.malformed())?;
        self.tree(&table.trees.objects)?.insert(row.key, &record)?;
        self.reindex(field, row.key, value)?;
        self.relink(field, row.key, value)
    }

    /// Deletes an object with everything that depends on it, and returns the properties that
    /// linked to it.
    pub(crate) fn delete_object(
        &mut self,
        table: &ClassTable,
        row: RecordRef<'_>,
    ) -> Result<Vec<Nullified>> {
        for column in &*table.columns {
            self.remove_dependents(ColumnRef::new(table, column), row)?;
        }
        let nullified = self.nullify_links(table, row.key)?;
        self.tree(&table.trees.objects)?.remove(row.key)?;
        Ok(nullified)
    }

    /// Writes the record of an object, an older one with some values changed, and values out of
    /// line.
    fn put_record(
        &mut self,
        table: &ClassTable,
        key: &[u8],
        older: Option<&[u8]>,
        changes: &[ValueChange<'_>],
    ) -> Result<Vec<u8>> {
        let bytes: Vec<_> = changes.iter().map(|change| value_bytes(change.new)).collect();
        let mut cells = Vec::with_capacity(changes.len());
        let row = RecordRef { key, record: older.unwrap_or(&record::EMPTY) };
        for (change, bytes) in changes.iter().zip(&bytes) {
            self.put_out_of_line(ColumnRef::new(table, change.column), row, bytes)?;
            cells.push((change.column, bytes.cell()));
        }
        let record = record::write(table, older, &cells);
        let record = record.ok_or_else(|| self.malformed())?;
        self.tree(&table.trees.objects)?.insert(key, &record)?;
        Ok(record)
    }
}
