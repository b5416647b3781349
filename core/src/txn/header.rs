//! The header: the prelude with its copies, and the two slots.

use crate::crypto::{Batch, PageIdentity};
use crate::error::{Damage, Error, FileErrorCause, Result};
use crate::page::{FORMAT_VERSION, HeaderSlot, NoPrelude, PRELUDE_BYTES, PRELUDE_COPY_AT, Prelude};
use crate::pager::Pager;
use crate::unit::{CommitId, HEADER_PAGES, PAGE_BYTES, PageId, SLOT_BYTES};
use crate::vfs::{VfsFile, read_whole, write_whole};
use std::path::Path;

/// Length of the shortest file.
pub(crate) const HEADER_BYTES: u64 = HEADER_PAGES * PAGE_BYTES as u64;

pub(crate) const SLOT_PAGES: [PageId; 2] = [PageId(1), PageId(2)];

/// Reads of a slot before it counts as damaged: a writer may be writing it.
const SLOT_READS: u32 = 3;

/// Returns the page of the other slot.
pub(crate) fn other_slot(page: PageId) -> PageId {
    assert!(SLOT_PAGES.contains(&page), "C1: page {page} is no slot");
    PageId(3 - page.0)
}

/// A slot that can be read, and its page.
pub(crate) struct ReadSlot {
    pub(crate) page: PageId,
    pub(crate) slot: HeaderSlot,
}

/// Returns the page and the offset of the prelude and of its copies.
pub(crate) fn prelude_places() -> [(PageId, u64); 3] {
    let copy = |page: PageId| (page, page.offset() + PRELUDE_COPY_AT);
    [(PageId(0), 0), copy(PageId(1)), copy(PageId(2))]
}

/// Reads the prelude, or a copy if it is damaged.
pub(crate) fn read_prelude(file: &dyn VfsFile, path: &Path) -> Result<Prelude> {
    let len = file.len().map_err(|e| Error::io(path, &e))?;
    let mut is_fastness = len == 0;
    let mut newer = None;
    for (_, at) in prelude_places() {
        let mut bytes = [0; PRELUDE_BYTES];
        // A file that ends early reads as zeros from there.
        read_whole(file, &mut bytes, at).map_err(|e| Error::io(path, &e))?;
        match Prelude::decode(&bytes) {
            Ok(prelude) if prelude.version > FORMAT_VERSION => newer = Some(prelude.version),
            Ok(prelude) if len >= HEADER_BYTES => return Ok(prelude),
            Ok(_) | Err(NoPrelude::Damaged) => is_fastness = true,
            Err(NoPrelude::Foreign) => {}
        }
    }
    let cause = match newer {
        Some(found) => FileErrorCause::NewerFormat { found, supported: FORMAT_VERSION },
        None if !is_fastness => FileErrorCause::NotFastness,
        None if len < HEADER_BYTES => {
            FileErrorCause::Truncated { expected_bytes: HEADER_BYTES, found_bytes: len }
        }
        None => FileErrorCause::Damaged { page: PageId(0), damage: Damage::Header },
    };
    Err(Error::file(path, cause))
}

/// Seals a slot and writes it.
pub(crate) fn write_slot(
    pager: &Pager,
    batch: Batch<'_>,
    slot: &HeaderSlot,
    page: PageId,
) -> Result<()> {
    assert!(SLOT_PAGES.contains(&page), "C1: page {page} is no slot");
    let mut bytes: [u8; SLOT_BYTES] = slot.encode();
    batch.seal_slot(PageIdentity { page, birth: slot.commit }, &mut bytes);
    write_whole(pager.file(), &bytes, page.offset()).map_err(|e| pager.io(&e))
}

/// Reads a slot; `None` if its seal does not match.
pub(crate) fn read_slot(pager: &Pager, page: PageId) -> Result<Option<ReadSlot>> {
    let mut bytes = [0; SLOT_BYTES];
    let whole = read_whole(pager.file(), &mut bytes, page.offset()).map_err(|e| pager.io(&e))?;
    if !whole || !pager.sealer().open_slot(page, &mut bytes) {
        return Ok(None);
    }
    let slot = HeaderSlot::decode(&bytes).ok_or_else(|| pager.damaged(page, Damage::Content))?;
    Ok(Some(ReadSlot { page, slot }))
}

/// Returns the newest commit of the slots.
pub(crate) fn newest_base(pager: &Pager) -> Result<Option<CommitId>> {
    let mut newest = None;
    for page in SLOT_PAGES {
        newest = newest.max(read_slot(pager, page)?.map(|found| found.slot.commit));
    }
    Ok(newest)
}

/// Returns the damaged pages of the header.
pub(crate) fn check_header(pager: &Pager) -> Result<Vec<PageId>> {
    let mut damaged = Vec::new();
    for (page, at) in prelude_places() {
        let mut bytes = [0; PRELUDE_BYTES];
        read_whole(pager.file(), &mut bytes, at).map_err(|e| pager.io(&e))?;
        let slot_fits = page == PageId(0) || slot_fits(pager, page)?;
        if Prelude::decode(&bytes).is_err() || !slot_fits {
            damaged.push(page);
        }
    }
    Ok(damaged)
}

fn slot_fits(pager: &Pager, page: PageId) -> Result<bool> {
    for _ in 0..SLOT_READS {
        if read_slot(pager, page)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}
