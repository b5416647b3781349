//! Changing the last commit in place.
//!
//! Copy-on-write preserves the previous commit for its readers; without readers the copy is wasted
//! work. If no snapshot holds the last commit, and no writer waits until it is durable, a few puts
//! go into its own nodes. Readers block meanwhile, for about a microsecond. Nodes that an older
//! snapshot shares are copied all the same (N1, C6).
//!
//! Every step that can fail comes before the first change: the nodes are resident, the log has
//! room, and nothing is written.

use super::changes::{TreeChanges, TxnChanges};
use super::log::LogEntry;
use super::pins::Published;
use super::state::CommitState;
use super::trees::Trees;
use super::writer::WriterState;
use crate::conc::Arc;
use crate::fault::{self, Fault};
use crate::pager::Pager;
use crate::sorted::Sorted;
use crate::space::FreedPage;
use crate::tree::{EditContext, TreeEdit, TreeState};

/// Applies changes without durability to the last commit, and appends them to the log.
///
/// # Errors
/// The changes, if the last commit must be preserved. It is unchanged then.
pub(crate) fn commit_in_place(
    published: &Published<CommitState>,
    writer: &mut WriterState,
    changes: TxnChanges,
    entry: &LogEntry<'_>,
) -> Result<(), TxnChanges> {
    if !changes.trees.values().all(TreeChanges::is_buffered) {
        return Err(changes);
    }
    let TxnChanges { base, trees, journal, failed } = changes;
    // The writer holds the last commit as well.
    drop(base);
    let log = Arc::clone(&writer.tip.log);
    let mut tail = log.tail();
    let bytes = entry.changes.len();
    let fits = tail.has_room(entry.ops, bytes) && !tail.is_awaited() && !tail.is_full(bytes);
    let put = |state: &mut CommitState| {
        let CommitState { commit, pager, trees: all, space, .. } = state;
        assert!(*commit < entry.commit, "C6: {commit} becomes {} in place", entry.commit);
        let freed = put_all(all, space, &trees, pager)?;
        *commit = entry.commit;
        Some(freed)
    };
    let freed = fits.then(|| published.change(entry.commit, &mut writer.tip, put)).flatten();
    let Some(freed) = freed else {
        return Err(TxnChanges { base: Arc::clone(&writer.tip), trees, journal, failed });
    };
    let freed = if fault::on(Fault::Fs17) { &[] } else { &freed[..] };
    tail.append(&LogEntry { freed, ..*entry });
    writer.in_place = Some(entry.commit);
    Ok(())
}

/// Puts entries into trees without another holder, and returns the pages that these do not need any
/// more. `None` without a change if a tree has another holder, or a page would have to be read.
/// Meanwhile `stand_in` replaces the trees.
fn put_all(
    trees: &mut Trees,
    stand_in: &Arc<TreeState>,
    changed: &Sorted<Arc<str>, TreeChanges>,
    pager: &Pager,
) -> Option<Vec<FreedPage>> {
    let mut taken = Vec::with_capacity(changed.len());
    for (name, changes) in changed.iter() {
        let Some(tree) = trees.get_mut(name) else { break };
        let Some(edit) = TreeEdit::take(tree, stand_in) else { break };
        taken.push((name, changes, edit));
    }
    let reads_nothing = |(_, changes, edit): &(_, &TreeChanges, TreeEdit)| {
        changes.puts().all(|(key, _)| edit.inserts_without_reading(key))
    };
    let all_taken = taken.len() == changed.len();
    let mut freed = (all_taken && taken.iter().all(reads_nothing)).then(Vec::new);
    for (name, changes, mut edit) in taken {
        if let Some(freed) = &mut freed {
            let mut context = EditContext { pager, freed };
            for (key, value) in changes.puts() {
                let put = edit.insert(key, value, &mut context);
                put.expect("T3: an insertion into resident nodes reads nothing");
            }
        }
        if let Some(tree) = trees.get_mut(name) {
            *tree = edit.into_state(pager.cache());
        }
    }
    freed
}
