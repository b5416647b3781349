//! Replaying the log over its base, in memory.

use super::journal::{Op, Section, section};
use super::log_reader::{LogScan, scan_log};
use super::state::CommitState;
use crate::codec::Reader;
use crate::conc::Arc;
use crate::error::{Damage, Result};
use crate::page::LogRecord;
use crate::sorted::{Sorted, sort_by};
use crate::space::FreedPage;
use crate::tree::{EditContext, PendingRedo, TreeEdit};
use crate::unit::{CommitId, PageId};

/// A base and the log since, not yet replayed.
#[derive(Debug)]
pub(crate) struct PendingLog {
    base: Arc<CommitState>,
    pub(crate) scan: LogScan,
}

/// A base with its log replayed.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) state: CommitState,
    /// Operations in the log.
    pub(crate) ops: usize,
    /// Pages of the base that the trees do not need any more.
    pub(crate) freed: Vec<FreedPage>,
}

/// The trees that the log changed so far.
struct Replay<'a> {
    base: &'a CommitState,
    trees: Sorted<Arc<str>, TreeEdit>,
    freed: Vec<FreedPage>,
    ops: usize,
}

/// The puts of a log into one tree, and its number of entries after them.
#[derive(Default)]
struct TreePuts<'a> {
    len: u64,
    puts: Vec<(&'a [u8], &'a [u8])>,
}

impl PendingLog {
    /// Scans the log of a base.
    ///
    /// # Errors
    /// If the system fails to read, or the file is damaged.
    pub(crate) fn read(base: CommitState) -> Result<Self> {
        let scan = scan_log(&base.pager, base.slot.page_count, base.slot.commit)?;
        Ok(Self { base: Arc::new(base), scan })
    }

    /// The base of a file whose format has no log.
    pub(crate) fn without_log(base: CommitState) -> Self {
        let scan = LogScan::without_log(PageId(base.slot.page_count));
        Self { base: Arc::new(base), scan }
    }

    pub(crate) const fn base(&self) -> &Arc<CommitState> {
        &self.base
    }

    /// Returns the last commit.
    pub(crate) fn commit(&self) -> CommitId {
        self.scan.last().unwrap_or(self.base.commit)
    }

    /// Returns the last commit for reading, without replaying the log: its puts are applied to the
    /// leaves as these are read. `None` if the log has other operations.
    ///
    /// # Errors
    /// If the file is damaged.
    pub(crate) fn view(&self) -> Result<Option<CommitState>> {
        let mut changed = Sorted::<&str, TreePuts<'_>>::new();
        for (page, record) in &self.scan.records {
            let malformed = || self.base.pager.damaged(*page, Damage::Content);
            let mut reader = Reader::new(&record.changes);
            while !reader.is_empty() {
                let mut section = section(&mut reader).ok_or_else(malformed)?;
                let tree = changed.get_or_insert_with(section.name, TreePuts::default);
                tree.len = section.len;
                while let Some(op) = section.next().ok_or_else(malformed)? {
                    let Op::Put { key, value } = op else { return Ok(None) };
                    tree.puts.push((key, value));
                }
            }
        }
        let mut trees = self.base.trees.clone();
        for (name, TreePuts { len, mut puts }) in changed {
            let Some(tree) = trees.get_mut(name) else { return Ok(None) };
            // The last put of a key counts.
            puts.reverse();
            sort_by(&mut puts, |(one, _), (two, _)| one.cmp(two));
            puts.dedup_by_key(|(key, _)| *key);
            let entries = puts.into_iter().map(|(key, value)| (key.into(), value.into()));
            let redo = PendingRedo::new(entries.collect());
            *tree = tree.with_redo(redo, len, self.base.pager.cache());
        }
        let base = CommitState::clone(&self.base);
        Ok(Some(CommitState { commit: self.commit(), trees, ..base }))
    }

    /// Replays the log.
    ///
    /// # Errors
    /// If the system fails to read, or the file is damaged.
    pub(crate) fn replay(&self) -> Result<Replayed> {
        let base = &self.base;
        let mut replay = Replay { base, trees: Sorted::new(), freed: Vec::new(), ops: 0 };
        for (page, record) in &self.scan.records {
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
        let base = CommitState::clone(base);
        let state = CommitState { commit: self.commit(), trees, ..base };
        Ok(Replayed { state, ops, freed })
    }

    /// Returns the pages of the records that are not known to be durable.
    pub(crate) fn unsure(&self) -> impl Iterator<Item = PageId> {
        let durable = self.scan.records.last().map_or(CommitId(0), |(_, record)| record.durable);
        let first = self.scan.records.iter().find(|(_, record)| record.last > durable);
        let start = first.map_or(self.scan.next, |(page, _)| *page);
        (start.0..self.scan.next.0).map(PageId)
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

    /// Replays the operations on a tree; `false` if they are malformed, or the tree has another
    /// number of entries after them.
    fn section(&mut self, mut section: Section<'_>) -> Result<bool> {
        let base = self.base;
        let pager = &base.pager;
        if !self.trees.contains_key(section.name) {
            let state = base.trees.get(section.name);
            let edit = state.map_or_else(TreeEdit::empty, |tree| TreeEdit::of_state(tree));
            self.trees.insert(Arc::from(section.name), edit);
        }
        let Some(tree) = self.trees.get_mut(section.name) else { return Ok(false) };
        let mut context = EditContext { pager, freed: &mut self.freed };
        loop {
            match section.next() {
                Some(Some(Op::Put { key, value })) => {
                    tree.insert(key, value, &mut context)?;
                }
                Some(Some(Op::Remove { key })) => {
                    tree.remove(key, &mut context)?;
                }
                Some(Some(Op::Clear)) => tree.clear(&mut context)?,
                Some(None) => return Ok(tree.len == section.len),
                None => return Ok(false),
            }
            self.ops += 1;
        }
    }
}
