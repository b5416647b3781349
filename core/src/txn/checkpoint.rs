//! Checkpoint: a commit that writes the trees, with all changes of the log, and starts a new log.
//!
//! It writes new pages first, then the inactive slot, then it syncs once; the acknowledgement comes
//! last. A large checkpoint also syncs its pages before its slot, so that opening never walks many.

use super::changes::EditedChanges;
use super::failure::{Failure, WriteResult};
use super::header::{other_slot, write_slot};
use super::log::{Log, LogTail};
use super::state::CommitState;
use super::trees::Trees;
use super::writer::{Needs, WriterState};
use crate::codec::u32_len;
use crate::conc::Arc;
use crate::crypto::Batch;
use crate::error::{ArgumentError, Damage, Result};
use crate::fault::{self, Fault};
use crate::page::{
    CatalogAt, HeaderSlot, INLINE_CATALOG_BYTES_MAX, Pointer, TreeCatalog, overflow_pages,
};
use crate::pager::{PageWriter, Pager};
use crate::sorted::Sorted;
use crate::space::{Chunks, Draft, FreedPage, Space, chunk_key};
use crate::tree::{EditContext, TreeEdit, TreeState};
use crate::unit::{CommitId, PageId, VALUE_BYTES_MAX};

/// The parameters of a checkpoint.
#[derive(Clone, Debug)]
pub(crate) struct CheckpointPlan {
    pub(crate) commit: CommitId,
    pub(crate) needs: Needs,
    /// The file is to end before this page, if only nodes are behind it.
    pub(crate) truncate_at: Option<PageId>,
}

/// A checkpoint that is being made.
struct Checkpoint<'a> {
    writer: &'a mut WriterState,
    plan: CheckpointPlan,
}

/// The trees of a commit: those to write, and those that did not change.
struct DividedTrees {
    changed: Sorted<Arc<str>, TreeEdit>,
    unchanged: Trees,
}

/// A commit whose pages are written, and its slot not yet.
struct WrittenPages<'a> {
    batch: Batch<'a>,
    trees: Trees,
    space: Arc<TreeState>,
    recorded: TreeCatalog,
    catalog: CatalogAt,
    catalog_pages: Vec<FreedPage>,
}

/// The pages that a checkpoint allocates, and its record of free pages.
struct Allocation<'a> {
    space: &'a mut Space,
    draft: &'a mut Draft,
    record: &'a mut TreeEdit,
}

/// Allocates pages for the trees, writes them, and returns the new commit.
pub(crate) fn checkpoint(
    writer: &mut WriterState,
    changes: EditedChanges,
    plan: CheckpointPlan,
) -> WriteResult<Arc<CommitState>> {
    let mut space = match writer.space.take() {
        Some(space) => space,
        None => changes.base.load_space()?,
    };
    space.release(&plan.needs.pins, plan.needs.durable);
    let end = if fault::on(Fault::Fs06) { PageId(0) } else { changes.base.log.tail().next() };
    let spilled = std::mem::take(&mut writer.spilled).draft;
    let mut draft = spilled.unwrap_or_else(|| space.draft(end));
    if plan.truncate_at.is_some() {
        space.release_all();
        draft = draft.pack();
    }
    let commit = plan.commit;
    let outcome = match (Checkpoint { writer, plan }).run(changes, &mut space, &mut draft) {
        Ok((state, freed)) => {
            space.publish(draft, commit, freed);
            Ok(state)
        }
        Err(error) => {
            space.cancel(draft);
            Err(error)
        }
    };
    writer.space = Some(space);
    outcome
}

impl Checkpoint<'_> {
    /// Plans and writes; returns the new state, and the pages that it does not need any more.
    fn run(
        &mut self,
        changes: EditedChanges,
        space: &mut Space,
        draft: &mut Draft,
    ) -> WriteResult<(Arc<CommitState>, Vec<FreedPage>)> {
        let EditedChanges { base, mut trees, mut freed } = changes;
        let pager = Arc::clone(&base.pager);
        let mut record = TreeEdit::of_state(&base.space);
        freed.extend(&base.log.tail().freed);
        freed.extend(&base.catalog_pages);
        let taken_over = draft.take_over(&mut freed, self.plan.commit);
        taken_over.map_err(|page| pager.damaged(page, Damage::Content))?;
        let mut context = EditContext { pager: &pager, freed: &mut freed };
        if let Some(end) = self.plan.truncate_at {
            relocate_all(&base, &mut trees, end, &mut context)?;
            record.relocate(end, &mut context)?;
        }
        let trees = DividedTrees::new(&base, trees)?;
        Allocation { space, draft, record: &mut record }.run(&mut context, trees.pages())?;
        let mut taken = draft.taken.clone();
        taken.sort_unstable();
        let behind = taken.last().map_or(0, |last| last.0 + 1);
        assert!(behind <= draft.page_count, "S1: {behind} pages of {}", draft.page_count);
        let first = self.plan.commit != base.slot.commit;
        let counts = !fault::on(Fault::Fs05);
        let again = if first || !counts { 0 } else { base.slot.again.saturating_add(1) };
        // The later one of two checkpoints of a commit must not need a walk.
        let pages = taken.len() as u64 + if fault::on(Fault::Fs33) { 0 } else { draft.spilled() };
        let large = pages > self.writer.one_sync_pages_max as u64 || !first && counts;
        let writer = PageWriter::new(&pager, self.plan.commit, taken)?;
        let written = write_pages(writer, trees, record)?;
        self.sync_if(large, &pager)?;
        let slot = HeaderSlot {
            commit: self.plan.commit,
            page_count: draft.page_count,
            settled: large,
            copy: false,
            logged: false,
            again,
            space: written.space.record(),
            catalog: written.catalog,
        };
        // The last step that can fail and leave the disk as it was.
        let next_log = self.next_log(&pager, slot.page_count)?;
        let page = other_slot(self.writer.slot_page);
        self.sync_if(fault::on(Fault::Cr05), &pager)?;
        write_slot(&pager, written.batch, &slot, page).map_err(Failure::disk_unknown)?;
        self.sync_if(!fault::on(Fault::Cr05), &pager)?;
        self.writer.slot_page = page;
        self.writer.slots_agree = false;
        (self.writer.slots_durable, self.writer.log_marked) = (false, false);
        let trees = fault::txn::older_nodes(&base, written.trees);
        // The nodes that were written are resident now.
        base.pager.cache().make_room_after_write();
        let state = CommitState {
            pager: Arc::clone(&pager),
            commit: self.plan.commit,
            trees,
            slot,
            recorded: Arc::new(written.recorded),
            space: written.space,
            catalog_pages: written.catalog_pages,
            log: Arc::new(Log::new(next_log)),
        };
        Ok((Arc::new(state), freed))
    }

    /// Starts the log of the checkpoint.
    fn next_log(&self, pager: &Pager, page_count: u64) -> Result<LogTail> {
        let mut tail = LogTail::without_log(page_count, self.plan.commit);
        if let Some(limits) = self.writer.log_limits.filter(|_| !self.writer.defers_sync) {
            tail.set_limits(pager, limits)?;
        }
        Ok(tail)
    }

    fn sync_if(&mut self, wanted: bool, pager: &Pager) -> WriteResult<()> {
        if !wanted || self.writer.defers_sync {
            return Ok(());
        }
        let synced = pager.sync().and_then(|()| self.writer.sync_name());
        synced.map_err(Failure::disk_unknown)
    }
}

impl DividedTrees {
    /// Divides the trees: a tree that changed since the base, in this transaction or in the log, is
    /// to be written.
    fn new(base: &CommitState, edits: Sorted<Arc<str>, TreeEdit>) -> Result<Self> {
        let mut unchanged = base.trees.clone();
        let mut changed = edits;
        for (name, tree) in base.trees.iter() {
            if !tree.is_written() {
                let edit = || TreeEdit::of_state(tree);
                changed.get_or_insert_with(Arc::clone(name), edit).changed = true;
            }
        }
        changed.values_mut().for_each(|tree| tree.rebalance(base.pager.cache()));
        changed.retain(|name, edit| {
            if edit.changed {
                unchanged.remove(name);
            }
            edit.changed && !edit.is_empty()
        });
        let trees = Self { changed, unchanged };
        if trees.catalog_bytes() > VALUE_BYTES_MAX {
            return Err(ArgumentError::TooManyTrees.into());
        }
        Ok(trees)
    }

    fn catalog_bytes(&self) -> usize {
        let names = self.changed.keys().chain(self.unchanged.keys());
        names.map(|name| TreeCatalog::entry_bytes(name)).sum()
    }

    /// Returns the number of pages that trees and catalog take.
    fn pages(&self) -> usize {
        let bytes = self.catalog_bytes();
        let catalog = if bytes > INLINE_CATALOG_BYTES_MAX { overflow_pages(bytes) } else { 0 };
        catalog + self.changed.values().map(TreeEdit::pages).sum::<usize>()
    }
}

/// Relocates the nodes behind a page, in every tree.
fn relocate_all(
    base: &CommitState,
    trees: &mut Sorted<Arc<str>, TreeEdit>,
    end: PageId,
    context: &mut EditContext<'_>,
) -> Result<()> {
    for (name, tree) in base.trees.iter() {
        let edit = trees.get_or_insert_with(Arc::clone(name), || TreeEdit::of_state(tree));
        edit.relocate(end, context)?;
    }
    Ok(())
}

impl Allocation<'_> {
    /// Allocates `pages`, and the pages of the record of free pages, which the allocation changes.
    ///
    /// It terminates: the values of the record keep their size, so its nodes only become more.
    fn run(&mut self, context: &mut EditContext<'_>, pages: usize) -> Result<()> {
        self.draft.reuse(pages);
        context.freed.append(&mut self.draft.free_rest());
        self.record_chunks(self.draft.changed_chunks(), context)?;
        let mut seen = 0;
        loop {
            // Freed pages are recorded before pages are taken, so that the first run has room for
            // all.
            while seen < context.freed.len() {
                let freed = self.space.free(self.draft, &context.freed[seen..]);
                let damaged = |page| context.pager.damaged(page, Damage::Content);
                let chunks = freed.map_err(damaged)?;
                seen = context.freed.len();
                self.record_chunks(chunks, context)?;
            }
            self.record.split_oversized(context.pager.cache());
            let (needed, taken) = (pages + self.record.pages(), self.draft.taken.len());
            assert!(needed >= taken, "S1: {taken} pages are taken for {needed}");
            let chunks = if needed == taken {
                let chunks = self.space.shorten(self.draft);
                if chunks.is_empty() {
                    return Ok(());
                }
                chunks
            } else {
                let chunks = self.space.take(self.draft, needed - taken);
                context.freed.append(&mut self.draft.gap);
                chunks
            };
            self.record_chunks(chunks, context)?;
        }
    }

    fn record_chunks(&mut self, chunks: Chunks, context: &mut EditContext<'_>) -> Result<()> {
        for chunk in chunks.keys() {
            let bits = self.draft.chunk(*chunk).encode();
            self.record.insert(&chunk_key(*chunk), &bits, context)?;
        }
        Ok(())
    }
}

/// Writes the changed trees, the catalog and the record of free pages.
fn write_pages(
    mut writer: PageWriter<'_>,
    trees: DividedTrees,
    space: TreeEdit,
) -> Result<WrittenPages<'_>> {
    let mut all = trees.unchanged;
    for (name, edit) in trees.changed {
        all.insert(name, edit.flush(&mut writer)?);
    }
    let records = all.iter().map(|(name, tree)| (Arc::clone(name), tree.record()));
    let recorded = TreeCatalog(records.collect());
    let bytes = recorded.encode();
    let mut catalog_pages = Vec::new();
    let catalog = if bytes.len() <= INLINE_CATALOG_BYTES_MAX {
        CatalogAt::Inline(bytes)
    } else {
        let first = writer.put_chain(&bytes, &mut |pointer| {
            let Pointer { page, birth, .. } = *pointer;
            catalog_pages.push(FreedPage { page, birth });
        })?;
        CatalogAt::Stored { bytes: u32_len(bytes.len()), first }
    };
    let space = space.flush(&mut writer)?;
    let batch = writer.finish()?;
    Ok(WrittenPages { batch, trees: all, space, recorded, catalog, catalog_pages })
}
