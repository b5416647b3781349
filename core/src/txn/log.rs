//! The log: the last commits, one record behind the other, behind the pages of the file.
//!
//! A small commit adds what it changed to what waits; nothing else moves. Whoever syncs first
//! writes all that waits as one record, so that commits that share a sync share the record too.
//! The trees are written when the log is full, by a commit of its own kind, and when the store is
//! closed. Opening replays the log over the commit that the header leads to, its *base*.
//!
//! - L1 The log holds every commit since its base, in order and without a gap: a record is written
//!   where the one before it ends, and never over one that may be needed.
//!
//! Reading it: [`super::found`]. Format: docs/format.md#log. Check: `sim::check::crash`.

use super::durable::Failure;
use super::found::Found;
use crate::conc::{Guard, Mutex};
use crate::crypto::{Batch, HEAD_BYTES};
use crate::error::{Error, Result};
use crate::fault::{self, Fault};
use crate::page::{LOG_BODY_BYTES, LOG_PAGES_MAX, LogRecord, log_pages};
use crate::pager::Pager;
use crate::unit::{CommitId, PAGE_BYTES, PageId};
use crate::vfs::write_whole;

/// Pages that the file grows by at least, so that most commits need not make it longer. Then it
/// grows by as much as the log has, so that opening reads little of what was never written.
const GROW_PAGES: u64 = 16;

/// The least and the most pages of a log; between them it is a quarter of the file.
const PAGES: std::ops::RangeInclusive<u64> = 64..=LOG_PAGES_MAX;

/// Commits that need not be durable wait until they have this many bytes.
pub(crate) const WAITING_BYTES_MAX: usize = 256 << 10;

/// The log of a base, which all commits since share.
#[derive(Debug)]
pub(crate) struct Log(Mutex<Tail>);

/// Where the next record goes, and what the trees on the disk do not hold yet.
#[derive(Debug)]
pub(crate) struct Tail {
    start: PageId,
    next: PageId,
    end: PageId,
    /// The page behind the last that the file has.
    filled: PageId,
    /// The salt of the last record.
    salt: [u8; HEAD_BYTES],
    /// The last commit that is in the file, and the page behind its record.
    written: (CommitId, PageId),
    ops: usize,
    ops_max: usize,
    waiting_bytes_max: usize,
    /// Pages of the base that the trees will do without once they are written.
    pub(crate) freed: Vec<PageId>,
    /// Commits that are not written.
    waiting: Option<Waiting>,
}

/// Commits that are to be written together.
#[derive(Debug)]
struct Waiting {
    first: CommitId,
    last: CommitId,
    changes: Vec<u8>,
    /// Somebody waits until they are durable.
    awaited: bool,
}

/// What a commit adds.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) commit: CommitId,
    pub(crate) ops: usize,
    pub(crate) changes: &'a [u8],
    /// Pages that the trees will do without.
    pub(crate) freed: &'a [PageId],
    /// Somebody waits until it is durable.
    pub(crate) awaited: bool,
}

/// How much a commit added.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Added {
    pub(crate) commit: CommitId,
    ops: usize,
    bytes: usize,
    freed: usize,
}

/// A record on its way to its place.
struct Record<'a> {
    content: LogRecord,
    batch: Batch<'a>,
    place: PageId,
    /// What the tail said before.
    filled: PageId,
    awaited: bool,
}

impl Log {
    pub(crate) const fn new(tail: Tail) -> Self {
        Self(Mutex::new(tail))
    }

    pub(crate) fn tail(&self) -> Guard<'_, Tail> {
        self.0.lock()
    }

    /// Writes all that waits as one record. Only for who syncs, so that one is written at a time;
    /// more may be added meanwhile.
    ///
    /// # Errors
    /// If there are no random bytes, or the system fails to write. What waited waits again then; it
    /// is not in the file, its pages having become zeros, durably, unless that failed too.
    pub(crate) fn write(
        &self,
        pager: &Pager,
        durable: CommitId,
    ) -> std::result::Result<(), Failure<Error>> {
        let begun = self.tail().begin(pager, durable);
        let Some(mut record) = begun.map_err(|error| Failure { error, undone: true })? else {
            return Ok(());
        };
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
        self.tail().put_back(record);
        pages.fill(0);
        let wiped = write_whole(pager.file(), &pages, place.offset());
        let wiped = wiped.map_err(|e| pager.io(&e)).and_then(|()| pager.sync());
        let undone = wiped.is_ok() || fault::on(Fault::Cr11);
        Err(Failure { error: pager.io(&error), undone })
    }
}

impl Tail {
    /// Knows a file without a log, whose base is `commit`.
    pub(crate) const fn none(page_count: u64, commit: CommitId) -> Self {
        let next = PageId(page_count);
        Self {
            start: next,
            next,
            end: next,
            filled: next,
            salt: [0; HEAD_BYTES],
            written: (commit, next),
            ops: 0,
            ops_max: 0,
            waiting_bytes_max: WAITING_BYTES_MAX,
            freed: Vec::new(),
            waiting: None,
        }
    }

    /// Starts a log behind the pages of a base.
    pub(crate) fn new(
        pager: &Pager,
        (page_count, commit): (u64, CommitId),
        limits: Limits,
    ) -> Result<Self> {
        let mut tail = Self::none(page_count, commit);
        tail.allow(pager, page_count, limits)?;
        Ok(tail)
    }

    /// Sets how long the log may become.
    pub(crate) fn allow(&mut self, pager: &Pager, page_count: u64, limits: Limits) -> Result<()> {
        let pages = (page_count / 4).clamp(*PAGES.start(), *PAGES.end()).min(limits.pages_max);
        let bytes = pager.file().len().map_err(|e| pager.io(&e))?;
        self.filled = PageId((bytes / PAGE_BYTES as u64).max(self.next.0));
        self.end = PageId(page_count + pages);
        (self.ops_max, self.waiting_bytes_max) = (limits.ops_max, limits.waiting_bytes_max);
        Ok(())
    }

    /// Returns how many bytes of changes a transaction may bring.
    pub(crate) fn room_bytes(&self) -> usize {
        let pages = usize::try_from(self.end.0.saturating_sub(self.next.0)).unwrap_or_default();
        // Less a half, for what a record holds beside the changes.
        (pages * LOG_BODY_BYTES).saturating_sub(LOG_BODY_BYTES / 2 + self.waiting_bytes())
    }

    fn waiting_bytes(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.changes.len())
    }

    /// Tells whether a transaction may go into the log.
    pub(crate) fn has_room(&self, ops: usize, changes: usize) -> bool {
        changes <= self.room_bytes() && self.ops + ops <= self.ops_max
    }

    /// Returns the last commit that is in the file, and the page behind its record.
    pub(crate) const fn written(&self) -> (CommitId, PageId) {
        self.written
    }

    /// Returns the page behind the last record, written or not.
    pub(crate) const fn next(&self) -> PageId {
        self.next
    }

    /// Returns the page behind what waits, once that is written.
    pub(crate) fn end(&self) -> PageId {
        let waiting = self.waiting.as_ref().map_or(0, |waiting| log_pages(waiting.changes.len()));
        PageId(self.next.0 + waiting as u64)
    }

    /// Tells whether there are commits that are not written.
    pub(crate) const fn has_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Tells whether somebody waits until what waits is durable.
    pub(crate) fn is_awaited(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.awaited)
    }

    /// Tells whether so much waits, with so many bytes more, that it is to be written although
    /// nobody waits for it.
    pub(crate) fn is_full(&self, more: usize) -> bool {
        self.waiting_bytes() + more >= self.waiting_bytes_max
    }

    /// Makes ready to write what waits, and so many bytes more: the file reaches behind the record.
    ///
    /// # Errors
    /// If the disk is full or fails; nothing has changed then.
    pub(crate) fn ready(&mut self, pager: &Pager, changes: usize) -> Result<()> {
        let end = self.next.0 + log_pages(self.waiting_bytes() + changes) as u64;
        if end <= self.filled.0 {
            return Ok(());
        }
        let more = (self.filled.0 - self.start.0).max(GROW_PAGES);
        let until = (self.filled.0 + more).max(end).min(self.end.0.max(end));
        let zeros = vec![0; usize::try_from(until - self.filled.0).unwrap_or(0) * PAGE_BYTES];
        write_whole(pager.file(), &zeros, self.filled.offset()).map_err(|e| pager.io(&e))?;
        self.filled = PageId(until);
        Ok(())
    }

    /// Adds a commit to what waits.
    pub(crate) fn add(&mut self, entry: &Entry<'_>) -> Added {
        let Entry { commit, ops, changes, freed, awaited } = *entry;
        let fresh = || Waiting { first: commit, last: commit, changes: Vec::new(), awaited };
        let waiting = self.waiting.get_or_insert_with(fresh);
        waiting.last = commit;
        waiting.changes.extend_from_slice(changes);
        waiting.awaited |= awaited;
        self.ops += ops;
        self.freed.extend_from_slice(freed);
        Added { commit, ops, bytes: changes.len(), freed: freed.len() }
    }

    /// Forgets the last commit that was added, and is not written: it failed after all.
    ///
    /// # Panics
    /// L1: if it is written, or not the last.
    pub(crate) fn forget(&mut self, added: Added) {
        let last = self.waiting.as_ref().map(|waiting| waiting.last);
        assert_eq!(
            last,
            Some(added.commit),
            "L1: what is not the last that waits cannot be undone"
        );
        self.ops -= added.ops;
        self.freed.truncate(self.freed.len() - added.freed);
        if let Some(waiting) = &mut self.waiting {
            waiting.changes.truncate(waiting.changes.len() - added.bytes);
            waiting.last = CommitId(added.commit.0 - 1);
            if waiting.first == added.commit {
                self.waiting = None;
            }
        }
    }

    /// Notes that somebody waits until what waits is durable.
    pub(crate) fn set_awaited(&mut self) {
        if let Some(waiting) = &mut self.waiting {
            waiting.awaited = true;
        }
    }

    /// Makes a record of what waits, and gives it its place.
    fn begin<'a>(&mut self, pager: &'a Pager, durable: CommitId) -> Result<Option<Record<'a>>> {
        if self.waiting.is_none() {
            return Ok(None);
        }
        let (batch, place, filled) = (pager.log_batch()?, self.next, self.filled);
        self.next = self.end();
        self.filled = self.filled.max(self.next);
        let previous = std::mem::replace(&mut self.salt, *batch.salt());
        Ok(self.waiting.take().map(|waiting| {
            let Waiting { first, last, changes, awaited } = waiting;
            let content = LogRecord { first, last, durable, previous, changes };
            Record { content, batch, place, filled, awaited }
        }))
    }

    /// Lets a record wait again that could not be written, and what was added meanwhile behind it.
    fn put_back(&mut self, record: Record<'_>) {
        let Record { content, place, filled, mut awaited, .. } = record;
        let LogRecord { first, mut last, previous, mut changes, .. } = content;
        if let Some(behind) = self.waiting.take() {
            last = behind.last;
            changes.extend_from_slice(&behind.changes);
            awaited |= behind.awaited;
        }
        (self.next, self.salt, self.filled) = (place, previous, filled);
        self.waiting = Some(Waiting { first, last, changes, awaited });
    }

    /// Goes on behind what opening found.
    pub(crate) fn resume(&mut self, found: &Found) {
        (self.next, self.salt) = (found.next, found.salt);
        self.written = (found.last().unwrap_or(self.written.0), found.next);
    }

    /// Counts what the log holds that was replayed.
    pub(crate) fn charge(&mut self, ops: usize, freed: Vec<PageId>) {
        (self.ops, self.freed) = (ops, freed);
    }
}

/// Makes zero the first page of what is not to be a record.
///
/// # Errors
/// If the system fails to write.
pub(crate) fn wipe(pager: &Pager, place: PageId) -> Result<()> {
    let zeros = [0; PAGE_BYTES];
    write_whole(pager.file(), &zeros, place.offset()).map_err(|e| pager.io(&e))
}

/// How large a log may become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) pages_max: u64,
    /// Each operation may leave a node in memory that is not written.
    pub(crate) ops_max: usize,
    /// How much may wait that nobody waits for.
    pub(crate) waiting_bytes_max: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreOptions;

    #[test]
    fn a_commit_that_failed_does_not_wait() {
        let mut tail = Tail::none(3, CommitId(1));
        let entry = |number, changes, freed| Entry {
            commit: CommitId(number),
            ops: 2,
            changes,
            freed,
            awaited: number == 3,
        };
        let (one, freed) = ([PageId(9)], [PageId(7), PageId(8)]);
        let first = tail.add(&entry(2, b"one", &one));
        assert!(!tail.is_awaited() && !tail.is_full(0));
        let failed = tail.add(&entry(3, b"failed", &freed));
        assert!(tail.is_awaited());
        tail.forget(failed);
        let waiting = tail.waiting.as_ref().unwrap();
        assert_eq!((waiting.first, waiting.last), (CommitId(2), CommitId(2)));
        assert_eq!((&waiting.changes[..], tail.ops, &tail.freed[..]), (&b"one"[..], 2, &one[..]));
        tail.forget(first);
        assert!(!tail.has_waiting() && tail.ops == 0 && tail.freed.is_empty());
        tail.add(&entry(4, &[0; WAITING_BYTES_MAX], &[]));
        assert!(tail.is_full(0), "as much as waits");
    }

    #[test]
    fn a_record_that_could_not_be_written_waits_again_before_what_came_meanwhile() {
        let mut tail = Tail::none(3, CommitId(1));
        let entry = |number, changes| Entry {
            commit: CommitId(number),
            ops: 1,
            changes,
            freed: &[],
            awaited: false,
        };
        tail.add(&entry(2, b"one"));
        let (next, salt, filled) = (tail.next, tail.salt, tail.filled);
        let pager = StoreOptions::new().in_memory().unwrap().snapshot().state().pager.clone();
        let record = tail.begin(&pager, CommitId(1)).unwrap().unwrap();
        assert_eq!(
            (tail.next, tail.filled, tail.salt),
            (PageId(4), PageId(4), *record.batch.salt())
        );
        tail.add(&entry(3, b"two"));
        tail.put_back(record);
        assert_eq!((tail.next, tail.salt, tail.filled), (next, salt, filled));
        assert_eq!(tail.end(), PageId(4));
        let waiting = tail.waiting.as_ref().unwrap();
        assert_eq!((waiting.first, waiting.last), (CommitId(2), CommitId(3)));
        assert_eq!(waiting.changes, b"onetwo");
    }
}
