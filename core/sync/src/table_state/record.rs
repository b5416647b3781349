//! The window: what the merge rules remember of objects beside their values, in one tree per root.
//!
//! Format: docs/sync.md#window.

use crate::codec::{Reader, put_binary, put_signed, put_varint};
use crate::entry::Problem;
use crate::merge::{Deletion, PENDING_SEQ, Register, Stamp};
use fastness::table::{ClassId, ElementId, ObjectKey};

/// Longest key of an object, as bytes; none that is longer can exist.
pub(super) const OBJECT_KEY_BYTES_MAX: usize = 501;

const DELETION: u8 = 0;
const OBJECT: u8 = 1;
const LINKS: u8 = 2;
const ENTRIES: u8 = 3;
const PURGED: u8 = 4;

const VALUE: u8 = 0;
const HEAD: u8 = 1;
const ELEMENT: u8 = 2;
const GAP: u8 = 3;
const HIDDEN: u8 = 4;

/// The memory of a property that is no list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ValueRecord {
    pub(super) register: Option<Register>,
    /// The key of the object that the property links to, which does not exist.
    pub(super) link: Option<Vec<u8>>,
}

/// The memory of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HeadRecord {
    /// The hidden elements before all visible ones.
    pub(super) gap: Option<u32>,
    /// The number of the next gap.
    pub(super) next_gap: u32,
}

/// The memory of an element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ElementMemory {
    /// The last write of its value.
    pub(super) value: Option<Register>,
    /// The last move.
    pub(super) place: Option<Register>,
    /// Seq of the removal.
    pub(super) removed: Option<u64>,
    /// Seq of the last insert after it.
    pub(super) followed: Option<u64>,
    /// The hidden elements after it, if it is visible.
    pub(super) gap: Option<u32>,
    /// Its place among hidden elements, if it is one.
    pub(super) hidden: Option<GapPlace>,
    /// The key of the object that it links to, which does not exist.
    pub(super) link: Option<Vec<u8>>,
}

/// A place among hidden elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GapPlace {
    pub(super) gap: u32,
    pub(super) order: i64,
}

/// Hidden elements in order, between two visible ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GapRecord {
    /// The visible element before them; none at the head of the list.
    pub(super) owner: Option<ElementId>,
    /// Order of the first one.
    pub(super) first: i64,
    /// Order after that of the last one.
    pub(super) end: i64,
}

/// An object, as its records are found.
#[derive(Clone, Debug)]
pub(super) struct ObjectPrefix(Vec<u8>);

impl ObjectPrefix {
    pub(super) fn new(class: ClassId, key: &[u8]) -> Self {
        let mut bytes = vec![OBJECT];
        put_object(&mut bytes, class, key);
        Self(bytes)
    }

    /// The prefix of all records of the object.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn of_column(&self, column: u16, kind: u8) -> Vec<u8> {
        [&self.0[..], &column.to_be_bytes(), &[kind]].concat()
    }

    pub(super) fn value(&self, column: u16) -> Vec<u8> {
        self.of_column(column, VALUE)
    }

    pub(super) fn head(&self, column: u16) -> Vec<u8> {
        self.of_column(column, HEAD)
    }

    pub(super) fn element(&self, column: u16, id: ElementId) -> Vec<u8> {
        [&self.of_column(column, ELEMENT)[..], &element_bytes(id)].concat()
    }

    pub(super) fn gap(&self, column: u16, gap: u32) -> Vec<u8> {
        [&self.of_column(column, GAP)[..], &gap.to_be_bytes()].concat()
    }

    /// The prefix of the hidden elements of a gap.
    pub(super) fn hidden_of(&self, column: u16, gap: u32) -> Vec<u8> {
        [&self.of_column(column, HIDDEN)[..], &gap.to_be_bytes()].concat()
    }

    pub(super) fn hidden(&self, column: u16, at: GapPlace) -> Vec<u8> {
        let order = (at.order ^ i64::MIN).to_be_bytes();
        [&self.hidden_of(column, at.gap)[..], &order].concat()
    }
}

/// A key of the window, read back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WindowKey<'k> {
    Deletion,
    Value(OwnerKey<'k>),
    Head(OwnerKey<'k>),
    Element(OwnerKey<'k>, ElementId),
    /// Records that a purge keeps as they are.
    Derived,
}

/// The class, key and column that a record belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OwnerKey<'k> {
    pub(super) class: ClassId,
    pub(super) key: &'k [u8],
    pub(super) column: u16,
}

impl<'k> WindowKey<'k> {
    pub(super) fn read(bytes: &'k [u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        match *tag {
            DELETION => return Some(Self::Deletion),
            LINKS | ENTRIES | PURGED => return Some(Self::Derived),
            OBJECT => {}
            _ => return None,
        }
        let (class, key, rest) = read_object(rest)?;
        let (column, rest) = rest.split_first_chunk::<2>()?;
        let owner = OwnerKey { class, key, column: u16::from_be_bytes(*column) };
        let (kind, rest) = rest.split_first()?;
        match *kind {
            VALUE => Some(Self::Value(owner)),
            HEAD => Some(Self::Head(owner)),
            ELEMENT => Some(Self::Element(owner, read_element(rest)?)),
            GAP | HIDDEN => Some(Self::Derived),
            _ => None,
        }
    }
}

pub(super) fn element_bytes(id: ElementId) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&id.author.to_be_bytes());
    bytes[4..].copy_from_slice(&id.number.to_be_bytes());
    bytes
}

pub(super) fn read_element(bytes: &[u8]) -> Option<ElementId> {
    let (author, number) = bytes.split_first_chunk::<4>()?;
    let number = u64::from_be_bytes(number.try_into().ok()?);
    Some(ElementId { author: u32::from_be_bytes(*author), number })
}

fn put_object(bytes: &mut Vec<u8>, class: ClassId, key: &[u8]) {
    bytes.extend_from_slice(&class.0.to_be_bytes());
    let len = u16::try_from(key.len()).expect("B7: the key of an object is short");
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(key);
}

fn read_object(bytes: &[u8]) -> Option<(ClassId, &[u8], &[u8])> {
    let (class, rest) = bytes.split_first_chunk::<4>()?;
    let (len, rest) = rest.split_first_chunk::<2>()?;
    let (key, rest) = rest.split_at_checked(u16::from_be_bytes(*len).into())?;
    Some((ClassId(u32::from_be_bytes(*class)), key, rest))
}

/// The key of the deletion record of an object, whose class need not exist.
pub(super) fn deletion(class: &str, key: &ObjectKey) -> Option<Vec<u8>> {
    let key = key.to_vec();
    let len = u8::try_from(class.len()).ok()?;
    let fits = key.len() <= OBJECT_KEY_BYTES_MAX;
    fits.then(|| [&[DELETION, len], class.as_bytes(), &key].concat())
}

/// The key of the last entry of a client that the state contains.
pub(crate) fn last_entry(client: u32) -> Vec<u8> {
    [&[ENTRIES][..], &client.to_be_bytes()].concat()
}

/// The key of the greatest stamp of the entries that the state contains.
pub(super) const GREATEST_STAMP: &[u8] = &[ENTRIES];

/// The key of the greatest stamp of a value that a purge dropped.
pub(super) const PURGED_STAMP: &[u8] = &[PURGED];

/// The object that a key of the window belongs to.
pub(super) enum WindowObject<'k> {
    Numbered(ClassId, &'k [u8]),
    Named(&'k str, &'k [u8]),
}

/// Reads the object of a key; of a hidden link, the one that does not exist.
pub(super) fn window_object(bytes: &[u8]) -> Option<WindowObject<'_>> {
    let (tag, rest) = bytes.split_first()?;
    match *tag {
        DELETION => {
            let (len, rest) = rest.split_first()?;
            let (class, key) = rest.split_at_checked((*len).into())?;
            Some(WindowObject::Named(std::str::from_utf8(class).ok()?, key))
        }
        OBJECT | LINKS => {
            let (class, key, _) = read_object(rest)?;
            Some(WindowObject::Numbered(class, key))
        }
        _ => None,
    }
}

/// The prefix of the hidden links to an object.
pub(super) fn links_to(class: ClassId, key: &[u8]) -> Vec<u8> {
    let mut bytes = vec![LINKS];
    put_object(&mut bytes, class, key);
    bytes
}

/// The key of the hidden links of a property to an object.
pub(super) fn link(to: (ClassId, &[u8]), from: OwnerKey<'_>) -> Vec<u8> {
    let mut bytes = links_to(to.0, to.1);
    bytes.extend_from_slice(&from.class.0.to_be_bytes());
    bytes.extend_from_slice(&from.column.to_be_bytes());
    bytes.extend_from_slice(from.key);
    bytes
}

/// Reads the property of a hidden link.
pub(super) fn read_link(bytes: &[u8]) -> Option<OwnerKey<'_>> {
    let (_, _, rest) = read_object(bytes.split_first()?.1)?;
    let (class, rest) = rest.split_first_chunk::<4>()?;
    let (column, key) = rest.split_first_chunk::<2>()?;
    let class = ClassId(u32::from_be_bytes(*class));
    Some(OwnerKey { class, key, column: u16::from_be_bytes(*column) })
}

/// An entry that has not been ordered yet is written as 0 and its number.
fn put_seq(bytes: &mut Vec<u8>, seq: u64) {
    match seq.checked_sub(PENDING_SEQ) {
        None => put_varint(bytes, seq + 1),
        Some(client_seq) => {
            bytes.push(0);
            put_varint(bytes, client_seq);
        }
    }
}

fn read_seq(rest: &mut Reader<'_>) -> Result<u64, Problem> {
    match rest.varint()?.checked_sub(1) {
        Some(seq) if seq < PENDING_SEQ => Ok(seq),
        None => rest.varint()?.checked_add(PENDING_SEQ).ok_or(Problem::Number),
        Some(_) => Err(Problem::Number),
    }
}

fn put_register(bytes: &mut Vec<u8>, Register { stamp, seq }: Register) {
    put_varint(bytes, stamp.time);
    put_varint(bytes, stamp.client.into());
    put_varint(bytes, stamp.client_seq);
    put_seq(bytes, seq);
}

fn read_register(rest: &mut Reader<'_>) -> Result<Register, Problem> {
    let stamp = Stamp { time: rest.varint()?, client: rest.u32()?, client_seq: rest.varint()? };
    Ok(Register { stamp, seq: read_seq(rest)? })
}

/// Reads a field if its flag is set.
fn when<T>(flag: bool, read: impl FnOnce() -> Result<T, Problem>) -> Result<Option<T>, Problem> {
    flag.then(read).transpose()
}

/// A value of the window.
pub(super) trait WindowRecord: Sized + Default + PartialEq {
    fn encode(&self) -> Vec<u8>;
    fn read(rest: &mut Reader<'_>) -> Result<Self, Problem>;

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader::new(bytes);
        let record = Self::read(&mut rest).ok()?;
        rest.is_empty().then_some(record)
    }

    /// A record that says nothing has no entry.
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl WindowRecord for Deletion {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_seq(&mut bytes, self.seq);
        put_varint(&mut bytes, self.client.into());
        put_seq(&mut bytes, self.seq_of_others);
        bytes
    }

    fn read(rest: &mut Reader<'_>) -> Result<Self, Problem> {
        let (seq, client) = (read_seq(rest)?, rest.u32()?);
        Ok(Self { seq, client, seq_of_others: read_seq(rest)? })
    }
}

impl WindowRecord for ValueRecord {
    fn encode(&self) -> Vec<u8> {
        let flags = u8::from(self.register.is_some()) | u8::from(self.link.is_some()) << 1;
        let mut bytes = vec![flags];
        if let Some(register) = self.register {
            put_register(&mut bytes, register);
        }
        if let Some(link) = &self.link {
            put_binary(&mut bytes, link);
        }
        bytes
    }

    fn read(rest: &mut Reader<'_>) -> Result<Self, Problem> {
        let flags = rest.u8()?;
        let register = when(flags & 1 != 0, || read_register(rest))?;
        let link = when(flags & 2 != 0, || rest.binary().map(<[u8]>::to_vec))?;
        Ok(Self { register, link })
    }
}

impl WindowRecord for HeadRecord {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, self.gap.map_or(0, |gap| u64::from(gap) + 1));
        put_varint(&mut bytes, self.next_gap.into());
        bytes
    }

    fn read(rest: &mut Reader<'_>) -> Result<Self, Problem> {
        let gap = rest.varint()?.checked_sub(1);
        let gap = gap.map(u32::try_from).transpose().map_err(|_| Problem::Number)?;
        Ok(Self { gap, next_gap: rest.u32()? })
    }
}

impl WindowRecord for ElementMemory {
    fn encode(&self) -> Vec<u8> {
        let flags = [
            self.value.is_some(),
            self.place.is_some(),
            self.removed.is_some(),
            self.followed.is_some(),
            self.gap.is_some(),
            self.hidden.is_some(),
            self.link.is_some(),
        ];
        let flags = flags.iter().rev().fold(0, |flags, flag| flags << 1 | u8::from(*flag));
        let mut bytes = vec![flags];
        for register in [self.value, self.place].into_iter().flatten() {
            put_register(&mut bytes, register);
        }
        for seq in [self.removed, self.followed].into_iter().flatten() {
            put_seq(&mut bytes, seq);
        }
        if let Some(gap) = self.gap {
            put_varint(&mut bytes, gap.into());
        }
        if let Some(GapPlace { gap, order }) = self.hidden {
            put_varint(&mut bytes, gap.into());
            put_signed(&mut bytes, order);
        }
        if let Some(link) = &self.link {
            put_binary(&mut bytes, link);
        }
        bytes
    }

    fn read(rest: &mut Reader<'_>) -> Result<Self, Problem> {
        let flags = rest.u8()?;
        let has = |bit: u8| flags >> bit & 1 != 0;
        Ok(Self {
            value: when(has(0), || read_register(rest))?,
            place: when(has(1), || read_register(rest))?,
            removed: when(has(2), || read_seq(rest))?,
            followed: when(has(3), || read_seq(rest))?,
            gap: when(has(4), || rest.u32())?,
            hidden: when(has(5), || Ok(GapPlace { gap: rest.u32()?, order: rest.signed()? }))?,
            link: when(has(6), || rest.binary().map(<[u8]>::to_vec))?,
        })
    }
}

impl GapRecord {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut bytes = vec![self.owner.is_some().into()];
        if let Some(owner) = self.owner {
            bytes.extend_from_slice(&element_bytes(owner));
        }
        put_signed(&mut bytes, self.first);
        put_signed(&mut bytes, self.end);
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = Reader::new(bytes);
        let owner = match rest.u8().ok()? {
            0 => None,
            _ => Some(read_element(rest.take(12).ok()?)?),
        };
        let (first, end) = (rest.signed().ok()?, rest.signed().ok()?);
        rest.is_empty().then_some(Self { owner, first, end })
    }
}

/// Elements that link to one object.
impl WindowRecord for Vec<ElementId> {
    fn encode(&self) -> Vec<u8> {
        self.iter().flat_map(|id| element_bytes(*id)).collect()
    }

    fn read(rest: &mut Reader<'_>) -> Result<Self, Problem> {
        let mut elements = Self::new();
        while !rest.is_empty() {
            elements.push(read_element(rest.take(12)?).ok_or(Problem::Truncated)?);
        }
        Ok(elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Debug;

    #[track_caller]
    fn survives<R: WindowRecord + Debug>(record: &R) {
        assert_eq!(R::decode(&record.encode()).as_ref(), Some(record));
    }

    #[test]
    fn records_survive_their_bytes() {
        let stamp = Stamp { time: 1_784_567_894_016, client: 7, client_seq: 300 };
        let register = Some(Register { stamp, seq: 41 });
        let pending = Some(Register { stamp, seq: PENDING_SEQ + 300 });
        survives(&Deletion { seq: u64::MAX, client: 3, seq_of_others: 0 });
        survives(&ValueRecord::default());
        survives(&ValueRecord { register, link: Some(vec![1, 2]) });
        survives(&HeadRecord { gap: Some(0), next_gap: 9 });
        survives(&ElementMemory::default());
        let hidden = Some(GapPlace { gap: 4, order: -3 });
        survives(&ElementMemory { value: pending, removed: Some(5), hidden, ..Default::default() });
        let (followed, link) = (Some(u64::MAX), Some(vec![]));
        let all =
            ElementMemory { place: register, followed, gap: Some(2), link, ..Default::default() };
        survives(&all);
        assert_eq!(pending.map(|_| all.encode().len()), Some(23), "a compact record");
        for owner in [None, Some(ElementId { author: 1, number: 2 })] {
            let gap = GapRecord { owner, first: -1, end: 7 };
            assert_eq!(GapRecord::decode(&gap.encode()), Some(gap));
        }
    }

    #[test]
    fn keys_are_read_back() {
        let object = ObjectPrefix::new(ClassId(3), &[1, 2]);
        let owner = OwnerKey { class: ClassId(3), key: &[1, 2], column: 5 };
        let id = ElementId { author: 1, number: 2 };
        assert_eq!(WindowKey::read(&object.value(5)), Some(WindowKey::Value(owner)));
        assert_eq!(WindowKey::read(&object.head(5)), Some(WindowKey::Head(owner)));
        assert_eq!(WindowKey::read(&object.element(5, id)), Some(WindowKey::Element(owner, id)));
        assert_eq!(WindowKey::read(&object.gap(5, 1)), Some(WindowKey::Derived));
        let [low, high] = [-1, 0].map(|order| object.hidden(5, GapPlace { gap: 1, order }));
        assert!(low < high && low.starts_with(&object.hidden_of(5, 1)));
        let to = link((ClassId(9), &[7; 501]), owner);
        assert!(to.starts_with(&links_to(ClassId(9), &[7; 501])));
        assert_eq!(read_link(&to), Some(owner));
    }
}
