//! Peers that break the protocol, over real sockets.

use super::support::{SyncUser, SyncWire, entry};
use crate::login::support::{FOREVER, Host};
use fastness_client::SessionEvent;
use fastness_server::{SyncReply, SyncRequest};
use fastness_sync::frame::{Credit, Empty, FRAME_BYTES_MAX, Message, Ping, Resume};
use std::io::Write as _;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message as WebSocketMessage;

#[test]
fn the_handshake_takes_this_protocol_only() {
    let host = Host::new();
    let refused = |address, protocol| SyncWire::try_connect(&host, address, protocol).err();
    assert_eq!(refused("/sync", "fastness.2").unwrap(), 400);
    assert_eq!(refused("/sync/", "fastness.1").unwrap(), 404);
    assert!(refused("/sync?x=1", "mqtt, fastness.1").is_none());
}

#[test]
fn frames_out_of_order_end_the_connection() {
    let host = Host::new();
    let user = SyncUser::register(&host, "alice");
    let mut wire = SyncWire::connect(&host);
    wire.bind(1, "/~/notes", true);
    assert_eq!(wire.rest(), ["ERROR 109 of 0"]);
    let mut wire = user.connect(&host);
    wire.hello();
    assert_eq!(wire.rest(), ["ERROR 109 of 0"]);
    let mut wire = user.connect(&host);
    wire.bind(2, "/~/notes", true);
    assert_eq!(wire.line(), "IDENT 1");
    wire.bind(1, "/~/notes", true);
    assert_eq!(wire.rest(), ["ERROR 107 of 0"]);
    // A frame that a session has no use for ends the session only.
    let mut wire = user.connect(&host);
    wire.bind(1, "/~/notes", true);
    wire.upload(1, &[entry(1, "a")]);
    assert_eq!(wire.line(), "IDENT 2");
    assert_eq!(wire.line(), "ERROR 109 of 1");
    wire.send(0, Message::Ping(Ping { now_ms: 5, round_trip_ms: 0 }));
    assert_eq!(wire.line(), "PONG 5");
}

#[test]
fn malformed_and_oversized_messages_end_the_connection() {
    let host = Host::new();
    let user = SyncUser::register(&host, "alice");
    let ended = |bytes: Vec<u8>| {
        let mut wire = user.connect(&host);
        wire.try_send_bytes(bytes);
        wire.rest()
    };
    assert_eq!(ended(vec![0xff, 0, 0]), ["ERROR 102 of 0"]);
    assert_eq!(ended(vec![20, 0, 0]), ["ERROR 103 of 0"], "a PING that ends too early");
    // A compressed body that says it has 2 GiB.
    assert_eq!(ended(vec![9, 1, 1, 0x80, 0x80, 0x80, 0x80, 8, 1]), ["ERROR 104 of 0"], "FR3");
    assert_eq!(ended(vec![0; FRAME_BYTES_MAX + 1]), ["ERROR 104 of 0"], "H25");
    let mut wire = user.connect(&host);
    wire.socket.send(WebSocketMessage::Text("hello".into())).unwrap();
    assert_eq!(wire.rest(), ["ERROR 103 of 0"]);
}

#[test]
fn a_stranger_sends_a_few_bytes_only() {
    let host = Host::new();
    let mut wire = SyncWire::connect(&host);
    wire.greet();
    for _ in 0..4000 {
        let ping = Ping { now_ms: 1 << 40, round_trip_ms: 0 };
        wire.try_send(0, Message::Ping(ping));
    }
    assert!(wire.rest().iter().any(|line| line == "ERROR 104 of 0"), "H25");
}

#[test]
fn a_token_that_expires_in_mid_stream_ends_the_connection() {
    let host = Host::with(|config| config.policy.access_ttl = Duration::from_secs(2));
    let user = SyncUser::register(&host, "alice");
    let session = user.client.session(&user.user.id(), "/~/notes");
    let Some(SessionEvent::Token(token)) = session.recv() else { panic!("no token") };
    let user = SyncUser { token: token.value.expose().to_owned(), ..user };
    let mut wire = user.connect(&host);
    wire.begin(1, "/~/notes");
    assert_eq!(wire.rest(), ["RESUMED head 0 last 0", "ERROR 202 of 0"]);
    let mut wire = SyncWire::connect(&host);
    wire.greet();
    assert_eq!(wire.authenticate(&user.token), "ERROR 202 of 0");
}

#[test]
fn the_identity_of_another_client_is_refused() {
    let host = Host::new();
    let (alice, admin) = (SyncUser::register(&host, "alice"), SyncUser::admin(&host));
    let path = format!("/{}/notes", alice.identity());
    let client = alice.connect(&host).begin(1, &path);
    let resume = |user: &SyncUser, state: Resume| {
        let mut wire = user.connect(&host);
        wire.bind(1, &path, false);
        wire.send(1, Message::Resume(state));
        wire.line()
    };
    assert_eq!(resume(&admin, client.state()), "ERROR 208 of 1", "SV1: of another user");
    let salt = Resume { client_salt: 1, ..client.state() };
    assert_eq!(resume(&alice, salt), "ERROR 208 of 1", "SV1: without its salt");
    let number = Resume { client: 77, ..client.state() };
    assert_eq!(resume(&alice, number), "ERROR 208 of 1", "SV1: that does not exist");
    assert_eq!(resume(&alice, client.state()), "RESUMED head 0 last 0");
}

#[test]
fn a_silent_connection_ends_also_in_the_middle_of_a_message() {
    let host = Host::with(|config| config.sync.ping_interval = Duration::from_secs(1));
    let user = SyncUser::register(&host, "alice");
    let (mut silent, mut cut) = (user.connect(&host), user.connect(&host));
    // The head of a message of 4 KiB, and a part of it.
    cut.socket.get_mut().write_all(&[0x82, 0xfe, 0x10, 0x00, 0, 0, 0, 0, 20, 0]).unwrap();
    assert_eq!(silent.rest(), ["ERROR 101 of 0"]);
    assert_eq!(cut.rest(), ["ERROR 101 of 0"], "H25");
}

#[test]
fn a_connection_has_a_bounded_number_of_sessions() {
    let host = Host::new();
    let user = SyncUser::register(&host, "alice");
    let mut wire = user.connect(&host);
    for session in 1..=64 {
        wire.bind(session, "/~/notes", true);
        assert_eq!(wire.line(), format!("IDENT {session}"));
    }
    wire.bind(65, "/~/notes", true);
    assert_eq!(wire.line(), "ERROR 224 of 65");
    wire.send(3, Message::Unbind(Empty));
    assert_eq!(wire.line(), "UNBOUND");
    // The place is free once the server has seen the end of the session.
    let mut session = 66;
    host.retry(|| {
        wire.bind(session, "/~/notes", true);
        session += 1;
        wire.line().starts_with("IDENT").then_some(())
    });
}

/// Text that does not compress well.
fn noise(seed: u64) -> String {
    let mut state = seed;
    let letters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b' ' + u8::try_from((state >> 33) % 90).unwrap())
    });
    letters.take(900_000).collect()
}

#[test]
fn a_client_that_does_not_read_holds_a_bounded_number_of_bytes() {
    const BYTES: usize = 64 << 10;
    let host = Host::with(|config| {
        config.sync.connection_bytes = BYTES;
        config.http.write_timeout = FOREVER;
    });
    let user = SyncUser::register(&host, "alice");
    let (mut slow, mut fast) = (user.connect(&host), user.connect(&host));
    // Otherwise the system of this side takes megabytes.
    socket2::SockRef::from(slow.socket.get_ref()).set_recv_buffer_size(64 << 10).unwrap();
    slow.begin(1, "/~/notes");
    assert_eq!(slow.line(), "RESUMED head 0 last 0");
    slow.send(1, Message::Credit(Credit { bytes: 64 << 20 }));
    fast.begin(1, "/~/notes");
    assert_eq!(fast.line(), "RESUMED head 0 last 0");
    let count = 16;
    for number in 1..=count {
        fast.upload(1, &[entry(number, &noise(number))]);
        while fast.line() != format!("ACK {number}") {}
    }
    let SyncReply::Report(status) = host.operate(&SyncRequest::Status) else { panic!("refused") };
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    for connection in status["connections"].as_array().unwrap() {
        // A frame is read while the limit is not reached, so one may exceed it.
        let waiting = connection["bytes_waiting"].as_u64().unwrap();
        assert!(waiting < (BYTES + (1 << 20)) as u64, "H25: {waiting}");
    }
    let end = format!("to {count}, ");
    host.retry(|| slow.line().contains(&end).then_some(()));
}
