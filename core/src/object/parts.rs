//! Lists as they lie in the file: a short one in one entry, a long one in pieces of bounded size,
//! with a directory that counts their elements. A change at a place writes the piece that it is in
//! and the directory.
//!
//! Format: docs/objects.md#lists. Check: `sim::check::objects`.

use super::catalog::{Column, Table};
use super::key::{apart, piece, pieces_of};
use super::list::{Element, decode, element_bytes, encode};
use super::transaction::Transaction;
use super::view::View;
use crate::codec::{Reader, Writer, u32_len};
use crate::error::Result;
use crate::fault::{self, Fault};
use crate::sorted::sort_by;
use std::ops::Range;

/// Longest piece, in bytes of its elements; a longer element is one alone.
const PIECE_BYTES_MAX: usize = 1024;

/// A piece that becomes shorter is put together with a neighbour.
const PIECE_BYTES_MIN: usize = PIECE_BYTES_MAX / 4;

/// Stands instead of the number of elements where a directory is.
const DIRECTORY: u32 = u32::MAX;

/// A list and the object it belongs to.
pub(super) type ListAt<'a> = (&'a Table, &'a Column, &'a [u8]);

/// A list as it lies in the file.
#[derive(Clone, Debug)]
pub(super) enum StoredSchema {
    /// All elements.
    Short(Vec<Element>),
    /// Where the elements are.
    Long(Directory),
}

/// The pieces of a list, in the order of their elements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Directory {
    /// Bytes of all elements.
    bytes: usize,
    pieces: Vec<Piece>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece {
    number: u32,
    count: u32,
}

/// Elements of a list, read piece by piece.
#[derive(Debug)]
pub struct Elements<'a> {
    view: View<'a>,
    table: &'a Table,
    column: &'a Column,
    key: Vec<u8>,
    pieces: std::vec::IntoIter<Piece>,
    piece: std::vec::IntoIter<Element>,
}

/// Pieces that are next to each other, and the elements in them.
struct Region {
    pieces: Range<usize>,
    /// Place of the first element in the list.
    start: usize,
    elements: Vec<Element>,
}

impl StoredSchema {
    /// Returns how many elements there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Short(elements) => elements.len(),
            Self::Long(directory) => directory.pieces.iter().map(|piece| piece.len()).sum(),
        }
    }

    /// Returns the bytes of all elements.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Short(elements) => bytes(elements),
            Self::Long(directory) => directory.bytes,
        }
    }
}

impl Piece {
    const fn len(self) -> usize {
        self.count as usize
    }
}

impl Directory {
    fn encode(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(8 + 8 * self.pieces.len());
        out.u32(DIRECTORY);
        // A hostile file may say more than there can be.
        out.u32(u32::try_from(self.bytes).unwrap_or(u32::MAX));
        for Piece { number, count } in &self.pieces {
            out.u32(*number);
            out.u32(*count);
        }
        out.into_bytes()
    }

    /// Reads a directory; none if it is malformed, or a list.
    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader::new(bytes);
        if rest.u32()? != DIRECTORY {
            return None;
        }
        let bytes = rest.u32()? as usize;
        let mut pieces = Vec::with_capacity(rest.len() / 8);
        while !rest.is_empty() {
            pieces.push(Piece { number: rest.u32()?, count: rest.u32()? });
        }
        Some(Self { bytes, pieces })
    }

    /// Returns the pieces that hold some places, one at least, with the place of their first
    /// element. A place behind the last element is in the last piece.
    fn locate(&self, places: &Range<usize>) -> (Range<usize>, usize) {
        let (mut first, mut start) = (0, 0);
        while let Some(piece) = self.pieces.get(first)
            && first + 1 < self.pieces.len()
            && start + piece.len() <= places.start
        {
            start += piece.len();
            first += 1;
        }
        let (mut end, mut at) = (first, start);
        while let Some(piece) = self.pieces.get(end)
            && (end == first || at < places.end)
        {
            at += piece.len();
            end += 1;
        }
        (first..end, start)
    }
}

fn bytes(elements: &[Element]) -> usize {
    elements.iter().map(|element| element_bytes(&element.value)).sum()
}

/// Cuts elements into pieces of about the same length, and as few as there can be.
fn cut(elements: &[Element]) -> Vec<&[Element]> {
    let total = bytes(elements);
    let even = total.div_ceil(total.div_ceil(PIECE_BYTES_MAX).max(1));
    let (mut cuts, mut start, mut held) = (Vec::new(), 0, 0);
    for (index, element) in elements.iter().enumerate() {
        let more = element_bytes(&element.value);
        if index > start && (held >= even || held + more > PIECE_BYTES_MAX) {
            cuts.push(&elements[start..index]);
            (start, held) = (index, 0);
        }
        held += more;
    }
    if start < elements.len() {
        cuts.push(&elements[start..]);
    }
    cuts
}

impl<'a> View<'a> {
    /// Reads a list as far as it lies in one entry; one without is empty.
    pub(super) fn stored(&self, (table, column, key): ListAt<'_>) -> Result<StoredSchema> {
        let entry = self.source.tree(&table.trees.apart).get(&apart(column.number, key))?;
        let Some(bytes) = entry else { return Ok(StoredSchema::Short(Vec::new())) };
        if let Some(directory) = Directory::decode(&bytes) {
            return Ok(StoredSchema::Long(directory));
        }
        self.decode_list(column, &bytes).map(StoredSchema::Short)
    }

    fn decode_list(&self, column: &Column, bytes: &[u8]) -> Result<Vec<Element>> {
        let target = column.target().map(|class| self.catalog.table(class)).transpose()?;
        let elements = decode(column.kind(), target.map(|table| &**table), bytes);
        elements.ok_or_else(|| self.malformed())
    }

    fn read_piece(&self, (table, column, key): ListAt<'_>, held: Piece) -> Result<Vec<Element>> {
        let at = piece(column.number, key, held.number);
        let entry = self.source.tree(&table.trees.pieces).get(&at)?;
        let elements = self.decode_list(column, &entry.ok_or_else(|| self.malformed())?)?;
        let counted = elements.len() == held.len();
        counted.then_some(elements).ok_or_else(|| self.malformed())
    }

    /// Reads a list.
    pub(super) fn read_list(
        &self,
        (table, column): (&Table, &Column),
        key: &[u8],
    ) -> Result<Vec<Element>> {
        match self.stored((table, column, key))? {
            StoredSchema::Short(elements) => Ok(elements),
            StoredSchema::Long(Directory { pieces, .. }) => {
                let mut elements = Vec::new();
                for piece in pieces {
                    elements.append(&mut self.read_piece((table, column, key), piece)?);
                }
                Ok(elements)
            }
        }
    }

    /// Reads the element at a place that there is.
    pub(super) fn element(
        &self,
        at: ListAt<'_>,
        (stored, index): (&StoredSchema, usize),
    ) -> Result<Element> {
        let found = match stored {
            StoredSchema::Short(elements) => elements.get(index).cloned(),
            StoredSchema::Long(directory) => {
                let region = self.region(at, (directory, &(index..index + 1)))?;
                region.elements.into_iter().nth(index - region.start)
            }
        };
        found.ok_or_else(|| self.malformed())
    }

    fn region(
        &self,
        at: ListAt<'_>,
        (directory, places): (&Directory, &Range<usize>),
    ) -> Result<Region> {
        let (pieces, start) = directory.locate(places);
        let mut elements = Vec::new();
        for piece in &directory.pieces[pieces.clone()] {
            elements.append(&mut self.read_piece(at, *piece)?);
        }
        Ok(Region { pieces, start, elements })
    }

    /// Reads a list piece by piece.
    pub(super) fn elements(
        self,
        (table, column): (&'a Table, &'a Column),
        key: &[u8],
    ) -> Result<Elements<'a>> {
        let (pieces, piece) = match self.stored((table, column, key))? {
            StoredSchema::Short(elements) => (Vec::new(), elements),
            StoredSchema::Long(directory) => (directory.pieces, Vec::new()),
        };
        let (pieces, piece) = (pieces.into_iter(), piece.into_iter());
        Ok(Elements { view: self, table, column, key: key.to_vec(), pieces, piece })
    }
}

impl Iterator for Elements<'_> {
    type Item = Result<Element>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(element) = self.piece.next() {
                return Some(Ok(element));
            }
            let piece = self.pieces.next()?;
            match self.view.read_piece((self.table, self.column, &self.key), piece) {
                Ok(elements) => self.piece = elements.into_iter(),
                Err(error) => {
                    self.pieces = Vec::new().into_iter();
                    return Some(Err(error));
                }
            }
        }
    }
}

impl Transaction {
    /// Takes the elements at some places out of a list and puts others there; returns those that
    /// were there. Links are for the caller to count.
    pub(super) fn splice(
        &mut self,
        at: ListAt<'_>,
        stored: StoredSchema,
        (places, put): (Range<usize>, &[Element]),
    ) -> Result<Vec<Element>> {
        let (mut directory, mut region) = match stored {
            StoredSchema::Short(elements) => {
                let directory = Directory { bytes: bytes(&elements), pieces: Vec::new() };
                (directory, Region { pieces: 0..0, start: 0, elements })
            }
            StoredSchema::Long(directory) => {
                let region = self.view().region(at, (&directory, &places))?;
                (directory, region)
            }
        };
        let held = region.elements.len();
        let within = places.start - region.start..places.end - region.start;
        let is_append = within.start == held && !region.pieces.is_empty();
        let removed: Vec<_> = region.elements.splice(within, put.iter().cloned()).collect();
        let (less, more) = (bytes(&removed), bytes(put));
        directory.bytes = (directory.bytes + more).saturating_sub(less);
        let len = bytes(&region.elements);
        if is_append && len > PIECE_BYTES_MAX {
            // The last piece stays as it is, so that a list that only grows has full ones.
            region.elements.drain(..held);
            region.pieces.start = region.pieces.end;
        } else if more < less && len < PIECE_BYTES_MIN {
            self.take_in_neighbour(at, (&directory, &mut region))?;
        }
        self.put_region(at, directory, &region)?;
        Ok(removed)
    }

    /// Adds the piece behind a region to it, or else the one before.
    fn take_in_neighbour(
        &self,
        at: ListAt<'_>,
        (directory, region): (&Directory, &mut Region),
    ) -> Result<()> {
        if let Some(next) = directory.pieces.get(region.pieces.end) {
            region.elements.append(&mut self.view().read_piece(at, *next)?);
            region.pieces.end += 1;
        } else if let Some(before) = region.pieces.start.checked_sub(1) {
            let mut elements = self.view().read_piece(at, directory.pieces[before])?;
            elements.append(&mut region.elements);
            region.elements = elements;
            region.pieces.start = before;
        }
        Ok(())
    }

    /// Writes a region, and the directory if there is still more than one piece.
    fn put_region(
        &mut self,
        (table, column, key): ListAt<'_>,
        mut directory: Directory,
        region: &Region,
    ) -> Result<()> {
        let entry = apart(column.number, key);
        let cuts = cut(&region.elements);
        let is_all = region.pieces == (0..directory.pieces.len());
        let is_short = is_all && cuts.len() <= 1;
        let mut used: Vec<u32> = directory.pieces.iter().map(|piece| piece.number).collect();
        sort_by(&mut used, Ord::cmp);
        let mut held = directory.pieces[region.pieces.clone()].iter();
        let mut unused = (0..).filter(|number| used.binary_search(number).is_err());
        let mut written = Vec::new();
        let mut pieces = self.txn.tree(&table.trees.pieces)?;
        for elements in cuts.iter().filter(|_| !is_short) {
            let older = held.next();
            let number = older.map(|older| older.number).or_else(|| unused.next());
            let number = number.expect("K2: a list has fewer pieces than numbers for them");
            let count = match older {
                Some(older) if fault::on(Fault::Ob10) => older.count,
                _ => u32_len(elements.len()),
            };
            pieces.insert(&piece(column.number, key, number), &encode(elements))?;
            written.push(Piece { number, count });
        }
        for gone in held {
            pieces.remove(&piece(column.number, key, gone.number))?;
        }
        let mut tree = self.txn.tree(&table.trees.apart)?;
        if !is_short {
            directory.pieces.splice(region.pieces.clone(), written);
            tree.insert(&entry, &directory.encode())?;
        } else if region.elements.is_empty() {
            tree.remove(&entry)?;
        } else {
            tree.insert(&entry, &encode(&region.elements))?;
        }
        Ok(())
    }

    /// Puts a list in the place of the one that a property has. Links are for the caller to count.
    pub(super) fn put_list(&mut self, at: ListAt<'_>, elements: &[Element]) -> Result<()> {
        let stored = self.view().stored(at)?;
        let all = 0..stored.len();
        self.splice(at, stored, (all, elements)).map(drop)
    }

    /// Removes a list, whatever it holds.
    pub(super) fn remove_list(&mut self, (table, column, key): ListAt<'_>) -> Result<()> {
        let removed = self.txn.tree(&table.trees.apart)?.remove(&apart(column.number, key))?;
        if !removed {
            return Ok(());
        }
        let (name, prefix) = (&table.trees.pieces, pieces_of(column.number, key));
        self.each(name, &prefix, &mut |txn, piece, _| txn.txn.tree(name)?.remove(piece).map(drop))
    }

    /// Moves the pieces of a list to another object.
    pub(super) fn move_pieces(
        &mut self,
        (table, column, from): ListAt<'_>,
        to: &[u8],
    ) -> Result<()> {
        let (name, prefix) = (&table.trees.pieces, pieces_of(column.number, from));
        let target = pieces_of(column.number, to);
        self.each(name, &prefix, &mut |txn, piece, elements| {
            let mut tree = txn.txn.tree(name)?;
            tree.remove(piece)?;
            tree.insert(&[&target[..], &piece[prefix.len()..]].concat(), elements).map(drop)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{ElementId, Value};

    fn element(number: u64, len: usize) -> Element {
        let id = ElementId { author: 0, number };
        Element { id, value: Value::from("x".repeat(len)) }
    }

    #[test]
    fn pieces_are_even_and_a_long_element_is_alone() {
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
    fn places_are_found_in_the_pieces_that_hold_them() {
        let pieces = [3, 1, 4].map(|count| Piece { number: 9 - count, count }).to_vec();
        let directory = Directory { bytes: 7, pieces };
        for (places, expect) in [
            (0..0, (0..1, 0)),
            (2..3, (0..1, 0)),
            (3..3, (1..2, 3)),
            (2..4, (0..2, 0)),
            (4..8, (2..3, 4)),
            (0..8, (0..3, 0)),
            (8..8, (2..3, 4)),
        ] {
            assert_eq!(directory.locate(&places), expect, "{places:?}");
        }
        assert_eq!(Directory::decode(&directory.encode()), Some(directory.clone()));
        assert_eq!(Directory::decode(&encode(&[element(1, 2)])), None);
        assert_eq!(Directory::decode(&directory.encode()[..13]), None);
    }
}
