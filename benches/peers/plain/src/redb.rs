//! redb: a COW B+tree in Rust. One-phase commits, its default.

use peers_harness::{Ability, Change, Db, Engine, Key, Place, Result, Session, Snapshots, Sum};
use redb::{Builder, Database, Durability, ReadableDatabase as _, ReadableTable as _};
use redb::{TableDefinition, WriteTransaction};

/// redb.
#[derive(Debug)]
pub(crate) struct Redb;

const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("rows");

impl Engine for Redb {
    fn name(&self) -> &'static str {
        "redb"
    }

    fn can(&self, _: Ability) -> bool {
        true
    }

    fn open(&self, place: &Place<'_>) -> Result<Box<dyn Db>> {
        let file = place.dir.join("store.redb");
        let db = Builder::new().set_cache_size(place.cache_bytes).create(file)?;
        Ok(Box::new(Open { db, synced: place.synced }))
    }
}

struct Open {
    db: Database,
    synced: bool,
}

impl Db for Open {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(Shared(self)))
    }

    fn compact(mut self: Box<Self>) -> Result<()> {
        while self.db.compact()? {}
        Ok(())
    }
}

struct Shared<'a>(&'a Open);

fn apply(txn: &WriteTransaction, changes: &[Change]) -> Result<()> {
    let mut table = txn.open_table(ROWS)?;
    for change in changes {
        match &change.value {
            Some(value) => drop(table.insert(&change.key[..], &value[..])?),
            None => drop(table.remove(&change.key[..])?),
        }
    }
    Ok(())
}

impl Session for Shared<'_> {
    fn commit(&mut self, changes: &[Change]) -> Result<()> {
        let mut txn = self.0.db.begin_write()?;
        if !self.0.synced {
            txn.set_durability(Durability::None)?;
        }
        apply(&txn, changes)?;
        Ok(txn.commit()?)
    }

    fn get(&mut self, keys: &[Key], snapshots: Snapshots) -> Result<Sum> {
        let mut sum = Sum::default();
        match snapshots {
            Snapshots::One => {
                let table = self.0.db.begin_read()?.open_table(ROWS)?;
                for key in keys {
                    if let Some(value) = table.get(&key[..])? {
                        sum.add(value.value());
                    }
                }
            }
            Snapshots::Each => {
                for key in keys {
                    let table = self.0.db.begin_read()?.open_table(ROWS)?;
                    if let Some(value) = table.get(&key[..])? {
                        sum.add(value.value());
                    }
                }
            }
        }
        Ok(sum)
    }

    fn scan(&mut self) -> Result<Sum> {
        let mut sum = Sum::default();
        let table = self.0.db.begin_read()?.open_table(ROWS)?;
        for entry in table.iter()? {
            sum.add(entry?.1.value());
        }
        Ok(sum)
    }
}
