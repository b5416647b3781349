//! Changing lists.
//!
//! - B5 An element keeps its id, and no other element of the file ever has it.

use super::catalog::{Column, Table};
use super::list::{Element, LIST_BYTES_MAX, element_bytes};
use super::operation::{ObjectRef, Operation};
use super::parts::{ListAt, StoredSchema};
use super::transaction::Transaction;
use super::value::{ElementId, ObjectId, Value};
use super::view::list_column;
use crate::conc::Arc;
use crate::error::{Error, ObjectError, Result};
use crate::fault::{self, Fault};
use std::ops::Range;

/// A list of an object within a transaction.
#[derive(Debug)]
pub struct ListMut<'a> {
    txn: &'a mut Transaction,
    table: Arc<Table>,
    column: Column,
    id: ObjectId,
}

impl Transaction {
    /// Returns a list of an object, to change it.
    ///
    /// # Errors
    /// [`ObjectError::ObjectNotFound`], [`ObjectError::PropertyUnknown`], or [`ObjectError::Type`] if it is
    /// no list.
    pub fn list(&mut self, id: &ObjectId, property: &str) -> Result<ListMut<'_>> {
        let table = Arc::clone(self.catalog.table_numbered(id.class)?);
        let column = list_column(&table, property)?.clone();
        self.record(&table, id)?;
        Ok(ListMut { txn: self, table, column, id: id.clone() })
    }
}

impl ListMut<'_> {
    fn at<'k>(&'k self, key: &'k [u8]) -> ListAt<'k> {
        (&self.table, &self.column, key)
    }

    /// Returns the elements.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn elements(&self) -> Result<Vec<Element>> {
        let key = self.id.key.to_bytes();
        self.txn.view().read_list((&self.table, &self.column), &key)
    }

    /// Returns how many elements there are.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn len(&self) -> Result<usize> {
        Ok(self.txn.view().stored(self.at(&self.id.key.to_bytes()))?.len())
    }

    /// Tells whether there are none.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Inserts an element before the one at `index`, or at the end, and returns its id.
    ///
    /// # Errors
    /// [`ObjectError::OutOfBounds`], [`ObjectError::ListTooLong`], and what
    /// [`Transaction::set`] says of the value.
    pub fn insert<'v>(&mut self, index: usize, value: impl Into<Value<'v>>) -> Result<ElementId> {
        self.insert_at(Some(index), &value.into())
    }

    /// Inserts an element at the end, and returns its id.
    ///
    /// # Errors
    /// As [`ListMut::insert`].
    pub fn push<'v>(&mut self, value: impl Into<Value<'v>>) -> Result<ElementId> {
        self.insert_at(None, &value.into())
    }

    fn insert_at(&mut self, index: Option<usize>, value: &Value<'_>) -> Result<ElementId> {
        self.txn.check_value((&self.table, &self.column), value)?;
        let stored = self.stored()?;
        let index = index.unwrap_or_else(|| stored.len());
        within(index, stored.len() + 1, stored.len())?;
        self.check_room(stored.bytes() + element_bytes(value))?;
        let key = self.id.key.to_bytes();
        let Self { txn, table, column, id } = self;
        txn.change(|txn| {
            let made = Element { id: txn.new_element()?, value: value.clone().into_owned() };
            let at = (&**table, &*column, &*key);
            txn.splice(at, stored, (index..index, std::slice::from_ref(&made)))?;
            txn.count((table, column), id, (None, Some(&made.value)))?;
            let (property, after) = (column.name().to_owned(), txn.id_before(at, index)?);
            let made_id = made.id;
            txn.note(table, &id.key, |target| Operation::ListInsert {
                target,
                property,
                element: made,
                after,
            });
            Ok(made_id)
        })
    }

    /// Sets the value of the element at `index`, which keeps its id.
    ///
    /// # Errors
    /// As [`ListMut::insert`].
    pub fn set<'v>(&mut self, index: usize, value: impl Into<Value<'v>>) -> Result<()> {
        let value = value.into().into_owned();
        self.txn.check_value((&self.table, &self.column), &value)?;
        let stored = self.stored()?;
        let held = self.element(&stored, index)?;
        if held.value.bitwise_eq(&value) {
            return Ok(());
        }
        let less = element_bytes(&held.value);
        self.check_room((stored.bytes() + element_bytes(&value)).saturating_sub(less))?;
        let element = Element { id: held.id, value };
        let (places, put) = (index..index + 1, std::slice::from_ref(&element));
        let change = (Some(&held.value), Some(&element.value));
        self.put((stored, places, put), &[change], |target, property| {
            let element = element.clone();
            Operation::ListSet { target, property, element }
        })
    }

    /// Removes the element at `index` and returns it.
    ///
    /// # Errors
    /// [`ObjectError::OutOfBounds`].
    pub fn remove(&mut self, index: usize) -> Result<Element> {
        let stored = self.stored()?;
        let held = self.element(&stored, index)?;
        let element = held.id;
        let change = (Some(&held.value), None);
        self.put((stored, index..index + 1, &[]), &[change], |target, property| {
            Operation::ListRemove { target, property, element }
        })?;
        Ok(held)
    }

    /// Moves the element at `from` so that it is then at `to`.
    ///
    /// # Errors
    /// [`ObjectError::OutOfBounds`].
    pub fn move_to(&mut self, from: usize, to: usize) -> Result<()> {
        let stored = self.stored()?;
        within(from, stored.len(), stored.len())?;
        within(to, stored.len(), stored.len())?;
        if from == to {
            return Ok(());
        }
        let key = self.id.key.to_bytes();
        let Self { txn, table, column, id } = self;
        txn.change(|txn| {
            let at = (&**table, &*column, &*key);
            let moved = txn.splice(at, stored, (from..from + 1, &[]))?;
            let stored = txn.view().stored(at)?;
            txn.splice(at, stored, (to..to, &moved))?;
            let (property, after) = (column.name().to_owned(), txn.id_before(at, to)?);
            for Element { id: element, .. } in moved {
                let property = property.clone();
                txn.note(table, &id.key, |target| Operation::ListMove {
                    target,
                    property,
                    element,
                    after,
                });
            }
            Ok(())
        })
    }

    /// Removes every element.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn clear(&mut self) -> Result<()> {
        let elements = self.elements();
        let held = self.txn.noted(elements)?;
        let Self { txn, table, column, id } = self;
        txn.change(|txn| txn.assign((table, column), id, (held, &[])))
    }

    /// Puts elements in the place of others and counts links that the list no longer has, or now
    /// has.
    fn put(
        &mut self,
        (stored, places, put): (StoredSchema, Range<usize>, &[Element]),
        changes: &[Changed<'_>],
        operation: impl FnOnce(ObjectRef, String) -> Operation,
    ) -> Result<()> {
        let key = self.id.key.to_bytes();
        let Self { txn, table, column, id } = self;
        txn.change(|txn| {
            txn.splice((table, column, &key), stored, (places, put))?;
            changes.iter().try_for_each(|change| txn.count((table, column), id, *change))?;
            let property = column.name().to_owned();
            txn.note(table, &id.key, |target| operation(target, property));
            Ok(())
        })
    }

    /// Reads what there is of the list, to change it.
    fn stored(&mut self) -> Result<StoredSchema> {
        let stored = self.txn.view().stored(self.at(&self.id.key.to_bytes()));
        self.txn.noted(stored)
    }

    /// Reads the element at a place.
    fn element(&mut self, stored: &StoredSchema, index: usize) -> Result<Element> {
        within(index, stored.len(), stored.len())?;
        let key = self.id.key.to_bytes();
        let element = self.txn.view().element(self.at(&key), (stored, index));
        self.txn.noted(element)
    }

    fn check_room(&self, bytes: usize) -> Result<()> {
        let fits = bytes <= LIST_BYTES_MAX;
        fits.then_some(()).ok_or_else(|| list_too_long(&self.table, &self.column))
    }
}

pub(super) fn list_too_long(table: &Table, column: &Column) -> Error {
    let (class, property) = (table.name.clone(), column.name().to_owned());
    ObjectError::ListTooLong { class, property }.into()
}

/// A value that an element no longer has, and one that it now has.
type Changed<'v> = (Option<&'v Value<'static>>, Option<&'v Value<'static>>);

impl Transaction {
    /// Makes these the values of a list, which were checked. Elements that are alike at the
    /// beginning and at the end stay; those in between are removed, and new ones inserted.
    pub(super) fn assign(
        &mut self,
        at: (&Table, &Column),
        id: &ObjectId,
        (held, values): (Vec<Element>, &[Value<'_>]),
    ) -> Result<()> {
        let same = |(one, two): &(&Element, &Value<'_>)| one.value.bitwise_eq(two);
        let head = held.iter().zip(values).take_while(same).count();
        let (old, new) = (&held[head..], &values[head..]);
        let tail = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
        let tail = if fault::on(Fault::Ob07) { 0 } else { tail };
        let (old, tail) = old.split_at(old.len() - tail);
        let new = &new[..new.len() - tail.len()];
        if old.is_empty() && new.is_empty() {
            return Ok(());
        }
        let (table, column) = at;
        let mut made = Vec::with_capacity(new.len());
        for value in new {
            made.push(Element { id: self.new_element()?, value: value.clone().into_owned() });
        }
        let key = id.key.to_bytes();
        let stored = self.view().stored((table, column, &key))?;
        self.splice((table, column, &key), stored, (head..head + old.len(), &made))?;
        let property = || column.name().to_owned();
        for Element { id: element, value } in old {
            self.count(at, id, (Some(value), None))?;
            let (property, element) = (property(), *element);
            self.note(table, &id.key, |target| Operation::ListRemove { target, property, element });
        }
        let mut after = head.checked_sub(1).map(|before| held[before].id);
        for element in made {
            self.count(at, id, (None, Some(&element.value)))?;
            let (property, behind) = (property(), after.replace(element.id));
            self.note(table, &id.key, |target| Operation::ListInsert {
                target,
                property,
                element,
                after: behind,
            });
        }
        Ok(())
    }

    /// Gives out the id of a new element.
    fn new_element(&mut self) -> Result<ElementId> {
        Ok(ElementId { author: 0, number: self.take_number()? })
    }

    /// Returns the element that the one at a place stands behind, if there is a commit_hook to tell.
    fn id_before(&self, at: ListAt<'_>, index: usize) -> Result<Option<ElementId>> {
        let Some(before) = index.checked_sub(1) else { return Ok(None) };
        if self.shared.commit_hook.is_none() {
            return Ok(None);
        }
        let stored = self.view().stored(at)?;
        Ok(Some(self.view().element(at, (&stored, before))?.id))
    }

    fn count(
        &mut self,
        (table, column): (&Table, &Column),
        id: &ObjectId,
        (held, value): Changed<'_>,
    ) -> Result<()> {
        let key = id.key.to_bytes();
        if let Some(Value::Link(to)) = held {
            self.unlink((table.id, column.number), &key, to)?;
        }
        if let Some(Value::Link(to)) = value {
            self.link((table.id, column.number), &key, to)?;
        }
        Ok(())
    }
}

fn within(index: usize, end: usize, len: usize) -> Result<()> {
    if index < end {
        return Ok(());
    }
    Err(ObjectError::OutOfBounds { index, len }.into())
}
