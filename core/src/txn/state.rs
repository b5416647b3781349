//! A commit in memory: its trees, its base and the log since.

use super::log::{Log, LogTail};
use super::trees::Trees;
use crate::conc::Arc;
use crate::error::{Damage, Result};
use crate::page::{CatalogAt, HeaderSlot, Pointer, TreeCatalog, TreeRecord};
use crate::pager::Pager;
use crate::space::{FreedPage, Space, decode_chunk};
use crate::tree::{Range, TreeState};
use crate::unit::{CommitId, PageId};
use std::collections::BTreeMap;

/// Most pages that a checkpoint writes with one sync; opening walks as many at most.
pub(crate) const ONE_SYNC_PAGES_MAX: usize = 1024;

/// Least bytes of changed nodes that a transaction spills at once.
pub(crate) const SPILL_BYTES_MIN: usize = 1 << 20;

/// A commit. It never changes.
#[derive(Clone, Debug)]
pub(crate) struct CommitState {
    pub(crate) pager: Arc<Pager>,
    pub(crate) commit: CommitId,
    pub(crate) trees: Trees,
    /// The slot of the base: the checkpoint that this commit and its log continue.
    pub(crate) slot: HeaderSlot,
    /// The trees as the base records them.
    pub(crate) recorded: Arc<TreeCatalog>,
    pub(crate) space: Arc<TreeState>,
    /// The overflow pages of the catalog, if it is not inline in the slot.
    pub(crate) catalog_pages: Vec<FreedPage>,
    /// The log of the base.
    pub(crate) log: Arc<Log>,
}

/// A tree of a commit with its pager; `tree` is `None` if the commit does not have the tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BaseTree<'a> {
    pub(crate) tree: Option<&'a TreeState>,
    pub(crate) pager: &'a Pager,
}

impl CommitState {
    pub(crate) const fn commit(&self) -> CommitId {
        self.commit
    }

    /// Returns the tree of a name, with its pager.
    pub(crate) fn base_tree(&self, name: &str) -> BaseTree<'_> {
        BaseTree { tree: self.trees.get(name).map(|tree| &**tree), pager: &self.pager }
    }

    /// Reads the catalog of a slot.
    pub(crate) fn load(pager: Arc<Pager>, slot: HeaderSlot) -> Result<Self> {
        let mut catalog_pages = Vec::new();
        let (bytes, at) = match &slot.catalog {
            CatalogAt::Inline(bytes) => (bytes.clone(), PageId(0)),
            CatalogAt::Stored { bytes, first } => {
                let mut catalog = Vec::new();
                pager.walk_chain(*bytes, *first, &mut |pointer, data| {
                    let Pointer { page, birth, .. } = *pointer;
                    catalog_pages.push(FreedPage { page, birth });
                    catalog.extend_from_slice(data);
                    true
                })?;
                (catalog, first.page)
            }
        };
        let catalog =
            TreeCatalog::decode(&bytes).ok_or_else(|| pager.damaged(at, Damage::Content))?;
        let tree = |record: &TreeRecord| TreeState::of_record(*record, pager.cache());
        let trees = catalog.0.iter().map(|(name, record)| (Arc::clone(name), tree(record)));
        let (trees, recorded) = (trees.collect(), Arc::new(catalog));
        let space = TreeState::of_record(slot.space, pager.cache());
        let (commit, page_count) = (slot.commit, slot.page_count);
        let log = Arc::new(Log::new(LogTail::without_log(page_count, commit)));
        Ok(Self { pager, slot, commit, trees, recorded, space, catalog_pages, log })
    }

    /// Scans the recorded free pages.
    pub(crate) fn space_entries(&self) -> Result<Range<'_>> {
        Ok(Range::new(&self.pager, self.space.root(&self.pager)?, &(..)))
    }

    /// Reads the free pages of this commit.
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
