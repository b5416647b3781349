//! Replaying the log over the base that it goes on from, in memory.

use super::found::{Found, read};
use super::journal::{Op, Section, section};
use super::state::State;
use crate::codec::Reader;
use crate::conc::Arc;
use crate::error::{Damage, Result};
use crate::page::LogRecord;
use crate::sorted::{Sorted, sort_by};
use crate::tree::{EditContext, PendingRedo, TreeEdit};
use crate::unit::{CommitId, PageId};

/// A base, and the log that goes on from it, not yet applied.
#[derive(Debug)]
pub(crate) struct Pending {
    base: Arc<State>,
    pub(crate) found: Found,
}

/// A base with what its log holds.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) state: State,
    /// Operations in the log.
    pub(crate) ops: usize,
    /// Pages of the base that the trees do without now.
    pub(crate) freed: Vec<PageId>,
}

/// The trees that the log changed so far.
struct Replay<'a> {
    base: &'a State,
    trees: Sorted<Arc<str>, TreeEdit>,
    freed: Vec<PageId>,
    ops: usize,
}

impl Pending {
    /// Reads the log of a base.
    ///
    /// # Errors
    /// If the system fails to read, or the file is damaged.
    pub(crate) fn read(base: State) -> Result<Self> {
        let found = read(&base.pager, base.slot.page_count, base.slot.commit)?;
        Ok(Self { base: Arc::new(base), found })
    }

    /// Holds the base of a file that has no log.
    pub(crate) fn without_log(base: State) -> Self {
        let found = Found::nothing(PageId(base.slot.page_count));
        Self { base: Arc::new(base), found }
    }

    pub(crate) const fn base(&self) -> &Arc<State> {
        &self.base
    }

    /// Returns the last commit.
    pub(crate) fn commit(&self) -> CommitId {
        self.found.last().unwrap_or(self.base.commit)
    }

    /// Returns the last commit to be read: trees that the log only set entries of show them as
    /// they are read. `None` if it did anything else, or nothing.
    ///
    /// # Errors
    /// If the file is damaged.
    pub(crate) fn view(&self) -> Result<Option<State>> {
        let mut entries = Sorted::<&str, (u64, Vec<(&[u8], &[u8])>)>::new();
        for (page, record) in &self.found.records {
            let malformed = || self.base.pager.damaged(*page, Damage::Content);
            let mut reader = Reader::new(&record.changes);
            while !reader.is_empty() {
                let mut section = section(&mut reader).ok_or_else(malformed)?;
                let tree = entries.get_or_insert_with(section.name, Default::default);
                tree.0 = section.len;
                while let Some(op) = section.next().ok_or_else(malformed)? {
                    let Op::Put { key, value } = op else { return Ok(None) };
                    tree.1.push((key, value));
                }
            }
        }
        let mut trees = self.base.trees.clone();
        for (name, (len, mut entries)) in entries {
            let Some(tree) = trees.get_mut(name) else { return Ok(None) };
            // Of those that set one key the last counts.
            entries.reverse();
            sort_by(&mut entries, |(one, _), (two, _)| one.cmp(two));
            entries.dedup_by_key(|(key, _)| *key);
            let entries = entries.into_iter().map(|(key, value)| (key.into(), value.into()));
            let late = PendingRedo::new(entries.collect());
            *tree = tree.with_redo(late, len, self.base.pager.cache());
        }
        Ok(Some(State { commit: self.commit(), trees, ..State::clone(&self.base) }))
    }

    /// Applies the log.
    ///
    /// # Errors
    /// If the system fails to read, or the file is damaged.
    pub(crate) fn replay(&self) -> Result<Replayed> {
        let base = &self.base;
        let mut replay = Replay { base, trees: Sorted::new(), freed: Vec::new(), ops: 0 };
        for (page, record) in &self.found.records {
            replay.record(*page, record)?;
        }
        let Replay { trees: edits, freed, ops, .. } = replay;
        let mut trees = base.trees.clone();
        for (name, edit) in edits {
            if edit.is_empty() {
                trees.remove(&name);
            } else {
                trees.insert(name, edit.into_state(base.pager.cache()));
            }
        }
        let state = State { commit: self.commit(), trees, ..State::clone(base) };
        Ok(Replayed { state, ops, freed })
    }

    /// Returns the pages of the records that are not known to be durable.
    pub(crate) fn unsure(&self) -> impl Iterator<Item = PageId> {
        let durable = self.found.records.last().map_or(CommitId(0), |(_, record)| record.durable);
        let first = self.found.records.iter().find(|(_, record)| record.last > durable);
        let start = first.map_or(self.found.next, |(page, _)| *page);
        (start.0..self.found.next.0).map(PageId)
    }
}

impl Replay<'_> {
    fn record(&mut self, page: PageId, record: &LogRecord) -> Result<()> {
        let malformed = || self.base.pager.damaged(page, Damage::Content);
        let mut reader = Reader::new(&record.changes);
        while !reader.is_empty() {
            let section = section(&mut reader).ok_or_else(malformed)?;
            if !self.section(section)? {
                return Err(self.base.pager.damaged(page, Damage::Content));
            }
        }
        Ok(())
    }

    /// Applies what happened to a tree; `false` if the bytes are none, or the tree differs.
    fn section(&mut self, mut section: Section<'_>) -> Result<bool> {
        let base = self.base;
        let pager = &base.pager;
        if !self.trees.contains_key(section.name) {
            let state = base.trees.get(section.name);
            let edit = state.map_or_else(TreeEdit::empty, |tree| TreeEdit::of_state(tree));
            self.trees.insert(Arc::from(section.name), edit);
        }
        let Some(tree) = self.trees.get_mut(section.name) else { return Ok(false) };
        let mut edits = EditContext { pager, freed: &mut self.freed };
        loop {
            match section.next() {
                Some(Some(Op::Put { key, value })) => drop(tree.insert(key, value, &mut edits)?),
                Some(Some(Op::Remove { key })) => drop(tree.remove(key, &mut edits)?),
                Some(Some(Op::Clear)) => tree.clear(&mut edits)?,
                Some(None) => return Ok(tree.len == section.len),
                None => return Ok(false),
            }
            self.ops += 1;
        }
    }
}
