//! What a transaction changed so far.
//!
//! Its first puts are kept aside: written down for the log, and not put into their tree. Many
//! transactions are no more than that, and such a one may change the last commit as it stands (see
//! [`super::in_place`]). For any other the trees are edited, which copies the nodes on the way.

use super::journal::{Journal, Op, put_section, puts, section_bytes};
use super::state::{State, Writer};
use crate::codec;
use crate::conc::{Arc, OnceLock};
use crate::error::Result;
use crate::fault::{self, Fault};
use crate::pager::Pager;
use crate::sorted::Sorted;
use crate::tree::{Bytes, EditContext, Range, SalvageIter, TreeEdit, TreeState};
use crate::unit::PageId;
use std::ops::RangeBounds;

/// Most puts into a tree that are kept aside: they are looked through one by one.
const ASIDE_MAX: usize = 8;

/// What a transaction changed so far.
#[derive(Debug)]
pub(crate) struct Changes {
    pub(crate) base: Arc<State>,
    pub(crate) trees: Sorted<Arc<str>, TreeChanges>,
    pub(crate) journal: Journal,
    /// An operation failed half-way.
    pub(crate) failed: bool,
}

/// What a transaction changed of a tree.
#[derive(Debug)]
pub(crate) struct TreeChanges {
    /// Entries of the tree.
    len: u64,
    /// The operations, while the journal has room.
    ops: Vec<u8>,
    /// How many of them are puts that are kept aside.
    aside: usize,
    /// The tree with all changes; not there while they are kept aside.
    edited: OnceLock<Edited>,
}

/// A tree that was edited.
#[derive(Debug)]
pub(crate) struct Edited {
    pub(crate) tree: TreeEdit,
    /// Pages of the base that it does without.
    pub(crate) freed: Vec<PageId>,
}

/// A tree as it was committed, if there was one, and what reads its file.
pub(crate) type Base<'a> = (Option<&'a TreeState>, &'a Pager);

/// What a transaction changed, with nothing kept aside.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) base: Arc<State>,
    pub(crate) trees: Sorted<Arc<str>, TreeEdit>,
    /// Pages of the base that the changed trees do without.
    pub(crate) freed: Vec<PageId>,
}

impl Changes {
    /// Starts from what `writer` left.
    pub(crate) fn new(writer: &Writer) -> Self {
        let journal = Journal::new(writer.tip.log.tail().room_bytes());
        Self { base: Arc::clone(&writer.tip), trees: Sorted::new(), journal, failed: false }
    }

    /// Leaves out the trees that are as they were.
    pub(crate) fn prune(&mut self) {
        self.trees.retain(|_, tree| tree.is_changed());
    }

    /// Returns what the log is to hold; `None` if that is too much for it.
    pub(crate) fn record(&self) -> Option<Vec<u8>> {
        if !self.journal.whole {
            return None;
        }
        let bytes = self.trees.iter().map(|(name, tree)| section_bytes(name, &tree.ops)).sum();
        let mut writer = codec::Writer::with_capacity(bytes);
        for (name, tree) in self.trees.iter() {
            put_section(name, tree.len(), &tree.ops, &mut writer);
        }
        Some(writer.into_bytes())
    }

    /// Puts into the trees what is kept aside.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub(crate) fn settle(self) -> Result<Settled> {
        let Self { base, trees: all, .. } = self;
        let (mut trees, mut freed) = (Sorted::new(), Vec::new());
        for (name, changes) in all {
            let mut edited = changes.into_edited(base.tree_and_pager(&name))?;
            freed.append(&mut edited.freed);
            trees.insert(name, edited.tree);
        }
        Ok(Settled { base, trees, freed })
    }
}

impl Edited {
    fn new(tree: TreeEdit) -> Self {
        Self { tree, freed: Vec::new() }
    }

    /// Changes the tree.
    pub(crate) fn change<T>(
        &mut self,
        pager: &Pager,
        body: impl FnOnce(&mut TreeEdit, &mut EditContext<'_>) -> Result<T>,
    ) -> Result<T> {
        body(&mut self.tree, &mut EditContext { pager, freed: &mut self.freed })
    }
}

impl TreeChanges {
    /// Starts from a tree of the base; without one there is nothing that could be changed as it
    /// stands.
    pub(crate) fn new(base: Option<&TreeState>) -> Self {
        let edited = OnceLock::new();
        if base.is_none() {
            drop(edited.set(Edited::new(TreeEdit::empty())));
        }
        Self { len: base.map_or(0, |tree| tree.len), ops: Vec::new(), aside: 0, edited }
    }

    fn is_changed(&self) -> bool {
        self.edited.get().map_or(self.aside > 0, |edited| edited.tree.changed)
    }

    /// Tells whether all that was changed is kept aside.
    pub(crate) fn is_aside(&self) -> bool {
        self.edited.get().is_none()
    }

    pub(crate) fn len(&self) -> u64 {
        self.edited.get().map_or(self.len, |edited| edited.tree.len)
    }

    /// Returns what is kept aside, in order.
    pub(crate) fn puts(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        puts(&self.ops).take(self.aside)
    }

    /// Returns the value of a key that is kept aside.
    fn kept(&self, key: &[u8]) -> Option<&[u8]> {
        self.puts().filter(|(kept, _)| *kept == key).last().map(|(_, value)| value)
    }

    /// Puts what is kept aside into the tree of the base.
    fn edit(&self, (base, pager): Base<'_>) -> Result<Edited> {
        let mut edited = Edited::new(base.map_or_else(TreeEdit::empty, TreeEdit::of_state));
        for (key, value) in self.puts() {
            edited.change(pager, |tree, edits| tree.insert(key, value, edits))?;
        }
        Ok(edited)
    }

    /// Returns the tree with all changes.
    fn edited(&self, base: Base<'_>) -> Result<&Edited> {
        if let Some(edited) = self.edited.get() {
            return Ok(edited);
        }
        let edited = self.edit(base)?;
        // If another thread was faster, its tree stays.
        Ok(self.edited.get_or_init(|| edited))
    }

    fn into_edited(mut self, base: Base<'_>) -> Result<Edited> {
        self.edited.take().map_or_else(|| self.edit(base), Ok)
    }

    /// Returns the tree to be changed.
    pub(crate) fn edited_mut(&mut self, base: Base<'_>) -> Result<&mut Edited> {
        if self.is_aside() {
            self.edited(base)?;
        }
        Ok(self.edited.get_mut().expect("A1: it was just edited"))
    }

    /// Notes what was done to the tree.
    pub(crate) fn note(&mut self, op: Op<'_>, journal: &mut Journal) {
        journal.note(op, &mut self.ops);
    }

    /// Keeps a put aside, where all before it are, and tells whether the key was there; `None` if
    /// there is no room for it.
    pub(crate) fn keep(
        &mut self,
        (key, value): (&[u8], &[u8]),
        (base, pager): Base<'_>,
        journal: &mut Journal,
    ) -> Result<Option<bool>> {
        let op = Op::Put { key, value };
        if self.aside == ASIDE_MAX || !journal.has_room(op) {
            return Ok(None);
        }
        let there =
            self.kept(key).is_some() || base.map_or(Ok(false), |tree| tree.contains(key, pager))?;
        journal.note(op, &mut self.ops);
        self.aside += 1;
        self.len = self.len.saturating_add(u64::from(!there));
        Ok(Some(there))
    }

    pub(crate) fn get(&self, key: &[u8], (base, pager): Base<'_>) -> Result<Option<Bytes>> {
        if let Some(edited) = self.edited.get() {
            return edited.tree.get(key, pager);
        }
        match self.kept(key).filter(|_| !fault::on(Fault::Mv13)) {
            Some(value) => Ok(Some(Bytes::from(value.to_vec()))),
            None => base.map_or(Ok(None), |tree| tree.get(key, pager)),
        }
    }

    pub(crate) fn range<'a, 'k>(
        &'a self,
        bounds: &impl RangeBounds<&'k [u8]>,
        base: Base<'a>,
    ) -> Result<Range<'a>> {
        self.edited(base)?.tree.range(bounds, base.1)
    }

    pub(crate) fn salvage<'a>(&'a self, base: Base<'a>) -> SalvageIter<'a> {
        match self.edited(base) {
            Ok(edited) => edited.tree.salvage(base.1),
            Err(error) => SalvageIter::new(base.1, Err(error)),
        }
    }
}
