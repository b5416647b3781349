//! The cost of draining many pending entries, by counts of calls and bytes.
//!
//! - SY21 The acknowledgement of an own entry that keeps its stamp costs as much however many are
//!   pending.
//! - SY24 Answers cost as much however many entries were refused before.

use super::histories::{Client, Server};
use fastness_sync::chain::chain_hash;
use fastness_sync::client::{FileEvent, Refusal, SessionFile};
use fastness_sync::frame::Code;
use fastness_sync::session::{ClientInput, ClientOutput, RejectedEntry};
use fastness_testkit::Counting;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Own entries in one download.
const AT_ONCE: usize = 1000;

/// Bytes of the names in refused entries, which do not fit into memory.
const NAME_BYTES: usize = 1400;

/// Makes a client whose entries do not fit into memory.
fn client(vfs: &Counting) -> Client {
    let store = vfs.options().cache_bytes(1 << 20).create("store").unwrap();
    let client = Client::of_file(store, Arc::new(AtomicU64::new(1000)));
    client.replica.identify(1, 7).unwrap();
    client
}

/// Writes an entry for each of some objects, with a name of so many bytes.
fn write(client: &Client, keys: Range<u32>, bytes: usize) {
    let name = "offline".repeat(bytes / 7);
    for key in keys {
        let mut txn = client.replica.database().write().unwrap();
        let (node, _) = txn.get_or_create("Node", i64::from(key)).unwrap();
        txn.set(&node, "name", &*name).unwrap();
        txn.commit().unwrap();
    }
}

/// Acknowledges pending entries of different objects; returns the bytes written for each, and the
/// pages read for a hundred.
fn drain(count: u32) -> [u64; 2] {
    let vfs = Counting::default();
    let client = client(&vfs);
    write(&client, 0..count, 7);
    let mut server = Server::new();
    let pending = client.replica.upload_after(0, usize::MAX).unwrap().entries;
    assert!(pending.len() >= usize::try_from(count).unwrap());
    pending.iter().for_each(|(_, entry)| server.submit(1, entry));
    let (mut written, mut read) = (0, 0);
    while client.replica.first_pending().unwrap().is_some() {
        read += vfs.pages_of(|| {
            let [_, _, bytes, _] = vfs.of(|| {
                server.with_download(1, (&client, AT_ONCE), |download| {
                    client.replica.download(download).unwrap();
                });
            });
            written += bytes;
        });
    }
    [written / u64::from(count), read / u64::from(count / 100)]
}

#[test]
fn an_acknowledgement_costs_as_much_however_many_entries_are_pending() {
    let [few, many] = [3000, 12_000].map(drain);
    assert!(many[0] <= few[0] * 3 / 2, "SY21: {many:?} after {few:?}");
    assert!(many[1] <= few[1] * 2 + 100, "SY21: {many:?} after {few:?}");
}

/// Refuses pending entries of different objects, and acknowledges as many later ones. Returns the
/// bytes written for a refusal, the pages read by the first acknowledgement afterwards, as after a
/// resume, and those by a hundred of the others.
fn refuse(count: u32) -> [u64; 3] {
    let vfs = Counting::default();
    let client = client(&vfs);
    let (replica, refusal) = (&client.replica, Refusal { code: 231, operation: None });
    // The class is in the history.
    let mut server = Server::new();
    let classes = replica.upload_after(0, usize::MAX).unwrap().entries;
    classes.iter().for_each(|(_, entry)| server.submit(1, entry));
    server.download(1, &client, AT_ONCE);
    let first = replica.meta().unwrap().answered + 1;
    write(&client, 0..count, NAME_BYTES);
    let numbers = first..first + u64::from(count);
    let [_, _, written, _] = vfs.of(|| {
        numbers.for_each(|number| assert!(replica.refuse(number, refusal).unwrap()));
    });
    let all = replica.dead_letters().unwrap();
    assert_eq!(all.len(), count as usize);
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let letters = replica.dead_letters_after(after, 8 * NAME_BYTES).unwrap();
        assert!(letters.len() < 8, "so many bytes at a time");
        let Some(last) = letters.last() else { break };
        after = Some((last.client, last.client_seq));
        paged.extend(letters);
    }
    assert_eq!(paged, all);
    write(&client, count..2 * count, NAME_BYTES);
    let mut file = SessionFile::new(replica.clone());
    let mut hash = replica.meta().unwrap().chain_hash;
    let entries = replica.upload_after(0, usize::MAX).unwrap().entries;
    let mut pages = entries.iter().map(|(number, entry)| {
        hash = chain_hash(hash, entry);
        let (last_client_seq, chain_hash) = (*number, Some(hash));
        let (durable_seq, refused) = (0, Vec::new());
        let output =
            ClientOutput::Acknowledge { last_client_seq, durable_seq, chain_hash, refused };
        vfs.pages_of(|| {
            let answer = &mut |input: ClientInput<'_>| panic!("SV1: {input:?}");
            assert!(file.perform(output, answer).unwrap().is_none());
        })
    });
    let first = pages.next().unwrap();
    [written / u64::from(count), first, pages.sum::<u64>() * 100 / u64::from(count)]
}

/// Refuses pending entries of one object, by one answer; returns the pages read for each.
fn refuse_of_one_object(count: u32) -> u64 {
    let vfs = Counting::default();
    let client = client(&vfs);
    let replica = &client.replica;
    // The class is in the history.
    let mut server = Server::new();
    let classes = replica.upload_after(0, usize::MAX).unwrap().entries;
    classes.iter().for_each(|(_, entry)| server.submit(1, entry));
    server.download(1, &client, AT_ONCE);
    let first = replica.meta().unwrap().answered + 1;
    for number in 0..count {
        let mut txn = replica.database().write().unwrap();
        let (node, _) = txn.get_or_create("Node", 1).unwrap();
        txn.set(&node, "name", &*format!("{number:01400}")).unwrap();
        txn.commit().unwrap();
    }
    let last_client_seq = replica.meta().unwrap().last_client_seq;
    let entry = |client_seq| RejectedEntry { client_seq, code: Code(231), operation: None };
    let refused: Vec<RejectedEntry> = (first..=last_client_seq).map(entry).collect();
    assert_eq!(refused.len(), count as usize);
    let (durable_seq, chain_hash) = (0, None);
    let output = ClientOutput::Acknowledge { last_client_seq, durable_seq, chain_hash, refused };
    let mut file = SessionFile::new(replica.clone());
    let pages = vfs.pages_of(|| {
        let answer = &mut |input: ClientInput<'_>| panic!("SV1: {input:?}");
        let event = file.perform(output, answer).unwrap();
        let Some(FileEvent::Refused(named)) = event else { panic!("SY23: {event:?}") };
        assert_eq!(named.len(), count as usize, "SY23");
    });
    assert_eq!(replica.first_pending(), Ok(None));
    pages / u64::from(count)
}

#[test]
fn refusals_of_one_answer_undo_pending_entries_once() {
    let pages = [300, 1200].map(refuse_of_one_object);
    assert!(pages.iter().all(|pages| *pages < 10), "SY24: {pages:?} for each");
}

#[test]
fn answers_cost_as_much_however_many_entries_were_refused() {
    let [few, many] = [300, 1200].map(refuse);
    assert!(many[0] <= few[0] * 3 / 2, "SY24: {many:?} after {few:?}");
    assert!(many[1] <= few[1] + 20, "SY24: {many:?} after {few:?}");
    assert!(many[2] <= few[2] * 2 + 100, "SY24: {many:?} after {few:?}");
}
