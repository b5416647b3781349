//! Chunks of lists: a short list is stored in one entry, a long one in chunks of bounded size under
//! an index that counts their elements. An edit rewrites the chunk around it and the index.
//!
//! The index of a list of many chunks is cut into segments of bounded length, under an index of
//! their own, so that an edit of the longest list rewrites little more than that of a short one.
//!
//! Format: docs/objects.md#lists. Check: `sim::check::objects`.

use super::limits::limits;
use super::list::{Element, element_bytes};
use crate::codec::{Reader, Writer};
use crate::sorted::sort_by;
use std::ops::Range;

/// Marks the entry of a chunked list, in place of the number of elements.
const CHUNKED: u32 = u32::MAX;

/// Replaces it in the entry of a list with segments.
const SEGMENTED: u32 = u32::MAX - 1;

/// The entry of a list.
#[derive(Clone, Debug)]
pub(crate) enum StoredList {
    /// All elements.
    Short(Vec<Element>),
    /// The index of the chunks that hold the elements.
    Long(ChunkIndex),
    /// Where the index of the chunks is stored.
    Segmented(SegmentIndex),
}

/// The chunks of a list, in the order of their elements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChunkIndex {
    /// Bytes of all elements.
    pub(super) bytes: usize,
    pub(super) chunks: Vec<Chunk>,
}

/// The segments of the index of a list, in the order of their elements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SegmentIndex {
    /// Bytes of all elements.
    pub(super) bytes: usize,
    /// The number of the next chunk or segment.
    pub(super) next: u32,
    pub(super) segments: Vec<Chunk>,
}

/// A chunk of a list, or a segment of its index: its number, and how many elements it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) number: u32,
    pub(super) count: u32,
}

/// Chunks that hold a range of positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Located {
    /// Positions of the chunks in the index.
    pub(super) chunks: Range<usize>,
    /// Position of their first element in the list.
    pub(super) start: usize,
}

impl StoredList {
    /// Returns the number of elements.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Short(elements) => elements.len(),
            Self::Long(index) => index.len(),
            Self::Segmented(index) => len(&index.segments),
        }
    }

    /// Returns the bytes of all elements.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Short(elements) => bytes(elements),
            Self::Long(index) => index.bytes,
            Self::Segmented(index) => index.bytes,
        }
    }
}

impl Chunk {
    pub(super) const fn len(self) -> usize {
        self.count as usize
    }
}

impl ChunkIndex {
    /// Returns the number of elements.
    pub(super) fn len(&self) -> usize {
        len(&self.chunks)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(8 + 8 * self.chunks.len());
        out.u32(CHUNKED);
        // The sum in a hostile file may exceed 32 bits.
        out.u32(u32::try_from(self.bytes).unwrap_or(u32::MAX));
        put_chunks(&mut out, &self.chunks);
        out.into_bytes()
    }

    /// Decodes an index; none if it is malformed, or another form of a list.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader::new(bytes);
        if rest.u32()? != CHUNKED {
            return None;
        }
        let bytes = rest.u32()? as usize;
        Some(Self { bytes, chunks: read_chunks(&mut rest)? })
    }

    /// Returns the numbers of chunks in use, in order.
    pub(super) fn numbers(&self) -> Vec<u32> {
        let mut numbers: Vec<u32> = self.chunks.iter().map(|chunk| chunk.number).collect();
        sort_by(&mut numbers, Ord::cmp);
        numbers
    }
}

/// Returns the number of elements of chunks or segments.
pub(super) fn len(chunks: &[Chunk]) -> usize {
    chunks.iter().map(|chunk| chunk.len()).sum()
}

/// Finds the chunks that hold some positions, at least one. A position behind the last element is
/// in the last chunk.
pub(super) fn locate(chunks: &[Chunk], positions: &Range<usize>) -> Located {
    let (mut first, mut start) = (0, 0);
    while let Some(chunk) = chunks.get(first)
        && first + 1 < chunks.len()
        && start + chunk.len() <= positions.start
    {
        start += chunk.len();
        first += 1;
    }
    let (mut end, mut at) = (first, start);
    while let Some(chunk) = chunks.get(end)
        && (end == first || at < positions.end)
    {
        at += chunk.len();
        end += 1;
    }
    Located { chunks: first..end, start }
}

impl SegmentIndex {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(12 + 8 * self.segments.len());
        out.u32(SEGMENTED);
        // A hostile file may claim more than 32 bits hold.
        out.u32(u32::try_from(self.bytes).unwrap_or(u32::MAX));
        out.u32(self.next);
        put_chunks(&mut out, &self.segments);
        out.into_bytes()
    }

    /// Decodes an index; none if it is malformed, or another form of a list.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader::new(bytes);
        if rest.u32()? != SEGMENTED {
            return None;
        }
        let (bytes, next) = (rest.u32()? as usize, rest.u32()?);
        Some(Self { bytes, next, segments: read_chunks(&mut rest)? })
    }

    /// Takes a number that no chunk or segment of the list has; none if there is none left.
    pub(super) fn take_number(&mut self) -> Option<u32> {
        let number = self.next;
        // The last ones mark the entries that find elements.
        self.next = number.checked_add(1).filter(|next| *next < SEGMENTED)?;
        Some(number)
    }
}

fn put_chunks(out: &mut Writer, chunks: &[Chunk]) {
    for Chunk { number, count } in chunks {
        out.u32(*number);
        out.u32(*count);
    }
}

fn read_chunks(rest: &mut Reader<'_>) -> Option<Vec<Chunk>> {
    let mut chunks = Vec::with_capacity(rest.len() / 8);
    while !rest.is_empty() {
        chunks.push(Chunk { number: rest.u32()?, count: rest.u32()? });
    }
    Some(chunks)
}

/// Returns the bytes of elements.
pub(super) fn bytes(elements: &[Element]) -> usize {
    elements.iter().map(|element| element_bytes(&element.value)).sum()
}

/// Splits elements into as few chunks as possible, of about the same length.
pub(super) fn cut(elements: &[Element]) -> Vec<&[Element]> {
    let total = bytes(elements);
    let most = limits().chunk_bytes;
    let even = total.div_ceil(total.div_ceil(most).max(1));
    let (mut cuts, mut start, mut held) = (Vec::new(), 0, 0);
    for (index, element) in elements.iter().enumerate() {
        let more = element_bytes(&element.value);
        if index > start && (held >= even || held + more > most) {
            cuts.push(&elements[start..index]);
            (start, held) = (index, 0);
        }
        held += more;
    }
    if start < elements.len() {
        cuts.push(&elements[start..]);
    }
    let count: usize = cuts.iter().map(|cut| cut.len()).sum();
    assert_eq!(count, elements.len(), "B5: cutting a list loses no element");
    cuts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::list::encode;
    use crate::table::{ElementId, Value};

    fn element(number: u64, len: usize) -> Element {
        let id = ElementId { author: 0, number };
        Element { id, value: Value::from("x".repeat(len)) }
    }

    #[test]
    fn chunks_are_even_and_a_long_element_is_alone() {
        let lens = |lens: &[usize]| -> Vec<usize> {
            let elements: Vec<_> = (0..).zip(lens).map(|(n, len)| element(n, *len)).collect();
            cut(&elements).into_iter().map(<[Element]>::len).collect()
        };
        assert_eq!(lens(&[]), [0; 0]);
        assert_eq!(lens(&[5000]), [1]);
        assert_eq!(lens(&[10; 37]), [37]);
        assert_eq!(lens(&[10; 38]), [19, 19]);
        assert_eq!(lens(&[10; 100]), [34, 34, 32]);
        assert_eq!(lens(&[0, 5000, 0, 0]), [1, 1, 2]);
        assert_eq!(lens(&[600, 600, 600]), [1, 1, 1]);
    }

    #[test]
    fn positions_are_found_in_the_chunks_that_hold_them() {
        let chunks = [3, 1, 4].map(|count| Chunk { number: 9 - count, count }).to_vec();
        let index = ChunkIndex { bytes: 7, chunks };
        for (positions, (chunks, start)) in [
            (0..0, (0..1, 0)),
            (2..3, (0..1, 0)),
            (3..3, (1..2, 3)),
            (2..4, (0..2, 0)),
            (4..8, (2..3, 4)),
            (0..8, (0..3, 0)),
            (8..8, (2..3, 4)),
        ] {
            assert_eq!(
                locate(&index.chunks, &positions),
                Located { chunks, start },
                "{positions:?}"
            );
        }
        assert_eq!(ChunkIndex::decode(&index.encode()), Some(index.clone()));
        assert_eq!(ChunkIndex::decode(&encode(&[element(1, 2)])), None);
        assert_eq!(ChunkIndex::decode(&index.encode()[..13]), None);
    }
}
