//! The redo log: the last commits, one record behind the other, behind the pages of the trees.
//!
//! A small commit appends its operations to a buffer; nothing else moves. The next sync writes the
//! buffer as one record, so commits that share a sync share the record too. A checkpoint writes the
//! trees when the log is full, and when the store is closed. Opening replays the log over the
//! commit of the header, its *base*.
//!
//! - L1 The log holds every commit since its base, in order and without a gap: a record is written
//!   where the one before it ends, and never over one that may be needed.
//!
//! Reading it: [`super::log_reader`]. Format: docs/format.md#log. Check: `sim::check::crash`.

use super::failure::{Failure, WriteResult};
use super::journal::LogRoom;
use super::log_reader::LogScan;
use crate::conc::{Guard, Mutex};
use crate::crypto::{Batch, HEAD_BYTES};
use crate::error::Result;
use crate::page::{LOG_BODY_BYTES, LOG_PAGES_MAX, LogRecord, log_pages};
use crate::pager::Pager;
use crate::space::FreedPage;
use crate::unit::{CommitId, PAGE_BYTES, PageId};
use crate::vfs::write_whole;

/// Least pages that the file grows by, so that most commits need not extend it. A longer log grows
/// by its own length, so that opening reads few pages that were never written.
const GROW_PAGES: u64 = 16;

/// The least and the most pages of a log; between them it is a quarter of the file.
const PAGES: std::ops::RangeInclusive<u64> = 64..=LOG_PAGES_MAX;

/// Most bytes of commits that are buffered without durability.
pub(crate) const BUFFERED_BYTES_MAX: usize = 256 << 10;

/// The log of a base, which all commits since share.
#[derive(Debug)]
pub(crate) struct Log(Mutex<LogTail>);

/// The end of a log, and the commits that are not written yet.
#[derive(Debug)]
pub(crate) struct LogTail {
    start: PageId,
    /// The page of the next record.
    next: PageId,
    /// The page behind the last that the log may take.
    end: PageId,
    /// The page behind the last of the file.
    allocated: PageId,
    /// The salt of the last record.
    salt: [u8; HEAD_BYTES],
    /// The last commit that is in the file, and the page behind its record.
    written: (CommitId, PageId),
    ops: usize,
    ops_max: usize,
    buffered_bytes_max: usize,
    /// Pages of the base that the next checkpoint frees.
    pub(crate) freed: Vec<FreedPage>,
    buffered: Option<Buffered>,
}

/// Commits that the next sync writes as one record.
#[derive(Debug)]
struct Buffered {
    first: CommitId,
    last: CommitId,
    changes: Vec<u8>,
    /// A writer waits until they are durable.
    awaited: bool,
}

/// A commit to append.
#[derive(Debug)]
pub(crate) struct LogEntry<'a> {
    pub(crate) commit: CommitId,
    pub(crate) ops: usize,
    pub(crate) changes: &'a [u8],
    /// Pages that the trees do not need any more.
    pub(crate) freed: &'a [FreedPage],
    /// A writer waits until it is durable.
    pub(crate) awaited: bool,
}

/// The sizes of an appended commit, for retracting it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Appended {
    pub(crate) commit: CommitId,
    ops: usize,
    bytes: usize,
    freed: usize,
}

/// A record that is being written.
struct RecordWrite<'a> {
    content: LogRecord,
    batch: Batch<'a>,
    place: PageId,
    /// The allocated pages before.
    allocated: PageId,
    awaited: bool,
}

impl Log {
    pub(crate) const fn new(tail: LogTail) -> Self {
        Self(Mutex::new(tail))
    }

    pub(crate) fn tail(&self) -> Guard<'_, LogTail> {
        self.0.lock()
    }

    /// Writes the buffered commits as one record. Only the thread that syncs calls it, so that one
    /// record is written at a time; further commits may be appended meanwhile.
    ///
    /// # Errors
    /// If there are no random bytes, or the system fails to write. The commits are buffered again
    /// then. The failure is undone if zeros replaced the record, durably.
    pub(crate) fn write(&self, pager: &Pager, durable: CommitId) -> WriteResult<()> {
        let begun = self.tail().begin_record(pager, durable);
        let Some(mut record) = begun.map_err(Failure::Undone)? else { return Ok(()) };
        let (mut pages, mut page) = (record.content.encode(), record.place);
        for bytes in pages.chunks_exact_mut(PAGE_BYTES) {
            record.batch.seal_log(page, bytes.first_chunk_mut().expect("K2: a chunk is a page"));
            page = PageId(page.0 + 1);
        }
        let place = record.place;
        let Err(error) = write_whole(pager.file(), &pages, place.offset()) else {
            self.tail().written = (record.content.last, page);
            return Ok(());
        };
        let error = pager.io(&error);
        self.tail().put_back(record);
        pages.fill(0);
        let erased = write_whole(pager.file(), &pages, place.offset());
        let erased = erased.map_err(|e| pager.io(&e)).and_then(|()| pager.sync());
        Err(match erased {
            Ok(()) => Failure::Undone(error),
            Err(_) => Failure::disk_unknown(error),
        })
    }
}

impl LogTail {
    /// The tail of a file without a log, whose base is `commit`.
    pub(crate) const fn without_log(page_count: u64, commit: CommitId) -> Self {
        let next = PageId(page_count);
        Self {
            start: next,
            next,
            end: next,
            allocated: next,
            salt: [0; HEAD_BYTES],
            written: (commit, next),
            ops: 0,
            ops_max: 0,
            buffered_bytes_max: BUFFERED_BYTES_MAX,
            freed: Vec::new(),
            buffered: None,
        }
    }

    /// Sets how long the log may become.
    pub(crate) fn set_limits(&mut self, pager: &Pager, limits: LogLimits) -> Result<()> {
        let pages = (self.start.0 / 4).clamp(*PAGES.start(), *PAGES.end()).min(limits.pages_max);
        let bytes = pager.file().len().map_err(|e| pager.io(&e))?;
        self.allocated = PageId((bytes / PAGE_BYTES as u64).max(self.next.0));
        self.end = PageId(self.start.0 + pages);
        (self.ops_max, self.buffered_bytes_max) = (limits.ops_max, limits.buffered_bytes_max);
        Ok(())
    }

    /// Returns the room for a transaction.
    pub(crate) fn room(&self) -> LogRoom {
        LogRoom { bytes: self.room_bytes(), ops: self.ops_max.saturating_sub(self.ops) }
    }

    /// Returns how many bytes of changes a transaction may append.
    fn room_bytes(&self) -> usize {
        let pages = usize::try_from(self.end.0.saturating_sub(self.next.0)).unwrap_or_default();
        // Less a half, for the fields of a record beside the changes.
        (pages * LOG_BODY_BYTES).saturating_sub(LOG_BODY_BYTES / 2 + self.buffered_bytes())
    }

    fn buffered_bytes(&self) -> usize {
        self.buffered.as_ref().map_or(0, |buffered| buffered.changes.len())
    }

    /// Tells whether the log has room for a transaction.
    pub(crate) fn has_room(&self, ops: usize, changes: usize) -> bool {
        changes <= self.room_bytes() && self.ops + ops <= self.ops_max
    }

    /// Returns the last commit that is in the file, and the page behind its record.
    pub(crate) const fn written(&self) -> (CommitId, PageId) {
        self.written
    }

    /// Returns the page of the next record.
    pub(crate) const fn next(&self) -> PageId {
        self.next
    }

    /// Returns the page behind the buffered commits, once they are written.
    pub(crate) fn end(&self) -> PageId {
        let buffered = self.buffered.as_ref();
        let pages = buffered.map_or(0, |buffered| log_pages(buffered.changes.len()));
        PageId(self.next.0 + pages as u64)
    }

    /// Returns the page behind the last that the log has allocated.
    pub(crate) const fn allocated(&self) -> PageId {
        self.allocated
    }

    /// Tells whether the log holds a commit, written or buffered.
    pub(crate) fn holds_commits(&self) -> bool {
        self.end() > self.start
    }

    /// Tells whether there are buffered commits.
    pub(crate) const fn has_buffered(&self) -> bool {
        self.buffered.is_some()
    }

    /// Tells whether a writer waits until the buffered commits are durable.
    pub(crate) fn is_awaited(&self) -> bool {
        self.buffered.as_ref().is_some_and(|buffered| buffered.awaited)
    }

    /// Tells whether the buffer, with so many bytes more, is to be written although no writer waits
    /// for it.
    pub(crate) fn is_full(&self, more: usize) -> bool {
        self.buffered_bytes() + more >= self.buffered_bytes_max
    }

    /// Allocates pages of the file for the buffered commits and so many bytes more.
    ///
    /// # Errors
    /// If the disk is full or fails; nothing has changed then.
    pub(crate) fn allocate(&mut self, pager: &Pager, changes: usize) -> Result<()> {
        let end = self.next.0 + log_pages(self.buffered_bytes() + changes) as u64;
        if end <= self.allocated.0 {
            return Ok(());
        }
        let more = (self.allocated.0 - self.start.0).max(GROW_PAGES);
        let until = (self.allocated.0 + more).max(end).min(self.end.0.max(end));
        assert!(until >= end, "L1: {until} pages are allocated, {end} are needed");
        let zeros = vec![0; usize::try_from(until - self.allocated.0).unwrap_or(0) * PAGE_BYTES];
        write_whole(pager.file(), &zeros, self.allocated.offset()).map_err(|e| pager.io(&e))?;
        self.allocated = PageId(until);
        Ok(())
    }

    /// Appends a commit to the buffer.
    ///
    /// # Panics
    /// L1: if a commit between it and the buffered ones is missing.
    pub(crate) fn append(&mut self, entry: &LogEntry<'_>) -> Appended {
        let LogEntry { commit, ops, changes, freed, awaited } = *entry;
        let new = || Buffered { first: commit, last: commit, changes: Vec::new(), awaited };
        let buffered = self.buffered.get_or_insert_with(new);
        assert!(
            commit == buffered.last || commit == buffered.last.next(),
            "L1: commit {commit} follows {}",
            buffered.last
        );
        buffered.last = commit;
        buffered.changes.extend_from_slice(changes);
        buffered.awaited |= awaited;
        self.ops += ops;
        self.freed.extend_from_slice(freed);
        Appended { commit, ops, bytes: changes.len(), freed: freed.len() }
    }

    /// Retracts the last commit that was appended, and is not written: it failed after all.
    ///
    /// # Panics
    /// L1: if it is written, or not the last.
    pub(crate) fn retract(&mut self, appended: Appended) {
        let last = self.buffered.as_ref().map(|buffered| buffered.last);
        assert_eq!(last, Some(appended.commit), "L1: only the last buffered commit is retracted");
        self.ops -= appended.ops;
        self.freed.truncate(self.freed.len() - appended.freed);
        if let Some(buffered) = &mut self.buffered {
            buffered.changes.truncate(buffered.changes.len() - appended.bytes);
            buffered.last = CommitId(appended.commit.0 - 1);
            if buffered.first == appended.commit {
                self.buffered = None;
            }
        }
    }

    /// Records that a writer waits until the buffered commits are durable.
    pub(crate) fn set_awaited(&mut self) {
        if let Some(buffered) = &mut self.buffered {
            buffered.awaited = true;
        }
    }

    /// Makes a record of the buffered commits and assigns its pages.
    fn begin_record<'a>(
        &mut self,
        pager: &'a Pager,
        durable: CommitId,
    ) -> Result<Option<RecordWrite<'a>>> {
        if self.buffered.is_none() {
            return Ok(None);
        }
        let (batch, place, allocated) = (pager.log_batch()?, self.next, self.allocated);
        self.next = self.end();
        self.allocated = self.allocated.max(self.next);
        let previous = std::mem::replace(&mut self.salt, *batch.salt());
        Ok(self.buffered.take().map(|buffered| {
            let Buffered { first, last, changes, awaited } = buffered;
            assert!(durable < first, "L1: record {first} would say that {durable} is durable");
            let content = LogRecord { first, last, durable, previous, changes };
            RecordWrite { content, batch, place, allocated, awaited }
        }))
    }

    /// Buffers the commits of a record again that could not be written, before those that were
    /// appended meanwhile.
    fn put_back(&mut self, record: RecordWrite<'_>) {
        let RecordWrite { content, place, allocated, mut awaited, .. } = record;
        let LogRecord { first, mut last, previous, mut changes, .. } = content;
        if let Some(later) = self.buffered.take() {
            assert!(last < later.last, "L1: commit {} is buffered twice", later.last);
            last = later.last;
            changes.extend_from_slice(&later.changes);
            awaited |= later.awaited;
        }
        (self.next, self.salt, self.allocated) = (place, previous, allocated);
        self.buffered = Some(Buffered { first, last, changes, awaited });
    }

    /// Continues behind the records that opening found.
    pub(crate) fn resume(&mut self, scan: &LogScan) {
        assert!(self.start == scan.start, "L1: the log of another base");
        (self.next, self.salt) = (scan.next, scan.salt);
        self.written = (scan.last().unwrap_or(self.written.0), scan.next);
    }

    /// Counts the operations that were replayed, and the pages that they free.
    pub(crate) fn count_replayed(&mut self, ops: usize, freed: Vec<FreedPage>) {
        (self.ops, self.freed) = (ops, freed);
    }
}

/// Erases pages of discarded records.
///
/// # Errors
/// If the system fails to write.
pub(crate) fn erase_pages(pager: &Pager, pages: &[PageId]) -> Result<()> {
    let zeros = [0; PAGE_BYTES];
    pages.iter().try_for_each(|page| {
        write_whole(pager.file(), &zeros, page.offset()).map_err(|e| pager.io(&e))
    })
}

/// The limits of a log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogLimits {
    pub(crate) pages_max: u64,
    /// Each operation may leave a node in memory that is not written.
    pub(crate) ops_max: usize,
    /// Most bytes of commits that are buffered without durability.
    pub(crate) buffered_bytes_max: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreOptions;

    fn freed_page(page: u64) -> FreedPage {
        FreedPage { page: PageId(page), birth: CommitId(1) }
    }

    #[test]
    fn a_retracted_commit_is_not_in_the_buffer() {
        let mut tail = LogTail::without_log(3, CommitId(1));
        let entry = |number, changes, freed| LogEntry {
            commit: CommitId(number),
            ops: 2,
            changes,
            freed,
            awaited: number == 3,
        };
        let (one, freed) = ([9], [7, 8]);
        let (one, freed) = (one.map(freed_page), freed.map(freed_page));
        let first = tail.append(&entry(2, b"one", &one));
        assert!(!tail.is_awaited() && !tail.is_full(0));
        let failed = tail.append(&entry(3, b"failed", &freed));
        assert!(tail.is_awaited());
        tail.retract(failed);
        let buffered = tail.buffered.as_ref().unwrap();
        assert_eq!((buffered.first, buffered.last), (CommitId(2), CommitId(2)));
        assert_eq!((&buffered.changes[..], tail.ops, &tail.freed[..]), (&b"one"[..], 2, &one[..]));
        tail.retract(first);
        assert!(!tail.has_buffered() && tail.ops == 0 && tail.freed.is_empty());
        tail.append(&entry(4, &[0; BUFFERED_BYTES_MAX], &[]));
        assert!(tail.is_full(0), "at the limit");
    }

    #[test]
    fn a_record_that_could_not_be_written_is_buffered_before_later_commits() {
        let mut tail = LogTail::without_log(3, CommitId(1));
        let entry = |number, changes| LogEntry {
            commit: CommitId(number),
            ops: 1,
            changes,
            freed: &[],
            awaited: false,
        };
        tail.append(&entry(2, b"one"));
        let (next, salt, allocated) = (tail.next, tail.salt, tail.allocated);
        let pager = StoreOptions::new().in_memory().unwrap().snapshot().state().pager.clone();
        let record = tail.begin_record(&pager, CommitId(1)).unwrap().unwrap();
        assert_eq!(
            (tail.next, tail.allocated, tail.salt),
            (PageId(4), PageId(4), *record.batch.salt())
        );
        tail.append(&entry(3, b"two"));
        tail.put_back(record);
        assert_eq!((tail.next, tail.salt, tail.allocated), (next, salt, allocated));
        assert_eq!(tail.end(), PageId(4));
        let buffered = tail.buffered.as_ref().unwrap();
        assert_eq!((buffered.first, buffered.last), (CommitId(2), CommitId(3)));
        assert_eq!(buffered.changes, b"onetwo");
    }
}
