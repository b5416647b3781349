//! fjall: a log-structured merge tree in Rust. Commits sync the journal's data.

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable as _};
use peers_harness::{Ability, Change, Db, Engine, Key, Place, Result, Session, Snapshots, Sum};

/// fjall.
#[derive(Debug)]
pub(crate) struct Fjall;

impl Engine for Fjall {
    fn name(&self) -> &'static str {
        "fjall"
    }

    fn can(&self, _: Ability) -> bool {
        true
    }

    fn open(&self, place: &Place<'_>) -> Result<Box<dyn Db>> {
        let cache_bytes = place.cache_bytes as u64;
        let db = Database::builder(place.dir.join("fjall")).cache_size(cache_bytes).open()?;
        let rows = db.keyspace("rows", KeyspaceCreateOptions::default)?;
        let persist = if place.synced { PersistMode::SyncData } else { PersistMode::Buffer };
        Ok(Box::new(FjallDb { db, rows, persist }))
    }
}

struct FjallDb {
    db: Database,
    rows: Keyspace,
    persist: PersistMode,
}

impl Db for FjallDb {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(FjallSession(self)))
    }

    fn compact(self: Box<Self>) -> Result<()> {
        self.rows.rotate_memtable_and_wait()?;
        Ok(self.rows.major_compact()?)
    }
}

struct FjallSession<'a>(&'a FjallDb);

impl Session for FjallSession<'_> {
    fn commit(&mut self, changes: &[Change]) -> Result<()> {
        let FjallDb { db, rows, persist } = self.0;
        let mut batch = db.batch().durability(Some(*persist));
        for change in changes {
            match &change.value {
                Some(value) => batch.insert(rows, change.key, *value),
                None => batch.remove(rows, change.key),
            }
        }
        Ok(batch.commit()?)
    }

    fn get(&mut self, keys: &[Key], snapshots: Snapshots) -> Result<Sum> {
        let FjallDb { db, rows, .. } = self.0;
        let mut sum = Sum::default();
        match snapshots {
            Snapshots::One => {
                let snapshot = db.snapshot();
                for key in keys {
                    if let Some(value) = snapshot.get(rows, key)? {
                        sum.add(&value);
                    }
                }
            }
            Snapshots::Each => {
                for key in keys {
                    if let Some(value) = db.snapshot().get(rows, key)? {
                        sum.add(&value);
                    }
                }
            }
        }
        Ok(sum)
    }

    fn scan(&mut self) -> Result<Sum> {
        let mut sum = Sum::default();
        for entry in self.0.db.snapshot().iter(&self.0.rows) {
            sum.add(&entry.value()?);
        }
        Ok(sum)
    }
}
