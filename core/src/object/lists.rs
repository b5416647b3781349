//! Changing lists.
//!
//! - B5 An element keeps its id, and no other element of the file ever has it.

use super::catalog::{Column, Table};
use super::list::Element;
use super::operation::{Operation, Target};
use super::transaction::Transaction;
use super::value::{ElementId, ObjectId, Value};
use super::view::list_column;
use crate::conc::Arc;
use crate::error::{Error, ObjectError, Result};
use crate::fault::{self, Fault};

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
    /// [`ObjectError::Gone`], [`ObjectError::PropertyUnknown`], or [`ObjectError::Type`] if it is
    /// no list.
    pub fn list(&mut self, id: &ObjectId, property: &str) -> Result<ListMut<'_>> {
        let table = Arc::clone(self.catalog.table_numbered(id.class)?);
        let column = list_column(&table, property)?.clone();
        self.record(&table, id)?;
        Ok(ListMut { txn: self, table, column, id: id.clone() })
    }
}

impl ListMut<'_> {
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
        Ok(self.elements()?.len())
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
        let value = value.into().into_owned();
        self.txn.check_value((&self.table, &self.column), &value)?;
        let mut elements = self.held()?;
        within(index, elements.len() + 1, elements.len())?;
        elements.insert(index, new_element(&value));
        self.check_room(&elements)?;
        self.txn.change(|txn| {
            let id = ElementId { author: 0, number: txn.take_number()? };
            elements[index].id = id;
            let at = (&*self.table, &self.column);
            txn.put_list(at, &self.id.key.to_bytes(), &elements)?;
            txn.count(at, &self.id, (None, Some(&value)))?;
            let property = self.column.name().to_owned();
            let (element, after) = (Element { id, value }, before(&elements, index));
            txn.note(&self.table, &self.id.key, |target| Operation::ListInsert {
                target,
                property,
                element,
                after,
            });
            Ok(id)
        })
    }

    /// Inserts an element at the end, and returns its id.
    ///
    /// # Errors
    /// As [`ListMut::insert`].
    pub fn push<'v>(&mut self, value: impl Into<Value<'v>>) -> Result<ElementId> {
        let len = self.held()?.len();
        self.insert(len, value)
    }

    /// Sets the value of the element at `index`, which keeps its id.
    ///
    /// # Errors
    /// As [`ListMut::insert`].
    pub fn set<'v>(&mut self, index: usize, value: impl Into<Value<'v>>) -> Result<()> {
        let value = value.into().into_owned();
        self.txn.check_value((&self.table, &self.column), &value)?;
        let mut elements = self.held()?;
        within(index, elements.len(), elements.len())?;
        let held = std::mem::replace(&mut elements[index].value, value.clone());
        if held.is_same(&value) {
            return Ok(());
        }
        self.check_room(&elements)?;
        let element = elements[index].clone();
        self.put(&elements, &[(Some(&held), Some(&value))], |target, property| {
            vec![Operation::ListSet { target, property, element }]
        })
    }

    /// Removes the element at `index` and returns it.
    ///
    /// # Errors
    /// [`ObjectError::OutOfBounds`].
    pub fn remove(&mut self, index: usize) -> Result<Element> {
        let mut elements = self.held()?;
        within(index, elements.len(), elements.len())?;
        let removed = elements.remove(index);
        let element = removed.id;
        self.put(&elements, &[(Some(&removed.value), None)], |target, property| {
            vec![Operation::ListErase { target, property, element }]
        })?;
        Ok(removed)
    }

    /// Moves the element at `from` so that it is then at `to`.
    ///
    /// # Errors
    /// [`ObjectError::OutOfBounds`].
    pub fn move_to(&mut self, from: usize, to: usize) -> Result<()> {
        let mut elements = self.held()?;
        within(from, elements.len(), elements.len())?;
        within(to, elements.len(), elements.len())?;
        if from == to {
            return Ok(());
        }
        let moved = elements.remove(from);
        let element = moved.id;
        elements.insert(to, moved);
        let after = before(&elements, to);
        self.put(&elements, &[], |target, property| {
            vec![Operation::ListMove { target, property, element, after }]
        })
    }

    /// Removes every element.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn clear(&mut self) -> Result<()> {
        let elements = self.held()?;
        if elements.is_empty() {
            return Ok(());
        }
        let gone: Vec<_> = elements.iter().map(|element| (Some(&element.value), None)).collect();
        self.put(&[], &gone, |target, property| {
            let erase = |element: &Element| Operation::ListErase {
                target: target.clone(),
                property: property.clone(),
                element: element.id,
            };
            elements.iter().map(erase).collect()
        })
    }

    /// Writes the list and counts links that it no longer has, or now has.
    fn put(
        &mut self,
        elements: &[Element],
        changes: &[Changed<'_>],
        operations: impl FnOnce(Target, String) -> Vec<Operation>,
    ) -> Result<()> {
        let Self { txn, table, column, id } = self;
        txn.change(|txn| {
            txn.put_list((table, column), &id.key.to_bytes(), elements)?;
            changes.iter().try_for_each(|change| txn.count((table, column), id, *change))?;
            txn.touch([id.clone()]);
            if txn.shared.listener.is_some() {
                let target = Target { class: table.name.clone(), key: id.key.clone() };
                txn.operations.extend(operations(target, column.name().to_owned()));
            }
            Ok(())
        })
    }

    /// Reads the list, to change it.
    fn held(&mut self) -> Result<Vec<Element>> {
        let elements = self.elements();
        self.txn.noted(elements)
    }

    fn check_room(&self, elements: &[Element]) -> Result<()> {
        let fits = super::list::check_room(elements);
        fits.then_some(()).ok_or_else(|| list_too_long(&self.table, &self.column))
    }
}

pub(super) fn list_too_long(table: &Table, column: &Column) -> Error {
    let (class, property) = (table.name.clone(), column.name().to_owned());
    ObjectError::ListTooLong { class, property }.into()
}

/// Returns an element that has no id yet.
pub(super) fn new_element(value: &Value<'_>) -> Element {
    Element { id: ElementId { author: 0, number: 0 }, value: value.clone().into_owned() }
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
        let same = |(one, two): &(&Element, &Value<'_>)| one.value.is_same(two);
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
        let mut elements = held[..head].to_vec();
        for value in new {
            let id = ElementId { author: 0, number: self.take_number()? };
            elements.push(Element { id, ..new_element(value) });
        }
        elements.extend_from_slice(tail);
        self.put_list(at, &id.key.to_bytes(), &elements)?;
        let property = || column.name().to_owned();
        for Element { id: element, value } in old {
            self.count(at, id, (Some(value), None))?;
            let (property, element) = (property(), *element);
            self.note(table, &id.key, |target| Operation::ListErase { target, property, element });
        }
        for index in head..head + new.len() {
            let (element, after) = (elements[index].clone(), before(&elements, index));
            self.count(at, id, (None, Some(&element.value)))?;
            let property = property();
            self.note(table, &id.key, |target| Operation::ListInsert {
                target,
                property,
                element,
                after,
            });
        }
        Ok(())
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

/// Returns the element that the one at a place stands behind.
fn before(elements: &[Element], index: usize) -> Option<ElementId> {
    index.checked_sub(1).and_then(|at| elements.get(at)).map(|element| element.id)
}

fn within(index: usize, end: usize, len: usize) -> Result<()> {
    if index < end {
        return Ok(());
    }
    Err(ObjectError::OutOfBounds { index, len }.into())
}
