//! SQLite as an engine, in the library its user links: WAL, a sync with every commit, statements
//! prepared once, a table without row ids. SQLCipher is the same with a raw key.

mod lists;
mod objects;

use peers_harness::{Ability, Change, Db, Engine, Key, Place, Result, Session, Snapshots, Sum};
use rusqlite::{Connection, OptionalExtension as _, Row, TransactionBehavior};
use std::any::Any;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

/// SQLite or SQLCipher.
#[derive(Clone, Copy, Debug)]
pub struct Sql {
    name: &'static str,
    encrypted: bool,
}

impl Sql {
    /// SQLite, plain.
    #[must_use]
    pub const fn sqlite() -> Self {
        Self { name: "SQLite", encrypted: false }
    }

    /// SQLCipher with a raw key; the library linked must be it.
    #[must_use]
    pub const fn sqlcipher() -> Self {
        Self { name: "SQLCipher", encrypted: true }
    }
}

const INSERT: &str = "INSERT INTO rows(key, value) VALUES(?1, ?2) \
                      ON CONFLICT(key) DO UPDATE SET value = excluded.value";
const DELETE: &str = "DELETE FROM rows WHERE key = ?1";
const SELECT: &str = "SELECT value FROM rows WHERE key = ?1";
const SCAN: &str = "SELECT value FROM rows ORDER BY key";

/// How long a writer waits for another.
const WAIT: Duration = Duration::from_secs(60);

impl Engine for Sql {
    fn name(&self) -> &'static str {
        self.name
    }

    fn can(&self, _: Ability) -> bool {
        true
    }

    fn open(&self, place: &Place<'_>) -> Result<Box<dyn Db>> {
        let way = self.way(place);
        let first = way.connect()?;
        first.execute_batch(
            "CREATE TABLE IF NOT EXISTS rows(key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID",
        )?;
        Ok(Box::new(SqlDb { way, first: Mutex::new(Some(first)) }))
    }

    fn open_objects(&self, place: &Place<'_>) -> Result<Option<Box<dyn peers_harness::Objects>>> {
        objects::open(&self.way(place)).map(Some)
    }

    fn open_lists(&self, place: &Place<'_>) -> Result<Option<Box<dyn peers_harness::Lists>>> {
        lists::open(&self.way(place)).map(Some)
    }

    fn open_classes(&self, place: &Place<'_>) -> Result<Option<(Sum, Box<dyn Any>)>> {
        objects::open_classes(&self.way(place)).map(Some)
    }
}

impl Sql {
    fn way(self, place: &Place<'_>) -> Way {
        Way {
            file: place.dir.join("store.sqlite"),
            encrypted: self.encrypted,
            cache_kib: place.cache_bytes >> 10,
            synchronous: if place.synced { "FULL" } else { "OFF" },
        }
    }
}

/// How to connect.
#[derive(Debug)]
struct Way {
    file: PathBuf,
    encrypted: bool,
    cache_kib: usize,
    synchronous: &'static str,
}

impl Way {
    fn connect(&self) -> Result<Connection> {
        let connection = Connection::open(&self.file)?;
        if self.encrypted {
            let key = "07".repeat(48);
            connection.execute_batch(&format!("PRAGMA key = \"x'{key}'\""))?;
            // SQLite takes the pragma for a comment, and leaves the file plain.
            connection.query_row("PRAGMA cipher_version", (), |_| Ok(()))?;
        }
        connection.busy_timeout(WAIT)?;
        connection.execute_batch(&format!(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = {}; PRAGMA cache_size = -{}",
            self.synchronous, self.cache_kib
        ))?;
        Ok(connection)
    }
}

/// An open store. The first session uses the first connection with its cache and returns it;
/// concurrent sessions connect for themselves. One connection always stays open, since closing the
/// last would end the log.
struct SqlDb {
    way: Way,
    first: Mutex<Option<Connection>>,
}

impl SqlDb {
    fn first(&self) -> Result<std::sync::MutexGuard<'_, Option<Connection>>> {
        self.first.lock().map_err(|_| "a session panicked".into())
    }
}

impl Db for SqlDb {
    fn session(&self) -> Result<Box<dyn Session + '_>> {
        let connection = match self.first()?.take() {
            Some(first) => first,
            None => self.way.connect()?,
        };
        Ok(Box::new(Connected { open: self, connection: Some(connection) }))
    }

    fn compact(self: Box<Self>) -> Result<()> {
        if let Some(connection) = &*self.first()? {
            connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")?;
        }
        Ok(())
    }
}

struct Connected<'a> {
    open: &'a SqlDb,
    connection: Option<Connection>,
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        if let Ok(mut first) = self.open.first() {
            *first = self.connection.take();
        }
    }
}

impl Connected<'_> {
    fn connection(&mut self) -> Result<&mut Connection> {
        self.connection.as_mut().ok_or_else(|| "the session has ended".into())
    }
}

fn add(sum: &mut Sum, row: &Row<'_>) -> rusqlite::Result<()> {
    sum.add(row.get_ref(0)?.as_blob()?);
    Ok(())
}

impl Session for Connected<'_> {
    fn commit(&mut self, changes: &[Change]) -> Result<()> {
        let connection = self.connection()?;
        let txn = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = txn.prepare_cached(INSERT)?;
            let mut delete = txn.prepare_cached(DELETE)?;
            for change in changes {
                match &change.value {
                    Some(value) => insert.execute((&change.key[..], &value[..]))?,
                    None => delete.execute((&change.key[..],))?,
                };
            }
        }
        Ok(txn.commit()?)
    }

    fn get(&mut self, keys: &[Key], snapshots: Snapshots) -> Result<Sum> {
        let connection = self.connection()?;
        let mut sum = Sum::default();
        let txn = match snapshots {
            Snapshots::One => Some(connection.unchecked_transaction()?),
            // Every statement is a transaction of its own.
            Snapshots::Each => None,
        };
        {
            let mut select = connection.prepare_cached(SELECT)?;
            for key in keys {
                select.query_row((&key[..],), |row| add(&mut sum, row)).optional()?;
            }
        }
        if let Some(txn) = txn {
            txn.commit()?;
        }
        Ok(sum)
    }

    fn scan(&mut self) -> Result<Sum> {
        let connection = self.connection()?;
        let mut sum = Sum::default();
        let mut select = connection.prepare_cached(SCAN)?;
        let mut rows = select.query(())?;
        while let Some(row) = rows.next()? {
            add(&mut sum, row)?;
        }
        Ok(sum)
    }
}
