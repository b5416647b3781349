//! Layouts of pages and header: bytes to typed views and back, without I/O.
//!
//! - P1 Decoding any bytes is total: an error or a well-formed view; never a panic, a loop or a
//!   large allocation.
//! - P2 A decoded node has its cells within the page, and its keys in strictly ascending order.
//! - P3 A child is one level below its branch, so every descent ends.
//!
//! Format: docs/format.md#pages. Check: `sim::check::damage`, fuzz target `page`.

mod log;
mod node;
mod overflow;
mod prelude;
mod slot;

pub(crate) use log::{LOG_BODY_BYTES, LOG_PAGES_MAX, LogHead, LogRecord, log_pages};
pub(crate) use node::{
    CELL_BYTES_MAX, DIRECTORY_BYTES, LEAF_CELL_HEAD, NODE_CAPACITY, NodePage, ValueSpan,
    branch_cell_bytes, encode_branch, encode_leaf, encode_leaf_run, leaf_cell_bytes,
    leaf_cell_head,
};
pub(crate) use overflow::{OVERFLOW_CAPACITY, OverflowPage, encode_overflow, overflow_pages};
pub(crate) use prelude::{NoPrelude, PRELUDE_BYTES, PRELUDE_COPY_AT, Prelude};
pub(crate) use slot::{
    CatalogAt, HeaderSlot, INLINE_CATALOG_BYTES_MAX, NUMBERS_END, TreeCatalog, TreeRecord,
};

use crate::codec::{Reader, Writer, put_at, u48_bytes};
use crate::crypto::{PageIdentity, Seal};
use crate::unit::{CommitId, HEADER_PAGES, PageId};

/// The file format version of new files, and the newest version that this code reads.
pub(crate) const FORMAT_VERSION: u32 = 2;

/// The first version with a write-ahead log. Older files are read and written without one.
pub(crate) const LOG_VERSION: u32 = 2;

/// Maximum level of a node. A tree of this height is larger than any disk.
pub(crate) const LEVEL_MAX: u8 = 24;

/// Pointer to a page: its number, the commit that wrote it, and the seal that verifies it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Pointer {
    pub(crate) page: PageId,
    pub(crate) birth: CommitId,
    pub(crate) seal: Seal,
}

pub(crate) const POINTER_BYTES: usize = 28;

impl Pointer {
    pub(crate) const fn identity(&self) -> PageIdentity {
        PageIdentity { page: self.page, birth: self.birth }
    }

    /// Decodes a pointer: `Some(None)` is the null pointer, to page 0, and `None` is malformed.
    pub(crate) fn decode(reader: &mut Reader<'_>) -> Option<Option<Self>> {
        let page = PageId(reader.u48()?);
        let birth = CommitId(reader.u48()?);
        let seal = Seal(reader.array()?);
        if page == PageId(0) {
            return Some(None);
        }
        (page.0 >= HEADER_PAGES).then_some(Some(Self { page, birth, seal }))
    }

    pub(crate) fn encode(pointer: Option<&Self>, writer: &mut Writer) {
        writer.put(&pointer.map_or([0; POINTER_BYTES], |pointer| pointer.to_bytes()));
    }

    pub(crate) fn to_bytes(self) -> [u8; POINTER_BYTES] {
        let mut bytes = [0; POINTER_BYTES];
        put_at(&mut bytes, 0, &u48_bytes(self.page.0));
        put_at(&mut bytes, 6, &u48_bytes(self.birth.0));
        put_at(&mut bytes, 12, &self.seal.0);
        bytes
    }
}

/// Kind of a page: the first byte of its body.
pub(crate) const KIND_LEAF: u8 = 1;
pub(crate) const KIND_BRANCH: u8 = 2;
pub(crate) const KIND_OVERFLOW: u8 = 3;
