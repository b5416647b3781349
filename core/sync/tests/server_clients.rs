//! Replicas of clients with the replica of a server, through restores of backups and expiry.
//!
//! - SY1 Replicas with one cursor and nothing pending show the same state.
//! - SY10 A snapshot and the history after it are the full fold.
//! - SY13 After a restore, each own operation is in the history once.

use fastness::object::{Database, DatabaseOptions};
use fastness::schema::{Class, Property, PropertyType, Scalar, Schema};
use fastness::vfs::MemoryVfs;
use fastness::{Store, StoreOptions};
use fastness_sync::client::{
    ClientReplica, Download, DownloadItem, Refusal, ReplicaClock, ResetMode, ResetStart,
    SnapshotPart,
};
use fastness_sync::reset::Cause;
use fastness_sync::server::{
    Access, Answer, ClientIdentity, ClientProgress, ClientState, DownloadRequest, HistoryItem,
    Opening, ServerReplica, SnapshotPool, Submission, WantedPart,
};
use std::path::PathBuf;
use std::sync::Arc;

const NOW: u64 = 1_000_000;
const USER: &str = "user";

/// A random number below a bound.
struct SeededRandom(u64);

impl SeededRandom {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}

fn client() -> ClientReplica {
    let node = Class::new("Node")
        .unwrap()
        .with(Property::new("id", Scalar::Int).unwrap().required().primary_key())
        .with(Property::new("name", Scalar::String).unwrap())
        .with(Property::new("hits", PropertyType::Counter).unwrap());
    let clock = ReplicaClock::new(Box::new(|| NOW));
    let schema = Schema::new([node]).unwrap();
    let wanted = DatabaseOptions::schema(schema, 1).synced().replica_hook(clock.hook());
    let database = Database::in_memory(&StoreOptions::new(), &wanted).unwrap();
    ClientReplica::new(database, clock).unwrap()
}

/// The names and the counters of all objects, and the sum of the counters.
fn shown(client: &ClientReplica) -> (String, i64) {
    let snapshot = client.database().snapshot().unwrap();
    let (mut shown, mut sum) = (String::new(), 0);
    for object in snapshot.view().objects("Node").unwrap().iter().unwrap() {
        let object = object.unwrap();
        let (name, hits) = (object.get("name").unwrap(), object.get("hits").unwrap());
        shown += &format!("{:?} {name:?} {hits:?}\n", object.id().key);
        if let fastness::object::Value::Int(hits) = hits {
            sum += hits;
        }
    }
    (shown, sum)
}

/// A server, its clients, and the backups of the server.
struct ServedClients {
    options: StoreOptions,
    server: ServerReplica,
    snapshots: SnapshotPool,
    clients: Vec<ClientReplica>,
    epoch: u64,
    backup: Option<PathBuf>,
    increments: i64,
    resets: u32,
}

impl ServedClients {
    fn new() -> Self {
        let options = StoreOptions::new().vfs(Arc::new(MemoryVfs::default()));
        let store = options.create("/server").unwrap();
        let server = open(store, 1);
        server.set_backups(true).unwrap();
        let clients = (0..3).map(|_| client()).collect();
        let (snapshots, epoch) = (SnapshotPool::new(2), 1);
        let (backup, increments, resets) = (None, 0, 0);
        let mut world =
            Self { options, server, snapshots, clients, epoch, backup, increments, resets };
        // Objects that no restore loses, so that every increment applies.
        let mut txn = world.clients[0].database().write().unwrap();
        for key in 0..3_i64 {
            txn.get_or_create("Node", key).unwrap();
        }
        txn.commit().unwrap();
        world.sync(0);
        world.back_up();
        (1..3).for_each(|at| world.sync(at));
        world
    }

    fn write(&mut self, at: usize, random: &mut SeededRandom) {
        let mut txn = self.clients[at].database().write().unwrap();
        for _ in 0..=random.below(3) {
            let key = i64::try_from(random.below(3)).unwrap();
            let (node, is_new) = txn.get_or_create("Node", key).unwrap();
            assert!(!is_new, "SY13: an object is lost");
            if random.below(2) == 0 {
                let name = format!("{}", random.below(100));
                txn.set(&node, "name", name.as_str()).unwrap();
            }
            txn.add(&node, "hits", 1).unwrap();
            self.increments += 1;
        }
        txn.commit().unwrap();
    }

    fn identify(&self) -> ClientIdentity {
        self.server.identify(USER, 8, NOW).unwrap()
    }

    /// Resumes a client, and resets it if it cannot.
    fn resume(&mut self, at: usize) {
        let client = &self.clients[at];
        if client.meta().unwrap().client == 0 {
            let identity = self.identify();
            client.identify(identity.client, identity.salt).unwrap();
        }
        let meta = client.meta().unwrap();
        let identity = ClientIdentity { client: meta.client, salt: meta.ident_salt };
        let state = ClientState {
            identity,
            user: USER,
            epoch: meta.epoch,
            cursor: meta.cursor,
            cursor_salt: meta.cursor_salt,
            last_client_seq: meta.answered,
            chain_hash: meta.chain_hash,
            oldest_base: client.upload_after(0, 1).unwrap().oldest_base,
        };
        if self.server.resume(&state, NOW).unwrap().is_err() {
            self.reset(at);
        }
    }

    fn reset(&mut self, at: usize) {
        self.resets += 1;
        let fresh = self.identify();
        let (client, ident_salt) = (fresh.client, fresh.salt);
        let start = ResetStart { cause: Cause::Diverged, client, ident_salt };
        let client = &self.clients[at];
        client.begin_reset(&start, None).unwrap();
        loop {
            let progress = client.reset_in_progress().unwrap().unwrap();
            if progress.is_complete {
                break;
            }
            let (number, offset) = (progress.snapshot, progress.offset);
            let wanted = WantedPart { number, offset, bytes_max: 100, user: USER };
            let pooled = self.snapshots.part(&self.server, &wanted).unwrap();
            let server = pooled.reader.server();
            self.server.hold(fresh.client, server.head).unwrap();
            let part = SnapshotPart {
                snapshot: pooled.number,
                epoch: server.epoch,
                seq: server.head,
                salt: server.salt,
                horizon: server.horizon,
                offset: pooled.offset,
                bytes: &pooled.slice.bytes,
                root: pooled.slice.root,
            };
            client.receive_snapshot(&part).unwrap();
        }
        client.finish_reset(ResetMode::Recover).unwrap();
    }

    fn upload(&self, at: usize) {
        let client = &self.clients[at];
        let number = client.meta().unwrap().client;
        let upload = client.upload_after(0, usize::MAX).unwrap();
        let entries: Vec<&[u8]> = upload.entries.iter().map(|(_, entry)| &entry[..]).collect();
        let (oldest_base, access) = (upload.oldest_base, Access::Write);
        let submission = Submission { client: number, access, entries: &entries, oldest_base };
        let answers = self.server.submit(&submission, NOW).unwrap();
        for ((client_seq, _), answer) in upload.entries.iter().zip(answers) {
            match answer {
                Answer::Refused(refusal) => {
                    let refusal = Refusal { code: 212, operation: refusal.operation };
                    client.refuse(*client_seq, refusal).unwrap();
                }
                Answer::Stopped(stop) => panic!("{stop:?}"),
                Answer::Sequenced { .. } | Answer::Repeated => {}
            }
        }
    }

    fn download(&self, at: usize) {
        let client = &self.clients[at];
        let meta = client.meta().unwrap();
        #[expect(clippy::reversed_empty_ranges, reason = "own entries are marks")]
        let full = 1..=0;
        let (from, bytes_max) = (meta.cursor, 1 << 20);
        let request = DownloadRequest { client: meta.client, from, full, bytes_max };
        let part = self.server.download(&request).unwrap().unwrap();
        let items: Vec<DownloadItem<'_>> = part
            .items
            .iter()
            .map(|item| match item {
                HistoryItem::Entry { client, entry } => {
                    DownloadItem::Entry { client: *client, entry }
                }
                HistoryItem::Own { client_seq, stamp } => {
                    DownloadItem::Own { client_seq: *client_seq, stamp: *stamp }
                }
            })
            .collect();
        let (epoch, horizon) = (part.server.epoch, part.server.horizon);
        let (salt, durable_seq, items) = (part.salt, part.server.durable_seq, &items);
        let download = Download { epoch, from, salt, horizon, durable_seq, items };
        client.download(&download).unwrap();
        let (cursor, oldest_base) = (part.to, client.upload_after(0, 1).unwrap().oldest_base);
        let progress = ClientProgress { cursor, oldest_base };
        self.server.progress(meta.client, progress, NOW).unwrap();
    }

    fn sync(&mut self, at: usize) {
        self.resume(at);
        self.upload(at);
        self.download(at);
    }

    fn back_up(&mut self) {
        let path = PathBuf::from(format!("/backup-{}-{}", self.epoch, self.increments));
        if self.backup.as_ref() != Some(&path) {
            let seq = self.server.back_up(&self.options, &path, None).unwrap();
            self.server.note_backup(seq).unwrap();
            self.backup = Some(path);
        }
    }

    fn restore(&mut self) {
        let Some(path) = self.backup.take() else { return };
        self.epoch += 1;
        self.snapshots.clear();
        self.server = open(self.options.open(path).unwrap(), self.epoch);
    }

    /// Moves the horizon; sometimes all clients have expired.
    fn forget(&self, random: &mut SeededRandom) {
        let now = NOW + random.below(2) * 1_000_000;
        self.server.advance_horizon(now, 1000).unwrap();
        while self.server.compact(3).unwrap() {}
    }
}

fn open(store: Store, epoch: u64) -> ServerReplica {
    ServerReplica::open(store, &Opening { database: [1; 16], epoch }).unwrap()
}

fn run(seed: u64) -> (u32, u64) {
    let (mut world, random) = (ServedClients::new(), &mut SeededRandom(seed));
    for _ in 0..40 {
        let at = usize::try_from(random.below(3)).unwrap();
        match random.below(12) {
            0..5 => world.write(at, random),
            5..8 => world.sync(at),
            8 => {
                world.resume(at);
                world.upload(at);
            }
            9 => world.back_up(),
            10 => world.restore(),
            _ => world.forget(random),
        }
    }
    (0..6).for_each(|at| world.sync(at % 3));
    let (expected, sum) = shown(&world.clients[0]);
    assert_eq!(sum, world.increments, "SY13: seed {seed}");
    for client in &world.clients {
        assert_eq!(shown(client).0, expected, "SY1: seed {seed}");
    }
    (world.resets, world.epoch)
}

#[test]
fn each_increment_is_counted_once_through_restores_and_expiry() {
    let (mut resets, mut epochs) = (0, 0);
    for seed in 1..=60 {
        let (reset, epoch) = run(seed);
        resets += reset;
        epochs += epoch - 1;
    }
    assert!(resets > 60 && epochs > 30, "{resets} {epochs}");
}
