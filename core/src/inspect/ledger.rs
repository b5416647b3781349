//! The page ledger: where every page of a file is accounted for.

use crate::error::{Error, Result};
use crate::instance::error::InstanceError;
use crate::txn::{Store, StoreSnapshot};
use crate::unit::{CommitId, PageId};
use crate::verify::{VisitedPage, Walk};

/// Where the pages of a commit are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Pages of the file, the header included.
    pub page_count: u64,
    /// Pages that hold the commit, the header's not included, in order.
    pub reachable: Vec<PageId>,
    /// Pages recorded as free, in order.
    pub free: Vec<PageId>,
    /// Pages of the log, behind those of the file, in order.
    pub log: Vec<PageId>,
}

/// Walks a commit and returns its ledger.
///
/// # Errors
/// If a page cannot be read or is damaged.
pub fn ledger(snapshot: &StoreSnapshot) -> Result<Ledger> {
    let state = snapshot.state();
    let mut reachable = Vec::new();
    let mut visit = |met: &VisitedPage<'_>| reachable.push(met.pointer.page);
    let mut walk = Walk::visiting(state, &mut visit);
    walk.state(state)?;
    drop(walk);
    reachable.sort_unstable();
    let mut free: Vec<_> = state.load_space()?.writable().collect();
    free.sort_unstable();
    let page_count = state.slot.page_count;
    let log = (page_count..state.log.tail().written().1.0).map(PageId).collect();
    Ok(Ledger { page_count, reachable, free, log })
}

/// Returns the pages that the next commit may write inside the file, in order; empty until the
/// first commit since opening. Waits for the writer.
///
/// # Errors
/// As [`Store::write`].
pub fn writable(store: &Store) -> Result<Vec<PageId>> {
    store.with_writer(|versions, writer| {
        let needs = writer.needs(versions);
        let Some(space) = &mut writer.space else { return Vec::new() };
        space.release(needs.oldest, needs.durable);
        space.writable().collect()
    })
}

/// Returns the last commit that changed the one before where it was. Waits for the writer.
///
/// # Errors
/// As [`Store::write`].
pub fn last_in_place(store: &Store) -> Result<Option<CommitId>> {
    store.with_writer(|_, writer| writer.in_place)
}

/// Tells whether the writer lock is held, without waiting for it.
#[must_use]
pub fn is_writing(store: &Store) -> bool {
    let locked = store.without_waiting().with_writer(|_, _| ());
    matches!(locked, Err(Error::Instance(InstanceError::BlockingForbidden { .. })))
}

/// Tells whether a commit that syncs by itself waits until a sync that is under way has ended.
#[must_use]
pub fn is_sync_awaited(store: &Store) -> bool {
    store.versions().group.is_exclusive_wanted()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreOptions;

    #[test]
    fn every_page_is_reachable_or_free() {
        let store = StoreOptions::new().in_memory().unwrap();
        for round in 0..20_u8 {
            let mut txn = store.write().unwrap();
            let mut tree = txn.tree("t").unwrap();
            for key in 0..60_u8 {
                tree.insert(&[key, round % 3], &[round; 90]).unwrap();
            }
            tree.insert(b"long", &vec![round; 9000]).unwrap();
            txn.commit().unwrap();
            let ledger = ledger(&store.snapshot()).unwrap();
            let count = ledger.reachable.len() + ledger.free.len() + 3;
            assert_eq!(count as u64, ledger.page_count);
            assert_eq!(store.snapshot().verify().unwrap().problems, []);
            let mut all = ledger.reachable;
            all.retain(|page| writable(&store).unwrap().contains(page));
            assert_eq!(all, [], "a page in use may be written");
        }
    }
}
