//! What goes with an object: links to it and from it, index entries, values apart.
//!
//! - B4 The links that are noted at an object are exactly those that lead to it.

use super::catalog::{Column, Place, Table, index_tree};
use super::index;
use super::key::{Origin, apart, link, links_to, read_link};
use super::operation::Operation;
use super::record::{Cell, ValueBytes, cell};
use super::transaction::Transaction;
use super::value::{ClassId, ObjectId, ObjectKey, Value};
use crate::conc::Arc;
use crate::error::Result;

impl Transaction {
    /// Takes an object out of an index, or puts it in.
    pub(super) fn index(
        &mut self,
        (class, column): (ClassId, &Column),
        key: &[u8],
        (held, value): (Option<&Value<'_>>, Option<&Value<'_>>),
    ) -> Result<()> {
        if !column.has_index_tree() {
            return Ok(());
        }
        let mut tree = self.txn.tree(&index_tree(class, column.number))?;
        if let Some(held) = held {
            tree.remove(&index::entry(held, key))?;
        }
        if let Some(value) = value {
            tree.insert(&index::entry(value, key), &[])?;
        }
        Ok(())
    }

    /// Notes a link where it leads.
    pub(super) fn link(&mut self, at: (ClassId, u16), key: &[u8], to: &ObjectId) -> Result<()> {
        self.count_link(at, key, (to, |count| count + 1))
    }

    /// Forgets a link where it leads.
    pub(super) fn unlink(&mut self, at: (ClassId, u16), key: &[u8], to: &ObjectId) -> Result<()> {
        self.count_link(at, key, (to, |count| count.saturating_sub(1)))
    }

    /// Forgets the link that was a value, and notes the one that is.
    pub(super) fn link_anew(
        &mut self,
        (class, column): (ClassId, &Column),
        key: &[u8],
        (held, value): (&Value<'_>, &Value<'_>),
    ) -> Result<()> {
        if let Value::Link(to) = held {
            self.unlink((class, column.number), key, to)?;
        }
        if let Value::Link(to) = value {
            self.link((class, column.number), key, to)?;
        }
        Ok(())
    }

    fn count_link(
        &mut self,
        (class, column): (ClassId, u16),
        key: &[u8],
        (to, count): (&ObjectId, fn(u32) -> u32),
    ) -> Result<()> {
        let target = Arc::clone(self.catalog.table_numbered(to.class)?);
        let origin = Origin { class, column, object: key.to_vec() };
        let entry = link(&to.key.to_bytes(), &origin);
        let held = match self.txn.tree(&target.trees.links)?.get(&entry)? {
            Some(bytes) => (*bytes).try_into().map(u32::from_le_bytes).ok(),
            None => Some(0),
        };
        let count = count(held.ok_or_else(|| self.view().malformed())?);
        let mut tree = self.txn.tree(&target.trees.links)?;
        if count > 0 {
            tree.insert(&entry, &count.to_le_bytes())?;
        } else {
            tree.remove(&entry)?;
        }
        Ok(())
    }

    /// Writes a value that is too long for the record, and removes one that no longer is.
    pub(super) fn keep_apart(
        &mut self,
        (table, column): (&Table, &Column),
        key: &[u8],
        (record, value): (&[u8], &ValueBytes<'_>),
    ) -> Result<()> {
        let was = cell(record, column).ok_or_else(|| self.view().malformed())? == Cell::Apart;
        match (value.cell(), value.get()) {
            (Cell::Apart, Some(bytes)) => {
                let mut tree = self.txn.tree(&table.trees.apart)?;
                tree.insert(&apart(column.number, key), bytes)?;
            }
            _ if was => {
                self.txn.tree(&table.trees.apart)?.remove(&apart(column.number, key))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Moves what a property of an object keeps apart to another key.
    pub(super) fn move_apart(
        &mut self,
        table: &Table,
        column: &Column,
        (from, to): (&[u8], &[u8]),
    ) -> Result<()> {
        let mut tree = self.txn.tree(&table.trees.apart)?;
        let entry = apart(column.number, from);
        let held = tree.get(&entry)?.map(|held| held.to_vec());
        let Some(held) = held else { return Ok(()) };
        tree.remove(&entry)?;
        tree.insert(&apart(column.number, to), &held)?;
        if column.is_list() { self.move_pieces((table, column, from), to) } else { Ok(()) }
    }

    /// Removes an object with all that goes with it.
    pub(super) fn erase(&mut self, table: &Table, key: &[u8], record: &[u8]) -> Result<()> {
        for column in &*table.columns {
            self.let_go((table, column), key, record)?;
        }
        self.let_go_of(table, key)?;
        self.txn.tree(&table.trees.objects)?.remove(key)?;
        Ok(())
    }

    /// Removes what a property of an object has outside of the record.
    pub(super) fn let_go(
        &mut self,
        (table, column): (&Table, &Column),
        key: &[u8],
        record: &[u8],
    ) -> Result<()> {
        match column.place {
            Place::Key => {}
            Place::Slot(_) => {
                let value = self.view().read_value((table, column), (key, record))?.into_owned();
                self.keep_apart((table, column), key, (record, &ValueBytes::Null))?;
                self.index((table.id, column), key, (Some(&value), None))?;
                if let Value::Link(to) = &value {
                    self.unlink((table.id, column.number), key, to)?;
                }
            }
            Place::Apart => {
                let elements = match column.target() {
                    Some(_) => self.view().read_list((table, column), key)?,
                    None => Vec::new(),
                };
                for element in &elements {
                    if let Value::Link(to) = &element.value {
                        self.unlink((table.id, column.number), key, to)?;
                    }
                }
                self.remove_list((table, column, key))?;
            }
        }
        Ok(())
    }

    /// Returns the links to an object, each with the object's own key.
    pub(super) fn links_to(&self, table: &Table, key: &[u8]) -> Result<Vec<Origin>> {
        let prefix = links_to(key);
        let mut found = Vec::new();
        for entry in self.view().source.tree(&table.trees.links).range(&prefix[..]..)? {
            let (entry, _) = entry?;
            if !entry.starts_with(&prefix) {
                break;
            }
            let (_, origin) = read_link(&entry).ok_or_else(|| self.view().malformed())?;
            found.push(origin);
        }
        Ok(found)
    }

    /// Takes an object out of all properties that link to it.
    fn let_go_of(&mut self, table: &Table, key: &[u8]) -> Result<()> {
        for origin in self.links_to(table, key)? {
            let from = Arc::clone(self.catalog.table_numbered(origin.class)?);
            let column = from.column_numbered(origin.column);
            let column = column.ok_or_else(|| self.view().malformed())?;
            let object = ObjectKey::from_bytes(&origin.object);
            let object = object.ok_or_else(|| self.view().malformed())?;
            let id = ObjectId { class: from.id, key: object };
            let to = ObjectKey::from_bytes(key);
            let to = to.ok_or_else(|| self.view().malformed())?;
            let to = Value::Link(ObjectId { class: table.id, key: to });
            if column.is_list() {
                let at = (&*from, column, &*origin.object);
                let elements = self.view().elements((&from, column), &origin.object)?;
                let mut gone = Vec::new();
                for (index, element) in elements.enumerate() {
                    let element = element?;
                    if element.value == to {
                        gone.push((index, element.id));
                    }
                }
                for (index, _) in gone.iter().rev() {
                    let stored = self.view().stored(at)?;
                    self.splice(at, stored, (*index..index + 1, &[]))?;
                }
                for (_, element) in gone {
                    let property = column.name().to_owned();
                    self.note(&from, &id.key, |target| Operation::ListRemove {
                        target,
                        property,
                        element,
                    });
                }
                self.txn.tree(&table.trees.links)?.remove(&link(key, &origin))?;
            } else {
                let record = self.record(&from, &id)?;
                self.replace((&from, column), (&id, &record), (&to, &Value::Null))?;
                let (property, value) = (column.name().to_owned(), Value::Null);
                self.note(&from, &id.key, |target| Operation::Set { target, property, value });
            }
        }
        Ok(())
    }
}
