//! Messages of a server that breaks the protocol, and what an app learns of each.

use super::peer::{Next, Tamper};
use fastness_sync::frame::{
    Ack, Auth, AuthOk, Bind, Code, Compression, Credit, Download, Empty, FRAME_BYTES_MAX, Frame,
    Hello, Identity, Item, Mark, Message, Packet, Ping, Pong, Progress, Reject, Resume, Resumed,
    SnapshotGet, SnapshotPart, Upload, Welcome,
};
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use tungstenite::{Message as WebSocketMessage, WebSocket};

/// Types of the frames that a client gets, in the order in which it gets the first of each.
pub(crate) const POSITIONS: [u8; 8] = [2, 4, 6, 8, 10, 12, 14, 16];
const WELCOME: u8 = 2;
const AUTH_OK: u8 = 4;
const RESUMED: u8 = 8;
const REJECT: u8 = 11;
const DOWNLOAD: u8 = 12;
const MARK: u8 = 14;
const SNAP: u8 = 16;
const UNBOUND: u8 = 19;
const PONG: u8 = 21;

/// The effect of a message on an app.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Effect {
    /// An error with this code.
    Code(u16),
    /// The connection is lost.
    Lost,
    /// The session is not disturbed, or begins again by itself.
    Nothing,
}

/// A way to break the protocol.
pub(crate) struct Case {
    pub(crate) name: String,
    /// Type of the frame that is sent in another way.
    pub(crate) at: u8,
    pub(crate) tamper: Tamper,
    pub(crate) effect: Effect,
}

/// Encodes a frame, which may be none that a server sends.
pub(crate) fn encode(session: u32, message: Message<'_>) -> Vec<u8> {
    Frame::new(session, message).encode(Compression::Auto).unwrap()
}

/// Sends a message. The client may have closed the connection.
pub(crate) fn send(socket: &mut WebSocket<TcpStream>, bytes: Vec<u8>) {
    drop(socket.send(WebSocketMessage::binary(bytes)));
}

/// Returns a frame of each type of a connection.
fn connection_frames() -> Vec<Vec<u8>> {
    let welcome = Welcome {
        version: 1,
        features: 0,
        now_ms: 1,
        window_bytes: 1 << 20,
        ping_ms: 30_000,
        connection: 9,
    };
    let hello = Hello { version_min: 1, version_max: 1, features: 0, now_ms: 1, library: "x" };
    let messages = [
        Message::Welcome(welcome),
        Message::AuthOk(AuthOk { user: "me", expires_at_ms: u64::MAX }),
        Message::Pong(Pong { now_ms: u64::MAX }),
        Message::Hello(hello),
        Message::Auth(Auth { token: "x" }),
        Message::Ping(Ping { now_ms: 1, round_trip_ms: 0 }),
    ];
    messages.into_iter().map(|message| encode(0, message)).collect()
}

/// Returns a frame of each type of a session, with content that no client expects.
fn session_frames(session: u32) -> Vec<Vec<u8>> {
    let resume = Resume {
        client: 9,
        client_salt: 1,
        epoch: 1,
        cursor: 1,
        cursor_salt: 1,
        last_client_seq: 1,
        chain_hash: 1,
        oldest_base: 1,
    };
    let (epoch, horizon, durable_seq, chain_hash) = (5, 0, 0, 1);
    let resumed =
        Resumed { epoch, head: 999, horizon, durable_seq, last_client_seq: 999, chain_hash };
    let items = vec![Item::Entry { client: 9, entry: b"no entry" }];
    let (salt, head, bytes_left) = (1, 1000, 0);
    let download = Download { from: 999, salt, head, horizon, durable_seq, bytes_left, items };
    let (snapshot, seq, total, offset) = (999, 1, 9, 3);
    let (part, root) = (&b"part"[..], None);
    let part = SnapshotPart { snapshot, epoch, seq, salt, horizon, total, offset, part, root };
    let (client_seq, code, operation) = (999, Code::BAD_ENTRY, 0);
    let messages = [
        Message::Identity(Identity { client: 77, client_salt: 5 }),
        Message::Resumed(resumed),
        Message::Ack(Ack { last_client_seq: 999, durable_seq: 0 }),
        Message::Reject(Reject { client_seq, code, operation, reason: "" }),
        Message::Download(download),
        Message::Mark(Mark { number: 999 }),
        Message::SnapshotPart(part),
        Message::Unbound(Empty),
        Message::Bind(Bind { path: "/x", schema_hash: 0, wants_identity: true }),
        Message::Resume(resume),
        Message::Upload(Upload { oldest_base: 0, entries: vec![b"entry"] }),
        Message::Credit(Credit { bytes: 1 }),
        Message::SnapshotGet(SnapshotGet { snapshot: 1, offset: 0 }),
        Message::Progress(Progress { cursor: 1, oldest_base: 1 }),
        Message::Unbind(Empty),
    ];
    messages.into_iter().map(|message| encode(session, message)).collect()
}

/// Returns the effect of a frame of the connection before the expected one.
fn effect_of_connection(at: u8, code: u8) -> Effect {
    match (at, code) {
        (WELCOME, _) => Effect::Code(109),
        (_, AUTH_OK | PONG) => Effect::Nothing,
        _ => Effect::Code(109),
    }
}

/// Returns the effect of a frame of the session before the expected one.
fn effect_of_session(at: u8, code: u8) -> Effect {
    match (at, code) {
        // Without a binding there is no session that it could be for.
        (WELCOME | AUTH_OK, _) | (_, UNBOUND) | (RESUMED, REJECT) => Effect::Nothing,
        // A mark that was not asked for; a download that does not follow is asked for again.
        (10 | DOWNLOAD | MARK, MARK | DOWNLOAD) => Effect::Nothing,
        // The new identity of a reset is the first one.
        (SNAP, 6) => Effect::Nothing,
        _ => Effect::Code(109),
    }
}

/// Number of the session of a frame; the first one before there is any.
fn session_of(bytes: &[u8]) -> u32 {
    Packet::open(bytes).unwrap().session().max(1)
}

/// Sends other frames before the expected one.
fn before(frames: impl Fn(u32) -> Vec<Vec<u8>> + Send + Sync + 'static) -> Tamper {
    Arc::new(move |socket, bytes| {
        let others = frames(session_of(&bytes));
        others.into_iter().for_each(|other| send(socket, other));
        send(socket, bytes);
        Next::Honest
    })
}

/// Frames of every type at every place where they do not belong.
pub(crate) fn out_of_order() -> Vec<Case> {
    let mut cases = Vec::new();
    for at in POSITIONS {
        for (index, frame) in connection_frames().into_iter().enumerate() {
            let code = frame[0];
            if code != at || at == WELCOME {
                let tamper = before(move |_| vec![connection_frames().swap_remove(index)]);
                let effect = effect_of_connection(at, code);
                cases.push(Case { name: format!("frame {code} before {at}"), at, tamper, effect });
            }
        }
        for (index, frame) in session_frames(1).into_iter().enumerate() {
            let code = frame[0];
            if code != at {
                let tamper =
                    before(move |session| vec![session_frames(session).swap_remove(index)]);
                let effect = effect_of_session(at, code);
                cases.push(Case { name: format!("frame {code} before {at}"), at, tamper, effect });
            }
        }
        let tamper = before(|session| session_frames(session + 1000));
        let name = format!("frames of an unknown session before {at}");
        cases.push(Case { name, at, tamper, effect: Effect::Nothing });
    }
    cases
}

type Change = fn(Vec<u8>) -> Vec<u8>;

const EXTENDED: u8 = 2;

/// Changes of a frame's bytes, and the code of each for a frame without compression.
const CHANGES: [(&str, Change, u16); 11] = [
    ("cut at the end", |bytes| bytes[..bytes.len() - 1].to_vec(), 103),
    ("cut in the middle", |bytes| bytes[..bytes.len().div_ceil(2)].to_vec(), 103),
    ("a byte too much", |bytes| [&bytes[..], &[0]].concat(), 103),
    ("empty", |_| Vec::new(), 103),
    ("a part of a head", |bytes| bytes[..2].to_vec(), 103),
    ("of no type", |bytes| [&[0xee], &bytes[1..]].concat(), 102),
    ("with an unknown flag", |bytes| [&[bytes[0], bytes[1] | 0x80], &bytes[2..]].concat(), 103),
    ("with an extension", |bytes| [&[bytes[0], EXTENDED], &bytes[2..], &[1, 0, 0]].concat(), 109),
    (
        "in another scope",
        |bytes| [&bytes[..2], &[u8::from(bytes[2] == 0)], &bytes[3..]].concat(),
        106,
    ),
    ("said to have 2 GiB", |bytes| vec![bytes[0], 1, bytes[2], 0x80, 0x80, 0x80, 0x80, 8, 1], 104),
    ("that has more than it says", |bytes| bomb(bytes[0], bytes[2]), 110),
];

/// A compressed frame with a body of 1 MiB that says it has 600 bytes.
fn bomb(code: u8, session: u8) -> Vec<u8> {
    let zeros = vec![0; 1 << 20];
    let upload = Upload { oldest_base: 0, entries: vec![&zeros] };
    let frame = encode(1, Message::Upload(upload));
    // Its length takes three bytes.
    [&[code, 1, session, 0xd8, 4], &frame[6..]].concat()
}

/// Frames with other bytes in the place of each frame.
pub(crate) fn malformed() -> Vec<Case> {
    let mut cases = Vec::new();
    for at in POSITIONS {
        for (change, to, code) in CHANGES {
            // A snapshot is compressed.
            let code = match (at, code) {
                (SNAP, 103) if !["empty", "a part of a head"].contains(&change) => None,
                (SNAP, 109) => None,
                _ => Some(code),
            };
            let Some(code) = code else { continue };
            let tamper: Tamper = Arc::new(move |socket, bytes| {
                send(socket, to(bytes));
                Next::Honest
            });
            let name = format!("frame {at} {change}");
            cases.push(Case { name, at, tamper, effect: Effect::Code(code) });
        }
    }
    cases
}

type Break = fn(&mut WebSocket<TcpStream>, Vec<u8>) -> Next;

/// Sends bytes below the WebSocket. The client may have closed the connection.
fn send_raw(socket: &mut WebSocket<TcpStream>, bytes: &[u8]) -> Next {
    drop(socket.get_mut().write_all(bytes));
    Next::Silent
}

const BREAKS: [(&str, Break); 9] = [
    ("a text", |socket, _| {
        drop(socket.send(WebSocketMessage::text("hello")));
        Next::Silent
    }),
    ("a farewell", |socket, _| {
        drop(socket.close(None));
        drop(socket.flush());
        Next::Silent
    }),
    ("an oversized message", |socket, _| {
        send(socket, vec![0; FRAME_BYTES_MAX + 1]);
        Next::Silent
    }),
    ("a message of 2^62 bytes", |socket, _| {
        send_raw(socket, &[0x82, 127, 0x40, 0, 0, 0, 0, 0, 0, 0, 1])
    }),
    ("a message in fragments without an end", |socket, _| {
        let fragment = [&[0, 127, 0, 0, 0, 0, 0, 8, 0, 0][..], &vec![0; 1 << 19]].concat();
        send_raw(socket, &[2, 0]);
        for _ in 0..5 {
            send_raw(socket, &fragment);
        }
        Next::Silent
    }),
    ("a part of a message", |socket, bytes| {
        send_raw(socket, &[0x82, 126, 0x10, 0]);
        send_raw(socket, &bytes);
        Next::Closed
    }),
    ("garbage", |socket, _| send_raw(socket, &[0xff; 64])),
    ("a masked message", |socket, _| send_raw(socket, &[0x82, 0x81, 1, 2, 3, 4, 5])),
    ("an end", |_, _| Next::Closed),
];

/// Messages that are none, and ends in the middle, in the place of each frame.
pub(crate) fn broken_off() -> Vec<Case> {
    let mut cases = Vec::new();
    for at in POSITIONS {
        for (what, broken) in BREAKS {
            let name = format!("{what} in the place of {at}");
            cases.push(Case { name, at, tamper: Arc::new(broken), effect: Effect::Lost });
        }
    }
    cases
}
