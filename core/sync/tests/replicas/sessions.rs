//! Clients and a server, all on files, over both session machines: writes, lost connections,
//! purges, and a server that is restored from a backup.
//!
//! - SY1 Replicas with one cursor and nothing pending show the same state.
//! - SY13 After a restore, every operation that was lost is in the history or in a report.
//! - SY17 In a quiet network all pending entries drain.

use super::app::{Random, dump, effort, schema, step};
use fastness::object::{Database, DatabaseOptions};
use fastness::{Key, Store, StoreOptions};
use fastness_sync::client::{ClientReplica, FileEvent, ReplicaClock, SessionFile};
use fastness_sync::frame::Packet;
use fastness_sync::reset::ResetReport;
use fastness_sync::server::{
    Access, ClientIdentity, ClientState, Opening, ServerReplica, SessionDatabase, SnapshotPool,
};
use fastness_sync::session::{
    ClientInput, ClientOutput, ClientSession, ConnectionTerms, ServerInput, ServerOutput,
    ServerSession,
};
use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

pub(crate) const TERMS: ConnectionTerms =
    ConnectionTerms { window_bytes: 1 << 20, ping_ms: 30_000, connection: 9 };
pub(crate) const START: u64 = 1_700_000_000_000;
const CLIENTS: usize = 3;

/// A client with its file, and the server's side of its session.
pub(crate) struct SyncedPeer {
    pub(crate) file: SessionFile,
    session: ClientSession,
    /// Present while the client is connected and has sent BIND.
    server: Option<(ServerSession, SessionDatabase)>,
    is_online: bool,
    number: u32,
    pub(crate) to_server: VecDeque<Vec<u8>>,
    pub(crate) to_client: VecDeque<Vec<u8>>,
    pub(crate) reports: Vec<ResetReport>,
    pub(crate) refused: u64,
}

pub(crate) struct SyncedWorld {
    pub(crate) now: u64,
    pub(crate) store: Store,
    pub(crate) replica: ServerReplica,
    pub(crate) snapshots: SnapshotPool,
    pub(crate) peers: Vec<SyncedPeer>,
    /// Right of the users of all sessions that begin.
    pub(crate) access: Access,
}

/// Detaches an output of a client that borrows no frame.
fn detached(output: ClientOutput<'_>) -> ClientOutput<'static> {
    match output {
        ClientOutput::Send(bytes) => ClientOutput::Send(bytes),
        ClientOutput::WantNumber => ClientOutput::WantNumber,
        ClientOutput::ReadState { ticket } => ClientOutput::ReadState { ticket },
        ClientOutput::ReadPending { ticket, from_client_seq, to_client_seq, bytes_max } => {
            ClientOutput::ReadPending { ticket, from_client_seq, to_client_seq, bytes_max }
        }
        ClientOutput::StoreIdentity(identity) => ClientOutput::StoreIdentity(identity),
        ClientOutput::Acknowledge { last_client_seq, durable_seq, chain_hash, refused } => {
            ClientOutput::Acknowledge { last_client_seq, durable_seq, chain_hash, refused }
        }
        ClientOutput::Answered { last_client_seq, chain_hash } => {
            ClientOutput::Answered { last_client_seq, chain_hash }
        }
        ClientOutput::Reset(code) => ClientOutput::Reset(code),
        ClientOutput::NewIdentity => ClientOutput::NewIdentity,
        ClientOutput::DownloadComplete { number } => ClientOutput::DownloadComplete { number },
        ClientOutput::Report(report) => ClientOutput::Report(report),
        ClientOutput::Apply(_) | ClientOutput::Snapshot(_) => panic!("{output:?}"),
    }
}

impl SyncedPeer {
    fn new(index: usize) -> Self {
        // One clock is an hour slow: its client writes nothing that wins by its clock alone.
        let local = START - [0, 3_600_000, 500][index];
        let options = StoreOptions::new();
        let options = if index == 1 { options.key(Key::new([3; 64])) } else { options };
        Self::of_file(options.in_memory().unwrap(), (local, index as u64 + 1))
    }

    /// Makes a peer of a file, with its local time and the random number of its session.
    pub(crate) fn of_file(store: Store, (local, random): (u64, u64)) -> Self {
        let clock = ReplicaClock::new(Box::new(move || local));
        let wanted = DatabaseOptions::schema(schema(), 1).synced().replica_hook(clock.hook());
        let database = Database::from_store(store, &wanted).unwrap();
        Self::with(ClientReplica::new(database, clock).unwrap(), random)
    }

    /// Makes a peer of a replica, with the random number of its session.
    pub(crate) fn with(replica: ClientReplica, random: u64) -> Self {
        Self {
            file: SessionFile::new(replica),
            session: ClientSession::new("/notes", 1, random),
            server: None,
            is_online: false,
            number: 0,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            reports: Vec::new(),
            refused: 0,
        }
    }

    fn input(&mut self, now: u64, input: ClientInput<'_>) {
        let mut outputs = Vec::new();
        self.session.handle(now, input, &mut outputs);
        let mut later: VecDeque<ClientOutput<'static>> = VecDeque::new();
        for output in outputs {
            self.perform(now, output, &mut later);
        }
        while let Some(output) = later.pop_front() {
            self.perform(now, output, &mut later);
        }
    }

    fn perform(
        &mut self,
        now: u64,
        output: ClientOutput<'_>,
        later: &mut VecDeque<ClientOutput<'static>>,
    ) {
        let session = &mut self.session;
        let mut answered = Vec::new();
        let event = self.file.perform(output, &mut |input| {
            let mut outputs = Vec::new();
            session.handle(now, input, &mut outputs);
            answered.extend(outputs.into_iter().map(detached));
        });
        later.extend(answered);
        match event.unwrap() {
            Some(FileEvent::Other(ClientOutput::Send(bytes))) => self.to_server.push_back(bytes),
            Some(FileEvent::Other(ClientOutput::WantNumber)) => {
                self.number += 1;
                let mut outputs = Vec::new();
                self.session.handle(now, ClientInput::Number(self.number), &mut outputs);
                later.extend(outputs.into_iter().map(detached));
            }
            Some(FileEvent::Reset(report)) => self.reports.push(report),
            Some(FileEvent::Refused(refused)) => self.refused += refused.len() as u64,
            Some(FileEvent::Concluded(refused)) => self.refused += refused.len() as u64,
            Some(FileEvent::Merged(merged)) => self.refused += merged.refused.len() as u64,
            Some(FileEvent::Other(_)) | None => {}
        }
    }

    pub(crate) fn connect(&mut self, now: u64) {
        self.is_online = true;
        self.input(now, ClientInput::Online { window_bytes: TERMS.window_bytes });
    }

    pub(crate) fn cut(&mut self, now: u64) {
        self.is_online = false;
        self.server = None;
        self.to_server.clear();
        self.to_client.clear();
        self.input(now, ClientInput::Offline);
    }

    pub(crate) fn wrote(&mut self, now: u64) {
        let durable_client_seq = self.file.replica().meta().unwrap().last_client_seq;
        self.input(now, ClientInput::LocalEntries { durable_client_seq });
    }

    fn dump(&self) -> String {
        dump(self.file.replica().database().snapshot().unwrap().view())
    }
}

impl SyncedWorld {
    pub(crate) fn new(store: Store) -> Self {
        let opening = Opening { database: [1; 16], epoch: 5 };
        let replica = ServerReplica::open(store.clone(), &opening).unwrap();
        replica.set_backups(true).unwrap();
        let peers = (0..CLIENTS).map(SyncedPeer::new).collect();
        Self {
            now: START,
            store,
            replica,
            snapshots: SnapshotPool::new(2),
            peers,
            access: Access::Write,
        }
    }

    /// Delivers a message to a session of the server, and performs all that follows.
    pub(crate) fn deliver(&mut self, index: usize) {
        let Some(bytes) = self.peers[index].to_server.pop_front() else { return };
        let packet = Packet::open(&bytes).unwrap();
        if self.peers[index].server.is_none() {
            let database = SessionDatabase::new(self.replica.clone(), "u".into(), self.access);
            let session = ServerSession::new(packet.session(), &TERMS);
            self.peers[index].server = Some((session, database));
        }
        let Some((session, _)) = &mut self.peers[index].server else { return };
        let mut outputs = Vec::new();
        session.handle(ServerInput::Received(&packet), &mut outputs);
        self.perform(index, outputs);
    }

    fn perform(&mut self, index: usize, outputs: Vec<ServerOutput<'_>>) {
        for output in outputs {
            self.perform_one(index, &output);
        }
    }

    fn perform_one(&mut self, index: usize, output: &ServerOutput<'_>) {
        let now = self.now;
        let peer = &mut self.peers[index];
        match output {
            ServerOutput::Send(bytes) => return peer.to_client.push_back(bytes.clone()),
            ServerOutput::Ended => return peer.server = None,
            ServerOutput::Bind { .. }
            | ServerOutput::Resume(_)
            | ServerOutput::Submit { .. }
            | ServerOutput::ReadHistory { .. }
            | ServerOutput::ReadSnapshot { .. }
            | ServerOutput::Progress { .. } => {}
        }
        let Some((session, database)) = &mut peer.server else { return };
        let mut sent = Vec::new();
        let mut pending: VecDeque<ServerOutput<'static>> = VecDeque::new();
        let mut take = |outputs: Vec<ServerOutput<'_>>| {
            for output in outputs {
                match output {
                    ServerOutput::Send(bytes) => sent.push(bytes),
                    ServerOutput::ReadHistory { ticket, from, bytes_max } => {
                        pending.push_back(ServerOutput::ReadHistory { ticket, from, bytes_max });
                    }
                    ServerOutput::ReadSnapshot { ticket, snapshot, offset } => {
                        pending.push_back(ServerOutput::ReadSnapshot { ticket, snapshot, offset });
                    }
                    ServerOutput::Ended => pending.push_back(ServerOutput::Ended),
                    ServerOutput::Bind { .. }
                    | ServerOutput::Resume(_)
                    | ServerOutput::Submit { .. }
                    | ServerOutput::Progress { .. } => panic!("an output without its frame"),
                }
            }
        };
        if let ServerOutput::Bind { wants_identity, .. } = output {
            let identity = wants_identity.then(|| database.identify(now + 3, now).unwrap());
            let mut outputs = Vec::new();
            session.handle(ServerInput::Bound(identity), &mut outputs);
            take(outputs);
        } else {
            database.perform(
                output,
                now,
                (&mut self.snapshots, &mut |input| {
                    let mut outputs = Vec::new();
                    session.handle(input, &mut outputs);
                    take(outputs);
                }),
            );
        }
        self.peers[index].to_client.extend(sent);
        while let Some(output) = pending.pop_front() {
            self.perform_one(index, &output);
        }
    }

    pub(crate) fn receive(&mut self, index: usize) {
        let Some(bytes) = self.peers[index].to_client.pop_front() else { return };
        let packet = Packet::open(&bytes).unwrap();
        let now = self.now;
        self.peers[index].input(now, ClientInput::Received(&packet));
    }

    pub(crate) fn step(&mut self, index: usize) {
        self.now += 10;
        self.deliver(index);
        self.receive(index);
        self.tend(index);
    }

    /// Handles the deadline of a client, and tells its session about the head.
    pub(crate) fn tend(&mut self, index: usize) {
        let now = self.now;
        if self.peers[index].session.deadline().is_some_and(|deadline| deadline <= now) {
            self.peers[index].input(now, ClientInput::Tick);
        }
        let status = self.replica.status().unwrap();
        let (head, durable_seq) = (status.head, status.durable_seq);
        if let Some((session, _)) = &mut self.peers[index].server {
            let mut outputs = Vec::new();
            session.handle(ServerInput::HeadMoved { head, durable_seq }, &mut outputs);
            self.perform(index, outputs);
        }
    }

    /// Runs until nothing is left to do.
    pub(crate) fn drain(&mut self, of: &str) {
        for round in 0.. {
            assert!(round < 3000, "SY17: {of}");
            for index in 0..self.peers.len() {
                if !self.peers[index].is_online {
                    let now = self.now;
                    self.peers[index].connect(now);
                }
                self.step(index);
            }
            let head = self.replica.status().unwrap().head;
            let is_quiet = |peer: &SyncedPeer| {
                let meta = peer.file.replica().meta().unwrap();
                let resets = peer.file.replica().reset_in_progress().unwrap().is_some();
                let epoch = self.replica.status().unwrap().epoch;
                !resets
                    && meta.client != 0
                    && meta.epoch == epoch
                    && meta.cursor == head
                    && meta.answered == meta.last_client_seq
            };
            if self.peers.iter().all(is_quiet) {
                return;
            }
            // Longer than any backoff.
            self.now += if round % 50 == 49 { 400_000 } else { 0 };
        }
    }

    pub(crate) fn compare(&self, of: &str) {
        let wanted = DatabaseOptions::dynamic();
        let database = Database::from_store(self.store.clone(), &wanted).unwrap();
        let expected = dump(database.snapshot().unwrap().view());
        for (index, peer) in self.peers.iter().enumerate() {
            assert_eq!(peer.dump(), expected, "SY1: {of}, client {index}");
            self.compare_resume(peer.file.replica(), of);
            let verified = peer.file.replica().database().store().snapshot().verify().unwrap();
            assert_eq!((verified.problems, verified.objects), (vec![], vec![]), "B13: {of}");
        }
    }

    /// Compares the answers that a client knows with those that the server has.
    fn compare_resume(&self, client: &ClientReplica, of: &str) {
        let meta = client.meta().unwrap();
        let state = ClientState {
            identity: ClientIdentity { client: meta.client, salt: meta.ident_salt },
            user: "u",
            epoch: meta.epoch,
            cursor: meta.cursor,
            cursor_salt: meta.cursor_salt,
            last_client_seq: meta.answered,
            chain_hash: meta.chain_hash,
            oldest_base: client.upload_after(0, 1).unwrap().oldest_base,
        };
        let resumed = self.replica.resume(&state, self.now).unwrap();
        let resumed = resumed.unwrap_or_else(|refusal| panic!("SV1: {of}: {refusal:?}"));
        let found = (resumed.last_client_seq, resumed.chain_hash);
        assert_eq!(found, (meta.answered, meta.chain_hash), "SV1: {of}");
    }

    /// Writes, connects and disconnects at random.
    fn run(&mut self, random: &mut Random, rounds: u64) {
        for _ in 0..rounds {
            let index = random.index(CLIENTS);
            let now = self.now;
            let peer = &mut self.peers[index];
            match random.below(10) {
                0 if peer.is_online => peer.cut(now),
                0 | 1 if !peer.is_online => peer.connect(now),
                2 | 3 => {
                    let mut txn = peer.file.replica().database().write().unwrap();
                    (0..=random.below(3)).for_each(|_| step(random, &mut txn));
                    txn.commit().unwrap();
                    peer.wrote(now);
                }
                4 if random.below(4) == 0 => {
                    self.replica.advance_horizon(now, u64::MAX).unwrap();
                    while self.replica.compact(5).unwrap() {}
                    peer.file.replica().compact().unwrap();
                }
                _ => self.step(index),
            }
        }
    }
}

/// Counts of the runs.
#[derive(Debug, Default)]
struct Met {
    entries: u64,
    resets: usize,
    /// Operations by the name of their outcome.
    outcomes: BTreeMap<&'static str, u64>,
    horizon: u64,
}

fn run(seed: u64, folder: &Path, met: &mut Met) {
    let mut random = Random(seed);
    let options = StoreOptions::new();
    let mut world = SyncedWorld::new(options.create(folder.join(format!("{seed}"))).unwrap());
    world.run(&mut random, 120);
    let backup = folder.join(format!("{seed}.backup"));
    let saved = world.replica.back_up(&options, &backup, None).unwrap();
    world.replica.note_backup(saved).unwrap();
    world.run(&mut random, 120);
    if random.below(2) == 0 {
        world.drain(&format!("seed {seed}"));
        world.compare(&format!("seed {seed}"));
        world.run(&mut random, 30);
    }
    // The server is lost, and restored.
    let now = world.now;
    world.peers.iter_mut().for_each(|peer| peer.cut(now));
    let identities: Vec<u32> =
        world.peers.iter().map(|peer| peer.file.replica().meta().unwrap().client).collect();
    world.store = options.open(&backup).unwrap();
    let opening = Opening { database: [1; 16], epoch: 6 };
    world.replica = ServerReplica::open(world.store.clone(), &opening).unwrap();
    if world.replica.status().unwrap().epoch == 5 {
        world.replica.begin_epoch(6).unwrap();
    }
    world.replica.set_backups(true).unwrap();
    world.snapshots = SnapshotPool::new(2);
    world.run(&mut random, 100);
    world.drain(&format!("seed {seed}, restored"));
    world.compare(&format!("seed {seed}, restored"));
    for (peer, before) in world.peers.iter().zip(identities) {
        let after = peer.file.replica().meta().unwrap().client;
        assert_eq!(peer.reports.is_empty(), before == 0 || before == after, "SY13: seed {seed}");
        met.resets += peer.reports.len();
        for (name, count) in peer.reports.iter().flat_map(ResetReport::counts) {
            *met.outcomes.entry(name).or_default() += count;
        }
    }
    let status = world.replica.status().unwrap();
    met.entries += status.head;
    met.horizon = met.horizon.max(status.horizon);
}

#[test]
fn clients_and_server_converge_through_lost_connections_and_a_restore() {
    let folder = tempfile::tempdir().unwrap();
    let mut met = Met::default();
    (1..=12 * effort()).for_each(|seed| run(seed, folder.path(), &mut met));
    assert!(met.entries > 400 && met.resets > 20 && met.horizon > 0, "{met:?}");
    for outcome in ["applied", "deleted", "no operation", "conflict"] {
        assert!(met.outcomes.contains_key(outcome), "{outcome}: {met:?}");
    }
}
