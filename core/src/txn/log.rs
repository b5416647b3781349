//! The log: the last commits, one record behind the other, behind the pages of the file.
//!
//! A small commit appends what it changed and syncs once; nothing else moves. The trees are
//! written when the log is full, by a commit of its own kind, and when the store is closed.
//! Opening replays the log over the commit that the header leads to, its *base*.
//!
//! - L1 The log holds every commit since its base, in order and without a gap: a record is written
//!   where the one before it ends, and never over one that may be needed.
//! - L2 Reading stops where the next record is not whole. If a later one is there all the same, or
//!   the record was known to be durable, the file is damaged and opening says so.
//!
//! Format: docs/format.md#log. Check: `sim::check::crash`, `sim::check::damage`.

use crate::codec::Writer;
use crate::crypto::{Batch, HEAD_BYTES};
use crate::error::{Damage, Result};
use crate::fault::{self, Fault};
use crate::page::{LOG_BODY_BYTES, LOG_PAGES_MAX, LogHead, LogRecord, log_pages};
use crate::tree::Pager;
use crate::unit::{CommitId, PAGE_BYTES, PageBytes, PageId};
use crate::vfs::{read_whole, write_whole};

/// Pages that the file grows by at least, so that most commits need not make it longer. Then it
/// grows by as much as the log has, so that opening reads little of what was never written.
const GROW_PAGES: u64 = 16;

/// The least and the most pages of a log; between them it is a quarter of the file.
const PAGES: std::ops::RangeInclusive<u64> = 64..=LOG_PAGES_MAX;

/// Commits that are not durable are kept back until they have this many bytes.
const KEPT_BACK_BYTES_MAX: usize = 256 << 10;

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
    ops: usize,
    ops_max: usize,
    /// Pages of the base that the trees will do without once they are written.
    pub(crate) freed: Vec<PageId>,
    /// Commits that need not be durable and are not written.
    kept_back: Option<KeptBack>,
}

#[derive(Debug)]
struct KeptBack {
    first: CommitId,
    changes: Vec<u8>,
}

/// What a commit appends.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) commit: CommitId,
    /// The last commit that is durable.
    pub(crate) durable: CommitId,
    pub(crate) ops: usize,
    pub(crate) changes: &'a [u8],
}

impl Tail {
    /// Knows a file without a log.
    pub(crate) const fn none(page_count: u64) -> Self {
        let next = PageId(page_count);
        Self {
            start: next,
            next,
            end: next,
            filled: next,
            salt: [0; HEAD_BYTES],
            ops: 0,
            ops_max: 0,
            freed: Vec::new(),
            kept_back: None,
        }
    }

    /// Starts a log behind `page_count` pages of a file.
    pub(crate) fn new(pager: &Pager, page_count: u64, limits: Limits) -> Result<Self> {
        let mut tail = Self::none(page_count);
        tail.allow(pager, page_count, limits)?;
        Ok(tail)
    }

    /// Sets how long the log may become.
    pub(crate) fn allow(&mut self, pager: &Pager, page_count: u64, limits: Limits) -> Result<()> {
        let pages = (page_count / 4).clamp(*PAGES.start(), *PAGES.end()).min(limits.pages_max);
        let bytes = pager.file().len().map_err(|e| pager.io(&e))?;
        self.filled = PageId((bytes / PAGE_BYTES as u64).max(self.next.0));
        self.end = PageId(page_count + pages);
        self.ops_max = limits.ops_max;
        Ok(())
    }

    /// Returns how many bytes of changes a transaction may bring.
    pub(crate) fn room_bytes(&self) -> usize {
        let pages = usize::try_from(self.end.0.saturating_sub(self.next.0)).unwrap_or_default();
        let kept_back = self.kept_back.as_ref().map_or(0, |kept| kept.changes.len());
        // A page less, for what a record holds beside the changes.
        (pages * LOG_BODY_BYTES).saturating_sub(LOG_BODY_BYTES / 2 + kept_back)
    }

    /// Tells whether a transaction may go into the log.
    pub(crate) fn has_room(&self, ops: usize, changes: usize) -> bool {
        changes <= self.room_bytes() && self.ops + ops <= self.ops_max
    }

    /// Returns the page behind the last record.
    pub(crate) const fn next(&self) -> PageId {
        self.next
    }

    /// Tells whether there are commits that are not written.
    pub(crate) const fn keeps_back(&self) -> bool {
        self.kept_back.is_some()
    }

    /// Makes ready to append a commit: the file reaches behind its record.
    ///
    /// # Errors
    /// If the disk is full or fails, or there are no random bytes; nothing is appended then.
    pub(crate) fn ready<'a>(&mut self, pager: &'a Pager, changes: usize) -> Result<Batch<'a>> {
        let batch = pager.log_batch()?;
        let kept_back = self.kept_back.as_ref().map_or(0, |kept| kept.changes.len());
        let end = self.next.0 + log_pages(kept_back + changes) as u64;
        if end <= self.filled.0 {
            return Ok(batch);
        }
        let more = (self.filled.0 - self.start.0).max(GROW_PAGES);
        let until = (self.filled.0 + more).max(end).min(self.end.0.max(end));
        let zeros = vec![0; usize::try_from(until - self.filled.0).unwrap_or(0) * PAGE_BYTES];
        write_whole(pager.file(), &zeros, self.filled.offset()).map_err(|e| pager.io(&e))?;
        self.filled = PageId(until);
        Ok(batch)
    }

    /// Keeps a commit back. It is written with the next one that is to be durable.
    pub(crate) fn keep_back(&mut self, entry: &Entry<'_>) -> bool {
        let fresh = || KeptBack { first: entry.commit, changes: Vec::new() };
        let kept = self.kept_back.get_or_insert_with(fresh);
        kept.changes.extend_from_slice(entry.changes);
        self.ops += entry.ops;
        kept.changes.len() >= KEPT_BACK_BYTES_MAX
    }

    /// Forgets the last commit that was kept back: it failed after all.
    pub(crate) fn forget(&mut self, entry: &Entry<'_>) {
        self.ops -= entry.ops;
        if let Some(kept) = &mut self.kept_back {
            kept.changes.truncate(kept.changes.len() - entry.changes.len());
            if kept.first == entry.commit {
                self.kept_back = None;
            }
        }
    }

    /// Writes a commit, and those that were kept back, behind the last record.
    ///
    /// # Errors
    /// If the system fails to write; what is on the disk is unknown then.
    pub(crate) fn append(
        &mut self,
        pager: &Pager,
        mut batch: Batch<'_>,
        entry: &Entry<'_>,
    ) -> Result<()> {
        let (first, mut changes) = match &self.kept_back {
            Some(kept) => (kept.first, kept.changes.clone()),
            None => (entry.commit, Vec::new()),
        };
        changes.extend_from_slice(entry.changes);
        let (last, durable, previous) = (entry.commit, entry.durable, self.salt);
        let mut pages = LogRecord { first, last, durable, previous, changes }.encode();
        let mut page = self.next;
        for bytes in pages.chunks_exact_mut(PAGE_BYTES) {
            batch.seal_log(page, bytes.first_chunk_mut().expect("K2: a chunk is a page"));
            page = PageId(page.0 + 1);
        }
        write_whole(pager.file(), &pages, self.next.offset()).map_err(|e| pager.io(&e))?;
        (self.next, self.salt, self.kept_back) = (page, *batch.salt(), None);
        self.ops += entry.ops;
        Ok(())
    }

    /// Takes back a record whose writing failed: its first page becomes zeros, durably.
    ///
    /// # Errors
    /// If the system fails to write or to sync; the record may be there then.
    pub(crate) fn retract(&self, pager: &Pager) -> Result<()> {
        self.wipe(pager)?;
        pager.sync()
    }

    /// Makes the first page zero of what is to become the next record.
    ///
    /// # Errors
    /// If the system fails to write.
    pub(crate) fn wipe(&self, pager: &Pager) -> Result<()> {
        let zeros = [0; PAGE_BYTES];
        write_whole(pager.file(), &zeros, self.next.offset()).map_err(|e| pager.io(&e))
    }

    /// Goes on behind what opening found.
    pub(crate) const fn resume(&mut self, found: &Found) {
        (self.next, self.salt) = (found.next, found.salt);
    }

    /// Counts what the log holds that was replayed.
    pub(crate) fn charge(&mut self, ops: usize, freed: Vec<PageId>) {
        (self.ops, self.freed) = (ops, freed);
    }
}

/// How large a log may become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) pages_max: u64,
    /// Each operation may leave a node in memory that is not written.
    pub(crate) ops_max: usize,
}

/// The whole records of a log, and where they end.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) records: Vec<(PageId, LogRecord)>,
    pub(crate) start: PageId,
    pub(crate) next: PageId,
    /// The salt of the last of them.
    salt: [u8; HEAD_BYTES],
    /// A commit that was begun and is not whole.
    pub(crate) torn: Option<CommitId>,
    /// Something of it is there. Before another one is written in its place this must go: parts
    /// of the two that are alike could make it whole.
    pub(crate) remains: bool,
}

impl Found {
    /// Holds no record.
    pub(crate) const fn nothing(start: PageId) -> Self {
        Self {
            records: Vec::new(),
            start,
            next: start,
            salt: [0; HEAD_BYTES],
            torn: None,
            remains: false,
        }
    }
}

/// Reads the log that follows a base.
///
/// # Errors
/// If the system fails to read; or if a record is damaged that was durable.
pub(crate) fn read(pager: &Pager, page_count: u64, base: CommitId) -> Result<Found> {
    let mut area = Area { pager, start: page_count, bytes: Vec::new(), ended: false };
    let (mut records, mut last, mut next, mut salt) = (Vec::new(), base, 0, [0; HEAD_BYTES]);
    loop {
        let (place, head, record) = match area.record(next, last)? {
            Some((head, record)) if record.previous == salt || fault::on(Fault::Fs13) => {
                (next, head, record)
            }
            _ => match beyond(&mut area, next, last)? {
                Some(found) => found,
                None => break,
            },
        };
        next = place + u64::from(head.count);
        let place = PageId(page_count + place);
        (last, salt) = (record.last, head.salt);
        records.push((place, record));
    }
    let remains = area.begun(next, last)?;
    let torn = remains.then(|| last.next());
    if area.later(next, last)?.is_some() {
        return Err(pager.damaged(PageId(page_count + next), Damage::Seal));
    }
    let (start, next) = (PageId(page_count), PageId(page_count + next));
    Ok(Found { records, start, next, salt, torn, remains })
}

/// What [`Fault::Fs12`] does.
fn beyond(
    area: &mut Area<'_>,
    next: u64,
    last: CommitId,
) -> Result<Option<(u64, LogHead, LogRecord)>> {
    if fault::on(Fault::Fs12) {
        for place in next + 1..next + 8 {
            if let Some((head, record)) = area.record(place, last)? {
                return Ok(Some((place, head, record)));
            }
        }
    }
    Ok(None)
}

/// What lies behind the pages of a file.
struct Area<'a> {
    pager: &'a Pager,
    start: u64,
    bytes: Vec<u8>,
    ended: bool,
}

/// Pages that are read at once.
const READ_PAGES: u64 = 64;

impl Area<'_> {
    /// Returns a page as it lies on the disk; `None` behind the end.
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

    /// Opens a page; `None` if there is no sealed log page of ours.
    fn open(&mut self, index: u64) -> Result<Option<(LogHead, Box<PageBytes>)>> {
        let id = PageId(self.start + index);
        let Some((head, mut page)) =
            self.page(index)?.and_then(|page| Some((LogHead::decode(page)?, Box::new(*page))))
        else {
            return Ok(None);
        };
        let ours = self.pager.sealer().open_log(id, &mut page);
        Ok(ours.then_some((head, page)))
    }

    /// Reads the record at `start` if it is whole and follows commit `last`.
    fn record(&mut self, start: u64, last: CommitId) -> Result<Option<(LogHead, LogRecord)>> {
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

    /// Tells whether a record after commit `last` was begun at `start`.
    fn begun(&mut self, start: u64, last: CommitId) -> Result<bool> {
        let head = self.page(start)?.and_then(LogHead::decode);
        Ok(head.is_some_and(|head| head.commit > last))
    }

    /// Looks from `start` on for a record that tells of a durable commit after `last`.
    fn later(&mut self, start: u64, last: CommitId) -> Result<Option<CommitId>> {
        for index in start..LOG_PAGES_MAX {
            let Some(page) = self.page(index)? else { return Ok(None) };
            let first = |head: &LogHead| head.index == 0 && head.commit > last;
            if LogHead::decode(page).is_some_and(|head| first(&head))
                && let Some((_, page)) = self.open(index)?
            {
                let durable = LogRecord::durable_in(LogHead::body(&page));
                if durable.is_some_and(|durable| durable > last) {
                    return Ok(durable);
                }
            }
        }
        Ok(None)
    }
}

/// Appends what happened to each tree to a record.
pub(crate) fn changes<'a>(sections: impl Iterator<Item = (&'a str, u64, &'a [u8])>) -> Vec<u8> {
    let mut writer = Writer::default();
    for (name, len, ops) in sections {
        super::journal::put_section(name, len, ops, &mut writer);
    }
    writer.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_failed_is_not_kept_back() {
        let mut tail = Tail::none(3);
        let entry = |number, changes| {
            let (commit, durable) = (CommitId(number), CommitId(1));
            Entry { commit, durable, ops: 2, changes }
        };
        assert!(!tail.keep_back(&entry(2, b"one")));
        assert!(!tail.keep_back(&entry(3, b"failed")));
        tail.forget(&entry(3, b"failed"));
        let kept = tail.kept_back.as_ref().unwrap();
        assert_eq!((kept.first, &kept.changes[..], tail.ops), (CommitId(2), &b"one"[..], 2));
        tail.forget(&entry(2, b"one"));
        assert!(!tail.keeps_back() && tail.ops == 0);
        assert!(tail.keep_back(&entry(4, &[0; KEPT_BACK_BYTES_MAX])), "as much as is kept back");
    }
}
