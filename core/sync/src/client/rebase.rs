//! Rebase: the pending entries are undone, the canonical state changes, and they are applied again.
//!
//! - SY3 The working state is the fold of the pending entries over the canonical state.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names the kinds it is about and treats all others alike"
)]

use super::layout::{LOCAL, VERSION, index_key, read_index};
use super::meta::ClientMeta;
use super::pending::{self, PendingEntry};
use crate::entry::{self, Header};
use crate::merge::{self, Author};
use crate::outcome::Outcome;
use crate::table_state::{TableState, WINDOW_TREE};
use fastness::Error;
use fastness::table::{ObjectId, Operation, SchemaChange, SideKey, Tables};

/// A transaction whose pending entries are undone.
pub(super) struct Rebase<'t> {
    pub(super) tables: &'t mut Tables,
    pub(super) meta: ClientMeta,
    /// The entries to apply again, oldest first.
    pub(super) pending: Vec<PendingEntry>,
    pub(super) touched: Vec<ObjectId>,
}

impl<'t> Rebase<'t> {
    /// Undoes the pending entries.
    pub(super) fn begin(tables: &'t mut Tables) -> Result<Self, Error> {
        drop(tables.end_recording()?);
        let meta = ClientMeta::of(tables)?;
        let pending = pending::entries(tables)?;
        let touched = pending::undo(tables, &pending)?;
        Ok(Self { tables, meta, pending, touched })
    }

    /// Applies an entry to the canonical state; returns the outcome of each operation. An entry
    /// that cannot be decoded has none.
    pub(super) fn apply(
        &mut self,
        author: &Author,
        bytes: &[u8],
    ) -> Result<Option<Vec<Outcome>>, Error> {
        let Ok(entry) = entry::decode(bytes) else { return Ok(None) };
        let mut state = TableState::new(self.tables, WINDOW_TREE);
        let mut outcomes = Vec::with_capacity(entry.operations.len());
        for operation in entry.operations {
            let effect = merge::apply(&mut state, author, operation)?;
            outcomes.push(Outcome::of(&state, author, (operation, effect))?);
        }
        if author.seq < u64::MAX {
            state.note_entry(author)?;
        }
        self.touched.append(&mut state.take_touched());
        Ok(Some(outcomes))
    }

    /// Purges the window up to the horizon, as far as the pending entries permit.
    pub(super) fn purge(&mut self) -> Result<(), Error> {
        let bases = self.pending.iter().filter_map(|pending| header(&pending.entry));
        let oldest = bases.map(|header| header.base).min().unwrap_or(self.meta.cursor);
        let horizon = self.meta.horizon.min(oldest).min(self.meta.cursor);
        if horizon > self.meta.purged {
            TableState::new(self.tables, WINDOW_TREE).purge(horizon)?;
            self.meta.purged = horizon;
        }
        Ok(())
    }

    /// Applies the pending entries again, and writes the metadata. Returns the objects that may
    /// have changed.
    pub(super) fn finish(mut self) -> Result<Vec<ObjectId>, Error> {
        restore_local(self.tables)?;
        for PendingEntry { client_seq, entry } in std::mem::take(&mut self.pending) {
            let Some(header) = header(&entry) else { return Err(self.tables.damaged()) };
            let author = working_author(&self.meta, header);
            drop(self.tables.record()?);
            if self.apply(&author, &entry)?.is_none() {
                return Err(self.tables.damaged());
            }
            restore_local(self.tables)?;
            let images = self.tables.end_recording()?;
            pending::put_images(self.tables, client_seq, &images)?;
        }
        self.meta.put(self.tables)?;
        Ok(self.touched)
    }
}

/// Returns the header of an encoded entry.
pub(super) fn header(entry: &[u8]) -> Option<Header> {
    entry::Operations::new(entry).ok().map(|operations| operations.header())
}

/// Returns the author of a pending entry, which has no seq yet.
pub(super) const fn working_author(meta: &ClientMeta, header: Header) -> Author {
    let Header { client_seq, base, stamp } = header;
    Author { seq: u64::MAX, client: meta.client, client_seq, base, stamp }
}

/// Notes the changes of a schema that no entry has.
pub(super) fn note_local(tables: &mut Tables, changes: &[SchemaChange]) -> Result<(), Error> {
    let mut tree = tables.txn_mut().tree(LOCAL)?;
    for change in changes {
        match change {
            SchemaChange::SetVersion { version } => {
                tree.insert(VERSION, &version.to_le_bytes())?;
            }
            SchemaChange::SetIndexed { class, property, indexed: true } => {
                tree.insert(&index_key(class, property), &[])?;
            }
            SchemaChange::SetIndexed { class, property, indexed: false } => {
                tree.remove(&index_key(class, property))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Makes the changes of a schema again that an undo reverted.
pub(super) fn restore_local(tables: &mut Tables) -> Result<(), Error> {
    let mut changes = Vec::new();
    tables.side_each(SideKey { tree: LOCAL, key: &[] }, &mut |tables, key, value| {
        let change = if key == VERSION {
            let version = value.try_into().map(u64::from_le_bytes);
            SchemaChange::SetVersion { version: version.map_err(|_| tables.damaged())? }
        } else {
            let (class, property) = read_index(key).ok_or_else(|| tables.damaged())?;
            let found = tables.property(class, property);
            if found.is_none_or(|(_, property)| property.is_indexed()) {
                return Ok(());
            }
            let (class, property) = (class.to_owned(), property.to_owned());
            SchemaChange::SetIndexed { class, property, indexed: true }
        };
        changes.push(change);
        Ok(())
    })?;
    for change in changes {
        tables.apply(&Operation::SchemaChange(change), &mut |_| {})?;
    }
    Ok(())
}
