//! Checkpoint: a commit that writes the trees, with all that the log held, and starts a new log.
//!
//! New pages first, then the inactive slot, then one sync, then the acknowledgement. A large one
//! syncs its pages before its slot, so that opening never has to walk more than a few.

use super::changes::Settled;
use super::commit::{Sync, sync_name};
use super::log::{Log, Tail};
use super::state::{State, Trees, Writer, other_slot};
use crate::codec::u32_len;
use crate::conc::Arc;
use crate::crypto::{Batch, Place};
use crate::error::{ArgumentError, Damage, Result};
use crate::fault::{self, Fault};
use crate::page::{Catalog, CatalogAt, INLINE_CATALOG_BYTES_MAX, Slot, overflow_pages};
use crate::pager::{PageWriter, Pager};
use crate::sorted::Sorted;
use crate::space::{Chunks, Draft, Space, chunk_key};
use crate::tree::{EditContext, TreeEdit, TreeState};
use crate::unit::{CommitId, PageId, SLOT_BYTES, VALUE_BYTES_MAX};
use crate::vfs::write_whole;

/// How a checkpoint is to be made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) commit: CommitId,
    pub(crate) sync: Sync,
    pub(crate) needs: Needs,
    /// The file is to end before this page, if nothing but nodes is behind it.
    pub(crate) cut: Option<PageId>,
}

/// What a checkpoint works on.
struct Work<'a> {
    writer: &'a mut Writer,
    plan: Plan,
    /// Something failed that leaves the disk unknown.
    unknown: &'a mut bool,
}

/// The trees of a commit: those that changed, to be written, and the others.
struct Parted {
    changed: Sorted<Arc<str>, TreeEdit>,
    kept: Trees,
}

/// A commit whose pages are written, and its slot not yet.
struct Written<'a> {
    batch: Batch<'a>,
    trees: Trees,
    space: Arc<TreeState>,
    recorded: Catalog,
    catalog: CatalogAt,
    catalog_pages: Vec<PageId>,
}

/// Which pages nobody needs: as old a commit as a reader has, and the last durable one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    pub(crate) oldest: CommitId,
    pub(crate) durable: CommitId,
}

/// Finds room for the trees, writes them, and returns what the commit is.
pub(crate) fn checkpoint(
    writer: &mut Writer,
    changes: Settled,
    plan: Plan,
    unknown: &mut bool,
) -> Result<Arc<State>> {
    let mut space = match writer.space.take() {
        Some(space) => space,
        None => changes.base.load_space()?,
    };
    space.release(plan.needs.oldest, plan.needs.durable);
    let end = if fault::on(Fault::Fs06) { PageId(0) } else { changes.base.log.tail().next() };
    let mut draft = space.draft(end);
    if plan.cut.is_some() {
        space.release_all();
        draft = draft.pack();
    }
    let mut work = Work { writer, plan, unknown };
    let outcome = match work.run(changes, &mut space, &mut draft) {
        Ok((state, freed)) => {
            space.publish(draft, plan.commit, freed);
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

impl Work<'_> {
    /// Plans and writes; returns the new state, and the pages it does without.
    fn run(
        &mut self,
        changes: Settled,
        space: &mut Space,
        draft: &mut Draft,
    ) -> Result<(Arc<State>, Vec<PageId>)> {
        let Settled { base, mut trees, mut freed } = changes;
        let pager = Arc::clone(&base.pager);
        let mut space_edit = TreeEdit::of_state(&base.space);
        freed.extend(&base.log.tail().freed);
        freed.extend(&base.catalog_pages);
        let mut edits = EditContext { pager: &pager, freed: &mut freed };
        if let Some(cut) = self.plan.cut {
            lift_all(&base, &mut trees, cut, &mut edits)?;
            space_edit.relocate(cut, &mut edits)?;
        }
        let trees = Parted::new(&base, trees)?;
        plan_space((space, draft), &mut space_edit, &mut edits, trees.pages())?;
        let mut taken = draft.taken.clone();
        taken.sort_unstable();
        let (first, last) = (self.plan.commit != base.slot.commit, base.slot.again);
        let told = !fault::on(Fault::Fs05);
        let again = if first || !told { 0 } else { last.saturating_add(1) };
        // Of two checkpoints of one commit, the later one must not need to be walked.
        let large = taken.len() > self.writer.one_sync_pages_max || !first && told;
        let flush = PageWriter::new(&pager, self.plan.commit, taken)?;
        let written = write_pages(flush, trees, space_edit)?;
        self.sync_if(large, &pager)?;
        let slot = Slot {
            commit: self.plan.commit,
            page_count: draft.page_count,
            settled: large,
            copy: false,
            logged: false,
            again,
            space: written.space.record(),
            catalog: written.catalog,
        };
        // What may fail comes before the commit is there.
        let next_log = self.next_log(&pager, slot.page_count)?;
        let page = other_slot(self.writer.slot_page);
        self.sync_if(fault::on(Fault::Cr05), &pager)?;
        self.poisoned_by(|| write_slot(&pager, written.batch, &slot, page))?;
        self.sync_if(!fault::on(Fault::Cr05), &pager)?;
        self.writer.slot_page = page;
        self.writer.settled = false;
        (self.writer.secured, self.writer.marked) = (false, false);
        let (trees, space, catalog_pages) = (written.trees, written.space, written.catalog_pages);
        let recorded = Arc::new(written.recorded);
        let trees = fault::txn::older_nodes(&base, trees);
        let (commit, log) = (self.plan.commit, Arc::new(Log::new(next_log)));
        let state = State { pager, slot, commit, trees, recorded, space, catalog_pages, log };
        // What was written is resident now.
        base.pager.cache().make_room();
        Ok((Arc::new(state), freed))
    }

    /// Starts the log of the checkpoint.
    fn next_log(&self, pager: &Pager, page_count: u64) -> Result<Tail> {
        match self.writer.log_limits.filter(|_| self.plan.sync == Sync::Full) {
            Some(limits) => Tail::new(pager, (page_count, self.plan.commit), limits),
            None => Ok(Tail::none(page_count, self.plan.commit)),
        }
    }

    fn sync_if(&mut self, wanted: bool, pager: &Pager) -> Result<()> {
        if !wanted || self.plan.sync == Sync::Later {
            return Ok(());
        }
        self.poisoned_by(|| pager.sync())?;
        let unnamed = self.writer.unnamed.take();
        self.poisoned_by(|| sync_name(unnamed, pager))
    }

    /// Runs what leaves the disk unknown if it fails.
    fn poisoned_by(&mut self, body: impl FnOnce() -> Result<()>) -> Result<()> {
        let outcome = body();
        *self.unknown |= outcome.is_err() && !fault::on(Fault::Cr11);
        outcome
    }
}

impl Parted {
    /// Takes the trees that were changed now, and those that are in the log only.
    fn new(base: &State, edits: Sorted<Arc<str>, TreeEdit>) -> Result<Self> {
        let mut kept = base.trees.clone();
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
                kept.remove(name);
            }
            edit.changed && !edit.is_empty()
        });
        let trees = Self { changed, kept };
        if trees.catalog_bytes() > VALUE_BYTES_MAX {
            return Err(ArgumentError::TooManyTrees.into());
        }
        Ok(trees)
    }

    fn catalog_bytes(&self) -> usize {
        self.changed.keys().chain(self.kept.keys()).map(|name| Catalog::entry_bytes(name)).sum()
    }

    /// Returns how many pages trees and catalog take.
    fn pages(&self) -> usize {
        let bytes = self.catalog_bytes();
        let catalog = if bytes > INLINE_CATALOG_BYTES_MAX { overflow_pages(bytes) } else { 0 };
        catalog + self.changed.values().map(TreeEdit::pages).sum::<usize>()
    }
}

/// Takes the nodes behind a page as changed, in every tree.
fn lift_all(
    base: &State,
    trees: &mut Sorted<Arc<str>, TreeEdit>,
    cut: PageId,
    edits: &mut EditContext<'_>,
) -> Result<()> {
    for (name, tree) in base.trees.iter() {
        let edit = trees.get_or_insert_with(Arc::clone(name), || TreeEdit::of_state(tree));
        edit.relocate(cut, edits)?;
    }
    Ok(())
}

/// Takes pages for `pages` and for the record of free pages itself, which taking them changes.
///
/// It ends: the record's values keep their size, so its nodes only ever become more.
fn plan_space(
    (space, draft): (&mut Space, &mut Draft),
    record: &mut TreeEdit,
    edits: &mut EditContext<'_>,
    pages: usize,
) -> Result<()> {
    let mut seen = 0;
    loop {
        // What is freed is recorded before room is taken, so that the first run has room for all.
        while seen < edits.freed.len() {
            let freed = space.free(draft, &edits.freed[seen..]);
            let chunks = freed.map_err(|page| edits.pager.damaged(page, Damage::Content))?;
            seen = edits.freed.len();
            record_chunks(record, draft, chunks, edits)?;
        }
        record.split_oversized(edits.pager.cache());
        let more = pages + record.pages() - draft.taken.len();
        if more == 0 {
            let chunks = space.shorten(draft);
            if chunks.is_empty() {
                return Ok(());
            }
            record_chunks(record, draft, chunks, edits)?;
            continue;
        }
        let chunks = space.take(draft, more);
        edits.freed.append(&mut draft.gap);
        record_chunks(record, draft, chunks, edits)?;
    }
}

fn record_chunks(
    record: &mut TreeEdit,
    draft: &Draft,
    chunks: Chunks,
    edits: &mut EditContext<'_>,
) -> Result<()> {
    for chunk in chunks.keys() {
        record.insert(&chunk_key(*chunk), &draft.chunk(*chunk).encode(), edits)?;
    }
    Ok(())
}

/// Writes the changed trees, the catalog and the record of free pages.
fn write_pages(mut flush: PageWriter<'_>, trees: Parted, space: TreeEdit) -> Result<Written<'_>> {
    let mut all = trees.kept;
    for (name, edit) in trees.changed {
        all.insert(name, edit.flush(&mut flush)?);
    }
    let records = all.iter().map(|(name, tree)| (Arc::clone(name), tree.record()));
    let recorded = Catalog(records.collect());
    let bytes = recorded.encode();
    let mut catalog_pages = Vec::new();
    let catalog = if bytes.len() <= INLINE_CATALOG_BYTES_MAX {
        CatalogAt::Inline(bytes)
    } else {
        let first = flush.put_chain(&bytes, &mut catalog_pages)?;
        CatalogAt::Stored { bytes: u32_len(bytes.len()), first }
    };
    let space = space.flush(&mut flush)?;
    let batch = flush.finish()?;
    Ok(Written { batch, trees: all, space, recorded, catalog, catalog_pages })
}

/// Seals a slot and writes it.
pub(crate) fn write_slot(pager: &Pager, batch: Batch<'_>, slot: &Slot, page: PageId) -> Result<()> {
    let mut bytes: [u8; SLOT_BYTES] = slot.encode();
    batch.seal_slot(Place { page, birth: slot.commit }, &mut bytes);
    write_whole(pager.file(), &bytes, page.offset()).map_err(|e| pager.io(&e))
}
