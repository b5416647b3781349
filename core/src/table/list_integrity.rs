//! Integrity of lists: the entry of a list, its chunks, its elements and their links.
//!
//! - B13 The check reports every list that contradicts its chunks, its limits or its links.
//!
//! Format: docs/objects.md#lists.

use super::integrity::{Implied, Integrity};
use super::key::{chunk, linking, out_of_line, places, segment_of};
use super::limits::CHUNK_BYTES_MAX;
use super::list::{Element, LIST_BYTES_MAX};
use super::list_chunks::{Chunk, ChunkIndex, SegmentIndex, StoredList, bytes};
use super::list_places::Block;
use super::problem::ObjectProblemKind;
use super::reader::{ColumnRef, ListRef};
use super::value::{ObjectId, Value};
use crate::error::Result;
use std::collections::BTreeMap;

impl Integrity<'_> {
    /// Checks a list of an object.
    pub(super) fn list(&mut self, list: ListRef<'_>, implied: &mut Implied) -> Result<()> {
        let ColumnRef { table, column } = list.field;
        let entry = out_of_line(column.number, list.key);
        let tree = &table.trees.out_of_line;
        if self.reader.source.tree(tree).get(&entry)?.is_none() {
            return Ok(());
        }
        implied.out_of_line += 1;
        let stored = self.reader.stored_list(list);
        let Some(stored) = self.problems.unless_malformed(tree, stored)? else { return Ok(()) };
        let is_sound = stored.len() > 0 && stored.bytes() <= LIST_BYTES_MAX;
        let place = (&**tree, &*entry);
        self.problems.push_unless(is_sound, ObjectProblemKind::List, place);
        let elements = match stored {
            StoredList::Short(elements) => Some(elements),
            StoredList::Long(index) => self.chunks(list, &index, implied)?,
            StoredList::Segmented(index) => self.segments(list, &index, implied)?,
        };
        match elements {
            Some(elements) => self.elements(list, &elements),
            None => Ok(()),
        }
    }

    /// Checks the chunks of a list, and returns the elements if all could be read.
    fn chunks(
        &mut self,
        list: ListRef<'_>,
        index: &ChunkIndex,
        implied: &mut Implied,
    ) -> Result<Option<Vec<Element>>> {
        let ColumnRef { table, column } = list.field;
        let entry = out_of_line(column.number, list.key);
        let numbers = index.numbers();
        // A chunk that is named twice is not read twice, so that a hostile list costs no more than
        // its bytes.
        if numbers.windows(2).any(|pair| pair[0] == pair[1]) {
            self.problems.push(ObjectProblemKind::List, &table.trees.out_of_line, &entry);
            return Ok(None);
        }
        implied.chunks += numbers.len() as u64;
        let mut elements = Vec::new();
        for held in &index.chunks {
            let tree = &table.trees.chunks;
            let read = self.reader.read_chunk(list, *held);
            let Some(mut read) = self.problems.unless_malformed(tree, read)? else {
                return Ok(None);
            };
            // Links may have got longer keys.
            let may_be_long = read.len() == 1 || column.target().is_some();
            let fits = !read.is_empty() && (may_be_long || bytes(&read) <= CHUNK_BYTES_MAX);
            let at = chunk(column.number, list.key, held.number);
            self.problems.push_unless(fits, ObjectProblemKind::Chunk, (tree, &at));
            elements.append(&mut read);
        }
        let place = (&*table.trees.out_of_line, &*entry);
        let is_sum = bytes(&elements) == index.bytes;
        self.problems.push_unless(is_sum, ObjectProblemKind::List, place);
        Ok(Some(elements))
    }

    /// Checks the segments of a list, and the places of its chunks and elements.
    fn segments(
        &mut self,
        list: ListRef<'_>,
        index: &SegmentIndex,
        implied: &mut Implied,
    ) -> Result<Option<Vec<Element>>> {
        let ColumnRef { table, column } = list.field;
        let (mut chunks, mut homes) = (Vec::new(), Vec::new());
        for segment in &index.segments {
            let read = self.reader.read_segment(list, *segment);
            let Some(mut read) = self.problems.unless_malformed(&table.trees.chunks, read)? else {
                return Ok(None);
            };
            homes.extend(read.iter().map(|_| segment.number));
            chunks.append(&mut read);
        }
        let all = [&index.segments[..], &chunks].concat();
        let numbers = ChunkIndex { bytes: 0, chunks: all }.numbers();
        let are_own = numbers.windows(2).all(|pair| pair[0] != pair[1])
            && numbers.last().is_none_or(|last| *last < index.next);
        if !are_own {
            let entry = out_of_line(column.number, list.key);
            self.problems.push(ObjectProblemKind::List, &table.trees.out_of_line, &entry);
            return Ok(None);
        }
        implied.chunks += (index.segments.len() + chunks.len()) as u64;
        for (chunk, home) in chunks.iter().zip(homes) {
            let entry = segment_of(column.number, list.key, chunk.number);
            self.place(list, &entry, &home.to_le_bytes())?;
        }
        let index = ChunkIndex { bytes: index.bytes, chunks };
        let elements = self.chunks(list, &index, implied)?;
        if let Some(elements) = &elements {
            self.places(list, (&index.chunks, elements), implied)?;
        }
        Ok(elements)
    }

    /// Checks the entries that find the elements of a list with segments.
    fn places(
        &mut self,
        list: ListRef<'_>,
        (chunks, elements): (&[Chunk], &[Element]),
        implied: &mut Implied,
    ) -> Result<()> {
        let column = list.field.column.number;
        let mut blocks: BTreeMap<Vec<u8>, Block> = BTreeMap::new();
        let mut left = elements.iter();
        for chunk in chunks {
            for Element { id, value } in left.by_ref().take(chunk.len()) {
                let entry = places(column, list.key, *id);
                blocks.entry(entry).or_insert(Block::EMPTY).set((*id, Some(chunk.number)));
                if let Value::Link(to) = value {
                    let entry = linking(column, list.key, (&to.key.to_bytes(), *id));
                    self.place(list, &entry, &[])?;
                    implied.chunks += 1;
                }
            }
        }
        implied.chunks += blocks.len() as u64;
        blocks.iter().try_for_each(|(entry, block)| self.place(list, entry, &block.encode()))
    }

    /// Checks an entry that finds an element or a chunk.
    fn place(&mut self, list: ListRef<'_>, entry: &[u8], expected: &[u8]) -> Result<()> {
        let tree = &list.field.table.trees.chunks;
        let held = self.reader.source.tree(tree).get(entry)?;
        let is_right = held.is_some_and(|held| *held == *expected);
        self.problems.push_unless(is_right, ObjectProblemKind::Place, (tree, entry));
        Ok(())
    }

    /// Checks the ids, values and links of a list.
    fn elements(&mut self, list: ListRef<'_>, elements: &[Element]) -> Result<()> {
        let ColumnRef { table, column } = list.field;
        let entry = out_of_line(column.number, list.key);
        let place = (&*table.trees.out_of_line, &*entry);
        let mut links: BTreeMap<&ObjectId, u32> = BTreeMap::new();
        for Element { id, value } in elements {
            self.elements.push(*id);
            let fits = column.accepts(value);
            self.problems.push_unless(fits, ObjectProblemKind::Element, place);
            let is_given_out = self.is_given_out(*id);
            self.problems.push_unless(is_given_out, ObjectProblemKind::Number, place);
            if let Value::Link(to) = value {
                *links.entry(to).or_default() += 1;
            }
        }
        for (to, count) in links {
            self.link(list.field, list.key, (to, count))?;
        }
        Ok(())
    }
}
