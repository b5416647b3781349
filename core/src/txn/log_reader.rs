//! The log scan: the whole records of a log, and where they end.
//!
//! - L2 A scan stops where the next record is not whole. If a later record exists all the same, or
//!   the record was known to be durable, the file is damaged and opening reports it.
//! - L3 The parts of records behind the whole ones belong to commits that this crash discarded,
//!   because recovery erases all of them.
//!
//! Format: docs/format.md#log. Check: `sim::check::damage`, `sim::check::crash`.

use crate::codec::Reader;
use crate::crypto::HEAD_BYTES;
use crate::error::{Damage, Result};
use crate::fault::{self, Fault};
use crate::page::{LOG_PAGES_MAX, LogHead, LogRecord};
use crate::pager::Pager;
use crate::unit::{CommitId, PAGE_BYTES, PageBytes, PageId};
use crate::vfs::read_whole;

/// The whole records of a log, and where they end.
#[derive(Debug)]
pub(crate) struct LogScan {
    pub(crate) records: Vec<(PageId, LogRecord)>,
    pub(crate) start: PageId,
    pub(crate) next: PageId,
    /// The salt of the last record.
    pub(super) salt: [u8; HEAD_BYTES],
    /// The pages of records that were begun and are not whole, or do not follow the whole ones.
    /// They must be erased before another record is written: equal parts of the two could make one
    /// of them whole, and a later opening would take them for remains of its own crash.
    pub(crate) remains: Vec<PageId>,
}

impl LogScan {
    /// Returns the last commit in the records.
    pub(crate) fn last(&self) -> Option<CommitId> {
        self.records.last().map(|(_, record)| record.last)
    }

    /// Returns the commit of a record that was begun and is not whole.
    pub(crate) fn torn(&self, base: CommitId) -> Option<CommitId> {
        (!self.remains.is_empty()).then(|| self.last().unwrap_or(base).next())
    }

    /// Tells whether the log has no record.
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The scan of a file without a log.
    pub(crate) const fn without_log(start: PageId) -> Self {
        let salt = [0; HEAD_BYTES];
        Self { records: Vec::new(), start, next: start, salt, remains: Vec::new() }
    }
}

/// Scans the log that follows a base.
///
/// # Errors
/// If the system fails to read; or if a record is damaged that was durable.
pub(crate) fn scan_log(pager: &Pager, page_count: u64, base: CommitId) -> Result<LogScan> {
    let mut reader = LogReader { pager, start: page_count, bytes: Vec::new(), ended: false };
    let (mut records, mut last, mut next, mut salt) = (Vec::new(), base, 0, [0; HEAD_BYTES]);
    loop {
        let follows = |record: &LogRecord| record.previous == salt || fault::on(Fault::Fs13);
        let found = reader.record(next, last)?.filter(|(_, record)| follows(record));
        let found = found.map(|(head, record)| (next, head, record));
        let found = fault::txn::beyond(found, &mut reader, next, last)?;
        let Some((place, head, record)) = found else { break };
        assert!(record.last > last && head.count > 0, "L1: the log scan goes backwards");
        next = place + u64::from(head.count);
        let place = PageId(page_count + place);
        (last, salt) = (record.last, head.salt);
        records.push((place, record));
    }
    let Some(remains) = reader.remains(next, last)? else {
        return Err(pager.damaged(PageId(page_count + next), Damage::Seal));
    };
    let (start, next) = (PageId(page_count), PageId(page_count + next));
    Ok(LogScan { records, start, next, salt, remains })
}

/// Reads the pages behind those of the trees.
pub(crate) struct LogReader<'a> {
    pager: &'a Pager,
    start: u64,
    bytes: Vec<u8>,
    ended: bool,
}

/// Pages that are read with one call.
const READ_PAGES: u64 = 64;

impl LogReader<'_> {
    /// Returns a page as it is on the disk; `None` behind the end of the file.
    fn page(&mut self, index: u64) -> Result<Option<&PageBytes>> {
        if index >= LOG_PAGES_MAX {
            return Ok(None);
        }
        let at = usize::try_from(index).unwrap_or_default() * PAGE_BYTES;
        while self.bytes.len() < at + PAGE_BYTES && !self.ended {
            let len = self.bytes.len();
            let first = PageId(self.start + (len / PAGE_BYTES) as u64);
            self.bytes.resize(len + usize::try_from(READ_PAGES).unwrap_or(1) * PAGE_BYTES, 0);
            let offset = first.offset();
            let whole = read_whole(self.pager.file(), &mut self.bytes[len..], offset);
            self.ended = !whole.map_err(|e| self.pager.io(&e))?;
        }
        Ok(self.bytes.get(at..).and_then(|bytes| bytes.first_chunk()))
    }

    /// Opens a page; `None` if it is not a sealed log page of this file.
    fn open(&mut self, index: u64) -> Result<Option<(LogHead, Box<PageBytes>)>> {
        let id = PageId(self.start + index);
        let Some((head, mut page)) =
            self.page(index)?.and_then(|page| Some((LogHead::decode(page)?, Box::new(*page))))
        else {
            return Ok(None);
        };
        let fits = self.pager.sealer().open_log(id, &mut page);
        Ok(fits.then_some((head, page)))
    }

    /// Reads the record at `start` if it is whole and follows commit `last`.
    pub(crate) fn record(
        &mut self,
        start: u64,
        last: CommitId,
    ) -> Result<Option<(LogHead, LogRecord)>> {
        let Some((head, page)) = self.open(start)? else { return Ok(None) };
        if head.index != 0 || head.commit <= last {
            return Ok(None);
        }
        let mut bodies = LogHead::body(&page).to_vec();
        for index in 1..head.count {
            let Some((part, page)) = self.open(start + u64::from(index))? else {
                return Ok(None);
            };
            if part != (LogHead { index, ..head }) {
                return Ok(None);
            }
            bodies.extend_from_slice(LogHead::body(&page));
        }
        let record = LogRecord::decode(head.commit, &bodies);
        let malformed = || self.pager.damaged(PageId(self.start + start), Damage::Content);
        let record = record.ok_or_else(malformed)?;
        let follows = record.first == last.next() || fault::on(Fault::Fs12);
        Ok(follows.then_some((head, record)))
    }

    /// Returns the pages from `start` on that belong to records after commit `last`; `None` if one
    /// of the records knows that such a commit is durable.
    fn remains(&mut self, start: u64, last: CommitId) -> Result<Option<Vec<PageId>>> {
        let mut remains = Vec::new();
        for index in start..LOG_PAGES_MAX {
            let id = PageId(self.start + index);
            let Some(page) = self.page(index)? else { break };
            let is_later = |head: &LogHead| head.commit > last && !is_tree_page(id, head);
            let Some(head) = LogHead::decode(page).filter(is_later) else { continue };
            remains.push(id);
            if head.index == 0
                && let Some((_, page)) = self.open(index)?
                && LogRecord::durable_in(LogHead::body(&page)).is_some_and(|known| known > last)
            {
                return Ok(None);
            }
        }
        Ok(Some(remains))
    }
}

/// Tells whether a page begins with its own number, as the pages of trees of a plain file do: a
/// checkpoint that was not finished left it behind the log. The salt of a log page is random.
fn is_tree_page(id: PageId, head: &LogHead) -> bool {
    Reader::new(&head.salt).u64() == Some(id.0) && !fault::on(Fault::Fs28)
}
