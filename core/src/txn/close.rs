//! Closing: the file gets no log, two durable slots, and a length close to that of its content
//! (S6).

use super::changes::TxnChanges;
use super::checkpoint::{CheckpointPlan, checkpoint};
use super::failure::Failure;
use super::writer::{Versions, WriterState};
use crate::error::Result;
use crate::unit::{PAGE_BYTES, PageId};

/// A file of which more than one page in this many is free is truncated.
const FREE_SHARE: u64 = 10;

/// Most pages that closing relocates for that: 32 MiB.
const RELOCATED_MAX: u64 = 8192;

/// Writes the trees if the log holds commits, and truncates the file.
pub(crate) fn close(versions: &Versions, writer: &mut WriterState) -> Result<()> {
    writer.replay_log()?;
    let has_commits = writer.tip.log.tail().holds_commits();
    if has_commits {
        write_trees(versions, writer, None)?;
    } else if writer.log_marked {
        // A slot says that there is a log, and the log is empty after all.
        writer.replace_other_slot()?;
        writer.tip.pager.sync()?;
    }
    if writer.log_limits.is_none() {
        return if writer.slots_agree { Ok(()) } else { writer.copy_base_slot() };
    }
    if !writer.slots_agree {
        // Before the log is cut off, no slot may lead to a commit that needs it.
        writer.secure_slots()?;
    }
    let mut page_count = u64::MAX;
    // Nodes above the relocated ones may have found no room: closing tries again while that helps.
    while writer.tip.slot.page_count < page_count
        && versions.published.is_idle()
        && let Some(end) = truncation(writer)
    {
        page_count = writer.tip.slot.page_count;
        write_trees(versions, writer, Some(end))?;
        writer.secure_slots()?;
    }
    let pager = &writer.tip.pager;
    assert!(!writer.tip.log.tail().holds_commits(), "L1: the log is cut off with commits in it");
    let bytes = writer.tip.slot.page_count * PAGE_BYTES as u64;
    if pager.file().len().map_err(|e| pager.io(&e))? > bytes {
        pager.file().set_len(bytes).map_err(|e| pager.io(&e))?;
    }
    Ok(())
}

/// Makes a checkpoint of the last commit, under its number.
fn write_trees(
    versions: &Versions,
    writer: &mut WriterState,
    truncate_at: Option<PageId>,
) -> Result<()> {
    let (changes, commit) = (TxnChanges::new(writer).apply_buffered()?, writer.tip.commit());
    let plan = CheckpointPlan { commit, needs: writer.needs(versions), truncate_at };
    // The state is not published: snapshots that outlive the store keep theirs.
    writer.tip = checkpoint(writer, changes, plan).map_err(Failure::into_error)?;
    Ok(())
}

/// Returns the page at which a file with much free space can be truncated.
fn truncation(writer: &WriterState) -> Option<PageId> {
    let space = writer.space.as_ref()?;
    let (used, page_count) = (space.used(), space.page_count());
    // A relocation also changes the nodes above, and the record of free pages.
    let end = used + used / 32 + 4;
    let wasteful = page_count > used + used / FREE_SHARE + 4;
    (wasteful && space.used_from(end) <= RELOCATED_MAX).then_some(PageId(end))
}
