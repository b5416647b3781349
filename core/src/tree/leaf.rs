//! The cells of a leaf: a key each, and a value or what leads to it.

use super::edit::{Part, separator};
use super::keys::Spot;
use super::near::Near;
use super::{Cache, Node};
use crate::codec::{Reader, put_at, u32_at, u32_len};
use crate::conc::Arc;
use crate::fault::{self, Fault};
use crate::page::{
    CELL_BYTES_MAX, DIRECTORY_BYTES, LEAF_CELL_HEAD, POINTER_BYTES, Pointer, encode_leaf,
    encode_leaf_run, leaf_cell_bytes, leaf_cell_head, overflow_pages,
};
use crate::unit::PageBytes;

/// Set, in memory only, beside the length of a value that is not yet in its overflow chain. Where
/// the pointer will stand, there is the index of the value.
const LONG: u32 = 1 << 30;
const STORED: u32 = 1 << 31;

/// Where the length of the value stands in a cell.
const TAG: usize = LEAF_CELL_HEAD - 4;

/// What a leaf holds for a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Payload<'a> {
    Inline { at: usize, len: usize },
    Stored { bytes: u32, first: Pointer },
    Long(&'a Arc<[u8]>),
}

/// Tells whether a value stands outside the leaf.
pub(crate) const fn is_long(key: usize, value: usize) -> bool {
    leaf_cell_bytes(key, value) > CELL_BYTES_MAX
}

/// Returns what an entry takes in a leaf's page.
pub(super) const fn entry_bytes(key: &[u8], value: &[u8]) -> usize {
    let long = is_long(key.len(), value.len());
    leaf_cell_bytes(key.len(), if long { POINTER_BYTES } else { value.len() })
}

impl Payload<'_> {
    /// Returns the overflow pages that writing it takes.
    fn pages(&self) -> usize {
        match self {
            Self::Long(value) => overflow_pages(value.len()),
            Self::Inline { .. } | Self::Stored { .. } => 0,
        }
    }
}

impl Node {
    /// Returns where key `index` of a leaf lies, and the length of its value if that follows.
    // A walk asks for each entry, and has little else to do.
    #[inline(always)]
    pub(super) fn entry(&self, index: usize) -> (Spot, Option<usize>) {
        let place = self.keys.place(index);
        let head = self.keys.heap[place..].first_chunk::<LEAF_CELL_HEAD>();
        let [a, b, c, d, e, f] = *head.expect("P2: a cell begins with its lengths");
        let (key, tag) = (u16::from_le_bytes([a, b]), u32::from_le_bytes([c, d, e, f]));
        let start = place + LEAF_CELL_HEAD;
        let spot = Spot { start, end: start + usize::from(key) };
        (spot, (tag & (STORED | LONG) == 0).then_some(tag as usize))
    }

    /// Returns what a leaf holds for its key `index`.
    pub(super) fn payload(&self, index: usize) -> Payload<'_> {
        let (Spot { end: at, .. }, inline) = self.entry(index);
        if let Some(len) = inline {
            return Payload::Inline { at, len };
        }
        let tag = u32_at(&self.keys.heap, self.keys.place(index) + TAG);
        if tag & STORED == 0 {
            let index = u32_at(&self.keys.heap, at) as usize;
            return Payload::Long(&self.long[index]);
        }
        let first = Pointer::decode(&mut Reader::new(&self.keys.heap[at..]));
        let first = first.flatten().expect("P2: a decoded node holds whole pointers");
        Payload::Stored { bytes: tag & !STORED, first }
    }

    /// Returns a whole cell, as it stands in a page.
    fn cell(&self, index: usize) -> &[u8] {
        let (Spot { end, .. }, inline) = self.entry(index);
        &self.keys.heap[self.keys.place(index)..end + inline.unwrap_or(POINTER_BYTES)]
    }

    /// Returns what an entry takes in a page.
    pub(super) fn cell_bytes(&self, index: usize) -> usize {
        DIRECTORY_BYTES + self.cell(index).len()
    }

    /// Returns the overflow pages that writing the leaf takes.
    pub(super) fn long_pages(&self) -> usize {
        if self.long.is_empty() {
            return 0;
        }
        (0..self.count()).map(|index| self.payload(index).pages()).sum()
    }

    /// Appends a cell to the heap and returns where it lies.
    fn append(&mut self, key: &[u8], value: &[u8]) -> u32 {
        let place = u32_len(self.keys.heap.len());
        let long = is_long(key.len(), value.len());
        let mut head = leaf_cell_head(key.len(), value.len(), false);
        if long {
            head[LEAF_CELL_HEAD - 1] |= (LONG >> 24) as u8;
        }
        if long {
            let mut pointer = [0; POINTER_BYTES];
            put_at(&mut pointer, 0, &u32_len(self.long.len()).to_le_bytes());
            self.keys.heap.extend_from_parts([&head, key, &pointer]);
            self.long.push(value.into());
        } else {
            self.keys.heap.extend_from_parts([&head, key, value]);
        }
        place
    }

    /// Puts an entry in at its place.
    pub(super) fn put(&mut self, index: usize, key: &[u8], value: &[u8]) {
        let place = self.append(key, value);
        self.keys.insert(index, place);
        self.used += entry_bytes(key, value);
    }

    /// Replaces the value of an entry.
    pub(super) fn replace(&mut self, index: usize, value: &[u8]) {
        let before = self.cell_bytes(index);
        if let Payload::Inline { at, len } = self.payload(index)
            && len == value.len()
        {
            put_at(&mut self.keys.heap, at, value);
            return;
        }
        let key: Box<[u8]> = self.keys.key(index).into();
        let place = self.append(&key, value);
        self.keys.moved(index, place);
        self.used = self.used - before + self.cell_bytes(index);
        self.waste(before);
    }

    /// Takes an entry out.
    pub(super) fn take(&mut self, index: usize) {
        let bytes = self.cell_bytes(index);
        self.keys.remove(index);
        self.used -= bytes;
        self.waste(bytes);
    }

    /// Notes bytes of the heap that are of no more use, and makes a new one when they prevail.
    fn waste(&mut self, bytes: usize) {
        self.dead += bytes;
        if self.dead > self.used.max(crate::unit::PAGE_BYTES) {
            self.tidy();
        }
    }

    /// Puts the cells of a leaf in order, without gaps.
    pub(super) fn tidy(&mut self) {
        if self.dead == 0 || self.level() > 0 {
            return;
        }
        let mut heap = Near::default();
        let mut long = Vec::new();
        for index in 0..self.count() {
            let place = u32_len(heap.len());
            heap.extend_from_slice(self.cell(index));
            if let Payload::Long(value) = self.payload(index) {
                let at = heap.len() - POINTER_BYTES;
                put_at(&mut heap, at, &u32_len(long.len()).to_le_bytes());
                long.push(Arc::clone(value));
            }
            self.keys.moved(index, place);
        }
        (self.keys.heap, self.long, self.dead) = (heap, long, 0);
    }

    /// Appends entries of another leaf; their keys are greater than all here.
    pub(super) fn take_over(&mut self, other: &Self, indices: std::ops::Range<usize>) {
        let mut places = Vec::with_capacity(indices.len());
        for index in indices {
            let (cell, heap) = (other.cell(index), &mut self.keys.heap);
            places.push(u32_len(heap.len()));
            heap.extend_from_slice(cell);
            if let Payload::Long(value) = other.payload(index) {
                let at = heap.len() - POINTER_BYTES;
                put_at(heap, at, &u32_len(self.long.len()).to_le_bytes());
                self.long.push(Arc::clone(value));
            }
            self.used += DIRECTORY_BYTES + cell.len();
        }
        self.keys.append(places);
    }

    /// Cuts a leaf at these indices, which ascend; returns what was cut off, in order.
    pub(super) fn cut_leaf(&mut self, cuts: &[usize], cache: &Cache) -> Vec<Part> {
        let ends = cuts.iter().skip(1).copied().chain([self.count()]);
        let parts = cuts.iter().zip(ends).map(|(&start, end)| {
            let mut part = Self::empty(0, cache);
            Arc::make_mut(&mut part).take_over(self, start..end);
            (separator(self.key(start - 1), self.key(start)), part)
        });
        let parts: Vec<_> = parts.collect();
        let cut: usize = parts.iter().map(|(_, part)| part.used).sum();
        if let Some(first) = cuts.first() {
            self.keys.truncate(*first);
            self.used -= cut;
            self.dead += cut;
            self.tidy();
        }
        parts
    }

    /// Returns the values that are to be written to overflow chains.
    pub(super) fn long_values(&self) -> Vec<(usize, Arc<[u8]>)> {
        let long = |index| match self.payload(index) {
            Payload::Long(value) => Some((index, Arc::clone(value))),
            Payload::Inline { .. } | Payload::Stored { .. } => None,
        };
        (0..self.count()).filter_map(long).collect()
    }

    /// Notes where a long value was written.
    pub(super) fn stored(&mut self, index: usize, first: Pointer) {
        let (tag_at, at) = (self.keys.place(index) + TAG, self.keys.spot(index).end);
        let tag = u32_at(&self.keys.heap, tag_at) & !LONG | STORED;
        put_at(&mut self.keys.heap, tag_at, &tag.to_le_bytes());
        put_at(&mut self.keys.heap, at, &first.to_bytes());
    }

    /// Returns the cells if they lie in the heap in order and without gaps, and where they begin.
    fn cells_in_order(&self) -> Option<(usize, &[u8])> {
        let start = self.keys.first_place()?;
        let cells = &self.keys.heap[start..];
        let whole = cells.len() + self.count() * DIRECTORY_BYTES == self.used;
        let in_order = self.keys.places_ascend() || fault::on(Fault::Fs19);
        (whole && in_order).then_some((start, cells))
    }

    /// Writes a leaf into a page, not yet sealed. Its long values must have been written.
    pub(super) fn encode_leaf(&self, page: &mut PageBytes) {
        match self.cells_in_order() {
            Some((start, cells)) => {
                let places = (0..self.count()).map(|index| self.keys.place(index) - start);
                encode_leaf_run(places, cells, page);
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

    /// Values that are too long for a leaf.
    const LONG_ONES: [u8; 3] = [3, 60, 100];

    fn value(number: u8) -> Vec<u8> {
        vec![number; if LONG_ONES.contains(&number) { 5000 } else { 100 }]
    }

    fn leaf(order: impl IntoIterator<Item = u8>) -> Arc<Node> {
        let mut leaf = Node::empty(0, &Cache::new(0));
        let node = Arc::make_mut(&mut leaf);
        for number in order {
            let index = node.find(&[number]).expect_err("each key once");
            node.put(index, &[number], &value(number));
        }
        leaf
    }

    /// Writes the page of a leaf, its long values being somewhere.
    fn page(leaf: &Arc<Node>) -> PageBytes {
        let mut leaf = Arc::clone(leaf);
        let node = Arc::make_mut(&mut leaf);
        for (index, value) in node.long_values() {
            let (page, birth) = (PageId(value[0].into()), CommitId(1));
            node.stored(index, Pointer { page, birth, seal: Seal([7; 16]) });
        }
        let mut page = [1; PAGE_BYTES];
        node.encode_leaf(&mut page);
        page
    }

    #[test]
    fn a_leaf_is_written_the_same_however_it_lies_in_memory() {
        let ascending = leaf(0..30);
        let written = page(&ascending);
        let read = NodePage::decode(&written).unwrap();
        assert_eq!((read.count(), read.used_bytes()), (30, ascending.used));
        assert!(ascending.cells_in_order().is_some());
        // Of the last, only the order of the cells tells that they do not lie in that of the keys.
        let last_first = [29].into_iter().chain(0..29).collect::<Vec<_>>();
        let first_first = [0].into_iter().chain((1..30).rev()).collect();
        for order in [(0..30).rev().collect(), last_first, first_first] {
            let leaf = leaf(order);
            assert!(leaf.cells_in_order().is_none());
            assert!(page(&leaf)[..] == written[..]);
        }
        // What was taken out leaves a gap, or room at an end; before all cells it is no matter.
        for gap in [0, 12, 29] {
            let mut with_gap = Arc::clone(&ascending);
            Arc::make_mut(&mut with_gap).take(gap.into());
            assert_eq!(with_gap.cells_in_order().is_some(), gap == 0);
            let without = page(&leaf((0..30).filter(|number| *number != gap)));
            assert!(page(&with_gap)[..] == without[..], "gap at {gap}");
            Arc::make_mut(&mut with_gap).tidy();
            assert!(with_gap.cells_in_order().is_some());
            assert!(page(&with_gap)[..] == without[..], "gap at {gap}");
        }
    }

    #[test]
    fn parts_of_a_leaf_hold_its_entries_in_order() {
        let cache = Cache::new(0);
        for order in [(0..120).collect::<Vec<u8>>(), (0..120).rev().collect()] {
            let mut whole = leaf(order);
            let parts = Arc::make_mut(&mut whole).cut_leaf(&[30, 31, 90], &cache);
            let (least, parts): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
            assert_eq!(least.iter().map(|key| key[0]).collect::<Vec<_>>(), [30, 31, 90]);
            let mut next = 0;
            for part in std::iter::once(whole).chain(parts) {
                assert_eq!((part.used, part.dead), (part.sizes().iter().sum(), 0));
                for index in 0..part.count() {
                    let held = match part.payload(index) {
                        Payload::Inline { at, len } => part.slice(at, len),
                        Payload::Long(value) => value,
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
