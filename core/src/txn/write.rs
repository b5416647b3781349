//! A write transaction: changes that become a commit together, or not at all.
//!
//! - T7 Moving a tree to another name copies no entry and writes no node of the tree.
//!
//! Format: docs/format.md#catalog.

use super::changes::{TreeChanges, TxnChanges};
use super::commit::{Durability, Stage, commit};
use super::journal::{Journal, Op};
use super::log::Appended;
use super::shared::{SharedStore, WriteGuard};
use super::spill::Spiller;
use super::state::{BaseTree, CommitState};
use super::writer::{Versions, WriterState};
use crate::conc::Arc;
use crate::error::{ArgumentError, Error, Result};
use crate::fault::{self, Fault};
#[cfg(any(test, feature = "inspect"))]
use crate::space::Draft;
use crate::tree::{Bytes, EditContext, Range, TreeEdit};
use crate::unit::{CommitId, KEY_BYTES_MAX, NAME_BYTES_MAX, VALUE_BYTES_MAX};
use std::ops::RangeBounds;

/// The one write transaction of a store. Dropping it without [`WriteTxn::commit`] undoes it.
///
/// It belongs to the thread that began it, or that used it last.
#[derive(Debug)]
pub struct WriteTxn {
    guard: WriteGuard<Arc<SharedStore>>,
    changes: TxnChanges,
}

/// A tree within a write transaction; it sees the transaction's own changes.
#[derive(Debug)]
pub struct TreeMut<'a> {
    base: BaseTree<'a>,
    changes: &'a mut TreeChanges,
    journal: &'a mut Journal,
    failed: &'a mut bool,
    /// `None` if the transaction is known to be small.
    spiller: Option<Spiller<'a>>,
}

/// The writer that a transaction holds, and the versions that it adds to.
type Writing<'a> = (&'a Versions, &'a mut WriterState);

/// A commit that has its number, while its transaction still holds the writer lock. The commit may
/// not be durable or visible yet.
#[derive(Debug)]
pub(crate) struct StagedCommit {
    guard: WriteGuard<Arc<SharedStore>>,
    stage: Stage,
    /// The commit before, for a rollback; a commit without durability is not rolled back.
    base: Option<Arc<CommitState>>,
}

/// A staged commit that failed.
#[derive(Debug)]
pub(crate) struct CommitFailure {
    error: Error,
    /// Held after a rollback, so that no other transaction begins before this is dropped.
    rolled_back: Option<WriteGuard<Arc<SharedStore>>>,
}

impl CommitFailure {
    /// Tells whether the commit was rolled back: the next commit gets its number.
    pub(crate) const fn is_rolled_back(&self) -> bool {
        self.rolled_back.is_some()
    }
}

impl From<CommitFailure> for Error {
    fn from(failure: CommitFailure) -> Self {
        failure.error
    }
}

impl StagedCommit {
    /// Returns the number of the commit.
    pub(crate) const fn commit(&self) -> CommitId {
        self.stage.commit()
    }

    /// Releases the writer lock, and waits until the commit is durable if that is asked for.
    pub(crate) fn finish(self) -> std::result::Result<CommitId, CommitFailure> {
        let Self { mut guard, stage, base } = self;
        if let Stage::Done(commit) = stage {
            return Ok(commit);
        }
        let lock_count = guard.lock_count;
        let shared = Arc::clone(guard.parts().0);
        // The next transaction may begin.
        drop(guard);
        let mut rolled_back = None;
        let waited = match stage {
            Stage::Done(_) => Ok(()),
            Stage::AwaitsEarlier(commit) => shared.versions.wait_for(commit, &mut || true),
            Stage::Buffered(appended) => shared.versions.wait_for(appended.commit, &mut || {
                let base = base.as_ref();
                rolled_back = base.and_then(|base| roll_back(&shared, base, lock_count, appended));
                rolled_back.is_some()
            }),
        };
        match waited {
            Ok(()) => Ok(stage.commit()),
            Err(error) => Err(CommitFailure { error, rolled_back }),
        }
    }
}

/// Rolls the last commit back, whose record could not be written and is not in the file. `None` if
/// a later transaction held the writer lock: it may have read the commit, or build upon it.
fn roll_back(
    shared: &Arc<SharedStore>,
    base: &Arc<CommitState>,
    lock_count: u64,
    appended: Appended,
) -> Option<WriteGuard<Arc<SharedStore>>> {
    let mut guard = WriteGuard::new(Arc::clone(shared), false).ok()?;
    let is_next = guard.lock_count == lock_count + 1 && Arc::ptr_eq(&guard.tip.log, &base.log);
    if !is_next && !fault::on(Fault::Fs16) {
        return None;
    }
    base.log.tail().retract(appended);
    guard.tip = Arc::clone(base);
    shared.versions.group.set_last(base.commit(), Arc::clone(base));
    Some(guard)
}

impl TxnChanges {
    /// Returns the tree of a name, empty if the base does not have it. With a writer, the changes
    /// may spill.
    pub(crate) fn tree<'a>(
        &'a mut self,
        name: &str,
        writing: Option<Writing<'a>>,
    ) -> Result<TreeMut<'a>> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(ArgumentError::TreeName { bytes: name.len() }.into());
        }
        let Self { base, trees, journal, failed } = self;
        let base: &Arc<CommitState> = base;
        if !trees.contains_key(name) {
            let (name, tree) = match base.trees.entry(name) {
                Some((name, tree)) => (Arc::clone(name), Some(&**tree)),
                None => (Arc::from(name), None),
            };
            trees.insert(name, TreeChanges::new(tree));
        }
        let mut spiller = writing.map(|(versions, writer)| Spiller { base, versions, writer });
        if let Some(spiller) =
            spiller.as_mut().filter(|it| !journal.complete && !*failed && it.is_due())
        {
            let mut edited: Vec<_> =
                trees.values_mut().filter_map(TreeChanges::as_edited).collect();
            spiller.run(&mut edited).inspect_err(|_| *failed = true)?;
        }
        let changes = trees.get_mut(name).expect("A1: the tree was just inserted");
        Ok(TreeMut { base: base.base_tree(name), changes, journal, failed, spiller })
    }

    /// Makes the entries of a tree those of another one, and leaves the first one empty. The log
    /// has no such operation, so the commit writes the trees.
    fn move_tree(&mut self, source: &str, target: &str) -> Result<()> {
        self.tree(source, None)?;
        self.tree(target, None)?.clear()?;
        if self.tree(source, None)?.is_empty() {
            return Ok(());
        }
        let emptied = self.tree(target, None)?.replace_edit(TreeEdit::empty())?;
        let moved = self.tree(source, None)?.replace_edit(emptied)?;
        self.tree(target, None)?.replace_edit(moved)?;
        self.journal.complete &= fault::on(Fault::Fs38);
        Ok(())
    }
}

impl WriteTxn {
    pub(crate) fn new(guard: WriteGuard<Arc<SharedStore>>) -> Self {
        let changes = TxnChanges::new(&guard);
        Self { guard, changes }
    }

    /// Returns the number of pages that were written before the commit, and are needed.
    #[cfg(any(test, feature = "inspect"))]
    pub(crate) fn spilled_pages(&self) -> u64 {
        self.guard.spilled.draft.as_ref().map_or(0, Draft::spilled)
    }

    pub(super) const fn changes(&self) -> &TxnChanges {
        &self.changes
    }

    /// Returns the tree of a name. A tree exists while it has entries: it needs no creation, and
    /// removing its last entry deletes it.
    ///
    /// # Errors
    /// [`ArgumentError::TreeName`] if the name is empty or too long; if the transaction is larger
    /// than the cache, and the disk is full or fails, and then it can only be dropped.
    pub fn tree(&mut self, name: &str) -> Result<TreeMut<'_>> {
        self.guard.move_here();
        let (shared, writer) = self.guard.parts();
        self.changes.tree(name, Some((&shared.versions, writer)))
    }

    /// Makes the entries of the tree `source` those of the tree `target`, and leaves `source`
    /// empty. The entries that `target` had are removed. No entry is copied, and no node of the
    /// moved tree is written (T7). Moving a tree to its own name changes nothing.
    ///
    /// # Errors
    /// [`ArgumentError::TreeName`] if a name is empty or too long. If a page cannot be read or is
    /// damaged, the transaction can only be dropped.
    pub fn move_tree(&mut self, source: &str, target: &str) -> Result<()> {
        self.guard.move_here();
        if source == target {
            return self.changes.tree(source, None).map(drop);
        }
        self.changes.move_tree(source, target)
    }

    /// Makes the changes durable, all or none, and returns the commit's number. A transaction that
    /// changed nothing writes nothing and returns the number of the commit it started from.
    ///
    /// While the commit waits for the disk the next transaction may run; one sync serves all
    /// commits that wait (group commit).
    ///
    /// # Errors
    /// If the disk is full or fails, or a page that a change needs is damaged, the last commit
    /// stays as it is. After a failed sync or header write, or if the log could not be written and
    /// another transaction had begun, only reopening tells whether this commit is in the file: the
    /// store is then [`Error::Poisoned`] for writers.
    pub fn commit(self) -> Result<CommitId> {
        self.commit_with(Durability::Immediate)
    }

    /// Commits with the durability that is asked for; [`WriteTxn::commit`] is the same with
    /// [`Durability::Immediate`].
    ///
    /// # Errors
    /// As [`WriteTxn::commit`].
    pub fn commit_with(self, durability: Durability) -> Result<CommitId> {
        Ok(self.stage(durability)?.finish()?)
    }

    /// Returns the number of the commit, if there is anything to commit.
    pub(crate) fn next_commit(&self) -> CommitId {
        self.changes.base.commit().next()
    }

    /// Commits, and returns the commit while the writer lock is still held.
    pub(crate) fn stage(self, durability: Durability) -> Result<StagedCommit> {
        let Self { mut guard, changes } = self;
        let base = (durability == Durability::Immediate).then(|| Arc::clone(&changes.base));
        let (shared, writer) = guard.parts();
        let stage = commit(&shared.versions, writer, changes, durability)?;
        Ok(StagedCommit { guard, stage, base })
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

    /// Scans the entries within bounds, in key order or, reversed, from the other end. Inverted
    /// bounds are an empty range.
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

    /// Tells whether the tree has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets the value of a key and tells whether the key existed.
    ///
    /// # Errors
    /// [`ArgumentError`] if key or value are too long; otherwise if a page cannot be read or is
    /// damaged, or if the transaction is larger than the cache and the disk is full or fails. The
    /// transaction can then only be dropped.
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<bool> {
        if key.len() > KEY_BYTES_MAX {
            return Err(ArgumentError::KeyTooLong { bytes: key.len() }.into());
        }
        if value.len() > VALUE_BYTES_MAX {
            return Err(ArgumentError::ValueTooLong { bytes: value.len() }.into());
        }
        let put = Op::Put { key, value };
        if self.changes.is_buffered()
            && let Some(replaced) = self.attempt(|tree| tree.buffer_put(put))?
        {
            return Ok(replaced);
        }
        let replaced = self.edit(|tree, context| tree.insert(key, value, context))?;
        self.changes.append_op(put, self.journal);
        Ok(replaced)
    }

    /// Removes a key and tells whether it existed.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged; the transaction can then only be dropped.
    pub fn remove(&mut self, key: &[u8]) -> Result<bool> {
        let removed = self.edit(|tree, context| tree.remove(key, context))?;
        if removed {
            self.changes.append_op(Op::Remove { key }, self.journal);
        }
        Ok(removed)
    }

    /// Removes every entry.
    ///
    /// # Errors
    /// If a page cannot be read or is damaged; the transaction can then only be dropped.
    pub fn clear(&mut self) -> Result<()> {
        self.edit(TreeEdit::clear)?;
        self.changes.append_op(Op::Clear, self.journal);
        Ok(())
    }

    fn buffer_put(&mut self, put: Op<'_>) -> Result<Option<bool>> {
        self.changes.buffer_put(put, self.base, self.journal)
    }

    /// Puts another tree in the place of this one, and returns this one.
    fn replace_edit(&mut self, other: TreeEdit) -> Result<TreeEdit> {
        self.edit(|tree, _| {
            let before = std::mem::replace(tree, other);
            tree.changed = true;
            Ok(before)
        })
    }

    fn edit<T>(
        &mut self,
        body: impl FnOnce(&mut TreeEdit, &mut EditContext<'_>) -> Result<T>,
    ) -> Result<T> {
        self.attempt(|tree| {
            let edited = tree.changes.edited_mut(tree.base)?;
            let outcome = edited.edit(tree.base.pager, body)?;
            let spiller = tree.spiller.as_mut().filter(|_| !tree.journal.complete);
            if let Some(spiller) = spiller.filter(|spiller| spiller.is_due()) {
                spiller.run(&mut [edited])?;
            }
            Ok(outcome)
        })
    }

    /// Runs an operation that can fail half-way.
    fn attempt<T>(&mut self, body: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if *self.failed {
            return Err(Error::TransactionFailed);
        }
        let outcome = body(self);
        *self.failed = outcome.is_err();
        outcome
    }
}
