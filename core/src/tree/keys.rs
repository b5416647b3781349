//! The keys of a node in order, and the bytes they lie in.

use super::heads::Heads;
use crate::fault::{self, Fault};
use std::cmp::Ordering;

/// Room that a copy leaves for what is changed next.
const ROOM_BYTES: usize = 512;

/// What a processor brings into its cache at once.
pub(super) const LINE_BYTES: usize = 64;

/// How many such lines of an entry are brought at once.
const NEAR_LINES: usize = 3;

/// The keys of a node in order. The heap holds them, in a leaf with what belongs to each, in any
/// order and with gaps.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) heap: Vec<u8>,
    spots: Vec<Spot>,
    heads: Heads,
    /// The first key is empty and below all others, as in a branch; it has no head.
    open: bool,
}

/// Where a key lies in the heap.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot {
    pub(super) at: u32,
    pub(super) len: u16,
}

impl Spot {
    pub(super) fn new(at: usize, len: usize) -> Self {
        let narrow = || Some((u32::try_from(at).ok()?, u16::try_from(len).ok()?));
        let (at, len) = narrow().expect("K2: a node's heap is shorter than 4 GiB");
        Self { at, len }
    }

    pub(super) const fn start(self) -> usize {
        self.at as usize
    }

    pub(super) const fn end(self) -> usize {
        self.at as usize + self.len as usize
    }
}

impl Clone for Keys {
    fn clone(&self) -> Self {
        let mut heap = Vec::with_capacity(self.heap.len() + ROOM_BYTES);
        heap.extend_from_slice(&self.heap);
        let (spots, heads) = (self.spots.clone(), self.heads.clone());
        Self { heap, spots, heads, open: self.open }
    }
}

impl Keys {
    /// Takes keys that lie in a heap already.
    pub(super) fn new(heap: Vec<u8>, spots: Vec<Spot>, open: bool) -> Self {
        let mut keys = Self { heap, spots, heads: Heads::default(), open };
        keys.learn();
        keys
    }

    /// Makes the heads anew.
    fn learn(&mut self) {
        let keys = self.spots.iter().skip(usize::from(self.open));
        self.heads = Heads::new(keys.map(|spot| &self.heap[spot.start()..spot.end()]));
    }

    /// Reads a byte of every cache line.
    pub(super) fn line_sum(&self) -> u8 {
        let spots = self.spots.iter().step_by(LINE_BYTES / size_of::<Spot>());
        let sum = spots.fold(0, |sum, spot| sum ^ spot.len.to_le_bytes()[0]);
        self.heap.iter().step_by(LINE_BYTES).fold(sum, |sum, byte| sum ^ byte)
    }

    /// Returns where the bytes and what leads to them lie in memory.
    pub(super) const fn places(&self) -> (*const u8, *const Spot) {
        (self.heap.as_ptr(), self.spots.as_ptr())
    }

    pub(super) const fn count(&self) -> usize {
        self.spots.len()
    }

    pub(super) fn spot(&self, index: usize) -> Spot {
        self.spots[index]
    }

    pub(super) fn key(&self, index: usize) -> &[u8] {
        let spot = self.spots[index];
        &self.heap[spot.start()..spot.end()]
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
        let spots = self.spots.iter().step_by(LINE_BYTES / size_of::<Spot>());
        let sum = spots.fold(self.heads.line_sum(), |sum, spot| sum ^ u64::from(spot.at));
        std::hint::black_box(sum);
        let (low, high) = self.around(key);
        if let Some(spot) = self.spots.get(low) {
            let lines = self.heap[spot.start()..].iter().step_by(LINE_BYTES).take(NEAR_LINES);
            std::hint::black_box(lines.fold(0, |sum, byte| sum ^ byte));
        }
        (low, high)
    }

    /// Returns the range of indices that a key may be at.
    fn around(&self, key: &[u8]) -> (usize, usize) {
        let open = usize::from(self.open);
        let (low, high) = self.heads.around(key);
        (open + low, open + high)
    }

    fn find_among(&self, (low, high): (usize, usize), key: &[u8]) -> Result<usize, usize> {
        let (mut low, mut high) = (low, high);
        while low < high {
            let middle = usize::midpoint(low, high);
            match compare(self.key(middle), key) {
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

    /// Takes in a key that lies in the heap.
    pub(super) fn insert(&mut self, index: usize, spot: Spot) {
        self.spots.insert(index, spot);
        let key = &self.heap[spot.start()..spot.end()];
        let known = match index.checked_sub(usize::from(self.open)) {
            Some(index) => self.heads.insert(index, key),
            None => false,
        };
        if !known {
            self.learn();
        }
    }

    /// Says where a key lies now; the key is the same.
    pub(super) fn moved(&mut self, index: usize, spot: Spot) {
        self.spots[index] = spot;
    }

    pub(super) fn remove(&mut self, index: usize) -> Spot {
        let spot = self.spots.remove(index);
        match index.checked_sub(usize::from(self.open)) {
            Some(index) => self.heads.remove(index),
            None => self.learn(),
        }
        spot
    }

    /// Lets the keys from an index on go.
    pub(super) fn truncate(&mut self, count: usize) {
        self.spots.truncate(count);
        self.learn();
    }

    /// Makes the first key the empty one.
    pub(super) fn open_first(&mut self) {
        if let Some(first) = self.spots.first_mut() {
            first.len = 0;
        }
        self.learn();
    }
}

/// Compares keys, byte by byte, unsigned.
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    if fault::on(Fault::Bt07) {
        let signed = |byte: &u8| byte ^ 0x80;
        return a.iter().map(signed).cmp(b.iter().map(signed));
    }
    a.cmp(b)
}
