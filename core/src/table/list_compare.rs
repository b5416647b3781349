//! Comparing two versions of a list by what a transaction wrote.
//!
//! - B14 Comparing a list before and after a transaction reads what the transaction wrote, and what
//!   is between.
//!
//! Check: `sim::check::observers`.

use super::edited_lists::EditedLists;
use super::list::Element;
use super::list_chunks::{Chunk, StoredList, len};
use super::reader::{ListRef, TableReader};
use crate::error::Result;

/// The elements of two versions of a list, without those that are alike at the beginning and at the
/// end.
#[derive(Debug, Default)]
pub(crate) struct ComparedLists {
    /// How many are left out at the beginning.
    pub(crate) start: usize,
    pub(crate) before: Vec<Element>,
    pub(crate) after: Vec<Element>,
}

/// One version of a list.
#[derive(Clone, Copy)]
struct Version<'v> {
    reader: TableReader<'v>,
    list: ListRef<'v>,
}

/// Two versions of the parts of a list, without those that are alike at the beginning and at the
/// end.
struct PartPair<'p> {
    before: &'p [Chunk],
    after: &'p [Chunk],
    /// How many elements are left out at the beginning.
    start: usize,
}

impl<'p> PartPair<'p> {
    /// Leaves out what is alike at the beginning and at the end.
    fn trim(self, may_differ: impl Fn(Chunk) -> bool) -> Self {
        let alike = |(one, two): &(&Chunk, &Chunk)| one == two && !may_differ(**one);
        let Self { before, after, start } = self;
        let head = before.iter().zip(after).take_while(alike).count();
        let (left, before) = before.split_at(head);
        let after = &after[head..];
        let tail = before.iter().rev().zip(after.iter().rev()).take_while(alike).count();
        let (before, after) = (&before[..before.len() - tail], &after[..after.len() - tail]);
        Self { before, after, start: start + len(left) }
    }
}

impl TableReader<'_> {
    /// Reads two versions of a list, as far as a transaction may have changed it.
    pub(crate) fn compare_lists(
        self,
        list: ListRef<'_>,
        newer: TableReader<'_>,
        newer_list: ListRef<'_>,
        edited: &EditedLists,
    ) -> Result<ComparedLists> {
        let before = Version { reader: self, list };
        let after = Version { reader: newer, list: newer_list };
        let may_differ = |held: Chunk| edited.may_differ(newer_list, held);
        let stored = [before, after].map(|version| version.reader.stored_list(version.list));
        let [older_stored, newer_stored] = stored;
        let (older_stored, newer_stored) = (older_stored?, newer_stored?);
        let mut start = 0;
        let (older_chunks, newer_chunks) = match (&older_stored, &newer_stored) {
            (StoredList::Segmented(one), StoredList::Segmented(two)) => {
                let all = PartPair { before: &one.segments, after: &two.segments, start: 0 };
                let parts = all.trim(may_differ);
                start = parts.start;
                (before.chunks(parts.before)?, after.chunks(parts.after)?)
            }
            _ => match (before.all_chunks(&older_stored)?, after.all_chunks(&newer_stored)?) {
                (Some(one), Some(two)) => (one, two),
                _ => {
                    let (before, after) = (self.list(list)?, newer.list(newer_list)?);
                    return Ok(ComparedLists { start, before, after });
                }
            },
        };
        let all = PartPair { before: &older_chunks, after: &newer_chunks, start };
        let PartPair { before: one, after: two, start } = all.trim(may_differ);
        let (before, after) = (self.read_chunks(list, one)?, newer.read_chunks(newer_list, two)?);
        Ok(ComparedLists { start, before, after })
    }
}

impl Version<'_> {
    /// Reads the chunks of some segments.
    fn chunks(self, segments: &[Chunk]) -> Result<Vec<Chunk>> {
        let mut chunks = Vec::new();
        for segment in segments {
            chunks.append(&mut self.reader.read_segment(self.list, *segment)?);
        }
        Ok(chunks)
    }

    /// Reads all chunks; none of a list that is stored in its entry.
    fn all_chunks(self, stored: &StoredList) -> Result<Option<Vec<Chunk>>> {
        match stored {
            StoredList::Short(_) => Ok(None),
            StoredList::Long(index) => Ok(Some(index.chunks.clone())),
            StoredList::Segmented(index) => self.chunks(&index.segments).map(Some),
        }
    }
}
