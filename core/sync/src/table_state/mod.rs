//! The state that the merge rules change, in the tables of a file.
//!
//! The tables hold the visible objects, as without sync. The rules' memory beside them is the
//! *window*, one more tree: stamps, deletion records, hidden elements, and links to objects that do
//! not exist. A purge at the horizon drops all but those links, and the last entry
//! of each client.
//!
//! - `record`: keys and values of the window.
//! - `gaps`: hidden elements of lists.
//! - `links`: links to objects that do not exist.
//! - `convert`: names and values of entries as those of the tables.
//! - `state`: [`MergeState`](crate::merge::MergeState) on tables.
//! - `author`: the entry of a transaction from the operations that an app did.
//! - `written`: the same, without doing them again.
//! - `ordered`: records of an entry that gets its place.
//! - `objects`: the objects of an entry.
//! - `visible`: reading what is visible.
//! - `purge`: forgetting at the horizon.
//!
//! - SY3 The working state is the fold of the pending entries over the canonical state.
//! - SY9 A purge at any permitted horizon changes nothing visible.
//! - SY20 Putting pre-images back restores the window too.
//!
//! Specification and format: docs/sync.md#window.

mod author;
mod convert;
mod gaps;
mod links;
mod objects;
mod ordered;
mod purge;
mod record;
mod state;
mod visible;
mod written;

use crate::entry;
use crate::merge::Author;
use fastness::table::{Applied, ElementId, ObjectId, Operation, SideEntry, SideKey, Tables};
use record::WindowRecord;

pub use author::{EntryWritten, Refused, local_changes};
pub(crate) use objects::{object_at, objects_of};
pub(crate) use ordered::ordered;
pub use purge::PurgeCursor;
pub(crate) use record::last_entry as last_entry_key;

/// Result of an access to the file.
pub type FileResult<T> = Result<T, fastness::Error>;

/// Tree of the window beside the objects that an app works with.
pub const WINDOW_TREE: &str = "sync/window";

/// The state of a replica within a write transaction.
#[derive(Debug)]
pub struct TableState<'t> {
    tables: &'t mut Tables,
    window: &'t str,
    touched: Vec<ObjectId>,
}

impl<'t> TableState<'t> {
    /// Makes the state of tables whose window is a tree of their own.
    #[must_use]
    pub const fn new(tables: &'t mut Tables, window: &'t str) -> Self {
        Self { tables, window, touched: Vec::new() }
    }

    /// Returns the tables.
    #[must_use]
    pub const fn tables(&self) -> &Tables {
        self.tables
    }

    /// Returns the objects that may have changed since the last call.
    pub fn take_touched(&mut self) -> Vec<ObjectId> {
        std::mem::take(&mut self.touched)
    }

    /// Notes that the state contains an entry of the history.
    ///
    /// # Errors
    /// If the file cannot be read or written, or is damaged.
    pub fn note_entry(&mut self, author: &Author) -> FileResult<()> {
        let stamp = author.stamp.max(self.greatest_stamp()?);
        self.insert(record::GREATEST_STAMP, &stamp.to_le_bytes())?;
        self.insert(&record::last_entry(author.client), &author.client_seq.to_le_bytes())
    }

    /// Returns the greatest stamp of the entries that the state contains; 0 if it contains none.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn greatest_stamp(&self) -> FileResult<u64> {
        self.number_at(record::GREATEST_STAMP).map(Option::unwrap_or_default)
    }

    fn number_at(&self, key: &[u8]) -> FileResult<Option<u64>> {
        let Some(bytes) = self.get(key)? else { return Ok(None) };
        let number = (*bytes).try_into().map(u64::from_le_bytes);
        number.map(Some).map_err(|_| self.tables.damaged())
    }

    /// Applies an operation to the tables; tells whether they have room for it.
    fn apply(&mut self, operation: &Operation) -> FileResult<bool> {
        let touched = &mut self.touched;
        let applied = self.tables.apply(operation, &mut |id| touched.push(id))?;
        Ok(!matches!(applied, Applied::Dropped(_)))
    }

    fn get(&self, key: &[u8]) -> FileResult<Option<fastness::Bytes>> {
        self.tables.side_get(SideKey { tree: self.window, key })
    }

    fn insert(&mut self, key: &[u8], value: &[u8]) -> FileResult<()> {
        self.tables.side_insert(SideKey { tree: self.window, key }, value)
    }

    fn remove(&mut self, key: &[u8]) -> FileResult<()> {
        self.tables.side_remove(SideKey { tree: self.window, key })
    }

    /// Returns the first entry whose key begins with `prefix`, from a key on.
    fn next(&self, prefix: &[u8], from: &[u8]) -> FileResult<Option<SideEntry>> {
        self.tables.side_next(SideKey { tree: self.window, key: prefix }, from)
    }

    /// Reads a record; one without entry is empty.
    fn read<R: WindowRecord>(&self, key: &[u8]) -> FileResult<R> {
        match self.get(key)? {
            None => Ok(R::default()),
            Some(bytes) => R::decode(&bytes).ok_or_else(|| self.tables.damaged()),
        }
    }

    /// Writes a record; an empty one has no entry.
    fn put<R: WindowRecord>(&mut self, key: &[u8], record: &R) -> FileResult<()> {
        match record.is_empty() {
            true => self.remove(key),
            false => self.insert(key, &record.encode()),
        }
    }

    /// Returns the keys that begin with a prefix.
    fn keys(&mut self, prefix: &[u8]) -> FileResult<Vec<Vec<u8>>> {
        let mut keys = Vec::new();
        let prefix = SideKey { tree: self.window, key: prefix };
        self.tables.side_each(prefix, &mut |_, key, _| {
            keys.push(key.to_vec());
            Ok(())
        })?;
        Ok(keys)
    }
}

const fn core_element(id: entry::ElementId) -> ElementId {
    ElementId { author: id.author, number: id.number }
}

const fn entry_element(id: ElementId) -> entry::ElementId {
    entry::ElementId { author: id.author, number: id.number }
}
