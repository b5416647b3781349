//! The open database: a store whose trees hold objects.

use super::shared::{Shared, Snapshot};
use super::transaction::Transaction;
use crate::conc::Arc;
use crate::error::{Error, Result};
use crate::txn::{Durability, Store};
use std::panic::{RefUnwindSafe, UnwindSafe};

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
    pub(super) store: Store,
}

// Locks are not poisoned, and a panic within a transaction rolls it back.
impl UnwindSafe for Database {}
impl RefUnwindSafe for Database {}

impl Database {
    /// Takes a snapshot of the last commit.
    ///
    /// # Errors
    /// If the catalog cannot be read or is damaged.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.shared.snapshot(self.store.snapshot())
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

    /// Begins the write transaction, and takes a snapshot of the commit that it begins with, which
    /// this makes durable.
    pub(crate) fn write_from(&self) -> Result<(Transaction, Snapshot)> {
        let (txn, snapshot) = self.store.write_from()?;
        let txn = Transaction::new(Arc::clone(&self.shared), txn)?;
        Ok((txn, self.shared.snapshot(snapshot)?))
    }

    /// Runs `body` in a transaction and commits it; if `body` fails, nothing is changed.
    ///
    /// # Errors
    /// The error of `body`, which may carry one of the app: see [`Error::app`]; as
    /// [`Database::write`] and [`Transaction::commit`].
    pub fn transact<T>(&self, body: impl FnOnce(&mut Transaction) -> Result<T>) -> Result<T> {
        self.try_transact(body)
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
        self.try_transact_with(durability, body)
    }

    /// Runs `body` in a transaction and commits it; if `body` fails, nothing is changed, and its
    /// error comes back as it was. The error may be of any type that an [`Error`] converts into:
    /// one of the app, `Box<dyn std::error::Error>` or that of a crate.
    ///
    /// ```
    /// use fastness::object::{Database, DatabaseOptions};
    /// use fastness::schema::{Class, Property, Scalar, Schema};
    ///
    /// #[derive(Debug, PartialEq)]
    /// enum AppError {
    ///     AccountEmpty { missing: i64 },
    ///     Store(fastness::Error),
    /// }
    ///
    /// impl From<fastness::Error> for AppError {
    ///     fn from(error: fastness::Error) -> Self {
    ///         Self::Store(error)
    ///     }
    /// }
    ///
    /// let balance = Property::new("balance", Scalar::Int)?.required();
    /// let schema = Schema::new([Class::new("Account")?.with(balance)])?;
    /// let options = DatabaseOptions::schema(schema, 0);
    /// let database = Database::in_memory(&fastness::StoreOptions::new(), &options)?;
    /// let account = database.transact(|txn| txn.create("Account"))?;
    ///
    /// let paid = database.try_transact(|txn| {
    ///     txn.set(&account, "balance", -5)?;
    ///     Err::<(), _>(AppError::AccountEmpty { missing: 5 })
    /// });
    /// assert_eq!(paid, Err(AppError::AccountEmpty { missing: 5 }));
    /// let snapshot = database.snapshot()?;
    /// assert_eq!(snapshot.object(&account)?.unwrap().get("balance")?, 0.into());
    /// # Ok::<(), fastness::Error>(())
    /// ```
    ///
    /// # Errors
    /// The error of `body`; as [`Database::write`] and [`Transaction::commit`].
    pub fn try_transact<T, E: From<Error>>(
        &self,
        body: impl FnOnce(&mut Transaction) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.try_transact_with(Durability::Immediate, body)
    }

    /// Runs `body` as [`Database::try_transact`] does, and commits with the durability that is
    /// asked for.
    ///
    /// # Errors
    /// As [`Database::try_transact`].
    pub fn try_transact_with<T, E: From<Error>>(
        &self,
        durability: Durability,
        body: impl FnOnce(&mut Transaction) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let mut txn = self.write()?;
        let outcome = body(&mut txn)?;
        txn.commit_with(durability)?;
        Ok(outcome)
    }

    /// Returns the store that holds the objects: to compact it, copy it, or read its trees. Writing
    /// to trees whose names begin with `main/` bypasses every check of objects.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }
}

/// The face for the crate of sync. No promised interface.
#[cfg(feature = "sync")]
#[doc(hidden)]
impl Database {
    /// Sets the author of list elements and of objects without a primary key that the next
    /// transactions create; at first 0.
    pub fn set_author(&self, author: u32) {
        *self.shared.author.lock() = author;
    }
}
