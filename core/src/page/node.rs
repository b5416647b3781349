//! Slotted pages of the B+tree, leaves and branches: a directory of cell offsets, then the cells in
//! key order.
//!
//! A leaf cell is a key with its inline value, or with the length of an out-of-line value and the
//! pointer to its overflow chain. A branch cell is a separator key, which is the lower bound of the
//! keys of a child, and the pointer to that child. The first separator is empty, so the children
//! cover all keys.

use super::{KIND_BRANCH, KIND_LEAF, LEVEL_MAX, POINTER_BYTES, Pointer};
use crate::codec::{Reader, put_at, u16_at, u16_len, u32_at, u32_len};
use crate::crypto::HEAD_BYTES;
use crate::unit::{KEY_BYTES_MAX, PAGE_BYTES, PageBytes, VALUE_BYTES_MAX};
use std::ops::Deref;

/// Offset of the directory in the page.
const CELLS_START: usize = HEAD_BYTES + 8;

/// Space for the directory and the cells, in bytes.
pub(crate) const NODE_CAPACITY: usize = PAGE_BYTES - CELLS_START;

/// Maximum size of a cell with its directory entry, so that three fit in any node.
pub(crate) const CELL_BYTES_MAX: usize = NODE_CAPACITY / 3;

pub(crate) const DIRECTORY_BYTES: usize = 2;
pub(crate) const LEAF_CELL_HEAD: usize = 6;
const BRANCH_CELL_HEAD: usize = 2 + POINTER_BYTES;
/// Flag in the length of an out-of-line value, which is stored in an overflow chain.
const STORED: u32 = 1 << 31;

/// Returns the size of an entry with an inline value in a leaf.
pub(crate) const fn leaf_cell_bytes(key: usize, payload: usize) -> usize {
    DIRECTORY_BYTES + LEAF_CELL_HEAD + key + payload
}

/// Returns the size of the cell of a child in a branch.
pub(crate) const fn branch_cell_bytes(key: usize) -> usize {
    DIRECTORY_BYTES + BRANCH_CELL_HEAD + key
}

struct Encoder<'a> {
    page: &'a mut PageBytes,
    directory_at: usize,
    cell_at: usize,
}

impl<'a> Encoder<'a> {
    fn new(page: &'a mut PageBytes, level: u8, count: usize) -> Self {
        page[..CELLS_START].fill(0);
        page[HEAD_BYTES] = if level == 0 { KIND_LEAF } else { KIND_BRANCH };
        page[HEAD_BYTES + 1] = level;
        put_at(page, HEAD_BYTES + 2, &u16_len(count).to_le_bytes());
        Self { page, directory_at: CELLS_START, cell_at: CELLS_START + count * DIRECTORY_BYTES }
    }

    fn begin(&mut self) {
        put_at(self.page, self.directory_at, &u16_len(self.cell_at).to_le_bytes());
        self.directory_at += DIRECTORY_BYTES;
    }

    fn put(&mut self, bytes: &[u8]) {
        put_at(self.page, self.cell_at, bytes);
        self.cell_at += bytes.len();
    }

    fn finish(self) {
        self.page[self.cell_at..].fill(0);
    }
}

/// Encodes the head of a leaf cell. An inline value follows the key; the pointer to its overflow
/// chain follows if the value is `stored` out of line.
pub(crate) fn leaf_cell_head(key: usize, value: usize, stored: bool) -> [u8; LEAF_CELL_HEAD] {
    let tag = u32_len(value) | if stored { STORED } else { 0 };
    let ([a, b], [c, d, e, f]) = (u16_len(key).to_le_bytes(), tag.to_le_bytes());
    [a, b, c, d, e, f]
}

/// Encodes a leaf of complete cells, which must fit. The leaf is not sealed yet.
pub(crate) fn encode_leaf<'c>(
    cells: impl ExactSizeIterator<Item = &'c [u8]>,
    page: &mut PageBytes,
) {
    let mut encoder = Encoder::new(page, 0, cells.len());
    for cell in cells {
        encoder.begin();
        encoder.put(cell);
    }
    encoder.finish();
}

/// Encodes a leaf, not sealed yet, of adjacent cells that begin at `places`. They must fit.
pub(crate) fn encode_leaf_run(
    places: impl ExactSizeIterator<Item = usize>,
    cells: &[u8],
    page: &mut PageBytes,
) {
    let mut encoder = Encoder::new(page, 0, places.len());
    let start = encoder.cell_at;
    for place in places {
        encoder.cell_at = start + place;
        encoder.begin();
    }
    encoder.cell_at = start;
    encoder.put(cells);
    encoder.finish();
}

/// Encodes a branch, which is not sealed yet. The cells must fit; the first key must be empty.
pub(crate) fn encode_branch<'c>(
    level: u8,
    cells: impl ExactSizeIterator<Item = (&'c [u8], Pointer)>,
    page: &mut PageBytes,
) {
    let mut encoder = Encoder::new(page, level, cells.len());
    for (key, child) in cells {
        encoder.begin();
        encoder.put(&u16_len(key.len()).to_le_bytes());
        encoder.put(&child.to_bytes());
        encoder.put(key);
    }
    encoder.finish();
}

/// A decoded leaf or branch, which owns or borrows the bytes of its page.
#[derive(Clone, Debug)]
pub(crate) struct NodePage<B = Box<PageBytes>> {
    bytes: B,
}

impl<B: Deref<Target = PageBytes>> NodePage<B> {
    /// Decodes a page as a node; `None` if it is malformed.
    pub(crate) fn decode(bytes: B) -> Option<Self> {
        let node = Self { bytes };
        let kind = node.bytes[HEAD_BYTES];
        let level = node.level();
        let known = match kind {
            KIND_LEAF => level == 0,
            KIND_BRANCH => level > 0 && level <= LEVEL_MAX,
            _ => false,
        };
        if !known || node.count() == 0 || !node.cells_are_well_formed()? {
            return None;
        }
        Some(node)
    }

    fn cells_are_well_formed(&self) -> Option<bool> {
        let count = self.count();
        let mut cells = Reader::new(&self.bytes[CELLS_START..]);
        cells.take(count * DIRECTORY_BYTES)?;
        let mut at = CELLS_START + count * DIRECTORY_BYTES;
        let mut last: Option<&[u8]> = None;
        for index in 0..count {
            if usize::from(self.offset(index)) != at {
                return Some(false);
            }
            let start = cells.clone();
            let key = if self.level() == 0 {
                Self::check_leaf_cell(&mut cells)?
            } else {
                Self::check_branch_cell(&mut cells)?
            };
            let ascending = last.is_none_or(|last| last < key);
            let first_is_empty = self.level() == 0 || index > 0 || key.is_empty();
            if key.len() > KEY_BYTES_MAX || !ascending || !first_is_empty {
                return Some(false);
            }
            last = Some(key);
            at += start.len() - cells.len();
        }
        Some(true)
    }

    fn check_leaf_cell<'a>(cells: &mut Reader<'a>) -> Option<&'a [u8]> {
        let key_len = cells.array().map(u16::from_le_bytes)?;
        let tagged = cells.u32()?;
        let key = cells.take(usize::from(key_len))?;
        let bytes = usize::try_from(tagged & !STORED).ok()?;
        if tagged & STORED == 0 {
            cells.take(bytes)?;
        } else {
            Pointer::decode(cells)??;
        }
        (bytes <= VALUE_BYTES_MAX && (tagged & STORED == 0 || bytes > 0)).then_some(key)
    }

    fn check_branch_cell<'a>(cells: &mut Reader<'a>) -> Option<&'a [u8]> {
        let key_len = cells.array().map(u16::from_le_bytes)?;
        Pointer::decode(cells)??;
        cells.take(usize::from(key_len))
    }

    /// Returns the distance to the leaves: 0 for a leaf.
    pub(crate) fn level(&self) -> u8 {
        self.bytes[HEAD_BYTES + 1]
    }

    /// Returns the number of cells, at least one.
    pub(crate) fn count(&self) -> usize {
        usize::from(u16_at(&self.bytes[..], HEAD_BYTES + 2))
    }

    fn offset(&self, index: usize) -> u16 {
        u16_at(&self.bytes[..], CELLS_START + index * DIRECTORY_BYTES)
    }

    /// Returns the position of a cell's key in the page.
    pub(crate) fn key_span(&self, index: usize) -> (usize, usize) {
        let at = usize::from(self.offset(index));
        let len = usize::from(u16_at(&self.bytes[..], at));
        let head = if self.level() == 0 { LEAF_CELL_HEAD } else { BRANCH_CELL_HEAD };
        (at + head, len)
    }

    pub(crate) fn key(&self, index: usize) -> &[u8] {
        let (at, len) = self.key_span(index);
        self.slice(at, len)
    }

    /// Returns the bytes of a span of this page.
    pub(crate) fn slice(&self, at: usize, len: usize) -> &[u8] {
        &self.bytes[at..at + len]
    }

    /// Returns the position of an inline value in the page, or the pointer to the overflow chain of
    /// an out-of-line one.
    pub(crate) fn value(&self, index: usize) -> ValueSpan {
        let at = usize::from(self.offset(index));
        let tagged = u32_at(&self.bytes[..], at + 2);
        let (key_at, key_len) = self.key_span(index);
        let start = key_at + key_len;
        if tagged & STORED == 0 {
            let len = usize::try_from(tagged).unwrap_or_default();
            return ValueSpan::Inline { at: start, len };
        }
        let first = self.pointer(start);
        ValueSpan::Stored { bytes: tagged & !STORED, first }
    }

    pub(crate) fn child(&self, index: usize) -> Pointer {
        self.pointer(usize::from(self.offset(index)) + 2)
    }

    fn pointer(&self, at: usize) -> Pointer {
        Pointer::decode(&mut Reader::new(&self.bytes[at..]))
            .flatten()
            .expect("P2: a decoded node holds whole pointers")
    }

    /// Returns the offsets of the cells in the page.
    pub(crate) fn cells_at(&self) -> impl ExactSizeIterator<Item = u16> {
        (0..self.count()).map(|index| self.offset(index))
    }

    /// Returns the offset of the end of the last cell.
    pub(crate) fn end(&self) -> usize {
        CELLS_START + self.used_bytes()
    }

    /// Returns the size of the directory and the cells.
    pub(crate) fn used_bytes(&self) -> usize {
        let last = self.count() - 1;
        let (at, len) = self.key_span(last);
        let end = if self.level() > 0 {
            at + len
        } else {
            match self.value(last) {
                ValueSpan::Inline { at, len } => at + len,
                ValueSpan::Stored { .. } => at + len + POINTER_BYTES,
            }
        };
        end - CELLS_START
    }
}

/// The location of the value of a leaf cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ValueSpan {
    Inline { at: usize, len: usize },
    Stored { bytes: u32, first: Pointer },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Seal;
    use crate::unit::{CommitId, PageId};

    fn pointer(page: u64) -> Pointer {
        Pointer { page: PageId(page), birth: CommitId(1), seal: Seal([3; 16]) }
    }

    fn leaf(cells: &[(&[u8], &[u8])]) -> Option<NodePage> {
        let cells = cells.iter().map(|(key, value)| {
            [&leaf_cell_head(key.len(), value.len(), false)[..], key, value].concat()
        });
        let cells: Vec<_> = cells.collect();
        let mut page = Box::new([7; PAGE_BYTES]);
        encode_leaf(cells.iter().map(Vec::as_slice), &mut page);
        NodePage::decode(page)
    }

    #[test]
    fn a_leaf_survives_encoding() {
        let stored = [&leaf_cell_head(1, 5000, true)[..], b"b", &pointer(9).to_bytes()].concat();
        let cell = |key: &[u8], value: &[u8]| {
            [&leaf_cell_head(key.len(), value.len(), false)[..], key, value].concat()
        };
        let cells = [cell(b"a", b"one"), stored, cell(b"c", b"")];
        let mut page = Box::new([7; PAGE_BYTES]);
        encode_leaf(cells.iter().map(Vec::as_slice), &mut page);
        let node = NodePage::decode(page).unwrap();
        assert_eq!((node.level(), node.count(), node.key(2)), (0, 3, &b"c"[..]));
        assert_eq!(node.value(1), ValueSpan::Stored { bytes: 5000, first: pointer(9) });
        let ValueSpan::Inline { at, len } = node.value(0) else { panic!() };
        assert_eq!(node.slice(at, len), b"one");
        let used = node.used_bytes();
        assert_eq!(used, 3 * 8 + 3 + 3 + POINTER_BYTES);
        let first = CELLS_START + 3 * DIRECTORY_BYTES;
        assert_eq!(node.cells_at().nth(1).map(usize::from), Some(first + cells[0].len()));
        assert_eq!(node.end(), CELLS_START + used);
        let bytes = node.bytes;
        assert!(bytes[CELLS_START + used..].iter().all(|&byte| byte == 0), "the rest is zero");
    }

    #[test]
    fn a_branch_survives_encoding() {
        let cells = [(b"".as_slice(), pointer(5)), (b"m", pointer(6))];
        let mut page = Box::new([0; PAGE_BYTES]);
        encode_branch(2, cells.into_iter(), &mut page);
        let node = NodePage::decode(page).unwrap();
        assert_eq!((node.level(), node.count()), (2, 2));
        assert_eq!((node.child(0), node.child(1)), (pointer(5), pointer(6)));
        assert_eq!((node.key(0), node.key(1)), (&b""[..], &b"m"[..]));
        assert_eq!(node.used_bytes(), 2 * 32 + 1);
    }

    #[test]
    fn keys_out_of_order_are_refused() {
        assert!(leaf(&[(b"a", b""), (b"b", b"")]).is_some());
        assert!(leaf(&[(b"b", b""), (b"a", b"")]).is_none());
    }
}
