//! Frames: the vectors of docs/protocol.md#frames, and properties of any frame and any bytes.
//!
//! - FR1 Decoding any bytes is total; encoding the frame without compression gives the same body.
//! - FR2 A frame that is encoded decodes to itself, compressed or not.
//! - FR3 Every limit is an error on both sides.

use fastness_sync::frame::{
    Ack, Action, Auth, AuthOk, Bind, Code, Compression, Credit, Download, Empty, Extension, Failed,
    Frame, FrameError, FrameLimit, FrameProblem, Hello, Identity, Item, Mark, Message, Packet,
    Ping, Pong, Progress, Reject, Resume, Resumed, SnapshotGet, SnapshotPart, Upload, Welcome,
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

const VECTORS: &str = include_str!("vectors/frames.json");

fn vectors() -> Json {
    serde_json::from_str(VECTORS).expect("JSON")
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(digit).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

macro_rules! fields {
    ($value:expr; $($field:ident),*) => {{
        let value = $value;
        json!({ $(stringify!($field): value.$field),* })
    }};
}

fn item(item: &Item<'_>) -> Json {
    match *item {
        Item::Entry { client, entry } => json!({ "client": client, "entry": hex(entry) }),
        Item::Own { client_seq, stamp } => json!({ "client_seq": client_seq, "stamp": stamp }),
    }
}

fn download(of: &Download<'_>) -> Json {
    let mut found = fields!(of; from, salt, head, horizon, durable_seq, bytes_left);
    found["items"] = of.items.iter().map(item).collect();
    found
}

fn snapshot_part(of: &SnapshotPart<'_>) -> Json {
    let mut found = fields!(of; snapshot, epoch, seq, salt, horizon, total, offset);
    found["part"] = json!(hex(of.part));
    found["root"] = json!(of.root.map(|root| hex(&root)));
    found
}

fn message(message: &Message<'_>) -> (&'static str, Json) {
    match message {
        Message::Hello(of) => {
            ("HELLO", fields!(of; version_min, version_max, features, now_ms, library))
        }
        Message::Welcome(of) => {
            ("WELCOME", fields!(of; version, features, now_ms, window_bytes, ping_ms, connection))
        }
        Message::Auth(of) => ("AUTH", fields!(of; token)),
        Message::AuthOk(of) => ("AUTH_OK", fields!(of; user, expires_at_ms)),
        Message::Bind(of) => ("BIND", fields!(of; path, schema_hash, wants_identity)),
        Message::Identity(of) => ("IDENT", fields!(of; client, client_salt)),
        Message::Resume(of) => (
            "RESUME",
            fields!(of; client, client_salt, epoch, cursor, cursor_salt, last_client_seq,
                chain_hash, oldest_base),
        ),
        Message::Resumed(of) => {
            ("RESUMED", fields!(of; epoch, head, horizon, durable_seq, last_client_seq, chain_hash))
        }
        Message::Upload(of) => {
            let entries: Vec<String> = of.entries.iter().map(|entry| hex(entry)).collect();
            ("UPLOAD", json!({ "oldest_base": of.oldest_base, "entries": entries }))
        }
        Message::Ack(of) => ("ACK", fields!(of; last_client_seq, durable_seq)),
        Message::Reject(of) => {
            let mut found = fields!(of; client_seq, operation, reason);
            found["code"] = json!(of.code.0);
            ("REJECT", found)
        }
        Message::Download(of) => ("DOWNLOAD", download(of)),
        Message::Credit(of) => ("CREDIT", fields!(of; bytes)),
        Message::Mark(of) => ("MARK", fields!(of; number)),
        Message::SnapshotGet(of) => ("SNAP_GET", fields!(of; snapshot, offset)),
        Message::SnapshotPart(of) => ("SNAP", snapshot_part(of)),
        Message::Progress(of) => ("PROGRESS", fields!(of; cursor, oldest_base)),
        Message::Unbind(Empty) => ("UNBIND", json!({})),
        Message::Unbound(Empty) => ("UNBOUND", json!({})),
        Message::Ping(of) => ("PING", fields!(of; now_ms, round_trip_ms)),
        Message::Pong(of) => ("PONG", fields!(of; now_ms)),
        Message::Failed(of) => {
            let mut found = fields!(of; retry_after_ms, message, log_reference);
            found["code"] = json!(of.code.0);
            found["action"] = json!(of.action.number());
            ("ERROR", found)
        }
    }
}

fn frame(frame: &Frame<'_>) -> Json {
    let (name, fields) = message(&frame.message);
    let mut found = json!({ "type": name, "session": frame.session, "fields": fields });
    if !frame.extensions.is_empty() {
        let extensions = frame.extensions.iter().map(|of| json!([of.feature, hex(of.bytes)]));
        found["extensions"] = extensions.collect();
    }
    found
}

#[test]
fn vectors_decode_as_annotated_and_encode_to_their_bytes() {
    let mut types = std::collections::BTreeSet::new();
    for vector in vectors()["frames"].as_array().unwrap() {
        let name = &vector["name"];
        let parts = vector["bytes"].as_array().unwrap().iter();
        let bytes: Vec<u8> = parts.flat_map(|part| unhex(part[0].as_str().unwrap())).collect();
        let packet = Packet::open(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let decoded = packet.frame().unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(frame(&decoded), vector["frame"], "{name}");
        let mut encoded = decoded.encode(Compression::Never).unwrap();
        if let Some(body) = vector["body"].as_str() {
            encoded.splice(..3, []);
            assert_eq!(encoded, unhex(body), "{name}");
        } else {
            assert_eq!(encoded, bytes, "{name}");
        }
        types.insert(decoded.message.code());
    }
    assert_eq!(types.len(), 22, "a type has no vector");
}

#[test]
fn malformed_vectors_are_refused_for_their_reason() {
    for vector in vectors()["malformed"].as_array().unwrap() {
        let bytes = unhex(vector["bytes"].as_str().unwrap());
        let packet = Packet::open(&bytes);
        let problem = match packet.and_then(|packet| packet.frame().map(|frame| frame.session)) {
            Ok(_) => panic!("{} was decoded", vector["name"]),
            Err(FrameError::Limit(FrameLimit::Number)) => "Number limit".to_owned(),
            Err(FrameError::Limit(limit)) => format!("{limit:?}"),
            Err(FrameError::Malformed(problem)) => format!("{problem:?}"),
        };
        assert_eq!(json!(problem), vector["problem"], "{}", vector["name"]);
    }
}

fn encode(message: Message<'_>) -> Result<Vec<u8>, FrameError> {
    let session = u32::from(![1, 2, 3, 4, 20, 21].contains(&message.code()));
    Frame::new(session, message).encode(Compression::Auto)
}

#[track_caller]
fn check_limit(message: Message<'_>, limit: FrameLimit) {
    assert_eq!(encode(message), Err(FrameError::Limit(limit)));
}

#[test]
fn limits_are_errors_of_the_encoder_too() {
    let text = "x".repeat(2 << 20);
    let upload = |entries| Message::Upload(Upload { oldest_base: 0, entries });
    check_limit(upload(vec![]), FrameLimit::Entries);
    check_limit(upload(vec![b"e"; 65_536]), FrameLimit::Entries);
    assert!(encode(upload(vec![b"e"; 65_535])).is_ok());
    check_limit(upload(vec![b""]), FrameLimit::EntryBytes);
    check_limit(upload(vec![&text.as_bytes()[..=1 << 20]]), FrameLimit::EntryBytes);
    assert!(encode(upload(vec![&text.as_bytes()[..1 << 20]])).is_ok());
    check_limit(upload(vec![&text.as_bytes()[..1 << 20]; 2]), FrameLimit::BodyBytes);
    check_limit(Message::Auth(Auth { token: &text[..8193] }), FrameLimit::TextBytes);
    assert!(encode(Message::Auth(Auth { token: &text[..8192] })).is_ok());
    check_limit(Message::Credit(Credit { bytes: 0 }), FrameLimit::Number);
    let ack = Message::Ack(Ack { last_client_seq: 1, durable_seq: 1 });
    let bad_session = Frame::new(0, ack).encode(Compression::Never);
    assert_eq!(bad_session, Err(FrameError::Malformed(FrameProblem::Session)));
    // A length is refused before the bytes are looked at.
    let long = vec![0; (2 << 20) + 1];
    assert_eq!(Packet::open(&long).err(), Some(FrameError::Limit(FrameLimit::FrameBytes)));
}

#[test]
#[expect(clippy::print_stdout, reason = "the measured sizes")]
fn bodies_are_compressed_if_that_makes_them_shorter() {
    let entry = unhex("0107298080a48484f83304084974656d01d00f0a636f756e7403c801");
    let upload = Upload { oldest_base: 0, entries: vec![&entry[..]; 1000] };
    let repeated = Frame::new(1, Message::Upload(upload));
    let (plain, short) =
        (repeated.encode(Compression::Never).unwrap(), repeated.encode(Compression::Auto).unwrap());
    println!("1000 equal updates: {} bytes, compressed {}", plain.len(), short.len());
    assert!(short.len() < plain.len() / 20);
    assert_eq!(Packet::open(&short).unwrap().frame().unwrap(), repeated);
    assert_eq!(Packet::open(&short).unwrap().body_bytes(), plain.len() - 3);
    // Random bytes stay as they are, and so does a short body.
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_le_bytes()[7]
    };
    let noise: Vec<u8> = (0..4000).map(|_| random()).collect();
    for entry in [&noise[..], &[7; 200]] {
        let upload = Upload { oldest_base: 0, entries: vec![entry] };
        let frame = Frame::new(1, Message::Upload(upload));
        assert_eq!(frame.encode(Compression::Auto), frame.encode(Compression::Never));
    }
}

/// Texts and bytes of generated frames, which own nothing.
const TEXTS: &[&str] = &["", "a", "/~/notes", "\u{20ac}", "a message that is a little longer"];

fn texts() -> impl Strategy<Value = &'static str> {
    prop::sample::select(TEXTS)
}

fn entries() -> impl Strategy<Value = &'static [u8]> {
    static LONG: [u8; 700] = [7; 700];
    prop_oneof![
        8 => prop::sample::select(&TEXTS[1..]).prop_map(str::as_bytes),
        1 => Just(&LONG[..]),
    ]
}

fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![0..300_u64, any::<u64>(), Just(u64::MAX)]
}

fn codes() -> impl Strategy<Value = Code> {
    prop_oneof![prop::sample::select(Code::ALL), any::<u16>().prop_map(Code)]
}

fn connection_messages() -> impl Strategy<Value = Message<'static>> {
    prop_oneof![
        (1..9_u32, 0..9_u32, numbers(), numbers(), texts()).prop_map(
            |(version_min, more, features, now_ms, library)| {
                let version_max = version_min + more;
                Message::Hello(Hello { version_min, version_max, features, now_ms, library })
            }
        ),
        (1..9_u32, numbers(), 1_u64 << 20..=256 << 20, 1000..=3_600_000_u64, numbers()).prop_map(
            |(version, now_ms, window_bytes, ping_ms, connection)| {
                let features = connection >> 7;
                Message::Welcome(Welcome {
                    version,
                    features,
                    now_ms,
                    window_bytes,
                    ping_ms,
                    connection,
                })
            }
        ),
        texts().prop_map(|token| Message::Auth(Auth { token })),
        (texts(), numbers())
            .prop_map(|(user, expires_at_ms)| Message::AuthOk(AuthOk { user, expires_at_ms })),
        (numbers(), numbers())
            .prop_map(|(now_ms, round_trip_ms)| Message::Ping(Ping { now_ms, round_trip_ms })),
        numbers().prop_map(|now_ms| Message::Pong(Pong { now_ms })),
    ]
}

fn resumes() -> impl Strategy<Value = Message<'static>> {
    let numbers = || (numbers(), numbers(), numbers(), numbers());
    (1..=u32::MAX, numbers(), numbers()).prop_map(|(client, a, b)| {
        Message::Resume(Resume {
            client,
            client_salt: a.0,
            epoch: a.1,
            cursor: a.2,
            cursor_salt: a.3,
            last_client_seq: b.0,
            chain_hash: b.1,
            oldest_base: b.2,
        })
    })
}

fn items() -> impl Strategy<Value = Item<'static>> {
    prop_oneof![
        (1..=u32::MAX, entries()).prop_map(|(client, entry)| Item::Entry { client, entry }),
        (1..=u64::MAX, numbers()).prop_map(|(client_seq, stamp)| Item::Own { client_seq, stamp }),
    ]
}

fn downloads() -> impl Strategy<Value = Message<'static>> {
    let items = prop::collection::vec(items(), 1..9);
    (items, 0..1_u64 << 40, numbers(), numbers(), numbers()).prop_map(
        |(items, from, salt, horizon, durable_seq)| {
            let head = from + items.len() as u64 + salt % 3;
            let bytes_left = horizon / 2;
            Message::Download(Download {
                from,
                salt,
                head,
                horizon,
                durable_seq,
                bytes_left,
                items,
            })
        },
    )
}

fn snapshot_parts() -> impl Strategy<Value = Message<'static>> {
    let root = any::<[u8; 32]>();
    (1..=u64::MAX, numbers(), 0..1_u64 << 40, entries(), root, 0..2_u64).prop_map(
        |(snapshot, seq, offset, part, root, left)| {
            let total = offset + part.len() as u64 + left;
            let root = (left == 0).then_some(root);
            let (epoch, salt, horizon) = (seq ^ 1, seq ^ 2, seq / 3);
            Message::SnapshotPart(SnapshotPart {
                snapshot,
                epoch,
                seq,
                salt,
                horizon,
                total,
                offset,
                part,
                root,
            })
        },
    )
}

fn session_messages() -> impl Strategy<Value = Message<'static>> {
    prop_oneof![
        (texts(), numbers(), any::<bool>()).prop_map(|(path, schema_hash, wants_identity)| {
            Message::Bind(Bind { path, schema_hash, wants_identity })
        }),
        (1..=u32::MAX, numbers())
            .prop_map(|(client, client_salt)| Message::Identity(Identity { client, client_salt })),
        resumes(),
        (numbers(), numbers(), numbers(), numbers()).prop_map(|(epoch, head, horizon, last)| {
            let (durable_seq, last_client_seq, chain_hash) = (head / 2, last, epoch ^ 5);
            Message::Resumed(Resumed {
                epoch,
                head,
                horizon,
                durable_seq,
                last_client_seq,
                chain_hash,
            })
        }),
        (numbers(), prop::collection::vec(entries(), 1..9))
            .prop_map(|(oldest_base, entries)| Message::Upload(Upload { oldest_base, entries })),
        (numbers(), numbers()).prop_map(|(last_client_seq, durable_seq)| Message::Ack(Ack {
            last_client_seq,
            durable_seq
        })),
        (1..=u64::MAX, codes(), any::<u32>(), texts()).prop_map(
            |(client_seq, code, operation, reason)| {
                Message::Reject(Reject { client_seq, code, operation, reason })
            }
        ),
        downloads(),
        (1..=256_u64 << 20).prop_map(|bytes| Message::Credit(Credit { bytes })),
        numbers().prop_map(|number| Message::Mark(Mark { number })),
        (numbers(), numbers())
            .prop_map(|(snapshot, offset)| Message::SnapshotGet(SnapshotGet { snapshot, offset })),
        snapshot_parts(),
        (numbers(), numbers())
            .prop_map(|(cursor, oldest_base)| Message::Progress(Progress { cursor, oldest_base })),
        Just(Message::Unbind(Empty)),
        Just(Message::Unbound(Empty)),
    ]
}

fn errors() -> impl Strategy<Value = Message<'static>> {
    (codes(), 0..=86_400_000_u64, texts(), texts()).prop_map(
        |(code, retry_after_ms, message, log_reference)| {
            let action = code.action();
            Message::Failed(Failed { code, action, retry_after_ms, message, log_reference })
        },
    )
}

fn frames() -> impl Strategy<Value = Frame<'static>> {
    let extensions = prop_oneof![
        3 => Just(std::collections::BTreeMap::new()),
        1 => prop::collection::btree_map(0..64_u8, texts().prop_map(str::as_bytes), 1..4),
    ];
    let of_session = (1..=u32::MAX, session_messages());
    let message = prop_oneof![
        1 => connection_messages().prop_map(|message| (0, message)),
        3 => of_session,
        1 => (0..3_u32, errors()),
    ];
    (message, extensions).prop_map(|((session, message), extensions)| {
        let extensions = extensions.into_iter();
        let extensions = extensions.map(|(feature, bytes)| Extension { feature, bytes }).collect();
        Frame { session, message, extensions }
    })
}

/// FR1: bytes are an error, or a frame whose encoding without compression is their body.
fn check_bytes(bytes: &[u8]) {
    let Ok(packet) = Packet::open(bytes) else { return };
    let Ok(frame) = packet.frame() else { return };
    let encoded = frame.encode(Compression::Never).expect("a decoded frame");
    if bytes[1] & 1 == 0 {
        assert_eq!(encoded, bytes, "FR1: {frame:?} has another encoding");
    } else {
        let again = Packet::open(&encoded).expect("FR1: its head");
        assert_eq!(again.frame().as_ref(), Ok(&frame), "FR1: {frame:?} has another content");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_frame_decodes_to_itself(frame in frames()) {
        for compression in [Compression::Never, Compression::Auto] {
            let bytes = frame.encode(compression).unwrap();
            let packet = Packet::open(&bytes).unwrap();
            let decoded = packet.frame().unwrap();
            prop_assert_eq!(&decoded, &frame);
        }
    }

    #[test]
    fn changed_bytes_are_an_error_or_a_frame(
        frame in frames(),
        compression in prop::sample::select(&[Compression::Never, Compression::Auto][..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        end in any::<prop::sample::Index>(),
    ) {
        let mut bytes = frame.encode(compression).unwrap();
        for (index, byte) in changes {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        if end.index(4) == 0 {
            bytes.truncate(end.index(bytes.len()));
        }
        check_bytes(&bytes);
    }

    #[test]
    fn any_bytes_are_an_error_or_a_frame(
        code in 0..24_u8,
        rest in prop::collection::vec(prop_oneof![0..16_u8, any::<u8>()], 0..64),
    ) {
        let session = u8::from(![1, 2, 3, 4, 20, 21].contains(&code));
        let mut bytes = vec![code, 0, session];
        bytes.extend(&rest);
        check_bytes(&bytes);
        check_bytes(&rest);
    }
}

#[test]
fn refusals_have_the_codes_of_the_protocol() {
    let code = |bytes: &[u8]| {
        let packet = Packet::open(bytes);
        packet.and_then(|packet| packet.frame().map(|frame| frame.session)).unwrap_err().code()
    };
    assert_eq!(code(&[99, 0, 0]), Code::UNKNOWN_TYPE);
    assert_eq!(code(&[20, 0, 0, 1]), Code::MALFORMED_FRAME);
    assert_eq!(code(&[20, 0, 1, 1, 1]), Code::BAD_SESSION);
    assert_eq!(code(&[13, 0, 1, 0]), Code::LIMIT_EXCEEDED);
    assert_eq!(code(&[20, 1, 0, 0x80, 8, 1]), Code::BAD_COMPRESSION);
    assert_eq!(Code(9999).action(), Action::Stop);
}
