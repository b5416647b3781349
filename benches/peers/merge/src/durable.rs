//! Downloads into the encrypted file of a client, beside SQLite (WAL) that writes the same rows.

use crate::Outcome;
use crate::fields::{Fields, OBJECTS};
use crate::ours::{NOW, encrypted, entries};
use fastness::object::{Database, DatabaseOptions};
use fastness::schema::{Class, Property, Scalar, Schema};
use fastness::{Store, StoreOptions};
use fastness_sync::chain::salt;
use fastness_sync::client::{ClientReplica, Download, DownloadItem, ReplicaClock};
use fastness_sync::entry::{
    self, Change, Entry, Header, Key, ObjectRef, Operation, Operations, Value,
};
use std::path::PathBuf;
use std::time::Instant;
use tempfile::TempDir;

/// Rows of the stream.
pub(crate) const ROWS: usize = 20_000;
/// Rows of an entry of the stream, which is one download and one transaction.
const TOGETHER: usize = 100;
const CACHE_BYTES: usize = 256 << 20;

fn replica(store: Store) -> Outcome<ClientReplica> {
    let row = Class::new("Row")?
        .with(Property::new("id", Scalar::Int)?.required().primary_key())
        .with(Property::new("name", Scalar::String)?)
        .with(Property::new("city", Scalar::String)?)
        .with(Property::new("count", Scalar::Int)?)
        .with(Property::new("price", Scalar::Double)?);
    let task = Class::new("Task")?
        .with(Property::new("id", Scalar::Int)?.required().primary_key())
        .with(Property::new("count", Scalar::Int)?);
    let clock = ReplicaClock::new(Box::new(|| NOW));
    let schema = Schema::new([row, task])?;
    let wanted = DatabaseOptions::schema(schema, 1).synced().replica_hook(clock.hook());
    let replica = ClientReplica::new(Database::from_store(store, &wanted)?, clock);
    let replica = replica.map_err(|error| error.to_string())?;
    replica.identify(1, 7).map_err(|error| error.to_string())?;
    Ok(replica)
}

/// Orders the pending entries, as a server does that has no others.
fn order(replica: &ClientReplica) -> Outcome<()> {
    let failed = |error: fastness_sync::client::ClientError| error.to_string();
    let (pending, meta) = (replica.upload_after(0, usize::MAX), replica.meta());
    let (pending, meta) = (pending.map_err(failed)?.entries, meta.map_err(failed)?);
    let (mut items, mut chain) = (Vec::new(), meta.cursor_salt);
    for (client_seq, entry) in &pending {
        let stamp = Operations::new(entry).map_err(|error| error.to_string())?.header().stamp;
        chain = salt(chain, meta.client, entry);
        items.push(DownloadItem::Own { client_seq: *client_seq, stamp });
    }
    let (from, durable_seq) = (meta.cursor, meta.cursor + pending.len() as u64);
    let download = Download { epoch: 1, from, salt: chain, horizon: 0, durable_seq, items: &items };
    let merged = replica.download(&download).map_err(failed)?;
    if merged.own.len() == pending.len() { Ok(()) } else { Err("an entry is missing".into()) }
}

/// Downloads entries of another client, all at once.
fn download(replica: &ClientReplica, entries: &[Vec<u8>]) -> Outcome<()> {
    let meta = replica.meta().map_err(|error| error.to_string())?;
    let chain = entries.iter().fold(meta.cursor_salt, |chain, entry| salt(chain, 2, entry));
    let items: Vec<DownloadItem<'_>> =
        entries.iter().map(|entry| DownloadItem::Entry { client: 2, entry }).collect();
    let (from, durable_seq) = (meta.cursor, meta.cursor + entries.len() as u64);
    let download = Download { epoch: 1, from, salt: chain, horizon: 0, durable_seq, items: &items };
    let merged = replica.download(&download).map_err(|error| error.to_string())?;
    if merged.foreign != entries.len() as u64 {
        return Err("the file has not taken every entry".into());
    }
    Ok(())
}

/// Returns the seconds to download updates beside as many pending ones of the same objects.
pub(crate) fn rebase(fields: &Fields) -> Outcome<f64> {
    let replica = replica(encrypted().in_memory()?)?;
    let database = replica.database();
    let mut ids = Vec::new();
    let mut txn = database.write()?;
    for key in 0..OBJECTS {
        ids.push(txn.create_with_key("Task", key)?);
    }
    txn.commit()?;
    order(&replica)?;
    for transaction in &fields.transactions {
        let mut txn = database.write()?;
        for (key, value) in transaction {
            txn.set(&ids[usize::try_from(*key)?], "count", *value)?;
        }
        txn.commit()?;
    }
    let (entries, _) = entries(fields)?;
    let begun = Instant::now();
    download(&replica, &entries)?;
    Ok(begun.elapsed().as_secs_f64())
}

fn folder() -> Outcome<(TempDir, PathBuf)> {
    // Beside the program, since the folder of temporary files may be in memory.
    let program = std::env::current_exe()?;
    let parent = program.parent().ok_or("the program is in no folder")?;
    let folder = tempfile::Builder::new().prefix("peers").tempdir_in(parent)?;
    let path = folder.path().join("file");
    Ok((folder, path))
}

/// A row: key, name, number and price.
fn row(index: usize) -> (i64, String, i64, f64) {
    let index = i64::try_from(index).unwrap_or_default();
    // Neither in order nor twice.
    let key = index * 7919 % 1_000_003;
    (key, format!("name {key}"), index, 0.5)
}

/// Returns the seconds to download the stream into an encrypted file, each entry durable.
pub(crate) fn fastness() -> Outcome<f64> {
    let (folder, path) = folder()?;
    let options: StoreOptions = encrypted().cache_bytes(CACHE_BYTES);
    let replica = replica(options.create(&path)?)?;
    // Its classes are an entry of its own.
    order(&replica)?;
    let mut stream = Vec::new();
    for (number, first) in (1..).zip((0..ROWS).step_by(TOGETHER)) {
        let rows: Vec<_> = (first..first + TOGETHER).map(row).collect();
        let mut operations = Vec::new();
        for (key, name, count, price) in &rows {
            let target = ObjectRef { class: "Row", key: Key::Int(*key) };
            operations.push(Operation::Create(target));
            let values = [
                ("name", Value::String(name)),
                ("city", Value::String("Copenhagen")),
                ("count", Value::Int(*count)),
                ("price", Value::Double(*price)),
            ];
            operations.extend(values.map(|(property, value)| Operation::Change {
                target,
                property,
                change: Change::Set(value),
            }));
        }
        let header = Header { client_seq: number, base: 0, stamp: NOW + number };
        let entry = entry::encode(&Entry { header, operations });
        stream.push(entry.map_err(|error| error.to_string())?);
    }
    let begun = Instant::now();
    for entry in stream.chunks(1) {
        download(&replica, entry)?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let rows = replica.database().snapshot()?.objects("Row")?.len();
    drop((replica, folder));
    if rows == ROWS as u64 { Ok(seconds) } else { Err(format!("{rows} rows").into()) }
}

/// Returns the seconds to write the same rows, as many in each durable transaction.
pub(crate) fn sqlite() -> Outcome<f64> {
    let (folder, path) = folder()?;
    let mut db = rusqlite::Connection::open(path)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "cache_size", -(i64::try_from(CACHE_BYTES >> 10)?))?;
    db.execute_batch(
        "CREATE TABLE row (id INTEGER PRIMARY KEY, name TEXT, city TEXT, count INT, price REAL)",
    )?;
    let rows: Vec<_> = (0..ROWS).map(row).collect();
    let begun = Instant::now();
    for rows in rows.chunks(TOGETHER) {
        let txn = db.transaction()?;
        let mut insert =
            txn.prepare_cached("INSERT OR REPLACE INTO row VALUES (?1, ?2, ?3, ?4, ?5)")?;
        for (key, name, count, price) in rows {
            insert.execute((key, name, "Copenhagen", count, price))?;
        }
        drop(insert);
        txn.commit()?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    drop((db, folder));
    Ok(seconds)
}
