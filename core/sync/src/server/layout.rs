//! The trees of a server file: their names, keys and records.
//!
//! Specification: docs/sync.md#server-file. Records are sequences of the primitives of
//! docs/protocol.md#primitives; a record ends where its bytes end.

use super::error::{EntryRefusal, RefusalCode, ServerError, ServerResult};
use crate::codec::{Reader, put_binary, put_varint};
use crate::entry::Problem;
use crate::table_state::PurgeCursor;

/// Root of the state's tables.
pub(super) const ROOT: &str = "main";
/// The one record about the file.
pub(super) const META: &str = "server/meta";
/// Entries of the history by seq.
pub(super) const HISTORY: &str = "server/history";
/// Clients by number.
pub(super) const CLIENTS: &str = "server/clients";
/// Refused entries by client and number.
pub(super) const DEAD_LETTERS: &str = "server/dead_letters";
/// Greatest number of an element by author.
pub(super) const ELEMENTS: &str = "server/elements";

/// Key of the record about the file.
pub(super) const META_KEY: &[u8] = &[0];

/// Version of the records.
const VERSION: u8 = 1;

pub(super) const fn seq_key(seq: u64) -> [u8; 8] {
    seq.to_be_bytes()
}

pub(super) const fn client_key(client: u32) -> [u8; 4] {
    client.to_be_bytes()
}

pub(super) fn letter_key(client: u32, client_seq: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&client.to_be_bytes());
    key[4..].copy_from_slice(&client_seq.to_be_bytes());
    key
}

/// Returns the number of the entry of a dead letter's key.
pub(super) fn read_letter_key(key: &[u8]) -> ServerResult<u64> {
    let number = key.get(4..).and_then(|number| number.try_into().ok());
    number.map(u64::from_be_bytes).ok_or(ServerError::Malformed(DEAD_LETTERS))
}

/// The numbers that a client's entries have used, as a snapshot names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UsedNumbers {
    /// The last one.
    pub(crate) last: u64,
    /// Chain hash of the entries up to it.
    pub(crate) chain_hash: u64,
}

impl UsedNumbers {
    /// Returns those of a client's record; none if it has no entry.
    pub(super) fn of_record(record: &[u8]) -> ServerResult<Option<Vec<u8>>> {
        let ClientRecord { last_client_seq, chain_hash, .. } = ClientRecord::decode(record)?;
        let mut bytes = Vec::new();
        put_varint(&mut bytes, last_client_seq);
        put_fixed(&mut bytes, chain_hash);
        Ok((last_client_seq > 0).then_some(bytes))
    }

    /// Reads those of a snapshot; none if they are malformed.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(value);
        let (last, chain_hash) = (reader.varint().ok()?, fixed(&mut reader).ok()?);
        reader.is_empty().then_some(Self { last, chain_hash })
    }
}

/// Reads a dead letter of a snapshot; none if it is malformed.
pub(crate) fn read_letter(value: &[u8]) -> Option<EntryRefusal> {
    EntryRefusal::decode(value).ok()
}

pub(super) fn read_seq_key(key: &[u8]) -> ServerResult<u64> {
    read_number_key(key, HISTORY)
}

/// Returns the number of a key of a tree.
pub(super) fn read_number_key(key: &[u8], tree: &'static str) -> ServerResult<u64> {
    let number = key.try_into().map_err(|_| ServerError::Malformed(tree))?;
    Ok(u64::from_be_bytes(number))
}

/// A value of one of the trees.
pub(super) trait FileRecord: Sized {
    /// The tree.
    const TREE: &'static str;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Problem>;

    fn write(&self, bytes: &mut Vec<u8>);

    fn decode(bytes: &[u8]) -> ServerResult<Self> {
        let mut reader = Reader::new(bytes);
        let record = Self::read(&mut reader).ok().filter(|_| reader.is_empty());
        record.ok_or(ServerError::Malformed(Self::TREE))
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        bytes
    }
}

fn put_fixed(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn fixed(reader: &mut Reader<'_>) -> Result<u64, Problem> {
    reader.array().map(u64::from_le_bytes)
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, Problem> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Problem::Code),
    }
}

/// A point of the history, and sums over the entries up to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Point {
    pub(super) seq: u64,
    pub(super) salt: u64,
    /// Greatest effective stamp: M(seq) of MR7.
    pub(super) greatest: u64,
    /// Bytes of all entries.
    pub(super) bytes: u64,
}

/// The record about the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) database: [u8; 16],
    pub(super) epoch: u64,
    pub(super) horizon: Point,
    /// Horizon up to which the state is purged.
    pub(super) purged: u64,
    pub(super) next_client: u32,
    pub(super) durable_seq: u64,
    /// The operator makes backups.
    pub(super) has_backups: bool,
    /// The file is a backup that was not opened as a database yet.
    pub(super) is_backup: bool,
}

impl FileRecord for Meta {
    const TREE: &'static str = META;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Problem> {
        if reader.u8()? != VERSION {
            return Err(Problem::Version);
        }
        Ok(Self {
            database: reader.array()?,
            epoch: fixed(reader)?,
            horizon: Point {
                seq: reader.varint()?,
                salt: fixed(reader)?,
                greatest: reader.varint()?,
                bytes: reader.varint()?,
            },
            purged: reader.varint()?,
            next_client: reader.u32()?,
            durable_seq: reader.varint()?,
            has_backups: flag(reader)?,
            is_backup: flag(reader)?,
        })
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.database);
        put_fixed(bytes, self.epoch);
        put_varint(bytes, self.horizon.seq);
        put_fixed(bytes, self.horizon.salt);
        put_varint(bytes, self.horizon.greatest);
        put_varint(bytes, self.horizon.bytes);
        put_varint(bytes, self.purged);
        put_varint(bytes, self.next_client.into());
        put_varint(bytes, self.durable_seq);
        bytes.push(self.has_backups.into());
        bytes.push(self.is_backup.into());
    }
}

/// Key of a purge of the state that is not at its end.
pub(super) const PURGE_KEY: &[u8] = &[1];

impl FileRecord for PurgeCursor {
    const TREE: &'static str = META;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Problem> {
        Ok(Self { horizon: reader.varint()?, from: reader.binary()?.to_vec() })
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        put_varint(bytes, self.horizon);
        put_binary(bytes, &self.from);
    }
}

/// An entry of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HistoryRecord {
    pub(super) client: u32,
    pub(super) salt: u64,
    pub(super) greatest: u64,
    pub(super) bytes: u64,
    /// The entry with its effective stamp.
    pub(super) entry: Vec<u8>,
}

impl HistoryRecord {
    /// Returns the client of an encoded record.
    pub(super) fn client_of(record: &[u8]) -> ServerResult<u32> {
        Reader::new(record).u32().map_err(|_| ServerError::Malformed(HISTORY))
    }

    pub(super) const fn point(&self, seq: u64) -> Point {
        Point { seq, salt: self.salt, greatest: self.greatest, bytes: self.bytes }
    }
}

impl FileRecord for HistoryRecord {
    const TREE: &'static str = HISTORY;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Problem> {
        Ok(Self {
            client: reader.u32()?,
            salt: fixed(reader)?,
            greatest: reader.varint()?,
            bytes: reader.varint()?,
            entry: reader.binary()?.to_vec(),
        })
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        put_varint(bytes, self.client.into());
        put_fixed(bytes, self.salt);
        put_varint(bytes, self.greatest);
        put_varint(bytes, self.bytes);
        put_binary(bytes, &self.entry);
    }
}

/// A client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClientRecord {
    /// Proof that a file is the client's.
    pub(super) salt: u64,
    pub(super) user: String,
    /// Number, base and effective stamp of its last entry.
    pub(super) last_client_seq: u64,
    pub(super) last_base: u64,
    pub(super) last_stamp: u64,
    /// Chain hash of its entries.
    pub(super) chain_hash: u64,
    /// The least seq that its downloads and its entries may still refer to.
    pub(super) needs: u64,
    /// Time of its last contact, in milliseconds since 1970; 0 if it is of an earlier epoch.
    pub(super) contact: u64,
}

impl FileRecord for ClientRecord {
    const TREE: &'static str = CLIENTS;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Problem> {
        Ok(Self {
            salt: fixed(reader)?,
            user: String::from_utf8(reader.binary()?.to_vec()).map_err(|_| Problem::Utf8)?,
            last_client_seq: reader.varint()?,
            last_base: reader.varint()?,
            last_stamp: reader.varint()?,
            chain_hash: fixed(reader)?,
            needs: reader.varint()?,
            contact: reader.varint()?,
        })
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        put_fixed(bytes, self.salt);
        put_binary(bytes, self.user.as_bytes());
        put_varint(bytes, self.last_client_seq);
        put_varint(bytes, self.last_base);
        put_varint(bytes, self.last_stamp);
        put_fixed(bytes, self.chain_hash);
        put_varint(bytes, self.needs);
        put_varint(bytes, self.contact);
    }
}

impl FileRecord for EntryRefusal {
    const TREE: &'static str = DEAD_LETTERS;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Problem> {
        read_code(reader)
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        write_code(self, bytes);
    }
}

/// Reads a refusal as a part of a record.
pub(super) fn read_code(reader: &mut Reader<'_>) -> Result<EntryRefusal, Problem> {
    let number = reader.u8()?;
    let code = RefusalCode::ALL.into_iter().find(|code| code.number() == number);
    let operation = reader.u32()?.checked_sub(1);
    Ok(EntryRefusal { code: code.ok_or(Problem::Code)?, operation })
}

/// Writes a refusal as a part of a record.
pub(super) fn write_code(refusal: &EntryRefusal, bytes: &mut Vec<u8>) {
    bytes.push(refusal.code.number());
    put_varint(bytes, refusal.operation.map_or(0, |operation| u64::from(operation) + 1));
}

/// Greatest number of an element of an author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct LastElement(pub(super) u64);

impl FileRecord for LastElement {
    const TREE: &'static str = ELEMENTS;

    fn read(reader: &mut Reader<'_>) -> Result<Self, Problem> {
        reader.varint().map(Self)
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        put_varint(bytes, self.0);
    }
}
