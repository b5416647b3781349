//! Metadata of a client: its identity, its place in the history, its clock.
//!
//! Format: docs/sync.md#client-file.

use super::layout::{CLIENT, META, PENDING, read_number};
use super::pending::entry_of;
use crate::codec::{Reader, put_varint};
use crate::entry::{Operations, Problem};
use fastness::table::{SideKey, Tables};
use fastness::{Error, StoreSnapshot};

/// Identity, cursor and clock of a client's file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientMeta {
    /// Number of the client; 0 until the server gave one.
    pub client: u32,
    /// Proof that the number is the client's.
    pub ident_salt: u64,
    /// Epoch of the history; 0 if none is known.
    pub epoch: u64,
    /// Seq of the last entry of the canonical state.
    pub cursor: u64,
    /// Salt of that entry.
    pub cursor_salt: u64,
    /// Number of the last entry that was written.
    pub last_client_seq: u64,
    /// Number of the last entry whose answer is known.
    pub answered: u64,
    /// Chain hash of the entries up to that one.
    pub chain_hash: u64,
    /// Greatest stamp that was written or seen.
    pub last_stamp: u64,
    /// Seq up to which the operator's backup reaches.
    pub durable_seq: u64,
    /// The server's horizon.
    pub horizon: u64,
    /// Seq up to which the window was purged.
    pub purged: u64,
}

/// The fields in their order in the file.
type MetaFields<'m> = [&'m mut u64; 11];

impl ClientMeta {
    fn fields(&mut self) -> MetaFields<'_> {
        [
            &mut self.ident_salt,
            &mut self.epoch,
            &mut self.cursor,
            &mut self.cursor_salt,
            &mut self.last_client_seq,
            &mut self.answered,
            &mut self.chain_hash,
            &mut self.last_stamp,
            &mut self.durable_seq,
            &mut self.horizon,
            &mut self.purged,
        ]
    }

    pub(super) fn encode(mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, self.client.into());
        self.fields().into_iter().for_each(|field| put_varint(&mut bytes, *field));
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader::new(bytes);
        let mut meta = Self::default();
        meta.read(&mut rest).ok()?;
        rest.is_empty().then_some(meta)
    }

    fn read(&mut self, rest: &mut Reader<'_>) -> Result<(), Problem> {
        self.client = rest.u32()?;
        for field in self.fields() {
            *field = rest.varint()?;
        }
        Ok(())
    }

    pub(super) fn of(tables: &Tables) -> Result<Self, Error> {
        let meta = match tables.side_get(SideKey { tree: META, key: CLIENT })? {
            None => Some(Self::default()),
            Some(bytes) => Self::decode(&bytes),
        };
        let last = tables.side_last(PENDING)?;
        let meta = meta.and_then(|meta| match &last {
            Some((key, record)) => meta.after(key, record),
            None => Some(meta),
        });
        meta.ok_or_else(|| tables.damaged())
    }

    /// Counts the last pending entry too: a commit of an app writes the entry only.
    fn after(self, key: &[u8], record: &[u8]) -> Option<Self> {
        let header = Operations::new(entry_of(record)?).ok()?.header();
        let last_client_seq = self.last_client_seq.max(read_number(key)?);
        Some(Self { last_client_seq, last_stamp: self.last_stamp.max(header.stamp), ..self })
    }

    pub(crate) fn put(self, tables: &mut Tables) -> Result<(), Error> {
        tables.txn_mut().tree(META)?.insert(CLIENT, &self.encode()).map(drop)
    }

    /// Reads the metadata of a commit; none if they are damaged.
    pub(super) fn in_snapshot(snapshot: &StoreSnapshot) -> Result<Option<Self>, Error> {
        let meta = match snapshot.tree(META).get(CLIENT)? {
            None => Some(Self::default()),
            Some(bytes) => Self::decode(&bytes),
        };
        let last = snapshot.tree(PENDING).last()?;
        Ok(meta.and_then(|meta| match &last {
            Some((key, record)) => meta.after(key, record),
            None => Some(meta),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_survive_their_bytes() {
        let mut meta = ClientMeta { client: 7, ..ClientMeta::default() };
        for (number, field) in (1_u64..).zip(meta.fields()) {
            *field = u64::MAX / number;
        }
        assert_eq!(ClientMeta::decode(&meta.encode()), Some(meta));
        assert_eq!(ClientMeta::decode(&meta.encode()[1..]), None);
    }
}
