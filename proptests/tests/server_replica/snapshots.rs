//! Snapshots for new clients.
//!
//! - SV3 The bytes of a snapshot depend on the state and the answers to entries alone, however
//!   they are cut.
//! - SY10 A snapshot and the history after it are the full fold.

use super::decisions::founded;
use super::pair::{CLIENTS, Draw, ModelledReplica, NOW, dump};
use crate::merge::{author, compare};
use fastness::table::Tables;
use fastness::{Store, StoreOptions};
use fastness_models::merge::behaviours::Random;
use fastness_models::merge::fold::State;
use fastness_sync::entry::Operations;
use fastness_sync::merge::apply;
use fastness_sync::server::{DownloadRequest, HistoryItem, ServerError, SnapshotReader};
use fastness_sync::table_state::{TableState, WINDOW_TREE};
use ring::digest::{SHA256, digest};

const DEAD_LETTERS: &str = "server/dead_letters";

/// Reads a stream in parts of random sizes, and checks the hash.
fn read(reader: &SnapshotReader, random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let count = usize::try_from(random.below(4000) + 1).unwrap();
        let part = reader.part(bytes.len() as u64, count).unwrap();
        bytes.extend_from_slice(&part.bytes);
        assert!(part.bytes.len() == count || part.root.is_some(), "SV3: a part is full");
        let Some(root) = part.root else { continue };
        assert_eq!(root, digest(&SHA256, &bytes).as_ref(), "SV3: the hash");
        assert_eq!(reader.total(), Some(bytes.len() as u64), "SV3: the length");
        return bytes;
    }
}

/// Takes the shortest varint off the front of bytes.
fn number(bytes: &mut &[u8]) -> usize {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let (byte, rest) = bytes.split_first().unwrap();
        *bytes = rest;
        value |= usize::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            break;
        }
    }
    value
}

fn binary<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let count = number(bytes);
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

/// Puts the entries of a stream into an empty store.
fn load(mut stream: &[u8]) -> Store {
    let store = StoreOptions::new().in_memory().unwrap();
    let mut txn = store.write().unwrap();
    let mut tree = String::new();
    let mut last: Option<Vec<u8>> = None;
    while let Some((kind, rest)) = stream.split_first() {
        stream = rest;
        if *kind == 1 {
            let name = std::str::from_utf8(binary(&mut stream)).unwrap();
            tree = if name.is_empty() { WINDOW_TREE.to_owned() } else { format!("main/{name}") };
            last = None;
            continue;
        }
        let beside = match *kind {
            3 => DEAD_LETTERS,
            4 => "server/numbers",
            _ => &tree,
        };
        assert!((2..=4).contains(kind), "SV3: the kind of a record");
        if tree != beside {
            (tree, last) = (beside.to_owned(), None);
        }
        let (key, value) = (binary(&mut stream), binary(&mut stream));
        assert!(last.is_none_or(|last| *last < *key), "SV3: the keys are in order");
        txn.tree(&tree).unwrap().insert(key, value).unwrap();
        last = Some(key.to_vec());
    }
    txn.commit().unwrap();
    store
}

pub(super) fn write(pair: &mut ModelledReplica, random: &mut Random, elements: &mut u64) {
    for _ in 0..30 {
        let client = u32::try_from(random.below(CLIENTS.into())).unwrap() + 1;
        let entry = pair.draw(Draw { client, earlier: 0 }, random, elements);
        pair.submit(client, &[entry], NOW);
    }
}

/// Returns the number of dead letters of the snapshot.
fn run(seed: u64) -> u64 {
    let random = &mut Random::new(seed);
    let mut pair = ModelledReplica::in_memory();
    let mut elements = 10;
    founded(&mut pair);
    write(&mut pair, random, &mut elements);
    pair.advance(random.below(pair.model.head() + 1));
    while pair.replica.compact(10).unwrap() {}
    let (mut reader, before) = (pair.replica.snapshot().unwrap(), pair.model.state().clone());
    let is_state = |name: &str| !name.starts_with("server/") || name == DEAD_LETTERS;
    let trees = dump(&pair.store, is_state);
    write(&mut pair, random, &mut elements);
    assert!(matches!(reader.part(0, 1), Err(ServerError::Offset(0))), "the length is unknown");
    while !reader.measure(random.below(3000)).unwrap() {}
    let bytes = read(&reader, random);
    assert_eq!(read(&reader, random), bytes, "SV3");
    let beyond = bytes.len() as u64 + 1;
    assert!(matches!(reader.part(beyond, 1), Err(ServerError::Offset(_))));
    let loaded = load(&bytes);
    assert!(dump(&loaded, is_state) == trees, "SY10: the state at the snapshot");
    continue_from(&loaded, (&pair, &before), reader.server().head);
    loaded.snapshot().tree(DEAD_LETTERS).len()
}

/// Compares a loaded state, and then applies the history after its seq, and compares it again.
fn continue_from(store: &Store, (pair, before): (&ModelledReplica, &State), seq: u64) {
    let mut tables = Tables::open(store.write().unwrap(), "main").unwrap();
    let mut state = TableState::new(&mut tables, WINDOW_TREE);
    compare(&state, before, true);
    let request = DownloadRequest { client: 0, from: seq, full: 0..=0, bytes_max: 1 << 20 };
    let part = pair.replica.download(&request).unwrap().unwrap();
    let start = usize::try_from(seq).unwrap();
    for (item, entry) in part.items.iter().zip(&pair.model.history[start..]) {
        let HistoryItem::Entry { entry: bytes, .. } = item else { panic!("in full") };
        for operation in Operations::new(bytes).unwrap() {
            apply(&mut state, &author(entry), operation.unwrap()).unwrap();
        }
    }
    assert_eq!(part.to, pair.model.head());
    compare(&state, pair.model.state(), true);
}

#[test]
fn a_snapshot_and_the_history_after_it_are_the_full_fold() {
    let letters: u64 = (1..=20).map(run).sum();
    assert!(letters > 0, "SV3: no snapshot names a refusal");
}
