//! A snapshot of the server's state on its way into the file: parts of a stream become trees beside
//! those of the objects, so that a client that was stopped continues where it was.
//!
//! Format: docs/protocol.md#snapshots.

use super::error::{BadDownload, ClientError, ClientResult};
use super::layout::{FRESH, NUMBERS, REFUSED, RESET, RESET_REST, RESET_STATE};
use crate::chain::Digest;
use crate::codec::{Reader, put_binary, put_varint};
use crate::entry::Problem;
use crate::fault::{self, Fault};
use fastness::{KEY_BYTES_MAX, NAME_BYTES_MAX, StoreSnapshot, VALUE_BYTES_MAX, WriteTxn};

/// Kinds of records in the stream.
const TREE: u8 = 1;
const ENTRY: u8 = 2;
const REFUSAL: u8 = 3;
const CLIENT: u8 = 4;

/// The longest prefix of the name of a tree.
const PREFIX: &str = "fresh/main/";

/// Returns the kind of the records of a tree's entries.
fn kind_of(tree: &str) -> u8 {
    match tree {
        REFUSED => REFUSAL,
        NUMBERS => CLIENT,
        _ => ENTRY,
    }
}

/// A part of a snapshot.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotPart<'p> {
    /// Number of the snapshot.
    pub snapshot: u64,
    /// Epoch of the history.
    pub epoch: u64,
    /// Seq of the last entry in the snapshot.
    pub seq: u64,
    /// Salt of that entry.
    pub salt: u64,
    /// The server's horizon.
    pub horizon: u64,
    /// Offset of the part in the stream.
    pub offset: u64,
    /// Bytes of the stream.
    pub bytes: &'p [u8],
    /// Hash of the whole stream, with the last part.
    pub root: Option<[u8; 32]>,
}

/// A reset in progress, as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ResetState {
    pub(super) cause: u16,
    pub(super) attempts: u64,
    /// The new identity.
    pub(super) client: u32,
    pub(super) ident_salt: u64,
    /// Number of the last own entry that the backup has.
    pub(super) backed_up: u64,
    /// The snapshot, as far as it was received.
    pub(super) snapshot: u64,
    pub(super) epoch: u64,
    pub(super) seq: u64,
    pub(super) salt: u64,
    pub(super) horizon: u64,
    /// Offset of the next part.
    pub(super) offset: u64,
    /// Tree of the next entry of the stream.
    pub(super) tree: String,
    pub(super) root: Option<[u8; 32]>,
}

impl ResetState {
    fn numbers(&mut self) -> [&mut u64; 8] {
        [
            &mut self.attempts,
            &mut self.ident_salt,
            &mut self.snapshot,
            &mut self.epoch,
            &mut self.seq,
            &mut self.salt,
            &mut self.horizon,
            &mut self.offset,
        ]
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, self.cause.into());
        put_varint(&mut bytes, self.client.into());
        let mut copy = self.clone();
        copy.numbers().into_iter().for_each(|number| put_varint(&mut bytes, *number));
        put_binary(&mut bytes, self.tree.as_bytes());
        put_binary(&mut bytes, self.root.as_ref().map_or(&[], |root| &root[..]));
        put_varint(&mut bytes, self.backed_up);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader::new(bytes);
        let mut state = Self::default();
        state.read(&mut rest).ok()?;
        state.tree = String::from_utf8(rest.binary().ok()?.to_vec()).ok()?;
        let root = rest.binary().ok()?;
        state.root = if root.is_empty() { None } else { Some(root.try_into().ok()?) };
        // An earlier version dropped all entries that a reset of mode Discard found.
        state.backed_up = if rest.is_empty() { u64::MAX } else { rest.varint().ok()? };
        rest.is_empty().then_some(state)
    }

    fn read(&mut self, rest: &mut Reader<'_>) -> Result<(), Problem> {
        self.cause = u16::try_from(rest.varint()?).map_err(|_| Problem::Number)?;
        self.client = rest.u32()?;
        for number in self.numbers() {
            *number = rest.varint()?;
        }
        Ok(())
    }

    pub(super) fn in_snapshot(snapshot: &StoreSnapshot) -> Result<Option<Self>, fastness::Error> {
        let bytes = snapshot.tree(RESET).get(RESET_STATE)?;
        Ok(bytes.and_then(|bytes| Self::decode(&bytes)))
    }

    pub(super) fn put(&self, txn: &mut WriteTxn) -> Result<(), fastness::Error> {
        txn.tree(RESET)?.insert(RESET_STATE, &self.encode()).map(drop)
    }

    /// Begins the snapshot again.
    pub(super) fn restart(
        &mut self,
        txn: &mut WriteTxn,
        snapshot: &StoreSnapshot,
    ) -> ClientResult<()> {
        if !fault::on(Fault::Sy11) {
            clear_fresh(txn, snapshot)?;
        }
        let Self { cause, attempts, client, ident_salt, backed_up, .. } = *self;
        *self = Self { cause, attempts, client, ident_salt, backed_up, ..Self::default() };
        Ok(())
    }

    /// Stores the records of a part, which continues the stream.
    pub(super) fn receive(
        &mut self,
        txn: &mut WriteTxn,
        part: &SnapshotPart<'_>,
    ) -> ClientResult<()> {
        let rest = txn.tree(RESET)?.get(RESET_REST)?;
        let mut bytes = rest.map_or_else(Vec::new, |rest| rest.to_vec());
        bytes.extend_from_slice(part.bytes);
        let mut reader = Reader::new(&bytes);
        let mut done = 0;
        while let Some(record) = read_record(&mut reader)? {
            done = reader.at();
            match record {
                StreamRecord::Tree(name) => self.tree = tree_name(name),
                StreamRecord::Entry(key, value) => {
                    if self.tree.is_empty() {
                        return Err(BadDownload::Snapshot.into());
                    }
                    txn.tree(&self.tree)?.insert(key, value)?;
                }
                StreamRecord::Answer(tree, key, value) => {
                    txn.tree(tree)?.insert(key, value)?;
                }
            }
        }
        if bytes.len() - done > VALUE_BYTES_MAX && !fault::planted("NR-76") {
            return Err(BadDownload::Snapshot.into());
        }
        let mut tree = txn.tree(RESET)?;
        tree.insert(RESET_REST, &bytes[done..])?;
        self.offset += part.bytes.len() as u64;
        self.root = part.root;
        let is_whole = part.root.is_none() || done == bytes.len();
        if is_whole { Ok(()) } else { Err(BadDownload::Snapshot.into()) }
    }
}

/// A record of the stream.
enum StreamRecord<'r> {
    Tree(&'r str),
    Entry(&'r [u8], &'r [u8]),
    /// A record beside the state, for a tree of the file.
    Answer(&'static str, &'r [u8], &'r [u8]),
}

/// Reads a record; none if its end is in a later part.
fn read_record<'r>(reader: &mut Reader<'r>) -> ClientResult<Option<StreamRecord<'r>>> {
    let bad = || ClientError::Download(BadDownload::Snapshot);
    let Ok(kind) = reader.u8() else { return Ok(None) };
    let name = match reader.binary() {
        Ok(bytes) => bytes,
        Err(Problem::Truncated) => return Ok(None),
        Err(_) => return Err(bad()),
    };
    let bytes_max = if kind == TREE { NAME_BYTES_MAX - PREFIX.len() } else { KEY_BYTES_MAX };
    if name.len() > bytes_max {
        return Err(bad());
    }
    match kind {
        TREE => {
            std::str::from_utf8(name).map(|name| Some(StreamRecord::Tree(name))).map_err(|_| bad())
        }
        ENTRY | REFUSAL | CLIENT => match reader.binary() {
            Ok(value) if value.len() > VALUE_BYTES_MAX => Err(bad()),
            Ok(value) if kind == ENTRY => Ok(Some(StreamRecord::Entry(name, value))),
            Ok(value) => {
                let tree = if kind == REFUSAL { REFUSED } else { NUMBERS };
                Ok(Some(StreamRecord::Answer(tree, name, value)))
            }
            Err(Problem::Truncated) => Ok(None),
            Err(_) => Err(bad()),
        },
        _ => Err(bad()),
    }
}

/// Name of the tree in the file; the window has an empty name in the stream.
fn tree_name(stream: &str) -> String {
    if stream.is_empty() { format!("{FRESH}window") } else { format!("{PREFIX}{stream}") }
}

/// Name of a tree in the stream.
fn stream_name(tree: &str) -> Option<&str> {
    let name = tree.strip_prefix(FRESH)?;
    Some(if name == "window" { "" } else { name.strip_prefix("main/")? })
}

/// Removes the trees of a snapshot.
pub(super) fn clear_fresh(
    txn: &mut WriteTxn,
    snapshot: &StoreSnapshot,
) -> Result<(), fastness::Error> {
    for name in snapshot.tree_names().filter(|name| name.starts_with(FRESH)) {
        txn.tree(name)?.clear()?;
    }
    txn.tree(RESET)?.remove(RESET_REST).map(drop)
}

/// Returns the hash of a snapshot as it is stored.
pub(super) fn hash(snapshot: &StoreSnapshot) -> Result<[u8; 32], fastness::Error> {
    let mut digest = Digest::default();
    let mut record = Vec::new();
    for tree in snapshot.tree_names() {
        let kind = kind_of(tree);
        if kind == ENTRY {
            let Some(name) = stream_name(tree) else { continue };
            record.clear();
            record.push(TREE);
            put_binary(&mut record, name.as_bytes());
            digest.update(&record);
        }
        for entry in snapshot.tree(tree).range(..)? {
            let (key, value) = entry?;
            record.clear();
            record.push(kind);
            put_binary(&mut record, &key);
            put_binary(&mut record, &value);
            digest.update(&record);
        }
    }
    Ok(digest.finish())
}
