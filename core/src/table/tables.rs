//! Tables: the trees below one root within a write transaction.
//!
//! - B5 No two elements, and no two objects without a primary key, ever get the same id.
//! - B12 Putting the pre-images of a transaction back restores every tree below the root, except
//!   the numbers that were given out and the stamp of the catalog, which never go back.
//!
//! After an error of any function the transaction can only be dropped: a change may be half done.

use super::catalog::{Catalog, malformed, schema_tree};
use super::edited_lists::EditedLists;
use super::pre_images::{PreImage, PreImages};
use super::reader::{ListRef, TableReader};
use super::value::{ElementId, ObjectId, ObjectKey, RowId};
use crate::codec::Reader;
use crate::conc::Arc;
use crate::error::{Error, Result};
use crate::txn::{ReadSource, TreeMut, WriteTxn};
use std::ops::Bound;

/// Key of the next number of an object or list element, in the tree of the catalog.
const NEXT: &[u8] = &[1];

/// Bytes of entries that a walk copies at a time, and at most one entry beyond.
const WALK_BYTES: usize = 64 << 10;

/// The tables below one root, to change within a write transaction.
#[derive(Debug)]
pub struct Tables {
    pub(super) txn: WriteTxn,
    /// The catalog that the transaction began with.
    base: Arc<Catalog>,
    /// The catalog that the tree holds.
    written: Arc<Catalog>,
    pub(super) catalog: Arc<Catalog>,
    /// Read when it is first needed.
    next: Option<u64>,
    author: u32,
    recorder: Option<PreImages>,
    /// Present if subscriptions ask what changed.
    edited: Option<EditedLists>,
}

/// A tree to change, with the recorder of its pre-images.
pub(super) struct TreeWriter<'t> {
    name: &'t str,
    tree: TreeMut<'t>,
    recorder: Option<&'t mut PreImages>,
}

/// A callback for each key and value of a walk.
type VisitEntry<'v> = dyn FnMut(&mut Tables, &[u8], &[u8]) -> Result<()> + 'v;

/// A callback for each object that a change touches beside its target.
pub(crate) type Touch<'t> = &'t mut dyn FnMut(ObjectId);

impl Tables {
    /// Opens the tables below a root. A root without trees has no classes.
    ///
    /// # Errors
    /// If the catalog cannot be read or is damaged.
    pub fn open(txn: WriteTxn, root: &str) -> Result<Self> {
        let catalog = Arc::new(Catalog::load(ReadSource::Txn(&txn), root)?);
        Ok(Self::with_catalog(txn, catalog))
    }

    /// Opens tables whose catalog is known.
    pub(crate) fn with_catalog(txn: WriteTxn, base: Arc<Catalog>) -> Self {
        let (written, catalog) = (Arc::clone(&base), Arc::clone(&base));
        let (recorder, edited) = (None, None);
        Self { txn, base, written, catalog, next: None, author: 0, recorder, edited }
    }

    /// Returns the tables as this transaction sees them.
    #[must_use]
    pub fn reader(&self) -> TableReader<'_> {
        TableReader { source: ReadSource::Txn(&self.txn), catalog: &self.catalog }
    }

    /// Returns the tables as they were when the transaction began.
    pub(crate) fn base_reader(&self) -> TableReader<'_> {
        TableReader { source: ReadSource::Base(&self.txn), catalog: &self.base }
    }

    pub(crate) const fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// Tells whether the transaction changed classes.
    pub(crate) fn has_new_catalog(&self) -> bool {
        self.catalog != self.base
    }

    /// Returns the transaction, to change trees below other roots.
    pub const fn txn_mut(&mut self) -> &mut WriteTxn {
        &mut self.txn
    }

    /// Sets the author of new list elements and of new objects without a primary key; at first 0.
    pub const fn set_author(&mut self, author: u32) {
        self.author = author;
    }

    /// Sets the version of the schema.
    pub(crate) fn set_version(&mut self, version: u64) {
        Arc::make_mut(&mut self.catalog).version = Some(version);
    }

    /// Writes the catalog and the next number, which are buffered until then.
    ///
    /// # Errors
    /// As [`TreeMut::insert`].
    pub fn settle(&mut self) -> Result<()> {
        let name = schema_tree(self.catalog.root());
        if let Some(next) = self.next {
            // No undo gives a number out again (B5), so its pre-image is not recorded.
            self.txn.tree(&name)?.insert(NEXT, &next.to_le_bytes())?;
        }
        if self.catalog != self.written {
            self.write_catalog()?;
        }
        Ok(())
    }

    /// Writes the catalog under a new stamp.
    pub(crate) fn write_catalog(&mut self) -> Result<()> {
        let name = schema_tree(self.catalog.root());
        let stamp = self.written.stamp.max(self.base.stamp).checked_add(1);
        let stamp = stamp.ok_or_else(|| self.malformed())?;
        Arc::make_mut(&mut self.catalog).stamp = stamp;
        for (key, value) in self.catalog.entries(&self.written) {
            let mut tree = self.tree(&name)?;
            match value {
                Some(value) => tree.insert(&key, &value).map(drop)?,
                None => tree.remove(&key).map(drop)?,
            }
        }
        self.written = Arc::clone(&self.catalog);
        Ok(())
    }

    /// Returns the transaction, to commit it, and the catalog that it leaves.
    ///
    /// # Errors
    /// As [`Tables::settle`].
    pub fn finish(mut self) -> Result<(WriteTxn, Arc<Catalog>)> {
        self.settle()?;
        Ok((self.txn, self.catalog))
    }

    /// Begins to record pre-images, and returns those that were recorded since the last call.
    ///
    /// # Errors
    /// As [`Tables::settle`].
    pub fn record(&mut self) -> Result<PreImages> {
        self.settle()?;
        Ok(self.recorder.replace(PreImages::default()).unwrap_or_default())
    }

    /// Ends recording, and returns the pre-images that were recorded since it began.
    ///
    /// # Errors
    /// As [`Tables::settle`].
    pub fn end_recording(&mut self) -> Result<PreImages> {
        self.settle()?;
        Ok(self.recorder.take().unwrap_or_default())
    }

    /// Puts recorded entries back. Several recordings go back newest first.
    ///
    /// # Errors
    /// As [`TreeMut::insert`]; if the catalog that was put back is damaged.
    pub fn restore<'p>(&mut self, entries: impl IntoIterator<Item = PreImage<'p>>) -> Result<()> {
        self.settle()?;
        if let Some(edited) = &mut self.edited {
            edited.note_all();
        }
        let schema = schema_tree(self.catalog.root());
        let mut restores_catalog = false;
        for PreImage { tree: name, key, value } in entries {
            restores_catalog |= name == schema;
            let mut tree = self.tree(name)?;
            match value {
                Some(value) => tree.insert(key, value).map(drop)?,
                None => tree.remove(key).map(drop)?,
            }
        }
        if restores_catalog { self.load_catalog() } else { Ok(()) }
    }

    /// Reads the catalog again after its tree was written from outside.
    pub(super) fn load_catalog(&mut self) -> Result<()> {
        if let Some(edited) = &mut self.edited {
            edited.note_all();
        }
        let mut restored = Catalog::load(ReadSource::Txn(&self.txn), self.catalog.root())?;
        // Catalogs are cached by stamp, so a restored one gets a stamp of its own.
        restored.stamp = self.written.stamp;
        restored.continue_local(&self.written);
        self.written = Arc::new(restored);
        self.catalog = Arc::clone(&self.written);
        self.write_catalog()
    }

    pub(super) fn malformed(&self) -> Error {
        malformed(ReadSource::Txn(&self.txn).path())
    }

    /// Returns a tree below the root, to change it.
    pub(super) fn tree<'t>(&'t mut self, name: &'t str) -> Result<TreeWriter<'t>> {
        let recorder = self.recorder.as_mut();
        Ok(TreeWriter { name, tree: self.txn.tree(name)?, recorder })
    }

    /// Begins to record which parts of lists are written.
    pub(crate) fn watch_lists(&mut self) {
        self.edited = Some(EditedLists::default());
    }

    pub(crate) const fn edited_lists(&self) -> Option<&EditedLists> {
        self.edited.as_ref()
    }

    /// Records that a chunk or a segment of a list was written or removed.
    pub(super) fn note_part(&mut self, list: ListRef<'_>, number: u32) {
        if let Some(edited) = &mut self.edited {
            edited.note_part(list, number);
        }
    }

    /// Records that any part of a list was written or removed.
    pub(super) fn note_list(&mut self, list: ListRef<'_>) {
        if let Some(edited) = &mut self.edited {
            edited.note_list(list);
        }
    }

    /// Takes a number that nothing below the root has had.
    pub(crate) fn take_number(&mut self) -> Result<u64> {
        let number = self.next_number()?;
        // The last number is never given out, so that the next one is known.
        let next = number.checked_add(1).ok_or_else(|| self.malformed())?;
        self.next = Some(next);
        Ok(number)
    }

    /// Sets the next number, which is written with the catalog.
    #[cfg(feature = "sync")]
    pub(super) const fn set_next_number(&mut self, next: u64) {
        self.next = Some(next);
    }

    pub(super) fn next_number(&mut self) -> Result<u64> {
        match self.next {
            Some(number) => Ok(number),
            None => stored_next(ReadSource::Txn(&self.txn), self.catalog.root()),
        }
    }

    /// Takes the key of a new object of a class without a primary key.
    pub(crate) fn new_row_key(&mut self) -> Result<ObjectKey> {
        Ok(ObjectKey::Row(RowId { author: self.author, number: self.take_number()? }))
    }

    /// Takes the id of a new list element.
    pub(crate) fn new_element_id(&mut self) -> Result<ElementId> {
        Ok(ElementId { author: self.author, number: self.take_number()? })
    }

    /// Reserves a number that an author has given out, so that it is not given out again (B5).
    /// Tells whether it is one that can be given out.
    pub(super) fn reserve_number(&mut self, author: u32, number: u64) -> Result<bool> {
        let Some(after) = number.checked_add(1) else { return Ok(false) };
        if author == 0 || author == self.author {
            let next = self.next_number()?;
            if after > next {
                self.next = Some(after);
            }
        }
        Ok(true)
    }

    /// Visits every entry whose key begins with `prefix`, in order. The callback may change any
    /// tree; the walk does not meet entries that it adds before the current one.
    pub(super) fn each(
        &mut self,
        tree: &str,
        prefix: &[u8],
        visit: &mut VisitEntry<'_>,
    ) -> Result<()> {
        let mut from = Bound::Included(prefix.to_vec());
        loop {
            let batch = self.batch(tree, &from, prefix)?;
            let Some((last, _)) = batch.last() else { return Ok(()) };
            from = Bound::Excluded(last.clone());
            batch.iter().try_for_each(|(key, value)| visit(self, key, value))?;
        }
    }

    /// Copies the next entries of a walk.
    fn batch(
        &self,
        tree: &str,
        from: &Bound<Vec<u8>>,
        prefix: &[u8],
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let from = from.as_ref().map(|key| &key[..]);
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for entry in ReadSource::Txn(&self.txn).tree(tree).range((from, Bound::Unbounded))? {
            let (key, value) = entry?;
            if bytes >= WALK_BYTES || !key.starts_with(prefix) {
                break;
            }
            bytes += key.len() + value.len();
            batch.push((key.to_vec(), value.to_vec()));
        }
        Ok(batch)
    }
}

/// Returns the next number of an object or list element that the trees below a root hold.
pub(super) fn stored_next(source: ReadSource<'_>, root: &str) -> Result<u64> {
    match source.tree(&schema_tree(root)).get(NEXT)? {
        Some(bytes) => Reader::new(&bytes).u64().ok_or_else(|| malformed(source.path())),
        None => Ok(1),
    }
}

impl TreeWriter<'_> {
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<crate::tree::Bytes>> {
        self.tree.get(key)
    }

    fn record(&mut self, key: &[u8]) -> Result<()> {
        match &mut self.recorder {
            Some(recorder) => recorder.record(self.name, &self.tree, key),
            None => Ok(()),
        }
    }

    pub(super) fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        self.record(key)?;
        self.tree.insert(key, value)
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Result<bool> {
        self.record(key)?;
        self.tree.remove(key)
    }

    pub(super) fn clear(&mut self) -> Result<()> {
        if let Some(recorder) = &mut self.recorder {
            recorder.record_all(self.name, &self.tree)?;
        }
        self.tree.clear()
    }
}
