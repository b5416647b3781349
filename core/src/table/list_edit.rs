//! Editing lists: replacing the elements at some positions, chunk by chunk.
//!
//! - B4 The back-links of an object are exactly the links that lead to it.
//! - B5 An element keeps its id, and no other element of the file ever has it.
//!
//! Format: docs/objects.md#lists. Check: `sim::check::objects`.

use super::backlinks::Replaced;
use super::key::{chunk, chunks_of, out_of_line};
use super::list::{Element, encode};
use super::list_chunks::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, Chunk, ChunkIndex, StoredList};
use super::list_chunks::{bytes, cut};
use super::reader::{ColumnRef, ListRef, Region};
use super::tables::Tables;
use crate::codec::u32_len;
use crate::error::Result;
use crate::fault;
use std::ops::Range;

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
        let (mut index, mut region) = match stored {
            StoredList::Short(elements) => {
                let index = ChunkIndex { bytes: bytes(&elements), chunks: Vec::new() };
                (index, Region { chunks: 0..0, start: 0, elements })
            }
            StoredList::Long(index) => {
                let region = self.reader().region(list, &index, &positions)?;
                (index, region)
            }
        };
        let held = region.elements.len();
        let within = positions.start - region.start..positions.end - region.start;
        let is_append = within.start == held && !region.chunks.is_empty();
        let removed: Vec<_> = region.elements.splice(within, put.iter().cloned()).collect();
        let (less, more) = (bytes(&removed), bytes(put));
        index.bytes = (index.bytes + more).saturating_sub(less);
        let len = bytes(&region.elements);
        if is_append && len > CHUNK_BYTES_MAX {
            // The last chunk stays full, so that a list that only grows has full ones.
            region.elements.drain(..held);
            region.chunks.start = region.chunks.end;
        } else if more < less && len < CHUNK_BYTES_MIN {
            self.merge_neighbour(list, &index, &mut region)?;
        }
        self.put_region(list, index, &region)?;
        Ok(removed)
    }

    /// Extends a region by the next chunk, or else by the one before.
    fn merge_neighbour(
        &self,
        list: ListRef<'_>,
        index: &ChunkIndex,
        region: &mut Region,
    ) -> Result<()> {
        if let Some(next) = index.chunks.get(region.chunks.end) {
            region.elements.append(&mut self.reader().read_chunk(list, *next)?);
            region.chunks.end += 1;
        } else if let Some(before) = region.chunks.start.checked_sub(1) {
            let mut elements = self.reader().read_chunk(list, index.chunks[before])?;
            elements.append(&mut region.elements);
            region.elements = elements;
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
        let entry = out_of_line(column.number, list.key);
        let cuts = cut(&region.elements);
        let is_all = region.chunks == (0..index.chunks.len());
        let is_short = is_all && cuts.len() <= 1;
        let used = index.numbers();
        let mut held = index.chunks[region.chunks.clone()].iter();
        let mut unused = (0..).filter(|number| used.binary_search(number).is_err());
        let mut written = Vec::new();
        let mut chunks = self.tree(&table.trees.chunks)?;
        for elements in cuts.iter().filter(|_| !is_short) {
            let older = held.next();
            let number = older.map(|older| older.number).or_else(|| unused.next());
            let number = number.expect("K2: a list has fewer chunks than numbers for them");
            let count = u32_len(elements.len());
            let count = fault::table::older_count(count, older.map(|older| older.count));
            chunks.insert(&chunk(column.number, list.key, number), &encode(elements))?;
            written.push(Chunk { number, count });
        }
        for unneeded in held {
            chunks.remove(&chunk(column.number, list.key, unneeded.number))?;
        }
        let mut tree = self.tree(&table.trees.out_of_line)?;
        if !is_short {
            index.chunks.splice(region.chunks.clone(), written);
            tree.insert(&entry, &index.encode())?;
        } else if region.elements.is_empty() {
            tree.remove(&entry)?;
        } else {
            tree.insert(&entry, &encode(&region.elements))?;
        }
        Ok(())
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
        self.each(name, &prefix, &mut |tables, key, elements| {
            let mut tree = tables.tree(name)?;
            tree.remove(key)?;
            tree.insert(&[&target[..], &key[prefix.len()..]].concat(), elements).map(drop)
        })
    }
}
