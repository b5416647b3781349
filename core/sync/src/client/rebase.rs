//! Rebase: the pending entries are undone, the canonical state changes, and they are applied again.
//!
//! A change that does not meet the pending entries leaves them as they are: an own entry that is
//! next, and entries of others that touch none of their objects. The first one that may meet them,
//! and all after it, take the slow path.
//!
//! - SY3 The working state is the fold of the pending entries over the canonical state.
//! - SY11 The fast path gives the state of the slow one.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a function names the kinds it is about and treats all others alike"
)]

use super::layout::{LOCAL, VERSION, index_key, read_index};
use super::meta::ClientMeta;
use super::ordered_runs::OrderedRuns;
use super::pending::{self, AppliedEntry, PendingRecord, PendingWalk};
use super::touched::{TouchedObjects, note_images};
use crate::entry::{self, Entry, Header};
use crate::fault::{self, Fault};
use crate::merge::{self, Author, PENDING_SEQ};
use crate::outcome::Outcome;
use crate::table_state::{PurgeCursor, TableState, WINDOW_TREE, object_at, objects_of};
use fastness::Error;
use fastness::table::{ObjectId, Operation, SchemaChange, SideKey, Tables};

/// A transaction that changes the canonical state.
pub(super) struct Rebase<'t> {
    pub(super) tables: &'t mut Tables,
    pub(super) meta: ClientMeta,
    /// The pending entries are undone, and those that are left are applied again at the end.
    pub(super) is_undone: bool,
    /// Objects that may have changed; none without an observer.
    pub(super) touched: Option<Vec<ObjectId>>,
    /// Objects of the pending entries.
    objects: &'t mut TouchedObjects,
    /// The objects and the outcomes are those of the pending entries.
    pub(super) is_known: bool,
    /// Entries of others may have changed classes.
    has_foreign: bool,
    /// The ordered entries that pre-images name, from one refusal to the next.
    pub(super) ordered_runs: Option<OrderedRuns>,
}

/// Records of the window that one transaction visits in a purge.
const PURGED_AT_ONCE: usize = 4096;

/// Knowledge of a rebase about the pending entries.
pub(super) struct Pending<'t> {
    pub(super) objects: &'t mut TouchedObjects,
    /// Undoes them at once: for comparison.
    pub(super) is_slow: bool,
    /// A subscription waits for the changes.
    pub(super) is_observed: bool,
}

impl<'t> Rebase<'t> {
    /// Begins to change the canonical state.
    pub(super) fn begin(tables: &'t mut Tables, pending: Pending<'t>) -> Result<Self, Error> {
        drop(tables.end_recording()?);
        let Pending { objects, is_slow, is_observed } = pending;
        let meta = ClientMeta::of(tables)?;
        let touched = is_observed.then(Vec::new);
        let mut is_known = objects.knows((meta.last_client_seq, meta.last_stamp));
        if pending::first_number(tables)?.is_none() {
            is_known = true;
            objects.clear();
        }
        let (is_undone, has_foreign) = (false, false);
        let ordered_runs = None;
        let mut rebase =
            Self { tables, meta, is_undone, touched, objects, is_known, has_foreign, ordered_runs };
        if is_slow {
            rebase.undo()?;
        }
        Ok(rebase)
    }

    /// Undoes the pending entries, unless they are undone. Those that are taken out of the tree
    /// from now on are not applied again.
    pub(super) fn undo(&mut self) -> Result<(), Error> {
        self.ordered_runs = None;
        if !self.is_undone {
            let touched = &mut self.touched;
            pending::undo(self.tables, &mut |object| {
                touched.iter_mut().for_each(|touched| touched.push(object.clone()));
            })?;
            self.objects.clear();
            (self.is_undone, self.is_known) = (true, true);
        }
        Ok(())
    }

    /// Tells whether an entry of another client can be applied beside the pending ones: it names
    /// no object that one of them touches.
    pub(super) fn is_disjoint(
        &mut self,
        author: &Author,
        entry: &Entry<'_>,
    ) -> Result<bool, Error> {
        let Some(first) = pending::first_number(self.tables)? else { return Ok(true) };
        if !self.is_known || self.objects.has_schema(first) {
            return Ok(false);
        }
        for operation in &entry.operations {
            let objects = objects_of(self.tables, author.resolve(*operation))?;
            let may_meet = |object: &ObjectId| self.objects.may_touch(first, object);
            let meets = objects.is_none_or(|objects| objects.iter().any(may_meet));
            if meets && !fault::on(Fault::Sn45) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes a pending entry out without undoing the others, if no later one touches an object that
    /// it names or has changed. Tells whether it did.
    pub(super) fn take_out(&mut self, record: &PendingRecord) -> Result<bool, Error> {
        let first = record.client_seq;
        if self.is_undone || !self.is_known || self.objects.has_schema(first) {
            return Ok(false);
        }
        if !self.is_last_of_its_objects(record)? && !fault::on(Fault::Sn54) {
            return Ok(false);
        }
        let touched = &mut self.touched;
        let ordered_runs = self.ordered_runs.take();
        let ordered_runs = ordered_runs.map_or_else(|| OrderedRuns::read(self.tables), Ok)?;
        pending::take_out(self.tables, (record, &ordered_runs), &mut |object| {
            touched.iter_mut().for_each(|touched| touched.push(object.clone()));
        })?;
        self.ordered_runs = Some(ordered_runs);
        Ok(true)
    }

    /// Tells whether no later pending entry touches an object of one.
    fn is_last_of_its_objects(&mut self, record: &PendingRecord) -> Result<bool, Error> {
        let later = record.client_seq + 1;
        let entry = entry::decode(&record.entry).map_err(|_| self.tables.damaged())?;
        let author = working_author(&self.meta, entry.header);
        for operation in &entry.operations {
            let named = objects_of(self.tables, author.resolve(*operation))?;
            let is_touched = |object: &ObjectId| self.objects.may_touch(later, object);
            if named.is_none_or(|named| named.iter().any(is_touched)) {
                return Ok(false);
            }
        }
        let objects = &*self.objects;
        pending::all_images(self.tables, record, &mut |tables, (tree, key)| {
            // An index that the transaction has added outlives its entry.
            !tables.is_catalog(tree)
                && object_at(tables, tree, key)
                    .is_none_or(|object| !objects.may_touch(later, &object))
        })
    }

    /// Applies an entry to the canonical state; returns the outcome of each operation. An entry
    /// that cannot be decoded has none.
    pub(super) fn apply(
        &mut self,
        author: &Author,
        bytes: &[u8],
    ) -> Result<Option<Vec<Outcome>>, Error> {
        match entry::decode(bytes) {
            Ok(entry) => self.apply_entry(author, &entry).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Applies a decoded entry.
    pub(super) fn apply_entry(
        &mut self,
        author: &Author,
        entry: &Entry<'_>,
    ) -> Result<Vec<Outcome>, Error> {
        let mut state = TableState::new(self.tables, WINDOW_TREE);
        let mut outcomes = Vec::with_capacity(entry.operations.len());
        for operation in &entry.operations {
            let effect = merge::apply(&mut state, author, *operation)?;
            outcomes.push(Outcome::of(&state, author, (*operation, effect))?);
        }
        if author.seq < PENDING_SEQ {
            state.note_entry(author)?;
        }
        let mut changed = state.take_touched();
        self.touched.iter_mut().for_each(|touched| touched.append(&mut changed));
        self.has_foreign |= author.seq < PENDING_SEQ;
        Ok(outcomes)
    }

    /// Notes the objects that a pending entry names.
    fn note_names(&mut self, author: &Author, entry: &Entry<'_>) -> Result<(), Error> {
        for operation in &entry.operations {
            match objects_of(self.tables, author.resolve(*operation))? {
                Some(objects) => {
                    objects.iter().for_each(|object| self.objects.note(author.client_seq, object));
                }
                None => self.objects.note_schema(author.client_seq),
            }
        }
        Ok(())
    }

    /// Does a part of a purge of the window up to the horizon, as far as the pending entries
    /// permit. Returns the next part; none at the end.
    pub(super) fn purge(
        &mut self,
        part: Option<PurgeCursor>,
    ) -> Result<Option<PurgeCursor>, Error> {
        // Bases never decrease from entry to entry.
        let oldest = pending::first(self.tables)?.and_then(|first| header(&first.entry));
        let oldest = oldest.map_or(self.meta.cursor, |header| header.base);
        let permitted = self.meta.horizon.min(oldest).min(self.meta.cursor);
        let cursor = part.unwrap_or_else(|| PurgeCursor::new(permitted));
        if cursor.horizon <= self.meta.purged || cursor.horizon > permitted {
            return Ok(None);
        }
        self.undo()?;
        let mut state = TableState::new(self.tables, WINDOW_TREE);
        let next = state.purge_step(&cursor, PURGED_AT_ONCE)?;
        if next.is_none() {
            self.meta.purged = cursor.horizon;
        }
        Ok(next)
    }

    /// Applies the pending entries again if they were undone, and writes the metadata. Returns the
    /// objects that may have changed.
    pub(super) fn finish(mut self) -> Result<Vec<ObjectId>, Error> {
        if self.has_foreign || self.is_undone {
            restore_local(self.tables)?;
        }
        if self.is_undone {
            let mut walk = PendingWalk::new(fault::on(Fault::Sn24));
            while let Some(record) = walk.next(self.tables)? {
                self.redo(record)?;
            }
        }
        if self.is_known {
            self.objects.set_mark((self.meta.last_client_seq, self.meta.last_stamp));
        }
        if !fault::on(Fault::Sy13) {
            self.meta.put(self.tables)?;
        }
        Ok(self.touched.unwrap_or_default())
    }

    /// Applies a pending entry to the working state, and stores it with its new pre-images.
    fn redo(&mut self, record: PendingRecord) -> Result<(), Error> {
        let PendingRecord { client_seq, entry, .. } = record;
        let Some(header) = header(&entry) else { return Err(self.tables.damaged()) };
        let author = working_author(&self.meta, header);
        drop(self.tables.record()?);
        let decoded = entry::decode(&entry).map_err(|_| self.tables.damaged())?;
        let outcomes = self.apply_entry(&author, &decoded)?;
        restore_local(self.tables)?;
        let images = self.tables.end_recording()?;
        self.note_names(&author, &decoded)?;
        note_images(self.objects, client_seq, (&*self.tables, images.iter()));
        let applied = AppliedEntry { client_seq, entry: &entry, outcomes: &outcomes };
        pending::put(self.tables, &applied, images.iter())
    }
}

/// Returns the header of an encoded entry.
pub(super) fn header(entry: &[u8]) -> Option<Header> {
    entry::Operations::new(entry).ok().map(|operations| operations.header())
}

/// Returns the author of a pending entry, which has no seq yet.
pub(super) const fn working_author(meta: &ClientMeta, header: Header) -> Author {
    let Header { client_seq, base, stamp } = header;
    let seq = PENDING_SEQ + client_seq;
    Author { seq, client: meta.client, client_seq, base, stamp }
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
