//! redb under our checks: one file of the simulated disk, through its `StorageBackend`.

mod backend;

use backend::Backend;
use fastness_crashkit::SimFs;
use foreign_harness::{Answer, Contents, Database, Edit, End, Engine, Refused, Snapshot, program};
#[cfg(not(feature = "api-2"))]
use redb::ReadableDatabase as _;
use redb::{
    Builder, CompactionError, Durability, ReadTransaction, ReadableTable as _, TableDefinition,
};
use redb::{TableHandle as _, WriteTransaction};
use std::fmt::Display;
use std::process::ExitCode;

/// Small, so that reads reach the disk.
const CACHE_BYTES: usize = 64 << 10;

struct Redb;

struct RedbDatabase(redb::Database);

struct RedbSnapshot(ReadTransaction);

fn main() -> ExitCode {
    program(&Redb)
}

fn refused(error: impl Display) -> Refused {
    error.to_string()
}

fn table(name: &str) -> TableDefinition<'_, &'static [u8], &'static [u8]> {
    TableDefinition::new(name)
}

impl Engine for Redb {
    fn name(&self) -> String {
        format!("redb {}", option_env!("FOREIGN_VERSION").unwrap_or("of foreign/redb/Cargo.toml"))
    }

    fn open(&self, fs: &SimFs) -> Result<Box<dyn Database>, Refused> {
        let backend = Backend::open(fs).map_err(refused)?;
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES);
        let db = builder.create_with_backend(backend).map_err(refused)?;
        Ok(Box::new(RedbDatabase(db)))
    }
}

impl Database for RedbDatabase {
    fn transact(&mut self, edits: &[Edit], end: End) -> Result<Vec<Answer>, Refused> {
        let mut txn = self.0.begin_write().map_err(refused)?;
        if end == End::CommitUnsynced {
            #[cfg(feature = "api-2")]
            txn.set_durability(Durability::None);
            #[cfg(not(feature = "api-2"))]
            txn.set_durability(Durability::None).map_err(refused)?;
        }
        let answers = edits.iter().map(|edit| apply(&txn, edit)).collect::<Result<_, _>>()?;
        match end {
            End::Commit | End::CommitUnsynced => txn.commit().map_err(refused)?,
            End::Abort => txn.abort().map_err(refused)?,
        }
        Ok(answers)
    }

    fn contents(&self) -> Result<Contents, Refused> {
        contents(&self.0.begin_read().map_err(refused)?)
    }

    fn snapshot(&self) -> Result<Box<dyn Snapshot>, Refused> {
        Ok(Box::new(RedbSnapshot(self.0.begin_read().map_err(refused)?)))
    }

    fn compact(&mut self) -> Result<(), Refused> {
        match self.0.compact() {
            // Until 4.2, commits that are not durable yet count as transactions.
            Ok(_) | Err(CompactionError::TransactionInProgress) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn verify(&mut self) -> Result<(), Refused> {
        match self.0.check_integrity() {
            Ok(true) => Ok(()),
            Ok(false) => Err("check_integrity() found damage, and repaired it".to_owned()),
            Err(error) => Err(format!("check_integrity(): {error}")),
        }
    }
}

impl Snapshot for RedbSnapshot {
    fn contents(&self) -> Result<Contents, Refused> {
        contents(&self.0)
    }
}

fn apply(txn: &WriteTransaction, edit: &Edit) -> Result<Answer, Refused> {
    Ok(match edit {
        Edit::Insert(tree, key, value) => {
            let mut table = txn.open_table(table(tree)).map_err(refused)?;
            let was = table.insert(&key[..], &value[..]).map_err(refused)?;
            Answer::Existed(was.is_some())
        }
        Edit::Remove(tree, key) => {
            let mut table = txn.open_table(table(tree)).map_err(refused)?;
            let was = table.remove(&key[..]).map_err(refused)?;
            Answer::Existed(was.is_some())
        }
        Edit::Clear(tree) => {
            txn.delete_table(table(tree)).map_err(refused)?;
            Answer::Done
        }
        Edit::Get(tree, key) => {
            let table = txn.open_table(table(tree)).map_err(refused)?;
            let value = table.get(&key[..]).map_err(refused)?;
            Answer::Value(value.map(|value| value.value().to_vec()))
        }
    })
}

fn contents(txn: &ReadTransaction) -> Result<Contents, Refused> {
    let mut contents = Contents::new();
    for handle in txn.list_tables().map_err(refused)? {
        let name = handle.name().to_owned();
        let mut entries = Vec::new();
        for entry in txn.open_table(table(&name)).map_err(refused)?.iter().map_err(refused)? {
            let (key, value) = entry.map_err(refused)?;
            entries.push((key.value().to_vec(), value.value().to_vec()));
        }
        contents.insert(name, entries);
    }
    Ok(contents)
}
