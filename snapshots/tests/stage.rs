//! A server and devices, whose sessions exchange frames that are written down.

use crate::transcripts::line_of;
use fastness::StoreOptions;
use fastness::object::{Database, DatabaseOptions, Transaction};
use fastness::schema::{Class, Property, Scalar, Schema};
use fastness_sync::client::{ClientReplica, FileEvent, ReplicaClock, SessionFile};
use fastness_sync::frame::{Compression, Message, Packet};
use fastness_sync::server::{Access, Opening, ServerReplica, SessionDatabase, SnapshotPool};
use fastness_sync::session::{
    ClientInput, ClientOutput, ClientSession, ConnectionTerms, ServerInput, ServerOutput,
    ServerSession,
};
use std::collections::VecDeque;

const TERMS: ConnectionTerms =
    ConnectionTerms { window_bytes: 1 << 20, ping_ms: 30_000, connection: 9 };
const START_MS: u64 = 1_700_000_000_000;
/// Longer than any delay of a session.
const DELAY_MS: u64 = 400_000;

/// A device with its file, and the server's side of its session.
pub(crate) struct Device {
    name: &'static str,
    pub(crate) file: SessionFile,
    session: ClientSession,
    server: Option<(ServerSession, SessionDatabase)>,
    is_online: bool,
    number: u32,
    to_server: VecDeque<Vec<u8>>,
    to_client: VecDeque<Vec<u8>>,
}

/// A server, devices, and the transcript of their frames.
pub(crate) struct Stage {
    pub(crate) now_ms: u64,
    pub(crate) replica: ServerReplica,
    snapshots: SnapshotPool,
    pub(crate) devices: Vec<Device>,
    /// The next download to a device gets another salt.
    pub(crate) tampers: bool,
    pub(crate) text: String,
}

fn schema() -> Schema {
    let id = Property::new("id", Scalar::Int).unwrap().required().primary_key();
    let title = Property::new("title", Scalar::String).unwrap().nullable();
    Schema::new([Class::new("Note").unwrap().with(id).with(title)]).unwrap()
}

fn open_server(epoch: u64) -> ServerReplica {
    let store = StoreOptions::new().in_memory().unwrap();
    let replica = ServerReplica::open(store, &Opening { database: [1; 16], epoch }).unwrap();
    replica.set_backups(true).unwrap();
    replica
}

fn client_later(output: ClientOutput<'_>) -> ClientOutput<'static> {
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

fn server_later(output: ServerOutput<'_>) -> ServerOutput<'static> {
    match output {
        ServerOutput::Send(bytes) => ServerOutput::Send(bytes),
        ServerOutput::Ended => ServerOutput::Ended,
        ServerOutput::ReadHistory { ticket, from, bytes_max } => {
            ServerOutput::ReadHistory { ticket, from, bytes_max }
        }
        ServerOutput::ReadSnapshot { ticket, snapshot, offset } => {
            ServerOutput::ReadSnapshot { ticket, snapshot, offset }
        }
        ServerOutput::Bind { .. }
        | ServerOutput::Resume(_)
        | ServerOutput::Submit { .. }
        | ServerOutput::Progress { .. } => panic!("{output:?}"),
    }
}

impl Device {
    fn new(name: &'static str, random: u64) -> Self {
        let clock = ReplicaClock::new(Box::new(|| START_MS));
        let wanted = DatabaseOptions::schema(schema(), 1).synced().replica_hook(clock.hook());
        let store = StoreOptions::new().in_memory().unwrap();
        let database = Database::from_store(store, &wanted).unwrap();
        Self {
            name,
            file: SessionFile::new(ClientReplica::new(database, clock).unwrap()),
            session: ClientSession::new("/~/notes", 1, random),
            server: None,
            is_online: false,
            number: 0,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
        }
    }

    fn input(&mut self, now_ms: u64, input: ClientInput<'_>) {
        let mut outputs = Vec::new();
        self.session.handle(now_ms, input, &mut outputs);
        let mut later = VecDeque::new();
        for output in outputs {
            self.perform(now_ms, output, &mut later);
        }
        while let Some(output) = later.pop_front() {
            self.perform(now_ms, output, &mut later);
        }
    }

    fn perform(
        &mut self,
        now_ms: u64,
        output: ClientOutput<'_>,
        later: &mut VecDeque<ClientOutput<'static>>,
    ) {
        let session = &mut self.session;
        let mut answer = |input: ClientInput<'_>| {
            let mut outputs = Vec::new();
            session.handle(now_ms, input, &mut outputs);
            later.extend(outputs.into_iter().map(client_later));
        };
        match self.file.perform(output, &mut answer).unwrap() {
            Some(FileEvent::Other(ClientOutput::Send(bytes))) => self.to_server.push_back(bytes),
            Some(FileEvent::Other(ClientOutput::WantNumber)) => {
                self.number += 1;
                answer(ClientInput::Number(self.number));
            }
            _ => {}
        }
    }

    /// Lets the session of the server handle an input.
    fn serve(&mut self, input: ServerInput<'_>, (pool, now_ms): (&mut SnapshotPool, u64)) {
        let Some((session, database)) = &mut self.server else { return };
        let mut outputs = Vec::new();
        session.handle(input, &mut outputs);
        let mut later: VecDeque<ServerOutput<'static>> = VecDeque::new();
        let mut ends = false;
        let mut perform = |output: &ServerOutput<'_>, later: &mut VecDeque<_>| {
            let mut replies = Vec::new();
            match output {
                ServerOutput::Send(bytes) => self.to_client.push_back(bytes.clone()),
                ServerOutput::Ended => ends = true,
                ServerOutput::Bind { wants_identity, .. } => {
                    let identity =
                        wants_identity.then(|| database.identify(now_ms + 3, now_ms).unwrap());
                    session.handle(ServerInput::Bound(identity), &mut replies);
                    later.extend(replies.into_iter().map(server_later));
                }
                ServerOutput::Resume(_)
                | ServerOutput::Submit { .. }
                | ServerOutput::ReadHistory { .. }
                | ServerOutput::ReadSnapshot { .. }
                | ServerOutput::Progress { .. } => database.perform(
                    output,
                    now_ms,
                    (pool, &mut |input| {
                        let mut replies = Vec::new();
                        session.handle(input, &mut replies);
                        later.extend(replies.into_iter().map(server_later));
                    }),
                ),
            }
        };
        outputs.iter().for_each(|output| perform(output, &mut later));
        while let Some(output) = later.pop_front() {
            perform(&output, &mut later);
        }
        if ends {
            self.server = None;
        }
    }
}

impl Stage {
    /// Begins with a server and two devices, which are offline.
    pub(crate) fn new() -> Self {
        Self {
            now_ms: START_MS,
            replica: open_server(5),
            snapshots: SnapshotPool::new(2),
            devices: vec![Device::new("ann", 1), Device::new("bob", 2)],
            tampers: false,
            text: String::new(),
        }
    }

    /// Writes down what happens next.
    pub(crate) fn note(&mut self, text: &str) {
        self.text += &format!("\n# {text}\n");
    }

    /// Writes into the file of a device.
    pub(crate) fn write(&mut self, at: usize, body: impl FnOnce(&mut Transaction)) {
        let device = &mut self.devices[at];
        let mut txn = device.file.replica().database().write().unwrap();
        body(&mut txn);
        txn.commit().unwrap();
        let durable_client_seq = device.file.replica().meta().unwrap().last_client_seq;
        device.input(self.now_ms, ClientInput::LocalEntries { durable_client_seq });
        self.run();
    }

    pub(crate) fn connect(&mut self, at: usize) {
        self.devices[at].is_online = true;
        let window_bytes = TERMS.window_bytes;
        self.devices[at].input(self.now_ms, ClientInput::Online { window_bytes });
        self.run();
    }

    pub(crate) fn disconnect(&mut self, at: usize) {
        let device = &mut self.devices[at];
        (device.is_online, device.server) = (false, None);
        device.to_server.clear();
        device.to_client.clear();
        device.input(self.now_ms, ClientInput::Offline);
    }

    /// Puts an empty server in the place of the one that was.
    pub(crate) fn replace_server(&mut self) {
        self.replica = open_server(7);
        self.snapshots = SnapshotPool::new(2);
    }

    /// Ends the connections, and begins another epoch.
    pub(crate) fn begin_epoch(&mut self) {
        self.replica.begin_epoch(6).unwrap();
        self.snapshots = SnapshotPool::new(2);
    }

    /// Exchanges frames until no device that is online has anything left to do.
    fn run(&mut self) {
        let mut idle = 0;
        while idle < 4 {
            let before = self.text.len();
            for at in 0..self.devices.len() {
                while self.exchange(at) {}
                let device = &mut self.devices[at];
                if device.is_online
                    && device.session.deadline().is_some_and(|deadline| deadline <= self.now_ms)
                {
                    device.input(self.now_ms, ClientInput::Tick);
                }
                let status = self.replica.status().unwrap();
                let (head, durable_seq) = (status.head, status.durable_seq);
                let moved = ServerInput::HeadMoved { head, durable_seq };
                self.devices[at].serve(moved, (&mut self.snapshots, self.now_ms));
            }
            self.now_ms += DELAY_MS;
            idle = if self.text.len() == before { idle + 1 } else { 0 };
        }
    }

    /// Delivers a frame in each direction; tells whether one was on its way.
    fn exchange(&mut self, at: usize) -> bool {
        let device = &mut self.devices[at];
        let (up, down) = (device.to_server.pop_front(), device.to_client.pop_front());
        if let Some(bytes) = &up {
            let packet = Packet::open(bytes).unwrap();
            self.text += &format!("{} > {}\n", device.name, line_of(&packet));
            if device.server.is_none() {
                let replica = self.replica.clone();
                let database = SessionDatabase::new(replica, "ann".to_owned(), Access::Write);
                device.server = Some((ServerSession::new(packet.session(), &TERMS), database));
            }
            device.serve(ServerInput::Received(&packet), (&mut self.snapshots, self.now_ms));
        }
        if let Some(bytes) = &down {
            let bytes = if self.tampers { tampered(bytes) } else { bytes.clone() };
            self.tampers &= bytes == *down.as_ref().unwrap();
            let packet = Packet::open(&bytes).unwrap();
            self.text += &format!("{} < {}\n", device.name, line_of(&packet));
            device.input(self.now_ms, ClientInput::Received(&packet));
        }
        up.is_some() || down.is_some()
    }
}

/// Returns a download with another salt, and other frames as they are.
fn tampered(bytes: &[u8]) -> Vec<u8> {
    let packet = Packet::open(bytes).unwrap();
    let mut frame = packet.frame().unwrap();
    if let Message::Download(download) = &mut frame.message {
        download.salt ^= 1;
        return frame.encode(Compression::Never).unwrap();
    }
    bytes.to_vec()
}
