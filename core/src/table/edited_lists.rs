//! Edited lists: the parts of lists that a transaction wrote, so that only these are compared.
//!
//! - B14 Comparing a list before and after a transaction reads the parts that were written, and
//!   those between.

use super::list_chunks::Chunk;
use super::reader::ListRef;
use super::value::ClassId;
use std::collections::{BTreeMap, BTreeSet};

/// Which chunks and segments of lists a transaction wrote or removed.
#[derive(Debug, Default)]
pub(crate) struct EditedLists {
    lists: BTreeMap<ListKey, Edited>,
    /// Trees were written entry by entry, so any list may differ.
    is_unknown: bool,
}

/// A list of a file: its class, its column and the key of its object.
type ListKey = (ClassId, u16, Vec<u8>);

/// The written parts of a list.
#[derive(Debug)]
enum Edited {
    Chunks(BTreeSet<u32>),
    All,
}

fn list_key(list: ListRef<'_>) -> ListKey {
    (list.field.table.id, list.field.column.number, list.key.to_vec())
}

impl EditedLists {
    /// Records that a chunk or a segment of a list was written or removed.
    pub(super) fn note_part(&mut self, list: ListRef<'_>, number: u32) {
        let empty = || Edited::Chunks(BTreeSet::new());
        if let Edited::Chunks(numbers) = self.lists.entry(list_key(list)).or_insert_with(empty) {
            numbers.insert(number);
        }
    }

    /// Records that any part of a list was written or removed.
    pub(super) fn note_list(&mut self, list: ListRef<'_>) {
        self.lists.insert(list_key(list), Edited::All);
    }

    /// Records that any list may have been written.
    pub(super) fn note_all(&mut self) {
        self.is_unknown = true;
        self.lists.clear();
    }

    /// Tells whether chunks or segments of a version of a list may differ in another one.
    pub(super) fn may_differ(&self, list: ListRef<'_>, held: Chunk) -> bool {
        match self.lists.get(&list_key(list)) {
            Some(Edited::Chunks(numbers)) => numbers.contains(&held.number),
            Some(Edited::All) => true,
            None => self.is_unknown,
        }
    }
}
