//! A client's replica in memory: the rules of `fastness-sync` without a file.
//!
//! - SY3 The working state is the fold of the pending entries over the canonical state.
//! - MR10 Entries are kept until they are backed up.

use super::placement::{Placement, placements};
use super::writer::Writer;
use fastness_sync::chain::{chain_hash, salt};
use fastness_sync::clock::Clock;
use fastness_sync::entry::{Encoder, Entry, EntryError, Header, Operation, Operations, decode};
use fastness_sync::merge::{Author, Memory, apply};
use fastness_sync::outcome::Outcome;
use fastness_sync::reset::{Cause, CreatedObjects, Reset, ResetReport};
use fastness_sync::server::{Answer, ClientIdentity, HistoryItem, HistoryPart, UploadStop};
use std::collections::{BTreeMap, BTreeSet};

/// Number before the elements of drafts, if a file gives the numbers that count.
const DRAFTS_FIRST: u64 = 1 << 40;

/// An entry of the client.
#[derive(Clone, Debug)]
pub(super) struct OwnEntry {
    /// The identity under which it was written.
    pub(super) client: u32,
    pub(super) header: Header,
    pub(super) bytes: Vec<u8>,
    /// Its seq and effective stamp, once it is in the canonical state.
    pub(super) sequenced: Option<(u64, u64)>,
    pub(super) is_refused: bool,
    /// The ordered entries of earlier identities that it repeats.
    originals: Vec<(u32, u64)>,
}

impl OwnEntry {
    const fn new(client: u32, header: Header) -> Self {
        let sequenced = None;
        Self {
            client,
            header,
            bytes: Vec::new(),
            sequenced,
            is_refused: false,
            originals: Vec::new(),
        }
    }

    /// Takes an entry of a client's file.
    ///
    /// # Errors
    /// If the bytes are no entry.
    pub(super) fn of(client: u32, bytes: Vec<u8>) -> Result<Self, EntryError> {
        let header = Operations::new(&bytes)?.header();
        Ok(Self { bytes, ..Self::new(client, header) })
    }

    const fn is_pending(&self) -> bool {
        self.sequenced.is_none() && !self.is_refused
    }

    /// Tells whether the entry, or one that it repeats, is of a client.
    fn names(&self, client: u32) -> bool {
        self.client == client || self.originals.iter().any(|(original, _)| *original == client)
    }

    /// The author of the entry as its client knows it.
    pub(super) fn author(&self) -> Author {
        let Header { client_seq, base, stamp } = self.header;
        let (seq, stamp) = self.sequenced.unwrap_or((u64::MAX, stamp));
        Author { seq, client: self.client, client_seq, base, stamp }
    }
}

/// A state of the server, to begin from.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    pub(super) state: Memory,
    pub(super) epoch: u64,
    pub(super) seq: u64,
    pub(super) salt: u64,
    /// Greatest effective stamp.
    pub(super) stamp: u64,
}

/// A replica. It is what the client's file contains.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    pub(super) identity: ClientIdentity,
    /// Identities before resets, as long as entries of them are not backed up.
    pub(super) earlier: Vec<ClientIdentity>,
    pub(super) epoch: u64,
    pub(super) cursor: u64,
    pub(super) cursor_salt: u64,
    /// Entries that are pending, not answered, or not backed up.
    pub(super) own: Vec<OwnEntry>,
    /// Number of the last entry that was written, and of the last that the server has answered.
    pub(super) last_client_seq: u64,
    pub(super) answered: u64,
    /// Chain hash of the entries that are answered.
    pub(super) chain_hash: u64,
    pub(super) clock: Clock,
    pub(super) canonical: Memory,
    pub(super) working: Memory,
    elements: u64,
    durable_seq: u64,
}

/// A transaction that is not committed.
pub(super) struct Draft {
    /// The entry; none without operations.
    bytes: Option<Result<Vec<u8>, EntryError>>,
    /// Number of the last element after it.
    elements: u64,
}

impl Draft {
    /// Returns where the transaction of a client places elements.
    pub(super) fn placements(&self, client: u32) -> Vec<Placement> {
        match &self.bytes {
            Some(Ok(bytes)) => placements(bytes, client),
            _ => Vec::new(),
        }
    }
}

/// The entries of a client that a history contains.
#[derive(Clone, Debug, Default)]
pub(super) struct Contained {
    /// Number of the last entry of each identity that the history contains or refused.
    pub(super) last: BTreeMap<u32, u64>,
    /// The refused ones.
    pub(super) refused: BTreeSet<(u32, u64)>,
}

/// The entries that a reset decided on, and its report.
pub(super) struct Decided {
    pub(super) entries: Vec<OwnEntry>,
    pub(super) report: ResetReport,
}

/// Reason for which a part of the history cannot be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadPart {
    /// It does not follow the cursor: another one has been applied meanwhile.
    Late,
    /// The client does not have its own entry.
    UnknownOwn(u64),
    /// The salt of the last entry is another one.
    Salt,
    /// An entry cannot be decoded.
    Malformed,
}

impl Replica {
    /// Makes the replica of a client without entries.
    pub(super) fn new(
        identity: ClientIdentity,
        Snapshot { state, epoch, seq, salt, stamp }: Snapshot,
    ) -> Self {
        Self {
            identity,
            earlier: Vec::new(),
            epoch,
            cursor: seq,
            cursor_salt: salt,
            own: Vec::new(),
            last_client_seq: 0,
            answered: 0,
            chain_hash: identity.salt,
            clock: Clock::new(stamp),
            working: state.clone(),
            canonical: state,
            elements: 0,
            durable_seq: 0,
        }
    }

    /// Gives the elements of drafts numbers that the client's file does not give.
    pub(super) const fn number_drafts_apart(&mut self) {
        self.elements = DRAFTS_FIRST;
    }

    pub(super) fn pending(&self) -> impl Iterator<Item = &OwnEntry> {
        self.own.iter().filter(|entry| entry.is_pending())
    }

    /// Returns an entry of the current identity.
    pub(super) fn entry(&self, client_seq: u64) -> Option<&OwnEntry> {
        let client = self.identity.client;
        let is_it =
            |entry: &&OwnEntry| (entry.client, entry.header.client_seq) == (client, client_seq);
        self.own.iter().find(is_it)
    }

    /// Returns the first entries of the current identity from a number on.
    pub(super) fn entries_from(&self, first: u64, count: usize) -> Vec<Vec<u8>> {
        let numbers = first..=self.last_client_seq;
        let entries = numbers.filter_map(|number| self.entry(number)).take(count);
        entries.map(|entry| entry.bytes.clone()).collect()
    }

    fn entry_mut(&mut self, client_seq: u64) -> Option<&mut OwnEntry> {
        let client = self.identity.client;
        let is_it =
            |entry: &&mut OwnEntry| (entry.client, entry.header.client_seq) == (client, client_seq);
        self.own.iter_mut().find(is_it)
    }

    /// Returns numbers that change whenever a state does.
    pub(super) fn fingerprint(&self) -> [u64; 6] {
        let Self { identity, epoch, cursor, last_client_seq, answered, .. } = *self;
        let pending = self.pending().count() as u64;
        [identity.client.into(), epoch, cursor, last_client_seq, answered, pending]
    }

    /// Returns the least base of the pending entries.
    pub(super) fn oldest_base(&self) -> u64 {
        self.pending().map(|entry| entry.header.base).min().unwrap_or(self.cursor)
    }

    /// Takes an entry that the client's file has made.
    ///
    /// # Errors
    /// If the bytes are no entry.
    pub(super) fn push(&mut self, bytes: Vec<u8>) -> Result<OwnEntry, EntryError> {
        let own = OwnEntry::of(self.identity.client, bytes)?;
        self.clock.observe(own.header.stamp);
        self.last_client_seq = own.header.client_seq;
        self.own.push(own);
        self.replay();
        Ok(self.own.last().cloned().expect("the entry was pushed"))
    }

    /// Forgets the entries after a number, which a power loss took.
    pub(super) fn lose_after(&mut self, last: u64) {
        let client = self.identity.client;
        self.own.retain(|own| own.client != client || own.header.client_seq <= last);
        self.last_client_seq = last;
        self.replay();
    }

    /// Does the edits of a transaction without committing it.
    pub(super) fn draft(&self, local_ms: u64, edit: &mut dyn FnMut(&mut Writer<'_>)) -> Draft {
        let mut clock = self.clock;
        let stamp = clock.stamp(local_ms).expect("stamps are below the last one of 64 bits");
        let header = Header { client_seq: self.last_client_seq + 1, base: self.cursor, stamp };
        let entry = OwnEntry::new(self.identity.client, header);
        let (mut working, mut elements) = (self.working.clone(), self.elements);
        let mut writer = Writer::new(&mut working, entry.author(), &mut elements);
        edit(&mut writer);
        let bytes = (!writer.is_empty()).then(|| writer.finish());
        Draft { bytes, elements }
    }

    /// Commits a transaction; returns the entry, if it has an operation.
    ///
    /// # Errors
    /// If it exceeds a limit of entries. Nothing is written then.
    pub(super) fn commit(&mut self, draft: Draft) -> Result<Option<OwnEntry>, EntryError> {
        let Some(bytes) = draft.bytes.transpose()? else { return Ok(None) };
        self.elements = draft.elements;
        self.push(bytes).map(Some)
    }

    /// Applies a part of the history; returns the entries that it shows to be refused.
    pub(super) fn download(&mut self, part: &HistoryPart, from: u64) -> Result<Vec<u64>, BadPart> {
        if from != self.cursor || part.server.epoch != self.epoch {
            return Err(BadPart::Late);
        }
        let (mut next, mut last_salt) = (self.clone(), self.cursor_salt);
        for item in &part.items {
            let (client, entry) = next.apply(item)?;
            last_salt = salt(last_salt, client, &entry);
        }
        if last_salt != part.salt || next.cursor != part.to {
            return Err(BadPart::Salt);
        }
        next.cursor_salt = last_salt;
        next.durable_seq = next.durable_seq.max(part.server.durable_seq);
        next.advance();
        let mut refused = next.refused_numbers();
        refused.retain(|number| self.entry(*number).is_some_and(OwnEntry::is_pending));
        next.replay();
        *self = next;
        Ok(refused)
    }

    fn refused_numbers(&self) -> Vec<u64> {
        let refused = self.own.iter().filter(|entry| entry.is_refused);
        refused.map(|entry| entry.header.client_seq).collect()
    }

    /// Applies the next entry to the canonical state; returns its client and its encoding.
    fn apply(&mut self, item: &HistoryItem) -> Result<(u32, Vec<u8>), BadPart> {
        let own = self.identity.client;
        let (client, entry) = match item {
            HistoryItem::Entry { client, entry } => (*client, entry.clone()),
            HistoryItem::Own { client_seq, stamp } => {
                let held = self.entry(*client_seq).ok_or(BadPart::UnknownOwn(*client_seq))?;
                let entry = Operations::with_stamp(&held.bytes, *stamp);
                let entry = entry.map_err(|_| BadPart::Malformed)?;
                (own, entry)
            }
        };
        let Entry { header, operations } = decode(&entry).map_err(|_| BadPart::Malformed)?;
        let Header { client_seq, base, stamp } = header;
        self.cursor += 1;
        self.clock.observe(stamp);
        let author = Author { seq: self.cursor, client, client_seq, base, stamp };
        for operation in operations {
            let Ok(_) = apply(&mut self.canonical, &author, operation);
        }
        if client == own {
            // The history has the entries of a client in their order.
            for entry in &mut self.own {
                let is_before = entry.client == own && entry.header.client_seq < client_seq;
                entry.is_refused |= is_before && entry.is_pending();
            }
            let sequenced = Some((self.cursor, stamp));
            self.entry_mut(client_seq).ok_or(BadPart::UnknownOwn(client_seq))?.sequenced =
                sequenced;
        }
        Ok((client, entry))
    }

    /// Makes the working state of the canonical one.
    fn replay(&mut self) {
        let Self { answered, durable_seq, identity, .. } = *self;
        self.own.retain(|entry| {
            let is_answered =
                entry.client != identity.client || entry.header.client_seq <= answered;
            let is_backed_up = entry.sequenced.is_some_and(|(seq, _)| seq <= durable_seq);
            !is_answered || !(is_backed_up || entry.is_refused)
        });
        let own = &self.own;
        self.earlier.retain(|earlier| own.iter().any(|own| own.names(earlier.client)));
        self.working = self.canonical.clone();
        for entry in self.own.iter().filter(|entry| entry.is_pending()) {
            let author = entry.author();
            for operation in own_operations(&entry.bytes) {
                let Ok(_) = apply(&mut self.working, &author, operation);
            }
        }
    }

    /// Takes the answers to entries from a number on; returns the numbers of refused ones, and why
    /// the upload ended. An entry that was not refused is pending until the history brings it.
    pub(super) fn answer(
        &mut self,
        first: u64,
        answers: &[Answer],
    ) -> (Vec<u64>, Option<UploadStop>) {
        let mut refused = Vec::new();
        for (number, answer) in (first..).zip(answers) {
            match answer {
                Answer::Refused(_) => refused.extend(self.refuse(number).then_some(number)),
                Answer::Stopped(reason) => return (refused, Some(*reason)),
                _ => {}
            }
        }
        self.replay();
        (refused, None)
    }

    /// Takes an entry out; tells whether that is new.
    fn refuse(&mut self, number: u64) -> bool {
        let pending = self.entry_mut(number).filter(|entry| entry.is_pending());
        let is_new = pending.map(|entry| entry.is_refused = true).is_some();
        self.advance();
        is_new
    }

    /// Continues the chain of answered entries.
    fn advance(&mut self) {
        while let Some(next) = self.entry(self.answered + 1).filter(|entry| !entry.is_pending()) {
            self.chain_hash = chain_hash(self.chain_hash, &next.bytes);
            self.answered += 1;
        }
    }

    /// Returns the chain hash of the client's entries up to a number; none if it lacks one.
    pub(super) fn chain_up_to(&self, client_seq: u64) -> Option<u64> {
        let entries = self.answered + 1..=client_seq;
        entries.clone().try_fold(self.chain_hash, |hash, number| {
            Some(chain_hash(hash, &self.entry(number)?.bytes))
        })
    }

    /// Returns the pending entries that were refused, by client and number.
    pub(super) fn untold(&self, contained: &Contained) -> Vec<(u32, u64)> {
        let pending = self.own.iter().filter(|own| own.is_pending());
        let numbers = pending.map(|own| (own.client, own.header.client_seq));
        numbers.filter(|number| contained.refused.contains(number)).collect()
    }

    /// Replaces the entries that a reset wrote by those of the client's file.
    ///
    /// # Errors
    /// If the bytes are no entries.
    pub(super) fn take_entries(&mut self, entries: Vec<Vec<u8>>) -> Result<(), EntryError> {
        let client = self.identity.client;
        let (mut before, others): (Vec<OwnEntry>, Vec<OwnEntry>) =
            std::mem::take(&mut self.own).into_iter().partition(|own| own.client == client);
        self.own = others;
        let earlier = self.earlier.clone();
        self.last_client_seq = 0;
        for entry in entries {
            let number = self.push(entry)?.header.client_seq;
            let same = before.iter_mut().find(|own| own.header.client_seq == number);
            if let (Some(same), Some(own)) = (same, self.own.last_mut()) {
                own.originals = std::mem::take(&mut same.originals);
            }
        }
        self.earlier = earlier;
        self.replay();
        Ok(())
    }

    /// Writes the client's entries that the new history does not contain again, onto a fresh state
    /// and under a new identity.
    pub(super) fn reset(
        &mut self,
        cause: Cause,
        (identity, snapshot): (ClientIdentity, Snapshot),
        contained: &Contained,
    ) -> Decided {
        let mut next = Self::new(identity, snapshot);
        next.clock.observe(self.clock.last());
        let is_absent = |(client, number): (u32, u64)| {
            number > contained.last.get(&client).copied().unwrap_or_default()
        };
        let is_lost = |entry: &OwnEntry| {
            let name = (entry.client, entry.header.client_seq);
            is_absent(name) && entry.originals.iter().all(|original| is_absent(*original))
        };
        let is_refused = |entry: &&OwnEntry| {
            let number = (entry.client, entry.header.client_seq);
            entry.is_refused || contained.refused.contains(&number)
        };
        let own = self.own.iter().filter(|entry| !is_refused(entry)).cloned();
        let (lost, kept): (Vec<OwnEntry>, Vec<OwnEntry>) = own.partition(is_lost);
        // An answer or a download may have been lost, but the history has the entry.
        let fresh_seq = next.cursor;
        next.own = kept;
        for entry in &mut next.own {
            let (seq, _) = entry.sequenced.get_or_insert((fresh_seq, entry.header.stamp));
            if is_absent((entry.client, entry.header.client_seq)) {
                // The history has its original.
                *seq = fresh_seq;
            }
        }
        next.earlier.clone_from(&self.earlier);
        next.earlier.push(self.identity);
        let report = self.write_again(&mut next, (cause, &lost));
        next.replay();
        *self = next;
        Decided { entries: lost, report }
    }

    fn write_again(&self, next: &mut Self, (cause, lost): (Cause, &[OwnEntry])) -> ResetReport {
        let fresh = next.canonical.clone();
        let (canonical, working) = (&self.canonical, &self.working);
        let mut reset = Reset { fresh, canonical, working, created: CreatedObjects::default() };
        let mut report = ResetReport::new(cause, self.identity.client);
        for entry in lost {
            let stamp = next.clock.last() + 1;
            let header = Header { client_seq: next.last_client_seq + 1, base: next.cursor, stamp };
            let mut again = OwnEntry::new(next.identity.client, header);
            again.originals.clone_from(&entry.originals);
            if entry.sequenced.is_some() {
                again.originals.push((entry.client, entry.header.client_seq));
            }
            let (mut operations, mut outcomes) = (Vec::new(), Vec::<Outcome>::new());
            for operation in own_operations(&entry.bytes) {
                let Ok((written, outcome)) =
                    reset.recover(&entry.author(), &again.author(), operation);
                operations.extend(written);
                outcomes.push(outcome);
            }
            report.push(&entry.bytes, outcomes).expect("the client wrote the entry");
            if !operations.is_empty() {
                let bytes = encode(header, &operations).expect("the entry is within the limits");
                next.clock.observe(stamp);
                next.last_client_seq = header.client_seq;
                next.own.push(OwnEntry { bytes, ..again });
            }
        }
        report
    }
}

fn own_operations(bytes: &[u8]) -> Vec<Operation<'_>> {
    decode(bytes).expect("the client wrote the entry").operations
}

fn encode(header: Header, operations: &[Operation<'_>]) -> Result<Vec<u8>, EntryError> {
    let mut encoder = Encoder::new(header)?;
    operations.iter().try_for_each(|operation| encoder.push(operation))?;
    encoder.finish()
}
