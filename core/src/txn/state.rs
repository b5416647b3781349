//! What a commit is in memory, and what the one writer knows beside it.

use crate::conc::Arc;
use crate::error::{Damage, Result};
use crate::page::{Catalog, CatalogAt, Slot};
use crate::space::{Space, decode_chunk};
use crate::tree::{Pager, Range, TreeState};
use crate::unit::{CommitId, PageId};
use crate::vfs::Vfs;
use std::collections::BTreeMap;

/// A commit. It never changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) pager: Arc<Pager>,
    pub(crate) slot: Slot,
    pub(crate) trees: BTreeMap<Arc<str>, Arc<TreeState>>,
    pub(crate) space: Arc<TreeState>,
    /// The overflow pages of the catalog, if it does not stand in the slot.
    pub(crate) catalog_pages: Vec<PageId>,
}

/// What the one writer knows.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Read from the space tree when first needed.
    pub(crate) space: Option<Space>,
    /// The page of the slot that holds the last commit.
    pub(crate) slot_page: PageId,
    /// Both slots hold the last commit, and it is known to be durable.
    pub(crate) settled: bool,
    /// There while the file's name may not be durable: whoever made it may have died before the
    /// directory was synced.
    pub(crate) unnamed: Option<Arc<dyn Vfs>>,
    /// A commit of more pages syncs them before its slot.
    pub(crate) one_sync_pages_max: usize,
    /// What is on the disk is unknown.
    pub(crate) poisoned: bool,
}

impl Writer {
    /// Knows a file whose last commit's slot is on `slot_page`.
    pub(crate) const fn new(slot_page: PageId, settled: bool) -> Self {
        let one_sync_pages_max = ONE_SYNC_PAGES_MAX;
        Self { space: None, slot_page, settled, unnamed: None, one_sync_pages_max, poisoned: false }
    }
}

/// Most pages a commit may write under one sync; opening walks at most so many.
pub(crate) const ONE_SYNC_PAGES_MAX: usize = 1024;

pub(crate) const SLOT_PAGES: [PageId; 2] = [PageId(1), PageId(2)];

/// Returns the page of the other slot.
pub(crate) const fn other_slot(page: PageId) -> PageId {
    PageId(3 - page.0)
}

impl State {
    pub(crate) const fn commit(&self) -> CommitId {
        self.slot.commit
    }

    /// Reads the catalog of a slot.
    pub(crate) fn load(pager: Arc<Pager>, slot: Slot) -> Result<Self> {
        let mut catalog_pages = Vec::new();
        let (bytes, at) = match &slot.catalog {
            CatalogAt::Inline(bytes) => (bytes.clone(), PageId(0)),
            CatalogAt::Stored { bytes, first } => {
                let visit = |pointer: &crate::page::Pointer| catalog_pages.push(pointer.page);
                (pager.chain(*bytes, *first, visit)?, first.page)
            }
        };
        let catalog = Catalog::decode(&bytes).ok_or_else(|| pager.damaged(at, Damage::Content))?;
        let trees = catalog
            .0
            .into_iter()
            .map(|(name, record)| (Arc::from(name), TreeState::of_record(record, pager.cache())));
        let trees = trees.collect();
        let space = TreeState::of_record(slot.space, pager.cache());
        Ok(Self { pager, slot, trees, space, catalog_pages })
    }

    /// Walks the recorded free pages.
    pub(crate) fn space_entries(&self) -> Result<Range<'_>> {
        Ok(Range::new(&self.pager, self.space.root(&self.pager)?, &(..)))
    }

    /// Reads which pages are free in this commit.
    pub(crate) fn load_space(&self) -> Result<Space> {
        let root = self.slot.space.root.map_or(PageId(0), |pointer| pointer.page);
        let malformed = || self.pager.damaged(root, Damage::Content);
        let mut free = BTreeMap::new();
        for entry in self.space_entries()? {
            let (key, value) = entry?;
            let (chunk, bits) = decode_chunk(&key, &value).ok_or_else(malformed)?;
            free.insert(chunk, bits);
        }
        Space::of_commit(self.slot.page_count, free).ok_or_else(malformed)
    }
}
