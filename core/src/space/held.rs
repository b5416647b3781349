//! Free pages that may not be written yet: an older state still needs them.

use crate::fault::{self, Fault};
use crate::unit::{CommitId, PageId};
use std::collections::{BTreeMap, VecDeque};

/// A page that a commit does without, and the commit that wrote the page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FreedPage {
    pub(crate) page: PageId,
    pub(crate) birth: CommitId,
}

impl FreedPage {
    /// A page that no state reaches.
    pub(crate) const fn unreachable(page: PageId) -> Self {
        Self { page, birth: CommitId(u64::MAX) }
    }
}

/// The commits that readers have pinned or can still pin.
#[derive(Clone, Debug)]
pub(crate) struct Pins {
    /// Earlier commits that have readers, in order.
    pub(crate) older: Vec<CommitId>,
    /// The commit that the next reader pins.
    pub(crate) current: CommitId,
}

impl Pins {
    /// Returns the newest of the earlier commits with readers that is below `end` and reaches what
    /// was written at `birth`.
    fn newest_before(&self, birth: CommitId, end: CommitId) -> Option<CommitId> {
        let before = self.older.partition_point(|pin| *pin < end);
        let pin = self.older[..before].last().copied();
        pin.filter(|pin| birth <= *pin || fault::on(Fault::Mv15))
    }
}

/// Free pages that an older state still needs.
#[derive(Debug, Default)]
pub(crate) struct HeldPages {
    /// Pages that a header slot may need, by the commit that freed them.
    recent: VecDeque<(CommitId, Vec<FreedPage>)>,
    /// Pages that no header slot needs, by the newest snapshot that reaches them.
    pinned: BTreeMap<CommitId, Vec<FreedPage>>,
}

impl HeldPages {
    /// Adds the pages that a commit freed.
    pub(crate) fn add(&mut self, commit: CommitId, freed: Vec<FreedPage>) {
        let in_order = self.recent.back().is_none_or(|(last, _)| *last <= commit);
        assert!(in_order, "S2: commit {commit} frees pages after a later one");
        if !freed.is_empty() {
            self.recent.push_back((commit, freed));
        }
    }

    /// Removes the pages that no state needs any more, and returns them; `durable` is the last
    /// commit.
    pub(crate) fn release(&mut self, pins: &Pins, durable: CommitId) -> Vec<PageId> {
        let mut released = Vec::new();
        let is_released = |pin: &CommitId| pins.older.binary_search(pin).is_err();
        let old_pins: Vec<_> = self.pinned.keys().copied().filter(is_released).collect();
        for pin in old_pins {
            let pages = self.pinned.remove(&pin).unwrap_or_default();
            self.divide(pages, (pins, pin), &mut released);
        }
        while let Some((freed, _)) = self.recent.front()
            && *freed <= pins.current
            && *freed < durable
        {
            let Some((freed, pages)) = self.recent.pop_front() else { break };
            self.divide(pages, (pins, freed), &mut released);
        }
        released
    }

    /// Divides pages that no state from a commit on needs into those that an earlier snapshot
    /// reaches, and the others.
    fn divide(
        &mut self,
        pages: Vec<FreedPage>,
        (pins, end): (&Pins, CommitId),
        released: &mut Vec<PageId>,
    ) {
        for freed in pages {
            match pins.newest_before(freed.birth, end) {
                Some(pin) => self.pinned.entry(pin).or_default().push(freed),
                None => released.push(freed.page),
            }
        }
    }

    /// Returns all pages, once no state needs one.
    pub(crate) fn into_pages(self) -> impl Iterator<Item = PageId> {
        let recent = self.recent.into_iter().flat_map(|(_, pages)| pages);
        recent.chain(self.pinned.into_values().flatten()).map(|freed| freed.page)
    }

    /// Returns all pages.
    #[allow(dead_code, reason = "for `inspect` and the loom models")]
    pub(crate) fn pages(&self) -> impl Iterator<Item = PageId> {
        let recent = self.recent.iter().flat_map(|(_, pages)| pages);
        recent.chain(self.pinned.values().flatten()).map(|freed| freed.page)
    }
}
