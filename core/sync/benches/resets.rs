//! Client resets between two files of one process: with many pending entries, and onto a large
//! state. Prints times and the most memory that was resident.
//!
//! ```console
//! $ cargo bench -p fastness-sync --bench resets
//! $ FASTNESS_OBJECTS=2000000 cargo bench -p fastness-sync --bench resets
//! ```

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program that measures time, prints it, and fails by panicking"
)]

use fastness::object::{Database, DatabaseOptions};
use fastness::schema::{Class, Property, Scalar, Schema};
use fastness::{Store, StoreOptions};
use fastness_sync::client::{ClientReplica, ReplicaClock, ResetMode, ResetStart, SnapshotPart};
use fastness_sync::reset::Cause;
use fastness_sync::server::{Access, Opening, ServerReplica, SnapshotPool, Submission, WantedPart};
use std::time::Instant;

const NOW: u64 = 1_700_000_000_000;
const USER: &str = "user";
/// Bytes of a part of a snapshot.
const PART_BYTES: usize = 1 << 20;

fn schema() -> Schema {
    let row = Class::new("Row")
        .unwrap()
        .with(Property::new("id", Scalar::Int).unwrap().required().primary_key())
        .with(Property::new("name", Scalar::String).unwrap())
        .with(Property::new("city", Scalar::String).unwrap())
        .with(Property::new("count", Scalar::Int).unwrap())
        .with(Property::new("price", Scalar::Double).unwrap());
    Schema::new([row]).unwrap()
}

fn client(store: Store) -> ClientReplica {
    let clock = ReplicaClock::new(Box::new(|| NOW));
    let wanted = DatabaseOptions::schema(schema(), 1).synced().replica_hook(clock.hook());
    ClientReplica::new(Database::from_store(store, &wanted).unwrap(), clock).unwrap()
}

/// Writes rows, so many in each transaction.
fn write(client: &ClientReplica, keys: std::ops::Range<i64>, at_once: usize) {
    let keys: Vec<i64> = keys.collect();
    for some in keys.chunks(at_once) {
        let mut txn = client.database().write().unwrap();
        for key in some {
            let (row, _) = txn.get_or_create("Row", *key).unwrap();
            txn.set(&row, "name", format!("name {key}").as_str()).unwrap();
            txn.set(&row, "city", "Copenhagen").unwrap();
            txn.set(&row, "count", *key).unwrap();
            txn.set(&row, "price", 0.5).unwrap();
        }
        txn.commit().unwrap();
    }
}

/// Uploads all that is pending.
fn upload(client: &ClientReplica, server: &ServerReplica) {
    let meta = client.meta().unwrap();
    let mut last = 0;
    loop {
        let upload = client.upload_after(last, 1 << 20).unwrap();
        let Some((number, _)) = upload.entries.last() else { break };
        last = *number;
        let entries: Vec<&[u8]> = upload.entries.iter().map(|(_, entry)| &entry[..]).collect();
        let (client, access, oldest_base) = (meta.client, Access::Write, upload.oldest_base);
        let submission = Submission { client, access, entries: &entries, oldest_base };
        server.submit(&submission, NOW).unwrap();
    }
}

/// Resets a client; prints the seconds of the transfer and of the last step.
fn reset(name: &str, client: &ClientReplica, server: &ServerReplica) {
    let fresh = server.identify(USER, 8, NOW).unwrap();
    let start = ResetStart { cause: Cause::Diverged, client: fresh.client, ident_salt: fresh.salt };
    let (mut snapshots, mut bytes) = (SnapshotPool::new(1), 0);
    let begin = Instant::now();
    client.begin_reset(&start, None).unwrap();
    loop {
        let progress = client.reset_in_progress().unwrap().unwrap();
        if progress.is_complete {
            break;
        }
        let (number, offset) = (progress.snapshot, progress.offset);
        let wanted = WantedPart { number, offset, bytes_max: PART_BYTES, user: USER };
        let pooled = snapshots.part(server, &wanted).unwrap();
        let at = pooled.reader.server();
        let part = SnapshotPart {
            snapshot: pooled.number,
            epoch: at.epoch,
            seq: at.head,
            salt: at.salt,
            horizon: at.horizon,
            offset: pooled.offset,
            bytes: &pooled.slice.bytes,
            root: pooled.slice.root,
        };
        bytes += part.bytes.len();
        client.receive_snapshot(&part).unwrap();
    }
    let transfer = begin.elapsed().as_secs_f64();
    let (before, begin) = (resident_mib(), Instant::now());
    let report = client.finish_reset(ResetMode::Recover).unwrap();
    let last = begin.elapsed().as_secs_f64();
    let operations = report.operations().count();
    println!("{name}: {transfer:.2} s for {} MiB, {last:.2} s for the last step", bytes >> 20);
    println!("  {operations} operations decided; resident {before} MiB before the last step");
    println!("  most resident since the start: {} MiB", field("VmHWM:") >> 10);
}

fn resident_mib() -> u64 {
    field("VmRSS:") >> 10
}

/// Returns a number of the process's status, in KiB; 0 where the system has none.
fn field(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}

fn main() {
    let objects = std::env::var("FASTNESS_OBJECTS").ok().and_then(|count| count.parse().ok());
    let objects: i64 = objects.unwrap_or(100_000);
    let folder = std::env::temp_dir().join(format!("fastness-resets-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let create = |name: &str| StoreOptions::new().create(folder.join(name)).unwrap();
    let opening = Opening { database: [1; 16], epoch: 1 };
    let server = ServerReplica::open(create("server"), &opening).unwrap();
    let first = client(create("first"));
    let identity = server.identify(USER, 7, NOW).unwrap();
    first.identify(identity.client, identity.salt).unwrap();
    write(&first, 0..objects, 1000);
    upload(&first, &server);
    drop(first);
    println!("{objects} objects: {} MiB resident before", resident_mib());
    reset("first sync", &client(create("second")), &server);

    let server = ServerReplica::open(create("small"), &opening).unwrap();
    let identity = server.identify(USER, 7, NOW).unwrap();
    let pending = client(create("pending"));
    pending.identify(identity.client, identity.salt).unwrap();
    write(&pending, 0..20_000, 1);
    server.begin_epoch(2).unwrap();
    reset("20000 pending entries of 5 operations", &pending, &server);
    std::fs::remove_dir_all(&folder).unwrap();
}
