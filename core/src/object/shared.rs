//! The state that all handles of a database share, and snapshots of its objects.

use super::changes::Changes;
use super::commit_hook::HookKind;
use super::feeds::Feeds;
use super::queues::Queues;
use super::signal::Signals;
use super::view::{Object, Objects, View};
use crate::conc::{Arc, Mutex};
use crate::error::Result;
use crate::fault;
use crate::table::{Catalog, MAIN, ObjectId, TableReader};
use crate::txn::{self, ReadSource, Store};
use crate::unit::CommitId;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// The state that the clones of a database share.
pub(super) struct Shared {
    pub(super) store: Store,
    /// The catalog that was used last.
    catalog: Mutex<Arc<Catalog>>,
    pub(super) observers: Arc<Observers>,
    pub(super) hook: Option<HookKind>,
    /// Transactions only add classes, properties and indexes.
    pub(super) synced: bool,
    /// The author of new list elements and of new objects without a primary key.
    pub(super) author: Mutex<u32>,
}

/// The subscriptions to a store, whichever of its databases they and the commits belong to.
#[derive(Debug, Default)]
pub(super) struct Observers {
    pub(super) queues: Queues<Changes>,
    pub(super) signals: Signals,
    pub(super) feeds: Feeds,
}

impl Observers {
    /// Tells whether anything waits for the changes of commits.
    pub(super) fn any(&self) -> bool {
        self.queues.any() || self.feeds.any()
    }
}

/// The objects of one commit, to read on any thread. It never changes.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(super) snapshot: txn::StoreSnapshot,
    pub(super) catalog: Arc<Catalog>,
}

// Nothing in it changes but caches.
impl UnwindSafe for Snapshot {}
impl RefUnwindSafe for Snapshot {}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(store: Store, hook: Option<HookKind>, synced: bool) -> Self {
        let catalog = Mutex::new(Arc::new(Catalog::new(MAIN)));
        let observers = fault::object::own(store.attached());
        let author = Mutex::new(0);
        Self { store, catalog, observers, hook, synced, author }
    }

    /// Returns the catalog of a commit: the cached one if its stamp is the same.
    pub(super) fn catalog(&self, source: ReadSource<'_>) -> Result<Arc<Catalog>> {
        let held = Arc::clone(&self.catalog.lock());
        if held.stamp == Catalog::stored_stamp(source, held.root())? {
            return Ok(held);
        }
        let catalog = fault::object::unchanged(Catalog::load(source, held.root())?, &held);
        self.keep(Arc::clone(&catalog));
        Ok(catalog)
    }

    /// Caches a catalog.
    pub(super) fn keep(&self, catalog: Arc<Catalog>) {
        *self.catalog.lock() = catalog;
    }

    pub(super) fn snapshot(&self, snapshot: txn::StoreSnapshot) -> Result<Snapshot> {
        let catalog = self.catalog(ReadSource::Snapshot(&snapshot))?;
        Ok(Snapshot { snapshot, catalog })
    }
}

impl Snapshot {
    /// Returns the number of the commit.
    #[must_use]
    pub fn commit(&self) -> CommitId {
        self.snapshot.commit()
    }

    /// Returns the objects of the file.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        let source = ReadSource::Snapshot(&self.snapshot);
        View { tables: TableReader { source, catalog: &self.catalog } }
    }

    /// Returns the objects of a class; see [`View::objects`].
    ///
    /// # Errors
    /// As [`View::objects`].
    pub fn objects(&self, class: &str) -> Result<Objects<'_>> {
        self.view().objects(class)
    }

    /// Returns an object; none if it does not exist. See [`View::object`].
    ///
    /// # Errors
    /// As [`View::object`].
    pub fn object(&self, id: &ObjectId) -> Result<Option<Object<'_>>> {
        self.view().object(id)
    }

    /// Returns the snapshot of the store.
    #[must_use]
    pub const fn store(&self) -> &txn::StoreSnapshot {
        &self.snapshot
    }
}

impl<'a> From<&'a Snapshot> for View<'a> {
    fn from(snapshot: &'a Snapshot) -> Self {
        snapshot.view()
    }
}
