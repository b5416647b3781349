//! What transactions changed, as the log keeps it: the operations on each tree, in order.
//!
//! Replaying operations that a tree already holds leaves it as it is: each sets, or removes, what
//! it names, whatever was there before.
//!
//! Format: docs/format.md#log.

use crate::codec::{Reader, Writer, u16_len, u32_len};
use crate::unit::{KEY_BYTES_MAX, NAME_BYTES_MAX, VALUE_BYTES_MAX};

const PUT: u8 = 1;
const REMOVE: u8 = 2;
const CLEAR: u8 = 3;

/// One operation on a tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Op<'a> {
    Put { key: &'a [u8], value: &'a [u8] },
    Remove { key: &'a [u8] },
    Clear,
}

/// How much a transaction may still write down before it is too large for the log.
#[derive(Debug)]
pub(crate) struct Journal {
    room_bytes: usize,
    /// Operations so far.
    pub(crate) ops: usize,
    /// Everything is written down.
    pub(crate) whole: bool,
}

/// What happened to one tree.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    pub(crate) name: &'a str,
    /// Entries of the tree afterwards.
    pub(crate) len: u64,
    ops: Reader<'a>,
}

impl Journal {
    pub(crate) const fn new(room_bytes: usize) -> Self {
        Self { room_bytes, ops: 0, whole: true }
    }

    /// Tells whether there is room for an operation.
    pub(crate) const fn has_room(&self, op: Op<'_>) -> bool {
        self.whole && op.bytes() <= self.room_bytes
    }

    /// Writes an operation down behind the others of its tree, while there is room.
    pub(crate) fn note(&mut self, op: Op<'_>, ops: &mut Vec<u8>) {
        self.whole = self.has_room(op);
        if !self.whole {
            return;
        }
        self.room_bytes -= op.bytes();
        self.ops += 1;
        op.encode(ops);
    }
}

impl<'a> Op<'a> {
    const fn bytes(&self) -> usize {
        match self {
            Self::Put { key, value } => 7 + key.len() + value.len(),
            Self::Remove { key } => 3 + key.len(),
            Self::Clear => 1,
        }
    }

    fn encode(&self, ops: &mut Vec<u8>) {
        ops.reserve(self.bytes());
        match self {
            Self::Put { key, value } => {
                ops.push(PUT);
                ops.extend_from_slice(&u16_len(key.len()).to_le_bytes());
                ops.extend_from_slice(&u32_len(value.len()).to_le_bytes());
                ops.extend_from_slice(key);
                ops.extend_from_slice(value);
            }
            Self::Remove { key } => {
                ops.push(REMOVE);
                ops.extend_from_slice(&u16_len(key.len()).to_le_bytes());
                ops.extend_from_slice(key);
            }
            Self::Clear => ops.push(CLEAR),
        }
    }

    /// Reads the next operation; `None` if the bytes are none.
    fn decode(reader: &mut Reader<'a>) -> Option<Self> {
        let kind = reader.u8()?;
        if kind == CLEAR {
            return Some(Self::Clear);
        }
        let len = reader.array().map(u16::from_le_bytes).map(usize::from)?;
        let len = Some(len).filter(|&len| len <= KEY_BYTES_MAX)?;
        match kind {
            PUT => {
                let value = usize::try_from(reader.u32()?).ok()?;
                let key = reader.take(len)?;
                let value = reader.take(value).filter(|_| value <= VALUE_BYTES_MAX)?;
                Some(Self::Put { key, value })
            }
            REMOVE => Some(Self::Remove { key: reader.take(len)? }),
            _ => None,
        }
    }
}

/// Walks operations as long as they are puts.
pub(crate) fn puts(ops: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut reader = Reader::new(ops);
    std::iter::from_fn(move || match Op::decode(&mut reader)? {
        Op::Put { key, value } => Some((key, value)),
        Op::Remove { .. } | Op::Clear => None,
    })
}

/// Returns how much [`put_section`] appends.
pub(crate) const fn section_bytes(name: &str, ops: &[u8]) -> usize {
    13 + name.len() + ops.len()
}

/// Appends what happened to a tree.
pub(crate) fn put_section(name: &str, len: u64, ops: &[u8], writer: &mut Writer) {
    writer.u8(u8::try_from(name.len()).expect("K2: a tree name has at most 255 bytes"));
    writer.put(name.as_bytes());
    writer.u64(len);
    writer.u32(u32_len(ops.len()));
    writer.put(ops);
}

/// Reads the next section; `None` if the bytes are none.
pub(crate) fn section<'a>(reader: &mut Reader<'a>) -> Option<Section<'a>> {
    let len = usize::from(reader.u8()?);
    let name = std::str::from_utf8(reader.take(len)?).ok()?;
    let name = Some(name).filter(|name| (1..=NAME_BYTES_MAX).contains(&name.len()))?;
    let len = reader.u64()?;
    let bytes = usize::try_from(reader.u32()?).ok()?;
    Some(Section { name, len, ops: Reader::new(reader.take(bytes)?) })
}

impl<'a> Section<'a> {
    /// Returns the next operation, `Some(None)` at the end; `None` if the bytes are none.
    pub(crate) fn next(&mut self) -> Option<Option<Op<'a>>> {
        if self.ops.is_empty() {
            return Some(None);
        }
        Op::decode(&mut self.ops).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_survive_encoding() {
        let all = [
            Op::Clear,
            Op::Put { key: b"k", value: b"value" },
            Op::Remove { key: b"gone" },
            Op::Put { key: b"", value: b"" },
        ];
        let (mut journal, mut ops) = (Journal::new(100), Vec::new());
        all.into_iter().for_each(|op| journal.note(op, &mut ops));
        assert_eq!((journal.whole, journal.ops), (true, 4));
        let mut writer = Writer::default();
        put_section("tree", 9, &ops, &mut writer);
        let mut reader = Reader::new(writer.bytes());
        let mut found = section(&mut reader).unwrap();
        assert!(reader.is_empty() && found.name == "tree" && found.len == 9);
        for op in all {
            assert_eq!(found.next(), Some(Some(op)));
        }
        assert_eq!(found.next(), Some(None));
    }

    #[test]
    fn a_transaction_too_large_stops_writing_down() {
        let (mut journal, mut ops) = (Journal::new(20), Vec::new());
        journal.note(Op::Put { key: b"k", value: b"0123456789" }, &mut ops);
        assert!(journal.whole);
        journal.note(Op::Remove { key: b"k" }, &mut ops);
        assert!(!journal.whole);
        journal.note(Op::Clear, &mut ops);
        assert!(!journal.whole);
    }
}
