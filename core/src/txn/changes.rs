//! The changes of a write transaction so far.
//!
//! The first puts into a tree are buffered: they are in the journal, and not in the tree. Many
//! transactions consist of such puts, and one that does may change the last commit in place (see
//! [`super::in_place`]). For any other transaction the trees are edited, which copies the nodes on
//! the path.

use super::journal::{Journal, Op, put_section, puts, section_bytes};
use super::state::{BaseTree, CommitState};
use super::writer::WriterState;
use crate::codec;
use crate::conc::{Arc, OnceLock};
use crate::error::Result;
use crate::fault::{self, Fault};
use crate::pager::Pager;
use crate::sorted::Sorted;
use crate::space::FreedPage;
use crate::tree::{Bytes, EditContext, Range, SalvageIter, TreeEdit, TreeState};
use std::ops::RangeBounds;

/// Most puts that are buffered for a tree: a lookup scans them one by one.
const BUFFERED_PUTS_MAX: usize = 8;

/// The changes of a write transaction so far.
#[derive(Debug)]
pub(crate) struct TxnChanges {
    pub(crate) base: Arc<CommitState>,
    pub(crate) trees: Sorted<Arc<str>, TreeChanges>,
    pub(crate) journal: Journal,
    /// An operation failed half-way.
    pub(crate) failed: bool,
}

/// The changes of one tree.
#[derive(Debug)]
pub(crate) struct TreeChanges {
    /// Entries of the tree, while its puts are buffered.
    len: u64,
    /// The operations, while the journal has room.
    ops: Vec<u8>,
    /// Number of puts that are buffered, at the start of the operations.
    buffered: usize,
    /// The tree with all changes; unset while its puts are buffered.
    edited: OnceLock<EditedTree>,
}

/// A tree that was edited.
#[derive(Debug)]
pub(crate) struct EditedTree {
    pub(crate) tree: TreeEdit,
    /// Pages of the base that the tree does not need any more.
    pub(crate) freed: Vec<FreedPage>,
}

/// The changes of a transaction, with no put buffered.
#[derive(Debug)]
pub(crate) struct EditedChanges {
    pub(crate) base: Arc<CommitState>,
    pub(crate) trees: Sorted<Arc<str>, TreeEdit>,
    /// Pages of the base that the changed trees do not need any more.
    pub(crate) freed: Vec<FreedPage>,
}

impl TxnChanges {
    /// Starts from the last commit of the writer.
    pub(crate) fn new(writer: &WriterState) -> Self {
        let journal = Journal::new(writer.tip.log.tail().room());
        Self { base: Arc::clone(&writer.tip), trees: Sorted::new(), journal, failed: false }
    }

    /// Drops the trees that did not change.
    pub(crate) fn prune(&mut self) {
        self.trees.retain(|_, tree| tree.is_changed());
    }

    /// Returns the changes for the log; `None` if they are too large for it.
    pub(crate) fn record(&self) -> Option<Vec<u8>> {
        if !self.journal.complete {
            return None;
        }
        let bytes = self.trees.iter().map(|(name, tree)| section_bytes(name, &tree.ops)).sum();
        let mut writer = codec::Writer::with_capacity(bytes);
        for (name, tree) in self.trees.iter() {
            put_section(name, tree.len(), &tree.ops, &mut writer);
        }
        assert!(writer.bytes().len() == bytes, "L1: a record of another size");
        Some(writer.into_bytes())
    }

    /// Applies the buffered puts to their trees.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub(crate) fn apply_buffered(self) -> Result<EditedChanges> {
        let Self { base, trees: all, .. } = self;
        let (mut trees, mut freed) = (Sorted::new(), Vec::new());
        for (name, changes) in all {
            let mut edited = changes.into_edited(base.base_tree(&name))?;
            freed.append(&mut edited.freed);
            trees.insert(name, edited.tree);
        }
        Ok(EditedChanges { base, trees, freed })
    }
}

impl EditedTree {
    const fn new(tree: TreeEdit) -> Self {
        Self { tree, freed: Vec::new() }
    }

    /// Edits the tree.
    pub(crate) fn edit<T>(
        &mut self,
        pager: &Pager,
        body: impl FnOnce(&mut TreeEdit, &mut EditContext<'_>) -> Result<T>,
    ) -> Result<T> {
        body(&mut self.tree, &mut EditContext { pager, freed: &mut self.freed })
    }
}

impl TreeChanges {
    /// Starts from a tree of the base. A new tree has nothing that could be changed in place, so
    /// its puts are not buffered.
    pub(crate) fn new(base: Option<&TreeState>) -> Self {
        let edited = OnceLock::new();
        if base.is_none() {
            drop(edited.set(EditedTree::new(TreeEdit::empty())));
        }
        Self { len: base.map_or(0, |tree| tree.len), ops: Vec::new(), buffered: 0, edited }
    }

    fn is_changed(&self) -> bool {
        self.edited.get().map_or(self.buffered > 0, |edited| edited.tree.changed)
    }

    /// Tells whether all changes are buffered.
    pub(crate) fn is_buffered(&self) -> bool {
        self.edited.get().is_none()
    }

    pub(crate) fn len(&self) -> u64 {
        self.edited.get().map_or(self.len, |edited| edited.tree.len)
    }

    /// Returns the buffered puts in order.
    pub(crate) fn puts(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        puts(&self.ops).take(self.buffered)
    }

    /// Returns the buffered value of a key.
    fn buffered_value(&self, key: &[u8]) -> Option<&[u8]> {
        self.puts().filter(|(put, _)| *put == key).last().map(|(_, value)| value)
    }

    /// Applies the buffered puts to the tree of the base.
    fn edit_base(&self, base: BaseTree<'_>) -> Result<EditedTree> {
        let tree = base.tree.map_or_else(TreeEdit::empty, TreeEdit::of_state);
        let mut edited = EditedTree::new(tree);
        for (key, value) in self.puts() {
            edited.edit(base.pager, |tree, context| tree.insert(key, value, context))?;
        }
        Ok(edited)
    }

    /// Returns the tree with all changes.
    fn edited(&self, base: BaseTree<'_>) -> Result<&EditedTree> {
        if let Some(edited) = self.edited.get() {
            return Ok(edited);
        }
        let edited = self.edit_base(base)?;
        // If another thread was faster, its tree stays.
        Ok(self.edited.get_or_init(|| edited))
    }

    fn into_edited(mut self, base: BaseTree<'_>) -> Result<EditedTree> {
        self.edited.take().map_or_else(|| self.edit_base(base), Ok)
    }

    /// Returns the tree to edit.
    pub(crate) fn edited_mut(&mut self, base: BaseTree<'_>) -> Result<&mut EditedTree> {
        if self.is_buffered() {
            self.edited(base)?;
        }
        Ok(self.edited.get_mut().expect("A1: it was just edited"))
    }

    /// Returns the tree if it was edited.
    pub(crate) fn as_edited(&mut self) -> Option<&mut EditedTree> {
        self.edited.get_mut()
    }

    /// Appends an operation to the journal.
    pub(crate) fn append_op(&mut self, op: Op<'_>, journal: &mut Journal) {
        journal.append(op, &mut self.ops);
    }

    /// Buffers a put of a tree whose changes are all buffered, and tells whether the key existed;
    /// `None` if there is no room for it.
    pub(crate) fn buffer_put(
        &mut self,
        put: Op<'_>,
        base: BaseTree<'_>,
        journal: &mut Journal,
    ) -> Result<Option<bool>> {
        let Op::Put { key, .. } = put else { return Ok(None) };
        if self.buffered == BUFFERED_PUTS_MAX || !journal.has_room(put) {
            return Ok(None);
        }
        let existed = self.buffered_value(key).is_some()
            || base.tree.map_or(Ok(false), |tree| tree.contains(key, base.pager))?;
        journal.append(put, &mut self.ops);
        self.buffered += 1;
        assert!(self.buffered <= BUFFERED_PUTS_MAX, "L1: {} puts are buffered", self.buffered);
        self.len = self.len.saturating_add(u64::from(!existed));
        Ok(Some(existed))
    }

    pub(crate) fn get(&self, key: &[u8], base: BaseTree<'_>) -> Result<Option<Bytes>> {
        if let Some(edited) = self.edited.get() {
            return edited.tree.get(key, base.pager);
        }
        match self.buffered_value(key).filter(|_| !fault::on(Fault::Mv13)) {
            Some(value) => Ok(Some(Bytes::from(value.to_vec()))),
            None => base.tree.map_or(Ok(None), |tree| tree.get(key, base.pager)),
        }
    }

    pub(crate) fn range<'a, 'k>(
        &'a self,
        bounds: &impl RangeBounds<&'k [u8]>,
        base: BaseTree<'a>,
    ) -> Result<Range<'a>> {
        self.edited(base)?.tree.range(bounds, base.pager)
    }

    pub(crate) fn salvage<'a>(&'a self, base: BaseTree<'a>) -> SalvageIter<'a> {
        match self.edited(base) {
            Ok(edited) => edited.tree.salvage(base.pager),
            Err(error) => SalvageIter::new(base.pager, Err(error)),
        }
    }
}
