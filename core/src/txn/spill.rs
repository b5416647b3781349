//! Spilling: a transaction that is larger than the cache writes its changed nodes before its
//! commit, and reads them back when it needs them.
//!
//! The nodes go to pages that no state needs, as those of a checkpoint do. Nothing leads to them
//! until the transaction commits, and a rollback returns them. A node that changes again gets
//! another page, or the same one under another salt (E1). Only a transaction that the log has no
//! room for spills, because its commit is a checkpoint in any case.
//!
//! - G3 A transaction takes no more memory than the cache budget allows, however many nodes it
//!   changes.
//!
//! Check: `sim::check::bounds`, `sim::check::crash`, `sim::check::pins`.

use super::changes::EditedTree;
use super::state::CommitState;
use super::writer::{Versions, WriterState};
use crate::conc::Arc;
use crate::error::{Damage, Result};
use crate::fault::{self, Fault};
use crate::page::NUMBERS_END;
use crate::pager::PageWriter;
use crate::unit::{PAGE_BYTES, PageId};
use std::io;

/// The part of the cache budget that changed nodes take at least when they are spilled.
const SPILL_PART: usize = 8;

/// Spills the changes of the open transaction.
#[derive(Debug)]
pub(crate) struct Spiller<'a> {
    pub(crate) base: &'a Arc<CommitState>,
    pub(crate) versions: &'a Versions,
    pub(crate) writer: &'a mut WriterState,
}

impl Spiller<'_> {
    /// Tells whether the cache is over its budget, so that changed nodes may have to be written.
    pub(crate) fn is_due(&self) -> bool {
        let cache = self.base.pager.cache();
        cache.bytes() > cache.bytes_max().max(self.writer.spilled.next_bytes)
    }

    /// Evicts other nodes. If the cache has no room then, writes the changed nodes of these trees,
    /// and drops all nodes that the transaction holds.
    ///
    /// # Errors
    /// If the disk is full or fails: the transaction can only be dropped.
    pub(crate) fn run(&mut self, trees: &mut [&mut EditedTree]) -> Result<()> {
        let base = self.base;
        let cache = base.pager.cache();
        cache.make_room_after_write();
        let has_number = base.commit().next().0 < NUMBERS_END;
        if cache.has_room() || !has_number || fault::on(Fault::Fs30) {
            return Ok(());
        }
        let least = (cache.bytes_max() / SPILL_PART).max(self.writer.spill_bytes_min);
        let changed = trees.iter_mut().filter(|edited| edited.tree.changed);
        let mut changed: Vec<_> = changed.map(|edited| &mut **edited).collect();
        let bytes: usize = changed.iter().map(|edited| edited.tree.resident_bytes()).sum();
        if bytes < least {
            self.writer.spilled.next_bytes = cache.bytes().saturating_add(least);
            return Ok(());
        }
        self.writer.spilled.next_bytes = 0;
        self.spill(&mut changed)
    }

    /// Writes the changed nodes of trees, and drops them.
    fn spill(&mut self, trees: &mut [&mut EditedTree]) -> Result<()> {
        let Self { base, versions, writer } = self;
        let needs = writer.needs(versions);
        if writer.space.is_none() {
            writer.space = Some(base.load_space()?);
        }
        let WriterState { space: Some(space), spilled, .. } = &mut **writer else {
            return Ok(());
        };
        if fault::on(Fault::Fs34) {
            space.release_all();
        }
        space.release(&needs.pins, needs.durable);
        // The commits that are buffered are written to the log while the transaction is open.
        let end = if fault::on(Fault::Fs31) { PageId(0) } else { base.log.tail().end() };
        let draft = spilled.draft.get_or_insert_with(|| space.draft(end));
        let (pager, commit) = (&base.pager, base.commit().next());
        for edited in trees.iter_mut() {
            edited.tree.rebalance(pager.cache());
            let taken_over = draft.take_over(&mut edited.freed, commit);
            taken_over.map_err(|page| pager.damaged(page, Damage::Content))?;
        }
        let pages: usize = trees.iter().map(|edited| edited.tree.pages()).sum();
        draft.reuse(pages);
        if pages > draft.taken.len() {
            space.take(draft, pages - draft.taken.len());
        }
        let mut taken = draft.taken.clone();
        taken.sort_unstable();
        let mut pages = PageWriter::new(pager, commit, taken)?;
        trees.iter_mut().try_for_each(|edited| edited.tree.flush_nodes(&mut pages))?;
        pages.finish()?;
        draft.spill();
        trees.iter_mut().for_each(|edited| edited.tree.evict_all());
        Ok(())
    }
}

impl WriterState {
    /// Returns the pages that a transaction has spilled and that did not commit.
    pub(crate) fn cancel_spill(&mut self) {
        let Some(draft) = std::mem::take(&mut self.spilled).draft else { return };
        let Some(space) = &mut self.space else { return };
        let has_grown = draft.page_count > space.page_count();
        if !fault::on(Fault::Fs32) {
            space.cancel(draft);
        }
        if has_grown && !self.poisoned {
            // If this fails, closing truncates the file.
            drop(self.cut_off());
        }
    }

    /// Cuts the file off behind its log.
    fn cut_off(&self) -> io::Result<()> {
        let end = self.tip.log.tail().allocated();
        let (file, bytes) = (self.tip.pager.file(), end.0.saturating_mul(PAGE_BYTES as u64));
        if file.len()? > bytes { file.set_len(bytes) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use crate::{Error, Key, Store, StoreOptions, WriteTxn};
    use std::path::Path;

    const BUDGET: usize = 1 << 20;
    const ENTRIES: u32 = 60_000;

    fn options(encrypted: bool) -> StoreOptions {
        let options = StoreOptions::new().cache_bytes(BUDGET).spill_bytes(BUDGET / 8);
        if encrypted { options.key(Key::new([7; 64])) } else { options }
    }

    /// Keys come in an order that looks random; few values are out of line.
    fn entry(number: u32, round: u8) -> ([u8; 4], Vec<u8>) {
        let len = if number.is_multiple_of(500) { 20_000 } else { 200 };
        (number.wrapping_mul(0x9e37_79b1).to_be_bytes(), vec![round; len])
    }

    fn load(txn: &mut WriteTxn, round: u8) -> Result<(), Error> {
        let mut tree = txn.tree("t")?;
        for number in 0..ENTRIES {
            let (key, value) = entry(number, round);
            tree.insert(&key, &value)?;
        }
        Ok(())
    }

    fn check(store: &Store, round: u8) {
        let snapshot = store.snapshot();
        let tree = snapshot.tree("t");
        assert_eq!(tree.len(), u64::from(ENTRIES));
        for number in 0..ENTRIES {
            let (key, value) = entry(number, round);
            assert_eq!(tree.get(&key).unwrap().unwrap(), value[..]);
        }
        let found = snapshot.verify().unwrap();
        assert_eq!(found.problems, []);
        assert_eq!(found.reachable + found.free, found.page_count);
    }

    /// Returns the most memory that a body has taken.
    fn most_bytes(body: impl FnOnce()) -> u64 {
        allocation_counter::measure(body).bytes_max
    }

    fn file_bytes(path: &Path) -> u64 {
        std::fs::metadata(path).unwrap().len()
    }

    #[test]
    fn a_transaction_of_many_times_the_cache_takes_no_more_memory_than_the_cache() {
        for encrypted in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("store");
            let store = options(encrypted).create(&path).unwrap();
            for round in 1..4 {
                let most = most_bytes(|| {
                    let mut txn = store.write().unwrap();
                    load(&mut txn, round).unwrap();
                    assert!(txn.spilled_pages() > 3000, "{} pages", txn.spilled_pages());
                    txn.commit().unwrap();
                });
                assert!(most < 4 * BUDGET as u64, "G3: {most} bytes in round {round}");
                check(&store, round);
            }
            // A third of the file are the pages of the commit before, and a third reused ones.
            let (len, content) = (file_bytes(&path), 17 << 20);
            assert!(len < 4 * content, "S4: {len} bytes");
            drop(store);
            check(&options(encrypted).open(&path).unwrap(), 3);
        }
    }

    #[test]
    fn a_rollback_returns_the_spilled_pages_and_cuts_the_file_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        let store = options(false).create(&path).unwrap();
        let mut txn = store.write().unwrap();
        load(&mut txn, 1).unwrap();
        txn.commit().unwrap();
        let before = store.info().unwrap();
        for _ in 0..3 {
            let mut txn = store.write().unwrap();
            load(&mut txn, 2).unwrap();
            assert!(file_bytes(&path) > before.file_bytes);
            txn.tree("t").unwrap().clear().unwrap();
            load(&mut txn, 3).unwrap();
            drop(txn);
            let after = store.info().unwrap();
            assert_eq!(
                (after.page_count, after.free_pages),
                (before.page_count, before.free_pages)
            );
            assert!(after.file_bytes <= before.file_bytes, "{} bytes", after.file_bytes);
        }
        let mut txn = store.write().unwrap();
        txn.tree("t").unwrap().insert(b"one more", b"entry").unwrap();
        txn.tree("t").unwrap().remove(b"one more").unwrap();
        txn.commit().unwrap();
        check(&store, 1);
    }

    #[test]
    fn replaced_values_that_are_not_written_take_no_memory() {
        let store = StoreOptions::new().in_memory().unwrap();
        let mut txn = store.write().unwrap();
        let value = vec![1; 1 << 20];
        let most = most_bytes(|| {
            let mut tree = txn.tree("t").unwrap();
            for _ in 0..60 {
                tree.insert(b"key", &value).unwrap();
                tree.insert(b"other", &value).unwrap();
                tree.remove(b"other").unwrap();
            }
        });
        assert!(most < 8 << 20, "G2: {most} bytes");
    }
}
