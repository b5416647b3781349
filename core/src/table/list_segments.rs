//! Editing lists with segments: the chunks around an edit are rewritten, then the segment that
//! counts them, then the index of the segments.
//!
//! - B14 An edit of a list reads and writes a bounded number of entries, whatever the length of the
//!   list.
//!
//! Format: docs/objects.md#lists. Check: `sim::check::objects`.

use super::key::{chunk, chunks_of, out_of_line};
use super::limits::limits;
use super::list::{Element, encode};
use super::list_chunks::{Chunk, ChunkIndex, Located, SegmentIndex, locate};
use super::list_edit::{Edit, counted};
use super::list_places::Placed;
use super::reader::{ColumnRef, ListRef};
use super::tables::Tables;
use crate::error::Result;
use std::ops::Range;

/// Adjacent segments, with the chunks that they count.
pub(super) struct Window {
    segments: Range<usize>,
    /// Position of their first element in the list.
    start: usize,
    chunks: Vec<Chunk>,
    /// The segment of each chunk; none for a new chunk.
    homes: Vec<Option<u32>>,
}

impl Tables {
    /// Replaces elements of a list with segments; returns the old ones.
    pub(super) fn splice_segments(
        &mut self,
        list: ListRef<'_>,
        mut segments: SegmentIndex,
        edit: Edit<'_>,
    ) -> Result<Vec<Element>> {
        let mut window = self.window(list, &segments, &edit.positions)?;
        let is_last = window.segments.end == segments.segments.len();
        let (put, edit) = (edit.put, edit.from(window.start));
        let mut region = self.reader().region(list, &window.chunks, &edit.positions)?;
        let edit = edit.from(region.start);
        let removed = self.edit_region(list, &window.chunks, &mut region, edit)?;
        segments.bytes = counted(segments.bytes, &removed, put);
        let held = window.chunks[region.chunks.clone()].to_vec();
        let written =
            self.write_chunks(list, &held, &region.elements, &mut || segments.take_number())?;
        let mut placed: Vec<Placed> = removed.iter().map(|element| (element.id, None)).collect();
        let mut homes = region.elements.iter().zip(&region.homes);
        for chunk in &written {
            for (element, home) in homes.by_ref().take(chunk.len()) {
                if *home != Some(chunk.number) {
                    placed.push((element.id, Some(chunk.number)));
                }
            }
        }
        self.put_places(list, placed)?;
        self.put_linking(list, &removed, false)?;
        self.put_linking(list, put, true)?;
        for unneeded in held.iter().skip(written.len()) {
            self.put_segment_of(list, unneeded.number, None)?;
        }
        // A chunk that was rewritten keeps its number and its segment.
        let kept = window.homes[region.chunks.clone()].to_vec();
        let new = std::iter::repeat(None);
        let homes = kept.into_iter().chain(new).take(written.len());
        window.homes.splice(region.chunks.clone(), homes);
        window.chunks.splice(region.chunks, written);
        self.put_window(list, segments, (window, is_last))?;
        Ok(removed)
    }

    /// Reads the segments that hold some positions, and a neighbour if they are short.
    fn window(
        &self,
        list: ListRef<'_>,
        segments: &SegmentIndex,
        positions: &Range<usize>,
    ) -> Result<Window> {
        let all = &segments.segments;
        let Located { chunks: mut range, mut start } = locate(all, positions);
        let mut read = Vec::new();
        for segment in &all[range.clone()] {
            read.push((segment.number, self.reader().read_segment(list, *segment)?));
        }
        let count: usize = read.iter().map(|(_, chunks)| chunks.len()).sum();
        if count < limits().segment_chunks / 4 {
            if let Some(next) = all.get(range.end) {
                read.push((next.number, self.reader().read_segment(list, *next)?));
                range.end += 1;
            } else if let Some(before) = range.start.checked_sub(1) {
                let chunks = self.reader().read_segment(list, all[before])?;
                read.insert(0, (all[before].number, chunks));
                (range.start, start) = (before, start - all[before].len());
            }
        }
        let mut window = Window { segments: range, start, chunks: Vec::new(), homes: Vec::new() };
        for (number, chunks) in read {
            window.homes.extend(chunks.iter().map(|_| Some(number)));
            window.chunks.extend(chunks);
        }
        Ok(window)
    }

    /// Writes segments, and the entry of the list.
    fn put_window(
        &mut self,
        list: ListRef<'_>,
        mut segments: SegmentIndex,
        (window, is_last): (Window, bool),
    ) -> Result<()> {
        let ColumnRef { table, column } = list.field;
        let older = segments.segments[window.segments.clone()].to_vec();
        let count = window.chunks.len();
        let most = limits().segment_chunks;
        let parts = count.div_ceil(most).max(1);
        // A list that only grows has full segments.
        let len = if is_last { most } else { count.div_ceil(parts).max(1) };
        let mut written = Vec::with_capacity(parts);
        let mut homes = window.homes.iter();
        for chunks in window.chunks.chunks(len) {
            let older = older.get(written.len()).map(|older| older.number);
            let number = older.or_else(|| segments.take_number());
            let number = number.ok_or_else(|| self.malformed())?;
            written.push(self.put_segment(list, number, chunks)?);
            for (chunk, home) in chunks.iter().zip(homes.by_ref()) {
                if *home != Some(number) {
                    self.put_segment_of(list, chunk.number, Some(number))?;
                }
            }
        }
        for unneeded in older.iter().skip(written.len()) {
            let at = chunk(column.number, list.key, unneeded.number);
            self.tree(&table.trees.chunks)?.remove(&at)?;
            self.note_part(list, unneeded.number);
        }
        // The only segment that is left may be another one.
        let is_all = written.len() == 1 && segments.segments.len() == older.len();
        segments.segments.splice(window.segments, written);
        let entry = out_of_line(column.number, list.key);
        match segments.segments[..] {
            [] => self.tree(&table.trees.out_of_line)?.remove(&entry).map(drop),
            [_] if is_all && count < limits().flat_chunks / 2 => {
                self.flatten(list, ChunkIndex { bytes: segments.bytes, chunks: window.chunks })
            }
            _ => {
                let mut tree = self.tree(&table.trees.out_of_line)?;
                tree.insert(&entry, &segments.encode()).map(drop)
            }
        }
    }

    fn put_segment(&mut self, list: ListRef<'_>, number: u32, chunks: &[Chunk]) -> Result<Chunk> {
        let ColumnRef { table, column } = list.field;
        let index = ChunkIndex { bytes: 0, chunks: chunks.to_vec() };
        let at = chunk(column.number, list.key, number);
        self.tree(&table.trees.chunks)?.insert(&at, &index.encode())?;
        self.note_part(list, number);
        let count = u32::try_from(index.len()).map_err(|_| self.malformed())?;
        Ok(Chunk { number, count })
    }

    /// Cuts the index of a list into segments, and records the places of its elements.
    pub(super) fn cut_index(&mut self, list: ListRef<'_>, index: &ChunkIndex) -> Result<()> {
        let last = index.numbers().last().copied().unwrap_or_default();
        let next = last.checked_add(1).ok_or_else(|| self.malformed())?;
        let mut segments = SegmentIndex { bytes: index.bytes, next, segments: Vec::new() };
        // With room for some chunks more.
        let count = (limits().segment_chunks * 3 / 4).max(1);
        for chunks in index.chunks.chunks(count) {
            let number = segments.take_number().ok_or_else(|| self.malformed())?;
            let segment = self.put_segment(list, number, chunks)?;
            segments.segments.push(segment);
            for chunk in chunks {
                self.put_segment_of(list, chunk.number, Some(number))?;
                let elements = self.reader().read_chunk(list, *chunk)?;
                let place = |element: &Element| (element.id, Some(chunk.number));
                self.put_places(list, elements.iter().map(place).collect())?;
                self.put_linking(list, &elements, true)?;
            }
        }
        let entry = out_of_line(list.field.column.number, list.key);
        let mut tree = self.tree(&list.field.table.trees.out_of_line)?;
        tree.insert(&entry, &segments.encode()).map(drop)
    }

    /// Stores a list that has become short without segments and places.
    fn flatten(&mut self, list: ListRef<'_>, index: ChunkIndex) -> Result<()> {
        let ColumnRef { table, column } = list.field;
        let (name, prefix) = (&table.trees.chunks, chunks_of(column.number, list.key));
        let is_chunk = |key: &[u8]| {
            index.chunks.iter().any(|held| key[prefix.len()..] == held.number.to_be_bytes())
        };
        self.each(name, &prefix, &mut |tables, key, _| match is_chunk(key) {
            true => Ok(()),
            false => tables.tree(name)?.remove(key).map(drop),
        })?;
        let entry = out_of_line(column.number, list.key);
        let bytes = match index.chunks[..] {
            [only] => {
                let elements = self.reader().read_chunk(list, only)?;
                let at = chunk(column.number, list.key, only.number);
                self.tree(name)?.remove(&at)?;
                encode(&elements)
            }
            _ => index.encode(),
        };
        self.tree(&table.trees.out_of_line)?.insert(&entry, &bytes).map(drop)
    }
}
