//! Free-space map: the free pages of a file, and those of them that may be written now.
//!
//! Every commit records its free pages in a tree: chunk number to a bitmap of 1024 pages.
//! In memory the writer also knows which of them an older state still needs.
//!
//! - S1 Every page is either reachable from the commit or free in it, never both.
//! - S2 A page is written again only after a commit after the one that freed it is durable, and no
//!   snapshot exists that reaches the page. Then neither header slot nor any reader needs it.
//! - S3 A commit allocates its pages in as few contiguous runs as possible. Only closing packs
//!   pages towards the beginning of the file.
//! - S7 A snapshot keeps only pages that it reaches: those that were written up to its commit, and
//!   freed after it.
//! - S8 After every commit, failed or not, the free pages are those of the last record: each is
//!   writable or held.
//!
//! Format: docs/format.md#space. Check: `sim::check::pins`.

mod bits;
mod draft;
mod held;

pub(crate) use bits::{Bits, CHUNK_PAGES};
pub(crate) use draft::Draft;
pub(crate) use held::{FreedPage, Pins};

use crate::fault::{self, Fault};
use crate::sorted::Sorted;
use crate::unit::{CommitId, HEADER_PAGES, PageId};
use bits::{pages, split};
use held::HeldPages;
use std::collections::BTreeMap;

/// If more than one page in this many is free, runs of any length are used before the file grows.
const FREE_SHARE: u64 = 8;

/// Numbers of chunks.
pub(crate) type Chunks = Sorted<u64, ()>;

/// A run of pages within a chunk.
#[derive(Clone, Copy, Debug)]
struct Run {
    chunk: u64,
    start: u64,
    len: u64,
}

/// The free pages of a file, as its one writer knows them.
#[derive(Debug)]
pub(crate) struct Space {
    page_count: u64,
    /// Free pages of the last commit.
    free: BTreeMap<u64, Bits>,
    /// Free pages that may be written now.
    ready: BTreeMap<u64, Bits>,
    ready_count: u64,
    /// The other free pages.
    held: HeldPages,
}

impl Space {
    /// Creates the map from the record of a commit, when no older state is in use. `None` if the
    /// record names a page that the file does not have.
    pub(crate) fn of_commit(page_count: u64, free: BTreeMap<u64, Bits>) -> Option<Self> {
        let ends_within = free.iter().all(|(&chunk, bits)| {
            bits.last().is_none_or(|last| {
                chunk.checked_mul(CHUNK_PAGES).is_some_and(|start| start + last < page_count)
            })
        });
        let clear_of_header = free.get(&0).is_none_or(|bits| bits.first_at_least(HEADER_PAGES));
        let ready_count = free.values().map(Bits::count).sum();
        let ready = free.clone();
        let held = HeldPages::default();
        (ends_within && clear_of_header).then_some(Self {
            page_count,
            free,
            ready,
            ready_count,
            held,
        })
    }

    /// Makes pages writable that no pinned state needs; `durable` is the last commit.
    pub(crate) fn release(&mut self, pins: &Pins, durable: CommitId) {
        for page in self.held.release(pins, durable) {
            self.make_ready(page);
        }
    }

    fn make_ready(&mut self, page: PageId) {
        let (chunk, bit) = split(page);
        let is_new = self.ready.entry(chunk).or_default().set(bit);
        assert!(is_new, "S2: page {page} becomes writable twice");
        self.ready_count += 1;
    }

    /// Returns the number of pages in use, with those of the header.
    pub(crate) fn used(&self) -> u64 {
        self.page_count - self.free.values().map(Bits::count).sum::<u64>()
    }

    pub(crate) const fn page_count(&self) -> u64 {
        self.page_count
    }

    /// Returns the number of pages in use from `cut` on.
    pub(crate) fn used_from(&self, cut: u64) -> u64 {
        let free = self.free.iter().map(|(&chunk, bits)| {
            bits.count() - bits.before(cut.saturating_sub(chunk * CHUNK_PAGES)).count()
        });
        self.page_count - cut - free.sum::<u64>()
    }

    /// Makes every free page writable, when no reader exists.
    pub(crate) fn release_all(&mut self) {
        for page in std::mem::take(&mut self.held).into_pages() {
            self.make_ready(page);
        }
    }

    /// Truncates a packing draft by the free pages at the end of the file, and returns the chunks
    /// whose record changes.
    pub(crate) fn shorten(&self, draft: &mut Draft) -> Chunks {
        if !draft.packs {
            return Chunks::new();
        }
        let free = |draft: &Draft, page: u64| {
            let (chunk, bit) = split(PageId(page));
            let bits = draft.changed.get(&chunk).or_else(|| self.free.get(&chunk));
            bits.is_some_and(|bits| bits.has(bit))
        };
        let before = self.page_count.max(draft.page_count);
        while draft.page_count > HEADER_PAGES && free(draft, draft.page_count - 1) {
            draft.page_count -= 1;
        }
        let mut chunks = Chunks::new();
        for page in draft.page_count..before {
            if free(draft, page) {
                let (chunk, bit) = split(PageId(page));
                let recorded = self.free.get(&chunk).copied().unwrap_or_default();
                let was_free = draft.changed.entry(chunk).or_insert(recorded).clear(bit);
                assert!(was_free, "S1: page {page} is cut off and not free");
                chunks.insert(chunk, ());
            }
        }
        chunks
    }

    /// Starts a draft. The file grows from `end` on, behind the log.
    pub(crate) fn draft(&self, end: PageId) -> Draft {
        Draft::new(self.page_count, end)
    }

    /// Allocates `count` more pages for a draft and returns the chunks whose record changes.
    pub(crate) fn take(&mut self, draft: &mut Draft, count: usize) -> Chunks {
        let before = draft.taken.len();
        let chunks = self.take_scattered(draft, count as u64);
        let taken = draft.taken.len() - before;
        assert!(taken == count, "S1: {taken} pages are taken, {count} are wanted");
        chunks
    }

    /// Takes one run, or else the longest runs, or else pages behind the end.
    fn take_scattered(&mut self, draft: &mut Draft, wanted: u64) -> Chunks {
        let mut chunks = Chunks::new();
        let mut left = wanted;
        if !draft.packs
            && let Some(run) = self.run_of(wanted)
        {
            self.take_run(draft, &mut chunks, run);
            return chunks;
        }
        let scatters = match draft.packs {
            true => !fault::on(Fault::Fs18),
            false => self.ready_count >= wanted.max(self.page_count / FREE_SHARE),
        };
        if scatters {
            let mut runs = self.runs();
            if !draft.packs {
                // Longest run first. The sort is stable, so equal runs stay in page order.
                runs.sort_by_key(|run| std::cmp::Reverse(run.len));
            }
            for run in runs {
                let len = run.len.min(left);
                if len > 0 {
                    self.take_run(draft, &mut chunks, Run { len, ..run });
                }
                left -= len;
            }
        }
        if left > 0 {
            let skipped = (draft.page_count..draft.end).map(PageId);
            draft.gap.extend(skipped.map(FreedPage::unreachable));
            draft.page_count = draft.page_count.max(draft.end);
            draft.taken.extend((draft.page_count..draft.page_count + left).map(PageId));
            draft.page_count += left;
        }
        chunks
    }

    fn take_run(&mut self, draft: &mut Draft, chunks: &mut Chunks, run: Run) {
        let Run { chunk, start, len } = run;
        let ready = self.ready.entry(chunk).or_default();
        let recorded = self.free.get(&chunk).copied().unwrap_or_default();
        let changed = draft.changed.entry(chunk).or_insert(recorded);
        for bit in start..start + len {
            assert!(ready.clear(bit), "S2: page {bit} of chunk {chunk} is taken and not writable");
            // The page is no longer free in the draft; truncation has cleared it already.
            changed.clear(bit);
            let page = chunk * CHUNK_PAGES + bit;
            draft.taken.push(PageId(page));
            if page >= draft.page_count {
                // After a truncation, the pages before this one become free again.
                let skipped = (draft.page_count..page).map(PageId);
                draft.gap.extend(skipped.map(FreedPage::unreachable));
                draft.page_count = page + 1;
            }
        }
        if ready.count() == 0 {
            self.ready.remove(&chunk);
        }
        self.ready_count -= len;
        chunks.insert(chunk, ());
    }

    /// Returns the first run of at least `count` pages within a chunk.
    fn run_of(&self, count: u64) -> Option<Run> {
        if self.ready_count < count || count > CHUNK_PAGES {
            return None;
        }
        let run = |chunk, start| Run { chunk, start, len: count };
        self.ready.iter().find_map(|(&chunk, bits)| Some(run(chunk, bits.run_of(count)?)))
    }

    /// Returns the runs of pages that may be written, in order.
    fn runs(&self) -> Vec<Run> {
        let mut runs = Vec::new();
        for (&chunk, bits) in &self.ready {
            bits.runs(|start, len| {
                runs.push(Run { chunk, start, len });
                false
            });
        }
        runs
    }

    /// Frees pages in a draft; returns the chunks whose record changes.
    ///
    /// # Errors
    /// The page that is free already, which proves that the file is damaged.
    pub(crate) fn free(&self, draft: &mut Draft, pages: &[FreedPage]) -> Result<Chunks, PageId> {
        let mut chunks = Chunks::new();
        for &FreedPage { page, .. } in pages {
            let (chunk, bit) = split(page);
            let recorded = self.free.get(&chunk).copied().unwrap_or_default();
            let changed = draft.changed.entry(chunk).or_insert(recorded);
            if !changed.set(bit) {
                return Err(page);
            }
            chunks.insert(chunk, ());
        }
        Ok(chunks)
    }

    /// Makes the pages of a draft writable again after its commit failed.
    pub(crate) fn cancel(&mut self, draft: Draft) {
        if fault::on(Fault::Fs26) {
            return;
        }
        for page in draft.pages() {
            if page.0 < self.page_count {
                self.make_ready(page);
            }
        }
    }

    /// Makes the draft's commit the last one.
    pub(crate) fn publish(&mut self, draft: Draft, commit: CommitId, mut freed: Vec<FreedPage>) {
        assert!(
            draft.page_count >= HEADER_PAGES,
            "C1: {} pages are less than the header",
            draft.page_count
        );
        if draft.page_count < self.page_count {
            self.forget_from(draft.page_count);
            freed.retain(|freed| freed.page.0 < draft.page_count);
        }
        self.page_count = draft.page_count;
        self.free.extend(draft.changed);
        self.held.add(commit, freed);
    }

    /// Removes the pages from `end` on, where the file ends now.
    fn forget_from(&mut self, end: u64) {
        self.ready.retain(|&chunk, bits| {
            *bits = bits.before(end.saturating_sub(chunk * CHUNK_PAGES));
            bits.count() > 0
        });
        self.ready_count = self.ready.values().map(Bits::count).sum();
    }

    /// Returns the pages that are free in the last commit.
    #[allow(dead_code, reason = "for `inspect` and the loom models")]
    pub(crate) fn free_pages(&self) -> impl Iterator<Item = PageId> {
        pages(&self.free)
    }

    /// Returns the free pages that may not be written yet.
    #[allow(dead_code, reason = "for `inspect` and the loom models")]
    pub(crate) fn held_pages(&self) -> impl Iterator<Item = PageId> {
        self.held.pages()
    }

    /// Returns the pages that may be written now.
    pub(crate) fn writable(&self) -> impl Iterator<Item = PageId> {
        pages(&self.ready)
    }
}

/// Returns the key of a chunk in the tree of free pages.
pub(crate) const fn chunk_key(chunk: u64) -> [u8; 8] {
    chunk.to_be_bytes()
}

/// Decodes an entry of the tree of free pages.
pub(crate) fn decode_chunk(key: &[u8], value: &[u8]) -> Option<(u64, Bits)> {
    Some((u64::from_be_bytes(key.try_into().ok()?), Bits::decode(value)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(space: &mut Space, id: u64, take: usize, free: &[(u64, u64)]) -> Vec<u64> {
        let freed = |&(page, birth)| FreedPage { page: PageId(page), birth: CommitId(birth) };
        let freed: Vec<_> = free.iter().map(freed).collect();
        let mut draft = space.draft(PageId(0));
        space.take(&mut draft, take);
        space.free(&mut draft, &freed).unwrap();
        let taken = draft.taken.iter().map(|page| page.0).collect();
        space.publish(draft, CommitId(id), freed);
        taken
    }

    fn release(space: &mut Space, older: &[u64], current: u64, durable: u64) {
        let older = older.iter().copied().map(CommitId).collect();
        space.release(&Pins { older, current: CommitId(current) }, CommitId(durable));
    }

    #[test]
    fn a_freed_page_waits_for_a_durable_successor_and_for_snapshots() {
        let mut space = Space::of_commit(3, BTreeMap::new()).unwrap();
        assert_eq!(commit(&mut space, 2, 2, &[]), [3, 4]);
        assert_eq!(commit(&mut space, 3, 1, &[(3, 2)]), [5]);
        release(&mut space, &[], 3, 3);
        assert_eq!(commit(&mut space, 4, 1, &[]), [6], "the older slot may need page 3");
        release(&mut space, &[], 2, 4);
        assert_eq!(commit(&mut space, 5, 1, &[]), [7], "a reader may still pin commit 2");
        release(&mut space, &[2], 5, 5);
        assert_eq!(commit(&mut space, 6, 1, &[]), [8], "snapshot 2 may need page 3");
        release(&mut space, &[], 6, 6);
        assert_eq!(commit(&mut space, 7, 1, &[]), [3]);
    }

    #[test]
    fn a_snapshot_keeps_no_page_that_it_does_not_reach() {
        let mut space = Space::of_commit(3, BTreeMap::new()).unwrap();
        assert_eq!(commit(&mut space, 2, 3, &[]), [3, 4, 5]);
        assert_eq!(commit(&mut space, 5, 3, &[(3, 2)]), [6, 7, 8]);
        assert_eq!(commit(&mut space, 9, 0, &[(4, 2), (6, 5), (7, 5)]), [0; 0]);
        let writable = |space: &Space| space.writable().map(|page| page.0).collect::<Vec<_>>();
        release(&mut space, &[3, 6], 10, 10);
        assert_eq!(writable(&space), [0; 0], "snapshot 3 reaches 3 and 4, snapshot 6 the others");
        release(&mut space, &[3], 11, 11);
        assert_eq!(writable(&space), [6, 7], "snapshot 3 was before commit 5");
        assert_eq!(commit(&mut space, 11, 2, &[]), [6, 7]);
        release(&mut space, &[], 11, 11);
        assert_eq!(writable(&space), [3, 4]);
    }

    #[test]
    fn a_cancelled_draft_gives_its_pages_back() {
        let free = BTreeMap::from([(0, Bits::of(&[5, 6, 7]))]);
        let mut space = Space::of_commit(8, free).unwrap();
        let mut draft = space.draft(PageId(0));
        space.take(&mut draft, 2);
        space.take(&mut draft, 4);
        space.cancel(draft);
        assert_eq!(space.writable().map(|page| page.0).collect::<Vec<_>>(), [5, 6, 7]);
        assert_eq!(commit(&mut space, 2, 3, &[]), [5, 6, 7]);
        assert_eq!(commit(&mut space, 3, 1, &[]), [8]);
    }

    #[test]
    fn the_longest_runs_are_taken_first_and_of_equals_the_first() {
        let free = Bits::of(&[4, 10, 11, 20, 21, 22, 30, 31]);
        let mut space = Space::of_commit(32, BTreeMap::from([(0, free)])).unwrap();
        assert_eq!(commit(&mut space, 2, 6, &[]), [20, 21, 22, 10, 11, 30]);
    }

    #[test]
    fn records_of_pages_that_are_not_there_are_refused() {
        assert!(Space::of_commit(8, BTreeMap::from([(0, Bits::of(&[8]))])).is_none());
        assert!(Space::of_commit(8, BTreeMap::from([(0, Bits::of(&[2]))])).is_none());
        assert!(Space::of_commit(8, BTreeMap::from([(u64::MAX, Bits::of(&[0]))])).is_none());
    }
}
