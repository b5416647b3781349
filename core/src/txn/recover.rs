//! Finding the commit a file is at, and making it safe to build on.
//!
//! The newest slot whose seal fits is taken if its commit is known to be whole: because it says so
//! (its pages were synced before it), or because every page born in it is there. Otherwise the other
//! slot is taken. Unless both slots agree, which a clean close leaves, the disk is then brought to a
//! state that no second crash can take back: sync first, then the other slot becomes a copy.
//!
//! - C4 Bytes that were not verified are never sealed again: only the chosen commit is.
//! - C5 What a reader saw after opening is still there after the next crash.

use super::commit::{ONE_SYNC_PAGES_MAX, write_slot};
use super::open::Mode;
use super::state::{SLOT_PAGES, State, Writer, other_slot};
use crate::conc::Arc;
use crate::error::{Damage, Error, FileErrorCause, Recovery, RecoveryOutcome, Result};
use crate::page::{CatalogAt, Pointer, Slot, ValueSpan};
use crate::tree::Pager;
use crate::unit::{CommitId, PAGE_BYTES, PageId, SLOT_BYTES};
use crate::vfs::read_whole;

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
struct Candidate {
    page: PageId,
    slot: Slot,
}

pub(crate) fn recover(pager: Arc<Pager>, mode: Mode) -> Result<(State, Writer, OpenedAs)> {
    let mut candidates = Vec::new();
    for page in SLOT_PAGES {
        candidates.extend(read_slot(&pager, page)?);
    }
    candidates.sort_by_key(|c| (std::cmp::Reverse(c.slot.commit), c.slot.copy));
    let agree = match candidates.as_mut_slice() {
        [first, copy] if first.slot.commit == copy.slot.commit && copy.slot.copy => {
            first.slot.settled = true;
            true
        }
        _ => false,
    };
    let readable = candidates.len();
    let newest = candidates.first().map(|c| c.slot.commit);
    let (state, page) = choose(&pager, candidates)?;
    let commit = state.commit();
    let outcome = match newest {
        Some(newest) if newest != commit => RecoveryOutcome::CommitDiscarded(newest),
        _ if readable < SLOT_PAGES.len() => RecoveryOutcome::SlotDiscarded,
        _ => RecoveryOutcome::LastCommitWhole,
    };
    let recovery = (!agree).then_some(Recovery { commit, outcome });
    let mut writer = Writer { space: None, slot_page: page, settled: agree, poisoned: false };
    if mode == Mode::Write && !agree {
        let discarded = outcome != RecoveryOutcome::LastCommitWhole;
        secure(&pager, &state, &mut writer, discarded)?;
    }
    Ok((state, writer, OpenedAs { recovery, read_only: mode == Mode::Read }))
}

/// Makes a recovered commit durable, whatever happens next.
fn secure(pager: &Pager, state: &State, writer: &mut Writer, discarded: bool) -> Result<()> {
    // The pages may be in the system's cache only, if a process died and not the machine.
    pager.sync()?;
    settle(pager, &state.slot, writer)?;
    // A commit that was discarded must not come back once readers have seen the one before.
    if discarded { pager.sync() } else { Ok(()) }
}

/// Writes a durable commit into the other slot too. This copy need not reach the disk: the next
/// commit replaces it, and not the slot that is known to be there.
pub(crate) fn settle(pager: &Pager, slot: &Slot, writer: &mut Writer) -> Result<()> {
    let page = other_slot(writer.slot_page);
    let slot = Slot { settled: true, copy: true, ..slot.clone() };
    write_slot(pager, pager.batch()?, &slot, page)?;
    writer.settled = true;
    Ok(())
}

fn read_slot(pager: &Pager, page: PageId) -> Result<Option<Candidate>> {
    let mut bytes = [0; SLOT_BYTES];
    let there = read_whole(pager.file(), &mut bytes, page.offset()).map_err(|e| pager.io(&e))?;
    if !there || !pager.sealer().open_slot(page, &mut bytes) {
        return Ok(None);
    }
    let slot = Slot::decode(&bytes).ok_or_else(|| pager.damaged(page, Damage::Content))?;
    Ok(Some(Candidate { page, slot }))
}

/// Takes the first candidate whose commit is whole.
fn choose(pager: &Arc<Pager>, candidates: Vec<Candidate>) -> Result<(State, PageId)> {
    let mut first_error = None;
    for Candidate { page, slot } in candidates {
        let settled = slot.settled;
        match whole(pager, slot) {
            Ok(state) => return Ok((state, page)),
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

/// Loads the commit of a slot; unless it is settled, walks the pages born in it.
fn whole(pager: &Arc<Pager>, slot: Slot) -> Result<State> {
    let found_bytes = pager.file().len().map_err(|e| pager.io(&e))?;
    let expected_bytes = slot.page_count * PAGE_BYTES as u64;
    if found_bytes < expected_bytes {
        let cause = FileErrorCause::Truncated { expected_bytes, found_bytes };
        return Err(Error::file(pager.path(), cause));
    }
    let walk = !slot.settled;
    let state = State::load(Arc::clone(pager), slot)?;
    if walk {
        let mut born = Born { pager, commit: state.commit(), left: ONE_SYNC_PAGES_MAX };
        if let CatalogAt::Stored { first, .. } = &state.slot.catalog {
            born.count(first, state.catalog_pages.len())?;
        }
        for tree in state.trees.values() {
            born.node(tree.record.root)?;
        }
        born.node(state.slot.space.root)?;
    }
    Ok(state)
}

/// A walk over the pages born in one commit.
struct Born<'a> {
    pager: &'a Pager,
    commit: CommitId,
    left: usize,
}

impl Born<'_> {
    fn count(&mut self, pointer: &Pointer, pages: usize) -> Result<()> {
        match self.left.checked_sub(pages) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(self.pager.damaged(pointer.page, Damage::Content)),
        }
    }

    fn node(&mut self, pointer: Option<Pointer>) -> Result<()> {
        let Some(pointer) = pointer.filter(|pointer| pointer.birth == self.commit) else {
            return Ok(());
        };
        self.count(&pointer, 1)?;
        let node = self.pager.node(&pointer, None)?;
        self.below(&node)
    }

    fn below(&mut self, node: &crate::tree::Node) -> Result<()> {
        let level = node.page.level();
        for index in 0..node.page.count() {
            if level > 0 {
                let pointer = node.page.child(index);
                if pointer.birth == self.commit {
                    self.count(&pointer, 1)?;
                    let child = self.pager.node(&pointer, Some(level - 1))?;
                    self.below(&child)?;
                }
            } else if let ValueSpan::Stored { bytes, first } = node.page.value(index)
                && first.birth == self.commit
            {
                let mut pages = 0;
                self.pager.chain(bytes, first, |_| pages += 1)?;
                self.count(&first, pages)?;
            }
        }
        Ok(())
    }
}
