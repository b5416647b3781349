//! Integrity of objects: everything that the trees hold twice, compared.
//!
//! - B13 The check reports every index entry, back-link, list, out-of-line value and number that
//!   contradicts the objects, and reports nothing else.
//!
//! Each object is read once. The entries that it implies are looked up: its index entries, its
//! back-links, the parts of its lists. The counts of all implied entries are compared with the
//! lengths of the trees, so that an entry that no object implies is found too. Beside 16 bytes for
//! each list element, one object or list is in memory.
//!
//! Format: docs/objects.md#trees. Check: `sim::check::objects`.

use super::catalog::{Catalog, MAIN, schema_tree};
use super::class_table::ClassTable;
use super::column::{Column, ColumnPlace, HEADER_BYTES, slot_bytes};
use super::index;
use super::key::{LinkOrigin, fits, link, out_of_line};
use super::problem::{ObjectProblem, ObjectProblemKind};
use super::reader::{ColumnRef, RecordRef, TableReader};
use super::record::{Cell, INLINE_BYTES_MAX, cell};
use super::tables::stored_next;
use super::value::{ClassId, ElementId, ObjectId, ObjectKey, RowId, Value};
use crate::codec::u16_at;
use crate::conc::Arc;
use crate::error::{Error, FileErrorCause, Result};
use crate::txn::{ReadSource, StoreSnapshot};
use std::collections::{BTreeMap, BTreeSet};

/// Most problems that are reported.
const PROBLEMS_MAX: usize = 1000;

/// Checks the objects of a commit; none if the file has no classes.
pub(crate) fn problems(snapshot: &StoreSnapshot) -> Result<Vec<ObjectProblem>> {
    let schema = schema_tree(MAIN);
    if !snapshot.tree_names().any(|name| name == schema) {
        return Ok(Vec::new());
    }
    let source = ReadSource::Snapshot(snapshot);
    let mut problems = Problems::default();
    let catalog = problems.unless_malformed(&schema, Catalog::load(source, MAIN))?;
    let next = problems.unless_malformed(&schema, stored_next(source, MAIN))?;
    if let (Some(catalog), Some(next)) = (catalog, next) {
        let reader = TableReader { source, catalog: &catalog };
        let (links, elements) = (BTreeMap::new(), Vec::new());
        let mut check = Integrity { reader, next, links, elements, problems };
        check.names(snapshot);
        for table in catalog.tables() {
            check.class(table)?;
        }
        check.back_links()?;
        check.element_ids();
        problems = check.problems;
    }
    Ok(problems.found)
}

/// Problems that were found.
#[derive(Default)]
pub(super) struct Problems {
    found: Vec<ObjectProblem>,
}

/// A check of all objects below one root.
pub(super) struct Integrity<'a> {
    pub(super) reader: TableReader<'a>,
    /// The next number of an object or element of this file.
    next: u64,
    /// How many back-links the objects imply, by the class that they lead to.
    links: BTreeMap<ClassId, u64>,
    pub(super) elements: Vec<ElementId>,
    pub(super) problems: Problems,
}

/// How many entries the objects of a class imply.
#[derive(Default)]
pub(super) struct Implied {
    pub(super) out_of_line: u64,
    pub(super) chunks: u64,
}

impl Problems {
    pub(super) fn push(&mut self, kind: ObjectProblemKind, tree: &str, key: &[u8]) {
        if self.found.len() < PROBLEMS_MAX {
            self.found.push(ObjectProblem { kind, tree: tree.to_owned(), key: key.to_vec() });
        }
    }

    pub(super) fn push_unless(
        &mut self,
        holds: bool,
        kind: ObjectProblemKind,
        (tree, key): (&str, &[u8]),
    ) {
        if !holds {
            self.push(kind, tree, key);
        }
    }

    /// Turns a malformed entry into a problem; other errors end the check.
    pub(super) fn unless_malformed<T>(
        &mut self,
        tree: &str,
        outcome: Result<T>,
    ) -> Result<Option<T>> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(Error::File { cause: FileErrorCause::MalformedObject, .. }) => {
                self.push(ObjectProblemKind::Malformed, tree, &[]);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Integrity<'_> {
    /// Checks that each tree below the root belongs to a class.
    fn names(&mut self, snapshot: &StoreSnapshot) {
        let mut known = BTreeSet::from([schema_tree(MAIN)]);
        for table in self.reader.catalog.tables() {
            let names = &table.trees;
            let of_class = [&names.objects, &names.out_of_line, &names.chunks, &names.links];
            known.extend(of_class.map(String::clone));
            let indexed = table.columns.iter().filter(|column| column.has_index_tree());
            known.extend(indexed.map(|column| table.index_tree(column.number)));
        }
        let root = format!("{MAIN}/");
        let below = snapshot.tree_names().filter(|name| name.starts_with(&root));
        for name in below.filter(|name| !known.contains(*name)) {
            self.problems.push(ObjectProblemKind::TreeUnknown, name, &[]);
        }
        let (schema, catalog) = (schema_tree(MAIN), self.reader.catalog);
        let mut is_sound = catalog.schema().is_ok();
        for table in catalog.tables() {
            is_sound &= catalog.is_given_out(table.id) && is_class_sound(table);
        }
        self.problems.push_unless(is_sound, ObjectProblemKind::Classes, (&schema, &[]));
    }

    fn class(&mut self, table: &ClassTable) -> Result<()> {
        let mut implied = Implied::default();
        let objects = self.reader.source.tree(&table.trees.objects);
        let mut range = objects.range(..)?;
        while let Some((key, record)) = range.next_ref()? {
            self.object(table, RecordRef { key, record }, &mut implied)?;
        }
        for column in table.columns.iter().filter(|column| column.has_index_tree()) {
            let name = table.index_tree(column.number);
            self.length(ObjectProblemKind::IndexLength, &name, objects.len());
        }
        let trees = &table.trees;
        self.length(ObjectProblemKind::OutOfLineLength, &trees.out_of_line, implied.out_of_line);
        self.length(ObjectProblemKind::ChunksLength, &trees.chunks, implied.chunks);
        Ok(())
    }

    /// Compares the length of a tree with the number of entries that objects imply.
    fn length(&mut self, kind: ObjectProblemKind, tree: &str, implied: u64) {
        let held = self.reader.source.tree(tree).len();
        self.problems.push_unless(held == implied, kind, (tree, &[]));
    }

    fn object(
        &mut self,
        table: &ClassTable,
        row: RecordRef<'_>,
        implied: &mut Implied,
    ) -> Result<()> {
        let place = (&*table.trees.objects, row.key);
        let Some(key) = ObjectKey::from_bytes(row.key).filter(|key| fits(table, key)) else {
            self.problems.push(ObjectProblemKind::ObjectKey, place.0, place.1);
            return Ok(());
        };
        if let ObjectKey::Row(RowId { author: 0, number }) = key {
            self.problems.push_unless(number < self.next, ObjectProblemKind::Number, place);
        }
        let is_record = row.record.len() >= usize::from(HEADER_BYTES)
            && u16_at(row.record, 0) <= table.fixed_bytes
            && row.record.len() >= usize::from(u16_at(row.record, 0));
        if !is_record {
            self.problems.push(ObjectProblemKind::Record, place.0, place.1);
            return Ok(());
        }
        for column in &*table.columns {
            let field = ColumnRef::new(table, column);
            match column.place {
                ColumnPlace::Key => {}
                ColumnPlace::Slot(_) => self.value(field, row, implied)?,
                ColumnPlace::OutOfLine => self.list(field.list(row.key), implied)?,
            }
        }
        Ok(())
    }

    fn value(
        &mut self,
        field: ColumnRef<'_>,
        row: RecordRef<'_>,
        implied: &mut Implied,
    ) -> Result<()> {
        let ColumnRef { table, column } = field;
        let objects = (&*table.trees.objects, row.key);
        if cell(row.record, column) == Some(Cell::OutOfLine) {
            implied.out_of_line += 1;
            let entry = out_of_line(column.number, row.key);
            let held = self.reader.source.tree(&table.trees.out_of_line).get(&entry)?;
            let is_long = held.is_some_and(|held| held.len() > INLINE_BYTES_MAX);
            let place = (&*table.trees.out_of_line, &*entry);
            self.problems.push_unless(is_long, ObjectProblemKind::OutOfLine, place);
            if !is_long {
                return Ok(());
            }
        }
        let value = self.reader.value(field, row);
        let Some(value) = self.problems.unless_malformed(objects.0, value)? else { return Ok(()) };
        self.problems.push_unless(column.accepts(&value), ObjectProblemKind::Value, objects);
        if column.has_index_tree() {
            let (tree, entry) = (table.index_tree(column.number), index::entry(&value, row.key));
            let held = self.reader.source.tree(&tree).get(&entry)?;
            let place = (&*tree, &*entry);
            self.problems.push_unless(held.is_some(), ObjectProblemKind::IndexEntry, place);
        }
        match value {
            Value::Link(to) => self.link(field, row.key, (&to, 1)),
            _ => Ok(()),
        }
    }

    /// Checks the target and the back-link of a number of links.
    pub(super) fn link(
        &mut self,
        field: ColumnRef<'_>,
        key: &[u8],
        (to, count): (&ObjectId, u32),
    ) -> Result<()> {
        let Some(target) = self.reader.catalog.table_numbered(to.class) else { return Ok(()) };
        let objects = (&*field.table.trees.objects, key);
        let exists = self.reader.record(target, &to.key)?.is_some();
        self.problems.push_unless(exists, ObjectProblemKind::LinkTarget, objects);
        let (class, column) = (field.table.id, field.column.number);
        let origin = LinkOrigin { class, column, object: key.to_vec() };
        let entry = link(&to.key.to_bytes(), &origin);
        let held = self.reader.source.tree(&target.trees.links).get(&entry)?;
        let is_counted = held.is_some_and(|held| *held == count.to_le_bytes());
        let place = (&*target.trees.links, &*entry);
        self.problems.push_unless(is_counted, ObjectProblemKind::BackLink, place);
        *self.links.entry(to.class).or_default() += 1;
        Ok(())
    }

    /// Compares the numbers of back-links.
    fn back_links(&mut self) -> Result<()> {
        let tables: Vec<Arc<ClassTable>> = self.reader.catalog.tables().cloned().collect();
        for table in tables {
            let implied = self.links.get(&table.id).copied().unwrap_or_default();
            self.length(ObjectProblemKind::BackLinksLength, &table.trees.links, implied);
        }
        Ok(())
    }

    /// Tells whether this file gave out the number of an element, if it is its author.
    pub(super) const fn is_given_out(&self, id: ElementId) -> bool {
        id.author != 0 || id.number < self.next
    }

    /// Checks that no two elements have one id.
    fn element_ids(&mut self) {
        self.elements.sort_unstable();
        for pair in self.elements.windows(2).filter(|pair| pair[0] == pair[1]) {
            let ElementId { author, number } = pair[0];
            let id = [&author.to_be_bytes()[..], &number.to_be_bytes()].concat();
            self.problems.push(ObjectProblemKind::ElementTwice, MAIN, &id);
        }
    }
}

/// Checks that the columns of a class have numbers and slots of their own (B6).
fn is_class_sound(table: &ClassTable) -> bool {
    let mut numbers: Vec<u16> = table.columns.iter().map(|column| column.number).collect();
    numbers.sort_unstable();
    let is_below = numbers.last().is_none_or(|last| *last < table.next_column);
    let slot = |column: &Column| match column.place {
        ColumnPlace::Slot(at) => {
            let bytes = slot_bytes(column.kind(), column.property.is_nullable());
            Some(usize::from(at)..usize::from(at) + bytes)
        }
        ColumnPlace::Key | ColumnPlace::OutOfLine => None,
    };
    let mut slots: Vec<_> = table.columns.iter().filter_map(slot).collect();
    slots.sort_unstable_by_key(|slot| slot.start);
    let fixed = usize::from(HEADER_BYTES)..usize::from(table.fixed_bytes);
    is_below
        && numbers.windows(2).all(|pair| pair[0] != pair[1])
        && slots.windows(2).all(|pair| pair[0].end <= pair[1].start)
        && slots.iter().all(|slot| fixed.start <= slot.start && slot.end <= fixed.end)
}
