//! The fast path of replicas against the slow one: the same files, byte for byte. One of the two
//! files is encrypted and the other one is not.
//!
//! - SY11 The fast path leaves the state of the slow one.
//! - SY18 An encrypted client shows the state of a plain one.

use super::app::{Random, effort, step};
use super::histories::{Client, Entries, Server, entries};
use fastness::object::{ObjectId, Transaction, Value};
use fastness::schema::{Property, Scalar};
use fastness::{Key as StoreKey, StoreOptions};
use fastness_sync::client::{BadDownload, ClientError, Download, Refusal};
use fastness_sync::entry::{self, Change, Entry, Header, Key, ObjectRef, Operation};
use fastness_testkit::Counting;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// A client twice: with the fast path, and without.
struct Twins {
    number: u32,
    fast: Client,
    slow: Client,
    /// The file system of the fast one.
    disk: Counting,
}

/// Changes the links of an object, or one of the objects of all that they lead to.
fn link(random: &mut Random, txn: &mut Transaction, own: &ObjectId) {
    let key = 200 + i64::try_from(random.below(2)).unwrap();
    let (target, _) = txn.get_or_create("Node", key).unwrap();
    match random.below(5) {
        0 => txn.delete(&target).unwrap(),
        1 => txn.set(own, "next", Value::Null).unwrap(),
        2 | 3 => txn.set(own, "next", target).unwrap(),
        _ => {
            let mut nodes = txn.list(own, "nodes").unwrap();
            if nodes.len().unwrap() > 2 {
                drop(nodes.remove(0).unwrap());
            }
            nodes.push(target).unwrap();
        }
    }
}

/// Situations that the runs met.
#[derive(Debug, Default)]
struct Situations {
    /// Own entries that got their place while later ones were pending, without a rebase.
    ordered: usize,
    /// Downloads of others' entries beside pending ones.
    beside: usize,
    purges: usize,
    /// Downloads that found no space.
    failed: usize,
}

impl Twins {
    fn new(number: u32, encrypted: bool) -> Self {
        let disk = Counting::default();
        let options = StoreOptions::new().vfs(Arc::new(disk.clone()));
        let options = if encrypted { options.key(StoreKey::new([7; 64])) } else { options };
        // The clock of one author is ahead: what others write leaves its greatest stamp as it is.
        let skew = u64::from(number - 1) * 5000;
        let time = Arc::new(AtomicU64::new(1000 + skew));
        let fast = Client::of_file(options.create("store").unwrap(), time);
        let slow = Client::new(!encrypted, skew);
        slow.replica.clock().use_slow_path();
        for client in [&fast, &slow] {
            client.replica.identify(number, 7).unwrap();
        }
        Self { number, fast, slow, disk }
    }

    fn both(&self) -> [&Client; 2] {
        [&self.fast, &self.slow]
    }

    /// Both write one transaction: to objects of all, or to one of their own.
    fn write(&self, random: &mut Random) {
        let seed = random.below(u64::from(u32::MAX));
        for client in self.both() {
            let mut random = Random(seed);
            let mut txn = client.replica.database().write().unwrap();
            for _ in 0..=random.below(3) {
                if random.below(2) == 0 {
                    step(&mut random, &mut txn);
                    continue;
                }
                let key = 100 + i64::from(self.number);
                let (own, _) = txn.get_or_create("Node", key).unwrap();
                match random.below(6) {
                    0 => txn.set(&own, "name", "own").unwrap(),
                    1 => drop(txn.add(&own, "hits", 1).unwrap()),
                    2 => {
                        let mut text = txn.list(&own, "text").unwrap();
                        let at = random.index(text.len().unwrap() + 1);
                        text.insert(at, "own").unwrap();
                    }
                    _ => link(&mut random, &mut txn, &own),
                }
            }
            txn.commit().unwrap();
        }
    }

    /// Both apply a part of the history, which a server may have purged up to a horizon.
    fn download(&self, server: &Server, (count, horizon): (usize, u64), met: &mut Situations) {
        let before = self.pending();
        let merged = self.both().map(|client| {
            server.with_download(self.number, (client, count), |download| {
                let download = Download { horizon, durable_seq: horizon, ..*download };
                client.replica.download(&download)
            })
        });
        let [merged, slow] = merged.map(Result::unwrap);
        assert_eq!(merged, slow, "SY11: outcomes");
        let ordered = self.fast.replica.database().store().snapshot().tree("sync/ordered").len();
        met.ordered += usize::from(ordered > 0);
        met.beside += usize::from(before > 0 && merged.foreign > 0);
    }

    /// The fast one has no space for a part of the history, which comes again later.
    fn download_without_space(&self, server: &Server, count: usize, met: &mut Situations) {
        let merged = server.with_download(self.number, (&self.fast, count), |download| {
            self.disk.refusing(|| self.fast.replica.download(download))
        });
        // A download of nothing writes nothing.
        met.failed += usize::from(merged.is_err());
    }

    /// Both refuse a part of the history.
    fn download_wrong(&self, server: &Server) {
        for client in self.both() {
            let refused = server.with_download(self.number, (client, 9), |download| {
                let salt = download.salt ^ 1;
                client.replica.download(&Download { salt, ..*download })
            });
            assert_eq!(refused, Err(ClientError::Download(BadDownload::Salt)), "SV5");
        }
    }

    /// Both apps start again.
    fn reopen(&mut self) {
        self.fast = self.fast.reopened();
        self.slow = self.slow.reopened();
        self.slow.replica.clock().use_slow_path();
    }

    fn pending(&self) -> usize {
        self.fast.replica.upload_after(0, usize::MAX).unwrap().entries.len()
    }

    /// Compares all trees but the pre-images, whose effect is the canonical state.
    fn compare(&self, of: &str) {
        let [fast, slow] = self.both().map(|client| {
            let replica = &client.replica;
            let upload = replica.upload_after(0, usize::MAX).unwrap();
            let mut held: Entries = Vec::new();
            let snapshot = replica.database().store().snapshot();
            for name in ["sync/meta", "sync/unsaved", "sync/dead", "sync/local"] {
                for entry in snapshot.tree(name).range(..).unwrap() {
                    let (key, value) = entry.unwrap();
                    held.push((name.to_owned(), key.to_vec(), value.to_vec()));
                }
            }
            let mut txn = replica.database().write().unwrap();
            let working = entries(txn.tables());
            drop(txn);
            let canonical = replica.canonical(|tables| Ok(entries(tables))).unwrap();
            (upload, held, working, canonical)
        });
        assert_eq!(fast.0, slow.0, "SY11, SY18: pending entries, {of}");
        assert_eq!(fast.1, slow.1, "SY11, SY18: records, {of}");
        assert_eq!(fast.2, slow.2, "SY11, SY18: working state, {of}");
        assert_eq!(fast.3, slow.3, "SY11, SY18: canonical state, {of}");
    }

    /// The least seq that the client still needs.
    fn needs(&self) -> u64 {
        let meta = self.slow.replica.meta().unwrap();
        meta.cursor.min(self.slow.replica.upload_after(0, 1).unwrap().oldest_base)
    }
}

fn run(seed: u64, met: &mut Situations) {
    let mut random = Random(seed);
    let mut server = Server::new();
    server.is_late = true;
    let mut all = [Twins::new(1, false), Twins::new(2, true)];
    for round in 0..70 {
        let at = random.index(2);
        let horizon = all.iter().map(Twins::needs).min().unwrap_or_default();
        let twins = &mut all[at];
        let of = format!("seed {seed}, round {round}, client {}", twins.number);
        match random.below(8) {
            7 if random.below(2) == 0 => twins.reopen(),
            3 if random.below(2) == 0 => {
                twins.download_without_space(&server, 9, met);
            }
            7 => twins.download_wrong(&server),
            0 | 1 => {
                server.upload(twins.number, &mut twins.fast, &mut random);
                let refused = match random.below(2) {
                    0 => server.take_refused(twins.number),
                    _ => Vec::new(),
                };
                for client_seq in refused {
                    let refusal = Refusal { code: 225, operation: None };
                    let [fast, slow] = twins
                        .both()
                        .map(|client| client.replica.refuse(client_seq, refusal).unwrap());
                    assert_eq!(fast, slow, "SY11: {of}");
                }
            }
            2 | 3 => twins.download(&server, (1 + random.index(3), horizon), met),
            4 if random.below(3) == 0 => {
                let purged = twins.fast.replica.meta().unwrap().purged;
                twins.both().iter().for_each(|client| client.replica.compact().unwrap());
                met.purges += usize::from(twins.fast.replica.meta().unwrap().purged > purged);
            }
            _ => twins.write(&mut random),
        }
        twins.compare(&of);
    }
}

#[test]
fn the_fast_path_leaves_the_files_of_the_slow_one() {
    let mut met = Situations::default();
    (1..=25 * effort()).for_each(|seed| run(seed, &mut met));
    assert!(met.ordered > 20 && met.beside > 20 && met.purges > 5, "{met:?}");
    assert!(met.failed > 20, "{met:?}");
}

/// Both write one transaction, and the server orders all that is pending.
fn ordered(server: &mut Server, twins: &Twins, write: impl Fn(&mut Transaction)) {
    for client in twins.both() {
        let mut txn = client.replica.database().write().unwrap();
        write(&mut txn);
        txn.commit().unwrap();
    }
    for (_, entry) in twins.fast.replica.upload_after(0, usize::MAX).unwrap().entries {
        server.submit(twins.number, &entry);
    }
}

#[test]
fn a_delete_meets_a_link_that_its_author_did_not_know() {
    let node = |txn: &mut Transaction, key: i64| txn.get_or_create("Node", key).unwrap().0;
    for unlinks in [false, true] {
        let (mut server, mut met) = (Server::new(), Situations::default());
        let twins = [Twins::new(1, false), Twins::new(2, true)];
        for twins in &twins {
            ordered(&mut server, twins, |txn| drop((node(txn, 1), node(txn, 2))));
        }
        twins.iter().for_each(|twins| twins.download(&server, (9, 0), &mut met));
        ordered(&mut server, &twins[0], |txn| {
            let (from, to) = (node(txn, 1), node(txn, 2));
            txn.set(&from, "next", to).unwrap();
        });
        twins[0].download(&server, (9, 0), &mut met);
        ordered(&mut server, &twins[1], |txn| {
            let to = node(txn, 2);
            txn.delete(&to).unwrap();
        });
        for client in twins[0].both() {
            let mut txn = client.replica.database().write().unwrap();
            let from = node(&mut txn, 1);
            match unlinks {
                false => txn.set(&from, "name", "pending").unwrap(),
                true => txn.set(&from, "next", Value::Null).unwrap(),
            }
            txn.commit().unwrap();
        }
        twins[0].download(&server, (9, 0), &mut met);
        twins[0].compare("a pending entry and a Delete");
    }
}

#[test]
fn an_entry_of_others_meets_a_property_that_only_a_pending_entry_adds() {
    let (mut server, mut met) = (Server::new(), Situations::default());
    let twins = [Twins::new(1, false), Twins::new(2, false)];
    ordered(&mut server, &twins[1], |txn| drop(txn.get_or_create("Node", 9).unwrap()));
    twins.iter().for_each(|twins| twins.download(&server, (9, 0), &mut met));
    for client in twins[0].both() {
        let mut txn = client.replica.database().write().unwrap();
        let property = Property::new("extra", Scalar::Int).unwrap().nullable();
        txn.add_property("Node", &property).unwrap();
        txn.commit().unwrap();
    }
    // The history does not have the property: the rules drop the operation.
    let header = Header { client_seq: 99, base: 0, stamp: 1 };
    let target = ObjectRef { class: "Node", key: Key::Int(9) };
    let change = Change::Set(entry::Value::Int(1));
    let operations = vec![Operation::Change { target, property: "extra", change }];
    server.submit(2, &entry::encode(&Entry { header, operations }).unwrap());
    twins[0].download(&server, (9, 0), &mut met);
    twins[0].compare("a property that is pending");
}

#[test]
fn many_own_entries_are_ordered_before_the_last_one() {
    let mut server = Server::new();
    let twins = Twins::new(1, false);
    for _ in 0..200 {
        let mut txn = twins.fast.replica.database().write().unwrap();
        let (node, _) = txn.get_or_create("Node", 1).unwrap();
        txn.add(&node, "hits", 1).unwrap();
        txn.commit().unwrap();
    }
    let pending = twins.fast.replica.upload_after(0, usize::MAX).unwrap().entries;
    for (_, entry) in &pending[..pending.len() - 1] {
        server.submit(1, entry);
    }
    let runs = || twins.fast.replica.database().store().snapshot().tree("sync/ordered").len();
    for count in [150, 1 << 20] {
        server.with_download(1, (&twins.fast, count), |download| {
            twins.fast.replica.download(download).unwrap();
        });
        assert_eq!(runs(), 1, "SY20: entries in a row are one record");
    }
}

/// Numbers of ordered entries are known as long as a pre-image may name them, and no longer.
#[test]
fn seqs_of_ordered_entries_are_kept_for_the_entries_that_were_pending() {
    let (mut server, mut met) = (Server::new(), Situations::default());
    let twins = [Twins::new(1, false), Twins::new(2, true)];
    ordered(&mut server, &twins[0], |txn| drop(txn.get_or_create("Node", 1).unwrap()));
    twins.iter().for_each(|twins| twins.download(&server, (9, 0), &mut met));
    let write = |name: &str| {
        for client in twins[0].both() {
            let mut txn = client.replica.database().write().unwrap();
            let (node, _) = txn.get_or_create("Node", 1).unwrap();
            txn.set(&node, "name", name).unwrap();
            txn.commit().unwrap();
        }
    };
    let runs = || twins[0].fast.replica.database().store().snapshot().tree("sync/ordered").len();
    write("first");
    for round in 0..20 {
        write(&format!("after {round}"));
        let pending = twins[0].fast.replica.upload_after(0, usize::MAX).unwrap().entries;
        server.submit(1, &pending[0].1);
        twins[0].download(&server, (1, 0), &mut met);
        assert!(runs() <= 2, "SY20: {} runs after {round} rounds", runs());
    }
    ordered(&mut server, &twins[1], |txn| {
        let (node, _) = txn.get_or_create("Node", 1).unwrap();
        txn.set(&node, "name", "of another").unwrap();
    });
    twins[0].download(&server, (9, 0), &mut met);
    twins[0].compare("a download that meets the last entry");
}

/// The pre-images of the entry contain the index.
#[test]
fn an_index_outlives_the_refusal_of_the_entry_of_its_transaction() {
    let twins = Twins::new(1, true);
    for client in twins.both() {
        for with_index in [false, true] {
            let mut txn = client.replica.database().write().unwrap();
            if with_index {
                txn.set_indexed("Note", "body", true).unwrap();
                txn.get_or_create("Node", 1_i64).unwrap();
            } else {
                let note = txn.create("Note").unwrap();
                txn.set(&note, "body", "found").unwrap();
            }
            txn.commit().unwrap();
        }
        let last = client.replica.meta().unwrap().last_client_seq;
        let refusal = Refusal { code: 231, operation: None };
        assert!(client.replica.refuse(last, refusal).unwrap());
        let mut txn = client.replica.database().write().unwrap();
        let (_, property) = txn.tables().property("Note", "body").unwrap();
        assert!(property.is_indexed(), "SY11: the index is local");
    }
    twins.compare("a refused entry whose transaction has added an index");
}

#[test]
fn a_download_that_is_refused_leaves_no_trace_in_memory() {
    let (mut server, mut met) = (Server::new(), Situations::default());
    let twins = [Twins::new(1, false), Twins::new(2, false)];
    ordered(&mut server, &twins[0], |txn| drop(txn.get_or_create("Node", 9).unwrap()));
    twins.iter().for_each(|twins| twins.download(&server, (9, 0), &mut met));
    // Two entries are pending; the server orders one, and one of another client that meets the
    // second.
    for (key, name) in [(1, "first"), (2, "second")] {
        for client in twins[0].both() {
            let mut txn = client.replica.database().write().unwrap();
            let (node, _) = txn.get_or_create("Node", key).unwrap();
            txn.set(&node, "name", name).unwrap();
            txn.commit().unwrap();
        }
    }
    let before = server.len();
    let pending = twins[0].fast.replica.upload_after(0, usize::MAX).unwrap().entries;
    server.submit(1, &pending[0].1);
    ordered(&mut server, &twins[1], |txn| drop(txn.get_or_create("Node", 2).unwrap()));
    twins[0].download_wrong(&server);
    // Nothing has come of it, so another history may follow, with an entry that meets the first.
    let mut server = server.until(before);
    let other = Twins::new(3, false);
    ordered(&mut server, &other, |txn| {
        let (node, _) = txn.get_or_create("Node", 1).unwrap();
        txn.set(&node, "name", "of another").unwrap();
    });
    twins[0].download(&server, (9, 0), &mut met);
    twins[0].compare("after a download that was refused");
}
