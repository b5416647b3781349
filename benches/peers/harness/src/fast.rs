//! Fastness as an engine, encrypted and plain.

use crate::data::{Change, Key};
use crate::engine::{Ability, Db, Engine, Lists, Objects, Place, Result, Session, Snapshots};
use crate::sum::Sum;
use crate::{fast_lists, fast_objects};
use fastness::{Store, StoreOptions};
use std::any::Any;

/// Fastness.
#[derive(Clone, Copy, Debug)]
pub struct Fastness {
    /// Whether the file is encrypted.
    pub encrypted: bool,
}

/// The encrypted twin's name: what the goals are about.
pub(crate) const OURS: &str = "Fastness";

/// The name of the plain one, which no goal is about.
const PLAIN: &str = "plain";

/// Tells whether an engine of that name is Fastness.
pub(crate) fn is_ours(name: &str) -> bool {
    [OURS, PLAIN].contains(&name)
}

const TREE: &str = "rows";

/// Returns the options of either twin.
#[must_use]
pub(crate) fn options(encrypted: bool) -> StoreOptions {
    let options = StoreOptions::new();
    if encrypted { options.key(fastness::Key::new([7; 64])) } else { options }
}

impl Engine for Fastness {
    fn name(&self) -> &'static str {
        if self.encrypted { OURS } else { PLAIN }
    }

    fn can(&self, ability: Ability) -> bool {
        match ability {
            Ability::Unsynced | Ability::BoundedCache | Ability::Compaction => true,
        }
    }

    fn open(&self, place: &Place<'_>) -> Result<Box<dyn Db>> {
        let options = options(self.encrypted).cache_bytes(place.cache_bytes);
        let store = options.open_or_create(place.dir.join("store.fastness"))?;
        Ok(Box::new(FastnessDb { store, synced: place.synced }))
    }

    fn open_objects(&self, place: &Place<'_>) -> Result<Option<Box<dyn Objects>>> {
        fast_objects::open(&options(self.encrypted), place).map(Some)
    }

    fn open_lists(&self, place: &Place<'_>) -> Result<Option<Box<dyn Lists>>> {
        fast_lists::open(&options(self.encrypted), place).map(Some)
    }

    fn open_classes(&self, place: &Place<'_>) -> Result<Option<(Sum, Box<dyn Any>)>> {
        fast_objects::open_classes(&options(self.encrypted), place).map(Some)
    }
}

struct FastnessDb {
    store: Store,
    synced: bool,
}

impl Db for FastnessDb {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(FastnessSession(&self.store, self.synced)))
    }

    fn compact(self: Box<Self>) -> Result<()> {
        self.store.compact()?;
        Ok(())
    }
}

/// A store, and whether its commits are to be durable.
struct FastnessSession<'a>(&'a Store, bool);

impl Session for FastnessSession<'_> {
    fn commit(&mut self, changes: &[Change]) -> Result<()> {
        let mut txn = self.0.write()?;
        let mut tree = txn.tree(TREE)?;
        for change in changes {
            match &change.value {
                Some(value) => tree.insert(&change.key, value)?,
                None => tree.remove(&change.key)?,
            };
        }
        if self.1 {
            txn.commit()?
        } else {
            txn.commit_with(fastness::Durability::None)?
        };
        Ok(())
    }

    fn get(&mut self, keys: &[Key], snapshots: Snapshots) -> Result<Sum> {
        let mut sum = Sum::default();
        match snapshots {
            Snapshots::One => {
                let snapshot = self.0.snapshot();
                let tree = snapshot.tree(TREE);
                for key in keys {
                    if let Some(value) = tree.get(key)? {
                        sum.add(&value);
                    }
                }
            }
            Snapshots::Each => {
                for key in keys {
                    if let Some(value) = self.0.snapshot().tree(TREE).get(key)? {
                        sum.add(&value);
                    }
                }
            }
        }
        Ok(sum)
    }

    fn scan(&mut self) -> Result<Sum> {
        let mut sum = Sum::default();
        let snapshot = self.0.snapshot();
        let mut rows = snapshot.tree(TREE).range(..)?;
        while let Some((_, value)) = rows.next_ref()? {
            sum.add(value);
        }
        Ok(sum)
    }
}
