//! Reading the history.

use super::error::{ResumeRefusal, ServerError, ServerResult};
use super::layout::{
    ClientRecord, FileRecord as _, HISTORY, HistoryRecord, client_key, read_seq_key, seq_key,
};
use super::replica::{ServerReplica, ServerStatus};
use super::trees::ReadTrees as _;
use crate::entry::{Header, Operations};
use std::ops::RangeInclusive;

/// A part of the history that a client asks for.
#[derive(Clone, Debug)]
pub struct DownloadRequest {
    /// The client.
    pub client: u32,
    /// Seq before the first entry.
    pub from: u64,
    /// Own entries of the client that it may not have: they are sent in full.
    pub full: RangeInclusive<u64>,
    /// Most bytes of entries; one entry is always sent.
    pub bytes_max: usize,
}

/// A part of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryPart {
    /// The database, as it was when the part was read.
    pub server: ServerStatus,
    /// Seq of the last entry; `from` if no entry follows.
    pub to: u64,
    /// Salt of that entry.
    pub salt: u64,
    /// Bytes of the entries that follow, own ones included.
    pub bytes_left: u64,
    /// The entries from `from` + 1 to `to`.
    pub items: Vec<HistoryItem>,
}

/// An entry of the history for a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryItem {
    /// An entry.
    Entry {
        /// Its client.
        client: u32,
        /// The entry with its effective stamp.
        entry: Vec<u8>,
    },
    /// An entry of the client that asks, which has the operations.
    Own {
        /// Its number.
        client_seq: u64,
        /// Its effective stamp.
        stamp: u64,
    },
}

impl ServerReplica {
    /// Tells whether the history after a seq has an entry of a user's clients.
    pub(super) fn has_entries_of(&self, user: &str, after: u64) -> ServerResult<bool> {
        let snapshot = self.store.snapshot();
        let Some(first) = after.checked_add(1) else { return Ok(false) };
        for entry in snapshot.tree(HISTORY).range(&seq_key(first)[..]..)? {
            let client = HistoryRecord::client_of(&entry?.1)?;
            let record: Option<ClientRecord> = (&snapshot).record(&client_key(client))?;
            if record.is_none_or(|record| record.user == user) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads the history after a seq.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub fn download(
        &self,
        request: &DownloadRequest,
    ) -> ServerResult<Result<HistoryPart, ResumeRefusal>> {
        let snapshot = self.store.snapshot();
        let mut trees = &snapshot;
        let meta = trees.meta()?;
        let head = trees.head(&meta)?;
        if request.from > head.seq {
            return Ok(Err(ResumeRefusal::CursorAboveHead));
        }
        if request.from < meta.horizon.seq {
            return Ok(Err(ResumeRefusal::Expired));
        }
        let mut last = trees.point(&meta, request.from)?;
        let (mut items, mut bytes) = (Vec::new(), 0);
        // The next seq, of which none follows the last one of 64 bits.
        let first = seq_key(request.from.saturating_add(1));
        for entry in snapshot.tree(HISTORY).range(&first[..]..)? {
            let (key, value) = entry?;
            let (seq, record) = (read_seq_key(&key)?, HistoryRecord::decode(&value)?);
            bytes += record.entry.len();
            if !items.is_empty() && bytes > request.bytes_max {
                break;
            }
            last = record.point(seq);
            items.push(item(request, record)?);
        }
        let bytes_left = head.bytes.saturating_sub(last.bytes);
        let server = ServerStatus::new(&meta, &head);
        Ok(Ok(HistoryPart { server, to: last.seq, salt: last.salt, bytes_left, items }))
    }
}

fn item(request: &DownloadRequest, record: HistoryRecord) -> ServerResult<HistoryItem> {
    let HistoryRecord { client, entry, .. } = record;
    let operations = Operations::new(&entry).map_err(|_| ServerError::Malformed(HISTORY))?;
    let Header { client_seq, stamp, .. } = operations.header();
    let is_known = client == request.client && !request.full.contains(&client_seq);
    Ok(if is_known {
        HistoryItem::Own { client_seq, stamp }
    } else {
        HistoryItem::Entry { client, entry }
    })
}
