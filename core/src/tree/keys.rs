//! The keys of a node in order, and the slotted heap of their cells.

use super::heads::{Heads, INLINE_KEYS};
use super::inline_vec::InlineVec;
use crate::codec::{put_at, u16_at, u16_len, u32_len};
use crate::fault;
use crate::page::{LEAF_CELL_HEAD, NodePage};
use crate::unit::{PAGE_BYTES, PageBytes};
use std::cmp::Ordering;

/// Bytes of a cache line of the processor.
const LINE_BYTES: usize = 64;

/// Cache lines of an entry that are prefetched.
const PREFETCH_LINES: usize = 3;

/// Bytes before a key in the heap of a branch: its length.
const BRANCH_HEAD: usize = 2;

/// The keys of a node in order. The heap holds their cells, in any order and with gaps: in a leaf
/// as in its page, in a branch the length of the key and the key.
// In the order in which a search needs them.
#[repr(C)]
#[derive(Clone, Debug, Default)]
pub(super) struct NodeKeys {
    /// The first key is empty and below all others, as in a branch; it has no head.
    has_open_first: bool,
    heads: Heads,
    /// Offsets of the cells in the heap.
    offsets: InlineVec<u32, INLINE_KEYS>,
    pub(super) heap: InlineVec<u8, PAGE_BYTES>,
}

/// The index of a leaf's page, for searching in it.
#[derive(Debug)]
pub(super) struct LeafIndex {
    offsets: InlineVec<u32, INLINE_KEYS>,
    heads: Heads,
    end: usize,
}

impl LeafIndex {
    pub(super) fn new(page: &NodePage<&PageBytes>) -> Self {
        let heads = Heads::new((0..page.count()).map(|index| page.key(index)));
        Self { offsets: page.cells_at().map(u32::from).collect(), heads, end: page.end() }
    }
}

/// The span of a key in the heap.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeySpan {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl NodeKeys {
    /// Holds no keys yet.
    pub(super) fn new(has_open_first: bool) -> Self {
        Self { has_open_first, ..Self::default() }
    }

    /// Returns the bytes of memory beside the node.
    pub(super) const fn heap_bytes(&self) -> usize {
        self.heads.heap_bytes() + self.offsets.heap_bytes() + self.heap.heap_bytes()
    }

    /// Returns the bytes of memory beside a copy of the node.
    pub(super) const fn copy_heap_bytes(&self) -> usize {
        self.heads.copy_heap_bytes() + self.offsets.copy_heap_bytes() + self.heap.copy_heap_bytes()
    }

    /// Holds memory for the page of a leaf.
    pub(super) fn blank() -> Self {
        Self { heap: InlineVec::full([0; PAGE_BYTES]), ..Self::default() }
    }

    /// Returns the memory that a page is read into.
    pub(super) fn page_mut(&mut self) -> &mut PageBytes {
        self.heap.first_chunk_mut().expect("G1: a page is read into memory of its size")
    }

    /// Returns the page that was read.
    pub(super) fn page(&self) -> &PageBytes {
        self.heap.first_chunk().expect("G1: a page is read into memory of its size")
    }

    /// Indexes the page of a leaf, whose cells stay where they are.
    pub(super) fn set_index(&mut self, index: LeafIndex) {
        (self.offsets, self.heads) = (index.offsets, index.heads);
        self.heap.truncate(index.end);
    }

    /// Copies the keys of a branch out of its page.
    pub(super) fn of_branch(page: &NodePage<&PageBytes>) -> Self {
        let mut keys = Self::new(true);
        keys.offsets = (0..page.count()).map(|index| keys.append_key(page.key(index))).collect();
        keys.rebuild_heads();
        keys
    }

    /// Appends a key of a branch to the heap and returns the offset of its cell.
    pub(super) fn append_key(&mut self, key: &[u8]) -> u32 {
        let offset = u32_len(self.heap.len());
        self.heap.extend_from_parts([&u16_len(key.len()).to_le_bytes(), key]);
        offset
    }

    /// Drops the keys of removed children from the heap once they prevail in a branch whose cells
    /// take `used` bytes (G3).
    pub(super) fn compact_branch(&mut self, used: usize) {
        if self.heap.len() <= 2 * used.max(PAGE_BYTES) {
            return;
        }
        let mut heap = InlineVec::default();
        for index in 0..self.count() {
            let key = self.key(index);
            let offset = u32_len(heap.len());
            heap.extend_from_parts([&u16_len(key.len()).to_le_bytes(), key]);
            self.offsets[index] = offset;
        }
        self.heap = heap;
    }

    fn rebuild_heads(&mut self) {
        let indices = usize::from(self.has_open_first)..self.count();
        self.heads = Heads::new(indices.map(|index| self.key(index)));
    }

    /// Reads a byte of every cache line.
    pub(super) fn touch_lines(&self) -> u8 {
        let [sum, ..] = self.touch_offsets().to_le_bytes();
        self.heap.iter().step_by(LINE_BYTES).fold(sum, |sum, byte| sum ^ byte)
    }

    /// Reads an offset of every cache line.
    fn touch_offsets(&self) -> u32 {
        let offsets = self.offsets.iter().step_by(LINE_BYTES / size_of::<u32>());
        offsets.fold(0, |sum, offset| sum ^ offset)
    }

    pub(super) fn count(&self) -> usize {
        self.offsets.len()
    }

    /// Returns the offset of a cell in the heap.
    pub(super) fn offset(&self, index: usize) -> usize {
        self.offsets[index] as usize
    }

    /// Returns the offset of the cell of the least key.
    pub(super) fn first_offset(&self) -> Option<usize> {
        self.offsets.first().map(|offset| *offset as usize)
    }

    /// Tells whether the cells are in the heap in the order of their keys.
    pub(super) fn offsets_ascend(&self) -> bool {
        self.offsets.is_sorted_by(|a, b| a < b)
    }

    #[inline]
    pub(super) fn span(&self, index: usize) -> KeySpan {
        let offset = self.offset(index);
        let start = offset + if self.has_open_first { BRANCH_HEAD } else { LEAF_CELL_HEAD };
        KeySpan { start, end: start + usize::from(u16_at(&self.heap, offset)) }
    }

    pub(super) fn key(&self, index: usize) -> &[u8] {
        let KeySpan { start, end } = self.span(index);
        &self.heap[start..end]
    }

    /// Finds a key: its index, or the index to insert it at.
    pub(super) fn find(&self, key: &[u8]) -> Result<usize, usize> {
        self.find_among(self.candidates(key), key)
    }

    /// Finds a key as [`NodeKeys::find`] does, in a node that is not in the processor's cache: the
    /// lines that the search needs are loaded at once, instead of one after the other.
    pub(super) fn find_prefetched(&self, key: &[u8]) -> Result<usize, usize> {
        self.find_among(self.prefetch(key), key)
    }

    /// Prefetches what a search reads, and the cell of the key. Returns the range of indices that
    /// the key can have.
    pub(super) fn prefetch(&self, key: &[u8]) -> (usize, usize) {
        std::hint::black_box(self.touch_offsets());
        let (low, high) = self.candidates(key);
        if let Some(offset) = self.offsets.get(low) {
            let lines = self.heap[*offset as usize..].iter();
            let lines = lines.step_by(LINE_BYTES).take(PREFETCH_LINES);
            std::hint::black_box(lines.fold(0, |sum, byte| sum ^ byte));
        }
        (low, high)
    }

    /// Returns the range of indices that a key can have.
    fn candidates(&self, key: &[u8]) -> (usize, usize) {
        let open = usize::from(self.has_open_first);
        let heads = &self.heads;
        let (low, high) = fault::tree::whole_range(heads.candidates(key), heads.len());
        (open + low, open + high)
    }

    fn find_among(&self, (low, high): (usize, usize), key: &[u8]) -> Result<usize, usize> {
        let (mut low, mut high) = (low, high);
        while low < high {
            let middle = usize::midpoint(low, high);
            let own = self.key(middle);
            match fault::tree::signed_order(own.cmp(key), own, key) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Ok(middle),
                Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }

    /// Finds a key as [`NodeKeys::find`] does, and looks at the end first: keys often come sorted.
    pub(super) fn find_from_end(&self, key: &[u8]) -> Result<usize, usize> {
        if self.heads.ends_before(key) { Err(self.count()) } else { self.find(key) }
    }

    /// Inserts a key whose cell is in the heap.
    pub(super) fn insert(&mut self, index: usize, offset: u32) {
        self.offsets.insert(index, offset);
        if !self.insert_head(index) {
            self.rebuild_heads();
        }
    }

    /// Appends keys whose cells are in the heap; they are greater than all others.
    pub(super) fn append(&mut self, offsets: impl IntoIterator<Item = u32>) {
        let mut known = true;
        for offset in offsets {
            let index = self.count();
            self.offsets.insert(index, offset);
            known = known && self.insert_head(index);
        }
        if !known {
            self.rebuild_heads();
        }
    }

    /// Inserts the head of a key; `false` if all heads must be rebuilt.
    fn insert_head(&mut self, index: usize) -> bool {
        let Some(head) = index.checked_sub(usize::from(self.has_open_first)) else { return false };
        let KeySpan { start, end } = self.span(index);
        // One key has no common prefix with others; the prefix of two is worth leaving out.
        self.heads.insert(head, &self.heap[start..end]) && self.heads.len() != 2
    }

    /// Sets the offset of a cell that was moved; its key is the same.
    pub(super) fn set_offset(&mut self, index: usize, offset: u32) {
        self.offsets[index] = offset;
    }

    pub(super) fn remove(&mut self, index: usize) {
        self.offsets.remove(index);
        match index.checked_sub(usize::from(self.has_open_first)) {
            Some(index) => self.heads.remove(index),
            None => self.rebuild_heads(),
        }
    }

    /// Drops the keys from an index on.
    pub(super) fn truncate(&mut self, count: usize) {
        self.offsets.truncate(count);
        self.rebuild_heads();
    }

    /// Makes the first key the empty one.
    pub(super) fn open_first(&mut self) {
        if let Some(offset) = self.offsets.first() {
            put_at(&mut self.heap, *offset as usize, &[0; BRANCH_HEAD]);
        }
        self.rebuild_heads();
    }
}
