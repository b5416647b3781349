//! Changes of a class that give its objects another form, or other keys, which all that links to
//! them follows. It is done object by object: beside what the transaction changed, no more is in
//! memory than a few of them.
//!
//! Specification: docs/objects.md#rebuilding-a-class.

use super::alter::{without_index, without_key};
use super::catalog::{Column, Place, Table, moved_tree};
use super::record::{self, Cell, cell, value_bytes};
use super::transaction::Transaction;
use super::value::{ClassId, ObjectId, ObjectKey, Value};
use super::view::read_key;
use crate::conc::Arc;
use crate::error::{ObjectError, Result};
use crate::fault::{self, Fault};
use crate::schema::Property;
use crate::txn::Source;

/// A class before and after a change.
type Forms<'a> = (&'a Arc<Table>, &'a Table);

/// Says which key an object gets, by the one it has and its record.
type KeyOf<'a> = dyn FnMut(&mut Transaction, &ObjectKey, &[u8]) -> Result<ObjectKey> + 'a;

impl Transaction {
    /// Gives a property another form; what was null becomes `zero`.
    pub(super) fn convert(
        &mut self,
        class: &str,
        (property, zero): (Property, Value<'static>),
    ) -> Result<()> {
        let older = Arc::clone(self.catalog.table(class)?);
        let held = older.column(property.name())?;
        let mut table = Table::clone(&older);
        let place = if held.place == Place::Key { held.place } else { table.slot(&property)? };
        table.change(held.number, |column| {
            column.place = place;
            column.property = property;
        });
        let column = table.column(held.name())?;
        if place == Place::Key {
            if let Some(zero) = Some(zero).filter(|zero| !zero.is_null()) {
                let key = read_key(&table, &zero)?;
                self.require_free(&table, &key)?;
                return self.change_keys((&older, &table), &mut |_, held, _| match held {
                    ObjectKey::Null => Ok(key.clone()),
                    other => Ok(other.clone()),
                });
            }
            self.note_alter();
            Arc::make_mut(&mut self.catalog).put(table);
            return Ok(());
        }
        self.change(|txn| {
            txn.note_alter();
            Arc::make_mut(&mut txn.catalog).put(table.clone());
            txn.each(&table.trees.objects, &[], &mut |txn, key, record| {
                txn.convert_one(&table, (held, column), (key, record, &zero))
            })
        })
    }

    fn convert_one(
        &mut self,
        table: &Table,
        (held, column): (&Column, &Column),
        (key, record, zero): (&[u8], &[u8], &Value<'static>),
    ) -> Result<()> {
        let value = cell(record, held).ok_or_else(|| self.view().malformed())?;
        let becomes_zero = value == Cell::Null && !zero.is_null();
        let bytes = value_bytes(zero);
        let value = if becomes_zero { bytes.cell() } else { value };
        let changed = record::write(table, Some(record), &[(column, value)]);
        let changed = changed.ok_or_else(|| self.view().malformed())?;
        self.txn.tree(&table.trees.objects)?.insert(key, &changed)?;
        if becomes_zero {
            self.index((table.id, column), key, (Some(&Value::Null), Some(zero)))?;
            self.touch_key(table.id, key)?;
        }
        Ok(())
    }

    /// Lets another property be the primary key, or none.
    pub(super) fn rekey(&mut self, class: &str, property: Option<&str>) -> Result<()> {
        let older = Arc::clone(self.catalog.table(class)?);
        let mut numbered = Table::clone(&older);
        unkey(&mut numbered)?;
        let Some(property) = property else {
            return self.change_keys((&older, &numbered), &mut |txn, _, _| {
                txn.take_number().map(ObjectKey::Row)
            });
        };
        let mut table = numbered.clone();
        let column = numbered.column(property)?;
        let becomes = without_index(&column.property)?.primary_key();
        table.change(column.number, |column| {
            column.place = Place::Key;
            column.property = becomes;
        });
        self.require_unique((&older, &table), column)?;
        let mut from = older;
        if !from.has_rows() {
            // An object might get the key that another one still has.
            let mut next = 0;
            self.change_keys((&from, &numbered), &mut |_, _, _| {
                next += 1;
                Ok(ObjectKey::Row(next))
            })?;
            from = Arc::new(numbered.clone());
        }
        let before = Arc::clone(&from);
        self.change_keys((&from, &table), &mut |txn, held, record| {
            let key = held.to_bytes();
            let value = txn.view().read_value((&before, column), (&key, record))?;
            read_key(&table, &value)
        })
    }

    /// Refuses a key that an object has, if there is one that would get it instead of null.
    fn require_free(&mut self, table: &Table, key: &ObjectKey) -> Result<()> {
        let is_taken =
            self.held(table, key)?.is_some() && self.held(table, &ObjectKey::Null)?.is_some();
        if is_taken && !fault::on(Fault::Sc01) {
            return Err(not_unique(table, key).into());
        }
        Ok(())
    }

    /// Refuses values of a property that cannot be the keys of all objects.
    fn require_unique(&mut self, (older, table): Forms<'_>, column: &Column) -> Result<()> {
        let taken = moved_tree(table.id);
        let outcome = self.each(&older.trees.objects, &[], &mut |txn, key, record| {
            let value = txn.view().read_value((older, column), (key, record))?;
            let key = read_key(table, &value)?;
            if txn.txn.tree(&taken)?.insert(&key.to_bytes(), &[])? && !fault::on(Fault::Sc01) {
                return Err(not_unique(table, &key).into());
            }
            Ok(())
        });
        let cleared = self.txn.tree(&taken).and_then(|mut taken| taken.clear());
        self.noted(cleared)?;
        self.noted(outcome)
    }

    /// Gives a class its new form and every object the key that `key_of` says. No object gets a
    /// key that another one had.
    fn change_keys(&mut self, (older, table): Forms<'_>, key_of: &mut KeyOf<'_>) -> Result<()> {
        let moved = moved_tree(table.id);
        self.change(|txn| {
            txn.each(&older.trees.objects, &[], &mut |txn, held, record| {
                let from = ObjectKey::from_bytes(held).ok_or_else(|| txn.view().malformed())?;
                let to = key_of(txn, &from, record)?;
                if to != from {
                    txn.txn.tree(&moved)?.insert(held, &to.to_bytes())?;
                }
                Ok(())
            })?;
            txn.note_alter();
            Arc::make_mut(&mut txn.catalog).put(table.clone());
            txn.each(&moved, &[], &mut |txn, from, to| {
                txn.move_object((older, table), (from, to))
            })?;
            txn.follow(table)?;
            txn.txn.tree(&moved)?.clear()
        })
    }

    /// Gives an object another key. Links to its class are not noted anew.
    fn move_object(&mut self, (older, table): Forms<'_>, (from, to): (&[u8], &[u8])) -> Result<()> {
        self.touch_key(table.id, from)?;
        self.touch_key(table.id, to)?;
        let held = self.txn.tree(&table.trees.objects)?.get(from)?;
        let held = held.ok_or_else(|| self.view().malformed())?;
        for column in &*older.columns {
            let value = match column.place {
                Place::Slot(_) => {
                    let value = self.view().read_value((older, column), (from, &held))?;
                    Some(value.into_owned()).filter(|value| !value.is_null())
                }
                Place::Key | Place::Apart => None,
            };
            self.index((table.id, column), from, (Some(value.as_ref().unwrap_or(&NULL)), None))?;
            self.move_apart(table, column, (from, to))?;
            self.move_links((table, column), (from, to), value.as_ref())?;
        }
        let key = ObjectKey::from_bytes(from).ok_or_else(|| self.view().malformed())?;
        let value = key.value();
        let bytes = value_bytes(&value);
        // What was the key is a property as any other, or still the key.
        let was_key = older.key().and_then(|key| table.column_numbered(key.number));
        let changes: Vec<_> = was_key.map(|column| (column, bytes.cell())).into_iter().collect();
        let record = record::write(table, Some(&held), &changes);
        let record = record.ok_or_else(|| self.view().malformed())?;
        let mut objects = self.txn.tree(&table.trees.objects)?;
        objects.remove(from)?;
        objects.insert(to, &record)?;
        for column in table.columns.iter().filter(|column| column.has_index_tree()) {
            let value = self.view().read_value((table, column), (to, &record))?.into_owned();
            self.index((table.id, column), to, (None, Some(&value)))?;
        }
        Ok(())
    }

    /// Notes the links of a property to other classes anew.
    fn move_links(
        &mut self,
        (table, column): (&Table, &Column),
        (from, to): (&[u8], &[u8]),
        value: Option<&Value<'_>>,
    ) -> Result<()> {
        if column.target().is_none_or(|class| class == table.name) {
            return Ok(());
        }
        let elements = match column.is_list() {
            true => self.view().read_list((table, column), to)?,
            false => Vec::new(),
        };
        for value in value.into_iter().chain(elements.iter().map(|element| &element.value)) {
            if let Value::Link(target) = value {
                self.unlink((table.id, column.number), from, target)?;
                self.link((table.id, column.number), to, target)?;
            }
        }
        Ok(())
    }

    /// Lets every link to a class lead to the new key, and notes it there.
    fn follow(&mut self, table: &Table) -> Result<()> {
        self.txn.tree(&table.trees.links)?.clear()?;
        let origins: Vec<Arc<Table>> = self.catalog.tables().cloned().collect();
        for origin in origins {
            let to_class = |column: &&Column| column.target() == Some(&table.name);
            let columns: Vec<_> = origin.columns.iter().filter(to_class).collect();
            if columns.is_empty() {
                continue;
            }
            self.each(&origin.trees.objects, &[], &mut |txn, key, _| {
                columns.iter().try_for_each(|column| txn.follow_one((&origin, column), key))
            })?;
        }
        Ok(())
    }

    fn follow_one(&mut self, (table, column): (&Table, &Column), key: &[u8]) -> Result<()> {
        let mut links = Vec::new();
        let mut changed = false;
        if column.is_list() {
            let mut elements = self.view().read_list((table, column), key)?;
            for element in &mut elements {
                changed |= self.moved(&mut element.value)?;
                links.push(element.value.clone());
            }
            if changed {
                self.put_list((table, column, key), &elements)?;
            }
        } else {
            let objects = &table.trees.objects;
            let record = self.txn.tree(objects)?.get(key)?.map(|record| record.to_vec());
            let record = record.ok_or_else(|| self.view().malformed())?;
            let value = self.view().read_value((table, column), (key, &record))?;
            let mut value = value.into_owned();
            changed = self.moved(&mut value)?;
            if changed {
                let bytes = value_bytes(&value);
                let record = record::write(table, Some(&record), &[(column, bytes.cell())]);
                let record = record.ok_or_else(|| self.view().malformed())?;
                self.txn.tree(objects)?.insert(key, &record)?;
            }
            links.push(value);
        }
        for value in &links {
            if let Value::Link(to) = value {
                self.link((table.id, column.number), key, to)?;
            }
        }
        if changed { self.touch_key(table.id, key) } else { Ok(()) }
    }

    /// Changes a link to an object that has another key, and tells whether it did.
    fn moved(&self, value: &mut Value<'static>) -> Result<bool> {
        let Value::Link(to) = value else { return Ok(false) };
        let tree = Source::Txn(&self.txn).tree(&moved_tree(to.class));
        let Some(key) = tree.get(&to.key.to_bytes())? else { return Ok(false) };
        to.key = ObjectKey::from_bytes(&key).ok_or_else(|| self.view().malformed())?;
        Ok(true)
    }

    fn touch_key(&mut self, class: ClassId, key: &[u8]) -> Result<()> {
        let key = ObjectKey::from_bytes(key).ok_or_else(|| self.view().malformed())?;
        self.touch([ObjectId { class, key }]);
        Ok(())
    }
}

const NULL: Value<'static> = Value::Null;

/// Makes the primary key of a class, if it has one, a property as any other.
fn unkey(table: &mut Table) -> Result<()> {
    let Some(held) = table.key().cloned() else { return Ok(()) };
    let property = without_key(&held.property, held.kind().clone())?;
    let place = table.slot(&property)?;
    table.change(held.number, |column| {
        column.place = place;
        column.property = property;
    });
    Ok(())
}

fn not_unique(table: &Table, key: &ObjectKey) -> ObjectError {
    ObjectError::KeysNotUnique { class: table.name.clone(), key: key.to_string() }
}
