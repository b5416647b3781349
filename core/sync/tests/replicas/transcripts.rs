//! Transcripts of version 1 of the protocol: the frames of a login, of uploads and downloads, and
//! of a client reset, as they were recorded once.
//!
//! - FR7 A transcript is golden for ever: its frames decode, and encode to the same bodies. Both
//!   sides of today exchange its frames: each gets the recorded frames of the other and answers
//!   with the recorded ones.
//!
//! If this fails, do not change a transcript: released peers send and expect its frames.
//! - Frames that decode or encode in another way are another version of the protocol: add it beside
//!   version 1, with a transcript of its own.
//! - Another choice or order of frames that version 1 permits is no other version: record another
//!   transcript with `FASTNESS_RECORD=1` under a new name, and keep the old one among [`FROZEN`].

use super::sessions::{START, SyncedWorld, TERMS};
use fastness::StoreOptions;
use fastness_sync::frame::{Compression, Packet};
use fastness_sync::server::{Opening, ServerReplica, SnapshotPool};
use fastness_sync::session::{
    ClientConnection, ClientConnectionInput, ClientConnectionOutput, ServerConnection,
    ServerConnectionInput, ServerConnectionOutput,
};
use std::collections::VecDeque;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Transcripts whose frames decode for ever, and that peers of today need not exchange.
const FROZEN: [&str; 1] = ["reset"];

/// Transcripts that peers of today exchange.
const CURRENT: [&str; 2] = ["login", "reset_with_numbers"];

/// Place of the device whose frames are recorded, and of another one.
const RECORDED: usize = 0;
const OTHER: usize = 2;

/// A side that sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sender {
    Client,
    Server,
}

fn path(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/1");
    folder.join(format!("{name}.txt"))
}

/// Reads a transcript: a line for each frame, with its sender and its bytes.
fn read(name: &str) -> VecDeque<(Sender, Vec<u8>)> {
    let text = std::fs::read_to_string(path(name)).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| frame_of(line).unwrap_or_else(|| panic!("FR7: {line}"))).collect()
}

fn frame_of(line: &str) -> Option<(Sender, Vec<u8>)> {
    let (sender, bytes) = line.split_once(' ')?;
    let sender = match sender {
        "client" => Sender::Client,
        "server" => Sender::Server,
        _ => return None,
    };
    let digits = |at: usize| u8::from_str_radix(bytes.get(at..at + 2)?, 16).ok();
    Some((sender, (0..bytes.len()).step_by(2).map(digits).collect::<Option<_>>()?))
}

/// Returns the frame without its compression, which may change.
fn plain(bytes: &[u8]) -> Vec<u8> {
    let packet = Packet::open(bytes).expect("FR7: a frame opens");
    packet.frame().expect("FR7: a frame decodes").encode(Compression::Never).unwrap()
}

/// A transcript that is replayed, or recorded.
struct Transcript {
    name: &'static str,
    golden: VecDeque<(Sender, Vec<u8>)>,
    /// The text of a transcript that is recorded.
    recorded: Option<String>,
    count: usize,
}

impl Transcript {
    fn open(name: &'static str) -> Self {
        let records = std::env::var_os("FASTNESS_RECORD").is_some() && !path(name).exists();
        let recorded =
            records.then(|| format!("# Frames of version 1: {name}. Golden for ever.\n"));
        Self { name, golden: read(name), recorded, count: 0 }
    }

    /// Compares a frame with the next one of the transcript; returns the recorded one.
    fn exchange(&mut self, sender: Sender, bytes: Vec<u8>) -> Vec<u8> {
        self.count += 1;
        if let Some(text) = &mut self.recorded {
            let side = if sender == Sender::Client { "client" } else { "server" };
            text.push_str(side);
            text.push(' ');
            bytes.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap());
            text.push('\n');
            return bytes;
        }
        let of = format!("FR7: frame {} of {}", self.count, self.name);
        let (golden_sender, golden) = self.golden.pop_front().expect(&of);
        let show = |bytes: &[u8]| format!("{:?}", Packet::open(bytes).map(Packet::into_owned));
        assert_eq!(golden_sender, sender, "{of}: {}", show(&bytes));
        assert_eq!(plain(&bytes), plain(&golden), "{of}: {} {}", show(&bytes), show(&golden));
        golden
    }

    fn end(self) {
        assert!(self.golden.is_empty(), "FR7: {}: frames are missing", self.name);
        if let Some(text) = self.recorded {
            std::fs::create_dir_all(path(self.name).parent().unwrap()).unwrap();
            std::fs::write(path(self.name), text).unwrap();
        }
    }
}

/// Both sides of a connection: HELLO, WELCOME, AUTH, `AUTH_OK`, PING and PONG.
fn log_in(transcript: &mut Transcript) {
    let mut client = ClientConnection::new("fastness 1", 7);
    let mut server = ServerConnection::new(START, TERMS);
    let begun = [
        ClientConnectionInput::Token("token"),
        ClientConnectionInput::Tick,
        ClientConnectionInput::Connected,
    ];
    let frames = begun.into_iter().flat_map(|input| client_frames(&mut client, START, input));
    let mut sent: VecDeque<Vec<u8>> = frames.collect();
    let mut now = START;
    while now < START + 2 * TERMS.ping_ms {
        while let Some(frame) = sent.pop_front() {
            let frame = transcript.exchange(Sender::Client, frame);
            for answer in server_frames(&mut server, now, &frame) {
                let answer = transcript.exchange(Sender::Server, answer);
                let input = ClientConnectionInput::Received(&answer);
                sent.extend(client_frames(&mut client, now, input));
            }
        }
        now = client.deadline().expect("FR5");
        sent.extend(client_frames(&mut client, now, ClientConnectionInput::Tick));
    }
}

fn client_frames(
    client: &mut ClientConnection,
    now: u64,
    input: ClientConnectionInput<'_>,
) -> Vec<Vec<u8>> {
    let mut outputs = Vec::new();
    client.handle(now, input, &mut outputs);
    let sent =
        |output| if let ClientConnectionOutput::Send(bytes) = output { Some(bytes) } else { None };
    outputs.into_iter().filter_map(sent).collect()
}

fn server_frames(server: &mut ServerConnection, now: u64, frame: &[u8]) -> Vec<Vec<u8>> {
    let mut sent = Vec::new();
    let mut inputs = VecDeque::from([ServerConnectionInput::Received(frame)]);
    while let Some(input) = inputs.pop_front() {
        let mut outputs = Vec::new();
        server.handle(now, input, &mut outputs);
        for output in outputs {
            if let ServerConnectionOutput::Authenticate { ticket, .. } = output {
                let expires_at_ms = START + 600_000;
                let user = "me";
                inputs.push_back(ServerConnectionInput::Authenticated {
                    ticket,
                    user,
                    expires_at_ms,
                });
            } else if let ServerConnectionOutput::Send(bytes) = output {
                sent.push(bytes);
            }
        }
    }
    sent
}

/// Steps both devices until neither has anything left to do; the frames of one are exchanged.
fn settle(world: &mut SyncedWorld, transcript: &mut Transcript) {
    let mut idle = 0;
    while idle < 50 {
        world.now += 10;
        let before = transcript.count;
        let peer = &mut world.peers[RECORDED];
        if let Some(front) = peer.to_server.front_mut() {
            *front = transcript.exchange(Sender::Client, std::mem::take(front));
        }
        world.deliver(RECORDED);
        let peer = &mut world.peers[RECORDED];
        if let Some(front) = peer.to_client.front_mut() {
            *front = transcript.exchange(Sender::Server, std::mem::take(front));
        }
        world.receive(RECORDED);
        world.tend(RECORDED);
        world.step(OTHER);
        idle = if transcript.count == before { idle + 1 } else { 0 };
    }
}

fn write(world: &mut SyncedWorld, at: usize, (id, name): (i64, &str)) {
    let now = world.now;
    let peer = &mut world.peers[at];
    let written = peer.file.replica().database().transact(|txn| {
        let (node, _) = txn.get_or_create("Node", id)?;
        txn.set(&node, "name", name)?;
        txn.add(&node, "hits", 1).map(drop)
    });
    written.unwrap();
    peer.wrote(now);
}

/// An identity, an upload, downloads of both kinds, a backup, and the reset after its restore.
fn reset(transcript: &mut Transcript) {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions::new();
    let mut world = SyncedWorld::new(options.create(folder.path().join("server")).unwrap());
    for at in [RECORDED, OTHER] {
        let now = world.now;
        world.peers[at].connect(now);
    }
    write(&mut world, RECORDED, (1, "one"));
    settle(&mut world, transcript);
    write(&mut world, OTHER, (2, "two"));
    settle(&mut world, transcript);
    let backup = folder.path().join("backup");
    let saved = world.replica.back_up(&options, &backup, None).unwrap();
    world.replica.note_backup(saved).unwrap();
    write(&mut world, RECORDED, (2, "acknowledged, and lost"));
    settle(&mut world, transcript);
    write(&mut world, RECORDED, (3, "pending"));
    let now = world.now;
    [RECORDED, OTHER].into_iter().for_each(|at| world.peers[at].cut(now));
    world.store = options.open(&backup).unwrap();
    let opening = Opening { database: [1; 16], epoch: 6 };
    world.replica = ServerReplica::open(world.store.clone(), &opening).unwrap();
    world.replica.set_backups(true).unwrap();
    world.snapshots = SnapshotPool::new(2);
    world.now += 1_000_000;
    for at in [RECORDED, OTHER] {
        let now = world.now;
        world.peers[at].connect(now);
    }
    settle(&mut world, transcript);
    let report = world.peers[RECORDED].reports.first().expect("FR7: the device has reset");
    assert_eq!(report.counts().get("applied"), Some(&5), "FR7: {:?}", report.counts());
    assert_eq!(world.replica.status().unwrap().epoch, 6);
}

#[test]
fn both_sides_exchange_the_frames_of_version_1() {
    for name in CURRENT {
        let mut transcript = Transcript::open(name);
        match name {
            "login" => log_in(&mut transcript),
            _ => reset(&mut transcript),
        }
        transcript.end();
    }
}

#[test]
fn frames_of_version_1_decode_for_ever() {
    for name in CURRENT.into_iter().chain(FROZEN) {
        let frames = read(name);
        assert!(frames.len() >= 6, "FR7: {name}");
        for (_, bytes) in frames {
            let again = plain(&bytes);
            assert_eq!(plain(&again), again, "FR7: {name}");
        }
    }
}
