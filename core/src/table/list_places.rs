//! Places of list elements: in which chunk of a list with segments an element is, in which segment
//! a chunk, and which elements link to an object. A list without segments is short enough to be
//! read.
//!
//! - B14 Finding an element of a list by its id or by the object that it links to reads a bounded
//!   number of entries, whatever the length of the list.
//!
//! Format: docs/objects.md#lists. Check: `sim::check::objects`.

use super::key::{IDS_AT_ONCE, linking, linking_to, places, segment_of};
use super::list::Element;
use super::list_chunks::{SegmentIndex, StoredList, len};
use super::reader::{ColumnRef, ListRef, TableReader};
use super::tables::Tables;
use super::value::{ElementId, ObjectKey, Value};
use crate::codec::{Reader, Writer};
use crate::error::Result;

/// The number of ids in a block, which is [`IDS_AT_ONCE`].
const BLOCK_IDS: usize = 64;

/// An element, and the chunk that it is in then; none if it is removed.
pub(super) type Placed = (ElementId, Option<u32>);

/// The chunks of elements with successive ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    chunks: [Option<u32>; BLOCK_IDS],
}

impl Block {
    pub(super) const EMPTY: Self = Self { chunks: [None; BLOCK_IDS] };

    fn index(id: ElementId) -> usize {
        let [within, ..] = (id.number % IDS_AT_ONCE).to_le_bytes();
        usize::from(within)
    }

    pub(super) fn set(&mut self, (id, chunk): Placed) {
        self.chunks[Self::index(id)] = chunk;
    }

    fn get(&self, id: ElementId) -> Option<u32> {
        self.chunks[Self::index(id)]
    }

    /// Encodes the block as runs of elements of one chunk: the first, how many, and the chunk.
    pub(super) fn encode(&self) -> Vec<u8> {
        let (mut out, mut at) = (Writer::default(), 0_u8);
        for run in self.chunks.chunk_by(|one, two| one == two) {
            let count = u8::try_from(run.len()).expect("K2: a block has few ids");
            if let Some(Some(chunk)) = run.first() {
                out.u8(at);
                out.u8(count);
                out.u32(*chunk);
            }
            at += count;
        }
        out.into_bytes()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (mut block, mut rest) = (Self::EMPTY, Reader::new(bytes));
        while !rest.is_empty() {
            let (at, count, chunk) = (rest.u8()?, rest.u8()?, rest.u32()?);
            let end = usize::from(at) + usize::from(count);
            block.chunks.get_mut(usize::from(at)..end)?.fill(Some(chunk));
        }
        Some(block)
    }
}

impl Tables {
    /// Records in which chunks elements are; of two places of one element the later one counts.
    pub(super) fn put_places(&mut self, list: ListRef<'_>, mut placed: Vec<Placed>) -> Result<()> {
        placed.sort_by_key(|(id, _)| *id);
        let block_of = |id: ElementId| (id.author, id.number / IDS_AT_ONCE);
        for placed in placed.chunk_by(|(one, _), (two, _)| block_of(*one) == block_of(*two)) {
            let Some((id, _)) = placed.first() else { continue };
            let mut block = self.reader().places(list, *id)?;
            placed.iter().for_each(|placed| block.set(*placed));
            let entry = places(list.field.column.number, list.key, *id);
            let mut tree = self.tree(&list.field.table.trees.chunks)?;
            match block == Block::EMPTY {
                true => tree.remove(&entry).map(drop)?,
                false => tree.insert(&entry, &block.encode()).map(drop)?,
            }
        }
        Ok(())
    }

    /// Records in which segment a chunk is.
    pub(super) fn put_segment_of(
        &mut self,
        list: ListRef<'_>,
        chunk: u32,
        segment: Option<u32>,
    ) -> Result<()> {
        let ColumnRef { table, column } = list.field;
        let entry = segment_of(column.number, list.key, chunk);
        let mut tree = self.tree(&table.trees.chunks)?;
        match segment {
            Some(segment) => tree.insert(&entry, &segment.to_le_bytes()).map(drop),
            None => tree.remove(&entry).map(drop),
        }
    }

    /// Records to which objects elements link, or forgets it.
    pub(super) fn put_linking(
        &mut self,
        list: ListRef<'_>,
        elements: &[Element],
        is_there: bool,
    ) -> Result<()> {
        let ColumnRef { table, column } = list.field;
        for Element { id, value } in elements {
            let Value::Link(to) = value else { continue };
            let entry = linking(column.number, list.key, (&to.key.to_bytes(), *id));
            let mut tree = self.tree(&table.trees.chunks)?;
            match is_there {
                true => tree.insert(&entry, &[]).map(drop)?,
                false => tree.remove(&entry).map(drop)?,
            }
        }
        Ok(())
    }
}

impl TableReader<'_> {
    fn places(&self, list: ListRef<'_>, id: ElementId) -> Result<Block> {
        let ColumnRef { table, column } = list.field;
        let entry = places(column.number, list.key, id);
        match self.source.tree(&table.trees.chunks).get(&entry)? {
            Some(bytes) => Block::decode(&bytes).ok_or_else(|| self.malformed()),
            None => Ok(Block::EMPTY),
        }
    }

    /// Returns the position of an element; none if the list does not have it.
    pub(crate) fn position(
        &self,
        list: ListRef<'_>,
        stored: &StoredList,
        id: ElementId,
    ) -> Result<Option<usize>> {
        let mut before = 0;
        let within = |elements: &[Element]| elements.iter().position(|held| held.id == id);
        match stored {
            StoredList::Short(elements) => Ok(within(elements)),
            StoredList::Long(index) => {
                for chunk in &index.chunks {
                    if let Some(at) = self.find_in_chunk(list, *chunk, id)? {
                        return Ok(Some(before + at));
                    }
                    before += chunk.len();
                }
                Ok(None)
            }
            StoredList::Segmented(segments) => self.placed(list, segments, id),
        }
    }

    /// Returns the position of an element of a list with segments.
    fn placed(
        &self,
        list: ListRef<'_>,
        segments: &SegmentIndex,
        id: ElementId,
    ) -> Result<Option<usize>> {
        let ColumnRef { table, column } = list.field;
        let Some(chunk) = self.places(list, id)?.get(id) else { return Ok(None) };
        let entry = segment_of(column.number, list.key, chunk);
        let segment = self.source.tree(&table.trees.chunks).get(&entry)?;
        let segment = segment.and_then(|bytes| Reader::new(&bytes).u32());
        let all = &segments.segments;
        let at = all.iter().position(|held| Some(held.number) == segment);
        let at = at.ok_or_else(|| self.malformed())?;
        let chunks = self.read_segment(list, all[at])?;
        let held = chunks.iter().position(|held| held.number == chunk);
        let held = held.ok_or_else(|| self.malformed())?;
        let within = self.find_in_chunk(list, chunks[held], id)?;
        let within = within.ok_or_else(|| self.malformed())?;
        Ok(Some(len(&all[..at]) + len(&chunks[..held]) + within))
    }

    /// Returns the positions of the elements that link to an object, in order.
    pub(super) fn positions_linking(
        &self,
        list: ListRef<'_>,
        to: &ObjectKey,
    ) -> Result<Vec<usize>> {
        let stored = self.stored_list(list)?;
        let StoredList::Segmented(segments) = &stored else {
            let links = |value: &Value<'_>| matches!(value, Value::Link(held) if held.key == *to);
            let elements = self.list(list)?;
            let all = elements.iter().enumerate();
            return Ok(all.filter(|(_, held)| links(&held.value)).map(|(at, _)| at).collect());
        };
        let prefix = linking_to(list.field.column.number, list.key, &to.to_bytes());
        let tree = self.source.tree(&list.field.table.trees.chunks);
        let (mut range, mut positions) = (tree.range(&prefix[..]..)?, Vec::new());
        while let Some((entry, _)) = range.next_ref()? {
            let Some(id) = entry.strip_prefix(&prefix[..]) else { break };
            let id = ElementId::from_key(id).ok_or_else(|| self.malformed())?;
            let at = self.placed(list, segments, id)?;
            positions.push(at.ok_or_else(|| self.malformed())?);
        }
        positions.sort_unstable();
        Ok(positions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_survives_its_bytes() {
        let mut block = Block::EMPTY;
        assert_eq!(block.encode(), Vec::<u8>::new());
        let id = |number| ElementId { author: 3, number };
        for number in 128..150 {
            block.set((id(number), Some(7)));
        }
        assert_eq!(block.encode(), [0, 22, 7, 0, 0, 0]);
        block.set((id(130), Some(8)));
        block.set((id(191), Some(7)));
        block.set((id(128), None));
        assert_eq!((block.get(id(130)), block.get(id(128))), (Some(8), None));
        assert_eq!(Block::decode(&block.encode()), Some(block));
        assert_eq!(Block::decode(&[60, 5, 0, 0, 0, 0]), None);
        assert_eq!(Block::decode(&[60, 4, 0, 0, 0]), None);
    }
}
