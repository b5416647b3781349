//! Rebuilding a class: changes that give its objects another form or other keys, which links to
//! them follow. It works object by object: beside the pages that the transaction changed, it holds
//! a few objects in memory.
//!
//! - B2 A link leads to an object that exists, or to none.
//! - B4 The back-links of an object are exactly the links that lead to it.
//!
//! Specification: docs/objects.md#rebuilding-a-class.

use super::alter::{without_index, without_key};
use super::backlinks::Replaced;
use super::class_table::ClassTable;
use super::column::{Column, ColumnPlace};
use super::reader::{ColumnRef, RecordRef};
use super::record::{self, Cell, cell, value_bytes};
use super::tables::{Tables, Touch};
use super::value::{ObjectId, ObjectKey, RowId, Value};
use crate::conc::Arc;
use crate::error::Result;
use crate::fault::{self, Fault};
use crate::schema::Property;
use crate::txn::ReadSource;

/// A class before and after a change.
#[derive(Clone, Copy)]
struct Forms<'a> {
    older: &'a Arc<ClassTable>,
    newer: &'a ClassTable,
}

/// The keys of an object before and after a change.
#[derive(Clone, Copy)]
struct Rekeyed<'k> {
    from: &'k [u8],
    to: &'k [u8],
}

/// Returns the new key of an object, by the one that it has and its record.
type KeyOf<'a> = dyn FnMut(&mut Tables, &ObjectKey, &[u8]) -> Result<ObjectKey> + 'a;

/// The reason why a property cannot become the primary key.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// The records have no room for the old key or for the property.
    NoRoom,
    /// An object has a string that is too long for a key.
    TooLong {
        /// Bytes of the string.
        bytes: usize,
    },
    /// Two objects have this key.
    Duplicate(ObjectKey),
}

const NULL: Value<'static> = Value::Null;

impl Tables {
    /// Replaces the definition of a column by one with another slot: nullable or required.
    /// Null becomes `zero`. Returns false, and changes nothing, if the records have no room.
    pub(crate) fn convert_column(
        &mut self,
        field: ColumnRef<'_>,
        property: Property,
        zero: &Value<'static>,
        touch: Touch<'_>,
    ) -> Result<bool> {
        let mut table = field.table.clone();
        let Some(place) = table.take_slot(&property) else { return Ok(false) };
        table.change(field.column.number, |column| {
            column.place = place;
            column.property = property;
        });
        self.put_table(table.clone());
        let column = table.column_numbered(field.column.number);
        let column = column.ok_or_else(|| self.malformed())?;
        let newer = ColumnRef::new(&table, column);
        self.each(&table.trees.objects, &[], &mut |tables, key, record| {
            let row = RecordRef { key, record };
            match tables.convert_object(field.column, newer, row, zero)? {
                true => tables.touch(&table, key, touch),
                false => Ok(()),
            }
        })?;
        Ok(true)
    }

    /// Converts the record of an object; tells whether a null became zero.
    fn convert_object(
        &mut self,
        held: &Column,
        field: ColumnRef<'_>,
        row: RecordRef<'_>,
        zero: &Value<'static>,
    ) -> Result<bool> {
        let value = cell(row.record, held).ok_or_else(|| self.malformed())?;
        let becomes_zero = value == Cell::Null && !zero.is_null();
        let bytes = value_bytes(zero);
        let value = if becomes_zero { bytes.cell() } else { value };
        let record = record::write(field.table, Some(row.record), &[(field.column, value)]);
        let record = record.ok_or_else(|| self.malformed())?;
        self.tree(&field.table.trees.objects)?.insert(row.key, &record)?;
        if becomes_zero {
            self.reindex(field, row.key, Replaced::by(&NULL, zero))?;
        }
        Ok(becomes_zero)
    }

    /// Replaces the definition of the primary key: nullable or required. The object with the key
    /// null, if one exists, gets the key `zero`, which must be free.
    pub(crate) fn convert_key(
        &mut self,
        table: &Arc<ClassTable>,
        property: Property,
        zero: Option<ObjectKey>,
        touch: Touch<'_>,
    ) -> Result<()> {
        let mut newer = ClassTable::clone(table);
        let Some(number) = table.key().map(|column| column.number) else { return Ok(()) };
        newer.change(number, |column| column.property = property);
        let Some(zero) = zero else {
            self.put_table(newer);
            return Ok(());
        };
        let forms = Forms { older: table, newer: &newer };
        self.change_keys(forms, touch, &mut |_, held, _| match held {
            ObjectKey::Null => Ok(zero.clone()),
            other => Ok(other.clone()),
        })
    }

    /// Makes another property the primary key, or none: objects are then numbered. Returns false,
    /// and changes nothing, if the records have no room for the old key.
    pub(crate) fn rekey(
        &mut self,
        table: &Arc<ClassTable>,
        property: Option<&Column>,
        touch: Touch<'_>,
    ) -> Result<bool> {
        let mut numbered = ClassTable::clone(table);
        if unkey(&mut numbered)?.is_none() {
            return Ok(false);
        }
        let Some(column) = property else {
            let forms = Forms { older: table, newer: &numbered };
            self.change_keys(forms, touch, &mut |tables, _, _| tables.new_row_key())?;
            return Ok(true);
        };
        let mut newer = numbered.clone();
        let becomes = without_index(&column.property)?.primary_key();
        newer.change(column.number, |column| {
            column.place = ColumnPlace::Key;
            column.property = becomes;
        });
        let mut older = Arc::clone(table);
        if !older.has_rows() {
            // An object must not get the key that another one still has.
            let mut next = 0;
            let forms = Forms { older: &older, newer: &numbered };
            self.change_keys(forms, touch, &mut |_, _, _| {
                next += 1;
                Ok(ObjectKey::Row(RowId::local(next)))
            })?;
            older = Arc::new(numbered);
        }
        let before = Arc::clone(&older);
        let forms = Forms { older: &older, newer: &newer };
        self.change_keys(forms, touch, &mut |tables, held, record| {
            let row = RecordRef { key: &held.to_bytes(), record };
            let value = tables.reader().value(ColumnRef::new(&before, column), row)?;
            ObjectKey::from_value(&value).ok_or_else(|| tables.malformed())
        })?;
        Ok(true)
    }

    /// Returns why the values of a property cannot be the keys of all objects, if they cannot. Its
    /// type allows a primary key.
    pub(crate) fn unusable_key(&mut self, field: ColumnRef<'_>) -> Result<Option<Unusable>> {
        let table = field.table;
        let taken = table.moved_tree();
        let mut unusable = None;
        let looked = self.each(&table.trees.objects, &[], &mut |tables, key, record| {
            if unusable.is_some() {
                return Ok(());
            }
            let value = tables.reader().value(field, RecordRef { key, record })?;
            let Some(key) = ObjectKey::from_value(&value) else {
                let Value::String(text) = value else { return Err(tables.malformed()) };
                unusable = Some(Unusable::TooLong { bytes: text.len() });
                return Ok(());
            };
            if tables.tree(&taken)?.insert(&key.to_bytes(), &[])? && !fault::on(Fault::Sc01) {
                unusable = Some(Unusable::Duplicate(key));
            }
            Ok(())
        });
        self.tree(&taken)?.clear()?;
        looked.map(|()| unusable)
    }

    /// Adds a property that is the primary key; returns why it cannot be, if it cannot.
    pub(crate) fn add_key(
        &mut self,
        table: &ClassTable,
        property: &Property,
        touch: Touch<'_>,
    ) -> Result<Option<Unusable>> {
        let before = Arc::clone(&self.catalog);
        let mut newer = table.clone();
        if newer.add(without_key(property, property.kind().clone())?).is_none() {
            return Ok(Some(Unusable::NoRoom));
        }
        let newer = Arc::new(newer);
        self.put_table(ClassTable::clone(&newer));
        let column = newer.column(property.name()).ok_or_else(|| self.malformed())?;
        let mut unusable = self.unusable_key(ColumnRef::new(&newer, column))?;
        if unusable.is_none() && !self.rekey(&newer, Some(column), touch)? {
            unusable = Some(Unusable::NoRoom);
        }
        if unusable.is_some() {
            self.catalog = before;
        }
        Ok(unusable)
    }

    /// Removes a property with its values. If it is the primary key, objects are numbered first.
    /// Returns false, and changes nothing, if the records have no room for that.
    pub(crate) fn remove_property(
        &mut self,
        table: &Arc<ClassTable>,
        number: u16,
        touch: Touch<'_>,
    ) -> Result<bool> {
        if table.key().is_some_and(|key| key.number == number) && !self.rekey(table, None, touch)? {
            return Ok(false);
        }
        let table = self.catalog.table_numbered(table.id).map(Arc::clone);
        let table = table.ok_or_else(|| self.malformed())?;
        let column = table.column_numbered(number).ok_or_else(|| self.malformed())?;
        self.remove_column(ColumnRef::new(&table, column))?;
        Ok(true)
    }

    /// Gives a class its new form and every object the key that `key_of` returns. No object gets a
    /// key that another one had.
    fn change_keys(
        &mut self,
        forms: Forms<'_>,
        touch: Touch<'_>,
        key_of: &mut KeyOf<'_>,
    ) -> Result<()> {
        let Forms { older, newer } = forms;
        let moved = newer.moved_tree();
        self.each(&older.trees.objects, &[], &mut |tables, held, record| {
            let from = ObjectKey::from_bytes(held).ok_or_else(|| tables.malformed())?;
            let to = key_of(tables, &from, record)?;
            if to != from {
                tables.tree(&moved)?.insert(held, &to.to_bytes())?;
            }
            Ok(())
        })?;
        self.put_table(newer.clone());
        self.each(&moved, &[], &mut |tables, from, to| {
            tables.touch(newer, from, touch)?;
            tables.touch(newer, to, touch)?;
            tables.move_object(forms, Rekeyed { from, to })
        })?;
        self.follow(newer, touch)?;
        self.tree(&moved)?.clear()
    }

    /// Gives an object another key. Back-links to its class are rebuilt afterwards.
    fn move_object(&mut self, forms: Forms<'_>, keys: Rekeyed<'_>) -> Result<()> {
        let Forms { older, newer } = forms;
        let Rekeyed { from, to } = keys;
        let held = self.tree(&newer.trees.objects)?.get(from)?;
        let held = held.ok_or_else(|| self.malformed())?.to_vec();
        for column in &*older.columns {
            let row = RecordRef { key: from, record: &held };
            let value = match column.place {
                ColumnPlace::Slot(_) => {
                    let value = self.reader().value(ColumnRef::new(older, column), row)?;
                    Some(value.into_owned()).filter(|value| !value.is_null())
                }
                ColumnPlace::Key | ColumnPlace::OutOfLine => None,
            };
            let field = ColumnRef::new(newer, column);
            self.reindex(field, from, Replaced::removed(value.as_ref().unwrap_or(&NULL)))?;
            self.move_out_of_line(field, from, to)?;
            self.move_links(field, keys, value.as_ref())?;
        }
        let key = ObjectKey::from_bytes(from).ok_or_else(|| self.malformed())?;
        let value = key.value();
        let bytes = value_bytes(&value);
        // The former key is an ordinary property now, or still the key.
        let was_key = older.key().and_then(|key| newer.column_numbered(key.number));
        let changes: Vec<_> = was_key.map(|column| (column, bytes.cell())).into_iter().collect();
        let record = record::write(newer, Some(&held), &changes);
        let record = record.ok_or_else(|| self.malformed())?;
        let mut objects = self.tree(&newer.trees.objects)?;
        objects.remove(from)?;
        let replaced = objects.insert(to, &record)?;
        assert!(!replaced, "B2: no object gets the key of another one");
        for column in newer.columns.iter().filter(|column| column.has_index_tree()) {
            let field = ColumnRef::new(newer, column);
            let value =
                self.reader().value(field, RecordRef { key: to, record: &record })?.into_owned();
            self.reindex(field, to, Replaced::added(&value))?;
        }
        Ok(())
    }

    /// Moves the back-links of a property that links to another class.
    fn move_links(
        &mut self,
        field: ColumnRef<'_>,
        keys: Rekeyed<'_>,
        value: Option<&Value<'_>>,
    ) -> Result<()> {
        let ColumnRef { table, column } = field;
        if column.target().is_none_or(|class| class == table.name) {
            return Ok(());
        }
        let elements = match column.is_list() {
            true => self.reader().list(field.list(keys.to))?,
            false => Vec::new(),
        };
        for value in value.into_iter().chain(elements.iter().map(|element| &element.value)) {
            self.relink(field, keys.from, Replaced::removed(value))?;
            self.relink(field, keys.to, Replaced::added(value))?;
        }
        Ok(())
    }

    /// Makes every link to a class lead to the new key, and rebuilds the back-links of the class.
    fn follow(&mut self, table: &ClassTable, touch: Touch<'_>) -> Result<()> {
        self.tree(&table.trees.links)?.clear()?;
        let origins: Vec<Arc<ClassTable>> = self.catalog.tables().cloned().collect();
        for origin in origins {
            let to_class = |column: &&Column| column.target() == Some(&table.name);
            let columns: Vec<_> = origin.columns.iter().filter(to_class).collect();
            if columns.is_empty() {
                continue;
            }
            self.each(&origin.trees.objects, &[], &mut |tables, key, _| {
                for column in &columns {
                    if tables.follow_object(ColumnRef::new(&origin, column), key)? {
                        tables.touch(&origin, key, touch)?;
                    }
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Makes the links of a property lead to the new keys; tells whether any changed.
    fn follow_object(&mut self, field: ColumnRef<'_>, key: &[u8]) -> Result<bool> {
        let ColumnRef { table, column } = field;
        let mut links = Vec::new();
        let mut changed = false;
        if column.is_list() {
            let mut elements = self.reader().list(field.list(key))?;
            for element in &mut elements {
                changed |= self.follow_value(&mut element.value)?;
                links.push(element.value.clone());
            }
            if changed {
                self.put_list(field.list(key), &elements)?;
            }
        } else {
            let objects = &table.trees.objects;
            let record = self.tree(objects)?.get(key)?.map(|record| record.to_vec());
            let record = record.ok_or_else(|| self.malformed())?;
            let value = self.reader().value(field, RecordRef { key, record: &record })?;
            let mut value = value.into_owned();
            changed = self.follow_value(&mut value)?;
            if changed {
                let bytes = value_bytes(&value);
                let record = record::write(table, Some(&record), &[(column, bytes.cell())]);
                let record = record.ok_or_else(|| self.malformed())?;
                self.tree(objects)?.insert(key, &record)?;
            }
            links.push(value);
        }
        for value in &links {
            self.relink(field, key, Replaced::added(value))?;
        }
        Ok(changed)
    }

    /// Changes a link to an object that got another key; tells whether it did.
    fn follow_value(&self, value: &mut Value<'static>) -> Result<bool> {
        let Value::Link(to) = value else { return Ok(false) };
        let target = self.catalog.table_numbered(to.class).ok_or_else(|| self.malformed())?;
        let tree = ReadSource::Txn(&self.txn).tree(&target.moved_tree());
        let Some(key) = tree.get(&to.key.to_bytes())? else { return Ok(false) };
        to.key = ObjectKey::from_bytes(&key).ok_or_else(|| self.malformed())?;
        Ok(true)
    }

    fn touch(&self, table: &ClassTable, key: &[u8], touch: Touch<'_>) -> Result<()> {
        let key = ObjectKey::from_bytes(key).ok_or_else(|| self.malformed())?;
        touch(ObjectId { class: table.id, key });
        Ok(())
    }
}

/// Makes the primary key of a class, if it has one, an ordinary property; none if the records have
/// no room for it.
fn unkey(table: &mut ClassTable) -> Result<Option<()>> {
    let Some(held) = table.key().cloned() else { return Ok(Some(())) };
    let property = without_key(&held.property, held.kind().clone())?;
    let Some(place) = table.take_slot(&property) else { return Ok(None) };
    table.change(held.number, |column| {
        column.place = place;
        column.property = property;
    });
    Ok(Some(()))
}
