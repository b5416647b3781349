//! Overflow pages: a chain of pages that holds an out-of-line value or catalog.

use super::{KIND_OVERFLOW, POINTER_BYTES, Pointer};
use crate::codec::{Reader, Writer, put_at, u16_at, u16_len};
use crate::crypto::HEAD_BYTES;
use crate::unit::{PAGE_BYTES, PageBytes};

const DATA_START: usize = HEAD_BYTES + 8 + POINTER_BYTES;

/// Bytes of data in one overflow page.
pub(crate) const OVERFLOW_CAPACITY: usize = PAGE_BYTES - DATA_START;

/// Returns the number of overflow pages of a value of `bytes` bytes.
pub(crate) const fn overflow_pages(bytes: usize) -> usize {
    bytes.div_ceil(OVERFLOW_CAPACITY)
}

/// A decoded overflow page.
#[derive(Debug)]
pub(crate) struct OverflowPage<'a> {
    pub(crate) next: Option<Pointer>,
    pub(crate) data: &'a [u8],
}

/// Encodes a page of a chain, which is not sealed yet.
pub(crate) fn encode_overflow(data: &[u8], next: Option<&Pointer>, page: &mut PageBytes) {
    page.fill(0);
    page[HEAD_BYTES] = KIND_OVERFLOW;
    put_at(page, HEAD_BYTES + 2, &u16_len(data.len()).to_le_bytes());
    let mut writer = Writer::with_capacity(POINTER_BYTES);
    Pointer::encode(next, &mut writer);
    put_at(page, HEAD_BYTES + 8, writer.bytes());
    put_at(page, DATA_START, data);
}

impl<'a> OverflowPage<'a> {
    pub(crate) fn decode(page: &'a PageBytes) -> Option<Self> {
        let len = usize::from(u16_at(page, HEAD_BYTES + 2));
        let mut reader = Reader::new(&page[HEAD_BYTES + 8..]);
        let next = Pointer::decode(&mut reader)?;
        let data = reader.take(len)?;
        (page[HEAD_BYTES] == KIND_OVERFLOW && !data.is_empty()).then_some(Self { next, data })
    }
}
