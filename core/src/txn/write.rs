//! A write transaction: changes that become a commit together, or not at all.

use super::commit::{Reached, Sync, commit, take_back};
use super::journal::{Journal, Op};
use super::state::{State, Writer};
use super::store::{Held, Inner};
use crate::conc::Arc;
use crate::error::{ArgumentError, Error, Result};
use crate::sorted::Sorted;
use crate::tree::{Bytes, Edits, Range, TreeEdit};
use crate::unit::{CommitId, KEY_BYTES_MAX, NAME_BYTES_MAX, PageId, VALUE_BYTES_MAX};
use std::ops::RangeBounds;

/// The one write transaction of a store. Dropping it without [`WriteTxn::commit`] undoes it.
#[derive(Debug)]
pub struct WriteTxn {
    inner: Arc<Inner>,
    writer: Held<Arc<Inner>>,
    changes: Changes,
}

/// What a transaction changed so far.
#[derive(Debug)]
pub(crate) struct Changes {
    pub(crate) base: Arc<State>,
    pub(crate) trees: Sorted<Arc<str>, TreeChanges>,
    /// Pages of the base that the changed trees do without.
    pub(crate) freed: Vec<PageId>,
    pub(crate) journal: Journal,
    /// An operation failed half-way.
    pub(crate) failed: bool,
}

/// What a transaction changed of a tree.
#[derive(Debug)]
pub(crate) struct TreeChanges {
    pub(crate) edit: TreeEdit,
    /// The operations, while the journal has room.
    pub(crate) ops: Vec<u8>,
}

/// A tree within a write transaction; it sees the transaction's own changes.
#[derive(Debug)]
pub struct TreeMut<'a> {
    base: &'a State,
    edit: &'a mut TreeEdit,
    ops: &'a mut Vec<u8>,
    journal: &'a mut Journal,
    freed: &'a mut Vec<PageId>,
    failed: &'a mut bool,
}

impl Changes {
    /// Starts from what `writer` left.
    pub(crate) fn new(writer: &Writer) -> Self {
        let journal = Journal::new(writer.tip.log.tail().room_bytes());
        let base = Arc::clone(&writer.tip);
        Self { base, trees: Sorted::new(), freed: Vec::new(), journal, failed: false }
    }

    /// Returns the tree of a name, empty if there is none.
    pub(crate) fn tree(&mut self, name: &str) -> Result<TreeMut<'_>> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(ArgumentError::TreeName { bytes: name.len() }.into());
        }
        let Self { base, trees, journal, freed, failed } = self;
        if !trees.contains_key(name) {
            let (name, edit) = match base.trees.entry(name) {
                Some((name, state)) => (Arc::clone(name), TreeEdit::of_state(state)),
                None => (Arc::from(name), TreeEdit::empty()),
            };
            trees.insert(name, TreeChanges { edit, ops: Vec::new() });
        }
        let TreeChanges { edit, ops } = trees.get_mut(name).expect("it was just put there");
        Ok(TreeMut { base, edit, ops, journal, freed, failed })
    }
}

impl WriteTxn {
    pub(crate) fn new(inner: Arc<Inner>, writer: Held<Arc<Inner>>) -> Self {
        let changes = Changes::new(&writer);
        Self { inner, writer, changes }
    }

    pub(super) const fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Returns the tree of a name. A tree that holds no entries need not be made first, and is
    /// gone when its last entry is removed.
    ///
    /// # Errors
    /// [`ArgumentError::TreeName`] if the name is empty or too long.
    pub fn tree(&mut self, name: &str) -> Result<TreeMut<'_>> {
        self.changes.tree(name)
    }

    /// Makes the changes durable, all or none, and returns the commit's number. A transaction that
    /// changed nothing writes nothing and returns the number of the commit it started from.
    ///
    /// While this waits for the disk the next transaction may run; one sync serves all that wait.
    ///
    /// # Errors
    /// If the disk is full or fails, the last commit stays as it is. When a sync or the header
    /// failed, or the log could not be written and another transaction had begun, whether this
    /// commit is there is known only after reopening: the store is then [`Error::Poisoned`] for
    /// writers.
    pub fn commit(self) -> Result<CommitId> {
        self.end(Sync::Full, |_| || ())
    }

    /// Commits without waiting for the disk: readers see the commit at once, a crash of the
    /// process or the machine may undo it, and with it all that were committed so after it. Only
    /// the commit that finds the log full waits, to write the trees. It is durable once a later
    /// [`WriteTxn::commit`] or [`Store::sync`](crate::Store::sync) returned, or the store was
    /// closed.
    ///
    /// # Errors
    /// As [`WriteTxn::commit`].
    pub fn commit_unsynced(self) -> Result<CommitId> {
        self.end(Sync::Kept, |_| || ())
    }

    /// Commits, and tells the number of the commit before the next transaction begins; it may not
    /// be written or seen yet. What `told` returns is called, before another transaction begins,
    /// if the commit cannot be written and the next is to have its number.
    pub(crate) fn commit_and<U: FnOnce()>(
        self,
        told: impl FnOnce(CommitId) -> U,
    ) -> Result<CommitId> {
        self.end(Sync::Full, told)
    }

    fn end<U: FnOnce()>(self, sync: Sync, told: impl FnOnce(CommitId) -> U) -> Result<CommitId> {
        let Self { inner, mut writer, changes } = self;
        let (base, turn) = (Arc::clone(&changes.base), writer.turns);
        let reached = commit(&inner.versions, &mut writer, changes, sync)?;
        let mut untell = Some(told(reached.commit()));
        // The next transaction may begin.
        drop(writer);
        match reached {
            Reached::Done(_) => {}
            Reached::Waits(commit) => inner.versions.wait_for(commit, || true)?,
            Reached::Added(added) => inner
                .versions
                .wait_for(added.commit, || take_back(&inner, (turn, &base), added, &mut untell))?,
        }
        Ok(reached.commit())
    }

    /// Undoes the transaction, as dropping it does.
    pub fn abort(self) {}
}

impl TreeMut<'_> {
    /// Returns the value of a key.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>> {
        self.edit.get(key, &self.base.pager)
    }

    /// Walks the entries within bounds, in key order or, reversed, from the other end. Inverted
    /// bounds hold nothing.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn range<'k>(&self, bounds: impl RangeBounds<&'k [u8]>) -> Result<Range<'_>> {
        self.edit.range(&bounds, &self.base.pager)
    }

    /// Returns the entry with the least key.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn first(&self) -> Result<Option<(Bytes, Bytes)>> {
        self.range(..)?.next().transpose()
    }

    /// Returns the entry with the greatest key.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn last(&self) -> Result<Option<(Bytes, Bytes)>> {
        self.range(..)?.next_back().transpose()
    }

    /// Returns the number of entries.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.edit.len
    }

    /// Tells whether there are no entries.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.edit.len == 0
    }

    /// Sets the value of a key and tells whether the key was there before.
    ///
    /// # Errors
    /// [`ArgumentError`] if key or value are too long; otherwise if a page cannot be read or is
    /// damaged, and then the transaction can only be dropped.
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        if key.len() > KEY_BYTES_MAX {
            return Err(ArgumentError::KeyTooLong { bytes: key.len() }.into());
        }
        if value.len() > VALUE_BYTES_MAX {
            return Err(ArgumentError::ValueTooLong { bytes: value.len() }.into());
        }
        let replaced = self.change(|edit, edits| edit.insert(key, value, edits))?;
        self.journal.note(Op::Put { key, value }, self.ops);
        Ok(replaced)
    }

    /// Removes a key and tells whether it was there.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged; the transaction can then only be dropped.
    pub fn remove(&mut self, key: &[u8]) -> Result<bool> {
        let removed = self.change(|edit, edits| edit.remove(key, edits))?;
        if removed {
            self.journal.note(Op::Remove { key }, self.ops);
        }
        Ok(removed)
    }

    /// Removes every entry.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged; the transaction can then only be dropped.
    pub fn clear(&mut self) -> Result<()> {
        self.change(TreeEdit::clear)?;
        self.journal.note(Op::Clear, self.ops);
        Ok(())
    }

    fn change<T>(
        &mut self,
        body: impl FnOnce(&mut TreeEdit, &mut Edits<'_>) -> Result<T>,
    ) -> Result<T> {
        if *self.failed {
            return Err(Error::TransactionFailed);
        }
        let mut edits = Edits { pager: &self.base.pager, freed: self.freed };
        let outcome = body(self.edit, &mut edits);
        *self.failed = outcome.is_err();
        outcome
    }
}
