//! redb: a COW B+tree in Rust. One-phase commits, its default.

use crate::record;
use peers_harness::{Ability, Change, Db, Engine, Key, Place, Result, Session, Snapshots, Sum};
use peers_harness::{Ask, Fields, Item, Objects, Points};
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
        open(place).map(|open| Box::new(open) as Box<dyn Db>)
    }

    fn open_objects(&self, place: &Place<'_>) -> Result<Option<Box<dyn Objects>>> {
        open(place).map(|open| Some(Box::new(open) as Box<dyn Objects>))
    }
}

fn open(place: &Place<'_>) -> Result<RedbDb> {
    let file = place.dir.join("store.redb");
    let db = Builder::new().set_cache_size(place.cache_bytes).create(file)?;
    Ok(RedbDb { db, synced: place.synced })
}

struct RedbDb {
    db: Database,
    synced: bool,
}

impl Db for RedbDb {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(RedbSession(self)))
    }

    fn compact(mut self: Box<Self>) -> Result<()> {
        while self.db.compact()? {}
        Ok(())
    }
}

struct RedbSession<'a>(&'a RedbDb);

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

impl Session for RedbSession<'_> {
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

impl Objects for RedbDb {
    fn load(&mut self, items: &[Item]) -> Result<()> {
        let txn = self.db.begin_write()?;
        let mut room = record::Room::default();
        let mut table = txn.open_table(ROWS)?;
        for item in items {
            table.insert(&record::key(item.id)[..], room.encode(&item.fields())?)?;
        }
        drop(table);
        Ok(txn.commit()?)
    }

    fn get(&mut self, ids: &[i64]) -> Result<Sum> {
        let mut sum = Sum::default();
        let table = self.db.begin_read()?.open_table(ROWS)?;
        for id in ids {
            if let Some(bytes) = table.get(&record::key(*id)[..])? {
                sum.add_fields(&record::decode(bytes.value())?);
            }
        }
        Ok(sum)
    }

    fn filter(&mut self, ask: Ask) -> Result<Sum> {
        let mut points = 0;
        let table = self.db.begin_read()?.open_table(ROWS)?;
        for entry in table.iter()? {
            points += record::points(entry?.1.value(), ask)?;
        }
        let mut sum = Sum::default();
        sum.add_points(points);
        Ok(sum)
    }

    fn look_up(&mut self, _: &[String]) -> Result<Option<Sum>> {
        Ok(None)
    }

    fn update(&mut self, updates: &[Points]) -> Result<()> {
        let txn = self.db.begin_write()?;
        let mut room = record::Room::default();
        let mut table = txn.open_table(ROWS)?;
        for update in updates {
            let key = record::key(update.id);
            let held = table.get(&key[..])?.ok_or("an object does not exist")?;
            let fields = record::decode(held.value())?;
            let bytes = room.encode(&Fields { points: update.points, ..fields })?;
            drop(held);
            table.insert(&key[..], bytes)?;
        }
        drop(table);
        Ok(txn.commit()?)
    }
}
