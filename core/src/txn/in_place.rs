//! Changing the last commit where it is.
//!
//! To copy the nodes above what changes keeps the commit before for those who read it. If nobody
//! does - no snapshot holds it, and nobody waits until it is durable - the copies are for nothing,
//! and take most of the time of a commit that nobody waits for. So a few puts into trees that are
//! there go into the nodes as they stand; readers that come meanwhile wait for that, a microsecond
//! or so. Nodes that an older snapshot has in common are copied all the same (N1, C6).
//!
//! All that can fail is found out before anything changes: the nodes are in memory already, there
//! is room in the log, and nothing is written now.

use super::changes::{Changes, TreeChanges};
use super::log::Entry;
use super::pins::Published;
use super::state::{State, Trees, Writer};
use crate::conc::Arc;
use crate::fault::{self, Fault};
use crate::pager::Pager;
use crate::sorted::Sorted;
use crate::tree::{EditContext, TreeEdit, TreeState};
use crate::unit::PageId;

/// Makes changes that nobody waits for the last commit, and adds them to the log.
///
/// # Errors
/// The changes, if the last commit has to stay as it is. It is as it was then.
pub(crate) fn put_in_place(
    published: &Published<State>,
    writer: &mut Writer,
    changes: Changes,
    entry: &Entry<'_>,
) -> Result<(), Changes> {
    if !changes.trees.values().all(TreeChanges::is_aside) {
        return Err(changes);
    }
    let Changes { base, trees, journal, failed } = changes;
    // The base is the last commit, which the writer holds as well.
    drop(base);
    let log = Arc::clone(&writer.tip.log);
    let mut tail = log.tail();
    let bytes = entry.changes.len();
    let waits = tail.has_room(entry.ops, bytes) && !tail.is_awaited() && !tail.is_full(bytes);
    let put = |state: &mut State| {
        let State { commit, pager, trees: all, space, .. } = state;
        let freed = put_all((all, space), &trees, pager)?;
        *commit = entry.commit;
        Some(freed)
    };
    let freed = waits.then(|| published.change(entry.commit, &mut writer.tip, put)).flatten();
    let Some(freed) = freed else {
        return Err(Changes { base: Arc::clone(&writer.tip), trees, journal, failed });
    };
    let freed = if fault::on(Fault::Fs17) { &[] } else { &freed[..] };
    tail.add(&Entry { freed, ..*entry });
    writer.in_place = Some(entry.commit);
    Ok(())
}

/// Puts entries into trees that nobody else holds, and returns the pages that these do without;
/// `None`, and all is as it was, if somebody does, or something would have to be read. Meanwhile
/// another tree stands in for them.
fn put_all(
    (trees, stand_in): (&mut Trees, &Arc<TreeState>),
    changed: &Sorted<Arc<str>, TreeChanges>,
    pager: &Pager,
) -> Option<Vec<PageId>> {
    let mut taken = Vec::with_capacity(changed.len());
    for (name, changes) in changed.iter() {
        let Some(tree) = trees.get_mut(&**name) else { break };
        let Some(edit) = TreeEdit::take(tree, stand_in) else { break };
        taken.push((name, changes, edit));
    }
    let at_once = |(_, changes, edit): &(_, &TreeChanges, TreeEdit)| {
        changes.puts().all(|(key, _)| edit.inserts_without_reading(key))
    };
    let mut freed = (taken.len() == changed.len() && taken.iter().all(at_once)).then(Vec::new);
    for (name, changes, mut edit) in taken {
        if let Some(freed) = &mut freed {
            let mut edits = EditContext { pager, freed };
            for (key, value) in changes.puts() {
                let put = edit.insert(key, value, &mut edits);
                put.expect("T3: what takes an entry at once reads nothing");
            }
        }
        if let Some(tree) = trees.get_mut(&**name) {
            *tree = edit.into_state(pager.cache());
        }
    }
    freed
}
