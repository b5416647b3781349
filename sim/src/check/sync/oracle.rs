//! The oracle: the model of the server and of each client, which real ones are compared with.
//!
//! - SY1, SY3 A client's states are the folds of the model's history and of its own entries.
//! - SY4, SY13 Every entry that a client wrote is in the history, refused, or in a report.
//! - SY16 The server answers as its model does, and stamps alike.
//! - HC1 A client's stamps increase.
//! - SV2 No two clients get one number.

use super::domain::ModelNames;
use super::replica::{OwnEntry, Replica};
use crate::check::definition::Violation;
use crate::check::promises::{HC1, SV2, SY1, SY3, SY4, SY7, SY8, SY16};
use fastness_models::merge::fold::State;
use fastness_models::merge::server::{Answer as ModelAnswer, Refusal, Server};
use fastness_models::merge::{PENDING, SyncEntry};
use fastness_sync::merge::{Author, Memory, apply};
use fastness_sync::server::{Answer, EntryRefusal, UploadStop};
use std::collections::{BTreeMap, BTreeSet};

/// An entry as its client wrote it; its stamp is the effective one once the client knows it.
#[derive(Clone, Debug)]
pub(super) struct WrittenEntry {
    pub(super) entry: SyncEntry,
    /// The entry as it was written, which tells it from one of a copy of the file.
    pub(super) bytes: Vec<u8>,
    pub(super) is_reported: bool,
    /// The ordered entries of earlier identities that it repeats.
    pub(super) originals: Vec<Original>,
}

/// An entry that a reset wrote again: its client, its number and its bytes.
pub(super) type Original = (u32, u64, Vec<u8>);

/// The time and the right with which entries arrive at the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Submitted {
    pub(super) now_ms: u64,
    pub(super) may_write: bool,
}

impl Submitted {
    /// Entries of a user who may write.
    pub(super) const fn by_writer(now_ms: u64) -> Self {
        Self { now_ms, may_write: true }
    }
}

/// A client: its identity, and above its 32 bits the number of its copied file, 0 for none.
pub(super) type ClientKey = u64;

/// Returns the identity of a client.
pub(super) const fn identity(client: ClientKey) -> u32 {
    let [a, b, c, d, ..] = client.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// The model of a client.
#[derive(Clone, Debug)]
pub(super) struct ClientModel {
    /// The keys of the client before, oldest first.
    pub(super) earlier: Vec<ClientKey>,
    pub(super) epoch: u64,
    pub(super) cursor: u64,
    pub(super) canonical: State,
    pub(super) written: BTreeMap<u64, WrittenEntry>,
    pub(super) refused: BTreeSet<u64>,
}

/// The states of a client in the model.
pub(super) struct ClientStates {
    pub(super) canonical: State,
    pub(super) working: State,
}

/// A history: that of the model, and its fold after each entry, never purged.
#[derive(Clone)]
pub(super) struct History {
    pub(super) server: Server,
    pub(super) folds: Vec<State>,
    /// The last fold, in the core.
    pub(super) core: Memory,
    pub(super) salt: u64,
    /// Why entries were refused, by client and number.
    pub(super) letters: BTreeMap<(u32, u64), EntryRefusal>,
    /// The entries by client and number, as they were submitted, with their seqs.
    pub(super) submitted: BTreeMap<(u32, u64), (u64, Vec<u8>)>,
    /// The refused entries by client and number.
    pub(super) refused: BTreeMap<(u32, u64), SyncEntry>,
}

/// Where a client is in the history.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientPosition {
    pub(super) client: ClientKey,
    pub(super) epoch: u64,
    pub(super) cursor: u64,
}

/// The oracle.
pub(super) struct Oracle {
    pub(super) names: ModelNames,
    pub(super) history: History,
    epoch: u64,
    /// Histories that the server lost when a backup was restored, by epoch.
    past: BTreeMap<u64, History>,
    pub(super) clients: BTreeMap<ClientKey, ClientModel>,
    /// Number of copied files.
    copies: u32,
}

impl History {
    /// Returns the fold of all entries.
    pub(super) fn fold(&self) -> &State {
        self.folds.last().expect("the empty history has a fold")
    }

    /// Returns the seq of an entry that a client wrote. A copy of its file may have used the number
    /// for another entry.
    pub(super) fn seq_of(&self, client: u32, written: &WrittenEntry) -> Option<u64> {
        let (seq, bytes) = self.submitted.get(&(client, written.entry.client_seq))?;
        (*bytes == written.bytes).then_some(*seq)
    }

    /// Tells whether the history up to a seq has an original of an entry.
    pub(super) fn has_original(&self, written: &WrittenEntry, end: u64) -> bool {
        written.originals.iter().any(|(client, number, expected)| {
            let held = self.submitted.get(&(*client, *number));
            held.is_some_and(|(seq, bytes)| *seq <= end && bytes == expected)
        })
    }

    /// Tells whether the history up to a seq has an entry that a client wrote, or an original of
    /// it.
    pub(super) fn has(&self, client: u32, written: &WrittenEntry, end: u64) -> bool {
        self.seq_of(client, written).is_some_and(|seq| seq <= end)
            || self.has_original(written, end)
    }

    /// Tells whether another copy of a client's file has used numbers of its entries, up to a seq.
    pub(super) fn is_copied(&self, client: u32, model: &ClientModel, end: u64) -> bool {
        let all = (client, 0)..=(client, u64::MAX);
        let mut used = self.submitted.range(all.clone()).filter(|(_, (seq, _))| *seq <= end);
        let is_other = |number: u64, is_it: &dyn Fn(&WrittenEntry) -> bool| {
            model.written.get(&number).is_none_or(|written| !is_it(written))
        };
        used.any(|((_, number), (_, bytes))| is_other(*number, &|it| it.bytes == *bytes))
            || self.refused.range(all).any(|((_, number), entry)| {
                is_other(*number, &|it| it.entry.seq != PENDING || it.entry == *entry)
            })
    }
}

pub(super) fn violation<T>(
    invariant: &'static str,
    text: impl Into<String>,
) -> Result<T, Violation> {
    Err(Violation::new(invariant, text))
}

impl Oracle {
    pub(super) fn new(epoch: u64) -> Self {
        let server = Server::new(None);
        let folds = vec![State::new(None)];
        let (core, letters) = (Memory::default(), BTreeMap::new());
        let (submitted, refused) = (BTreeMap::new(), BTreeMap::new());
        let history = History { server, folds, core, salt: 0, letters, submitted, refused };
        let (past, clients) = (BTreeMap::new(), BTreeMap::new());
        Self { names: ModelNames::default(), history, epoch, past, clients, copies: 0 }
    }

    /// Notes that the server begins an epoch with the history of a backup.
    pub(super) fn restore(&mut self, history: History, epoch: u64) {
        let past = std::mem::replace(&mut self.history, history);
        self.past.insert(self.epoch, past);
        self.epoch = epoch;
    }

    pub(super) fn history_of(&self, epoch: u64) -> &History {
        if epoch == self.epoch { &self.history } else { &self.past[&epoch] }
    }

    pub(super) fn head(&self) -> u64 {
        self.history.server.head()
    }

    /// Compares the server's answers to entries of a client.
    pub(super) fn submit(
        &mut self,
        client: u32,
        (entries, answers): (&[Vec<u8>], &[Answer]),
        now_ms: u64,
    ) -> Result<(), Violation> {
        let mut has_stopped = false;
        for (index, bytes) in entries.iter().enumerate() {
            let Some(answer) = answers.get(index).filter(|_| !has_stopped) else {
                let is_complete = has_stopped && answers.len() == index;
                return if is_complete {
                    Ok(())
                } else {
                    violation(SY16.id, "an answer is missing")
                };
            };
            has_stopped = matches!(answer, Answer::Stopped(_));
            self.submit_one(client, (bytes, answer), now_ms)?;
        }
        Ok(())
    }

    fn submit_one(
        &mut self,
        client: u32,
        (bytes, answer): (&[u8], &Answer),
        now_ms: u64,
    ) -> Result<(), Violation> {
        let entry = self.entry(client, bytes)?;
        let expected = self.take(&entry, Submitted::by_writer(now_ms));
        let is_equal = match (answer, expected) {
            (Answer::Sequenced { seq, .. }, Ok(ModelAnswer::Sequenced(expected))) => {
                *seq == expected
            }
            (Answer::Refused(refusal), Err(_)) => {
                self.letter(client, entry.client_seq) == Some(*refusal)
            }
            (Answer::Repeated, Ok(ModelAnswer::Acknowledged))
            | (Answer::Stopped(UploadStop::Gap { .. }), Err(Refusal::Gap))
            | (Answer::Stopped(UploadStop::Base), Err(Refusal::Base))
            | (Answer::Stopped(UploadStop::Expired), Err(Refusal::Expired)) => true,
            _ => false,
        };
        if !is_equal {
            let text = format!("entry {} of client {client} is {answer:?}", entry.client_seq);
            let letter = self.letter(client, entry.client_seq);
            let text = format!("{text}; the model says {expected:?} {letter:?}");
            return violation(SY16.id, text);
        }
        let Answer::Sequenced { seq, stamp } = *answer else { return Ok(()) };
        let sequenced = self.history.server.history.last().expect("the model has the entry");
        if sequenced.stamp != stamp {
            let text = format!("entry {seq} has the stamp {stamp}, not {}", sequenced.stamp);
            return violation(SY7.id, text);
        }
        self.fold_last(client, bytes);
        Ok(())
    }

    /// Applies the last entry of the model's history, which has these bytes.
    pub(super) fn fold_last(&mut self, client: u32, bytes: &[u8]) {
        let sequenced = self.history.server.history.last().expect("the model has the entry");
        let (seq, stamp) = (sequenced.seq, sequenced.stamp);
        let number = (client, sequenced.client_seq);
        self.history.submitted.insert(number, (seq, bytes.to_vec()));
        let mut fold = self.history.folds.last().cloned().unwrap_or_default();
        fold.apply(sequenced);
        self.history.folds.push(fold);
        self.fold_core((client, seq), bytes, stamp);
    }

    fn fold_core(&mut self, (client, seq): (u32, u64), bytes: &[u8], stamp: u64) {
        let stamped = fastness_sync::entry::Operations::with_stamp(bytes, stamp);
        let stamped = stamped.expect("the entry is within the limits");
        self.history.salt = fastness_sync::chain::salt(self.history.salt, client, &stamped);
        let entry = fastness_sync::entry::decode(&stamped).expect("the entry was decoded before");
        let fastness_sync::entry::Header { client_seq, base, .. } = entry.header;
        let author = Author { seq, client, client_seq, base, stamp };
        for operation in entry.operations {
            let Ok(_) = apply(&mut self.history.core, &author, operation);
        }
    }

    pub(super) fn entry(&mut self, client: u32, bytes: &[u8]) -> Result<SyncEntry, Violation> {
        let entry = self.names.entry((client, PENDING), bytes);
        entry.map_err(|error| Violation::new(SY8.id, format!("no entry: {error:?}")))
    }

    /// Notes a new client that begins at a seq.
    ///
    /// # Errors
    /// If another one has its number.
    pub(super) fn begin(
        &mut self,
        client: ClientKey,
        (epoch, seq): (u64, u64),
    ) -> Result<(), Violation> {
        if self.clients.contains_key(&client) {
            return violation(SV2.id, format!("two clients have the number {client}"));
        }
        let index = usize::try_from(seq).unwrap_or(usize::MAX);
        let canonical = self.history_of(epoch).folds[index].clone();
        let earlier = Vec::new();
        let (written, refused) = (BTreeMap::new(), BTreeSet::new());
        let model = ClientModel { earlier, epoch, cursor: seq, canonical, written, refused };
        self.clients.insert(client, model);
        Ok(())
    }

    /// Forgets the entries of a client after a number, which a power loss took.
    pub(super) fn lost_after(&mut self, client: ClientKey, last: u64) {
        let model = self.clients.get_mut(&client).expect("the client exists");
        model.written.retain(|number, _| *number <= last);
    }

    /// Notes an entry that a client wrote.
    pub(super) fn wrote(&mut self, client: ClientKey, own: &OwnEntry) -> Result<(), Violation> {
        let entry = self.entry(own.client, &own.bytes)?;
        let greatest = self.greatest_stamp(client);
        if entry.stamp <= greatest {
            let text = format!("client {client} stamps an entry {} after {greatest}", entry.stamp);
            return violation(HC1.id, text);
        }
        let (bytes, originals) = (own.bytes.clone(), Vec::new());
        let written = WrittenEntry { entry, bytes, is_reported: false, originals };
        let number = own.header.client_seq;
        let model = self.clients.get_mut(&client).expect("the client exists");
        match model.written.insert(number, written) {
            None => Ok(()),
            Some(_) => violation(SY4.id, format!("client {client} wrote two entries {number}")),
        }
    }

    /// Returns the greatest stamp that a client wrote or saw.
    fn greatest_stamp(&self, client: ClientKey) -> u64 {
        let model = &self.clients[&client];
        let history = &self.history_of(model.epoch).server.history;
        let seen = history.iter().take_while(|entry| entry.seq <= model.cursor);
        let written = model.written.values().map(|written| written.entry.stamp);
        seen.map(|entry| entry.stamp).chain(written).max().unwrap_or_default()
    }

    /// Tells whether two clients wrote entries that do not know each other.
    pub(super) fn has_concurrent_entries(&self) -> bool {
        let history = &self.history.server.history;
        history.iter().any(|entry| {
            let earlier = history.iter().take_while(|other| other.seq < entry.seq);
            earlier.filter(|other| other.client != entry.client).any(|other| !entry.knows(other))
        })
    }

    /// Tells whether the server has this epoch.
    pub(super) const fn is_current(&self, epoch: u64) -> bool {
        epoch == self.epoch
    }

    pub(super) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Returns the epoch that a client knows. One without history follows the server from its
    /// beginning.
    pub(super) fn epoch_of(&mut self, client: ClientKey, (epoch, cursor): (u64, u64)) -> u64 {
        let model = self.clients.get_mut(&client).expect("the client exists");
        if epoch != 0 && model.cursor == 0 && cursor > 0 {
            model.epoch = epoch;
        }
        if epoch == 0 { model.epoch } else { epoch }
    }

    /// Tells whether the model of a client has another entry of this number.
    pub(super) fn wrote_other(
        &mut self,
        client: ClientKey,
        own: &OwnEntry,
    ) -> Result<bool, Violation> {
        let found = self.entry(own.client, &own.bytes)?;
        let written = self.clients[&client].written.get(&own.header.client_seq);
        let parts = |entry: &SyncEntry| (entry.stamp, entry.operations.clone());
        Ok(written.is_some_and(|written| parts(&written.entry) != parts(&found)))
    }

    /// Returns the number of the last entry that the model of a client has.
    pub(super) fn last_written(&self, client: ClientKey) -> u64 {
        self.clients[&client].written.keys().next_back().copied().unwrap_or_default()
    }

    /// Tells whether the model of a client has an entry.
    pub(super) fn has_written(&self, client: ClientKey, number: u64) -> bool {
        self.clients[&client].written.contains_key(&number)
    }

    /// Lets the model of a client follow it to its cursor, and compares what is pending.
    pub(super) fn follow(&mut self, at: ClientPosition, pending: &[u64]) -> Result<(), Violation> {
        let ClientPosition { client, epoch, cursor } = at;
        let model = &self.clients[&client];
        if cursor < model.cursor || epoch != model.epoch {
            return violation(SY1.id, format!("client {client} went back to {cursor}"));
        }
        if cursor > model.cursor {
            let mut model = model.clone();
            let history = self.history_of(epoch);
            if cursor > history.server.history.len() as u64 {
                return violation(SY1.id, format!("client {client} is ahead of the server"));
            }
            model.follow(identity(client), history, cursor);
            self.clients.insert(client, model);
        }
        let model = &self.clients[&client];
        let expected: Vec<u64> =
            model.pending(&model.refused).map(|entry| entry.client_seq).collect();
        if pending != expected {
            let text = format!("client {client} has {pending:?} pending, not {expected:?}");
            return violation(SY4.id, text);
        }
        Ok(())
    }

    /// Compares a client with its model, after the model has followed it to its cursor.
    pub(super) fn check(&mut self, replica: &Replica) -> Result<(), Violation> {
        let Replica { epoch, cursor, .. } = *replica;
        let client = replica.identity.client.into();
        let pending: Vec<u64> = replica.pending().map(|entry| entry.header.client_seq).collect();
        self.follow(ClientPosition { client, epoch, cursor }, &pending)?;
        let model = &self.clients[&client];
        for (invariant, state, fold) in [
            (SY1.id, &replica.canonical, &model.canonical),
            (SY3.id, &replica.working, &model.working()),
        ] {
            let found = self.names.visible(state, fold.schema());
            if found != fold.visible() {
                let text = format!("client {client} shows {found:?}, not {:?}", fold.visible());
                return violation(invariant, text);
            }
        }
        Ok(())
    }

    /// Returns the states of a client.
    pub(super) fn states(&self, client: ClientKey) -> ClientStates {
        let model = &self.clients[&client];
        ClientStates { canonical: model.canonical.clone(), working: model.working() }
    }

    /// Checks that every entry is in the history, refused or reported.
    pub(super) fn account(&self) -> Result<(), Violation> {
        if self.history.submitted.len() as u64 != self.head() {
            return violation(SY8.id, "an entry is in the history twice");
        }
        for (client, model) in &self.clients {
            for (number, written) in &model.written {
                let is_held = self.history.has(identity(*client), written, u64::MAX);
                if !is_held && !written.is_reported && !model.refused.contains(number) {
                    let text = format!("entry {number} of client {client} is nowhere");
                    return violation(SY4.id, text);
                }
            }
        }
        Ok(())
    }

    /// Notes that the file of a client was copied; returns the copy.
    pub(super) fn copy(&mut self, client: ClientKey) -> ClientKey {
        self.copies += 1;
        let copies = u64::from(self.copies) << 32;
        let copy_of = |client: ClientKey| u64::from(identity(client)) | copies;
        let mut model = self.clients[&client].clone();
        for earlier in &mut model.earlier {
            let copied = self.clients[&*earlier].clone();
            *earlier = copy_of(*earlier);
            self.clients.insert(*earlier, copied);
        }
        self.clients.insert(copy_of(client), model);
        copy_of(client)
    }
}

impl ClientModel {
    pub(super) fn working(&self) -> State {
        self.working_with(&BTreeSet::new())
    }

    /// Returns the working state of a file that does not know yet that these entries are refused.
    pub(super) fn working_with(&self, unknown: &BTreeSet<u64>) -> State {
        let mut working = self.canonical.clone();
        let refused = &self.refused - unknown;
        self.pending(&refused).for_each(|entry| drop(working.apply(entry)));
        working
    }

    fn pending<'a>(&'a self, refused: &BTreeSet<u64>) -> impl Iterator<Item = &'a SyncEntry> {
        let entries = self.written.values().map(|written| &written.entry);
        entries.filter(|entry| entry.seq == PENDING && !refused.contains(&entry.client_seq))
    }

    /// Applies the history up to a seq.
    fn follow(&mut self, client: u32, history: &History, cursor: u64) {
        let after = self.cursor;
        let entries = history.server.history.iter();
        for entry in entries.filter(|entry| entry.seq > after && entry.seq <= cursor) {
            self.canonical.apply(entry);
            if entry.client == client
                && let Some(written) = self.written.get_mut(&entry.client_seq)
                && history.seq_of(client, written) == Some(entry.seq)
            {
                written.entry.seq = entry.seq;
                written.entry.stamp = entry.stamp;
            }
        }
        self.cursor = cursor;
    }
}
