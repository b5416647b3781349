//! The open database: a store whose trees hold objects.

use super::catalog::Catalog;
use super::changes::Changes;
use super::opening::{DatabaseOptions, bring_about};
use super::operation::CommitHook;
use super::queues::Queues;
use super::transaction::Transaction;
use super::value::ObjectId;
use super::view::{Object, Objects, View};
use crate::conc::{Arc, Mutex};
use crate::error::Result;
use crate::fault::{self, Fault};
use crate::txn::{self, Durability, Source, Store, StoreOptions};
use crate::unit::CommitId;
use std::fmt;
use std::path::Path;

/// An open database. Clones share it; it is closed when the last clone and the last transaction are
/// dropped. Snapshots may outlive it.
///
/// ```
/// use fastness::object::{Database, DatabaseOptions};
/// use fastness::schema::{Class, Property, Scalar, Schema};
/// use fastness::{Key, StoreOptions};
///
/// let person = Class::new("Person")?
///     .with(Property::new("email", Scalar::String)?.required().primary_key())
///     .with(Property::new("age", Scalar::Int)?);
/// let wanted = DatabaseOptions::schema(Schema::new([person])?, 0);
/// let options = StoreOptions::new().key(Key::new([7; 64]));
/// let database = Database::in_memory(&options, &wanted)?;
///
/// let mut txn = database.write()?;
/// let ann = txn.create_with_key("Person", "ann@example.org")?;
/// txn.set(&ann, "age", 34)?;
/// txn.commit()?;
///
/// let people = database.snapshot()?;
/// let ann = people.objects("Person")?.get("ann@example.org")?.unwrap();
/// assert_eq!(ann.get("age")?, 34.into());
/// # Ok::<(), fastness::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Database {
    pub(super) shared: Arc<Shared>,
    store: Store,
}

/// What the clones of a database share.
pub(super) struct Shared {
    pub(super) store: Store,
    /// The catalog that was needed last.
    catalog: Mutex<Arc<Catalog>>,
    pub(super) observers: Queues<Changes>,
    pub(super) commit_hook: Option<Arc<CommitHook>>,
    pub(super) synced: bool,
}

/// The objects of one commit, to read on any thread. It never changes.
#[derive(Clone, Debug)]
pub struct Snapshot {
    snapshot: txn::Snapshot,
    catalog: Arc<Catalog>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Shared {
    /// Returns the catalog of a commit, read anew only if it is not the one that was needed last.
    pub(super) fn catalog(&self, source: Source<'_>) -> Result<Arc<Catalog>> {
        let held = Arc::clone(&self.catalog.lock());
        if held.stamp == Catalog::stamp_of(source)? {
            return Ok(held);
        }
        let catalog = Arc::new(Catalog::load(source)?);
        if fault::on(Fault::Mv05) && held.tables().count() == catalog.tables().count() {
            return Ok(held);
        }
        self.keep(Arc::clone(&catalog));
        Ok(catalog)
    }

    /// Notes the catalog that is needed next.
    pub(super) fn keep(&self, catalog: Arc<Catalog>) {
        *self.catalog.lock() = catalog;
    }
}

impl Database {
    /// Opens the objects in a file, or creates one if there is none and the mode writes. What the
    /// schema needs is done in one transaction, or not at all.
    ///
    /// # Errors
    /// As [`StoreOptions::open_or_create`] and [`Database::from_store`].
    pub fn open(
        options: &StoreOptions,
        path: impl AsRef<Path>,
        wanted: &DatabaseOptions<'_>,
    ) -> Result<Self> {
        let store = match wanted.only_reads() {
            true => options.open_read_only(path)?,
            false => options.open_or_create(path)?,
        };
        Self::from_store(store, wanted)
    }

    /// Makes objects in memory; nothing is left behind.
    ///
    /// # Errors
    /// As [`StoreOptions::in_memory`] and [`Database::from_store`].
    pub fn in_memory(options: &StoreOptions, wanted: &DatabaseOptions<'_>) -> Result<Self> {
        Self::from_store(options.in_memory()?, wanted)
    }

    /// Opens the objects of a store that is open. Nobody else may be writing to it.
    ///
    /// # Errors
    /// [`crate::Error::Schema`] if the file does not fit what is wanted, as the mode has it;
    /// whatever the migration or the initial data return; or what the store says. The file is then
    /// as it was before.
    pub fn from_store(store: Store, wanted: &DatabaseOptions<'_>) -> Result<Self> {
        let catalog = Mutex::new(Arc::new(Catalog::default()));
        let (observers, commit_hook) = (Queues::default(), wanted.commit_hook.clone());
        let synced = wanted.synced && !(wanted.has_classes() && fault::on(Fault::Ob02));
        let shared = Arc::new(Shared { store, catalog, observers, commit_hook, synced });
        let database = Self { store: shared.store.clone(), shared };
        database.bring_about(wanted)?;
        Ok(database)
    }

    /// Does what opening does for what is wanted, to a database that is open, and that others may
    /// be writing to. Its commit_hook stays the one it has.
    pub(crate) fn bring_about(&self, wanted: &DatabaseOptions<'_>) -> Result<()> {
        bring_about(self, wanted)
    }

    /// Takes a snapshot of the last commit.
    ///
    /// # Errors
    /// If the catalog cannot be read or is damaged.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let snapshot = self.store.snapshot();
        let catalog = self.shared.catalog(Source::Snapshot(&snapshot))?;
        Ok(Snapshot { snapshot, catalog })
    }

    /// Returns a handle for threads that must not wait; see [`Store::without_waiting`].
    pub(crate) fn without_waiting(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), store: self.store.without_waiting() }
    }

    /// Begins the write transaction, after the one before it has ended.
    ///
    /// # Errors
    /// [`crate::Error::ReadOnly`], or [`crate::Error::Poisoned`] after a failure that left the disk
    /// unknown; if the catalog cannot be read or is damaged.
    pub fn write(&self) -> Result<Transaction> {
        let txn = self.store.write()?;
        Transaction::new(Arc::clone(&self.shared), txn)
    }

    /// Begins the write transaction, and takes a snapshot of what it begins with, which is made
    /// durable for it.
    pub(super) fn write_from(&self) -> Result<(Transaction, Snapshot)> {
        let (txn, snapshot) = self.store.write_from()?;
        let txn = Transaction::new(Arc::clone(&self.shared), txn)?;
        let catalog = self.shared.catalog(Source::Snapshot(&snapshot))?;
        Ok((txn, Snapshot { snapshot, catalog }))
    }

    /// Runs `body` in a transaction and commits what it did; if it fails, nothing happened.
    ///
    /// # Errors
    /// What `body` returns; as [`Database::write`] and [`Transaction::commit`].
    pub fn transact<T>(&self, body: impl FnOnce(&mut Transaction) -> Result<T>) -> Result<T> {
        self.transact_with(Durability::Immediate, body)
    }

    /// Runs `body` in a transaction and commits it with the durability that is asked for.
    ///
    /// # Errors
    /// As [`Database::transact`].
    pub fn transact_with<T>(
        &self,
        durability: Durability,
        body: impl FnOnce(&mut Transaction) -> Result<T>,
    ) -> Result<T> {
        let mut txn = self.write()?;
        let outcome = body(&mut txn)?;
        txn.commit_with(durability)?;
        Ok(outcome)
    }

    /// Returns the store that holds the objects: to compact it, copy it, or look at its trees.
    /// What is written to trees whose names begin with `main/` is no longer guarded by anything.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
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
        View { source: Source::Snapshot(&self.snapshot), catalog: &self.catalog }
    }

    /// Returns the objects of a class; see [`View::objects`].
    ///
    /// # Errors
    /// As [`View::objects`].
    pub fn objects(&self, class: &str) -> Result<Objects<'_>> {
        self.view().objects(class)
    }

    /// Returns an object; none if it is not there. See [`View::object`].
    ///
    /// # Errors
    /// As [`View::object`].
    pub fn object(&self, id: &ObjectId) -> Result<Option<Object<'_>>> {
        self.view().object(id)
    }

    /// Returns the snapshot of the store.
    #[must_use]
    pub const fn store(&self) -> &txn::Snapshot {
        &self.snapshot
    }
}
