//! Log pages: the redo records of the write-ahead log, which is behind the pages of the file.
//!
//! A record holds one commit, or several that share a group commit, and fills whole pages. The head
//! of each page is not encrypted. It names the commit and the index of the page, so recovery
//! distinguishes the current record from a copy, a fragment or an older record.

use super::NUMBERS_END;
use crate::codec::{Reader, Writer, put_at, u16_len, u32_len};
use crate::crypto::{HEAD_BYTES, LOG_CLEAR_BYTES, SEAL_BYTES};
use crate::unit::{CommitId, PAGE_BYTES, PageBytes};

/// Bytes of a record that one page holds.
pub(crate) const LOG_BODY_BYTES: usize = PAGE_BYTES - LOG_CLEAR_BYTES - SEAL_BYTES;

/// Maximum length of the log in pages, which bounds the work of recovery.
pub(crate) const LOG_PAGES_MAX: u64 = 2048;

/// Size of the fixed fields of a record, which precede its changes.
const RECORD_FIXED_BYTES: usize = 20 + HEAD_BYTES;

/// The unencrypted head of a log page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LogHead {
    pub(crate) salt: [u8; HEAD_BYTES],
    /// The last commit of the record.
    pub(crate) commit: CommitId,
    /// Index of the page within the record, from 0.
    pub(crate) index: u16,
    /// Number of pages of the record.
    pub(crate) count: u16,
}

/// A redo record: the changes of one commit, or of a group commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct LogRecord {
    pub(crate) first: CommitId,
    pub(crate) last: CommitId,
    /// The last commit that was known to be durable when the record was written.
    pub(crate) durable: CommitId,
    /// The salt of the previous record; zero in the first one. It chains the records: recovery
    /// accepts a record only behind the one that it was written behind.
    pub(crate) previous: [u8; HEAD_BYTES],
    /// Changes of the commits; see `txn::journal`.
    pub(crate) changes: Vec<u8>,
}

/// Returns the number of pages of a record with this many bytes of changes.
pub(crate) const fn log_pages(changes: usize) -> usize {
    (RECORD_FIXED_BYTES + changes).div_ceil(LOG_BODY_BYTES)
}

impl LogHead {
    /// Returns the bytes of the record in a page whose seal is open.
    pub(crate) fn body(page: &PageBytes) -> &[u8] {
        &page[LOG_CLEAR_BYTES..PAGE_BYTES - SEAL_BYTES]
    }

    /// Decodes the head of a page; `None` if it is malformed.
    pub(crate) fn decode(page: &PageBytes) -> Option<Self> {
        let mut reader = Reader::new(page);
        let salt = reader.array()?;
        let commit = CommitId(reader.u64()?);
        let index = reader.array().map(u16::from_le_bytes)?;
        let count = reader.array().map(u16::from_le_bytes)?;
        let plain = reader.u32()? == 0 && index < count && u64::from(count) <= LOG_PAGES_MAX;
        (plain && (1..NUMBERS_END).contains(&commit.0)).then_some(Self {
            salt,
            commit,
            index,
            count,
        })
    }
}

impl LogRecord {
    /// Decodes the field `durable` from the body of a record's first page.
    pub(crate) fn durable_in(body: &[u8]) -> Option<CommitId> {
        let mut reader = Reader::new(body);
        reader.u64()?;
        reader.u64().map(CommitId)
    }

    /// Encodes the record into pages, which are not sealed yet.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut record = Writer::with_capacity(RECORD_FIXED_BYTES + self.changes.len());
        record.u64(self.first.0);
        record.u64(self.durable.0);
        record.put(&self.previous);
        record.u32(u32_len(self.changes.len()));
        record.put(&self.changes);
        let bodies = record.bytes().chunks(LOG_BODY_BYTES);
        let count = u16_len(bodies.len());
        let mut pages = vec![0; bodies.len() * PAGE_BYTES];
        for (index, body) in bodies.enumerate() {
            let page = &mut pages[index * PAGE_BYTES..][..PAGE_BYTES];
            put_at(page, HEAD_BYTES, &self.last.0.to_le_bytes());
            put_at(page, HEAD_BYTES + 8, &u16_len(index).to_le_bytes());
            put_at(page, HEAD_BYTES + 10, &count.to_le_bytes());
            put_at(page, LOG_CLEAR_BYTES, body);
        }
        pages
    }

    /// Decodes a record from the bodies of its pages; `last` is the commit in their heads.
    pub(crate) fn decode(last: CommitId, bodies: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bodies);
        let first = CommitId(reader.u64()?);
        let durable = CommitId(reader.u64()?);
        let previous = reader.array()?;
        let len = usize::try_from(reader.u32()?).ok()?;
        let changes = reader.take(len)?.to_vec();
        let plain = log_pages(len) * LOG_BODY_BYTES == bodies.len() && durable < first;
        (plain && first <= last).then_some(Self { first, last, durable, previous, changes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_encoding() {
        for (len, count) in [(0, 1), (1, 1), (4012, 1), (4013, 2), (9000, 3)] {
            let (first, last) = (CommitId(7), CommitId(9));
            let (durable, previous) = (CommitId(5), [8; HEAD_BYTES]);
            let record = LogRecord { first, last, durable, previous, changes: vec![3; len] };
            let pages = record.encode();
            let mut bodies = Vec::new();
            for (index, page) in (0..).zip(pages.chunks_exact(PAGE_BYTES)) {
                let page: &PageBytes = page.try_into().unwrap();
                let head = LogHead::decode(page).unwrap();
                assert_eq!((head.commit, head.index, head.count), (last, index, count));
                bodies.extend(&page[LOG_CLEAR_BYTES..PAGE_BYTES - SEAL_BYTES]);
            }
            assert_eq!(LogRecord::decode(last, &bodies), Some(record));
            assert_eq!(LogRecord::decode(CommitId(6), &bodies), None);
            assert_eq!(log_pages(len), usize::from(count));
        }
    }
}
