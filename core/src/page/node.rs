//! Leaves and branches: a directory of cell offsets, then the cells in key order.
//!
//! A leaf cell is a key with its value, or with the length of the value and the pointer to its
//! overflow chain. A branch cell is the least key its child may hold, and the child; the first
//! cell's key is empty, so that every key has a child.

use super::heads::Heads;
use super::{KIND_BRANCH, KIND_LEAF, LEVEL_MAX, POINTER_BYTES, Pointer};
use crate::codec::{Reader, Writer, put_at, u16_at, u16_len, u32_at, u32_len};
use crate::crypto::HEAD_BYTES;
use crate::fault::{self, Fault};
use crate::unit::{KEY_BYTES_MAX, PAGE_BYTES, PageBytes, VALUE_BYTES_MAX};

/// Where the directory starts.
const CELLS_START: usize = HEAD_BYTES + 8;

/// Bytes for the directory and the cells.
pub(crate) const NODE_CAPACITY: usize = PAGE_BYTES - CELLS_START;

/// Longest cell with its directory entry: three fit in any node.
pub(crate) const CELL_BYTES_MAX: usize = NODE_CAPACITY / 3;

const DIRECTORY_BYTES: usize = 2;
const LEAF_CELL_HEAD: usize = 6;
const BRANCH_CELL_HEAD: usize = 2 + POINTER_BYTES;
/// Set in the length of a value that lies in an overflow chain.
const STORED: u32 = 1 << 31;

/// Returns what an entry takes in a leaf if its value stands there.
pub(crate) const fn leaf_cell_bytes(key: usize, payload: usize) -> usize {
    DIRECTORY_BYTES + LEAF_CELL_HEAD + key + payload
}

/// Returns what a child takes in a branch.
pub(crate) const fn branch_cell_bytes(key: usize) -> usize {
    DIRECTORY_BYTES + BRANCH_CELL_HEAD + key
}

/// The value of a leaf cell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Payload<'a> {
    Inline(&'a [u8]),
    Stored { bytes: u32, first: Pointer },
}

/// A key with what belongs to it, to be encoded.
#[derive(Debug)]
pub(crate) struct Cell<'a, T> {
    pub(crate) key: &'a [u8],
    pub(crate) content: T,
}

struct Encoder<'a> {
    page: &'a mut PageBytes,
    directory_at: usize,
    cell_at: usize,
}

impl<'a> Encoder<'a> {
    fn new(page: &'a mut PageBytes, kind: u8, level: u8, count: usize) -> Self {
        page.fill(0);
        page[HEAD_BYTES] = kind;
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

    fn pointer(&mut self, pointer: &Pointer) {
        let mut writer = Writer::with_capacity(POINTER_BYTES);
        Pointer::encode(Some(pointer), &mut writer);
        self.put(writer.bytes());
    }
}

/// Writes a leaf, not yet sealed. The cells must fit.
pub(crate) fn encode_leaf<'c>(
    cells: impl ExactSizeIterator<Item = Cell<'c, Payload<'c>>>,
    page: &mut PageBytes,
) {
    let mut encoder = Encoder::new(page, KIND_LEAF, 0, cells.len());
    for cell in cells {
        encoder.begin();
        encoder.put(&u16_len(cell.key.len()).to_le_bytes());
        match cell.content {
            Payload::Inline(value) => {
                encoder.put(&u32_len(value.len()).to_le_bytes());
                encoder.put(cell.key);
                encoder.put(value);
            }
            Payload::Stored { bytes, first } => {
                encoder.put(&(bytes | STORED).to_le_bytes());
                encoder.put(cell.key);
                encoder.pointer(&first);
            }
        }
    }
}

/// Writes a branch, not yet sealed. The cells must fit; the first key must be empty.
pub(crate) fn encode_branch<'c>(
    level: u8,
    cells: impl ExactSizeIterator<Item = Cell<'c, Pointer>>,
    page: &mut PageBytes,
) {
    let mut encoder = Encoder::new(page, KIND_BRANCH, level, cells.len());
    for cell in cells {
        encoder.begin();
        encoder.put(&u16_len(cell.key.len()).to_le_bytes());
        encoder.pointer(&cell.content);
        encoder.put(cell.key);
    }
}

/// A leaf or branch that decoded.
#[derive(Clone, Debug)]
pub(crate) struct NodePage {
    bytes: Box<PageBytes>,
    heads: Heads,
}

impl NodePage {
    /// Validates a page as a node.
    pub(crate) fn decode(bytes: Box<PageBytes>) -> Option<Self> {
        let mut node = Self { bytes, heads: Heads::default() };
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
        // The first key of a branch is empty whatever the others share.
        let first = usize::from(level > 0).min(node.count() - 1);
        node.heads = Heads::new(first, (first..node.count()).map(|index| node.key(index)));
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

    /// Returns 0 for a leaf, else the distance to the leaves.
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

    /// Returns where the key of a cell lies in the page.
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

    /// Returns bytes of the page at a place that a span named.
    pub(crate) fn slice(&self, at: usize, len: usize) -> &[u8] {
        &self.bytes[at..at + len]
    }

    /// Returns where an inline value lies in the page, or the chain that holds it.
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

    /// Finds a key in a leaf: its index, or where it would stand.
    pub(crate) fn find(&self, key: &[u8]) -> Result<usize, usize> {
        let (mut low, mut high) = self.heads.around(key);
        while low < high {
            let middle = usize::midpoint(low, high);
            match compare(self.key(middle), key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// Finds the child of a branch that may hold a key.
    pub(crate) fn child_of(&self, key: &[u8]) -> usize {
        match self.find(key) {
            Ok(index) => index,
            Err(index) => index.saturating_sub(1),
        }
    }

    /// Returns the bytes taken by directory and cells.
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

/// Compares keys, byte by byte, unsigned.
fn compare(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    if fault::on(Fault::Bt07) {
        let signed = |byte: &u8| byte ^ 0x80;
        return a.iter().map(signed).cmp(b.iter().map(signed));
    }
    a.cmp(b)
}

/// Where the value of a leaf cell is.
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

    #[test]
    fn a_leaf_survives_encoding() {
        let cells = [
            Cell { key: b"a".as_slice(), content: Payload::Inline(b"one") },
            Cell { key: b"b", content: Payload::Stored { bytes: 5000, first: pointer(9) } },
            Cell { key: b"c", content: Payload::Inline(b"") },
        ];
        let mut page = Box::new([0; PAGE_BYTES]);
        encode_leaf(cells.into_iter(), &mut page);
        let node = NodePage::decode(page).unwrap();
        assert_eq!(node.find(b"b"), Ok(1));
        assert_eq!(node.find(b"bb"), Err(2));
        assert_eq!(node.value(1), ValueSpan::Stored { bytes: 5000, first: pointer(9) });
        let ValueSpan::Inline { at, len } = node.value(0) else { panic!() };
        assert_eq!(node.slice(at, len), b"one");
        assert_eq!(node.used_bytes(), 3 * 8 + 3 + 3 + POINTER_BYTES);
    }

    #[test]
    fn a_branch_survives_encoding() {
        let cells = [
            Cell { key: b"".as_slice(), content: pointer(5) },
            Cell { key: b"m", content: pointer(6) },
        ];
        let mut page = Box::new([0; PAGE_BYTES]);
        encode_branch(2, cells.into_iter(), &mut page);
        let node = NodePage::decode(page).unwrap();
        assert_eq!((node.level(), node.count()), (2, 2));
        assert_eq!(node.child(node.child_of(b"lz")), pointer(5));
        assert_eq!(node.child(node.child_of(b"m")), pointer(6));
        assert_eq!(node.child(node.child_of(b"")), pointer(5));
        assert_eq!(node.used_bytes(), 2 * 32 + 1);
    }

    #[test]
    fn keys_out_of_order_are_refused() {
        let cells = [b"b".as_slice(), b"a"].map(|key| Cell { key, content: Payload::Inline(b"") });
        let mut page = Box::new([0; PAGE_BYTES]);
        encode_leaf(cells.into_iter(), &mut page);
        assert!(NodePage::decode(page).is_none());
    }
}
