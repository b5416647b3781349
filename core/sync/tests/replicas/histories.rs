//! Replicas of clients on files, against each other and against one fold of the history.
//!
//! - SY1 Replicas with one cursor and nothing pending show the same state.
//! - SY3 The working state is the fold of the pending entries over the canonical state.
//! - SY8 A download that was applied before changes nothing.
//! - SV5 A download that does not have the salt that the server gives is refused.
//! - SY23 A download names the own entries that it ends.
//! - SY20 Undo of the pending entries is the canonical state, and redo the working state.

use super::app::{Random, dump, effort, schema, step};
use fastness::object::{Database, DatabaseOptions};
use fastness::schema::SchemaMode;
use fastness::table::{SideKey, Tables};
use fastness::{Key, Store, StoreOptions};
use fastness_sync::chain::{FIRST_SALT, salt};
use fastness_sync::client::{
    Acknowledgement, BadDownload, ClientError, ClientReplica, Download, DownloadItem, Merged,
    Refusal, ReplicaClock, ResetMode, ResetStart, SnapshotPart,
};
use fastness_sync::entry::{self, Header};
use fastness_sync::merge::{Author, PENDING_SEQ, apply};
use fastness_sync::reset::Cause;
use fastness_sync::table_state::{TableState, WINDOW_TREE};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A client, and its local time.
pub(crate) struct Client {
    pub(crate) replica: ClientReplica,
    time: Arc<AtomicU64>,
    /// Number of the last entry that was uploaded.
    uploaded: u64,
    /// The canonical state, and the client and cursor that it had.
    canonical: Option<((u32, u64), Entries)>,
}

/// Entries of trees: names, keys and values.
pub(crate) type Entries = Vec<(String, Vec<u8>, Vec<u8>)>;

impl Client {
    pub(crate) fn new(encrypted: bool, skew: u64) -> Self {
        let options = StoreOptions::new();
        let options = if encrypted { options.key(Key::new([7; 64])) } else { options };
        let time = Arc::new(AtomicU64::new(1000 + skew));
        Self::of_file(options.in_memory().unwrap(), time)
    }

    /// Opens the file again, as after a restart of the app.
    pub(crate) fn reopened(&self) -> Self {
        let store = self.replica.database().store().clone();
        let uploaded = self.uploaded;
        Self { uploaded, ..Self::of_file(store, Arc::clone(&self.time)) }
    }

    /// Makes the client of a replica.
    pub(crate) fn of_replica(replica: ClientReplica) -> Self {
        Self { replica, time: Arc::default(), uploaded: 0, canonical: None }
    }

    /// Opens the client of a file.
    pub(crate) fn of_file(store: Store, time: Arc<AtomicU64>) -> Self {
        let local = Arc::clone(&time);
        let clock = ReplicaClock::new(Box::new(move || local.fetch_add(1, Ordering::Relaxed)));
        let wanted = DatabaseOptions::schema(schema(), 1).mode(SchemaMode::Additive);
        let wanted = wanted.synced().replica_hook(clock.hook());
        let database = Database::from_store(store, &wanted).unwrap();
        let replica = ClientReplica::new(database, clock).unwrap();
        Self { replica, time, uploaded: 0, canonical: None }
    }

    fn dump(&self) -> String {
        dump(self.replica.database().snapshot().unwrap().view())
    }
}

/// Returns the entries of the trees that undo restores: all but numbers that were given out, and
/// the stamp of the catalog.
pub(crate) fn entries(tables: &mut Tables) -> Entries {
    tables.settle().unwrap();
    let mut names = vec![WINDOW_TREE.to_owned()];
    names.extend(tables.class_trees());
    let mut found = Vec::new();
    for name in names {
        tables
            .side_each(SideKey { tree: &name, key: &[] }, &mut |_, key, value| {
                if name != "main/schema" || key.len() > 1 {
                    found.push((name.clone(), key.to_vec(), value.to_vec()));
                }
                Ok(())
            })
            .unwrap();
    }
    found
}

/// A server that orders entries and clamps their stamps.
pub(crate) struct Server {
    history: Vec<(u32, Vec<u8>)>,
    /// Salts of the seqs from 0 on.
    salts: Vec<u64>,
    /// The greatest stamp up to each entry.
    greatest: Vec<u64>,
    /// The last stamp of each client.
    last: [u64; 64],
    refused: Vec<(u32, u64)>,
    /// Whether some entries get a later stamp than their own.
    pub(crate) is_late: bool,
}

impl Server {
    pub(crate) fn new() -> Self {
        let (history, salts, greatest) = (vec![], vec![FIRST_SALT], vec![]);
        Self { history, salts, greatest, last: [0; 64], refused: vec![], is_late: false }
    }

    /// Returns the server as it was after so many entries.
    pub(crate) fn until(&self, count: usize) -> Self {
        let history = self.history[..count].to_vec();
        let (salts, greatest) = (self.salts[..=count].to_vec(), self.greatest[..count].to_vec());
        Self { history, salts, greatest, last: self.last, refused: vec![], is_late: self.is_late }
    }

    /// Returns the number of entries.
    pub(crate) const fn len(&self) -> usize {
        self.history.len()
    }

    /// Takes the refusals of a client.
    pub(crate) fn take_refused(&mut self, client: u32) -> Vec<u64> {
        let (taken, kept) = self.refused.drain(..).partition(|(of, _)| *of == client);
        self.refused = kept;
        let taken: Vec<(u32, u64)> = taken;
        taken.into_iter().map(|(_, client_seq)| client_seq).collect()
    }

    pub(crate) fn submit(&mut self, client: u32, bytes: &[u8]) {
        let mut entry = entry::decode(bytes).unwrap();
        let Header { base, stamp, .. } = entry.header;
        let known = base.checked_sub(1).map_or(0, |at| self.greatest[usize::try_from(at).unwrap()]);
        let last = &mut self.last[client as usize];
        let late = u64::from(self.is_late && self.history.len().is_multiple_of(5));
        let stamp = (stamp + late).max(known + 1).max(*last + 1);
        *last = stamp;
        entry.header.stamp = stamp;
        let entry = entry::encode(&entry).unwrap();
        self.salts.push(salt(*self.salts.last().unwrap(), client, &entry));
        self.history.push((client, entry));
        self.greatest.push(self.greatest.last().copied().unwrap_or_default().max(stamp));
    }

    pub(crate) fn upload(&mut self, number: u32, client: &mut Client, random: &mut Random) {
        let upload = client.replica.upload_after(client.uploaded, 500).unwrap();
        for (client_seq, entry) in upload.entries {
            assert!(client_seq > client.uploaded, "SY19: {client_seq}");
            client.uploaded = client_seq;
            if client_seq > 1 && random.below(12) == 0 {
                self.refused.push((number, client_seq));
            } else {
                self.submit(number, &entry);
            }
        }
    }

    /// Calls `body` with the next entries of the history for a client.
    pub(crate) fn with_download<T>(
        &self,
        number: u32,
        (client, count): (&Client, usize),
        body: impl FnOnce(&Download<'_>) -> T,
    ) -> T {
        let from = client.replica.meta().unwrap().cursor;
        let first = usize::try_from(from).unwrap();
        let end = self.history.len().min(first + count);
        let items: Vec<DownloadItem<'_>> = self.history[first..end]
            .iter()
            .map(|(client, entry)| {
                let Header { client_seq, stamp, .. } = entry::decode(entry).unwrap().header;
                match *client == number {
                    true => DownloadItem::Own { client_seq, stamp },
                    false => DownloadItem::Entry { client: *client, entry },
                }
            })
            .collect();
        let salt = self.salts[end];
        body(&Download { epoch: 1, from, salt, horizon: 0, durable_seq: 0, items: &items })
    }

    pub(crate) fn download(&self, number: u32, client: &Client, count: usize) -> Merged {
        self.with_download(number, (client, count), |download| Self::apply(client, download))
    }

    fn apply(client: &Client, download: &Download<'_>) -> Merged {
        let salt = download.salt ^ 1;
        let wrong = client.replica.download(&Download { salt, ..*download });
        assert_eq!(wrong, Err(ClientError::Download(BadDownload::Salt)), "SV5");
        let pending = |client: &Client| -> BTreeSet<u64> {
            let entries = client.replica.upload_after(0, usize::MAX).unwrap().entries;
            entries.into_iter().map(|(number, _)| number).collect()
        };
        let before = pending(client);
        let merged = client.replica.download(download).unwrap();
        let ordered = merged.own.iter().map(|own| own.client_seq);
        let mut named: Vec<u64> = merged.refused.iter().copied().chain(ordered).collect();
        named.sort_unstable();
        let ended: Vec<u64> = before.difference(&pending(client)).copied().collect();
        assert_eq!(named, ended, "SY23");
        if !download.items.is_empty() {
            let before = client.dump();
            let again = client.replica.download(download);
            assert_eq!(again, Ok(Merged::default()), "SY8: applied twice");
            assert_eq!(client.dump(), before, "SY8: applied twice");
        }
        merged
    }

    /// Folds the history, and the pending entries of a client, in an empty file.
    fn fold(&self, to: u64, pending: &[(u32, Vec<u8>)]) -> String {
        let store = self.fold_store(to, pending);
        let database = Database::from_store(store, &DatabaseOptions::dynamic()).unwrap();
        dump(database.snapshot().unwrap().view())
    }

    fn fold_store(&self, to: u64, pending: &[(u32, Vec<u8>)]) -> Store {
        let store: Store = StoreOptions::new().in_memory().unwrap();
        let mut tables = Tables::open(store.write().unwrap(), "main").unwrap();
        let mut state = TableState::new(&mut tables, WINDOW_TREE);
        let count = usize::try_from(to).unwrap();
        let ordered = (1..).zip(&self.history[..count]);
        for (seq, (client, bytes)) in ordered.chain(pending.iter().map(|of| (u64::MAX, of))) {
            let entry = entry::decode(bytes).unwrap();
            let Header { client_seq, base, stamp } = entry.header;
            let author = Author { seq, client: *client, client_seq, base, stamp };
            for operation in entry.operations {
                apply(&mut state, &author, operation).unwrap();
            }
            if seq < u64::MAX {
                state.note_entry(&author).unwrap();
            }
        }
        let (txn, _) = tables.finish().unwrap();
        txn.commit().unwrap();
        store
    }
}

/// Returns the stream of a snapshot of a store.
fn stream(store: &Store) -> Vec<u8> {
    let snapshot = store.snapshot();
    let mut bytes = Vec::new();
    let put = |bytes: &mut Vec<u8>, part: &[u8]| {
        let mut len = part.len();
        while len >= 128 {
            bytes.push(u8::try_from(len & 127).unwrap() | 128);
            len >>= 7;
        }
        bytes.push(u8::try_from(len).unwrap());
        bytes.extend_from_slice(part);
    };
    for tree in snapshot.tree_names() {
        let name = match tree.strip_prefix("main/") {
            Some(name) => name,
            None if tree == WINDOW_TREE => "",
            None => continue,
        };
        bytes.push(1);
        put(&mut bytes, name.as_bytes());
        for entry in snapshot.tree(tree).range(..).unwrap() {
            let (key, value) = entry.unwrap();
            bytes.push(2);
            put(&mut bytes, &key);
            put(&mut bytes, &value);
        }
    }
    bytes
}

/// The server is restored from a backup, and every client resets onto it.
fn restore(server: &mut Server, clients: &mut [Client], (seed, random): (u64, &mut Random)) {
    let cut = random.index(server.history.len() + 1);
    let lost = server.history.split_off(cut);
    server.greatest.truncate(cut);
    server.salts.truncate(cut + 1);
    server.refused.clear();
    let snapshot = stream(&server.fold_store(cut as u64, &[]));
    let root: [u8; 32] =
        ring::digest::digest(&ring::digest::SHA256, &snapshot).as_ref().try_into().unwrap();
    for (number, client) in (1_u32..).zip(&mut *clients) {
        // The file had one identity after the other.
        let of_client = |(of, _): &&(u32, Vec<u8>)| (*of - 1) % 10 == number - 1;
        let identity = client.replica.meta().unwrap().client;
        let seq = |bytes: &[u8]| entry::decode(bytes).unwrap().header.client_seq;
        let pending = client.replica.upload_after(0, usize::MAX).unwrap().entries;
        let operations = |bytes: &[u8]| entry::decode(bytes).unwrap().operations.len();
        let own_lost = lost.iter().filter(of_client).filter(|(of, bytes)| {
            *of != identity || !pending.iter().any(|(client_seq, _)| *client_seq == seq(bytes))
        });
        let expected: usize = own_lost.map(|(_, bytes)| operations(bytes)).sum::<usize>()
            + pending.iter().map(|(_, bytes)| operations(bytes)).sum::<usize>();
        let start = ResetStart { cause: Cause::Diverged, client: identity + 10, ident_salt: 8 };
        client.replica.begin_reset(&start, None).unwrap();
        let mut offset = 0;
        while !client.replica.reset_in_progress().unwrap().unwrap().is_complete {
            let end = snapshot.len().min(offset + 1 + random.index(300));
            let part = SnapshotPart {
                snapshot: 1,
                epoch: 2,
                seq: cut as u64,
                salt: server.salts[cut],
                horizon: 0,
                offset: offset as u64,
                bytes: &snapshot[offset..end],
                root: (end == snapshot.len()).then_some(root),
            };
            client.replica.receive_snapshot(&part).unwrap();
            offset = end;
        }
        let report = client.replica.finish_reset(ResetMode::Recover).unwrap();
        assert_eq!(report.operations().count(), expected, "SY12: seed {seed}");
        assert_eq!(client.replica.meta().unwrap().client, identity + 10);
        let kept = client.replica.stored_report().unwrap().unwrap();
        assert_eq!(kept.report, report, "SY12: the file keeps the report, seed {seed}");
        client.replica.acknowledge_report(kept.number).unwrap();
        assert_eq!(client.replica.stored_report(), Ok(None), "SY12: seed {seed}");
        client.uploaded = 0;
        client.canonical = None;
    }
}

fn run(seed: u64) {
    let mut random = Random(seed);
    let mut server = Server::new();
    let mut clients: Vec<Client> =
        (0..3).map(|index| Client::new(index == 1, index * 40)).collect();
    let identify = |index: usize, clients: &[Client]| {
        let number = u32::try_from(index + 1).unwrap();
        clients[index].replica.identify(number, 7).unwrap();
    };
    (0..2).for_each(|index| identify(index, &clients));
    for round in 0..40 {
        let index = random.index(3);
        let number = u32::try_from(index + 1).unwrap();
        match random.below(5) {
            0 => {
                if clients[index].replica.meta().unwrap().client == 0 {
                    identify(index, &clients);
                }
                server.upload(number, &mut clients[index], &mut random);
            }
            1 => {
                let count = 1 + random.index(4);
                server.download(number, &clients[index], count);
                check(&server, number, &mut clients[index], &format!("seed {seed}, round {round}"));
            }
            _ => {
                clients[index].time.fetch_add(random.below(50), Ordering::Relaxed);
                let mut txn = clients[index].replica.database().write().unwrap();
                (0..=random.below(3)).for_each(|_| step(&mut random, &mut txn));
                txn.commit().unwrap();
                check(&server, number, &mut clients[index], &format!("seed {seed}, round {round}"));
            }
        }
    }
    identify(2, &clients);
    finish(&mut server, &mut clients, (seed, &mut random));
    if server.history.is_empty() {
        return;
    }
    for _ in 0..2 {
        write_all(&mut clients, &mut random);
        restore(&mut server, &mut clients, (seed, &mut random));
        write_all(&mut clients, &mut random);
        finish(&mut server, &mut clients, (seed, &mut random));
    }
}

/// Every client writes some transactions.
fn write_all(clients: &mut [Client], random: &mut Random) {
    for client in clients {
        for _ in 0..random.below(4) {
            let mut txn = client.replica.database().write().unwrap();
            (0..=random.below(3)).for_each(|_| step(random, &mut txn));
            txn.commit().unwrap();
        }
    }
}

/// Uploads and downloads everything, and compares.
fn finish(server: &mut Server, clients: &mut [Client], (seed, random): (u64, &mut Random)) {
    let first = clients[0].replica.meta().unwrap().client - 1;
    for (number, client) in (first + 1..).zip(&mut *clients) {
        loop {
            let before = client.uploaded;
            server.upload(number, client, random);
            if client.uploaded == before {
                break;
            }
        }
    }
    for (number, client) in (first + 1..).zip(&*clients) {
        for (_, client_seq) in server.refused.iter().filter(|(of, _)| *of == number) {
            client.replica.refuse(*client_seq, Refusal { code: 225, operation: None }).unwrap();
        }
        server.download(number, client, usize::MAX >> 1);
        let upload = client.replica.upload_after(0, usize::MAX).unwrap();
        assert!(upload.entries.is_empty(), "SY17: pending entries remain, seed {seed}");
        let meta = client.replica.meta().unwrap();
        assert_eq!(meta.answered, meta.last_client_seq, "MR8: answers, seed {seed}");
    }
    let expected = server.fold(server.history.len() as u64, &[]);
    for client in clients {
        assert_eq!(client.dump(), expected, "SY1: seed {seed}");
        let found = client.replica.database().store().snapshot().verify().unwrap();
        let problems = (found.problems, found.objects);
        assert_eq!(problems, (vec![], vec![]), "B13: seed {seed}");
    }
}

/// Compares a client with the fold of its prefix and its pending entries, and undoes and redoes the
/// pending ones.
fn check(server: &Server, number: u32, client: &mut Client, of: &str) {
    let meta = client.replica.meta().unwrap();
    let canonical = client.replica.canonical(|tables| Ok(entries(tables))).unwrap();
    let at = (meta.client, meta.cursor);
    if let Some((_, before)) =
        client.canonical.replace((at, canonical.clone())).filter(|(held, _)| *held == at)
    {
        assert_eq!(canonical, before, "SY20: undo, {of}");
    }
    let working = |client: &Client| {
        let mut txn = client.replica.database().write().unwrap();
        entries(txn.tables())
    };
    let before = working(client);
    client.replica.compact().unwrap();
    assert_eq!(working(client), before, "SY20: redo, {of}");
    let pending = client.replica.upload_after(0, usize::MAX).unwrap().entries;
    let number = if meta.client == 0 { 0 } else { number };
    let pending: Vec<_> = pending.into_iter().map(|(_, entry)| (number, entry)).collect();
    assert_eq!(client.dump(), server.fold(meta.cursor, &pending), "SY3: {of}");
}

#[test]
fn replicas_converge_to_the_fold_of_the_history() {
    (1..=60 * effort()).for_each(run);
}

#[test]
fn observers_tell_a_merge_from_a_commit_of_the_app() {
    let mut random = Random(1);
    let mut server = Server::new();
    let mut clients = [Client::new(false, 0), Client::new(true, 0)];
    let (_, changes) = clients[1].replica.database().subscribe().unwrap();
    for (number, client) in (1..).zip(&mut clients) {
        client.replica.identify(number, 7).unwrap();
        let mut txn = client.replica.database().write().unwrap();
        txn.get_or_create("Node", i64::from(number)).unwrap();
        txn.commit().unwrap();
        server.upload(number, client, &mut random);
    }
    server.download(2, &clients[1], 9);
    let mut remote = Vec::new();
    while let Some(changes) = changes.try_recv() {
        remote.push(changes.is_remote);
    }
    assert_eq!(remote, [false, true], "W5");
}

#[test]
fn an_entry_is_local_then_ordered_then_backed_up() {
    let mut random = Random(1);
    let mut server = Server::new();
    let mut client = Client::new(true, 0);
    client.replica.identify(1, 7).unwrap();
    let last = client.replica.meta().unwrap().last_client_seq;
    let acknowledged = |client: &Client| client.replica.acknowledgement(1, last).unwrap();
    assert_eq!(client.replica.acknowledgement(1, last + 1), Ok(None));
    assert_eq!(acknowledged(&client), Some(Acknowledgement::Local));
    server.upload(1, &mut client, &mut random);
    let download = |durable_seq: u64| {
        server.with_download(1, (&client, 9), |download| {
            client.replica.download(&Download { durable_seq, ..*download }).unwrap();
        });
        acknowledged(&client)
    };
    assert_eq!(download(0), Some(Acknowledgement::Ordered(last)), "MR10");
    assert_eq!(download(last), Some(Acknowledgement::BackedUp), "MR10");
    assert_eq!(client.replica.acknowledgement(2, last), Ok(None), "of another identity");
}

#[test]
fn an_own_entry_in_full_has_the_bytes_of_the_file() {
    let mut server = Server::new();
    let client = Client::new(false, 0);
    client.replica.identify(1, 7).unwrap();
    server.submit(1, &client.replica.upload_after(0, 1).unwrap().entries[0].1);
    let genuine = server.history[0].1.clone();
    let mut other = entry::decode(&genuine).unwrap();
    other.operations.pop();
    let other = entry::encode(&other).unwrap();
    let foreign = |entry: &[u8]| {
        let items = [DownloadItem::Entry { client: 1, entry }];
        let salt = salt(FIRST_SALT, 1, entry);
        let (epoch, from, horizon, durable_seq) = (1, 0, 0, 0);
        let download = Download { epoch, from, salt, horizon, durable_seq, items: &items };
        client.replica.download(&download).map(|merged| merged.own.len())
    };
    assert_eq!(foreign(&other), Err(ClientError::Download(BadDownload::Own)), "SV5");
    assert_eq!(foreign(&genuine), Ok(1), "SV5");
}

#[test]
fn seqs_end_where_those_of_pending_entries_begin() {
    let client = Client::new(false, 0);
    client.replica.identify(1, 7).unwrap();
    let start = ResetStart { cause: Cause::Expired, client: 2, ident_salt: 8 };
    client.replica.begin_reset(&start, None).unwrap();
    let part = SnapshotPart {
        snapshot: 1,
        epoch: 1,
        seq: PENDING_SEQ,
        salt: 0,
        horizon: 0,
        offset: 0,
        bytes: &[],
        root: None,
    };
    let refused = client.replica.receive_snapshot(&part).map(drop);
    assert_eq!(refused, Err(ClientError::Download(BadDownload::Snapshot)), "SV5");
    client.replica.receive_snapshot(&SnapshotPart { seq: PENDING_SEQ - 1, ..part }).unwrap();
}

/// The REJECT of an entry was lost, and the history shows a later one of the client.
#[test]
fn a_download_names_the_entries_that_were_refused_before_an_ordered_one() {
    let client = Client::new(true, 0);
    client.replica.identify(1, 7).unwrap();
    for key in 1..=3_i64 {
        let mut txn = client.replica.database().write().unwrap();
        txn.get_or_create("Node", key).unwrap();
        txn.commit().unwrap();
    }
    let pending = client.replica.upload_after(0, usize::MAX).unwrap().entries;
    let lost = &pending[pending.len() - 3..pending.len() - 1];
    let lost: Vec<u64> = lost.iter().map(|(number, _)| *number).collect();
    let mut server = Server::new();
    let kept = pending.iter().filter(|(number, _)| !lost.contains(number));
    kept.for_each(|(_, entry)| server.submit(1, entry));
    let merged = server.download(1, &client, usize::MAX);
    assert_eq!(merged.refused, lost, "SY23");
    assert_eq!(merged.own.len(), pending.len() - 2, "SY23");
    let letters = client.replica.dead_letters().unwrap();
    assert!(letters.iter().all(|letter| letter.refusal.code == 0), "SY4: {letters:?}");
    let refusal = Refusal { code: 231, operation: None };
    let is_new = [0, 1].map(|_| client.replica.refuse(lost[0], refusal).unwrap());
    assert_eq!(is_new, [true, false], "SY23: the reason is named once");
}
