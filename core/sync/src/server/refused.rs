//! Refused entries that are kept for the operator, after their clients know the refusal too.
//!
//! - SV6 The newest refused entries are kept in bounded space, until the operator retries or
//!   discards them.

use super::error::{EntryRefusal, ServerError, ServerResult};
use super::layout::{FileRecord, letter_key, read_code, read_number_key, seq_key, write_code};
use super::replica::ServerReplica;
use super::trees::{ReadTrees as _, put};
use crate::codec::{Reader, put_binary, put_varint};
use crate::entry::Problem;
use crate::fault;
use fastness::WriteTxn;

/// Refused entries that a database keeps; the oldest is dropped for a new one.
pub const REFUSED_MAX: usize = 256;

/// Longest refused entry whose bytes are kept, so that it can be retried.
pub const REFUSED_BYTES_MAX: usize = 64 << 10;

/// Refused entries by the order of their refusals.
pub(super) const REFUSED: &str = "server/refused";

/// A refused entry that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptEntry {
    /// Its number among those that are kept.
    pub number: u64,
    /// The client that wrote it.
    pub client: u32,
    /// Identity of the client's user.
    pub user: String,
    /// Number of the entry among those of the client.
    pub client_seq: u64,
    /// Time of the refusal, in milliseconds since 1970.
    pub at: u64,
    /// The refusal.
    pub refusal: EntryRefusal,
    /// Whether the refusal has to be repeated, because the client may not know it.
    pub is_pending: bool,
    /// The entry; empty if it is longer than [`REFUSED_BYTES_MAX`].
    pub entry: Vec<u8>,
}

/// Record of a refused entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RefusedRecord {
    pub(super) client: u32,
    pub(super) user: String,
    pub(super) client_seq: u64,
    pub(super) at: u64,
    pub(super) refusal: EntryRefusal,
    pub(super) entry: Vec<u8>,
}

impl FileRecord for RefusedRecord {
    const TREE: &'static str = REFUSED;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Problem> {
        Ok(Self {
            client: reader.u32()?,
            user: String::from_utf8(reader.binary()?.to_vec()).map_err(|_| Problem::Utf8)?,
            client_seq: reader.varint()?,
            at: reader.varint()?,
            refusal: read_code(reader)?,
            entry: reader.binary()?.to_vec(),
        })
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        put_varint(bytes, self.client.into());
        put_binary(bytes, self.user.as_bytes());
        put_varint(bytes, self.client_seq);
        put_varint(bytes, self.at);
        write_code(&self.refusal, bytes);
        put_binary(bytes, &self.entry);
    }
}

/// Keeps a refused entry, in the place of the oldest one if there are enough.
pub(super) fn keep(txn: &mut WriteTxn, mut record: RefusedRecord) -> ServerResult<()> {
    if record.entry.len() > REFUSED_BYTES_MAX {
        record.entry.clear();
    }
    let mut kept = txn.tree(REFUSED)?;
    let last = kept.last()?.map_or(Ok(0), |(key, _)| read_number_key(&key, REFUSED))?;
    // Only the oldest one is read: a client that is refused often costs the others no time.
    while kept.len() >= REFUSED_MAX as u64
        && !fault::planted("NR-01")
        && let Some((oldest, _)) = kept.first()?
    {
        kept.remove(&oldest)?;
    }
    put(txn, &seq_key(last + 1), &record)
}

impl ServerReplica {
    /// Returns the refused entries that are kept, the oldest first.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn refused_entries(&self) -> ServerResult<Vec<KeptEntry>> {
        let mut snapshot = &self.store.snapshot();
        let mut kept = Vec::new();
        for entry in snapshot.tree(REFUSED).range(..)? {
            let (key, value) = entry?;
            let number = read_number_key(&key, REFUSED)?;
            let record = RefusedRecord::decode(&value)?;
            let RefusedRecord { client, user, client_seq, at, refusal, entry } = record;
            let letter: Option<EntryRefusal> = snapshot.record(&letter_key(client, client_seq))?;
            let is_pending = letter.is_some();
            kept.push(KeptEntry {
                number,
                client,
                user,
                client_seq,
                at,
                refusal,
                is_pending,
                entry,
            });
        }
        Ok(kept)
    }

    /// Drops a refused entry that is kept. Its client still gets the refusal.
    ///
    /// # Errors
    /// [`ServerError::NotKept`]; if the file cannot be read or written, or is damaged.
    pub fn discard_refused(&self, number: u64) -> ServerResult<()> {
        let mut txn = self.store.write()?;
        let key = seq_key(number);
        let record: Option<RefusedRecord> = txn.record(&key)?;
        record.ok_or(ServerError::NotKept(number))?;
        txn.tree(REFUSED)?.remove(&key)?;
        txn.commit()?;
        Ok(())
    }
}
