//! A bitmap of the pages of one chunk.

use crate::codec::Reader;
use crate::unit::PageId;
use std::collections::BTreeMap;

/// Pages in a chunk: 4 MiB of file.
pub(crate) const CHUNK_PAGES: u64 = 1024;

const WORDS: usize = 16;

/// A set of pages within a chunk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Bits([u64; WORDS]);

impl Bits {
    #[cfg(test)]
    pub(crate) fn of(bits: &[u64]) -> Self {
        let mut set = Self::default();
        bits.iter().for_each(|&bit| {
            set.set(bit);
        });
        set
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let mut words = [0; WORDS];
        for word in &mut words {
            *word = reader.u64()?;
        }
        reader.is_empty().then_some(Self(words))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    fn place(bit: u64) -> (usize, u64) {
        let word = usize::try_from(bit / 64).unwrap_or(usize::MAX);
        (word, 1 << (bit % 64))
    }

    /// Adds a page and tells whether it was not there.
    pub(crate) fn set(&mut self, bit: u64) -> bool {
        let (word, mask) = Self::place(bit);
        let fresh = self.0[word] & mask == 0;
        self.0[word] |= mask;
        fresh
    }

    /// Removes a page and tells whether it was in the set.
    pub(crate) fn clear(&mut self, bit: u64) -> bool {
        let (word, mask) = Self::place(bit);
        let was_set = self.0[word] & mask != 0;
        self.0[word] &= !mask;
        was_set
    }

    pub(crate) fn has(&self, bit: u64) -> bool {
        let (word, mask) = Self::place(bit);
        self.0[word] & mask != 0
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Returns the pages before `bit`.
    pub(crate) fn before(mut self, bit: u64) -> Self {
        for bit in bit..CHUNK_PAGES {
            self.clear(bit);
        }
        self
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> {
        (0..CHUNK_PAGES).filter(|&bit| self.has(bit))
    }

    pub(crate) fn last(&self) -> Option<u64> {
        (0..CHUNK_PAGES).rev().find(|&bit| self.has(bit))
    }

    /// Tells whether no page below `bit` is in the set.
    pub(crate) fn first_at_least(&self, bit: u64) -> bool {
        !(0..bit).any(|bit| self.has(bit))
    }

    /// Calls `visit` with start and length of every run until it returns true.
    pub(crate) fn runs(&self, mut visit: impl FnMut(u64, u64) -> bool) {
        let (mut start, mut len) = (0, 0);
        for (base, &word) in (0..).step_by(64).zip(&self.0) {
            let mut rest = word;
            let mut at = base;
            while at < base + 64 {
                let ones = u64::from(rest.trailing_ones()).min(base + 64 - at);
                if ones > 0 {
                    if len == 0 {
                        start = at;
                    }
                    len += ones;
                    at += ones;
                    rest = rest.checked_shr(u32::try_from(ones).unwrap_or(64)).unwrap_or(0);
                }
                if at < base + 64 {
                    if len > 0 && visit(start, len) {
                        return;
                    }
                    len = 0;
                    let zeros = u64::from(rest.trailing_zeros()).min(base + 64 - at);
                    at += zeros;
                    rest = rest.checked_shr(u32::try_from(zeros).unwrap_or(64)).unwrap_or(0);
                }
            }
        }
        if len > 0 {
            visit(start, len);
        }
    }

    /// Returns the start of the first run of at least `count` pages.
    pub(crate) fn run_of(&self, count: u64) -> Option<u64> {
        let mut found = None;
        self.runs(|start, len| {
            found = (len >= count).then_some(start);
            found.is_some()
        });
        found
    }
}

/// Returns the pages of chunks, in order.
pub(super) fn pages(chunks: &BTreeMap<u64, Bits>) -> impl Iterator<Item = PageId> {
    chunks
        .iter()
        .flat_map(|(&chunk, bits)| bits.iter().map(move |bit| PageId(chunk * CHUNK_PAGES + bit)))
}

/// Returns the chunk of a page, and its place there.
pub(super) const fn split(page: PageId) -> (u64, u64) {
    (page.0 / CHUNK_PAGES, page.0 % CHUNK_PAGES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(bits: Bits) -> Vec<(u64, u64)> {
        let mut runs = Vec::new();
        bits.runs(|start, len| {
            runs.push((start, len));
            false
        });
        runs
    }

    #[test]
    fn runs_cross_words() {
        let bits = Bits::of(&[0, 1, 62, 63, 64, 65, 66, 200, 1023]);
        assert_eq!(bits.run_of(1), Some(0));
        assert_eq!(bits.run_of(3), Some(62));
        assert_eq!(bits.run_of(6), None);
        assert_eq!(runs(bits), [(0, 2), (62, 5), (200, 1), (1023, 1)]);
        assert_eq!(bits.last(), Some(1023));
        assert_eq!(bits.count(), 9);
        let all: Vec<_> = (0..CHUNK_PAGES).collect();
        assert_eq!(runs(Bits::of(&all)), [(0, CHUNK_PAGES)]);
        assert_eq!(runs(Bits::default()), []);
        assert_eq!(Bits::of(&[1022, 1023]).run_of(2), Some(1022));
    }

    #[test]
    fn bits_survive_encoding() {
        let bits = Bits::of(&[0, 63, 64, 1023]);
        assert_eq!(Bits::decode(&bits.encode()), Some(bits));
        assert_eq!(Bits::decode(&[0; 127]), None);
        assert_eq!(Bits::decode(&[0; 129]), None);
    }
}
