//! Submission: the checks before an entry has a seq, its effective stamp, and the fold.
//!
//! - MR7 The server clamps stamps.
//! - MR8 Submission is idempotent.
//! - SY14 The entries of one call are in the file together, or not at all.
//! - SY16 A forbidden entry is never sequenced.

use super::content::{EntryAuthor, LastElements, check_content};
use super::error::{Answer, EntryRefusal, RefusalCode, ServerResult, UploadStop};
use super::layout::{ClientRecord, HistoryRecord, Meta, Point, client_key, letter_key, seq_key};
use super::refused::{RefusedRecord, keep};
use super::replica::ServerReplica;
use super::state::StateTxn;
use super::trees::{ReadTrees as _, put};
use crate::chain::{chain_hash, salt};
use crate::entry::{Header, Operations};
use crate::fault::{self, Fault};
use crate::merge::Author;

/// The most that a stamp may be ahead of the server's time, in milliseconds.
pub const AHEAD_MAX: u64 = 5 * 60 * 1000;

/// Right of a user on a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The user may read.
    Read,
    /// The user may read and write.
    Write,
}

/// Entries of a client, in order.
#[derive(Clone, Copy, Debug)]
pub struct Submission<'a> {
    /// The client.
    pub client: u32,
    /// Right of its user.
    pub access: Access,
    /// The entries.
    pub entries: &'a [&'a [u8]],
    /// Least base of the client's pending entries, those of this call included.
    pub oldest_base: u64,
}

/// A transaction that submits entries of one client.
pub(super) struct Batch {
    pub(super) txn: StateTxn,
    pub(super) meta: Meta,
    pub(super) head: Point,
    pub(super) id: u32,
    pub(super) client: ClientRecord,
    pub(super) now: u64,
}

impl ServerReplica {
    /// Takes entries of a client at the server's time `now`, in milliseconds since 1970. Returns an
    /// answer for each entry; they end with the first [`Answer::Stopped`]. The answers are durable.
    ///
    /// # Errors
    /// If the client does not exist; if the file cannot be read or written, or is damaged. No entry
    /// has been considered then.
    pub fn submit(&self, submission: &Submission<'_>, now: u64) -> ServerResult<Vec<Answer>> {
        let mut txn = StateTxn::begin(self)?;
        let meta = txn.trees().meta()?;
        let head = txn.trees().head(&meta)?;
        let id = submission.client;
        let client = txn.trees().client(id)?;
        let mut batch = Batch { txn, meta, head, id, client, now };
        let mut answers = Vec::new();
        for entry in submission.entries {
            let answer = batch.submit(entry, submission.access)?;
            answers.push(answer);
            if matches!(answer, Answer::Stopped(_)) {
                break;
            }
        }
        batch.finish(submission.oldest_base)?;
        Ok(answers)
    }
}

impl Batch {
    pub(super) fn submit(&mut self, bytes: &[u8], access: Access) -> ServerResult<Answer> {
        let header = match Operations::new(bytes) {
            Ok(operations) => operations.header(),
            Err(error) => return Ok(Answer::Stopped(UploadStop::Header(error))),
        };
        if header.client_seq <= self.client.last_client_seq && !fault::on(Fault::Sn17) {
            let letter = letter_key(self.id, header.client_seq);
            let refusal: Option<EntryRefusal> = self.txn.trees().record(&letter)?;
            return Ok(refusal.map_or(Answer::Repeated, Answer::Refused));
        }
        if let Some(stop) = self.check_header(header) {
            return Ok(Answer::Stopped(stop));
        }
        let forbidden = EntryRefusal { code: RefusalCode::Forbidden, operation: None };
        let checked = match access {
            Access::Read => Err(forbidden),
            Access::Write => {
                let author = EntryAuthor { client: self.id, user: &self.client.user };
                check_content(&mut self.txn, author, bytes)?
            }
        };
        let sequenced = match checked {
            Ok(elements) => self.sequence(header, bytes, &elements)?,
            Err(refusal) => Err(refusal),
        };
        self.client.last_client_seq = header.client_seq;
        self.client.chain_hash = chain_hash(self.client.chain_hash, bytes);
        Ok(match sequenced {
            Ok((seq, stamp)) => Answer::Sequenced { seq, stamp },
            Err(refusal) => {
                self.keep(refusal, (header, bytes))?;
                Answer::Refused(refusal)
            }
        })
    }

    /// Notes a refusal: for the client, until it knows it, and for the operator.
    fn keep(
        &mut self,
        refusal: EntryRefusal,
        (header, bytes): (Header, &[u8]),
    ) -> ServerResult<()> {
        let Header { client_seq, .. } = header;
        if !fault::on(Fault::Sn19) {
            put(self.txn.trees(), &letter_key(self.id, client_seq), &refusal)?;
        }
        let (user, entry) = (self.client.user.clone(), bytes.to_vec());
        let (client, at) = (self.id, self.now);
        keep(self.txn.trees(), RefusedRecord { client, user, client_seq, at, refusal, entry })
    }

    fn check_header(&self, header: Header) -> Option<UploadStop> {
        // The last number of 64 bits is above all of them.
        let expected = self.client.last_client_seq.saturating_add(1);
        if header.client_seq > expected && !fault::on(Fault::Sn18) {
            Some(UploadStop::Gap { expected })
        } else if header.base > self.head.seq || header.base < self.client.last_base {
            Some(UploadStop::Base)
        } else if header.base < self.meta.horizon.seq && !fault::on(Fault::Sn21) {
            Some(UploadStop::Expired)
        } else {
            None
        }
    }

    /// Returns the effective stamp of an entry (MR7).
    fn stamp(&mut self, header: Header) -> ServerResult<u64> {
        let known = self.txn.trees().point(&self.meta, header.base)?.greatest;
        let known = known.max(self.client.last_stamp);
        let latest = fault::server::unclamped(self.now.saturating_add(AHEAD_MAX));
        let clamped = header.stamp.min(latest);
        Ok(clamped.max(fault::server::unknown(known.saturating_add(1))))
    }

    /// Appends an entry to the history and applies it; refuses one that gets too long by its stamp.
    fn sequence(
        &mut self,
        header: Header,
        bytes: &[u8],
        elements: &LastElements,
    ) -> ServerResult<Result<(u64, u64), EntryRefusal>> {
        let stamp = self.stamp(header)?;
        let Ok(entry) = Operations::with_stamp(bytes, stamp) else {
            return Ok(Err(EntryRefusal { code: RefusalCode::Limit, operation: None }));
        };
        let seq = self.head.seq + 1;
        let Header { client_seq, base, .. } = header;
        self.txn.fold(&Author { seq, client: self.id, client_seq, base, stamp }, bytes)?;
        let record = HistoryRecord {
            client: self.id,
            salt: salt(self.head.salt, self.id, &entry),
            greatest: self.head.greatest.max(stamp),
            bytes: self.head.bytes + entry.len() as u64,
            entry,
        };
        put(self.txn.trees(), &seq_key(seq), &record)?;
        elements.write(&mut self.txn)?;
        self.head = record.point(seq);
        self.client.last_base = base;
        self.client.last_stamp = stamp;
        Ok(Ok((seq, stamp)))
    }

    fn finish(mut self, oldest_base: u64) -> ServerResult<()> {
        let key = client_key(self.id);
        let before: Option<ClientRecord> = self.txn.trees().record(&key)?;
        if before.as_ref().is_some_and(|before| *before != self.client) {
            self.client.needs = self.client.needs.max(oldest_base.min(self.head.seq));
            self.client.contact = self.now.max(1);
            put(self.txn.trees(), &key, &self.client)?;
        }
        self.txn.commit()
    }
}
