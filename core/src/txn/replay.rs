//! Replaying the log over the base that it goes on from, in memory.

use super::journal::{Op, Section, section};
use super::log::{Found, read};
use super::state::State;
use crate::codec::Reader;
use crate::conc::Arc;
use crate::error::{Damage, Result};
use crate::page::LogRecord;
use crate::tree::{Edits, TreeEdit, TreeState};
use crate::unit::{CommitId, PageId};
use std::collections::BTreeMap;

/// A base with what its log holds.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) state: State,
    pub(crate) found: Found,
    /// Operations in the log.
    pub(crate) ops: usize,
    /// Pages of the base that the trees do without now.
    pub(crate) freed: Vec<PageId>,
}

/// The trees that the log changed so far.
struct Replay<'a> {
    base: &'a State,
    trees: BTreeMap<Arc<str>, TreeEdit>,
    freed: Vec<PageId>,
    ops: usize,
}

/// Reads the log of a base and applies it.
///
/// # Errors
/// If the system fails to read, or the file is damaged.
pub(crate) fn replay(base: State) -> Result<Replayed> {
    let found = read(&base.pager, base.slot.page_count, base.slot.commit)?;
    let mut replay = Replay { base: &base, trees: BTreeMap::new(), freed: Vec::new(), ops: 0 };
    for (page, record) in &found.records {
        replay.record(*page, record)?;
    }
    let Replay { trees: edits, freed, ops, .. } = replay;
    let mut trees = base.trees.clone();
    for (name, edit) in edits {
        if edit.is_empty() {
            trees.remove(&name);
        } else {
            trees.insert(name, TreeState::of_edit(edit, base.pager.cache()));
        }
    }
    let last = |record: &(PageId, LogRecord)| record.1.last;
    let commit = found.records.last().map_or(base.commit, last);
    let state = State { commit, trees, log_end: found.next, ..base };
    Ok(Replayed { state, found, ops, freed })
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
        let mut edits = Edits { pager, freed: &mut self.freed };
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

impl Replayed {
    /// Holds the base of a file that has no log.
    pub(crate) fn without_log(state: State) -> Self {
        let found = Found::nothing(state.log_end);
        Self { state, found, ops: 0, freed: Vec::new() }
    }

    /// Returns the places and pages of the records that are not known to be durable.
    pub(crate) fn unsure(&self) -> impl Iterator<Item = PageId> {
        let durable = self.found.records.last().map_or(CommitId(0), |(_, record)| record.durable);
        let first = self.found.records.iter().find(|(_, record)| record.last > durable);
        let start = first.map_or(self.found.next, |(page, _)| *page);
        (start.0..self.found.next.0).map(PageId)
    }
}
