//! Costs of a client's replica in memory: local writes, acknowledgements, rebases.
//!
//! ```console
//! $ cargo bench -p fastness-sync
//! ```

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that measures time, prints it, and fails by panicking"
)]

use fastness::object::{Database, DatabaseOptions, ObjectId};
use fastness::schema::{self, Class, Property, Schema};
use fastness::{Store, StoreOptions};
use fastness_sync::chain::salt;
use fastness_sync::client::{ClientReplica, Download, DownloadItem, ReplicaClock};
use fastness_sync::entry::{
    self, Change, Entry, Header, Key, ObjectRef, Operation, Operations, PrimaryKey, PropertyType,
    Scalar, ScalarType, Value,
};
use fastness_sync::merge::{Author, Memory, apply};
use fastness_testkit::Counting;
use std::time::Instant;

const NOW: u64 = 1_700_000_000_000;

fn schema() -> Schema {
    let text = schema::PropertyType::List { of: schema::Scalar::String, nullable: false };
    let node = Class::new("Node")
        .unwrap()
        .with(Property::new("id", schema::Scalar::Int).unwrap().required().primary_key())
        .with(Property::new("name", schema::Scalar::String).unwrap())
        .with(Property::new("text", text).unwrap());
    Schema::new([node]).unwrap()
}

fn synced() -> ClientReplica {
    synced_on(StoreOptions::new().in_memory().unwrap())
}

fn synced_on(store: Store) -> ClientReplica {
    let clock = ReplicaClock::new(Box::new(|| NOW));
    let wanted = DatabaseOptions::schema(schema(), 1).synced().replica_hook(clock.hook());
    let database = Database::from_store(store, &wanted).unwrap();
    let replica = ClientReplica::new(database, clock).unwrap();
    replica.identify(1, 7).unwrap();
    replica
}

fn node(database: &Database, key: i64) -> ObjectId {
    let mut txn = database.write().unwrap();
    let (node, _) = txn.get_or_create("Node", key).unwrap();
    txn.commit().unwrap();
    node
}

/// Acknowledges pending entries, one after the other; returns the median in microseconds.
fn acknowledge(replica: &ClientReplica, count: usize) -> f64 {
    let pending = replica.upload_after(0, usize::MAX).unwrap().entries;
    let meta = replica.meta().unwrap();
    let (mut cursor, mut chain) = (meta.cursor, meta.cursor_salt);
    let mut times = Vec::new();
    for (client_seq, entry) in pending.iter().take(count) {
        let stamp = Operations::new(entry).unwrap().header().stamp;
        chain = salt(chain, meta.client, entry);
        let items = [DownloadItem::Own { client_seq: *client_seq, stamp }];
        let (from, durable_seq) = (cursor, cursor + 1);
        let download =
            Download { epoch: 1, from, salt: chain, horizon: 0, durable_seq, items: &items };
        let begin = Instant::now();
        replica.download(&download).unwrap();
        times.push(begin.elapsed().as_secs_f64() * 1e6);
        cursor += 1;
    }
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The least mean of a hundred rounds, which other programs disturb least.
fn writes(name: &str, database: &Database, mut write: impl FnMut(&Database, u32)) {
    let mut best = f64::MAX;
    for round in 0..100 {
        let begin = Instant::now();
        (0..50).for_each(|index| write(database, round * 50 + index));
        best = best.min(begin.elapsed().as_secs_f64() * 1e6 / 50.0);
    }
    println!("{name}: {best:.1} us");
}

fn local_writes(name: &str, database: &Database) {
    let object = node(database, 1);
    writes(&format!("set one property, {name}"), database, |database, index| {
        let mut txn = database.write().unwrap();
        txn.set(&object, "name", if index % 2 == 0 { "even" } else { "odd" }).unwrap();
        txn.commit().unwrap();
    });
    writes(&format!("append a character, {name}"), database, |database, _| {
        let mut txn = database.write().unwrap();
        txn.list(&object, "text").unwrap().push("a").unwrap();
        txn.commit().unwrap();
    });
    writes(&format!("create an object, {name}"), database, |database, index| {
        node(database, i64::from(index) + 10);
    });
}

/// Durable transactions that set one property, in an encrypted file on the disk and in one that
/// counts its calls.
fn durable_writes(name: &str, open: &dyn Fn(Store) -> Database) {
    let set = |database: &Database, object: &ObjectId, index: u32| {
        let mut txn = database.write().unwrap();
        txn.set(object, "name", if index.is_multiple_of(2) { "even" } else { "odd" }).unwrap();
        txn.commit().unwrap();
    };
    let counting = Counting::default();
    let database = open(counting.options().create("store").unwrap());
    let object = node(&database, 1);
    (0..100).for_each(|index| set(&database, &object, index));
    let [_, writes, bytes, syncs] =
        counting.of(|| (0..1000).for_each(|index| set(&database, &object, index)));
    println!("1000 durable transactions, {name}: {syncs} syncs, {writes} writes, {bytes} bytes");
    let program = std::env::current_exe().unwrap();
    let folder = tempfile::tempdir_in(program.parent().unwrap()).unwrap();
    let options = StoreOptions::new().key(fastness::Key::new([7; 64]));
    let database = open(options.create(folder.path().join("file")).unwrap());
    let object = node(&database, 1);
    let mut times: Vec<f64> = (0..1000)
        .map(|index| {
            let begin = Instant::now();
            set(&database, &object, index);
            begin.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("a durable transaction on the disk, {name}: median {:.0} us", times[500]);
}

fn set(client_seq: u64, key: i64, base: u64) -> Vec<u8> {
    let target = ObjectRef { class: "Node", key: Key::Int(key) };
    let change = Change::Set(Value::String("remote"));
    let operations =
        vec![Operation::Create(target), Operation::Change { target, property: "name", change }];
    let header = Header { client_seq, base, stamp: NOW + client_seq };
    entry::encode(&Entry { header, operations }).unwrap()
}

/// Downloads entries of another client beside pending ones; returns the milliseconds.
fn rebase(local: i64, remote: i64, same: bool) -> f64 {
    let replica = synced();
    node(replica.database(), -1);
    for key in 0..local {
        node(replica.database(), key);
    }
    acknowledge(&replica, 2);
    let meta = replica.meta().unwrap();
    let shift = if same { 0 } else { 1 << 32 };
    let entries: Vec<Vec<u8>> =
        (1..=remote).map(|key| set(u64::try_from(key).unwrap(), key + shift, 1)).collect();
    let chain = entries.iter().fold(meta.cursor_salt, |chain, entry| salt(chain, 2, entry));
    let items: Vec<DownloadItem<'_>> =
        entries.iter().map(|entry| DownloadItem::Entry { client: 2, entry }).collect();
    let from = meta.cursor;
    let download =
        Download { epoch: 1, from, salt: chain, horizon: 0, durable_seq: from, items: &items };
    let begin = Instant::now();
    replica.download(&download).unwrap();
    begin.elapsed().as_secs_f64() * 1e3
}

/// Applies as many entries to a state in memory, those of others first.
fn rebase_in_memory(count: u64) -> f64 {
    let mut state = Memory::default();
    let key = PrimaryKey { property: "id", is_string: false, nullable: false };
    let class = Operation::AddClass { class: "Node", primary_key: Some(key) };
    let kind = PropertyType::Scalar(Scalar { kind: ScalarType::String, nullable: false });
    let property = Operation::AddProperty { class: "Node", property: "name", kind };
    let author = |seq, client, client_seq| Author { seq, client, client_seq, base: 1, stamp: NOW };
    for operation in [class, property] {
        let Ok(_) = apply(&mut state, &author(1, 1, 1), operation);
    }
    let entries: Vec<(u32, Vec<u8>)> = (0..2 * count)
        .map(|index| {
            (2 - u32::from(index >= count), set(2 + index, (index % count).cast_signed(), 1))
        })
        .collect();
    let begin = Instant::now();
    for (client, entry) in &entries {
        for operation in Operations::new(entry).unwrap() {
            let Ok(_) = apply(&mut state, &author(2, *client, 2), operation.unwrap());
        }
    }
    begin.elapsed().as_secs_f64() * 1e3
}

fn main() {
    let plain = DatabaseOptions::schema(schema(), 1);
    let plain = Database::in_memory(&StoreOptions::new(), &plain).unwrap();
    local_writes("without sync", &plain);
    let replica = synced();
    local_writes("with sync", replica.database());
    for _ in 0..2 {
        let plain = DatabaseOptions::schema(schema(), 1);
        durable_writes("without sync", &|store| Database::from_store(store, &plain).unwrap());
        durable_writes("with sync", &|store| synced_on(store).database().clone());
    }
    for count in [100, 5000] {
        let replica = synced();
        (0..count).for_each(|key| drop(node(replica.database(), key)));
        println!("acknowledge 1 of {count} pending: {:.1} us", acknowledge(&replica, 50));
    }
    for (local, remote) in [(100, 10_000), (10_000, 100), (10_000, 10_000)] {
        let apart = rebase(local, remote, false);
        let same = rebase(local, remote, true);
        print!("{local} local and {remote} remote entries: {apart:.1} ms apart, ");
        println!("{same:.1} ms on the same objects");
    }
    println!("10000 and 10000 entries in memory: {:.1} ms", rebase_in_memory(10_000));
}
