//! The redo journal of a transaction: the operations on each tree, in order, as the log keeps them.
//!
//! Operations are idempotent: each sets or removes the key that it names. So the log may be
//! replayed over a tree that holds its changes already.
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

/// The room of a log for a transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogRoom {
    pub(crate) bytes: usize,
    pub(crate) ops: usize,
}

/// The size of a transaction's journal, and its room in the log.
#[derive(Debug)]
pub(crate) struct Journal {
    room: LogRoom,
    /// Operations so far.
    pub(crate) ops: usize,
    /// Every operation is in the journal; `false` once one found no room.
    pub(crate) complete: bool,
}

/// The operations on one tree.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    pub(crate) name: &'a str,
    /// Entries of the tree after them.
    pub(crate) len: u64,
    ops: Reader<'a>,
}

impl Journal {
    pub(crate) const fn new(room: LogRoom) -> Self {
        Self { room, ops: 0, complete: true }
    }

    /// Tells whether there is room for an operation.
    pub(crate) const fn has_room(&self, op: Op<'_>) -> bool {
        self.complete && op.bytes() <= self.room.bytes && self.ops < self.room.ops
    }

    /// Appends an operation to the others of its tree, while there is room.
    pub(crate) fn append(&mut self, op: Op<'_>, ops: &mut Vec<u8>) {
        self.complete = self.has_room(op);
        if !self.complete {
            return;
        }
        self.room.bytes -= op.bytes();
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

    /// Decodes the next operation; `None` if the bytes are malformed.
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

/// Returns the puts that operations begin with.
pub(crate) fn puts(ops: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut reader = Reader::new(ops);
    std::iter::from_fn(move || match Op::decode(&mut reader)? {
        Op::Put { key, value } => Some((key, value)),
        Op::Remove { .. } | Op::Clear => None,
    })
}

/// Returns the number of bytes that [`put_section`] appends.
pub(crate) const fn section_bytes(name: &str, ops: &[u8]) -> usize {
    13 + name.len() + ops.len()
}

/// Appends the operations on a tree.
pub(crate) fn put_section(name: &str, len: u64, ops: &[u8], writer: &mut Writer) {
    writer.u8(u8::try_from(name.len()).expect("K2: a tree name has at most 255 bytes"));
    writer.put(name.as_bytes());
    writer.u64(len);
    writer.u32(u32_len(ops.len()));
    writer.put(ops);
}

/// Decodes the next section; `None` if the bytes are malformed.
pub(crate) fn section<'a>(reader: &mut Reader<'a>) -> Option<Section<'a>> {
    let len = usize::from(reader.u8()?);
    let name = std::str::from_utf8(reader.take(len)?).ok()?;
    let name = Some(name).filter(|name| (1..=NAME_BYTES_MAX).contains(&name.len()))?;
    let len = reader.u64()?;
    let bytes = usize::try_from(reader.u32()?).ok()?;
    Some(Section { name, len, ops: Reader::new(reader.take(bytes)?) })
}

impl<'a> Section<'a> {
    /// Decodes the next operation, `Some(None)` at the end; `None` if the bytes are malformed.
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
            Op::Remove { key: b"removed" },
            Op::Put { key: b"", value: b"" },
        ];
        let (mut journal, mut ops) = (Journal::new(LogRoom { bytes: 100, ops: 4 }), Vec::new());
        all.into_iter().for_each(|op| journal.append(op, &mut ops));
        assert_eq!((journal.complete, journal.ops), (true, 4));
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
    fn a_transaction_too_large_for_the_log_is_not_complete() {
        let (mut journal, mut ops) = (Journal::new(LogRoom { bytes: 20, ops: 9 }), Vec::new());
        journal.append(Op::Put { key: b"k", value: b"0123456789" }, &mut ops);
        assert!(journal.complete);
        journal.append(Op::Remove { key: b"k" }, &mut ops);
        assert!(!journal.complete);
        journal.append(Op::Clear, &mut ops);
        assert!(!journal.complete);
        let (mut journal, mut ops) = (Journal::new(LogRoom { bytes: 20, ops: 1 }), Vec::new());
        journal.append(Op::Clear, &mut ops);
        assert!(journal.complete);
        journal.append(Op::Clear, &mut ops);
        assert!(!journal.complete && ops.len() == 1);
    }
}
