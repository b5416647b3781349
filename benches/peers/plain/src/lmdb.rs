//! LMDB through heed: a COW B+tree over a map of the file. It has no cache of its own.

use crate::record;
use heed::types::Bytes;
use heed::{CommitOrAbort, CompactionOption, Database, Env, EnvFlags, EnvOpenOptions, WithTls};
use peers_harness::{Ability, Change, Db, Engine, Key, Place, Result, Session, Snapshots, Sum};
use peers_harness::{Ask, Fields, Item, Objects, Points};
use std::path::PathBuf;

/// LMDB.
#[derive(Debug)]
pub(crate) struct Lmdb;

const MAP_BYTES: usize = 4 << 30;

impl Engine for Lmdb {
    fn name(&self) -> &'static str {
        "LMDB"
    }

    fn can(&self, ability: Ability) -> bool {
        match ability {
            Ability::Unsynced | Ability::Compaction => true,
            Ability::BoundedCache => false,
        }
    }

    fn open(&self, place: &Place<'_>) -> Result<Box<dyn Db>> {
        open(place).map(|open| Box::new(open) as Box<dyn Db>)
    }

    fn open_objects(&self, place: &Place<'_>) -> Result<Option<Box<dyn Objects>>> {
        open(place).map(|open| Some(Box::new(open) as Box<dyn Objects>))
    }
}

#[expect(
    unsafe_code,
    reason = "the map is undefined if another process changes the file; none does here"
)]
fn open(place: &Place<'_>) -> Result<LmdbDb> {
    let mut options = EnvOpenOptions::new();
    options.map_size(MAP_BYTES);
    // SAFETY: the directory is this run's own. NO_SYNC is wanted: its losses are not looked at.
    let env = unsafe {
        if !place.synced {
            options.flags(EnvFlags::NO_SYNC);
        }
        options.open(place.dir)?
    };
    let created = env.create_databases_and_commit(env.write_txn()?, |opener, txn| {
        opener.create_database(txn, None).map(CommitOrAbort::<_, ()>::Commit)
    })?;
    let rows = created.unwrap_commit();
    Ok(LmdbDb { env, rows, file: place.dir.join("data.mdb") })
}

struct LmdbDb {
    env: Env<WithTls>,
    rows: Database<'static, Bytes, Bytes>,
    file: PathBuf,
}

impl Db for LmdbDb {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        Ok(Box::new(LmdbSession(self)))
    }

    fn compact(self: Box<Self>) -> Result<()> {
        let compact = self.file.with_extension("compact");
        self.env.copy_to_path(&compact, CompactionOption::Enabled)?.sync_all()?;
        self.env.prepare_for_closing().wait();
        Ok(std::fs::rename(compact, &self.file)?)
    }
}

struct LmdbSession<'a>(&'a LmdbDb);

impl Session for LmdbSession<'_> {
    fn commit(&mut self, changes: &[Change]) -> Result<()> {
        let mut txn = self.0.env.write_txn()?;
        for change in changes {
            match &change.value {
                Some(value) => self.0.rows.put(&mut txn, &change.key, value)?,
                None => drop(self.0.rows.delete(&mut txn, &change.key)?),
            }
        }
        Ok(txn.commit()?)
    }

    fn get(&mut self, keys: &[Key], snapshots: Snapshots) -> Result<Sum> {
        let mut sum = Sum::default();
        match snapshots {
            Snapshots::One => {
                let txn = self.0.env.read_txn()?;
                for key in keys {
                    if let Some(value) = self.0.rows.get(&txn, key)? {
                        sum.add(value);
                    }
                }
            }
            Snapshots::Each => {
                for key in keys {
                    let txn = self.0.env.read_txn()?;
                    if let Some(value) = self.0.rows.get(&txn, key)? {
                        sum.add(value);
                    }
                }
            }
        }
        Ok(sum)
    }

    fn scan(&mut self) -> Result<Sum> {
        let mut sum = Sum::default();
        let txn = self.0.env.read_txn()?;
        for entry in self.0.rows.iter(&txn)? {
            sum.add(entry?.1);
        }
        Ok(sum)
    }
}

impl Objects for LmdbDb {
    fn load(&mut self, items: &[Item]) -> Result<()> {
        let mut txn = self.env.write_txn()?;
        let mut room = record::Room::default();
        for item in items {
            self.rows.put(&mut txn, &record::key(item.id), room.encode(&item.fields())?)?;
        }
        Ok(txn.commit()?)
    }

    fn get(&mut self, ids: &[i64]) -> Result<Sum> {
        let mut sum = Sum::default();
        let txn = self.env.read_txn()?;
        for id in ids {
            if let Some(bytes) = self.rows.get(&txn, &record::key(*id))? {
                sum.add_fields(&record::decode(bytes)?);
            }
        }
        Ok(sum)
    }

    fn filter(&mut self, ask: Ask) -> Result<Sum> {
        let mut points = 0;
        let txn = self.env.read_txn()?;
        for entry in self.rows.iter(&txn)? {
            points += record::points(entry?.1, ask)?;
        }
        let mut sum = Sum::default();
        sum.add_points(points);
        Ok(sum)
    }

    fn look_up(&mut self, _: &[String]) -> Result<Option<Sum>> {
        Ok(None)
    }

    fn update(&mut self, updates: &[Points]) -> Result<()> {
        let mut txn = self.env.write_txn()?;
        let mut room = record::Room::default();
        for update in updates {
            let key = record::key(update.id);
            let bytes = self.rows.get(&txn, &key)?.ok_or("an object does not exist")?;
            let fields = record::decode(bytes)?;
            let bytes = room.encode(&Fields { points: update.points, ..fields })?;
            self.rows.put(&mut txn, &key, bytes)?;
        }
        Ok(txn.commit()?)
    }
}
