//! Page ledger: which pages of a file are reachable, free, or of the log.

use crate::error::{Error, Result};
use crate::instance::error::InstanceError;
use crate::txn::{Store, StoreSnapshot, WriteTxn};
use crate::unit::{CommitId, PageId};
use crate::verify::{VisitedPage, Walk};

/// The pages of a file by their use in a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    /// Number of pages of the file, with the header.
    pub page_count: u64,
    /// Pages that the commit reaches, without those of the header, in order.
    pub reachable: Vec<PageId>,
    /// Pages recorded as free, in order.
    pub free: Vec<PageId>,
    /// Pages of the log, which follow the others, in order.
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

/// Returns the free pages of the file that the next commit may write, in order; none before the
/// first commit after opening. Waits for the writer lock.
///
/// # Errors
/// As [`Store::write`].
pub fn writable(store: &Store) -> Result<Vec<PageId>> {
    store.with_writer(|versions, writer| {
        let needs = writer.needs(versions);
        let Some(space) = &mut writer.space else { return Vec::new() };
        space.release(&needs.pins, needs.durable);
        space.writable().collect()
    })
}

/// The free pages of a file as its writer knows them, in memory and on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterBooks {
    /// Pages of the file, in memory and as the last checkpoint recorded it.
    pub page_counts: [u64; 2],
    /// Free pages in memory, in order.
    pub free: Vec<PageId>,
    /// Free pages as the last checkpoint recorded them, in order.
    pub recorded: Vec<PageId>,
    /// Free pages that may be written, and those that may not yet, in order.
    pub writable_and_held: Vec<PageId>,
}

/// Returns the free pages as the writer knows them; `None` until the first checkpoint since
/// opening. Waits for the writer.
///
/// # Errors
/// As [`Store::write`], or if the record cannot be read.
pub fn writer_books(store: &Store) -> Result<Option<WriterBooks>> {
    store.with_writer(|_, writer| {
        let Some(space) = &writer.space else { return Ok(None) };
        let base = &writer.tip;
        let mut writable_and_held: Vec<_> = space.writable().chain(space.held_pages()).collect();
        writable_and_held.sort_unstable();
        Ok(Some(WriterBooks {
            page_counts: [space.page_count(), base.slot.page_count],
            free: space.free_pages().collect(),
            recorded: base.load_space()?.free_pages().collect(),
            writable_and_held,
        }))
    })?
}

/// Returns the bytes of nodes that the cache budget counts, and of the derived keys, whose number
/// is bounded.
#[must_use]
pub fn cached_bytes(snapshot: &StoreSnapshot) -> [usize; 2] {
    let pager = &snapshot.state().pager;
    [pager.cache().bytes(), pager.sealer().key_bytes()]
}

/// Returns the last commit that updated the nodes of its predecessor in place. Waits for the writer
/// lock.
///
/// # Errors
/// As [`Store::write`].
pub fn last_in_place(store: &Store) -> Result<Option<CommitId>> {
    store.with_writer(|_, writer| writer.in_place)
}

/// Returns the number of pages that a transaction has written before its commit, and needs.
#[must_use]
pub fn spilled_pages(txn: &WriteTxn) -> u64 {
    txn.spilled_pages()
}

/// Returns whether the writer lock is held, without waiting for it.
#[must_use]
pub fn is_writing(store: &Store) -> bool {
    let locked = store.without_waiting().with_writer(|_, _| ());
    matches!(locked, Err(Error::Instance(InstanceError::BlockingForbidden { .. })))
}

/// Returns the number of writers that wait for the writer lock.
#[must_use]
pub fn waiting_writers(store: &Store) -> u64 {
    store.shared().waiting_writers()
}

/// Returns whether a commit that needs a sync of its own waits for the end of another sync.
#[must_use]
pub fn is_sync_awaited(store: &Store) -> bool {
    store.shared().versions.group.is_exclusive_wanted()
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
