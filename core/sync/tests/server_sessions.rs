//! Sessions of a server over a database in a file: frames in, frames out.
//!
//! - MR8 A refusal is repeated until the client knows it.
//! - SV8 A client that resets gets a snapshot that contains all entries of its user.
//! - SV1 A client that cannot resume gets the code of the reason.
//! - H32 Deferred calls are durable after a sync.

use fastness::StoreOptions;
use fastness_sync::chain::chain_hash;
use fastness_sync::entry::{
    ElementId, Entry, Header, Key, ObjectRef, Operation, PropertyType, Scalar, ScalarType, encode,
};
use fastness_sync::frame::{
    Bind, Compression, Frame, Item, Message, Packet, Resume, SnapshotGet, Upload,
};
use fastness_sync::server::{
    Access, ClientIdentity, ClientProgress, ClientState, Opening, ServerReplica, SessionDatabase,
    SnapshotPool,
};
use fastness_sync::session::{ConnectionTerms, ServerInput, ServerOutput, ServerSession};

const NOW: u64 = 1_000_000;
const EPOCH: u64 = 77;
const SALT: u64 = 5;
const TERMS: ConnectionTerms =
    ConnectionTerms { window_bytes: 1 << 20, ping_ms: 30_000, connection: 9 };

/// One session, and the database behind it.
struct Served<'s> {
    session: ServerSession,
    database: SessionDatabase,
    snapshots: &'s mut SnapshotPool,
    transcript: Vec<String>,
}

/// Detaches an output from its input; a frame of a client alone makes others.
fn detached(output: ServerOutput<'_>) -> ServerOutput<'static> {
    match output {
        ServerOutput::Send(bytes) => ServerOutput::Send(bytes),
        ServerOutput::ReadHistory { ticket, from, bytes_max } => {
            ServerOutput::ReadHistory { ticket, from, bytes_max }
        }
        ServerOutput::ReadSnapshot { ticket, snapshot, offset } => {
            ServerOutput::ReadSnapshot { ticket, snapshot, offset }
        }
        ServerOutput::Ended => ServerOutput::Ended,
        ServerOutput::Resume(_)
        | ServerOutput::Submit { .. }
        | ServerOutput::Bind { .. }
        | ServerOutput::Progress { .. } => panic!("{output:?}"),
    }
}

/// One line for a frame of the server.
#[expect(clippy::wildcard_enum_match_arm, reason = "these frames are the ones of the tests")]
fn line(bytes: &[u8]) -> String {
    let packet = Packet::open(bytes).expect("a frame");
    match packet.frame().expect("a frame").message {
        Message::Identity(identity) => format!("IDENT {}", identity.client),
        Message::Resumed(resumed) => {
            format!("RESUMED head {} last {}", resumed.head, resumed.last_client_seq)
        }
        Message::Ack(ack) => format!("ACK {}", ack.last_client_seq),
        Message::Reject(reject) => format!("REJECT {} {}", reject.client_seq, reject.code.0),
        Message::Download(download) => {
            let is_own = |item: &Item<'_>| matches!(item, Item::Own { .. });
            let own = download.items.iter().filter(|item| is_own(item)).count();
            let of = download.items.len();
            format!("DOWNLOAD {} to {}, {own} of {of} own", download.from, download.to())
        }
        Message::SnapshotPart(part) => {
            let (is_all, is_last) = (part.part.len() as u64 == part.total, part.root.is_some());
            format!("SNAP {} seq {} all {is_all} last {is_last}", part.snapshot, part.seq)
        }
        Message::Failed(failed) => format!("ERROR {} {}", failed.code.0, failed.message),
        _ => "another frame".to_owned(),
    }
}

impl<'s> Served<'s> {
    fn new(replica: &ServerReplica, access: Access, snapshots: &'s mut SnapshotPool) -> Self {
        Self::of("user", (replica, access), snapshots)
    }

    fn of(
        user: &str,
        (replica, access): (&ServerReplica, Access),
        snapshots: &'s mut SnapshotPool,
    ) -> Self {
        let database = SessionDatabase::new(replica.clone(), user.to_owned(), access);
        let session = ServerSession::new(1, &TERMS);
        Self { session, database, snapshots, transcript: Vec::new() }
    }

    /// Delivers a frame, and performs all that follows. Returns the frames of the server.
    fn exchange(&mut self, message: Message<'_>) -> Vec<String> {
        let bytes = Frame::new(1, message).encode(Compression::Never).expect("within the limits");
        let packet = Packet::open(&bytes).expect("a frame");
        let mut outputs = Vec::new();
        self.session.handle(ServerInput::Received(&packet), &mut outputs);
        let mut later = Vec::new();
        outputs.iter().for_each(|output| self.perform(output, &mut later));
        while let Some(output) = later.pop() {
            self.perform(&output, &mut later);
        }
        std::mem::take(&mut self.transcript)
    }

    fn perform(&mut self, output: &ServerOutput<'_>, later: &mut Vec<ServerOutput<'static>>) {
        let Self { session, database, snapshots, transcript } = self;
        let mut outputs = Vec::new();
        if let ServerOutput::Bind { wants_identity, .. } = output {
            let identity = wants_identity.then(|| database.identify(SALT, NOW).expect("a file"));
            session.handle(ServerInput::Bound(identity), &mut outputs);
        }
        let mut replied = Vec::new();
        let mut reply = |input: ServerInput<'_>| {
            let mut outputs = Vec::new();
            session.handle(input, &mut outputs);
            replied.extend(outputs.into_iter().map(detached));
        };
        database.perform(output, NOW, (snapshots, &mut reply));
        for output in outputs.into_iter().map(detached).chain(replied).rev() {
            later.push(output);
        }
        if let ServerOutput::Send(bytes) = output {
            transcript.push(line(bytes));
        }
    }

    fn bind(&mut self, wants_identity: bool) -> Vec<String> {
        self.exchange(Message::Bind(Bind { path: "/notes", schema_hash: 1, wants_identity }))
    }

    fn upload(&mut self, entries: &[Vec<u8>]) -> Vec<String> {
        let entries = entries.iter().map(Vec::as_slice).collect();
        self.exchange(Message::Upload(Upload { oldest_base: 0, entries }))
    }
}

/// An entry that creates an object; with a definition that is of a counter or not.
fn entry(client_seq: u64, is_counter: bool) -> Vec<u8> {
    let int = PropertyType::Scalar(Scalar { kind: ScalarType::Int, nullable: true });
    let kind = if is_counter { PropertyType::Counter } else { int };
    let target = ObjectRef { class: "Item", key: Key::Generated(id(client_seq)) };
    let operations = vec![
        Operation::AddClass { class: "Item", primary_key: None },
        Operation::AddProperty { class: "Item", property: "count", kind },
        Operation::Create(target),
    ];
    let header = Header { client_seq, base: 0, stamp: NOW };
    encode(&Entry { header, operations }).expect("within the limits")
}

const fn id(number: u64) -> ElementId {
    ElementId { author: 0, number }
}

/// The state of a client that has acknowledged some entries and applied nothing.
fn state(client: u32, entries: &[Vec<u8>]) -> Resume {
    Resume {
        client,
        client_salt: SALT,
        epoch: EPOCH,
        cursor: 0,
        cursor_salt: 0,
        last_client_seq: entries.len() as u64,
        chain_hash: entries.iter().fold(SALT, |hash, entry| chain_hash(hash, entry)),
        oldest_base: 0,
    }
}

fn replica() -> ServerReplica {
    let store = StoreOptions::new().in_memory().expect("memory");
    let opening = Opening { database: [1; 16], epoch: EPOCH };
    ServerReplica::open(store, &opening).expect("an empty store")
}

#[test]
fn a_session_uploads_and_another_downloads() {
    let (replica, mut snapshots) = (replica(), SnapshotPool::new(2));
    let entries = [entry(1, false), entry(2, true), entry(3, false)];
    let mut one = Served::new(&replica, Access::Write, &mut snapshots);
    assert_eq!(one.bind(true), ["IDENT 1"]);
    let start = Resume { epoch: 0, ..state(1, &[]) };
    assert_eq!(one.exchange(Message::Resume(start)), ["RESUMED head 0 last 0"]);
    let answers = one.upload(&entries);
    assert_eq!(answers, ["REJECT 2 225", "ACK 3", "DOWNLOAD 0 to 2, 2 of 2 own"], "MR8");
    assert_eq!(one.upload(&entries), ["REJECT 2 225", "ACK 3"], "MR8: repeated");
    let answers = one.upload(&[entry(4, true), entry(9, false)]);
    assert_eq!(answers, ["REJECT 4 225", "ACK 4", "ERROR 210 entry 5 is missing"], "MR8");

    let mut other = Served::new(&replica, Access::Write, &mut snapshots);
    assert_eq!(other.bind(true), ["IDENT 2"]);
    let answers = other.exchange(Message::Resume(state(2, &[])));
    assert_eq!(answers, ["RESUMED head 2 last 0", "DOWNLOAD 0 to 2, 0 of 2 own"]);
}

#[test]
fn a_client_that_returns_gets_its_refusals_or_the_reason() {
    let (replica, mut snapshots) = (replica(), SnapshotPool::new(2));
    let entries = [entry(1, false), entry(2, true)];
    let mut one = Served::new(&replica, Access::Write, &mut snapshots);
    one.bind(true);
    one.exchange(Message::Resume(state(1, &[])));
    one.upload(&entries);
    let mut resume = |state: Resume| {
        let mut session = Served::new(&replica, Access::Write, &mut snapshots);
        assert!(session.bind(false).is_empty());
        session.exchange(Message::Resume(state))
    };
    let answers = resume(state(1, &entries[..1]));
    let download = "DOWNLOAD 0 to 1, 1 of 1 own";
    assert_eq!(answers, ["REJECT 2 225", "RESUMED head 1 last 2", download], "MR8");
    let answers = resume(state(1, &entries));
    assert_eq!(answers, ["RESUMED head 1 last 2", download], "MR8: the client knows");
    let cloned = Resume { chain_hash: 8, ..state(1, &entries) };
    assert_eq!(resume(cloned), ["ERROR 235 other entries of the client"], "SV1");
    assert_eq!(resume(state(7, &[])), ["ERROR 208 unknown client"], "SV1");
    let above = Resume { cursor: 9, ..state(1, &entries) };
    assert_eq!(resume(above), ["ERROR 209 cursor above the head"], "SV1");
    let other = Resume { epoch: 9, ..state(1, &entries) };
    assert_eq!(resume(other), ["ERROR 211 another history"], "SV1");
}

#[test]
fn a_user_without_the_right_to_write_is_refused() {
    let (replica, mut snapshots) = (replica(), SnapshotPool::new(2));
    let mut reader = Served::new(&replica, Access::Read, &mut snapshots);
    reader.bind(true);
    reader.exchange(Message::Resume(state(1, &[])));
    assert_eq!(reader.upload(&[entry(1, false)]), ["REJECT 1 231", "ACK 1"]);
}

#[test]
fn snapshots_are_shared_and_their_history_is_kept() {
    let (replica, mut snapshots) = (replica(), SnapshotPool::new(2));
    let mut one = Served::new(&replica, Access::Write, &mut snapshots);
    one.bind(true);
    one.exchange(Message::Resume(state(1, &[])));
    one.upload(&[entry(1, false)]);
    let get_as = |user: &str, snapshots: &mut SnapshotPool, snapshot| {
        let mut new = Served::of(user, (&replica, Access::Write), snapshots);
        new.bind(true);
        new.exchange(Message::SnapshotGet(SnapshotGet { snapshot, offset: 0 }))
    };
    let get = |snapshots: &mut SnapshotPool, snapshot| get_as("other", snapshots, snapshot);
    assert_eq!(get(&mut snapshots, 0), ["SNAP 1 seq 1 all true last true"]);
    let mut one = Served::new(&replica, Access::Write, &mut snapshots);
    one.bind(false);
    one.exchange(Message::Resume(state(1, &[entry(1, false)])));
    one.upload(&[entry(2, false)]);
    assert_eq!(get(&mut snapshots, 0), ["SNAP 1 seq 1 all true last true"], "it is recent");
    replica.resume(&known(&replica, 1), NOW).expect("a file").expect("SV1");
    let progress = ClientProgress { cursor: 2, oldest_base: 2 };
    replica.progress(2, progress, NOW).expect("a file");
    assert_eq!(replica.advance_horizon(NOW, 1000).expect("a file"), 1, "MR9: the last got seq 1");
    replica.begin_epoch(78).expect("a file");
    assert_eq!(get(&mut snapshots, 1), ["SNAP 1 seq 1 all true last true"], "SV3: by number");
    assert_eq!(get(&mut snapshots, 0), ["SNAP 2 seq 2 all true last true"], "of the new epoch");
}

#[test]
fn a_snapshot_without_an_entry_of_the_user_is_not_shared() {
    let (replica, mut snapshots) = (replica(), SnapshotPool::new(2));
    let mut get = |user: &str| {
        let mut new = Served::of(user, (&replica, Access::Write), &mut snapshots);
        new.bind(true);
        new.exchange(Message::SnapshotGet(SnapshotGet { snapshot: 0, offset: 0 }))
    };
    assert_eq!(get("other"), ["SNAP 1 seq 0 all true last true"]);
    let mut pool = SnapshotPool::new(1);
    let mut one = Served::new(&replica, Access::Write, &mut pool);
    assert_eq!(one.bind(true), ["IDENT 2"]);
    one.exchange(Message::Resume(Resume { epoch: 0, ..state(2, &[]) }));
    one.upload(&[entry(1, false)]);
    assert_eq!(get("other"), ["SNAP 1 seq 0 all true last true"], "it is recent");
    assert_eq!(get("user"), ["SNAP 2 seq 1 all true last true"], "SV8");
    assert_eq!(get("user"), ["SNAP 2 seq 1 all true last true"], "it has the entry");
}

/// The state of client 1 with everything.
fn known(replica: &ServerReplica, client: u32) -> ClientState<'static> {
    let status = replica.status().expect("a file");
    let entries = [entry(1, false), entry(2, false)];
    ClientState {
        identity: ClientIdentity { client, salt: SALT },
        user: "user",
        epoch: EPOCH,
        cursor: status.head,
        cursor_salt: status.salt,
        last_client_seq: 2,
        chain_hash: state(client, &entries).chain_hash,
        oldest_base: status.head,
    }
}

#[test]
fn deferred_calls_are_in_the_file_after_a_sync() {
    let dir = tempfile::tempdir().expect("a folder");
    let (file, copy) = (dir.path().join("database"), dir.path().join("copy"));
    let opening = Opening { database: [1; 16], epoch: EPOCH };
    let open = |file: &std::path::Path| {
        let store = StoreOptions::new().open_or_create(file).expect("a file");
        ServerReplica::open(store, &opening).expect("a database")
    };
    let (replica, mut snapshots) = (open(&file), SnapshotPool::new(1));
    let deferred = replica.deferred();
    let mut one = Served::new(&deferred, Access::Write, &mut snapshots);
    one.bind(true);
    one.exchange(Message::Resume(state(1, &[])));
    one.upload(&[entry(1, false), entry(2, false)]);
    assert_eq!(replica.status().expect("a file").head, 2, "visible at once");
    replica.sync().expect("a file");
    // The power fails.
    std::fs::copy(&file, &copy).expect("a copy");
    assert_eq!(open(&copy).status().expect("a file").head, 2, "H32");
}
