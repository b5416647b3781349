//! Recovery: finding the last whole commit of a file, and making it safe to build on.
//!
//! Recovery takes the newest slot whose seal fits, if its commit is known to be whole: because the
//! slot says so (its pages were synced before it), or because every page born in it can be read.
//! Otherwise it takes the other slot. Unless both slots agree, as a clean close leaves them, no
//! second crash may take the chosen commit back: recovery writes the walked pages again as they are
//! and syncs them, then it copies the slot over the other one.
//!
//! Then it scans the log of that commit, and also writes the records again that are not known to be
//! durable.
//!
//! A process that dies before the sync leaves its writes in the system's cache, and the next
//! opening reads them there. A file that looks closed is not synced by it. So the file must not
//! look closed before the discarded parts are removed from the disk: first a slot that is no copy
//! replaces the one that is not needed.
//!
//! - C4 Bytes that were not verified are never sealed again: only the chosen commit is.
//! - C5 What a reader saw after opening is still there after the next crash.

use super::header::{ReadSlot, SLOT_PAGES, read_slot};
use super::log::{LogLimits, erase_pages};
use super::replay::PendingLog;
use super::state::{CommitState, ONE_SYNC_PAGES_MAX};
use super::writer::WriterState;
use crate::conc::Arc;
use crate::error::{Damage, Error, FileErrorCause, Recovery, RecoveryOutcome, Result};
use crate::fault::{self, Fault};
use crate::page::{CatalogAt, HeaderSlot, Pointer, ValueSpan};
use crate::pager::Pager;
use crate::sorted::sort_by;
use crate::tree::read_node_page;
use crate::unit::{CommitId, PAGE_BYTES, PageId, SLOT_BYTES};
use crate::vfs::{read_whole, write_whole};

/// The purpose that a file is opened for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OpenMode {
    Read,
    Write,
}

/// The outcome of opening, beside the state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenedAs {
    pub(crate) recovery: Option<Recovery>,
    pub(crate) read_only: bool,
}

/// The evidence of the slots about the base.
enum SlotEvidence {
    /// Both slots hold the base: it is durable.
    Agree,
    /// The newest slot holds the base, and the other slot is older.
    Newest,
    /// The only slot that can be read holds the base.
    Single,
    /// The older slot holds the base: the commit of the newest, which this is, is not whole.
    Older(HeaderSlot),
}

/// The evidence of the log about the commits since the base.
enum LogEvidence {
    /// The log is empty.
    Empty,
    /// The first record is torn.
    FirstTorn { commit: CommitId },
    /// Every record is whole.
    Whole,
    /// A record behind whole ones is torn.
    LastTorn { commit: CommitId },
}

/// The evidence that recovery decides by.
struct Evidence {
    slots: SlotEvidence,
    log: LogEvidence,
}

impl Evidence {
    /// Tells whether the file was closed.
    const fn is_closed(&self) -> bool {
        matches!((&self.slots, &self.log), (SlotEvidence::Agree, LogEvidence::Empty))
    }

    /// Tells whether the base may not be durable.
    const fn base_is_unsure(&self) -> bool {
        matches!(self.slots, SlotEvidence::Newest | SlotEvidence::Single)
    }

    /// Tells whether the other slot is not needed, and the file would look closed after recovery
    /// removed what it discards: that slot, or the first record of the log.
    const fn looks_closed_early(&self) -> bool {
        let slots = &self.slots;
        matches!(slots, SlotEvidence::Older(_))
            || matches!((slots, &self.log), (SlotEvidence::Agree, LogEvidence::FirstTorn { .. }))
    }

    /// Returns the newest slot, if its commit is not whole.
    const fn discarded_slot(&self) -> Option<&HeaderSlot> {
        match &self.slots {
            SlotEvidence::Older(slot) => Some(slot),
            SlotEvidence::Agree | SlotEvidence::Newest | SlotEvidence::Single => None,
        }
    }

    const fn log_is_empty(&self) -> bool {
        matches!(self.log, LogEvidence::Empty | LogEvidence::FirstTorn { .. })
    }

    /// Returns the outcome of a recovery that lands on a commit.
    fn outcome(&self, landed: CommitId) -> RecoveryOutcome {
        match (&self.slots, &self.log) {
            // If the log holds the commit of a checkpoint that is not whole, nothing is lost.
            (SlotEvidence::Older(slot), _) if slot.commit > landed || fault::on(Fault::Fs25) => {
                RecoveryOutcome::CommitDiscarded(slot.commit)
            }
            (SlotEvidence::Single, _) => RecoveryOutcome::SlotDiscarded,
            (_, LogEvidence::FirstTorn { commit } | LogEvidence::LastTorn { commit }) => {
                RecoveryOutcome::CommitDiscarded(*commit)
            }
            (_, LogEvidence::Empty | LogEvidence::Whole) => RecoveryOutcome::LastCommitWhole,
        }
    }
}

/// The slots of a file, newest first.
struct Slots {
    all: Vec<ReadSlot>,
    agree: bool,
    /// A slot of the newest checkpoint says that its log was begun.
    marked: bool,
}

/// The commit that was chosen, the page of its slot, and the pages that were walked.
struct Chosen {
    state: CommitState,
    page: PageId,
    born: Vec<PageId>,
    /// The newest slot, if its commit is not whole.
    discarded: Option<HeaderSlot>,
}

/// Finds the last whole commit of a file, log included, and makes it safe to build on.
pub(crate) fn recover(
    pager: &Arc<Pager>,
    mode: OpenMode,
    log_limits: Option<LogLimits>,
) -> Result<(WriterState, OpenedAs)> {
    let Slots { all, agree, marked } = read_slots(pager)?;
    let readable = all.len();
    let Chosen { state, page, born, discarded } = choose(pager, all)?;
    let slots = match discarded {
        Some(slot) => SlotEvidence::Older(slot),
        None if agree => SlotEvidence::Agree,
        None if readable == SLOT_PAGES.len() => SlotEvidence::Newest,
        None => SlotEvidence::Single,
    };
    let marked = marked && !matches!(slots, SlotEvidence::Older(_));
    let base = state.commit();
    let pending = match log_limits {
        Some(_) => PendingLog::read(state)?,
        None => PendingLog::without_log(state),
    };
    let log = match (pending.scan.torn(base), pending.scan.is_empty()) {
        (Some(commit), true) => LogEvidence::FirstTorn { commit },
        // A record was begun, and no part of it is in the file.
        (None, true) if marked => LogEvidence::FirstTorn { commit: base.next() },
        (None, true) => LogEvidence::Empty,
        (None, false) => LogEvidence::Whole,
        (Some(commit), false) => LogEvidence::LastTorn { commit },
    };
    let evidence = Evidence { slots, log };
    let commit = pending.commit();
    let outcome = evidence.outcome(commit);
    let recovery = (!evidence.is_closed()).then_some(Recovery { commit, outcome });
    let records =
        LogPages { unsure: pending.unsure().collect(), remains: pending.scan.remains.clone() };
    let mut writer = WriterState::with_log(pending, page, agree)?;
    writer.log_marked = marked && !evidence.log_is_empty();
    writer.log_limits = log_limits;
    writer.start_log()?;
    if mode == OpenMode::Write && recovery.is_some() {
        make_safe(&mut writer, &evidence, born, records)?;
    }
    Ok((writer, OpenedAs { recovery, read_only: mode == OpenMode::Read }))
}

/// Pages of the log that recovery writes.
struct LogPages {
    /// Those of records that are not known to be durable.
    unsure: Vec<PageId>,
    /// Those of discarded records.
    remains: Vec<PageId>,
}

/// Brings the disk to a state that a second crash cannot undo.
fn make_safe(
    writer: &mut WriterState,
    evidence: &Evidence,
    born: Vec<PageId>,
    records: LogPages,
) -> Result<()> {
    let pager = Arc::clone(&writer.tip.pager);
    if !fault::on(Fault::Fs01) {
        if evidence.base_is_unsure() {
            rewrite(&pager, Some(writer.slot_page), born)?;
        }
        if !fault::on(Fault::Fs07) {
            rewrite(&pager, None, records.unsure)?;
        }
    }
    if evidence.looks_closed_early() && !fault::on(Fault::Fs29) {
        writer.replace_other_slot()?;
    }
    let first = records.remains.len().min(1);
    let remains = if fault::on(Fault::Fs24) { &records.remains[..first] } else { &records.remains };
    if !fault::on(Fault::Fs04) {
        erase_pages(&pager, remains)?;
    }
    // The pages may be in the system's cache only, if a process died and not the machine.
    pager.sync()?;
    if writer.slots_agree {
        return Ok(());
    }
    let tip = Arc::clone(&writer.tip);
    writer.copy_slot(fault::txn::unverified_slot(evidence.discarded_slot(), &tip.slot))?;
    // The slot that cannot be read may hold a commit, which must not come back.
    if matches!(evidence.slots, SlotEvidence::Single) { pager.sync() } else { Ok(()) }
}

/// Reads the slots.
fn read_slots(pager: &Pager) -> Result<Slots> {
    let mut all = Vec::new();
    for page in SLOT_PAGES {
        all.extend(read_slot(pager, page)?);
    }
    let newest_first = |c: &ReadSlot| (std::cmp::Reverse(c.slot.checkpoint()), c.slot.copy);
    sort_by(&mut all, |one, two| newest_first(one).cmp(&newest_first(two)));
    let newest = all.first().map(|read| read.slot.checkpoint());
    let marked = all.iter().any(|it| Some(it.slot.checkpoint()) == newest && it.slot.logged);
    let agree = match all.as_mut_slice() {
        [first, copy] if first.slot.checkpoint() == copy.slot.checkpoint() && copy.slot.copy => {
            first.slot.settled = true;
            true
        }
        _ => false,
    };
    Ok(Slots { all, agree, marked })
}

/// Writes the pages of a commit, and its slot, again as they are. After a failed sync, the system's
/// cache may hold pages as if they had reached the disk, and no later sync would write them then.
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

/// Takes the first slot whose commit is whole.
fn choose(pager: &Arc<Pager>, slots: Vec<ReadSlot>) -> Result<Chosen> {
    let (mut first_error, mut discarded) = (None, None);
    for ReadSlot { page, slot } in slots {
        let newest = slot.clone();
        match whole(pager, slot) {
            Ok((state, born)) => return Ok(Chosen { state, page, born, discarded }),
            // A commit that was whole once is damaged now; the one before would be a silent loss.
            Err(error) if newest.settled || !is_incomplete(&error) => return Err(error),
            Err(error) => {
                first_error = first_error.or(Some(error));
                discarded = discarded.or(Some(newest));
            }
        }
    }
    let error = first_error.unwrap_or_else(|| pager.damaged(SLOT_PAGES[0], Damage::Header));
    Err(error)
}

/// Tells whether an interrupted commit can cause an error.
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
fn whole(pager: &Arc<Pager>, slot: HeaderSlot) -> Result<(CommitState, Vec<PageId>)> {
    let found_bytes = pager.file().len().map_err(|e| pager.io(&e))?;
    let expected_bytes = slot.page_count.saturating_mul(PAGE_BYTES as u64);
    if found_bytes < expected_bytes || found_bytes != expected_bytes && fault::on(Fault::Fp05) {
        let cause = FileErrorCause::Truncated { expected_bytes, found_bytes };
        return Err(Error::file(pager.path(), cause));
    }
    let walk = !slot.settled;
    let state = CommitState::load(Arc::clone(pager), slot)?;
    let mut born = BornPages { pager, commit: state.commit(), pages: Vec::new() };
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
struct BornPages<'a> {
    pager: &'a Pager,
    commit: CommitId,
    pages: Vec<PageId>,
}

impl BornPages<'_> {
    /// Adds a page; a commit under one sync has no more of them than the limit.
    fn add(&mut self, page: PageId) -> Result<()> {
        self.pages.push(page);
        if self.pages.len() > ONE_SYNC_PAGES_MAX {
            return Err(self.pager.damaged(page, Damage::Content));
        }
        Ok(())
    }

    fn chain(&mut self, bytes: u32, first: Pointer) -> Result<()> {
        let mut pages = Vec::new();
        self.pager.walk_chain(bytes, first, &mut |pointer, _| {
            pages.push(pointer.page);
            pages.len() <= ONE_SYNC_PAGES_MAX
        })?;
        pages.into_iter().try_for_each(|page| self.add(page))
    }

    fn node(&mut self, pointer: Option<Pointer>, level: Option<u8>) -> Result<()> {
        let Some(pointer) = pointer.filter(|pointer| pointer.birth == self.commit) else {
            return Ok(());
        };
        self.add(pointer.page)?;
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
