//! The pages that a commit in progress takes and frees.
//!
//! A large transaction *spills*: it writes pages before its commit. If it changes such a page
//! again, no state needs the page, and the transaction may write other content there.

use super::bits::{Bits, CHUNK_PAGES, pages, split};
use super::held::FreedPage;
use crate::fault::{self, Fault};
use crate::sorted::Sorted;
use crate::unit::{CommitId, PageId};
use std::collections::BTreeMap;

/// Pages that a commit in progress takes and frees.
#[derive(Debug)]
pub(crate) struct Draft {
    /// Pages to write.
    pub(crate) taken: Vec<PageId>,
    pub(crate) page_count: u64,
    /// The page from which the file may grow, behind the log.
    pub(super) end: u64,
    /// Pages that growth skipped and that are not recorded as free yet.
    pub(crate) gap: Vec<FreedPage>,
    /// Chunks that changed, as the commit will record them.
    pub(super) changed: BTreeMap<u64, Bits>,
    /// Allocates the lowest free pages, in any number of runs.
    pub(super) packs: bool,
    /// Pages that were written before the commit, and are needed.
    spilled: BTreeMap<u64, Bits>,
    /// Pages that were written before the commit, and are not needed any more.
    reusable: BTreeMap<u64, Bits>,
    /// Pages of earlier commits that the transaction freed before it spilled last.
    freed: Vec<FreedPage>,
}

impl Draft {
    /// Starts a draft on a file of so many pages, which grows from `end` on.
    pub(super) fn new(page_count: u64, end: PageId) -> Self {
        Self {
            taken: Vec::new(),
            page_count,
            end: end.0.max(page_count),
            gap: Vec::new(),
            changed: BTreeMap::new(),
            packs: false,
            spilled: BTreeMap::new(),
            reusable: BTreeMap::new(),
            freed: Vec::new(),
        }
    }

    /// Makes the draft allocate the lowest free pages, so that the file can be truncated.
    pub(crate) const fn pack(mut self) -> Self {
        self.packs = true;
        self
    }

    /// Returns the record of a chunk in the draft's commit.
    pub(crate) fn chunk(&self, chunk: u64) -> Bits {
        self.changed.get(&chunk).copied().unwrap_or_default()
    }

    /// Records that the pages that were taken are written.
    pub(crate) fn spill(&mut self) {
        for page in self.taken.drain(..) {
            let (chunk, bit) = split(page);
            let is_new = self.spilled.entry(chunk).or_default().set(bit);
            assert!(is_new, "S1: page {page} is spilled twice");
        }
    }

    /// Returns the number of pages that were written before the commit, and are needed.
    pub(crate) fn spilled(&self) -> u64 {
        self.spilled.values().map(Bits::count).sum()
    }

    /// Takes over the pages that the transaction freed since it spilled last, if it did. Those that
    /// it has spilled itself, for `commit`, are reusable.
    ///
    /// # Errors
    /// A page of an earlier commit that was free, or one of this commit that was not spilled: the
    /// file is damaged.
    pub(crate) fn take_over(
        &mut self,
        freed: &mut Vec<FreedPage>,
        commit: CommitId,
    ) -> Result<(), PageId> {
        if self.spilled.is_empty() {
            return Ok(());
        }
        for freed in freed.drain(..) {
            let (chunk, bit) = split(freed.page);
            let was_spilled = self.spilled.get_mut(&chunk).is_some_and(|bits| bits.clear(bit));
            if was_spilled != (freed.birth == commit) {
                return Err(freed.page);
            }
            if was_spilled && fault::on(Fault::Fs35) {
                continue;
            }
            if was_spilled {
                self.reusable.entry(chunk).or_default().set(bit);
            } else {
                self.freed.push(freed);
            }
        }
        Ok(())
    }

    /// Takes up to `count` pages that are reusable.
    pub(crate) fn reuse(&mut self, count: usize) {
        while self.taken.len() < count
            && let Some(mut entry) = self.reusable.first_entry()
        {
            let (chunk, left) = (*entry.key(), count - self.taken.len());
            let chosen: Vec<u64> = entry.get().iter().take(left).collect();
            for bit in chosen {
                entry.get_mut().clear(bit);
                self.taken.push(PageId(chunk * CHUNK_PAGES + bit));
            }
            if entry.get().count() == 0 {
                entry.remove();
            }
        }
    }

    /// Returns the pages that the commit frees: those that the transaction freed before it spilled
    /// last, those that growth skipped, and those that are reusable.
    pub(crate) fn free_rest(&mut self) -> Vec<FreedPage> {
        let mut freed = std::mem::take(&mut self.freed);
        freed.append(&mut self.gap);
        freed.extend(pages(&self.reusable).map(FreedPage::unreachable));
        freed
    }

    /// Returns the chunks whose record the draft has changed so far.
    pub(crate) fn changed_chunks(&self) -> Sorted<u64, ()> {
        self.changed.keys().map(|chunk| (*chunk, ())).collect()
    }

    /// Returns all pages that the draft took.
    pub(super) fn pages(&self) -> impl Iterator<Item = PageId> {
        let written = pages(&self.spilled).chain(pages(&self.reusable));
        self.taken.iter().copied().chain(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn freed(page: u64, birth: u64) -> FreedPage {
        FreedPage { page: PageId(page), birth: CommitId(birth) }
    }

    fn taken(draft: &Draft) -> Vec<u64> {
        draft.taken.iter().map(|page| page.0).collect()
    }

    #[test]
    fn spilled_pages_that_are_freed_are_reused_and_the_rest_is_freed() {
        let mut draft = Draft::new(10, PageId(12));
        draft.taken.extend([PageId(20), PageId(5), PageId(2000), PageId(21)]);
        draft.spill();
        assert_eq!((draft.spilled(), taken(&draft)), (4, vec![]));
        let mut all = vec![freed(20, 7), freed(8, 3), freed(2000, 7), freed(5, 7)];
        assert_eq!(draft.take_over(&mut all, CommitId(7)), Ok(()));
        assert_eq!((draft.spilled(), all), (1, vec![]));
        draft.reuse(2);
        assert_eq!(taken(&draft), [5, 20]);
        let rest: Vec<u64> = draft.free_rest().iter().map(|freed| freed.page.0).collect();
        assert_eq!(rest, [8, 2000]);
        let mut pages: Vec<u64> = draft.pages().map(|page| page.0).collect();
        pages.sort_unstable();
        assert_eq!(pages, [5, 20, 21, 2000]);
    }

    #[test]
    fn a_freed_page_that_contradicts_the_spilled_ones_is_damage() {
        let mut draft = Draft::new(10, PageId(10));
        draft.taken.push(PageId(5));
        draft.spill();
        let mut take_over =
            |page, birth| draft.take_over(&mut vec![freed(page, birth)], CommitId(7));
        assert_eq!(take_over(6, 7), Err(PageId(6)), "not spilled");
        assert_eq!(take_over(5, 7), Ok(()));
        assert_eq!(take_over(5, 7), Err(PageId(5)), "freed twice");
        draft.reuse(1);
        draft.spill();
        let earlier = draft.take_over(&mut vec![freed(5, 6)], CommitId(7));
        assert_eq!(earlier, Err(PageId(5)), "in use and free in the base");
    }
}
