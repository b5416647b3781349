//! A write transaction: changes that become a commit together, or not at all.

use super::changes::{Base, Changes, TreeChanges};
use super::commit::{Reached, Sync, commit, take_back};
use super::journal::{Journal, Op};
use super::store::{Held, Inner};
use crate::conc::Arc;
use crate::error::{ArgumentError, Error, Result};
use crate::tree::{Bytes, EditContext, Range, TreeEdit};
use crate::unit::{CommitId, KEY_BYTES_MAX, NAME_BYTES_MAX, VALUE_BYTES_MAX};
use std::ops::RangeBounds;

/// When a commit is durable: what a crash of the process or the machine may undo.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Durability {
    /// The commit is durable when the call returns.
    #[default]
    Immediate,
    /// The commit does not wait for the disk: readers see it at once, and a crash may undo it
    /// together with all commits after it. It becomes durable with the next
    /// [`Durability::Immediate`] commit, with [`Store::sync`](crate::Store::sync), or when the
    /// store is closed. The one commit that finds the log full waits for a checkpoint.
    None,
}

/// The one write transaction of a store. Dropping it without [`WriteTxn::commit`] undoes it.
#[derive(Debug)]
pub struct WriteTxn {
    writer: Held<Arc<Inner>>,
    changes: Changes,
}

/// A tree within a write transaction; it sees the transaction's own changes.
#[derive(Debug)]
pub struct TreeMut<'a> {
    base: Base<'a>,
    changes: &'a mut TreeChanges,
    journal: &'a mut Journal,
    failed: &'a mut bool,
}

impl Changes {
    /// Returns the tree of a name, empty if there is none.
    pub(crate) fn tree(&mut self, name: &str) -> Result<TreeMut<'_>> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(ArgumentError::TreeName { bytes: name.len() }.into());
        }
        let Self { base, trees, journal, failed } = self;
        if !trees.contains_key(name) {
            let (name, tree) = match base.trees.entry(name) {
                Some((name, tree)) => (Arc::clone(name), Some(&**tree)),
                None => (Arc::from(name), None),
            };
            trees.insert(name, TreeChanges::new(tree));
        }
        let changes = trees.get_mut(name).expect("it was just put there");
        Ok(TreeMut { base: base.tree_and_pager(name), changes, journal, failed })
    }
}

impl Durability {
    const fn sync(self) -> Sync {
        match self {
            Self::Immediate => Sync::Full,
            Self::None => Sync::Kept,
        }
    }
}

impl WriteTxn {
    pub(crate) fn new(writer: Held<Arc<Inner>>) -> Self {
        let changes = Changes::new(&writer);
        Self { writer, changes }
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
    /// If the disk is full or fails, or a page that a change needs is damaged, the last commit
    /// stays as it is. When a sync or the header failed, or the log could not be written and
    /// another transaction had begun, whether this commit is there is known only after reopening:
    /// the store is then [`Error::Poisoned`] for writers.
    pub fn commit(self) -> Result<CommitId> {
        self.end(Sync::Full, |_| || ())
    }

    /// Commits with the durability that is asked for; [`WriteTxn::commit`] is the same with
    /// [`Durability::Immediate`].
    ///
    /// # Errors
    /// As [`WriteTxn::commit`].
    pub fn commit_with(self, durability: Durability) -> Result<CommitId> {
        self.end(durability.sync(), |_| || ())
    }

    /// Commits, and tells the number of the commit before the next transaction begins; it may not
    /// be written or seen yet. What `told` returns is called, before another transaction begins,
    /// if the commit cannot be written and the next is to have its number.
    pub(crate) fn commit_and<U: FnOnce()>(
        self,
        durability: Durability,
        told: impl FnOnce(CommitId) -> U,
    ) -> Result<CommitId> {
        self.end(durability.sync(), told)
    }

    fn end<U: FnOnce()>(self, sync: Sync, told: impl FnOnce(CommitId) -> U) -> Result<CommitId> {
        let Self { mut writer, changes } = self;
        // To take the commit back; what nobody waits for is not.
        let base = (sync == Sync::Full).then(|| Arc::clone(&changes.base));
        let turn = writer.turns;
        let (inner, own) = writer.parts();
        let reached = commit(&inner.versions, own, changes, sync)?;
        let mut untell = Some(told(reached.commit()));
        if let Reached::Done(commit) = reached {
            return Ok(commit);
        }
        let inner = Arc::clone(inner);
        // The next transaction may begin.
        drop(writer);
        match reached {
            Reached::Done(_) => {}
            Reached::Waits(commit) => inner.versions.wait_for(commit, &mut || true)?,
            Reached::Added(added) => inner.versions.wait_for(added.commit, &mut || {
                let base = base.as_ref().map(|base| (turn, base));
                base.is_some_and(|base| take_back(&inner, base, added, &mut untell))
            })?,
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
        self.changes.get(key, self.base)
    }

    /// Walks the entries within bounds, in key order or, reversed, from the other end. Inverted
    /// bounds hold nothing.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged.
    pub fn range<'k>(&self, bounds: impl RangeBounds<&'k [u8]>) -> Result<Range<'_>> {
        self.changes.range(&bounds, self.base)
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
    pub fn len(&self) -> u64 {
        self.changes.len()
    }

    /// Tells whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
        if self.changes.is_aside()
            && let Some(replaced) = self.attempt(|tree| tree.keep(key, value))?
        {
            return Ok(replaced);
        }
        let replaced = self.change(|tree, edits| tree.insert(key, value, edits))?;
        self.changes.note(Op::Put { key, value }, self.journal);
        Ok(replaced)
    }

    /// Removes a key and tells whether it was there.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged; the transaction can then only be dropped.
    pub fn remove(&mut self, key: &[u8]) -> Result<bool> {
        let removed = self.change(|tree, edits| tree.remove(key, edits))?;
        if removed {
            self.changes.note(Op::Remove { key }, self.journal);
        }
        Ok(removed)
    }

    /// Removes every entry.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged; the transaction can then only be dropped.
    pub fn clear(&mut self) -> Result<()> {
        self.change(TreeEdit::clear)?;
        self.changes.note(Op::Clear, self.journal);
        Ok(())
    }

    fn keep(&mut self, key: &[u8], value: &[u8]) -> Result<Option<bool>> {
        self.changes.keep((key, value), self.base, self.journal)
    }

    fn change<T>(
        &mut self,
        body: impl FnOnce(&mut TreeEdit, &mut EditContext<'_>) -> Result<T>,
    ) -> Result<T> {
        self.attempt(|tree| tree.changes.edited_mut(tree.base)?.change(tree.base.1, body))
    }

    /// Does what may fail half-way.
    fn attempt<T>(&mut self, body: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if *self.failed {
            return Err(Error::TransactionFailed);
        }
        let outcome = body(self);
        *self.failed = outcome.is_err();
        outcome
    }
}
