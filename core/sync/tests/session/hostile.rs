//! A server that breaks the protocol, or breaks off, again and again: the machines of a client.

use super::machines::{Connection, RESUMED, STATE, Session, accepted, encode, failed, welcome};
use fastness_sync::frame::{Ack, Code, Message, Reject, SnapshotPart};
use fastness_sync::session::{ClientConnectionInput, ClientInput, ClientOutput, FileState};

/// Connects at the deadline, up to the acceptance of the token; returns the time.
fn connect(client: &mut Connection) -> u64 {
    let now = client.0.deadline().unwrap();
    assert_eq!(client.handle(now, ClientConnectionInput::Tick), ["Connect"]);
    assert_eq!(client.handle(now, ClientConnectionInput::Connected), ["Send 1"]);
    assert_eq!(client.receive(now, welcome()), ["Send 3"]);
    assert_eq!(client.receive(now, accepted(now + 600_000)), ["Online"]);
    now
}

#[test]
fn a_server_that_breaks_off_after_each_token_is_called_less_and_less() {
    let mut client = Connection::online();
    let mut now = 1000;
    for attempt in 0..8 {
        client.handle(now, ClientConnectionInput::Disconnected);
        let full = 1000 << attempt;
        let delay = client.0.deadline().unwrap() - now;
        assert!((full * 3 / 4..=full).contains(&delay), "FR8: {attempt}: {delay}");
        now = connect(&mut client);
    }
    // An acknowledgement is a success, and so is a minute.
    let ack = encode(1, Message::Ack(Ack { last_client_seq: 1, durable_seq: 0 }));
    client.handle(now, ClientConnectionInput::Received(&ack));
    client.handle(now, ClientConnectionInput::Disconnected);
    assert!(client.0.deadline().unwrap() <= now + 1000, "FR8");
    now = connect(&mut client);
    client.handle(now + 60_000, ClientConnectionInput::Disconnected);
    assert!(client.0.deadline().unwrap() <= now + 61_000, "FR8");
}

#[test]
fn one_reset_after_another_begins_later_and_later() {
    let mut session = Session::live();
    let (mut now, mut delays) = (1000, Vec::new());
    for number in 1..8 {
        assert_eq!(session.receive(now, failed(Code::DIVERGED, 0)), ["Reset 211"]);
        let fetch = ClientInput::FetchSnapshot { snapshot: 0, offset: 0 };
        assert_eq!(session.names(now, fetch), ["WantNumber"]);
        session.resume(now, 3 * number, STATE);
        assert_eq!(session.receive(now, super::machines::snapshot()), ["Snapshot"]);
        let outputs = session.names(now, ClientInput::Recovered);
        if outputs.last().is_none_or(|output| output != "WantNumber") {
            let next = session.0.deadline().unwrap();
            delays.push(next - now);
            now = next;
            assert_eq!(session.names(now, ClientInput::Tick), ["WantNumber"]);
        }
        session.resume(now, 3 * number + 1, FileState { epoch: 5, ..STATE });
        session.receive(now, Message::Resumed(RESUMED));
    }
    assert_eq!(delays.len(), 6, "FR8: only the first binding after a reset is at once");
    assert!(delays.is_sorted() && delays.last() > Some(&20_000), "FR8: {delays:?}");
}

#[test]
fn a_refusal_of_an_entry_that_was_never_sent_ends_the_session() {
    let mut session = Session::live();
    session.names(2000, ClientInput::LocalEntries { durable_client_seq: 9 });
    let reject = |client_seq| {
        Message::Reject(Reject { client_seq, code: Code::BAD_ENTRY, operation: 0, reason: "" })
    };
    assert_eq!(session.receive(2000, reject(5)), ["Report", "Send 18"], "SY4");
}

#[test]
fn an_app_shortens_the_wait_after_an_error() {
    let mut session = Session::live();
    assert!(session.names(1000, ClientInput::Reconnect).is_empty(), "nothing waits");
    assert_eq!(session.receive(1000, failed(Code(205), 0)), ["Report"]);
    assert!(session.0.deadline() > Some(200_000));
    assert_eq!(session.names(2000, ClientInput::Reconnect), ["WantNumber"], "CS1");
    session.names(2000, ClientInput::Offline);
    assert!(session.names(2000, ClientInput::Reconnect).is_empty(), "there is no connection");
}

#[test]
fn a_part_of_a_snapshot_without_bytes_ends_the_session() {
    let mut session = Session::live();
    assert_eq!(session.receive(1000, failed(Code::DIVERGED, 0)), ["Reset 211"]);
    let fetch = ClientInput::FetchSnapshot { snapshot: 0, offset: 0 };
    assert_eq!(session.names(1000, fetch), ["WantNumber"]);
    session.resume(1000, 2, STATE);
    let Message::SnapshotPart(part) = super::machines::snapshot() else { panic!("no part") };
    let empty = SnapshotPart { total: 9, offset: 0, part: &[], root: None, ..part };
    let outputs = session.receive(1000, Message::SnapshotPart(empty));
    assert_eq!(outputs, ["Report", "Send 18"], "FR5");
}

/// REJECTs name entries that are sent and not answered, in order, and are taken with their answer.
#[test]
fn refusals_come_in_order_and_once() {
    let reject = |client_seq| {
        Message::Reject(Reject { client_seq, code: Code::BAD_ENTRY, operation: 0, reason: "" })
    };
    let live = || {
        let mut session = Session::live();
        session.names(1000, ClientInput::Offline);
        session.names(1000, ClientInput::Online { window_bytes: 1 << 20 });
        session.resume(1000, 2, FileState { durable_client_seq: 9, ..STATE });
        session
    };
    let last = RESUMED.last_client_seq;
    // Before RESUMED: those that it answers.
    let mut session = live();
    assert_eq!(session.receive(2000, reject(STATE.last_client_seq)), ["Report", "Send 18"]);
    let mut session = live();
    assert!(session.receive(2000, reject(10)).is_empty(), "a copy of the file wrote it");
    assert!(session.receive(2000, reject(last + 1)).is_empty());
    assert_eq!(session.receive(2000, reject(last + 1)), ["Report", "Send 18"], "once");
    // Afterwards: those of entries that are sent.
    let mut session = live();
    session.receive(2000, Message::Resumed(RESUMED));
    assert_eq!(session.receive(2000, reject(last)), ["Report", "Send 18"], "it has an answer");
}

#[test]
fn the_client_bounds_the_entries_that_wait_for_an_acknowledgement() {
    let mut session = Session::live();
    session.names(1000, ClientInput::Offline);
    session.names(1000, ClientInput::Online { window_bytes: 256 << 20 });
    session.resume(1000, 2, FileState { durable_client_seq: 1000, ..STATE });
    let bytes = encode(2, Message::Resumed(RESUMED));
    let packet = fastness_sync::frame::Packet::open(&bytes).unwrap();
    let mut outputs: Vec<_> =
        session.handle(2000, ClientInput::Received(&packet)).into_iter().map(read).collect();
    let entry = vec![b'e'; 1 << 20];
    let mut sent = 0;
    while let Some(ticket) = outputs.iter().find_map(|read| *read) {
        sent += 1;
        let input = ClientInput::Pending { ticket, oldest_base: 10, entries: vec![&entry] };
        outputs = session.handle(2000, input).into_iter().map(read).collect();
    }
    assert_eq!(sent, 16, "FR4: MiB that the server may let wait");
}

fn read(output: ClientOutput<'_>) -> Option<u64> {
    if let ClientOutput::ReadPending { ticket, .. } = output { Some(ticket) } else { None }
}
