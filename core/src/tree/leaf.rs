//! The cells of a leaf: a key each, and its value or the pointer of its overflow chain.

use super::inline_vec::InlineVec;
use super::keys::KeySpan;
use super::node::{Node, Split};
use crate::codec::{Reader, put_at, u32_at, u32_len};
use crate::conc::Arc;
use crate::fault::{self, Fault};
use crate::page::{
    CELL_BYTES_MAX, DIRECTORY_BYTES, LEAF_CELL_HEAD, POINTER_BYTES, Pointer, encode_leaf,
    encode_leaf_run, leaf_cell_bytes, leaf_cell_head, overflow_pages,
};
use crate::pager::Cache;
use crate::unit::{PAGE_BYTES, PageBytes};

/// Set, in memory only, beside the length of a value that is not yet in its overflow chain. In the
/// place of the pointer, the cell has the index of the value.
const UNWRITTEN: u32 = 1 << 30;
const STORED: u32 = 1 << 31;

/// Offset of the value's length in a cell.
const TAG: usize = LEAF_CELL_HEAD - 4;

/// The value of a leaf's key, or what leads to it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Payload<'a> {
    /// In the cell.
    Inline { at: usize, len: usize },
    /// Out of line, in an overflow chain.
    Stored { bytes: u32, first: Pointer },
    /// Out of line, not written yet.
    Unwritten(&'a Arc<[u8]>),
}

/// Tells whether a value is stored out of line.
pub(crate) const fn is_out_of_line(key: usize, value: usize) -> bool {
    leaf_cell_bytes(key, value) > CELL_BYTES_MAX
}

/// Returns the bytes of an entry in a leaf's page.
pub(super) const fn entry_bytes(key: &[u8], value: &[u8]) -> usize {
    let out_of_line = is_out_of_line(key.len(), value.len());
    leaf_cell_bytes(key.len(), if out_of_line { POINTER_BYTES } else { value.len() })
}

/// Returns the shortest key above `left` that does not exceed `right`.
pub(super) fn separator(left: &[u8], right: &[u8]) -> Box<[u8]> {
    let common = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    right[..=common].into()
}

impl Payload<'_> {
    /// Returns the number of overflow pages that writing it takes.
    fn pages(&self) -> usize {
        match self {
            Self::Unwritten(value) => overflow_pages(value.len()),
            Self::Inline { .. } | Self::Stored { .. } => 0,
        }
    }
}

impl Node {
    /// Returns the span of key `index` of a leaf, and the length of its value if that follows.
    // A scan calls it for each entry, and does little else.
    #[inline(always)]
    pub(super) fn entry(&self, index: usize) -> (KeySpan, Option<usize>) {
        let offset = self.keys.offset(index);
        let head = self.keys.heap[offset..].first_chunk::<LEAF_CELL_HEAD>();
        let [a, b, c, d, e, f] = *head.expect("P2: a cell begins with its lengths");
        let (key, tag) = (u16::from_le_bytes([a, b]), u32::from_le_bytes([c, d, e, f]));
        let start = offset + LEAF_CELL_HEAD;
        let span = KeySpan { start, end: start + usize::from(key) };
        (span, (tag & (STORED | UNWRITTEN) == 0).then_some(tag as usize))
    }

    /// Returns the value of a leaf's key, or what leads to it.
    pub(super) fn payload(&self, index: usize) -> Payload<'_> {
        let (KeySpan { end: at, .. }, inline) = self.entry(index);
        if let Some(len) = inline {
            return Payload::Inline { at, len };
        }
        let tag = u32_at(&self.keys.heap, self.keys.offset(index) + TAG);
        if tag & STORED == 0 {
            let index = u32_at(&self.keys.heap, at) as usize;
            return Payload::Unwritten(&self.unwritten[index]);
        }
        let first = Pointer::decode(&mut Reader::new(&self.keys.heap[at..]));
        let first = first.flatten().expect("P2: a decoded node holds whole pointers");
        Payload::Stored { bytes: tag & !STORED, first }
    }

    /// Returns a whole cell, as it is in a page.
    fn cell(&self, index: usize) -> &[u8] {
        let (KeySpan { end, .. }, inline) = self.entry(index);
        &self.keys.heap[self.keys.offset(index)..end + inline.unwrap_or(POINTER_BYTES)]
    }

    /// Returns the bytes of an entry in a page.
    pub(super) fn cell_bytes(&self, index: usize) -> usize {
        DIRECTORY_BYTES + self.cell(index).len()
    }

    /// Returns the number of overflow pages that writing the leaf takes.
    pub(super) fn overflow_pages(&self) -> usize {
        if self.unwritten.is_empty() {
            return 0;
        }
        (0..self.count()).map(|index| self.payload(index).pages()).sum()
    }

    /// Appends a cell to the heap and returns its offset.
    fn append_cell(&mut self, key: &[u8], value: &[u8]) -> u32 {
        let offset = u32_len(self.keys.heap.len());
        let mut head = leaf_cell_head(key.len(), value.len(), false);
        if is_out_of_line(key.len(), value.len()) {
            head[LEAF_CELL_HEAD - 1] |= (UNWRITTEN >> 24) as u8;
            let mut pointer = [0; POINTER_BYTES];
            put_at(&mut pointer, 0, &u32_len(self.unwritten.len()).to_le_bytes());
            self.keys.heap.extend_from_parts([&head, key, &pointer]);
            self.unwritten.push(value.into());
        } else {
            self.keys.heap.extend_from_parts([&head, key, value]);
        }
        offset
    }

    /// Inserts an entry.
    pub(super) fn insert_entry(&mut self, index: usize, key: &[u8], value: &[u8]) {
        assert!(self.level() == 0, "T2: an entry is inserted into a branch");
        let offset = self.append_cell(key, value);
        self.keys.insert(index, offset);
        self.used += entry_bytes(key, value);
        self.recharge();
    }

    /// Replaces the value of an entry.
    pub(super) fn replace_value(&mut self, index: usize, value: &[u8]) {
        let before = self.cell_bytes(index);
        if let Payload::Inline { at, len } = self.payload(index)
            && len == value.len()
        {
            put_at(&mut self.keys.heap, at, value);
            return;
        }
        self.drop_unwritten(index);
        let key: Box<[u8]> = self.keys.key(index).into();
        let offset = self.append_cell(&key, value);
        self.keys.set_offset(index, offset);
        self.used = self.used - before + self.cell_bytes(index);
        self.add_dead(before);
    }

    /// Removes an entry.
    pub(super) fn remove_entry(&mut self, index: usize) {
        let bytes = self.cell_bytes(index);
        assert!(self.level() == 0 && bytes <= self.used, "T3: {bytes} of {} bytes", self.used);
        self.drop_unwritten(index);
        self.keys.remove(index);
        self.used -= bytes;
        self.add_dead(bytes);
    }

    /// Drops an out-of-line value that is not written: its cell becomes dead.
    fn drop_unwritten(&mut self, index: usize) {
        if let Payload::Unwritten(_) = self.payload(index) {
            let at = u32_at(&self.keys.heap, self.keys.span(index).end) as usize;
            self.unwritten[at] = Arc::from([]);
        }
    }

    /// Counts dead bytes of the heap, and compacts it when they prevail.
    fn add_dead(&mut self, bytes: usize) {
        self.dead += bytes;
        if self.dead > self.used.max(PAGE_BYTES) {
            self.compact_heap();
        }
        self.recharge();
    }

    /// Puts the cells of a leaf in order, without gaps.
    pub(super) fn compact_heap(&mut self) {
        if self.dead == 0 || self.level() > 0 {
            return;
        }
        let mut heap = InlineVec::default();
        let mut unwritten = Vec::new();
        for index in 0..self.count() {
            let offset = u32_len(heap.len());
            heap.extend_from_slice(self.cell(index));
            if let Payload::Unwritten(value) = self.payload(index) {
                let at = heap.len() - POINTER_BYTES;
                put_at(&mut heap, at, &u32_len(unwritten.len()).to_le_bytes());
                unwritten.push(Arc::clone(value));
            }
            self.keys.set_offset(index, offset);
        }
        let used = heap.len() + self.count() * DIRECTORY_BYTES;
        assert!(used == self.used, "T3: {used} bytes of cells, {} counted", self.used);
        (self.keys.heap, self.unwritten, self.dead) = (heap, unwritten, 0);
        self.recharge();
    }

    /// Appends entries of another leaf; their keys are greater than all here.
    pub(super) fn append_entries(&mut self, other: &Self, indices: std::ops::Range<usize>) {
        let count = self.count() + indices.len();
        let mut offsets = Vec::with_capacity(indices.len());
        for index in indices {
            let (cell, heap) = (other.cell(index), &mut self.keys.heap);
            offsets.push(u32_len(heap.len()));
            heap.extend_from_slice(cell);
            if let Payload::Unwritten(value) = other.payload(index) {
                let at = heap.len() - POINTER_BYTES;
                put_at(heap, at, &u32_len(self.unwritten.len()).to_le_bytes());
                self.unwritten.push(Arc::clone(value));
            }
            self.used += DIRECTORY_BYTES + cell.len();
        }
        self.keys.append(offsets);
        assert!(self.count() == count, "T3: {} entries of {count} are appended", self.count());
        self.recharge();
    }

    /// Splits a leaf before these indices, which ascend; returns the new leaves in order.
    pub(super) fn split_leaf(&mut self, cuts: &[usize], cache: &Cache) -> Vec<Split> {
        let count = self.count();
        let ends = cuts.iter().skip(1).copied().chain([count]);
        let splits = cuts.iter().zip(ends).map(|(&start, end)| {
            assert!(0 < start && start < end, "T1: a split at {start} of {count}");
            let mut node = Self::empty(0, cache);
            Arc::make_mut(&mut node).append_entries(self, start..end);
            Split { separator: separator(self.key(start - 1), self.key(start)), node }
        });
        let splits: Vec<_> = splits.collect();
        let bytes: usize = splits.iter().map(|split| split.node.used).sum();
        if let Some(first) = cuts.first() {
            self.keys.truncate(*first);
            self.used -= bytes;
            self.dead += bytes;
            self.compact_heap();
        }
        splits
    }

    /// Returns the values that are to be written to overflow chains, by index.
    pub(super) fn unwritten_values(&self) -> Vec<(usize, Arc<[u8]>)> {
        let unwritten = |index| match self.payload(index) {
            Payload::Unwritten(value) => Some((index, Arc::clone(value))),
            Payload::Inline { .. } | Payload::Stored { .. } => None,
        };
        (0..self.count()).filter_map(unwritten).collect()
    }

    /// Sets the pointer of an out-of-line value that was written.
    pub(super) fn set_stored(&mut self, index: usize, first: Pointer) {
        let (tag_at, at) = (self.keys.offset(index) + TAG, self.keys.span(index).end);
        let tag = u32_at(&self.keys.heap, tag_at);
        assert!(tag & UNWRITTEN != 0, "T4: a value is written twice");
        let tag = tag & !UNWRITTEN | STORED;
        put_at(&mut self.keys.heap, tag_at, &tag.to_le_bytes());
        put_at(&mut self.keys.heap, at, &first.to_bytes());
    }

    /// Returns the cells if they are in the heap in order and without gaps, and their offset.
    fn cells_in_order(&self) -> Option<(usize, &[u8])> {
        let start = self.keys.first_offset()?;
        let cells = &self.keys.heap[start..];
        let whole = cells.len() + self.count() * DIRECTORY_BYTES == self.used;
        let in_order = self.keys.offsets_ascend() || fault::on(Fault::Fs19);
        (whole && in_order).then_some((start, cells))
    }

    /// Writes a leaf into a page, not yet sealed. Its out-of-line values must have been written.
    pub(super) fn encode_leaf(&self, page: &mut PageBytes) {
        match self.cells_in_order() {
            Some((start, cells)) => {
                let offsets = (0..self.count()).map(|index| self.keys.offset(index) - start);
                encode_leaf_run(offsets, cells, page);
            }
            None => encode_leaf((0..self.count()).map(|index| self.cell(index)), page),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::Seal;
    use crate::page::NodePage;
    use crate::unit::{CommitId, PAGE_BYTES, PageId};

    /// Numbers of values that are too long for a leaf.
    const OUT_OF_LINE: [u8; 3] = [3, 60, 100];

    fn value(number: u8) -> Vec<u8> {
        vec![number; if OUT_OF_LINE.contains(&number) { 5000 } else { 100 }]
    }

    fn leaf(order: impl IntoIterator<Item = u8>) -> Arc<Node> {
        let mut leaf = Node::empty(0, &Cache::new(0));
        let node = Arc::make_mut(&mut leaf);
        for number in order {
            let index = node.find(&[number]).expect_err("each key once");
            node.insert_entry(index, &[number], &value(number));
        }
        leaf
    }

    /// Writes the page of a leaf, its out-of-line values on some page.
    fn page(leaf: &Arc<Node>) -> PageBytes {
        let mut leaf = Arc::clone(leaf);
        let node = Arc::make_mut(&mut leaf);
        for (index, value) in node.unwritten_values() {
            let (page, birth) = (PageId(value[0].into()), CommitId(1));
            node.set_stored(index, Pointer { page, birth, seal: Seal([7; 16]) });
        }
        let mut page = [1; PAGE_BYTES];
        node.encode_leaf(&mut page);
        page
    }

    #[test]
    fn separators_are_short_and_separate() {
        for (left, right, expect) in [
            (&b"apple"[..], &b"banana"[..], &b"b"[..]),
            (b"abc", b"abd", b"abd"),
            (b"ab", b"abc", b"abc"),
            (b"", b"zz", b"z"),
            (b"abc", b"abdzzzz", b"abd"),
        ] {
            let key = separator(left, right);
            assert_eq!(&*key, expect);
            assert!(left < &*key && &*key <= right);
        }
    }

    #[test]
    fn a_leaf_is_written_the_same_in_any_order_of_its_heap() {
        let ascending = leaf(0..30);
        let written = page(&ascending);
        let read = NodePage::decode(&written).unwrap();
        assert_eq!((read.count(), read.used_bytes()), (30, ascending.used));
        assert!(ascending.cells_in_order().is_some());
        // In the last, only the order of the cells differs from that of the keys.
        let last_first = [29].into_iter().chain(0..29).collect::<Vec<_>>();
        let first_first = [0].into_iter().chain((1..30).rev()).collect();
        for order in [(0..30).rev().collect(), last_first, first_first] {
            let leaf = leaf(order);
            assert!(leaf.cells_in_order().is_none());
            assert!(page(&leaf)[..] == written[..]);
        }
        // A removed cell leaves a gap, or room at an end; a gap before all cells does not matter.
        for gap in [0, 12, 29] {
            let mut with_gap = Arc::clone(&ascending);
            Arc::make_mut(&mut with_gap).remove_entry(gap.into());
            assert_eq!(with_gap.cells_in_order().is_some(), gap == 0);
            let without = page(&leaf((0..30).filter(|number| *number != gap)));
            assert!(page(&with_gap)[..] == without[..], "gap at {gap}");
            Arc::make_mut(&mut with_gap).compact_heap();
            assert!(with_gap.cells_in_order().is_some());
            assert!(page(&with_gap)[..] == without[..], "gap at {gap}");
        }
    }

    #[test]
    fn parts_of_a_leaf_hold_its_entries_in_order() {
        let cache = Cache::new(0);
        for order in [(0..120).collect::<Vec<u8>>(), (0..120).rev().collect()] {
            let mut whole = leaf(order);
            let parts = Arc::make_mut(&mut whole).split_leaf(&[30, 31, 90], &cache);
            let (least, parts): (Vec<_>, Vec<_>) =
                parts.into_iter().map(|split| (split.separator, split.node)).unzip();
            assert_eq!(least.iter().map(|key| key[0]).collect::<Vec<_>>(), [30, 31, 90]);
            let mut next = 0;
            for part in std::iter::once(whole).chain(parts) {
                assert_eq!((part.used, part.dead), (part.sizes().iter().sum(), 0));
                for index in 0..part.count() {
                    let held = match part.payload(index) {
                        Payload::Inline { at, len } => part.slice(at, len),
                        Payload::Unwritten(value) => value,
                        Payload::Stored { .. } => panic!("nothing was written"),
                    };
                    assert_eq!((part.key(index), part.find(&[next])), (&[next][..], Ok(index)));
                    assert!(held == value(next), "value of {next}");
                    next += 1;
                }
            }
            assert_eq!(next, 120);
        }
    }
}
