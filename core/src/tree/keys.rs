//! The keys of a node in order, and the bytes they lie in.

use super::heads::Heads;
use super::near::Near;
use crate::codec::{put_at, u16_at, u16_len, u32_len};
use crate::fault;
use crate::page::{LEAF_CELL_HEAD, NodePage};
use crate::unit::{PAGE_BYTES, PageBytes};
use std::cmp::Ordering;

/// What a processor brings into its cache at once.
pub(super) const LINE_BYTES: usize = 64;

/// How many such lines of an entry are brought at once.
const NEAR_LINES: usize = 3;

/// Keys whose heads and places stand within the node.
pub(super) const NEAR_KEYS: usize = 48;

/// Bytes before a key in the heap of a branch: its length.
const BRANCH_HEAD: usize = 2;

/// The keys of a node in order. The heap holds their cells, in any order and with gaps: in a leaf
/// as they stand in a page, in a branch the length of the key and the key.
// In the order in which a search needs them.
#[repr(C)]
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    /// The first key is empty and below all others, as in a branch; it has no head.
    open: bool,
    heads: Heads,
    /// Where the cells begin in the heap.
    places: Near<u32, NEAR_KEYS>,
    pub(super) heap: Near<u8, PAGE_BYTES>,
}

/// What a search in the page of a leaf needs.
#[derive(Debug)]
pub(super) struct Cells {
    places: Near<u32, NEAR_KEYS>,
    heads: Heads,
    end: usize,
}

impl Cells {
    pub(super) fn of_leaf(page: &NodePage<&PageBytes>) -> Self {
        let heads = Heads::new((0..page.count()).map(|index| page.key(index)));
        Self { places: page.cells_at().map(u32::from).collect(), heads, end: page.end() }
    }
}

/// Where a key lies in the heap.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Keys {
    /// Holds no keys yet.
    pub(super) fn new(open: bool) -> Self {
        Self { open, ..Self::default() }
    }

    /// Holds memory for the page of a leaf.
    pub(super) fn blank() -> Self {
        Self { heap: Near::full([0; PAGE_BYTES]), ..Self::default() }
    }

    /// Returns the memory that a page is read into.
    pub(super) fn page_mut(&mut self) -> &mut PageBytes {
        self.heap.first_chunk_mut().expect("G1: a page is read into memory of its size")
    }

    /// Returns the page that was read.
    pub(super) fn page(&self) -> &PageBytes {
        self.heap.first_chunk().expect("G1: a page is read into memory of its size")
    }

    /// Takes the cells of a leaf where they stand in its page.
    pub(super) fn settle(&mut self, cells: Cells) {
        (self.places, self.heads) = (cells.places, cells.heads);
        self.heap.truncate(cells.end);
    }

    /// Takes the keys of a branch out of its page.
    pub(super) fn of_branch(page: &NodePage<&PageBytes>) -> Self {
        let mut keys = Self::new(true);
        keys.places = (0..page.count()).map(|index| keys.append_key(page.key(index))).collect();
        keys.learn();
        keys
    }

    /// Appends a key of a branch to the heap and returns where its cell is.
    pub(super) fn append_key(&mut self, key: &[u8]) -> u32 {
        let place = u32_len(self.heap.len());
        self.heap.extend_from_parts([&u16_len(key.len()).to_le_bytes(), key]);
        place
    }

    /// Makes the heads anew.
    fn learn(&mut self) {
        let indices = usize::from(self.open)..self.count();
        self.heads = Heads::new(indices.map(|index| self.key(index)));
    }

    /// Reads a byte of every cache line.
    pub(super) fn line_sum(&self) -> u8 {
        let [sum, ..] = self.places_sum().to_le_bytes();
        self.heap.iter().step_by(LINE_BYTES).fold(sum, |sum, byte| sum ^ byte)
    }

    /// Reads a place of every cache line.
    fn places_sum(&self) -> u32 {
        let places = self.places.iter().step_by(LINE_BYTES / size_of::<u32>());
        places.fold(0, |sum, place| sum ^ place)
    }

    pub(super) fn count(&self) -> usize {
        self.places.len()
    }

    /// Returns where a cell begins in the heap.
    pub(super) fn place(&self, index: usize) -> usize {
        self.places[index] as usize
    }

    /// Returns where the cell of the least key begins in the heap.
    pub(super) fn first_place(&self) -> Option<usize> {
        self.places.first().map(|place| *place as usize)
    }

    /// Tells whether the cells lie in the heap in the order of their keys.
    pub(super) fn places_ascend(&self) -> bool {
        self.places.is_sorted_by(|a, b| a < b)
    }

    #[inline]
    pub(super) fn spot(&self, index: usize) -> Spot {
        let place = self.place(index);
        let start = place + if self.open { BRANCH_HEAD } else { LEAF_CELL_HEAD };
        Spot { start, end: start + usize::from(u16_at(&self.heap, place)) }
    }

    pub(super) fn key(&self, index: usize) -> &[u8] {
        let Spot { start, end } = self.spot(index);
        &self.heap[start..end]
    }

    /// Finds a key: its index, or where it would stand.
    pub(super) fn find(&self, key: &[u8]) -> Result<usize, usize> {
        self.find_among(self.around(key), key)
    }

    /// Finds a key as [`Keys::find`] does, where little is in the processor's cache: what the
    /// search needs is read at once, instead of waiting for each line as the search comes to it.
    pub(super) fn find_cold(&self, key: &[u8]) -> Result<usize, usize> {
        self.find_among(self.warm(key), key)
    }

    /// Brings what a search needs and what lies at the key nearer, and returns the range of indices
    /// that the key may be at.
    pub(super) fn warm(&self, key: &[u8]) -> (usize, usize) {
        std::hint::black_box(self.places_sum());
        let (low, high) = self.around(key);
        if let Some(place) = self.places.get(low) {
            let lines = self.heap[*place as usize..].iter().step_by(LINE_BYTES).take(NEAR_LINES);
            std::hint::black_box(lines.fold(0, |sum, byte| sum ^ byte));
        }
        (low, high)
    }

    /// Returns the range of indices that a key may be at.
    fn around(&self, key: &[u8]) -> (usize, usize) {
        let open = usize::from(self.open);
        let (low, high) = fault::tree::whole_range(self.heads.around(key), self.heads.len());
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

    /// Finds a key as [`Keys::find`] does, looking at the end first: keys often come in order.
    pub(super) fn find_from_end(&self, key: &[u8]) -> Result<usize, usize> {
        if self.heads.ends_before(key) { Err(self.count()) } else { self.find(key) }
    }

    /// Takes in a key whose cell lies in the heap.
    pub(super) fn insert(&mut self, index: usize, place: u32) {
        self.places.insert(index, place);
        if !self.note_head(index) {
            self.learn();
        }
    }

    /// Takes in keys behind all others, whose cells lie in the heap.
    pub(super) fn append(&mut self, places: impl IntoIterator<Item = u32>) {
        let mut known = true;
        for place in places {
            let index = self.count();
            self.places.insert(index, place);
            known = known && self.note_head(index);
        }
        if !known {
            self.learn();
        }
    }

    /// Takes in the head of a key; `false` if all heads are to be made anew.
    fn note_head(&mut self, index: usize) -> bool {
        let Some(head) = index.checked_sub(usize::from(self.open)) else { return false };
        let Spot { start, end } = self.spot(index);
        // One key has nothing in common with others; what two have is worth leaving out.
        self.heads.insert(head, &self.heap[start..end]) && self.heads.len() != 2
    }

    /// Says where the cell of a key lies now; the key is the same.
    pub(super) fn moved(&mut self, index: usize, place: u32) {
        self.places[index] = place;
    }

    pub(super) fn remove(&mut self, index: usize) {
        self.places.remove(index);
        match index.checked_sub(usize::from(self.open)) {
            Some(index) => self.heads.remove(index),
            None => self.learn(),
        }
    }

    /// Lets the keys from an index on go.
    pub(super) fn truncate(&mut self, count: usize) {
        self.places.truncate(count);
        self.learn();
    }

    /// Makes the first key the empty one.
    pub(super) fn open_first(&mut self) {
        if let Some(place) = self.places.first() {
            put_at(&mut self.heap, *place as usize, &[0; BRANCH_HEAD]);
        }
        self.learn();
    }
}
