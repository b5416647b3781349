//! What a store must do to take part: open, commit, read by key, scan, compact.
//!
//! Loops are the engine's own, so that no call through a pointer is measured with each row.

use crate::data::{Change, Key};
use std::path::Path;

/// How anything here fails; the program prints it and stops.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Where and how to open a store.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// A directory that holds nothing else.
    pub dir: &'a Path,
    /// Memory for the engine's own cache.
    pub cache_bytes: usize,
    /// Whether a commit is durable when it returns.
    pub synced: bool,
}

/// What some engines cannot do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ability {
    /// Commits that need not be durable.
    Unsynced,
    /// A cache of a given size.
    BoundedCache,
    /// Compaction that leaves a file it can read.
    Compaction,
}

/// How often a reading loop takes a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Snapshots {
    /// Once.
    One,
    /// For every row.
    Each,
}

/// What a reading loop saw; the same for every engine in the same state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sum {
    /// Rows found.
    pub rows: u64,
    /// First and last byte of every value.
    pub bytes: u64,
}

impl Sum {
    /// Takes a value in.
    pub fn add(&mut self, value: &[u8]) {
        self.rows += 1;
        let (first, last) = (value.first(), value.last());
        self.bytes += u64::from(first.copied().unwrap_or(0)) << 8;
        self.bytes += u64::from(last.copied().unwrap_or(0));
    }
}

/// A kind of store.
pub trait Engine: Sync {
    /// Returns the name in tables.
    fn name(&self) -> &'static str;

    /// Tells whether it can do what not all can.
    fn can(&self, ability: Ability) -> bool;

    /// Opens the store in a directory, creating it if there is none.
    ///
    /// # Errors
    /// As the engine says.
    fn open(&self, place: &Place<'_>) -> Result<Box<dyn Db>>;
}

/// An open store; dropping it closes it.
pub trait Db: Sync {
    /// Starts what one thread works with.
    ///
    /// # Errors
    /// As the engine says.
    fn session(&self) -> Result<Box<dyn Session + '_>>;

    /// Makes the file as small as the engine can, and closes it.
    ///
    /// # Errors
    /// As the engine says.
    fn compact(self: Box<Self>) -> Result<()>;
}

/// What one thread works with.
pub trait Session {
    /// Makes changes in one transaction.
    ///
    /// # Errors
    /// As the engine says.
    fn commit(&mut self, changes: &[Change]) -> Result<()>;

    /// Reads the values of keys.
    ///
    /// # Errors
    /// As the engine says.
    fn get(&mut self, keys: &[Key], snapshots: Snapshots) -> Result<Sum>;

    /// Reads all values in key order.
    ///
    /// # Errors
    /// As the engine says.
    fn scan(&mut self) -> Result<Sum>;
}
