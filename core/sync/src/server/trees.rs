//! Reading and writing the records of a server file.

use super::error::{ServerError, ServerResult};
use super::layout::{
    CLIENTS, ClientRecord, FileRecord, HISTORY, HistoryRecord, META_KEY, Meta, Point, client_key,
    read_seq_key, seq_key,
};
use fastness::{Bytes, StoreSnapshot, WriteTxn};

/// Trees of a commit, or of a transaction with its changes.
pub(super) trait ReadTrees {
    /// Returns the value of a key.
    fn value(&mut self, tree: &str, key: &[u8]) -> fastness::Result<Option<Bytes>>;

    /// Returns the last entry of a tree.
    fn last(&mut self, tree: &str) -> fastness::Result<Option<(Bytes, Bytes)>>;

    /// Reads a record.
    fn record<R: FileRecord>(&mut self, key: &[u8]) -> ServerResult<Option<R>> {
        let value = self.value(R::TREE, key)?;
        value.map(|value| R::decode(&value)).transpose()
    }

    /// Reads the record about the file.
    fn meta(&mut self) -> ServerResult<Meta> {
        self.record(META_KEY)?.ok_or(ServerError::Malformed(Meta::TREE))
    }

    /// Reads the record of a client of this epoch.
    fn client(&mut self, client: u32) -> ServerResult<ClientRecord> {
        let record: Option<ClientRecord> = self.record(&client_key(client))?;
        let record = record.filter(|record| record.contact > 0);
        record.ok_or(ServerError::UnknownClient(client))
    }

    /// Returns the last point of the history.
    fn head(&mut self, meta: &Meta) -> ServerResult<Point> {
        let Some((key, value)) = self.last(HISTORY)? else { return Ok(meta.horizon) };
        let seq = read_seq_key(&key)?;
        if seq <= meta.horizon.seq {
            return Ok(meta.horizon);
        }
        Ok(HistoryRecord::decode(&value)?.point(seq))
    }

    /// Returns a point of the history, from the horizon to the head.
    fn point(&mut self, meta: &Meta, seq: u64) -> ServerResult<Point> {
        if seq == meta.horizon.seq {
            return Ok(meta.horizon);
        }
        let record: Option<HistoryRecord> = self.record(&seq_key(seq))?;
        record.map(|record| record.point(seq)).ok_or(ServerError::Malformed(HISTORY))
    }
}

impl ReadTrees for &StoreSnapshot {
    fn value(&mut self, tree: &str, key: &[u8]) -> fastness::Result<Option<Bytes>> {
        self.tree(tree).get(key)
    }

    fn last(&mut self, tree: &str) -> fastness::Result<Option<(Bytes, Bytes)>> {
        self.tree(tree).last()
    }
}

impl ReadTrees for WriteTxn {
    fn value(&mut self, tree: &str, key: &[u8]) -> fastness::Result<Option<Bytes>> {
        self.tree(tree)?.get(key)
    }

    fn last(&mut self, tree: &str) -> fastness::Result<Option<(Bytes, Bytes)>> {
        self.tree(tree)?.last()
    }
}

/// Writes a record.
pub(super) fn put<R: FileRecord>(txn: &mut WriteTxn, key: &[u8], record: &R) -> ServerResult<()> {
    txn.tree(R::TREE)?.insert(key, &record.encode())?;
    Ok(())
}

/// Writes the record about the file.
pub(super) fn put_meta(txn: &mut WriteTxn, meta: &Meta) -> ServerResult<()> {
    put(txn, META_KEY, meta)
}

/// Changes the records of all clients.
pub(super) fn change_clients(
    txn: &mut WriteTxn,
    change: impl Fn(&mut ClientRecord),
) -> ServerResult<()> {
    let mut keys = Vec::new();
    for entry in txn.tree(CLIENTS)?.range(..)? {
        keys.push(entry?.0);
    }
    for key in keys {
        if let Some(mut record) = txn.record::<ClientRecord>(&key)? {
            change(&mut record);
            put(txn, &key, &record)?;
        }
    }
    Ok(())
}
