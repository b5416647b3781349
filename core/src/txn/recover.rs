//! Finding the commit a file is at, and making it safe to build on.
//!
//! The newest slot whose seal fits is taken if its commit is known to be whole: because it says
//! so (its pages were synced before it), or because every page born in it is there. Otherwise the
//! other slot is taken. Unless both slots agree, which a clean close leaves, the disk is then
//! brought to a state that no second crash can take back: what was walked is written once more and
//! synced, then the other slot becomes a copy.
//!
//! Then the log of that commit is replayed, and the records that are not known to be durable are
//! written once more too.
//!
//! - C4 Bytes that were not verified are never sealed again: only the chosen commit is.
//! - C5 What a reader saw after opening is still there after the next crash.

use super::checkpoint::write_slot;
use super::log::{Limits, wipe};
use super::open::Mode;
use super::replay::Pending;
use super::state::{ONE_SYNC_PAGES_MAX, SLOT_PAGES, State, Writer, other_slot};
use crate::conc::Arc;
use crate::error::{Damage, Error, FileErrorCause, Recovery, RecoveryOutcome, Result};
use crate::fault::{self, Fault};
use crate::page::{CatalogAt, Pointer, Slot, ValueSpan};
use crate::pager::Pager;
use crate::sorted::sort_by;
use crate::tree::read_node_page;
use crate::unit::{CommitId, PAGE_BYTES, PageId, SLOT_BYTES};
use crate::vfs::{read_whole, write_whole};

/// What opening found, beside the state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenedAs {
    pub(crate) recovery: Option<Recovery>,
    pub(crate) read_only: bool,
}

pub(crate) const fn opened(recovery: Option<Recovery>) -> OpenedAs {
    OpenedAs { recovery, read_only: false }
}

/// A slot that can be read.
pub(crate) struct Candidate {
    pub(crate) page: PageId,
    pub(crate) slot: Slot,
}

/// The commit that was chosen, the page of its slot, and the pages that were walked.
struct Chosen {
    state: State,
    page: PageId,
    born: Vec<PageId>,
}

/// Finds the last whole commit of a file, log included, and makes it safe to build on.
pub(crate) fn recover(
    pager: Arc<Pager>,
    mode: Mode,
    log_limits: Option<Limits>,
) -> Result<(Writer, OpenedAs)> {
    let mut candidates = Vec::new();
    for page in SLOT_PAGES {
        candidates.extend(read_slot(&pager, page)?);
    }
    let newest_first = |c: &Candidate| (std::cmp::Reverse(c.slot.checkpoint()), c.slot.copy);
    sort_by(&mut candidates, |one, two| newest_first(one).cmp(&newest_first(two)));
    let first = candidates.first().map(|c| c.slot.checkpoint());
    let marked = candidates.iter().any(|c| Some(c.slot.checkpoint()) == first && c.slot.logged);
    let agree = match candidates.as_mut_slice() {
        [first, copy] if first.slot.checkpoint() == copy.slot.checkpoint() && copy.slot.copy => {
            first.slot.settled = true;
            true
        }
        _ => false,
    };
    let readable = candidates.len();
    let unverified = candidates.first().map(|c| c.slot.clone());
    let newest = unverified.as_ref().map(Slot::checkpoint);
    let Chosen { state, page, born } = choose(&pager, candidates)?;
    let base = state.commit();
    let whole = newest == Some(state.slot.checkpoint());
    let mut pending = match log_limits {
        Some(_) => Pending::read(state)?,
        None => Pending::without_log(state),
    };
    let empty = pending.found.next == pending.found.start;
    if marked && whole && empty {
        // A record was begun, and nothing of it is there.
        pending.found.torn.get_or_insert(base.next());
    }
    let (unsure, remains) = (pending.unsure().collect(), pending.found.remains);
    let outcome = match (newest, pending.found.torn) {
        (Some((newest, _)), _) if !whole => RecoveryOutcome::CommitDiscarded(newest),
        _ if readable < SLOT_PAGES.len() => RecoveryOutcome::SlotDiscarded,
        (_, Some(torn)) => RecoveryOutcome::CommitDiscarded(torn),
        _ => RecoveryOutcome::LastCommitWhole,
    };
    let closed = agree && pending.found.records.is_empty() && pending.found.torn.is_none();
    let recovery = (!closed).then_some(Recovery { commit: pending.commit(), outcome });
    let mut writer = Writer::over(pending, page, agree)?;
    writer.marked = marked && whole && !empty;
    writer.log_limits = log_limits;
    writer.start_log()?;
    if mode == Mode::Write && !closed {
        if !fault::on(Fault::Fs01) {
            if whole && !agree {
                rewrite(&pager, Some(page), born)?;
            }
            if !fault::on(Fault::Fs07) {
                rewrite(&pager, None, unsure)?;
            }
        }
        if remains && !fault::on(Fault::Fs04) {
            wipe(&pager, writer.tip.log.tail().next())?;
        }
        // The pages may be in the system's cache only, if a process died and not the machine.
        pager.sync()?;
        if let Some(newest) = unverified.filter(|_| !whole && fault::on(Fault::Cr01)) {
            settle(&pager, &newest, &mut writer)?;
        } else if !agree || marked && empty {
            secure(&pager, &mut writer, !whole || readable < SLOT_PAGES.len())?;
        }
    }
    Ok((writer, OpenedAs { recovery, read_only: mode == Mode::Read }))
}

/// Writes the pages of a commit, and its slot, once more as they are. A sync that failed may have
/// left them in the system's cache as if they had reached the disk, and no later sync would write
/// them then.
fn rewrite(pager: &Pager, slot: Option<PageId>, mut pages: Vec<PageId>) -> Result<()> {
    pages.sort_unstable();
    let mut bytes = Vec::new();
    for run in pages.chunk_by(|a, b| a.0 + 1 == b.0) {
        bytes.resize(run.len() * PAGE_BYTES, 0);
        copy_in_place(pager, &mut bytes, run[0])?;
    }
    slot.map_or(Ok(()), |slot| copy_in_place(pager, &mut [0; SLOT_BYTES], slot))
}

fn copy_in_place(pager: &Pager, bytes: &mut [u8], page: PageId) -> Result<()> {
    let offset = page.offset();
    if !read_whole(pager.file(), bytes, offset).map_err(|e| pager.io(&e))? {
        return Err(pager.damaged(page, Damage::Missing));
    }
    write_whole(pager.file(), bytes, offset).map_err(|e| pager.io(&e))
}

/// Makes a recovered base, which is durable, hold whatever happens next.
fn secure(pager: &Pager, writer: &mut Writer, discarded: bool) -> Result<()> {
    let tip = Arc::clone(&writer.tip);
    settle(pager, &tip.slot, writer)?;
    // A commit that was discarded must not come back once readers have seen the one before.
    if discarded { pager.sync() } else { Ok(()) }
}

/// Writes a durable commit into the other slot too. This copy need not reach the disk: the next
/// commit replaces it, and not the slot that is known to be there.
pub(crate) fn settle(pager: &Pager, slot: &Slot, writer: &mut Writer) -> Result<()> {
    let page = other_slot(writer.slot_page);
    let slot = Slot { settled: true, copy: true, logged: writer.marked, ..slot.clone() };
    write_slot(pager, pager.batch()?, &slot, page)?;
    writer.settled = true;
    Ok(())
}

/// Reads a slot; `None` if its seal does not fit.
pub(crate) fn read_slot(pager: &Pager, page: PageId) -> Result<Option<Candidate>> {
    let mut bytes = [0; SLOT_BYTES];
    let there = read_whole(pager.file(), &mut bytes, page.offset()).map_err(|e| pager.io(&e))?;
    if !there || !pager.sealer().open_slot(page, &mut bytes) {
        return Ok(None);
    }
    let slot = Slot::decode(&bytes).ok_or_else(|| pager.damaged(page, Damage::Content))?;
    Ok(Some(Candidate { page, slot }))
}

/// Returns the newest commit that a slot leads to.
pub(crate) fn current_base(pager: &Pager) -> Result<Option<CommitId>> {
    let mut newest = None;
    for page in SLOT_PAGES {
        newest = newest.max(read_slot(pager, page)?.map(|found| found.slot.commit));
    }
    Ok(newest)
}

/// Takes the first candidate whose commit is whole.
fn choose(pager: &Arc<Pager>, candidates: Vec<Candidate>) -> Result<Chosen> {
    let mut first_error = None;
    for Candidate { page, slot } in candidates {
        let settled = slot.settled;
        match whole(pager, slot) {
            Ok((state, born)) => return Ok(Chosen { state, page, born }),
            // A commit that was whole once is damaged now; the one before would be a silent loss.
            Err(error) if settled || !is_incomplete(&error) => return Err(error),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    let error = first_error.unwrap_or_else(|| pager.damaged(SLOT_PAGES[0], Damage::Header));
    Err(error)
}

/// Tells whether an error is what an interrupted commit looks like.
fn is_incomplete(error: &Error) -> bool {
    matches!(
        error,
        Error::File {
            cause: FileErrorCause::Damaged { .. } | FileErrorCause::Truncated { .. },
            ..
        }
    )
}

/// Loads the commit of a slot; unless it is settled, walks the pages born in it and returns them.
fn whole(pager: &Arc<Pager>, slot: Slot) -> Result<(State, Vec<PageId>)> {
    let found_bytes = pager.file().len().map_err(|e| pager.io(&e))?;
    let expected_bytes = slot.page_count.saturating_mul(PAGE_BYTES as u64);
    if found_bytes < expected_bytes || found_bytes != expected_bytes && fault::on(Fault::Fp05) {
        let cause = FileErrorCause::Truncated { expected_bytes, found_bytes };
        return Err(Error::file(pager.path(), cause));
    }
    let walk = !slot.settled;
    let state = State::load(Arc::clone(pager), slot)?;
    let mut born = Born { pager, commit: state.commit(), pages: Vec::new() };
    if walk {
        if let CatalogAt::Stored { bytes, first } = state.slot.catalog {
            born.chain(bytes, first)?;
        }
        for tree in state.trees.values() {
            born.node(tree.record().root, None)?;
        }
        born.node(state.slot.space.root, None)?;
    }
    let pages = born.pages;
    Ok((state, pages))
}

/// A walk over the pages born in one commit.
struct Born<'a> {
    pager: &'a Pager,
    commit: CommitId,
    pages: Vec<PageId>,
}

impl Born<'_> {
    /// Notes a page; more of them than a commit under one sync has are a lie.
    fn meet(&mut self, page: PageId) -> Result<()> {
        self.pages.push(page);
        if self.pages.len() > ONE_SYNC_PAGES_MAX {
            return Err(self.pager.damaged(page, Damage::Content));
        }
        Ok(())
    }

    fn chain(&mut self, bytes: u32, first: Pointer) -> Result<()> {
        let mut met = Vec::new();
        self.pager.read_chain(bytes, first, &mut |pointer| met.push(pointer.page))?;
        met.into_iter().try_for_each(|page| self.meet(page))
    }

    fn node(&mut self, pointer: Option<Pointer>, level: Option<u8>) -> Result<()> {
        let Some(pointer) = pointer.filter(|pointer| pointer.birth == self.commit) else {
            return Ok(());
        };
        self.meet(pointer.page)?;
        let page = read_node_page(self.pager, &pointer, level)?;
        for index in 0..page.count() {
            if page.level() > 0 {
                self.node(Some(page.child(index)), Some(page.level() - 1))?;
            } else if let ValueSpan::Stored { bytes, first } = page.value(index)
                && first.birth == self.commit
            {
                self.chain(bytes, first)?;
            }
        }
        Ok(())
    }
}
