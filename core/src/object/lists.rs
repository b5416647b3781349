//! Lists: changing the elements of a list.
//!
//! - B5 An element keeps its id, and no other element of the file ever has it.

use super::lookup::{list_property, list_too_long};
use super::transaction::Transaction;
use crate::conc::Arc;
use crate::error::{ObjectError, Result};
use crate::fault;
use crate::table::{
    ClassTable, Column, ColumnRef, Element, ElementId, LIST_BYTES_MAX, ListRef, ObjectId,
    ObjectRef, Operation, StoredList, Value, element_bytes,
};

/// A list of an object within a transaction.
#[derive(Debug)]
pub struct ListMut<'a> {
    txn: &'a mut Transaction,
    table: Arc<ClassTable>,
    column: Column,
    id: ObjectId,
}

impl Transaction {
    /// Returns a list of an object, to change it.
    ///
    /// # Errors
    /// [`ObjectError::ObjectNotFound`], [`ObjectError::PropertyUnknown`], or [`ObjectError::Type`]
    /// if it is no list.
    pub fn list(&mut self, id: &ObjectId, property: &str) -> Result<ListMut<'_>> {
        let table = self.table_of(id)?;
        let column = list_property(&table, property)?.clone();
        self.record(&table, id)?;
        Ok(ListMut { txn: self, table, column, id: id.clone() })
    }
}

impl ListMut<'_> {
    fn field(&self) -> ColumnRef<'_> {
        ColumnRef::new(&self.table, &self.column)
    }

    /// Returns the elements.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn elements(&self) -> Result<Vec<Element>> {
        self.txn.tables.reader().list(self.field().list(&self.id.key.to_bytes()))
    }

    /// Returns the number of elements.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn len(&self) -> Result<usize> {
        let key = self.id.key.to_bytes();
        Ok(self.txn.tables.reader().stored_list(self.field().list(&key))?.len())
    }

    /// Tells whether there are no elements.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Inserts an element before the one at `index`, or at the end, and returns its id.
    ///
    /// # Errors
    /// [`ObjectError::OutOfBounds`], [`ObjectError::ListTooLong`], and for the value as
    /// [`Transaction::set`].
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
        self.txn.check_value(ColumnRef::new(&self.table, &self.column), value)?;
        let stored = self.stored()?;
        let index = index.unwrap_or_else(|| stored.len());
        within(index, stored.len() + 1, stored.len())?;
        self.check_room(stored.bytes() + element_bytes(value))?;
        let key = self.id.key.to_bytes();
        let Self { txn, table, column, id } = self;
        let list = ColumnRef::new(table, column).list(&key);
        txn.change(|txn| {
            let element =
                Element { id: txn.tables.new_element_id()?, value: value.clone().into_owned() };
            let made = std::slice::from_ref(&element);
            txn.tables.replace_elements(list, stored, index..index, made)?;
            let (property, after) = (column.name().to_owned(), txn.predecessor(list, index)?);
            let made = element.id;
            txn.note(table, &id.key, |target| Operation::ListInsert {
                target,
                property,
                element,
                after,
            });
            Ok(made)
        })
    }

    /// Sets the value of the element at `index`, which keeps its id.
    ///
    /// # Errors
    /// As [`ListMut::insert`].
    pub fn set<'v>(&mut self, index: usize, value: impl Into<Value<'v>>) -> Result<()> {
        let value = value.into().into_owned();
        self.txn.check_value(ColumnRef::new(&self.table, &self.column), &value)?;
        let stored = self.stored()?;
        let held = self.element(&stored, index)?;
        if held.value.bitwise_eq(&value) {
            return Ok(());
        }
        let less = element_bytes(&held.value);
        self.check_room((stored.bytes() + element_bytes(&value)).saturating_sub(less))?;
        let element = Element { id: held.id, value };
        self.replace(stored, index, std::slice::from_ref(&element), |target, property| {
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
        self.replace(stored, index, &[], |target, property| Operation::ListRemove {
            target,
            property,
            element,
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
        let list = ColumnRef::new(table, column).list(&key);
        txn.change(|txn| {
            let moved = txn.tables.move_element(list, stored, from, to)?;
            let (property, after) = (column.name().to_owned(), txn.predecessor(list, to)?);
            txn.note(table, &id.key, |target| Operation::ListMove {
                target,
                property,
                element: moved.id,
                after,
            });
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
        txn.change(|txn| txn.assign(ColumnRef::new(table, column), id, &held, &[]))
    }

    /// Replaces the element at a position, with back-links.
    fn replace(
        &mut self,
        stored: StoredList,
        at: usize,
        put: &[Element],
        operation: impl FnOnce(ObjectRef, String) -> Operation,
    ) -> Result<()> {
        let key = self.id.key.to_bytes();
        let Self { txn, table, column, id } = self;
        let list = ColumnRef::new(table, column).list(&key);
        txn.change(|txn| {
            txn.tables.replace_elements(list, stored, at..at + 1, put)?;
            let property = column.name().to_owned();
            txn.note(table, &id.key, |target| operation(target, property));
            Ok(())
        })
    }

    /// Reads the entry of the list, to change it.
    fn stored(&mut self) -> Result<StoredList> {
        let key = self.id.key.to_bytes();
        let stored = self.txn.tables.reader().stored_list(self.field().list(&key));
        self.txn.noted(stored)
    }

    /// Reads the element at a position.
    fn element(&mut self, stored: &StoredList, index: usize) -> Result<Element> {
        within(index, stored.len(), stored.len())?;
        let key = self.id.key.to_bytes();
        let element = self.txn.tables.reader().element(self.field().list(&key), stored, index);
        self.txn.noted(element)
    }

    fn check_room(&self, bytes: usize) -> Result<()> {
        let fits = bytes <= LIST_BYTES_MAX;
        fits.then_some(()).ok_or_else(|| list_too_long(self.field()))
    }
}

impl Transaction {
    /// Assigns checked values to a list. Equal elements at the beginning and at the end keep their
    /// ids; those in between are removed, and new ones inserted.
    pub(super) fn assign(
        &mut self,
        field: ColumnRef<'_>,
        id: &ObjectId,
        held: &[Element],
        values: &[Value<'_>],
    ) -> Result<()> {
        let equal = |(one, two): &(&Element, &Value<'_>)| one.value.bitwise_eq(two);
        let head = held.iter().zip(values).take_while(equal).count();
        let (old, new) = (&held[head..], &values[head..]);
        let tail = old.iter().rev().zip(new.iter().rev()).take_while(equal).count();
        let tail = fault::object::prefix_only(tail);
        let old = &old[..old.len() - tail];
        let new = &new[..new.len() - tail];
        if old.is_empty() && new.is_empty() {
            return Ok(());
        }
        let mut made = Vec::with_capacity(new.len());
        for value in new {
            let id = self.tables.new_element_id()?;
            made.push(Element { id, value: value.clone().into_owned() });
        }
        let key = id.key.to_bytes();
        let list = field.list(&key);
        let stored = self.tables.reader().stored_list(list)?;
        self.tables.replace_elements(list, stored, head..head + old.len(), &made)?;
        let property = || field.column.name().to_owned();
        for Element { id: element, .. } in old {
            let (property, element) = (property(), *element);
            self.note(field.table, &id.key, |target| Operation::ListRemove {
                target,
                property,
                element,
            });
        }
        let mut after = head.checked_sub(1).map(|before| held[before].id);
        for element in made {
            let (property, after) = (property(), after.replace(element.id));
            self.note(field.table, &id.key, |target| Operation::ListInsert {
                target,
                property,
                element,
                after,
            });
        }
        Ok(())
    }

    /// Returns the predecessor of the element at a position, if a commit hook takes it.
    fn predecessor(&self, list: ListRef<'_>, index: usize) -> Result<Option<ElementId>> {
        let Some(before) = index.checked_sub(1) else { return Ok(None) };
        if !self.has_commit_hook() {
            return Ok(None);
        }
        let stored = self.tables.reader().stored_list(list)?;
        Ok(Some(self.tables.reader().element(list, &stored, before)?.id))
    }
}

fn within(index: usize, end: usize, len: usize) -> Result<()> {
    if index < end {
        return Ok(());
    }
    Err(ObjectError::OutOfBounds { index, len }.into())
}
