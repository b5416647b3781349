//! Reading the tables below one root: of a snapshot, or as a transaction sees them.

use super::catalog::{Catalog, malformed};
use super::class_table::ClassTable;
use super::column::Column;
use super::key::{LinkOrigin, chunk, links_to, out_of_line, read_link};
use super::list::{ELEMENTS_MAX, Element, decode, find};
use super::list_chunks::{Chunk, ChunkIndex, Located, SegmentIndex, StoredList, locate};
use super::record::{Cell, cell, link, scalar};
use super::value::{ElementId, ObjectKey, Value};
use crate::error::{Error, Result};
use crate::schema::PropertyType;
use crate::tree::Bytes;
use crate::txn::ReadSource;
use std::collections::HashSet;
use std::ops::{Bound, Range};

/// Keys of objects that [`TableReader::keys_after`] returns at most.
const KEYS_AT_ONCE: usize = 1024;

/// The tables below one root, to read.
#[derive(Clone, Copy, Debug)]
pub struct TableReader<'a> {
    pub(crate) source: ReadSource<'a>,
    pub(crate) catalog: &'a Catalog,
}

/// A property of a class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ColumnRef<'t> {
    pub(crate) table: &'t ClassTable,
    pub(crate) column: &'t Column,
}

/// An entry of the tree of a class: the key of an object and its record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordRef<'r> {
    pub(crate) key: &'r [u8],
    pub(crate) record: &'r [u8],
}

/// A list of the object with a key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListRef<'l> {
    pub(crate) field: ColumnRef<'l>,
    pub(crate) key: &'l [u8],
}

/// Adjacent chunks of a list, with their elements.
pub(super) struct Region {
    pub(super) chunks: Range<usize>,
    /// Position of the first element in the list.
    pub(super) start: usize,
    pub(super) elements: Vec<Element>,
    /// The chunk of each element; none for a new element.
    pub(super) homes: Vec<Option<u32>>,
}

/// Elements of a list, read chunk by chunk.
#[derive(Debug)]
pub struct Elements<'a> {
    reader: TableReader<'a>,
    field: ColumnRef<'a>,
    key: Vec<u8>,
    segments: std::vec::IntoIter<Chunk>,
    chunks: std::vec::IntoIter<Chunk>,
    chunk: std::vec::IntoIter<Element>,
    read: ReadOnce,
}

/// Numbers of the chunks that one walk over a list has read. A chunk that the index names again is
/// damage, so that a hostile list costs no more than its bytes (T6).
#[derive(Debug, Default)]
struct ReadOnce(HashSet<u32>);

impl ReadOnce {
    fn note(&mut self, part: Chunk, reader: &TableReader<'_>) -> Result<Chunk> {
        let is_new = self.0.insert(part.number);
        is_new.then_some(part).ok_or_else(|| reader.malformed())
    }
}

impl<'t> ColumnRef<'t> {
    pub(crate) const fn new(table: &'t ClassTable, column: &'t Column) -> Self {
        Self { table, column }
    }

    pub(crate) const fn list(self, key: &'t [u8]) -> ListRef<'t> {
        ListRef { field: self, key }
    }
}

impl<'a> TableReader<'a> {
    /// Returns the error for a tree that does not hold objects.
    pub(crate) fn malformed(&self) -> Error {
        malformed(self.source.path())
    }

    /// Returns the record of an object; none if there is no such object.
    pub(crate) fn record(&self, table: &ClassTable, key: &ObjectKey) -> Result<Option<Bytes>> {
        self.source.tree(&table.trees.objects).get(&key.to_bytes())
    }

    /// Returns some keys of objects, in order, from the first one after a key; none at the end.
    pub(crate) fn keys_after(
        &self,
        table: &ClassTable,
        after: Option<&ObjectKey>,
    ) -> Result<Vec<ObjectKey>> {
        let after = after.map(ObjectKey::to_bytes);
        let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let tree = self.source.tree(&table.trees.objects);
        let mut range = tree.range((from, Bound::Unbounded))?;
        let mut keys = Vec::new();
        while keys.len() < KEYS_AT_ONCE
            && let Some((key, _)) = range.next_ref()?
        {
            keys.push(ObjectKey::from_bytes(key).ok_or_else(|| self.malformed())?);
        }
        Ok(keys)
    }

    /// Reads a value of an object.
    pub(crate) fn value<'r>(&self, field: ColumnRef<'_>, row: RecordRef<'r>) -> Result<Value<'r>> {
        self.value_in(field, row.record, row.key)
    }

    /// Reads a value of a record, which outlives the key of its object.
    pub(crate) fn value_in<'r>(
        &self,
        field: ColumnRef<'_>,
        record: &'r [u8],
        key: &[u8],
    ) -> Result<Value<'r>> {
        let malformed = || self.malformed();
        let ColumnRef { table, column } = field;
        let bytes = match cell(record, column).ok_or_else(malformed)? {
            Cell::Null => return Ok(Value::Null),
            Cell::Fixed(bytes) | Cell::Bytes(bytes) => bytes,
            Cell::OutOfLine => {
                let tree = self.source.tree(&table.trees.out_of_line);
                let entry = tree.get(&out_of_line(column.number, key))?;
                let entry = entry.ok_or_else(malformed)?;
                let value = scalar(column.kind(), &entry).map(Value::into_owned);
                return value.ok_or_else(malformed);
            }
        };
        let value = match column.kind() {
            PropertyType::Object(class) => {
                let target = self.catalog.table(class).ok_or_else(malformed)?;
                link(target.id, bytes).map(Value::Link)
            }
            kind => scalar(kind, bytes),
        };
        value.ok_or_else(malformed)
    }

    /// Returns the origins of all links to an object.
    pub(super) fn origins(&self, table: &ClassTable, key: &[u8]) -> Result<Vec<LinkOrigin>> {
        let prefix = links_to(key);
        let mut found = Vec::new();
        for entry in self.source.tree(&table.trees.links).range(&prefix[..]..)? {
            let (entry, _) = entry?;
            if !entry.starts_with(&prefix) {
                break;
            }
            let (_, origin) = read_link(&entry).ok_or_else(|| self.malformed())?;
            found.push(origin);
        }
        Ok(found)
    }

    /// Reads the entry of a list; a list without one is empty.
    pub(crate) fn stored_list(&self, list: ListRef<'_>) -> Result<StoredList> {
        let ColumnRef { table, column } = list.field;
        let tree = self.source.tree(&table.trees.out_of_line);
        let entry = tree.get(&out_of_line(column.number, list.key))?;
        let Some(bytes) = entry else { return Ok(StoredList::Short(Vec::new())) };
        let stored = if let Some(index) = ChunkIndex::decode(&bytes) {
            StoredList::Long(index)
        } else if let Some(index) = SegmentIndex::decode(&bytes) {
            StoredList::Segmented(index)
        } else {
            return self.decode_list(column, &bytes).map(StoredList::Short);
        };
        // Positions of elements are sums of counts, which a hostile index may have any of.
        let fits = stored.len() <= ELEMENTS_MAX;
        fits.then_some(stored).ok_or_else(|| self.malformed())
    }

    /// Reads the chunks that a segment counts.
    pub(super) fn read_segment(&self, list: ListRef<'_>, held: Chunk) -> Result<Vec<Chunk>> {
        let ColumnRef { table, column } = list.field;
        let at = chunk(column.number, list.key, held.number);
        let entry = self.source.tree(&table.trees.chunks).get(&at)?;
        let index = entry.and_then(|entry| ChunkIndex::decode(&entry));
        let index = index.filter(|index| index.len() == held.len());
        index.map(|index| index.chunks).ok_or_else(|| self.malformed())
    }

    fn decode_list(&self, column: &Column, bytes: &[u8]) -> Result<Vec<Element>> {
        let target = match column.target() {
            Some(class) => Some(self.catalog.table(class).ok_or_else(|| self.malformed())?.id),
            None => None,
        };
        decode(column.kind(), target, bytes).ok_or_else(|| self.malformed())
    }

    pub(super) fn read_chunk(&self, list: ListRef<'_>, held: Chunk) -> Result<Vec<Element>> {
        let ColumnRef { table, column } = list.field;
        let at = chunk(column.number, list.key, held.number);
        let entry = self.source.tree(&table.trees.chunks).get(&at)?;
        let elements = self.decode_list(column, &entry.ok_or_else(|| self.malformed())?)?;
        let counted = elements.len() == held.len();
        counted.then_some(elements).ok_or_else(|| self.malformed())
    }

    /// Returns the index of an element in a chunk, whose other elements are not decoded.
    pub(super) fn find_in_chunk(
        &self,
        list: ListRef<'_>,
        held: Chunk,
        id: ElementId,
    ) -> Result<Option<usize>> {
        let ColumnRef { table, column } = list.field;
        let at = chunk(column.number, list.key, held.number);
        let entry = self.source.tree(&table.trees.chunks).get(&at)?;
        let found = entry.and_then(|entry| find(column.kind(), &entry, id));
        found.ok_or_else(|| self.malformed())
    }

    /// Reads a list.
    pub(crate) fn list(&self, list: ListRef<'_>) -> Result<Vec<Element>> {
        self.elements(list.field, list.key)?.collect()
    }

    pub(super) fn read_chunks(&self, list: ListRef<'_>, chunks: &[Chunk]) -> Result<Vec<Element>> {
        let mut elements = Vec::new();
        for chunk in chunks {
            elements.append(&mut self.read_chunk(list, *chunk)?);
        }
        Ok(elements)
    }

    /// Reads the element at a position, which the list must have.
    pub(crate) fn element(
        &self,
        list: ListRef<'_>,
        stored: &StoredList,
        index: usize,
    ) -> Result<Element> {
        let found = match stored {
            StoredList::Short(elements) => elements.get(index).cloned(),
            StoredList::Long(held) => self.element_of(list, &held.chunks, index)?,
            StoredList::Segmented(held) => {
                let Located { chunks, start } = locate(&held.segments, &(index..index + 1));
                match held.segments.get(chunks.start) {
                    Some(segment) => {
                        let chunks = self.read_segment(list, *segment)?;
                        self.element_of(list, &chunks, index - start)?
                    }
                    None => None,
                }
            }
        };
        found.ok_or_else(|| self.malformed())
    }

    fn element_of(
        &self,
        list: ListRef<'_>,
        chunks: &[Chunk],
        index: usize,
    ) -> Result<Option<Element>> {
        let region = self.region(list, chunks, &(index..index + 1))?;
        Ok(region.elements.into_iter().nth(index - region.start))
    }

    /// Reads the chunks that hold some positions.
    pub(super) fn region(
        &self,
        list: ListRef<'_>,
        all: &[Chunk],
        positions: &Range<usize>,
    ) -> Result<Region> {
        let Located { chunks, start } = locate(all, positions);
        let elements = self.read_chunks(list, &all[chunks.clone()])?;
        let home = |chunk: &Chunk| std::iter::repeat_n(Some(chunk.number), chunk.len());
        let homes = all[chunks.clone()].iter().flat_map(home).collect();
        Ok(Region { chunks, start, elements, homes })
    }

    /// Walks a list chunk by chunk.
    pub(crate) fn elements(self, field: ColumnRef<'a>, key: &[u8]) -> Result<Elements<'a>> {
        let (segments, chunks, chunk) = match self.stored_list(ListRef { field, key })? {
            StoredList::Short(elements) => (Vec::new(), Vec::new(), elements),
            StoredList::Long(index) => (Vec::new(), index.chunks, Vec::new()),
            StoredList::Segmented(index) => (index.segments, Vec::new(), Vec::new()),
        };
        let (segments, chunks) = (segments.into_iter(), chunks.into_iter());
        let (key, chunk) = (key.to_vec(), chunk.into_iter());
        let read = ReadOnce::default();
        Ok(Elements { reader: self, field, key, segments, chunks, chunk, read })
    }
}

impl Elements<'_> {
    /// Reads the next chunk; none behind the last one.
    fn read_next(&mut self) -> Option<Result<Vec<Element>>> {
        let list = ListRef { field: self.field, key: &self.key };
        loop {
            if let Some(chunk) = self.chunks.next() {
                let chunk = self.read.note(chunk, &self.reader);
                return Some(chunk.and_then(|chunk| self.reader.read_chunk(list, chunk)));
            }
            let segment = self.read.note(self.segments.next()?, &self.reader);
            match segment.and_then(|segment| self.reader.read_segment(list, segment)) {
                Ok(chunks) => self.chunks = chunks.into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Iterator for Elements<'_> {
    type Item = Result<Element>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(element) = self.chunk.next() {
                return Some(Ok(element));
            }
            match self.read_next()? {
                Ok(elements) => self.chunk = elements.into_iter(),
                Err(error) => {
                    self.segments = Vec::new().into_iter();
                    self.chunks = Vec::new().into_iter();
                    return Some(Err(error));
                }
            }
        }
    }
}
