//! What a commit is in memory, and what the one writer knows beside it.

use super::changes::Base;
use super::durable::{Durable, Failure, Lost};
use super::log::{Limits, Log, Tail};
use super::pins::Published;
use super::replay::{Pending, Replayed};
use crate::conc::Arc;
use crate::error::{Damage, Error, Result};
use crate::fault::{self, Fault};
use crate::page::{Catalog, CatalogAt, Slot, TreeRecord};
use crate::pager::Pager;
use crate::sorted::Sorted;
use crate::space::{Space, decode_chunk};
use crate::tree::{Range, TreeState};
use crate::unit::{CommitId, PageId};
use crate::vfs::Vfs;
use std::collections::BTreeMap;

/// The trees of a commit, by name.
pub(crate) type Trees = Sorted<Arc<str>, Arc<TreeState>>;

/// A commit. It never changes.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) pager: Arc<Pager>,
    pub(crate) commit: CommitId,
    pub(crate) trees: Trees,
    /// The slot of the base: the checkpoint that the log, and so this commit, goes on from.
    pub(crate) slot: Slot,
    /// The trees as the base records them.
    pub(crate) recorded: Arc<Catalog>,
    pub(crate) space: Arc<TreeState>,
    /// The overflow pages of the catalog, if it does not stand in the slot.
    pub(crate) catalog_pages: Vec<PageId>,
    /// The log of the base.
    pub(crate) log: Arc<Log>,
}

/// What readers see, and how far it is durable.
#[derive(Debug)]
pub(crate) struct Versions {
    pub(crate) published: Published<State>,
    pub(crate) durable: Durable<Arc<State>>,
}

impl Versions {
    /// Starts from a durable state.
    pub(crate) fn new(state: &Arc<State>) -> Self {
        let commit = state.commit;
        let published = Published::new(commit, Arc::clone(state));
        Self { published, durable: Durable::new(commit) }
    }

    /// Makes a durable state the one that readers start from.
    pub(crate) fn publish(&self, state: &Arc<State>) {
        // Before anybody goes on who waits for an earlier commit: it is in this one.
        self.published.publish(state.commit, Arc::clone(state));
        self.durable.reached(state.commit);
    }

    /// Waits until a commit is durable and published. If the record could not be written, and is
    /// not there, `undo` tells whether all goes on as if it had not been tried.
    pub(crate) fn wait_for(&self, commit: CommitId, undo: &mut dyn FnMut() -> bool) -> Result<()> {
        let sync = |state: &Arc<State>| {
            let written = state.log.write(&state.pager, self.durable.durable());
            written.map_err(|it| Failure { undone: it.undone && undo(), ..it })?;
            state.pager.sync().map_err(|error| Failure { error, undone: false })
        };
        let publish = |commit, state| self.published.advance(commit, state);
        match self.durable.reach(commit, sync, publish) {
            Ok(()) => Ok(()),
            Err(Lost::Before) if fault::on(Fault::Fs11) => Ok(()),
            Err(Lost::Sync(error)) => Err(error),
            Err(Lost::Before) => Err(self.poisoned()),
        }
    }

    /// Runs what syncs the file by itself, while nobody else does.
    pub(crate) fn alone<R>(
        &self,
        unknown: &mut bool,
        body: impl FnOnce(&mut bool) -> Result<R>,
    ) -> Result<R> {
        self.durable.alone(unknown, body).unwrap_or_else(|| Err(self.poisoned()))
    }

    fn poisoned(&self) -> Error {
        Error::Poisoned { path: self.published.current().pager.path().into() }
    }
}

/// What the one writer knows.
#[derive(Debug)]
pub(crate) struct Writer {
    /// Read from the space tree when first needed.
    pub(crate) space: Option<Space>,
    /// The last commit, which may not be durable yet: the next transaction starts from it.
    pub(crate) tip: Arc<State>,
    /// How many turns there have been.
    pub(crate) turns: u64,
    /// The last commit that changed the one before where it was.
    pub(crate) in_place: Option<CommitId>,
    /// The page of the slot that holds the base.
    pub(crate) slot_page: PageId,
    /// Both slots hold the base, and it is known to be durable.
    pub(crate) settled: bool,
    /// Both slots that hold the base are known to be durable.
    pub(crate) secured: bool,
    /// A slot says that the log was begun.
    pub(crate) marked: bool,
    /// The log that opening found, while nobody has written since.
    pending: Option<Pending>,
    /// `None` if the file is of a format without a log.
    pub(crate) log_limits: Option<Limits>,
    /// There while the file's name may not be durable: whoever made it may have died before the
    /// directory was synced.
    pub(crate) unnamed: Option<Arc<dyn Vfs>>,
    /// A commit of more pages syncs them before its slot.
    pub(crate) one_sync_pages_max: usize,
    /// What is on the disk is unknown.
    pub(crate) poisoned: bool,
}

impl Writer {
    /// Knows a file whose base has its slot on `slot_page`.
    pub(crate) fn new(tip: Arc<State>, slot_page: PageId, settled: bool) -> Self {
        Self {
            space: None,
            tip,
            turns: 0,
            in_place: None,
            slot_page,
            settled,
            secured: false,
            marked: false,
            pending: None,
            log_limits: None,
            unnamed: None,
            one_sync_pages_max: ONE_SYNC_PAGES_MAX,
            poisoned: false,
        }
    }

    /// Knows a file with its log, which is applied when somebody writes, or now if need be.
    pub(crate) fn over(pending: Pending, slot_page: PageId, settled: bool) -> Result<Self> {
        let view = pending.view()?;
        let mut writer = match view {
            Some(view) => Self::new(Arc::new(view), slot_page, settled),
            None => Self::new(Arc::clone(pending.base()), slot_page, settled),
        };
        writer.tip.log.tail().resume(&pending.found);
        let now = writer.tip.commit() != pending.commit();
        if !pending.found.records.is_empty() {
            writer.pending = Some(pending);
        }
        if now {
            writer.catch_up()?;
        }
        Ok(writer)
    }

    /// Applies the log that opening found, and tells whether there was one.
    pub(crate) fn catch_up(&mut self) -> Result<bool> {
        let Some(pending) = &self.pending else { return Ok(false) };
        let Replayed { state, ops, freed } = pending.replay()?;
        self.tip = Arc::new(state);
        self.tip.log.tail().charge(ops, freed);
        self.pending = None;
        Ok(true)
    }

    /// Sets how long the log may become, as the options and the file's format allow.
    pub(crate) fn start_log(&mut self) -> Result<()> {
        match self.log_limits {
            Some(limits) => {
                let State { pager, slot, log, .. } = &*self.tip;
                log.tail().allow(pager, slot.page_count, limits)
            }
            None => Ok(()),
        }
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
        self.commit
    }

    /// Returns the tree of a name, and what reads it.
    pub(crate) fn tree_and_pager(&self, name: &str) -> Base<'_> {
        (self.trees.get(name).map(|tree| &**tree), &self.pager)
    }

    /// Reads the catalog of a slot.
    pub(crate) fn load(pager: Arc<Pager>, slot: Slot) -> Result<Self> {
        let mut catalog_pages = Vec::new();
        let (bytes, at) = match &slot.catalog {
            CatalogAt::Inline(bytes) => (bytes.clone(), PageId(0)),
            CatalogAt::Stored { bytes, first } => {
                let mut visit = |pointer: &crate::page::Pointer| catalog_pages.push(pointer.page);
                (pager.read_chain(*bytes, *first, &mut visit)?, first.page)
            }
        };
        let catalog = Catalog::decode(&bytes).ok_or_else(|| pager.damaged(at, Damage::Content))?;
        let tree = |record: &TreeRecord| TreeState::of_record(*record, pager.cache());
        let trees = catalog.0.iter().map(|(name, record)| (Arc::clone(name), tree(record)));
        let (trees, recorded) = (trees.collect(), Arc::new(catalog));
        let space = TreeState::of_record(slot.space, pager.cache());
        let (commit, page_count) = (slot.commit, slot.page_count);
        let log = Arc::new(Log::new(Tail::none(page_count, commit)));
        Ok(Self { pager, slot, commit, trees, recorded, space, catalog_pages, log })
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

#[cfg(test)]
mod tests {
    use crate::txn::durable::{Durable, Failure, Lost};
    use crate::unit::CommitId;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn after_a_panic_of_who_syncs_alone_nothing_is_durable_any_more() {
        let durable = Durable::new(CommitId(0));
        let panics = || durable.alone(&mut false, |_| panic!("of a test"));
        let panicked: std::thread::Result<Option<()>> = catch_unwind(AssertUnwindSafe(panics));
        assert!(panicked.is_err() && durable.has_failed());
        durable.note(CommitId(1), ());
        let reached = durable.reach(CommitId(1), |()| Ok::<_, Failure<()>>(()), |_, ()| ());
        assert!(matches!(reached, Err(Lost::Before)));
        assert_eq!(durable.alone(&mut false, |_| ()), None);
    }
}
