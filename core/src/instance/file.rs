//! An open file: one database, shared by all instances.

use super::error::InstanceError;
use super::holder::ThreadNumber;
use crate::conc::Mutex;
use crate::error::{Error, Result};
use crate::object::{Database, DatabaseOptions, Snapshot, Subscription, Transaction};
use crate::txn::Store;

/// An open file.
#[derive(Debug)]
pub(crate) struct File {
    database: Database,
    /// The thread that is in a transaction.
    writing: Mutex<Option<ThreadNumber>>,
}

/// A thread that uses a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller {
    pub(super) thread: ThreadNumber,
    /// Whether it may wait for another thread's transaction.
    pub(super) may_block: bool,
}

impl File {
    pub(super) fn new(database: Database) -> Self {
        Self { database, writing: Mutex::new(None) }
    }

    /// Returns the database as the thread may use it.
    fn database(&self, caller: Caller) -> Database {
        if caller.may_block { self.database.clone() } else { self.database.without_waiting() }
    }

    /// Returns the database, for any thread.
    #[cfg(feature = "sync")]
    pub(super) fn whole_database(&self) -> Database {
        self.database.clone()
    }

    pub(super) fn store(&self) -> &Store {
        self.database.store()
    }

    pub(super) fn snapshot(&self) -> Result<Snapshot> {
        self.database.snapshot()
    }

    /// Applies the schema of another kind of instance, as an opening for that kind would.
    pub(super) fn apply(&self, options: &DatabaseOptions<'_>, caller: Caller) -> Result<()> {
        self.database(caller).apply_schema(options)
    }

    /// Subscribes, on a thread that is in no transaction.
    pub(super) fn subscribe(&self, caller: Caller) -> Result<(Snapshot, Subscription)> {
        self.require_no_transaction(caller.thread)?;
        self.database(caller).subscribe()
    }

    /// Returns whether a thread is in a transaction.
    pub(super) fn is_in_transaction(&self, thread: ThreadNumber) -> bool {
        *self.writing.lock() == Some(thread)
    }

    /// A thread that waited for the writer lock within its own transaction would wait for itself.
    fn require_no_transaction(&self, thread: ThreadNumber) -> Result<()> {
        if self.is_in_transaction(thread) {
            let path = self.store().path().to_path_buf();
            return Err(InstanceError::InTransaction { path }.into());
        }
        Ok(())
    }

    /// Runs a transaction, and commits it unless `body` fails.
    pub(super) fn try_transact<T, E: From<Error>>(
        &self,
        caller: Caller,
        body: impl FnOnce(&mut Transaction) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.require_no_transaction(caller.thread)?;
        let mut txn = self.database(caller).write()?;
        *self.writing.lock() = Some(caller.thread);
        // Dropped before the transaction, whose end lets the next one begin.
        let writing = WritingMark(self);
        let value = body(&mut txn)?;
        drop(writing);
        txn.commit()?;
        Ok(value)
    }
}

/// Marks a thread as in a transaction, until it is dropped, also by a panic.
struct WritingMark<'a>(&'a File);

impl Drop for WritingMark<'_> {
    fn drop(&mut self) {
        *self.0.writing.lock() = None;
    }
}
