//! Decoders of pages, slots, log pages and preludes, for fuzzing. Each visits every field that a
//! reader uses.

use crate::codec::Reader;
use crate::error::{Damage, FileErrorCause};
use crate::page::{
    CatalogAt, FORMAT_VERSION, HeaderSlot, LogHead, LogRecord, NoPrelude, NodePage, OverflowPage,
    PRELUDE_BYTES, Prelude, TreeCatalog, ValueSpan,
};
use crate::txn::section;
use crate::unit::{PAGE_BYTES, PageBytes, SLOT_BYTES};

/// Decodes a page whose seal is open, and returns its kind.
///
/// # Errors
/// [`Damage::Missing`] if it is too short, [`Damage::Content`] if it is malformed.
pub fn decode_page(page: &[u8]) -> Result<&'static str, Damage> {
    let page: &PageBytes = page.first_chunk().ok_or(Damage::Missing)?;
    if OverflowPage::decode(page).is_some() {
        return Ok("overflow");
    }
    let node = NodePage::decode(Box::new(*page)).ok_or(Damage::Content)?;
    walk(&node);
    Ok(if node.level() == 0 { "leaf" } else { "branch" })
}

/// Reads every cell, which P2 promises to be possible.
fn walk(node: &NodePage) {
    for index in 0..node.count() {
        assert!(index == 0 || node.key(index - 1) < node.key(index), "P2: keys ascend");
        if node.level() > 0 {
            node.child(index);
        } else if let ValueSpan::Inline { at, len } = node.value(index) {
            assert_eq!(node.slice(at, len).len(), len, "P2: a value is within the page");
        }
    }
    assert!(node.used_bytes() <= PAGE_BYTES, "P2: cells are within the page");
}

/// Decodes a header slot whose seal is open, with an inline catalog.
///
/// # Errors
/// [`Damage::Missing`] if it is too short, [`Damage::Content`] if it is malformed.
pub fn decode_slot(slot: &[u8]) -> Result<(), Damage> {
    let slot: &[u8; SLOT_BYTES] = slot.first_chunk().ok_or(Damage::Missing)?;
    let decoded = HeaderSlot::decode(slot).ok_or(Damage::Content)?;
    if let CatalogAt::Inline(bytes) = &decoded.catalog {
        let catalog = TreeCatalog::decode(bytes).ok_or(Damage::Content)?;
        assert_eq!(catalog.encode(), *bytes, "P1: a catalog has one form");
    }
    Ok(())
}

/// Decodes a log page whose seal is open as a record of one page, and returns the number of its
/// operations.
///
/// # Errors
/// [`Damage::Missing`] if it is too short, [`Damage::Content`] if it is malformed.
pub fn decode_log(page: &[u8]) -> Result<usize, Damage> {
    let page: &PageBytes = page.first_chunk().ok_or(Damage::Missing)?;
    let head = LogHead::decode(page).ok_or(Damage::Content)?;
    let record = LogRecord::decode(head.commit, LogHead::body(page)).ok_or(Damage::Content)?;
    let (mut reader, mut ops) = (Reader::new(&record.changes), 0);
    while !reader.is_empty() {
        let mut section = section(&mut reader).ok_or(Damage::Content)?;
        while section.next().ok_or(Damage::Content)?.is_some() {
            ops += 1;
        }
    }
    Ok(ops)
}

/// Decodes a prelude.
///
/// # Errors
/// As opening a file that begins with these bytes.
pub fn decode_prelude(bytes: &[u8]) -> Result<(), FileErrorCause> {
    let bytes = Reader::new(bytes).array::<PRELUDE_BYTES>().ok_or(FileErrorCause::NotFastness)?;
    match Prelude::decode(&bytes) {
        Ok(prelude) if prelude.version > FORMAT_VERSION => {
            let (found, supported) = (prelude.version, FORMAT_VERSION);
            Err(FileErrorCause::NewerFormat { found, supported })
        }
        Ok(prelude) => {
            assert_eq!(prelude.encode(), bytes, "P1: a prelude has one form");
            Ok(())
        }
        Err(NoPrelude::Foreign | NoPrelude::Damaged) => Err(FileErrorCause::NotFastness),
    }
}
