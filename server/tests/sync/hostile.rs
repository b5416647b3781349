//! Peers that break the protocol, over real sockets.

use super::support::{SyncUser, SyncWire, entry};
use crate::login::support::Host;
use fastness_client::SessionEvent;
use fastness_sync::frame::{FRAME_BYTES_MAX, Message, Ping};
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
    let host = Host::with(|config| config.policy.access_ttl = std::time::Duration::from_secs(2));
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
