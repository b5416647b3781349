//! Fuzzing of snapshots of the sync protocol: any bytes as the stream that a client resets onto.
//!
//! - SY15 Receiving, installing and using the state of any stream never panics.
//! - SY14 A reset that fails leaves the objects as they were.

use fastness::StoreOptions;
use fastness::object::{Database, DatabaseOptions, Transaction, View};
use fastness::schema::{Class, Property, PropertyType, Scalar, Schema};
use fastness_sync::chain::stream_hash;
use fastness_sync::client::{
    ClientError, ClientReplica, ClientResult, Download, DownloadItem, ReplicaClock, ResetMode,
    ResetStart, SnapshotPart,
};
use fastness_sync::reset::Cause;
use fastness_sync::server::{Access, Opening, ServerReplica, Submission};
use std::fmt::Write as _;

const NOW: u64 = 1_700_000_000_000;
const CLIENT: u32 = 1;
const USER: &str = "u";
/// Most parts of a stream.
const PARTS_MAX: usize = 16;
/// Most objects of each class that are read.
const READ: usize = 200;

fn schema() -> fastness::Result<Schema> {
    let list = |of| PropertyType::List { of, nullable: false };
    let node = Class::new("Node")?
        .with(Property::new("id", Scalar::Int)?.required().primary_key())
        .with(Property::new("name", Scalar::String)?.indexed())
        .with(Property::new("hits", PropertyType::Counter)?)
        .with(Property::new("next", PropertyType::Object("Node".into()))?)
        .with(Property::new("text", list(Scalar::String))?)
        .with(Property::new("nodes", PropertyType::ObjectList("Node".into()))?);
    let note = Class::new("Note")?.with(Property::new("of", PropertyType::Object("Node".into()))?);
    Ok(Schema::new([node, note])?)
}

/// Makes a client with some pending entries.
fn client(identity: (u32, u64), keys: std::ops::Range<i64>) -> ClientResult<ClientReplica> {
    let clock = ReplicaClock::new(Box::new(|| NOW));
    let wanted = DatabaseOptions::schema(schema()?, 1).synced().replica_hook(clock.hook());
    let store = StoreOptions::new().in_memory()?;
    let replica = ClientReplica::new(Database::from_store(store, &wanted)?, clock)?;
    replica.identify(identity.0, identity.1)?;
    for key in keys {
        let mut txn = replica.database().write()?;
        write(&mut txn, key)?;
        txn.commit()?;
    }
    Ok(replica)
}

/// Writes every kind of value into an object.
fn write(txn: &mut Transaction, key: i64) -> fastness::Result<()> {
    let (node, _) = txn.get_or_create("Node", key)?;
    txn.set(&node, "name", format!("name {key}").as_str())?;
    txn.add(&node, "hits", key)?;
    txn.set(&node, "next", node.clone())?;
    let note = txn.create("Note")?;
    txn.set(&note, "of", node.clone())?;
    txn.list(&node, "nodes")?.push(node.clone())?;
    let mut text = txn.list(&node, "text")?;
    for word in ["one", "two", "three"] {
        text.push(word)?;
    }
    text.remove(0)?;
    text.move_to(1, 0)?;
    text.set(0, "four")
}

/// Resets a client onto the bytes, as the stream of a snapshot behind a hash that fits.
///
/// # Panics
/// If SY14 or SY15 is violated.
pub fn snapshot(bytes: &[u8]) {
    let Some((flags, stream)) = bytes.split_first() else { return };
    let keys = if flags & 1 == 0 { 1..1 } else { 1..4 };
    let replica = client((CLIENT, 7), keys).expect("SY15: a client can be made");
    let before = dump(&replica).expect("SY15: a client can be read");
    let start = ResetStart { cause: Cause::Diverged, client: CLIENT + 1, ident_salt: 8 };
    replica.begin_reset(&start, None).expect("SY15: a reset can begin");
    match receive(&replica, (*flags, stream)).and_then(|()| finish(&replica)) {
        Ok(()) => drop(use_state(&replica)),
        Err(ClientError::Download(_) | ClientError::File(_)) => {
            let after = dump(&replica);
            assert_eq!(after.as_ref(), Ok(&before), "SY14: a reset that failed left other objects");
        }
        Err(error) => panic!("SY15: {error:?}"),
    }
}

/// Receives the stream in parts; an odd bit of the flags spoils its hash.
fn receive(replica: &ClientReplica, (flags, stream): (u8, &[u8])) -> ClientResult<()> {
    let mut root = stream_hash(stream);
    root[0] ^= u8::from(flags & 2 > 0);
    let count = 1 + usize::from(flags >> 2) % PARTS_MAX;
    let len = stream.len().div_ceil(count).max(1);
    let mut at = 0;
    loop {
        let bytes = &stream[at..stream.len().min(at + len)];
        let end = at + bytes.len();
        let part = SnapshotPart {
            snapshot: 1,
            epoch: 2,
            seq: 9,
            salt: 3,
            horizon: 4,
            offset: at as u64,
            bytes,
            root: (end == stream.len()).then_some(root),
        };
        replica.receive_snapshot(&part)?;
        if end == stream.len() {
            return Ok(());
        }
        at = end;
    }
}

fn finish(replica: &ClientReplica) -> ClientResult<()> {
    replica.finish_reset(ResetMode::Recover).map(drop)
}

/// Reads, writes, purges and downloads.
fn use_state(replica: &ClientReplica) -> ClientResult<()> {
    drop(dump(replica));
    for key in [2, 5] {
        let mut txn = replica.database().write()?;
        if write(&mut txn, key).is_ok() {
            drop(txn.commit());
        }
    }
    drop(replica.canonical(|_| Ok(())));
    let items = [DownloadItem::Own { client_seq: 1, stamp: NOW }];
    let (epoch, from, salt, horizon, durable_seq) = (2, 9, 0, 9, 9);
    let download = Download { epoch, from, salt, horizon, durable_seq, items: &items };
    drop(replica.download(&download));
    replica.compact()
}

/// Returns all that an app sees.
fn dump(replica: &ClientReplica) -> fastness::Result<String> {
    let snapshot = replica.database().snapshot()?;
    let view: View<'_> = snapshot.view();
    let mut out = String::new();
    for class in view.schema()?.classes() {
        for object in view.objects(class.name())?.salvage().take(READ) {
            let Ok(object) = object else { continue };
            for property in class.stored_properties() {
                let name = property.name();
                let kind = property.kind();
                let is_list =
                    matches!(kind, PropertyType::List { .. } | PropertyType::ObjectList(_));
                let shown = match is_list {
                    true => format!("{:?}", object.list(name)),
                    false => format!("{:?}", object.get(name)),
                };
                writeln!(out, "{} {name} {shown}", class.name()).unwrap_or_default();
            }
        }
    }
    Ok(out)
}

/// Seeds: streams of a server, whole and in parts, with and without pending entries.
///
/// # Panics
/// If a server in memory fails.
#[must_use]
pub fn snapshot_seeds() -> Vec<Vec<u8>> {
    let streams = [0..0, 1..3, 2..12].map(|keys| stream(keys).expect("a server in memory"));
    let with = |flags: u8| streams.iter().map(move |stream| [&[flags], &stream[..]].concat());
    [0, 1, 2, 13, 60].into_iter().flat_map(with).collect()
}

fn stream(keys: std::ops::Range<i64>) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let store = StoreOptions::new().in_memory()?;
    let server = ServerReplica::open(store, &Opening { database: [1; 16], epoch: 2 })?;
    let identity = server.identify(USER, 7, NOW)?;
    let author = client((identity.client, identity.salt), keys)?;
    let upload = author.upload_after(0, usize::MAX)?;
    for (index, (_, entry)) in upload.entries.iter().enumerate() {
        let access = if index == 3 { Access::Read } else { Access::Write };
        let (client, oldest_base) = (identity.client, upload.oldest_base);
        let submission = Submission { client, access, entries: &[entry], oldest_base };
        server.submit(&submission, NOW)?;
    }
    let mut reader = server.snapshot()?;
    while !reader.measure(1 << 20)? {}
    Ok(reader.part(0, usize::MAX)?.bytes)
}
