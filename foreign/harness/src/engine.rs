//! The interface that an adapter implements: a store over the simulated disk.

use fastness_crashkit::SimFs;
use fastness_models::domain::Bytes;
use std::collections::BTreeMap;

/// Everything in a store: its trees, each with its entries in order.
pub type Contents = BTreeMap<String, Vec<(Vec<u8>, Vec<u8>)>>;

/// An error of a store, in its words.
pub type Refused = String;

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Inserts an entry.
    Insert(String, Bytes, Bytes),
    /// Removes an entry.
    Remove(String, Bytes),
    /// Removes every entry of a tree.
    Clear(String),
    /// Reads an entry.
    Get(String, Bytes),
}

/// The answer to an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Done.
    Done,
    /// Whether the key existed before.
    Existed(bool),
    /// The value, if the key exists.
    Value(Option<Vec<u8>>),
}

/// The end of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A durable commit.
    Commit,
    /// A commit that may be lost by a crash until a later one is durable.
    CommitUnsynced,
    /// None of the edits happens.
    Abort,
}

/// A store under test.
pub trait Engine {
    /// Returns the name and the version.
    fn name(&self) -> String;

    /// Opens the database on a disk, or creates it.
    ///
    /// # Errors
    /// The store's.
    fn open(&self, fs: &SimFs) -> Result<Box<dyn Database>, Refused>;
}

/// An open database; dropping it closes it.
pub trait Database {
    /// Runs edits in one transaction and ends it; one answer for each edit.
    ///
    /// # Errors
    /// The store's.
    fn transact(&mut self, edits: &[Edit], end: End) -> Result<Vec<Answer>, Refused>;

    /// Reads everything.
    ///
    /// # Errors
    /// The store's.
    fn contents(&self) -> Result<Contents, Refused>;

    /// Takes a snapshot, which later commits do not change.
    ///
    /// # Errors
    /// The store's.
    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Refused>;

    /// Compacts the file. No snapshot is held.
    ///
    /// # Errors
    /// The store's.
    fn compact(&mut self) -> Result<(), Refused>;

    /// Runs the store's own checker. No snapshot is held.
    ///
    /// # Errors
    /// The store's, and a text if the checker reports damage.
    fn verify(&mut self) -> Result<(), Refused>;
}

/// A snapshot of a database.
pub trait Snapshot {
    /// Reads everything.
    ///
    /// # Errors
    /// The store's.
    fn contents(&self) -> Result<Contents, Refused>;
}
