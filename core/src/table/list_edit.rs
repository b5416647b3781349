//! Editing lists: replacing the elements at some positions, chunk by chunk.
//!
//! - B4 The back-links of an object are exactly the links that lead to it.
//! - B5 An element keeps its id, and no other element of the file ever has it.
//!
//! Format: docs/objects.md#lists. Check: `sim::check::objects`.

use super::backlinks::Replaced;
use super::key::{chunk, chunks_of, out_of_line};
use super::limits::limits;
use super::list::{Element, encode};
use super::list_chunks::{Chunk, ChunkIndex, StoredList, bytes, cut};
use super::reader::{ColumnRef, ListRef, Region};
use super::tables::Tables;
use crate::codec::u32_len;
use crate::error::Result;
use crate::fault;
use std::ops::Range;

/// Elements to put in the place of those at some positions.
#[derive(Clone)]
pub(super) struct Edit<'e> {
    pub(super) positions: Range<usize>,
    pub(super) put: &'e [Element],
}

impl Edit<'_> {
    /// Returns the edit with positions counted from another one.
    pub(super) fn from(mut self, start: usize) -> Self {
        self.positions = self.positions.start - start..self.positions.end - start;
        self
    }
}

/// Returns the bytes of a list after an edit.
pub(super) fn counted(held: usize, removed: &[Element], put: &[Element]) -> usize {
    let less = fault::table::uncounted(bytes(removed));
    (held + bytes(put)).saturating_sub(less)
}

impl Tables {
    /// Replaces the elements at some positions of a list, with the back-links of both; returns
    /// the old ones.
    pub(crate) fn replace_elements(
        &mut self,
        list: ListRef<'_>,
        stored: StoredList,
        positions: Range<usize>,
        put: &[Element],
    ) -> Result<Vec<Element>> {
        let removed = self.splice(list, stored, positions, put)?;
        for element in &removed {
            self.relink(list.field, list.key, Replaced::removed(&element.value))?;
        }
        for element in put {
            self.relink(list.field, list.key, Replaced::added(&element.value))?;
        }
        Ok(removed)
    }

    /// Moves the element at a position so that it is then at another one; returns it.
    pub(crate) fn move_element(
        &mut self,
        list: ListRef<'_>,
        stored: StoredList,
        from: usize,
        to: usize,
    ) -> Result<Element> {
        let mut moved = self.splice(list, stored, from..from + 1, &[])?;
        let stored = self.reader().stored_list(list)?;
        self.splice(list, stored, to..to, &moved)?;
        moved.pop().ok_or_else(|| self.malformed())
    }

    /// Replaces the elements at some positions of a list; returns the old ones. The caller counts
    /// links.
    ///
    /// # Panics
    /// B5: if the positions are not in the list.
    pub(super) fn splice(
        &mut self,
        list: ListRef<'_>,
        stored: StoredList,
        positions: Range<usize>,
        put: &[Element],
    ) -> Result<Vec<Element>> {
        let len = stored.len();
        assert!(
            positions.start <= positions.end && positions.end <= len,
            "B5: positions {positions:?} of a list of {len}"
        );
        let edit = Edit { positions, put };
        let (mut index, mut region) = match stored {
            StoredList::Short(elements) => {
                let index = ChunkIndex { bytes: bytes(&elements), chunks: Vec::new() };
                let homes = vec![None; elements.len()];
                (index, Region { chunks: 0..0, start: 0, elements, homes })
            }
            StoredList::Long(index) => {
                let region = self.reader().region(list, &index.chunks, &edit.positions)?;
                (index, region)
            }
            StoredList::Segmented(segments) => return self.splice_segments(list, segments, edit),
        };
        let edit = edit.from(region.start);
        let removed = self.edit_region(list, &index.chunks, &mut region, edit)?;
        index.bytes = counted(index.bytes, &removed, put);
        self.put_region(list, index, &region)?;
        Ok(removed)
    }

    /// Replaces elements of a region; returns the old ones.
    pub(super) fn edit_region(
        &self,
        list: ListRef<'_>,
        chunks: &[Chunk],
        region: &mut Region,
        edit: Edit<'_>,
    ) -> Result<Vec<Element>> {
        let (within, put) = (edit.positions, edit.put);
        let held = region.elements.len();
        assert!(region.homes.len() == held, "B5: {held} elements, {} homes", region.homes.len());
        let is_append = within.start == held && !region.chunks.is_empty();
        region.homes.splice(within.clone(), put.iter().map(|_| None));
        let removed: Vec<_> = region.elements.splice(within, put.iter().cloned()).collect();
        let (less, more) = (bytes(&removed), bytes(put));
        let len = bytes(&region.elements);
        if is_append && len > limits().chunk_bytes {
            // The last chunk stays full, so that a list that only grows has full ones.
            region.elements.drain(..held);
            region.homes.drain(..held);
            region.chunks.start = region.chunks.end;
        } else if more < less && len < limits().chunk_bytes / 4 {
            self.merge_neighbour(list, chunks, region)?;
        }
        Ok(removed)
    }

    /// Extends a region by the next chunk, or else by the one before.
    fn merge_neighbour(
        &self,
        list: ListRef<'_>,
        chunks: &[Chunk],
        region: &mut Region,
    ) -> Result<()> {
        let homes = |chunk: &Chunk| std::iter::repeat_n(Some(chunk.number), chunk.len());
        if let Some(next) = chunks.get(region.chunks.end) {
            region.elements.append(&mut self.reader().read_chunk(list, *next)?);
            region.homes.extend(homes(next));
            region.chunks.end += 1;
        } else if let Some(before) = region.chunks.start.checked_sub(1) {
            let mut elements = self.reader().read_chunk(list, chunks[before])?;
            elements.append(&mut region.elements);
            region.elements = elements;
            region.homes.splice(0..0, homes(&chunks[before]));
            region.chunks.start = before;
        }
        Ok(())
    }

    /// Writes a region, and the index if more than one chunk remains.
    fn put_region(
        &mut self,
        list: ListRef<'_>,
        mut index: ChunkIndex,
        region: &Region,
    ) -> Result<()> {
        let ColumnRef { table, column } = list.field;
        let is_all = region.chunks == (0..index.chunks.len());
        let is_short = is_all && cut(&region.elements).len() <= 1;
        let used = index.numbers();
        let held = index.chunks[region.chunks.clone()].to_vec();
        let mut unused = (0..).filter(|number| used.binary_search(number).is_err());
        let cuts = if is_short { &[] } else { &region.elements[..] };
        let written = self.write_chunks(list, &held, cuts, &mut || unused.next())?;
        if !is_short {
            index.chunks.splice(region.chunks.clone(), written);
            if index.chunks.len() > limits().flat_chunks {
                return self.cut_index(list, &index);
            }
        }
        let entry = out_of_line(column.number, list.key);
        let mut tree = self.tree(&table.trees.out_of_line)?;
        if !is_short {
            tree.insert(&entry, &index.encode())?;
        } else if region.elements.is_empty() {
            tree.remove(&entry)?;
        } else {
            tree.insert(&entry, &encode(&region.elements))?;
        }
        Ok(())
    }

    /// Cuts elements into chunks and writes them in place of the held ones; returns the new ones.
    /// `take` returns a number that no chunk of the list has.
    pub(super) fn write_chunks(
        &mut self,
        list: ListRef<'_>,
        held: &[Chunk],
        elements: &[Element],
        take: &mut dyn FnMut() -> Option<u32>,
    ) -> Result<Vec<Chunk>> {
        let ColumnRef { table, column } = list.field;
        let (mut held, mut written) = (held.iter(), Vec::new());
        for elements in cut(elements) {
            let older = held.next();
            let number = older.map(|older| older.number).or_else(&mut *take);
            let number = number.ok_or_else(|| self.malformed())?;
            let count = u32_len(elements.len());
            let count = fault::table::older_count(count, older.map(|older| older.count));
            let at = chunk(column.number, list.key, number);
            self.tree(&table.trees.chunks)?.insert(&at, &encode(elements))?;
            self.note_part(list, number);
            written.push(Chunk { number, count });
        }
        for unneeded in held {
            let at = chunk(column.number, list.key, unneeded.number);
            self.tree(&table.trees.chunks)?.remove(&at)?;
            self.note_part(list, unneeded.number);
        }
        Ok(written)
    }

    /// Replaces a whole list. The caller counts links.
    pub(super) fn put_list(&mut self, list: ListRef<'_>, elements: &[Element]) -> Result<()> {
        let stored = self.reader().stored_list(list)?;
        let all = 0..stored.len();
        self.splice(list, stored, all, elements).map(drop)
    }

    /// Removes a list, even one whose chunks are damaged. The caller counts links.
    pub(super) fn remove_list(&mut self, list: ListRef<'_>) -> Result<()> {
        let ColumnRef { table, column } = list.field;
        self.note_list(list);
        let entry = out_of_line(column.number, list.key);
        if !self.tree(&table.trees.out_of_line)?.remove(&entry)? {
            return Ok(());
        }
        let (name, prefix) = (&table.trees.chunks, chunks_of(column.number, list.key));
        self.each(name, &prefix, &mut |tables, key, _| tables.tree(name)?.remove(key).map(drop))
    }

    /// Moves the chunks of a list to another object.
    pub(super) fn move_chunks(&mut self, list: ListRef<'_>, to: &[u8]) -> Result<()> {
        let ColumnRef { table, column } = list.field;
        let (name, prefix) = (&table.trees.chunks, chunks_of(column.number, list.key));
        let target = chunks_of(column.number, to);
        self.note_list(list.field.list(to));
        self.each(name, &prefix, &mut |tables, key, elements| {
            let mut tree = tables.tree(name)?;
            tree.remove(key)?;
            tree.insert(&[&target[..], &key[prefix.len()..]].concat(), elements).map(drop)
        })
    }
}
