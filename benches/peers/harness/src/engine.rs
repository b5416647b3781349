//! Interface of a store under measurement: open, commit, read by key, scan, compact.
//!
//! Loops are the engine's own, so that no call through a pointer is measured with each row.

use crate::data::{Change, Key};
use crate::items::{Ask, Item, Points};
use crate::sum::Sum;
use std::any::Any;
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

/// Abilities that some engines lack.
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

    /// Opens a store of objects in a directory, creating it if there is none; none if it takes no
    /// part.
    ///
    /// # Errors
    /// As the engine says.
    fn open_objects(&self, place: &Place<'_>) -> Result<Option<Box<dyn Objects>>> {
        let _ = place;
        Ok(None)
    }

    /// Opens a store of lists in a directory, creating it if there is none; none if it takes no
    /// part.
    ///
    /// # Errors
    /// As the engine says.
    fn open_lists(&self, place: &Place<'_>) -> Result<Option<Box<dyn Lists>>> {
        let _ = place;
        Ok(None)
    }

    /// Opens a store of [`CLASSES`] classes of objects, creating it with one object in each if
    /// there is none, and reads that of the last class; none if it takes no part. It is closed when
    /// what is returned is dropped.
    ///
    /// # Errors
    /// As the engine says.
    fn open_classes(&self, place: &Place<'_>) -> Result<Option<(Sum, Box<dyn Any>)>> {
        let _ = place;
        Ok(None)
    }
}

/// Classes of objects in a store whose opening is measured, each with the same fields.
pub const CLASSES: usize = 200;

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

/// The handle of one thread.
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

/// An open store of objects; dropping it closes it.
pub trait Objects {
    /// Writes objects in one transaction.
    ///
    /// # Errors
    /// As the engine says.
    fn load(&mut self, items: &[Item]) -> Result<()>;

    /// Reads all fields of objects by their keys, in one snapshot.
    ///
    /// # Errors
    /// As the engine says.
    fn get(&mut self, ids: &[i64]) -> Result<Sum>;

    /// Adds up the points of all objects that meet a condition on two other fields.
    ///
    /// # Errors
    /// As the engine says.
    fn filter(&mut self, ask: Ask) -> Result<Sum>;

    /// Adds up the points of the objects of each name, by an index; none if there is no index.
    ///
    /// # Errors
    /// As the engine says.
    fn look_up(&mut self, names: &[String]) -> Result<Option<Sum>>;

    /// Updates one field of each of these objects in one transaction.
    ///
    /// # Errors
    /// As the engine says.
    fn update(&mut self, updates: &[Points]) -> Result<()>;
}

/// An element of a list.
#[derive(Clone, Copy, Debug)]
pub struct Spot {
    /// Which list.
    pub list: i64,
    /// Which of its elements, from 0.
    pub position: usize,
    /// The value of the element.
    pub value: i64,
}

/// An open store of lists; dropping it closes it.
pub trait Lists {
    /// Appends elements, whose positions follow the last ones, in one transaction.
    ///
    /// # Errors
    /// As the engine says.
    fn push(&mut self, spots: &[Spot]) -> Result<()>;

    /// Sets elements in one transaction.
    ///
    /// # Errors
    /// As the engine says.
    fn set(&mut self, spots: &[Spot]) -> Result<()>;

    /// Removes elements, each the last one of its list, in one transaction.
    ///
    /// # Errors
    /// As the engine says.
    fn remove(&mut self, spots: &[Spot]) -> Result<()>;

    /// Reads all elements in order.
    ///
    /// # Errors
    /// As the engine says.
    fn scan(&mut self) -> Result<Sum>;
}
