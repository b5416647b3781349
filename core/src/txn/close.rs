//! Closing: the file is left without a log, with two good slots, and not much longer than what it
//! holds (S6).

use super::changes::Changes;
use super::checkpoint::{Plan, checkpoint};
use super::commit::{Sync, needs};
use super::recover::settle;
use super::state::{Versions, Writer};
use crate::conc::Arc;
use crate::error::Result;
use crate::unit::{PAGE_BYTES, PageId};

/// A file of which more than one page in this many is free is made shorter.
const FREE_SHARE: u64 = 10;

/// Most pages that closing moves for that: 32 MiB.
const MOVED_MAX: u64 = 8192;

/// Writes the trees if the log holds anything, and gives back what the file need not have.
pub(crate) fn close(versions: &Versions, writer: &mut Writer) -> Result<()> {
    writer.catch_up()?;
    let logged = writer.tip.log.tail().end().0 > writer.tip.slot.page_count;
    if logged {
        write_trees(versions, writer, None)?;
    } else if writer.marked {
        // The slot tells of a log in which nothing is after all.
        (writer.marked, writer.settled) = (false, false);
    }
    if writer.log_limits.is_none() {
        return if writer.settled { Ok(()) } else { settle_base(writer) };
    }
    if !writer.settled {
        // Before the log goes, no slot may lead to a commit that needs it.
        secure(writer)?;
    }
    let mut page_count = u64::MAX;
    // Nodes above those that were moved may have found no room: once more, while that helps.
    while writer.tip.slot.page_count < page_count
        && versions.published.is_idle()
        && let Some(cut) = cut(writer)
    {
        page_count = writer.tip.slot.page_count;
        write_trees(versions, writer, Some(cut))?;
        secure(writer)?;
    }
    let pager = &writer.tip.pager;
    let bytes = writer.tip.slot.page_count * PAGE_BYTES as u64;
    if pager.file().len().map_err(|e| pager.io(&e))? > bytes {
        pager.file().set_len(bytes).map_err(|e| pager.io(&e))?;
    }
    Ok(())
}

/// Makes a checkpoint of the last commit, under its number.
fn write_trees(versions: &Versions, writer: &mut Writer, cut: Option<PageId>) -> Result<()> {
    let (changes, commit) = (Changes::new(writer).settle()?, writer.tip.commit());
    // Nothing is published: snapshots that outlive the store go on with what they have.
    let plan = Plan { commit, sync: Sync::Full, needs: needs(versions, writer), cut };
    writer.tip = checkpoint(writer, changes, plan, &mut false)?;
    Ok(())
}

fn settle_base(writer: &mut Writer) -> Result<()> {
    let tip = Arc::clone(&writer.tip);
    settle(&tip.pager, &tip.slot, writer)
}

/// Leaves two durable slots.
pub(crate) fn secure(writer: &mut Writer) -> Result<()> {
    settle_base(writer)?;
    writer.tip.pager.sync()?;
    writer.secured = true;
    Ok(())
}

/// Returns where a file can be cut that has much free space.
fn cut(writer: &Writer) -> Option<PageId> {
    let space = writer.space.as_ref()?;
    let (used, page_count) = (space.used(), space.page_count());
    // Moving changes the nodes above as well, and the record of free pages.
    let cut = used + used / 32 + 4;
    let wasteful = page_count > used + used / FREE_SHARE + 4;
    (wasteful && space.used_from(cut) <= MOVED_MAX).then_some(PageId(cut))
}
