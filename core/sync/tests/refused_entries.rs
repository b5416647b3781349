//! Refused entries that a server keeps, and their retries.
//!
//! - SV6 The newest refused entries are kept in bounded space.
//! - SV7 A retry passes the checks of every entry, or changes nothing.

use fastness::StoreOptions;
use fastness::vfs::MemoryVfs;
use fastness_sync::entry::{
    Anchor, Change, ElementId, Entry, Header, Key, ObjectRef, Operation, PropertyType, Scalar,
    ScalarType, Value, decode, encode,
};
use fastness_sync::server::{
    Access, Answer, DownloadRequest, HistoryItem, Opening, REFUSED_BYTES_MAX, REFUSED_MAX,
    RefusalCode, Retry, ServerError, ServerReplica, Submission,
};
use std::sync::Arc;

const NOW: u64 = 1_000_000;

struct RefusingServer {
    replica: ServerReplica,
    client: u32,
}

impl RefusingServer {
    fn new() -> Self {
        let options = StoreOptions::new().vfs(Arc::new(MemoryVfs::default()));
        let opening = Opening { database: [1; 16], epoch: 1 };
        let replica = ServerReplica::open(options.create("/server").unwrap(), &opening).unwrap();
        let client = replica.identify("alice", 8, NOW).unwrap().client;
        Self { replica, client }
    }

    fn submit(&self, access: Access, entry: &[u8]) -> Answer {
        let (client, oldest_base) = (self.client, 0);
        let submission = Submission { client, access, entries: &[entry], oldest_base };
        self.replica.submit(&submission, NOW).unwrap()[0]
    }

    fn retry(&self, number: u64) -> Result<Answer, ServerError> {
        self.replica.retry(&Retry { number, salt: 77, now: NOW })
    }

    /// Returns the author and the operations of an entry of the history.
    fn entry(&self, seq: u64) -> (u32, Vec<u8>) {
        let (from, bytes_max) = (seq - 1, 1);
        #[expect(clippy::reversed_empty_ranges, reason = "no number is within")]
        let full = 1..=0;
        let request = DownloadRequest { client: 0, from, full, bytes_max };
        let part = self.replica.download(&request).unwrap().unwrap();
        let HistoryItem::Entry { client, entry } = &part.items[0] else { panic!() };
        (*client, entry.clone())
    }
}

const fn id(author: u32, number: u64) -> ElementId {
    ElementId { author, number }
}

const fn item(author: u32) -> ObjectRef<'static> {
    ObjectRef { class: "Item", key: Key::Generated(id(author, 1)) }
}

fn change(author: u32, change: Change<'_>) -> Operation<'_> {
    Operation::Change { target: item(author), property: "lines", change }
}

fn encoded(client_seq: u64, operations: Vec<Operation<'_>>) -> Vec<u8> {
    let header = Header { client_seq, base: 0, stamp: 5 };
    encode(&Entry { header, operations }).unwrap()
}

/// An entry that creates an object with a list.
fn created(client_seq: u64) -> Vec<u8> {
    let kind = PropertyType::List(Scalar { kind: ScalarType::String, nullable: true });
    encoded(
        client_seq,
        vec![
            Operation::AddClass { class: "Item", primary_key: None },
            Operation::AddProperty { class: "Item", property: "lines", kind },
            Operation::Create(item(0)),
        ],
    )
}

fn insert(author: u32, number: u64, anchor: Anchor) -> Change<'static> {
    Change::ListInsert { element: id(author, number), anchor, value: Value::String("x") }
}

#[test]
fn a_retry_gives_an_entry_of_a_reader_a_seq_once() {
    let server = RefusingServer::new();
    let refused = server.submit(Access::Read, &created(1));
    assert!(matches!(refused, Answer::Refused(it) if it.code == RefusalCode::Forbidden));
    let kept = server.replica.refused_entries().unwrap();
    let [kept] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!((kept.user.as_str(), kept.client_seq, kept.at), ("alice", 1, NOW), "SV6");
    assert!(kept.is_pending && kept.entry == created(1), "SV6");
    assert_eq!(server.retry(kept.number).unwrap(), Answer::Sequenced { seq: 1, stamp: 5 }, "SV7");
    assert!(matches!(server.retry(kept.number), Err(ServerError::NotKept(1))), "SV7");
    assert!(server.replica.refused_entries().unwrap().is_empty(), "SV7");
    let (author, entry) = server.entry(1);
    assert_ne!(author, server.client, "SV7");
    let operations = decode(&entry).unwrap().operations;
    assert_eq!(operations[2], Operation::Create(item(server.client)), "the object keeps its id");
    // The client goes on as if its entry had been refused only.
    let next = encoded(2, vec![change(0, insert(0, 1, Anchor::Head))]);
    assert_eq!(server.submit(Access::Write, &next), Answer::Sequenced { seq: 2, stamp: 5 });
}

#[test]
fn inserted_elements_become_those_of_the_new_client() {
    let server = RefusingServer::new();
    assert!(matches!(server.submit(Access::Write, &created(1)), Answer::Sequenced { .. }));
    let other = Anchor::After(id(0, 1));
    let first = encoded(2, vec![change(0, insert(0, 1, Anchor::Head))]);
    assert!(matches!(server.submit(Access::Write, &first), Answer::Sequenced { .. }));
    let refused = encoded(
        3,
        vec![
            change(0, insert(0, 2, other)),
            change(0, insert(0, 3, Anchor::Before(id(0, 2)))),
            change(0, Change::ListSet { element: id(0, 2), value: Value::Null }),
        ],
    );
    assert!(matches!(server.submit(Access::Read, &refused), Answer::Refused(_)));
    let later = encoded(4, vec![change(0, insert(0, 9, Anchor::Head))]);
    assert!(matches!(server.submit(Access::Write, &later), Answer::Sequenced { .. }));
    assert!(matches!(server.retry(1).unwrap(), Answer::Sequenced { seq: 4, .. }), "SV7");
    let (_, entry) = server.entry(4);
    let client = server.client;
    let expected = [
        change(client, insert(0, 2, Anchor::After(id(client, 1)))),
        change(client, insert(0, 3, Anchor::Before(id(0, 2)))),
        change(client, Change::ListSet { element: id(0, 2), value: Value::Null }),
    ];
    assert_eq!(decode(&entry).unwrap().operations, expected, "SV7");
}

#[test]
fn a_retry_that_is_refused_changes_nothing() {
    let server = RefusingServer::new();
    assert!(matches!(server.submit(Access::Write, &created(1)), Answer::Sequenced { .. }));
    let kind = PropertyType::Counter;
    let conflict =
        encoded(2, vec![Operation::AddProperty { class: "Item", property: "lines", kind }]);
    let mut malformed = created(3);
    malformed.push(0xff);
    for (entry, code) in [(conflict, RefusalCode::Schema), (malformed, RefusalCode::Malformed)] {
        let before = server.replica.clients(10).unwrap();
        assert!(matches!(server.submit(Access::Write, &entry), Answer::Refused(_)));
        let kept = server.replica.refused_entries().unwrap();
        let number = kept.last().unwrap().number;
        let answer = server.retry(number).unwrap();
        assert!(matches!(answer, Answer::Refused(it) if it.code == code), "SV7: {answer:?}");
        assert_eq!(server.replica.refused_entries().unwrap(), kept, "SV7");
        assert_eq!(server.replica.status().unwrap().head, 1, "SV7");
        assert_eq!(server.replica.clients(10).unwrap().len(), before.len(), "SV7");
    }
}

#[test]
fn a_base_that_the_horizon_has_passed_becomes_the_horizon() {
    let server = RefusingServer::new();
    assert!(matches!(server.submit(Access::Read, &created(1)), Answer::Refused(_)));
    assert!(matches!(server.submit(Access::Write, &created(2)), Answer::Sequenced { .. }));
    server.replica.expire(server.client).unwrap();
    assert_eq!(server.replica.advance_horizon(NOW, 0).unwrap(), 1);
    while server.replica.compact(10).unwrap() {}
    assert!(matches!(server.retry(1).unwrap(), Answer::Sequenced { seq: 2, .. }), "SV7");
    assert_eq!(decode(&server.entry(2).1).unwrap().header.base, 1, "SV7");
    assert_eq!(server.replica.advance_horizon(NOW, 0).unwrap(), 2, "SV7: it holds back nothing");
}

#[test]
fn the_newest_refused_entries_are_kept_and_long_ones_without_bytes() {
    let server = RefusingServer::new();
    let count = REFUSED_MAX as u64 + 3;
    for client_seq in 1..=count {
        assert!(matches!(server.submit(Access::Read, &created(client_seq)), Answer::Refused(_)));
    }
    let numbers = |server: &RefusingServer| -> Vec<u64> {
        server.replica.refused_entries().unwrap().iter().map(|kept| kept.number).collect()
    };
    assert_eq!(numbers(&server), (4..=count).collect::<Vec<_>>(), "SV6");
    server.replica.discard_refused(5).unwrap();
    assert!(matches!(server.replica.discard_refused(5), Err(ServerError::NotKept(5))), "SV6");
    assert_eq!(numbers(&server).len(), REFUSED_MAX - 1, "SV6");
    let text = "x".repeat(REFUSED_BYTES_MAX);
    let value = Change::ListSet { element: id(0, 1), value: Value::String(&text) };
    let long = encoded(count + 1, vec![change(0, value)]);
    assert!(matches!(server.submit(Access::Read, &long), Answer::Refused(_)));
    let kept = server.replica.refused_entries().unwrap().pop().unwrap();
    assert!(kept.entry.is_empty(), "SV6");
    assert!(matches!(server.retry(kept.number), Err(ServerError::NotKept(_))), "SV7");
}
