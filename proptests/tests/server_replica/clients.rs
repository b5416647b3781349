//! Clients that come and return.
//!
//! - SV1 A client resumes exactly if its history and its entries are those of the server.
//! - SV2 No two clients ever get one number.
//! - MR8 A refusal is repeated until the client knows it.
//! - MR9 The horizon never passes what a live client needs.

use super::pair::{OPENING, USER, creation, open, submit};
use fastness::StoreOptions;
use fastness::vfs::MemoryVfs;
use fastness_sync::chain::chain_hash;
use fastness_sync::entry::{
    Anchor, Change, ENTRY_BYTES_MAX, ElementId, Entry, Header, Key, ObjectRef, Operation,
    PropertyType, Scalar, ScalarType, Value, encode,
};
use fastness_sync::server::{
    Access, Answer, ClientIdentity, ClientProgress, ClientState, DownloadRequest, EntryRefusal,
    HistoryItem, RefusalCode, ResumeRefusal, ServerError, ServerReplica, Submission, UploadStop,
};
use std::sync::Arc;

fn replica() -> ServerReplica {
    open(&StoreOptions::new().vfs(Arc::new(MemoryVfs::default()))).1
}

/// Returns the state of a client that has applied everything up to a seq, and wrote `entries`.
fn state<'a>(
    replica: &ServerReplica,
    identity: ClientIdentity,
    cursor: u64,
    entries: &[Vec<u8>],
) -> ClientState<'a> {
    let request = DownloadRequest { client: 0, from: 0, full: 0..=0, bytes_max: 1 << 20 };
    let cursor_salt = (0..cursor).fold(0, |salt, from| {
        let request = DownloadRequest { from, bytes_max: 1, ..request.clone() };
        replica.download(&request).unwrap().map_or(salt, |part| part.salt)
    });
    let chain_hash = entries.iter().fold(identity.salt, |hash, entry| chain_hash(hash, entry));
    let (last_client_seq, oldest_base) = (entries.len() as u64, cursor);
    let epoch = OPENING.epoch;
    let user = USER;
    ClientState {
        identity,
        user,
        epoch,
        cursor,
        cursor_salt,
        last_client_seq,
        chain_hash,
        oldest_base,
    }
}

/// A database with four entries of client 1, and the entries.
fn written() -> (ServerReplica, ClientIdentity, Vec<Vec<u8>>) {
    let replica = replica();
    let identity = replica.identify(USER, 99, 1).unwrap();
    let entries: Vec<Vec<u8>> = (1..=4).map(|seq| creation(seq, seq - 1, seq)).collect();
    let answers = submit(&replica, identity.client, &entries);
    assert!(answers.iter().all(|answer| matches!(answer, Answer::Sequenced { .. })), "{answers:?}");
    (replica, identity, entries)
}

#[test]
fn a_client_with_the_history_of_the_server_resumes() {
    let (replica, identity, entries) = written();
    for cursor in 0..=4 {
        for known in 0..=4 {
            let state = state(&replica, identity, cursor, &entries[..known]);
            let resumed = replica.resume(&state, 2).unwrap().unwrap();
            assert_eq!((resumed.server.head, resumed.last_client_seq), (4, 4), "SV1");
            let hash = entries.iter().fold(identity.salt, |hash, entry| chain_hash(hash, entry));
            assert_eq!(resumed.chain_hash, hash, "SV1");
        }
    }
    let new = ClientState { epoch: 0, ..state(&replica, identity, 0, &entries) };
    assert!(replica.resume(&new, 2).unwrap().is_ok(), "SV1: a client without history");
}

#[test]
fn each_difference_has_its_refusal() {
    let (replica, identity, entries) = written();
    let other = replica.identify("other", 98, 1).unwrap();
    let same = state(&replica, identity, 3, &entries);
    let check = |state: &ClientState<'_>, refusal| {
        let resumed = replica.resume(state, 2).unwrap();
        assert_eq!(resumed.err(), Some(refusal), "SV1: {state:?}");
    };
    let unknown = ClientIdentity { client: 77, ..identity };
    check(&ClientState { identity: unknown, ..same }, ResumeRefusal::UnknownClient);
    check(&ClientState { identity: other, ..same }, ResumeRefusal::UnknownClient);
    let guessed = ClientIdentity { salt: 1, ..identity };
    check(&ClientState { identity: guessed, ..same }, ResumeRefusal::UnknownClient);
    check(&ClientState { epoch: 1, ..same }, ResumeRefusal::Diverged);
    check(&ClientState { epoch: 0, ..same }, ResumeRefusal::Diverged);
    check(&ClientState { cursor: 5, ..same }, ResumeRefusal::CursorAboveHead);
    check(&ClientState { cursor_salt: 1, ..same }, ResumeRefusal::Diverged);
    check(&ClientState { last_client_seq: 5, ..same }, ResumeRefusal::Diverged);
    check(&ClientState { chain_hash: 1, ..same }, ResumeRefusal::Cloned);
    let all = ClientProgress { cursor: 2, oldest_base: 2 };
    for client in [identity, other] {
        replica.progress(client.client, all, 2).unwrap();
    }
    assert_eq!(replica.advance_horizon(2, 10).unwrap(), 2, "MR9");
    while replica.compact(1).unwrap() {}
    check(&ClientState { cursor: 1, ..same }, ResumeRefusal::Expired);
    check(&ClientState { oldest_base: 1, ..same }, ResumeRefusal::Expired);
    assert!(replica.resume(&same, 2).unwrap().is_ok(), "SV1");
}

#[test]
fn the_horizon_waits_for_live_clients() {
    let (replica, identity, _) = written();
    let other = replica.identify(USER, 98, 10).unwrap();
    let progress = |client: ClientIdentity, cursor, oldest_base, now| {
        replica.progress(client.client, ClientProgress { cursor, oldest_base }, now).unwrap();
    };
    assert_eq!(replica.advance_horizon(10, 100).unwrap(), 0, "MR9: the first client needs all");
    progress(identity, 4, 4, 10);
    assert_eq!(replica.advance_horizon(10, 100).unwrap(), 4, "MR9");
    let more: Vec<Vec<u8>> = (5..=9).map(|seq| creation(seq, 4, seq)).collect();
    submit(&replica, identity.client, &more);
    progress(identity, 9, 8, 20);
    assert_eq!(replica.advance_horizon(20, 100).unwrap(), 4, "MR9: the other client is at 4");
    progress(other, 9, 6, 30);
    assert_eq!(replica.advance_horizon(30, 100).unwrap(), 6, "MR9: it has a pending entry");
    progress(other, 3, 3, 30);
    assert_eq!(replica.advance_horizon(130, 100).unwrap(), 6, "MR9: the last moment");
    assert_eq!(replica.advance_horizon(131, 100).unwrap(), 9, "MR9: all have expired");
    let stale = creation(10, 8, 10);
    let answers = submit(&replica, identity.client, &[stale]);
    assert_eq!(answers, [Answer::Stopped(UploadStop::Expired)], "MR9");
}

#[test]
fn own_entries_come_back_as_marks() {
    let (replica, identity, entries) = written();
    let other = replica.identify(USER, 98, 1).unwrap();
    submit(&replica, other.client, &[creation(1, 4, 50)]);
    let request =
        DownloadRequest { client: identity.client, from: 1, full: 3..=3, bytes_max: 1 << 20 };
    let part = replica.download(&request).unwrap().unwrap();
    assert_eq!((part.to, part.bytes_left, part.items.len()), (5, 0, 4));
    assert!(matches!(part.items[0], HistoryItem::Own { client_seq: 2, .. }));
    let HistoryItem::Entry { entry, .. } = &part.items[1] else { panic!("in full") };
    assert!(entry.len() >= entries[2].len(), "in full");
    assert!(matches!(part.items[2], HistoryItem::Own { client_seq: 4, .. }));
    assert!(matches!(part.items[3], HistoryItem::Entry { client, .. } if client == other.client));
    let small = DownloadRequest { bytes_max: 1, ..request };
    let first = replica.download(&small).unwrap().unwrap();
    assert_eq!((first.to, first.items.len()), (2, 1), "one entry is always sent");
    assert!(first.bytes_left > 0);
    let behind = DownloadRequest { from: 6, ..small };
    assert_eq!(replica.download(&behind).unwrap(), Err(ResumeRefusal::CursorAboveHead));
}

/// Checks that an entry is refused, now and when it comes again, and that the next one is not.
#[track_caller]
fn check_refused(replica: &ServerReplica, client: u32, entry: Vec<u8>, refusal: EntryRefusal) {
    for _ in 0..2 {
        let answers = submit(replica, client, std::slice::from_ref(&entry));
        assert_eq!(answers, [Answer::Refused(refusal)], "MR8");
    }
}

#[test]
fn a_refused_entry_uses_up_its_number() {
    let (replica, identity, mut entries) = written();
    let client = identity.client;
    let mut malformed = creation(5, 4, 5);
    malformed.push(0xff);
    let code = RefusalCode::Malformed;
    check_refused(&replica, client, malformed.clone(), EntryRefusal { code, operation: Some(2) });
    let long = longest(6);
    assert_eq!(long.len(), ENTRY_BYTES_MAX);
    let code = RefusalCode::Limit;
    check_refused(&replica, client, long.clone(), EntryRefusal { code, operation: None });
    let next = creation(7, 4, 7);
    let read = Submission { client, access: Access::Read, entries: &[&next], oldest_base: 0 };
    let forbidden = EntryRefusal { code: RefusalCode::Forbidden, operation: None };
    assert_eq!(replica.submit(&read, 9).unwrap(), [Answer::Refused(forbidden)]);
    check_refused(&replica, client, next.clone(), forbidden);
    let last = creation(8, 4, 8);
    let answers = submit(&replica, client, std::slice::from_ref(&last));
    assert!(matches!(answers[..], [Answer::Sequenced { seq: 5, .. }]), "MR8: {answers:?}");
    entries.extend([malformed, long, next.clone(), last]);
    let resumed = replica.resume(&state(&replica, identity, 5, &entries), 9).unwrap();
    assert!(resumed.is_ok(), "SV1: refused entries are in the chain");
    let answers = submit(&replica, client, &[next]);
    assert_eq!(answers, [Answer::Repeated], "MR8: the client knows the refusal");
}

/// An entry as long as possible, whose effective stamp needs more bytes.
fn longest(client_seq: u64) -> Vec<u8> {
    let target = ObjectRef { class: "zero", key: Key::Int(1) };
    let entry = |bytes: &[u8]| {
        let change = Change::Set(Value::Binary(bytes));
        let operations = vec![Operation::Change { target, property: "number", change }];
        encode(&Entry { header: Header { client_seq, base: 4, stamp: 1 }, operations })
    };
    let rest = entry(&[0; 1 << 19]).unwrap().len() - (1 << 19);
    entry(&vec![0; ENTRY_BYTES_MAX - rest]).unwrap()
}

#[test]
fn an_upload_without_header_stops() {
    let (replica, identity, _) = written();
    let answers = submit(&replica, identity.client, &[vec![9], creation(5, 4, 5)]);
    assert!(matches!(answers[..], [Answer::Stopped(UploadStop::Header(_))]), "{answers:?}");
}

/// An entry that creates an object with a list, and inserts an element.
fn insertion(client_seq: u64, element: ElementId) -> Vec<u8> {
    let int = Scalar { kind: ScalarType::Int, nullable: true };
    let target = ObjectRef { class: "zero", key: Key::Int(1) };
    let (class, property, kind) = ("zero", "list", PropertyType::List(int));
    let (anchor, value) = (Anchor::Head, Value::Int(1));
    let change = Change::ListInsert { element, anchor, value };
    let operations = vec![
        Operation::AddProperty { class, property, kind },
        Operation::Create(target),
        Operation::Change { target, property, change },
    ];
    encode(&Entry { header: Header { client_seq, base: 4, stamp: 1 }, operations }).unwrap()
}

#[test]
fn generated_keys_of_other_users_are_refused() {
    let (replica, identity, _) = written();
    let other = replica.identify("other", 98, 1).unwrap();
    let later = replica.identify(USER, 97, 1).unwrap();
    let create = |author| {
        let key = Key::Generated(ElementId { author, number: 9 });
        let operations = vec![Operation::Create(ObjectRef { class: "zero", key })];
        encode(&Entry { header: Header { client_seq: 1, base: 4, stamp: 1 }, operations }).unwrap()
    };
    let refusal = EntryRefusal { code: RefusalCode::Element, operation: Some(0) };
    check_refused(&replica, other.client, create(identity.client), refusal);
    let answers = submit(&replica, later.client, &[create(identity.client)]);
    assert!(matches!(answers[..], [Answer::Sequenced { .. }]), "MR8: {answers:?}");
}

#[test]
fn elements_of_other_users_are_refused() {
    let (replica, identity, _) = written();
    let other = replica.identify("other", 98, 1).unwrap();
    let later = replica.identify(USER, 97, 1).unwrap();
    let element = |author, number| ElementId { author, number };
    let refusal = EntryRefusal { code: RefusalCode::Element, operation: Some(2) };
    let of_other = insertion(1, element(identity.client, u64::MAX));
    check_refused(&replica, other.client, of_other, refusal);
    // No client gets a number that a lost history gave out (SV2).
    let of_lost = insertion(2, element(later.client + 1, 1));
    let answers = submit(&replica, other.client, &[of_lost]);
    assert!(matches!(answers[..], [Answer::Sequenced { .. }]), "MR8: {answers:?}");
    let next = replica.identify(USER, 95, 1).unwrap();
    assert_eq!(next.client, later.client + 2, "SV2");
    // A client reset of the same user keeps the ids.
    let earlier = insertion(1, element(identity.client, 7));
    let answers = submit(&replica, later.client, &[earlier]);
    assert!(matches!(answers[..], [Answer::Sequenced { .. }]), "MR8: {answers:?}");
    check_refused(&replica, identity.client, insertion(5, element(0, 7)), refusal);
    replica.begin_epoch(5).unwrap();
    let lost = next.client + 1;
    let fresh = replica.identify(USER, 96, 1).unwrap();
    assert!(fresh.client > lost, "SV2");
    let answers = submit(&replica, fresh.client, &[insertion(1, element(lost, 3))]);
    assert!(matches!(answers[..], [Answer::Sequenced { .. }]), "MR8: {answers:?}");
    let stale =
        Submission { client: later.client, access: Access::Write, entries: &[], oldest_base: 0 };
    let answers = replica.submit(&stale, 1);
    assert!(matches!(answers, Err(ServerError::UnknownClient(_))), "SV1: of an earlier epoch");
}
