//! A server replica and its model, which get the same submissions.

use super::decisions::operations;
use crate::merge::{compare, operation, typed};
use fastness::table::Tables;
use fastness::vfs::MemoryVfs;
use fastness::{Store, StoreOptions};
use fastness_models::merge::behaviours::Random;
use fastness_models::merge::behaviours::letters::FOUNDER;
use fastness_models::merge::server::{Answer as ModelAnswer, Refusal as ModelRefusal, Server};
use fastness_models::merge::{ObjectRef, Operation, SyncEntry};
use fastness_sync::entry::{self, Entry, Header, PrimaryKey, decode, encode};
use fastness_sync::server::{
    Access, Answer, ClientProgress, DownloadRequest, HistoryItem, Opening, RefusalCode,
    ServerReplica, ServerResult, Submission, UploadStop,
};
use fastness_sync::table_state::{TableState, WINDOW_TREE};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) const FILE: &str = "/server.fast";
pub(super) const OPENING: Opening = Opening { database: [7; 16], epoch: 0x1234_5678_9abc_def0 };
/// Time of the server in milliseconds since 1970.
pub(super) const NOW: u64 = 1_000_000;
pub(super) const USER: &str = "user";

/// Clients that write, numbered from 1.
pub(super) const CLIENTS: u32 = 4;
/// All clients: the last one is the author of the first elements.
pub(super) const IDENTITIES: u32 = FOUNDER;

/// A replica, and its model.
pub(super) struct ModelledReplica {
    pub(super) options: StoreOptions,
    pub(super) store: Store,
    pub(super) replica: ServerReplica,
    pub(super) model: Server,
    /// Kinds of answers that were compared.
    pub(super) marks: BTreeSet<&'static str>,
}

/// Encodes an entry of the model. The number of a class' definition is the name of its key.
pub(super) fn encoded(entry: &SyncEntry) -> Vec<u8> {
    let &SyncEntry { client_seq, base, stamp, .. } = entry;
    let operations = entry.operations.iter().map(|of| match (of, operation(of)) {
        (
            Operation::AddClass(_, definition),
            entry::Operation::AddClass { class, primary_key: Some(key) },
        ) if *definition > 0 => {
            let primary_key = Some(PrimaryKey { property: "other", ..key });
            entry::Operation::AddClass { class, primary_key }
        }
        (_, operation) => operation,
    });
    let header = Header { client_seq, base, stamp };
    encode(&Entry { header, operations: operations.collect() }).unwrap()
}

pub(super) fn open(options: &StoreOptions) -> (Store, ServerReplica) {
    let store = options.open_or_create(FILE).unwrap();
    let replica = ServerReplica::open(store.clone(), &OPENING).unwrap();
    (store, replica)
}

/// Submits encoded entries of a client.
pub(super) fn submit(replica: &ServerReplica, client: u32, entries: &[Vec<u8>]) -> Vec<Answer> {
    let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
    let entries = &entries;
    let submission = Submission { client, access: Access::Write, entries, oldest_base: 0 };
    replica.submit(&submission, NOW).unwrap()
}

/// Submits entries of the model.
pub(super) fn try_submit(
    replica: &ServerReplica,
    client: u32,
    entries: &[SyncEntry],
    now: u64,
) -> ServerResult<Vec<Answer>> {
    let entries: Vec<Vec<u8>> = entries.iter().map(|entry| encoded(&typed(entry))).collect();
    let entries: Vec<&[u8]> = entries.iter().map(Vec::as_slice).collect();
    let entries = &entries;
    let submission = Submission { client, access: Access::Write, entries, oldest_base: 0 };
    replica.submit(&submission, now)
}

/// Encodes an entry that creates an object, with its class.
pub(super) fn creation(client_seq: u64, base: u64, key: u64) -> Vec<u8> {
    let key = u8::try_from(key).unwrap();
    let create = Operation::Create(ObjectRef { class: 0, key });
    let operations = vec![Operation::AddClass(0, 0), create];
    encoded(&SyncEntry { seq: u64::MAX, client: 0, client_seq, base, stamp: NOW, operations })
}

impl ModelledReplica {
    pub(super) fn new(options: StoreOptions) -> Self {
        let (store, replica) = open(&options);
        for client in 1..=IDENTITIES {
            let identity = replica.identify(USER, client.into(), 1).unwrap();
            assert_eq!(identity.client, client, "SV2");
        }
        let model = Server::new(None);
        Self { options, store, replica, model, marks: BTreeSet::new() }
    }

    pub(super) fn in_memory() -> Self {
        Self::new(StoreOptions::new().vfs(Arc::new(MemoryVfs::default())))
    }

    /// Submits entries of one client, and compares the answers.
    pub(super) fn submit(&mut self, client: u32, entries: &[SyncEntry], now: u64) {
        let answers = try_submit(&self.replica, client, entries, now).unwrap();
        let stopped = matches!(answers.last(), Some(Answer::Stopped(_)));
        assert!(stopped || answers.len() == entries.len(), "MR8: {answers:?}");
        for (entry, answer) in entries.iter().zip(answers) {
            let entry = typed(entry);
            let expected = self.model.submit(&entry, now);
            self.compare_answer(&entry, answer, expected);
        }
    }

    /// Submits to the model what the replica got already.
    pub(super) fn catch_up(&mut self, entries: &[SyncEntry], now: u64) {
        for entry in entries {
            let answer = self.model.submit(&typed(entry), now);
            if let Err(ModelRefusal::Gap | ModelRefusal::Base | ModelRefusal::Expired) = answer {
                break;
            }
        }
    }

    fn compare_answer(
        &mut self,
        entry: &SyncEntry,
        answer: Answer,
        expected: Result<ModelAnswer, ModelRefusal>,
    ) {
        let mark = match (answer, expected) {
            (Answer::Sequenced { seq, stamp }, Ok(ModelAnswer::Sequenced(at))) if seq == at => {
                let of_model = self.model.history.last().unwrap().stamp;
                assert_eq!(stamp, of_model, "MR7: {entry:?}");
                "sequenced"
            }
            (Answer::Repeated, Ok(ModelAnswer::Acknowledged)) => "repeated",
            (Answer::Stopped(UploadStop::Gap { expected }), Err(ModelRefusal::Gap)) => {
                assert!(expected < entry.client_seq, "MR8: {entry:?}");
                "gap"
            }
            (Answer::Stopped(UploadStop::Base), Err(ModelRefusal::Base)) => "base",
            (Answer::Stopped(UploadStop::Expired), Err(ModelRefusal::Expired)) => "expired",
            (Answer::Refused(refusal), Err(ModelRefusal::Schema))
                if refusal.code == RefusalCode::Schema =>
            {
                "schema"
            }
            (Answer::Refused(refusal), Err(ModelRefusal::Element))
                if refusal.code == RefusalCode::Element =>
            {
                "element"
            }
            _ => panic!("SY16: {entry:?} gives {answer:?}, not {expected:?}"),
        };
        self.marks.insert(mark);
    }

    /// Moves the needs of all clients up to `seq`, and the horizon as far as that permits.
    pub(super) fn advance(&mut self, seq: u64) {
        for client in 1..=IDENTITIES {
            let progress = ClientProgress { cursor: seq, oldest_base: seq };
            self.replica.progress(client, progress, 1).unwrap();
        }
        let horizon = self.replica.advance_horizon(1, u64::MAX).unwrap();
        self.model.purge(seq);
        assert_eq!(horizon, self.model.horizon(), "MR9");
    }

    /// Closes the file and opens it again.
    pub(super) fn reopen(self) -> Self {
        let Self { options, store, replica, model, marks } = self;
        drop((store, replica));
        let (store, replica) = open(&options);
        Self { options, store, replica, model, marks }
    }

    /// Compares history and state.
    pub(super) fn compare(&self) {
        let status = self.replica.status().unwrap();
        assert_eq!((status.head, status.horizon), (self.model.head(), self.model.horizon()));
        assert_eq!(status.durable_seq, status.head, "MR10: there are no backups");
        self.compare_history(status.horizon);
        let mut tables = Tables::open(self.store.write().unwrap(), "main").unwrap();
        let state = TableState::new(&mut tables, WINDOW_TREE);
        compare(&state, self.model.state(), true);
    }

    fn compare_history(&self, horizon: u64) {
        let all =
            DownloadRequest { client: 1, from: horizon, full: 0..=u64::MAX, bytes_max: 1 << 30 };
        let part = self.replica.download(&all).unwrap().unwrap();
        assert_eq!(part.items.len() as u64, self.model.head() - horizon, "SY8");
        let start = usize::try_from(horizon).unwrap();
        for (item, expected) in part.items.iter().zip(&self.model.history[start..]) {
            let HistoryItem::Entry { client, entry } = item else { panic!("in full") };
            assert_eq!(*client, expected.client, "SY8");
            assert_eq!(*entry, encoded(expected), "SY8: {:?}", decode(entry));
        }
    }
}

/// The author of a drawn entry.
#[derive(Clone, Copy)]
pub(super) struct Draw {
    pub(super) client: u32,
    /// Its entries that are in the call already.
    pub(super) earlier: u64,
}

impl ModelledReplica {
    /// Draws an entry: mostly the next one that the server accepts. `elements` is the last number
    /// of an element.
    pub(super) fn draw(&self, of: Draw, random: &mut Random, elements: &mut u64) -> SyncEntry {
        let (head, horizon) = (self.model.head(), self.model.horizon());
        let next = self.model.last_client_seq(of.client) + 1 + of.earlier;
        let client_seq = match random.below(12) {
            0 => 1 + random.below(next),
            1 => next + 1 + random.below(3),
            _ => next,
        };
        let lag = random.below((head - horizon).min(3) + 1);
        let base = match random.below(10) {
            0 => random.below(head + 3),
            1 | 2 => horizon,
            _ => head - lag,
        };
        let bits = random.below(30);
        let stamp = NOW + random.below(1 << bits);
        let operations = operations(random, elements);
        SyncEntry { seq: u64::MAX, client: of.client, client_seq, base, stamp, operations }
    }
}

/// Entries of trees: the name of the tree, key and value.
pub(super) type Dump = Vec<(String, Vec<u8>, Vec<u8>)>;

/// Returns all entries of the trees whose names a callback selects.
pub(super) fn dump(store: &Store, selects: impl Fn(&str) -> bool) -> Dump {
    let snapshot = store.snapshot();
    let mut entries = Vec::new();
    for name in snapshot.tree_names().filter(|name| selects(name)) {
        for entry in snapshot.tree(name).range(..).unwrap() {
            let (key, value) = entry.unwrap();
            entries.push((name.to_owned(), key.to_vec(), value.to_vec()));
        }
    }
    entries
}
