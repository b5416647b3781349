//! Downloads: entries of the history become a part of the canonical state.
//!
//! - SY1 Replicas with one cursor and nothing pending show the same state.
//! - SY4 An acknowledged operation is in the history, was overridden, or is named in a report.
//! - SY8 A download that was applied before changes nothing.
//! - SV5 A client applies entries only if they continue the history that it knows, up to their
//!   salt.

use super::error::{BadDownload, ClientError, ClientResult};
use super::layout::{
    DEAD_LETTERS, PENDING, UNSAVED, entry_key, number_key, read_entry_key, read_number,
};
use super::originals::forget_originals;
use super::pending::{self, PendingEntry};
use super::rebase::{Rebase, header};
use crate::chain::{chain_hash, salt};
use crate::clock::STAMP_MAX;
use crate::codec::{Reader, put_binary, put_varint};
use crate::entry::{self, Entry, Header, Operation, Operations};
use crate::fault::{self, Fault};
use crate::merge::{Author, PENDING_SEQ};
use crate::outcome::Outcome;
use crate::table_state::{TableState, WINDOW_TREE};
use fastness::Error;
use fastness::table::{SideKey, Tables};

/// Entries of the history from a cursor on.
#[derive(Clone, Copy, Debug)]
pub struct Download<'d> {
    /// Epoch of the history.
    pub epoch: u64,
    /// Seq before the first entry.
    pub from: u64,
    /// Salt of the last entry.
    pub salt: u64,
    /// The server's horizon.
    pub horizon: u64,
    /// Seq up to which the operator's backup reaches.
    pub durable_seq: u64,
    /// The entries, in order.
    pub items: &'d [DownloadItem<'d>],
}

/// An entry of a download.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownloadItem<'d> {
    /// An entry.
    Entry {
        /// Its client.
        client: u32,
        /// The entry, with its effective stamp.
        entry: &'d [u8],
    },
    /// An entry of this client, which has its operations.
    Own {
        /// Its number.
        client_seq: u64,
        /// Its effective stamp.
        stamp: u64,
    },
}

/// Outcomes of the operations of an own entry, which has its place in the history now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryOutcome {
    /// Its number.
    pub client_seq: u64,
    /// Its seq.
    pub seq: u64,
    /// The entry as it was written.
    pub entry: Vec<u8>,
    /// One outcome for each operation.
    pub outcomes: Vec<Outcome>,
}

/// Effect of a download.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Own entries that got their place.
    pub own: Vec<EntryOutcome>,
    /// Numbers of own entries that the server refused, as the later ones show that got their place.
    pub refused: Vec<u64>,
    /// Number of entries of others.
    pub foreign: u64,
}

/// Reason for which the server refused an entry for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Code of the protocol; 0 if the history shows the refusal, but not its reason.
    pub code: u16,
    /// Index of the operation, if it is about one.
    pub operation: Option<u32>,
}

/// A refused entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The client that it is of.
    pub client: u32,
    /// Its number.
    pub client_seq: u64,
    /// The reason.
    pub refusal: Refusal,
    /// The entry.
    pub entry: Vec<u8>,
}

impl Refusal {
    fn encode(self, entry: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, self.code.into());
        put_varint(&mut bytes, self.operation.map_or(0, |index| u64::from(index) + 1));
        put_binary(&mut bytes, entry);
        bytes
    }
}

impl DeadLetter {
    pub(super) fn decode(key: &[u8], bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader::new(bytes);
        let code = u16::try_from(rest.varint().ok()?).ok()?;
        let operation = rest.varint().ok()?.checked_sub(1);
        let operation = operation.map(u32::try_from).transpose().ok()?;
        let entry = rest.binary().ok()?.to_vec();
        let (client, client_seq) = read_entry_key(key)?;
        Some(Self { client, client_seq, refusal: Refusal { code, operation }, entry })
    }
}

impl Rebase<'_> {
    /// Applies the entries of a download.
    pub(super) fn download(&mut self, download: &Download<'_>) -> ClientResult<Merged> {
        if download.from != self.meta.cursor && !fault::on(Fault::Sy09) {
            return Err(BadDownload::Cursor.into());
        }
        let durable = self.meta.durable_seq;
        self.meta.durable_seq = durable.max(download.durable_seq);
        let mut merged = Merged::default();
        let mut chain = self.meta.cursor_salt;
        for item in download.items {
            let seq = self.meta.cursor.checked_add(1).filter(|seq| *seq < PENDING_SEQ);
            let seq = seq.ok_or(BadDownload::Cursor)?;
            match *item {
                DownloadItem::Own { client_seq, stamp } => {
                    let own = self.own(seq, (client_seq, stamp), &mut merged.refused)?;
                    let entry = Operations::with_stamp(&own.entry, stamp);
                    let entry = entry.map_err(|_| BadDownload::Own)?;
                    chain = salt(chain, self.meta.client, &entry);
                    merged.own.push(own);
                }
                DownloadItem::Entry { client, entry } => {
                    chain = salt(chain, client, entry);
                    let header = header(entry).ok_or(BadDownload::Entry)?;
                    let Header { client_seq, stamp, .. } = header;
                    if client == self.meta.client && self.is_pending(client_seq)? {
                        let own = self.own(seq, (client_seq, stamp), &mut merged.refused)?;
                        if Operations::with_stamp(&own.entry, stamp).as_deref() != Ok(entry) {
                            return Err(BadDownload::Own.into());
                        }
                        merged.own.push(own);
                    } else {
                        self.foreign(seq, (client, header), entry)?;
                        merged.foreign += 1;
                    }
                }
            }
            self.meta.cursor = seq;
        }
        if chain != download.salt {
            return Err(BadDownload::Salt.into());
        }
        self.meta.cursor_salt = chain;
        self.meta.epoch = download.epoch;
        self.meta.horizon = self.meta.horizon.max(download.horizon);
        if self.meta.durable_seq > durable {
            self.forget_saved()?;
        }
        Ok(merged)
    }

    /// Notes the stamp of an entry of the history.
    fn observe(&mut self, stamp: u64) -> Result<(), BadDownload> {
        if stamp > fault::client::stamps(STAMP_MAX) {
            return Err(BadDownload::Stamp);
        }
        self.meta.last_stamp = self.meta.last_stamp.max(stamp);
        Ok(())
    }

    fn is_pending(&self, client_seq: u64) -> Result<bool, Error> {
        let at = SideKey { tree: PENDING, key: &number_key(client_seq) };
        Ok(self.tables.side_get(at)?.is_some())
    }

    fn foreign(
        &mut self,
        seq: u64,
        (client, header): (u32, Header),
        entry: &[u8],
    ) -> ClientResult<()> {
        let Header { client_seq, base, stamp } = header;
        let author = Author { seq, client, client_seq, base, stamp };
        let entry = entry::decode(entry).map_err(|_| BadDownload::Entry)?;
        self.require_no_local(&entry)?;
        if !fault::on(Fault::Sn15) {
            self.observe(stamp)?;
        }
        if !self.is_undone && !self.is_disjoint(&author, &entry)? {
            self.undo()?;
        }
        self.apply_entry(&author, &entry)?;
        Ok(())
    }

    /// Checks that an entry adds no class of the name of a local one: the file could not follow the
    /// history.
    fn require_no_local(&self, entry: &Entry<'_>) -> ClientResult<()> {
        for operation in &entry.operations {
            if let Operation::AddClass { class, .. } = operation
                && self.tables.is_local_class(class)
            {
                return Err(ClientError::LocalClass((*class).to_owned()));
            }
        }
        Ok(())
    }

    /// Gives a pending entry its place. Adds the numbers of those that were refused before it.
    fn own(
        &mut self,
        seq: u64,
        (client_seq, stamp): (u64, u64),
        refused: &mut Vec<u64>,
    ) -> ClientResult<EntryOutcome> {
        self.observe(stamp)?;
        let ordered = match self.own_fast(seq, (client_seq, stamp))? {
            Some(ordered) => ordered,
            None => {
                let buried = self.bury_before(client_seq)?;
                refused.extend(buried.into_iter().filter(|_| !fault::on(Fault::Sn51)));
                self.own_slow(seq, (client_seq, stamp))?
            }
        };
        let entry = &ordered.entry;
        self.answer(client_seq, entry)?;
        if seq > fault::client::everything(self.meta.durable_seq) {
            // A reset compares the stamp that the history has, whatever the client's clock said.
            let stamped = Operations::with_stamp(entry, stamp);
            let stamped = stamped.map_err(|_| self.tables.damaged())?;
            let saved = [&number_key(seq)[..], &stamped].concat();
            let mut unsaved = self.tables.txn_mut().tree(UNSAVED)?;
            unsaved.insert(&entry_key(self.meta.client, client_seq), &saved)?;
        } else {
            forget_originals(self.tables, (self.meta.client, client_seq))?;
        }
        Ok(ordered)
    }

    /// Orders an entry that the canonical state takes as it is in the working state: the oldest
    /// one, with the stamp that it was written with.
    fn own_fast(
        &mut self,
        seq: u64,
        (client_seq, stamp): (u64, u64),
    ) -> ClientResult<Option<EntryOutcome>> {
        if self.is_undone || !self.is_known || fault::client::is_thousandth(client_seq) {
            return Ok(None);
        }
        let first = pending::first(self.tables)?;
        let Some(record) = first.filter(|first| first.client_seq == client_seq) else {
            return Ok(None);
        };
        let header = header(&record.entry).ok_or_else(|| self.tables.damaged())?;
        if header.stamp != stamp {
            return Ok(None);
        }
        let author = Author { seq, client: self.meta.client, client_seq, base: header.base, stamp };
        self.ordered_runs = None;
        pending::order_first(self.tables, &record, (seq, self.meta.last_client_seq))?;
        TableState::new(self.tables, WINDOW_TREE).note_entry(&author)?;
        let (entry, mut outcomes) = (record.entry, record.outcomes);
        if outcomes.is_empty() {
            let count = Operations::new(&entry).map_err(|_| self.tables.damaged())?.count();
            outcomes.resize(count, Outcome::Applied);
        }
        Ok(Some(EntryOutcome { client_seq, seq, entry, outcomes }))
    }

    /// Applies the oldest pending entry to the canonical state.
    fn own_slow(
        &mut self,
        seq: u64,
        (client_seq, stamp): (u64, u64),
    ) -> ClientResult<EntryOutcome> {
        self.undo()?;
        let first = pending::first(self.tables)?;
        let first = first.filter(|first| first.client_seq == client_seq);
        let PendingEntry { entry, .. } = first.ok_or(BadDownload::Own)?.into_entry();
        self.tables.txn_mut().tree(PENDING)?.remove(&number_key(client_seq))?;
        let header = header(&entry).ok_or_else(|| self.tables.damaged())?;
        let stamp = fault::client::own_stamp(stamp, header);
        let author = Author { seq, client: self.meta.client, client_seq, base: header.base, stamp };
        let outcomes = self.apply(&author, &entry)?.ok_or_else(|| self.tables.damaged())?;
        Ok(EntryOutcome { client_seq, seq, entry, outcomes })
    }

    /// Continues the chain of answered entries with one, and with refused ones around it.
    fn answer(&mut self, client_seq: u64, entry: &[u8]) -> Result<(), Error> {
        self.answer_refused()?;
        if self.meta.answered + 1 == client_seq {
            self.meta.chain_hash = chain_hash(self.meta.chain_hash, entry);
            self.meta.answered = client_seq;
        }
        self.answer_refused()
    }

    fn answer_refused(&mut self) -> Result<(), Error> {
        loop {
            let next = self.meta.answered + 1;
            let letter = dead_letter(self.tables, (self.meta.client, next))?;
            let Some(letter) = letter.filter(|_| !fault::on(Fault::Sn37)) else {
                return Ok(());
            };
            self.meta.chain_hash = chain_hash(self.meta.chain_hash, &letter.entry);
            self.meta.answered = next;
        }
    }

    /// Takes a pending entry out: the server refused it for ever.
    pub(super) fn refuse(&mut self, client_seq: u64, refusal: Refusal) -> Result<bool, Error> {
        if self.is_pending(client_seq)? {
            let refused = pending::first_from(self.tables, fault::client::oldest(client_seq))?;
            let refused = refused.ok_or_else(|| self.tables.damaged())?;
            if fault::planted("NR-65") || !self.take_out(&refused)? {
                self.undo()?;
            }
            self.bury(&refused.into_entry(), refusal)?;
            self.answer_refused()?;
            fault::client::reuse_number(&mut self.meta, client_seq);
            return Ok(true);
        }
        let at = (self.meta.client, client_seq);
        let Some(letter) = dead_letter(self.tables, at)? else { return Ok(false) };
        let is_new = letter.refusal.code == 0;
        if is_new {
            let entry = letter.entry;
            self.bury(&PendingEntry { client_seq, entry }, refusal)?;
        }
        Ok(is_new)
    }

    /// Takes pending entries up to a number out: the history that could contain them is here.
    pub(super) fn refuse_up_to(&mut self, client_seq: u64) -> Result<Vec<u64>, Error> {
        let refused = self.bury_before(client_seq.saturating_add(1))?;
        self.answer_refused()?;
        Ok(refused)
    }

    /// Moves the pending entries before a number to the dead letters: the history has the entries
    /// of a client in their order, and not these.
    fn bury_before(&mut self, client_seq: u64) -> Result<Vec<u64>, Error> {
        self.undo()?;
        let mut refused = Vec::new();
        while let Some(first) = pending::first(self.tables)?.filter(|it| it.client_seq < client_seq)
        {
            refused.push(first.client_seq);
            self.bury(&first.into_entry(), Refusal { code: 0, operation: None })?;
        }
        Ok(refused)
    }

    fn bury(&mut self, refused: &PendingEntry, refusal: Refusal) -> Result<(), Error> {
        self.tables.txn_mut().tree(PENDING)?.remove(&number_key(refused.client_seq))?;
        put_letter(self.tables, (self.meta.client, refused), refusal)
    }

    /// Forgets own entries that a backup contains. Those of each identity are in the order of seqs.
    fn forget_saved(&mut self) -> Result<(), Error> {
        let durable_seq = self.meta.durable_seq;
        let mut from = Vec::new();
        let all = SideKey { tree: UNSAVED, key: &[] };
        while let Some((key, value)) = self.tables.side_next(all, &from)? {
            let seq = value.get(..8).and_then(read_number);
            let (client, client_seq) = read_entry_key(&key).ok_or_else(|| self.tables.damaged())?;
            from = if seq.is_some_and(|seq| seq <= durable_seq) {
                self.tables.txn_mut().tree(UNSAVED)?.remove(&key)?;
                forget_originals(self.tables, (client, client_seq))?;
                entry_key(client, client_seq)
            } else if let Some(next) = client.checked_add(1) {
                entry_key(next, 0)
            } else {
                return Ok(());
            };
        }
        Ok(())
    }
}

/// Makes a dead letter of an entry of a client.
pub(super) fn put_letter(
    tables: &mut Tables,
    (client, refused): (u32, &PendingEntry),
    refusal: Refusal,
) -> Result<(), Error> {
    let key = entry_key(client, refused.client_seq);
    forget_originals(tables, (client, refused.client_seq))?;
    let mut letters = tables.txn_mut().tree(DEAD_LETTERS)?;
    letters.insert(&key, &refusal.encode(&refused.entry)).map(drop)
}

/// Returns the dead letter of a client's entry.
pub(super) fn dead_letter(
    tables: &Tables,
    (client, client_seq): (u32, u64),
) -> Result<Option<DeadLetter>, Error> {
    let key = entry_key(client, client_seq);
    let Some(bytes) = tables.side_get(SideKey { tree: DEAD_LETTERS, key: &key })? else {
        return Ok(None);
    };
    DeadLetter::decode(&key, &bytes).map(Some).ok_or_else(|| tables.damaged())
}
