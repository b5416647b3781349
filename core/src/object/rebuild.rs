//! Changes of a class that give its objects other keys, or another form: they are taken out and put
//! in again, and all that links to them follows.
//!
//! Every object is in memory meanwhile.

use super::alter::{without_index, without_key};
use super::catalog::{Place, Table};
use super::key::Origin;
use super::list::Element;
use super::record::{self, value_bytes};
use super::transaction::Transaction;
use super::value::{ObjectId, ObjectKey, Value};
use super::view::read_key;
use crate::conc::Arc;
use crate::error::{ObjectError, Result};
use crate::fault::{self, Fault};
use crate::schema::Property;
use std::collections::{BTreeMap, BTreeSet};

/// How a class changes.
#[derive(Debug)]
pub(super) enum Rebuild {
    /// Another property is the primary key, or none.
    Key(Option<String>),
    /// A property has another form; what was null becomes `zero`.
    Convert { property: Property, zero: Value<'static> },
}

/// An object without the class it belongs to.
#[derive(Debug)]
struct Loose {
    key: ObjectKey,
    values: Vec<(u16, Value<'static>)>,
    lists: Vec<(u16, Vec<Element>)>,
}

/// The key that each object gets, by the one it had.
type Keys = BTreeMap<ObjectKey, ObjectKey>;

impl Transaction {
    /// Changes a class and all its objects.
    pub(super) fn rebuild(&mut self, class: &str, how: &Rebuild) -> Result<()> {
        let older = Arc::clone(self.catalog.table(class)?);
        let mut table = Table::clone(&older);
        reshape(&mut table, how)?;
        let objects = self.loosen(&older);
        let mut objects = self.noted(objects)?;
        if let Rebuild::Convert { property, zero } = how {
            let number = older.column(property.name())?.number;
            let values = objects.iter_mut().flat_map(|object| &mut object.values);
            for (_, value) in values.filter(|(held, value)| *held == number && value.is_null()) {
                *value = zero.clone();
            }
        }
        let keys = self.new_keys(&table, &objects);
        let keys = self.noted(keys)?;
        self.change(|txn| {
            let incoming = txn.incoming(&older, &objects)?;
            let ids = keys.iter().flat_map(|(from, to)| [from, to]);
            txn.touch(ids.map(|key| ObjectId { class: older.id, key: key.clone() }));
            txn.note_alter();
            for object in &objects {
                for (number, to) in links(object).filter(|(_, to)| to.class != older.id) {
                    txn.unlink((older.id, number), &object.key.to_bytes(), to)?;
                }
            }
            txn.clear_trees(&older)?;
            Arc::make_mut(&mut txn.catalog).put(table.clone());
            for object in &objects {
                txn.put_in(&table, object, &keys)?;
            }
            incoming.iter().try_for_each(|origin| txn.follow(&table, origin, &keys))
        })
    }

    /// Reads all objects of a class.
    fn loosen(&self, table: &Table) -> Result<Vec<Loose>> {
        let view = self.view();
        let mut objects = Vec::new();
        for entry in view.source.tree(&table.trees.objects).range(..)? {
            let (bytes, record) = entry?;
            let key = ObjectKey::from_bytes(&bytes).ok_or_else(|| view.malformed())?;
            let (mut values, mut lists) = (Vec::new(), Vec::new());
            for column in &*table.columns {
                match column.place {
                    Place::Key => values.push((column.number, key.value().into_owned())),
                    Place::Slot(_) => {
                        let value = view.read_value((table, column), (&bytes, &record))?;
                        values.push((column.number, value.into_owned()));
                    }
                    Place::Apart => {
                        lists.push((column.number, view.read_list((table, column), &bytes)?));
                    }
                }
            }
            objects.push(Loose { key, values, lists });
        }
        Ok(objects)
    }

    /// Tells the key that each object gets.
    fn new_keys(&mut self, table: &Table, objects: &[Loose]) -> Result<Keys> {
        let mut keys = Keys::new();
        let mut taken = BTreeSet::new();
        for object in objects {
            let key = match (table.key(), &object.key) {
                (Some(column), _) => {
                    let held = object.values.iter().find(|(number, _)| *number == column.number);
                    read_key(table, held.map_or(&Value::Null, |(_, value)| value))?
                }
                (None, ObjectKey::Row(number)) => ObjectKey::Row(*number),
                (None, _) => ObjectKey::Row(self.take_number()?),
            };
            if !taken.insert(key.clone()) && !fault::on(Fault::Sc01) {
                let (class, key) = (table.name.clone(), key.to_string());
                return Err(ObjectError::KeysNotUnique { class, key }.into());
            }
            keys.insert(object.key.clone(), key);
        }
        Ok(keys)
    }

    /// Returns the links to objects of a class from other classes, each origin once.
    fn incoming(&self, table: &Table, objects: &[Loose]) -> Result<BTreeSet<Origin>> {
        let mut incoming = BTreeSet::new();
        for object in objects {
            let origins = self.links_to(table, &object.key.to_bytes())?;
            incoming.extend(origins.into_iter().filter(|origin| origin.class != table.id));
        }
        Ok(incoming)
    }

    fn put_in(&mut self, table: &Table, object: &Loose, keys: &Keys) -> Result<()> {
        let key = keys.get(&object.key).unwrap_or(&object.key).to_bytes();
        let malformed = |txn: &Self| txn.view().malformed();
        let empty = record::write(table, None, &[]).ok_or_else(|| malformed(self))?;
        let values: Vec<_> = object
            .values
            .iter()
            .map(|(number, value)| (*number, moved(value, table, keys)))
            .collect();
        let mut bytes = Vec::new();
        for (number, value) in &values {
            let column = table.column_numbered(*number).ok_or_else(|| malformed(self))?;
            if let Place::Slot(_) = column.place {
                let held = value_bytes(value);
                self.keep_apart((table, column), &key, (&empty, &held))?;
                self.index((table.id, column), &key, (None, Some(value)))?;
                bytes.push((column, held));
            }
        }
        let cells: Vec<_> = bytes.iter().map(|(column, bytes)| (*column, bytes.cell())).collect();
        let record = record::write(table, None, &cells).ok_or_else(|| malformed(self))?;
        self.txn.tree(&table.trees.objects)?.insert(&key, &record)?;
        for (number, elements) in &object.lists {
            let column = table.column_numbered(*number).ok_or_else(|| malformed(self))?;
            let elements = elements.iter().map(|element| Element {
                id: element.id,
                value: moved(&element.value, table, keys),
            });
            self.put_list((table, column), &key, &elements.collect::<Vec<_>>())?;
        }
        for (number, to) in links(object) {
            if let Value::Link(to) = &moved(&to.into(), table, keys) {
                self.link((table.id, number), &key, to)?;
            }
        }
        Ok(())
    }

    /// Lets links of another class lead to the new keys.
    fn follow(&mut self, table: &Table, origin: &Origin, keys: &Keys) -> Result<()> {
        let from = Arc::clone(self.catalog.table_numbered(origin.class)?);
        let column = from.column_numbered(origin.column);
        let column = column.ok_or_else(|| self.view().malformed())?;
        let key = ObjectKey::from_bytes(&origin.object).ok_or_else(|| self.view().malformed())?;
        self.touch([ObjectId { class: origin.class, key }]);
        let mut values = Vec::new();
        if column.is_list() {
            let mut elements = self.view().read_list((&from, column), &origin.object)?;
            for element in &mut elements {
                element.value = moved(&element.value, table, keys);
                values.push(element.value.clone());
            }
            self.put_list((&from, column), &origin.object, &elements)?;
        } else {
            let objects = &from.trees.objects;
            let record = self.txn.tree(objects)?.get(&origin.object)?;
            let record = record.ok_or_else(|| self.view().malformed())?;
            let value = self.view().read_value((&from, column), (&origin.object, &record))?;
            let value = moved(&value.into_owned(), table, keys);
            let bytes = value_bytes(&value);
            let changed = record::write(&from, Some(&record), &[(column, bytes.cell())]);
            let changed = changed.ok_or_else(|| self.view().malformed())?;
            self.txn.tree(objects)?.insert(&origin.object, &changed)?;
            values.push(value);
        }
        for value in &values {
            if let Value::Link(to) = value {
                self.link((origin.class, origin.column), &origin.object, to)?;
            }
        }
        Ok(())
    }
}

/// Gives a class its new form.
fn reshape(table: &mut Table, how: &Rebuild) -> Result<()> {
    match how {
        Rebuild::Key(key) => {
            if let Some(held) = table.key().cloned() {
                let property = without_key(&held.property, held.kind().clone())?;
                let place = table.slot(&property)?;
                table.change(held.number, |column| {
                    column.place = place;
                    column.property = property;
                });
            }
            let Some(key) = key else { return Ok(()) };
            let column = table.column(key)?;
            let property = without_index(&column.property)?.primary_key();
            let number = column.number;
            table.change(number, |column| {
                column.place = Place::Key;
                column.property = property;
            });
        }
        Rebuild::Convert { property, .. } => {
            let column = table.column(property.name())?;
            let (number, place) = (column.number, column.place);
            let place = if place == Place::Key { place } else { table.slot(property)? };
            table.change(number, |column| {
                column.place = place;
                column.property = property.clone();
            });
        }
    }
    Ok(())
}

/// Returns the links of an object, with the columns they are in.
fn links(object: &Loose) -> impl Iterator<Item = (u16, &ObjectId)> {
    let single = object.values.iter().map(|(number, value)| (*number, value));
    let listed = object
        .lists
        .iter()
        .flat_map(|(number, elements)| elements.iter().map(|element| (*number, &element.value)));
    single.chain(listed).filter_map(|(number, value)| match value {
        Value::Link(to) => Some((number, to)),
        _ => None,
    })
}

/// Returns a value; a link to an object that has another key now leads to that.
fn moved(value: &Value<'static>, table: &Table, keys: &Keys) -> Value<'static> {
    match value {
        Value::Link(to) if to.class == table.id => {
            let key = keys.get(&to.key).unwrap_or(&to.key).clone();
            Value::Link(ObjectId { class: to.class, key })
        }
        other => other.clone(),
    }
}
