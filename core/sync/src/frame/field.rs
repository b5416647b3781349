//! Fields of frames: how one value is read and written. A marker type stands for each encoding, so
//! that a frame declares its fields once for both directions.

use super::code::{Action, Code};
use super::error::{
    ENTRIES_MAX, FrameError, FrameLimit, FrameProblem, PART_BYTES_MAX, TEXT_BYTES_MAX,
};
use crate::codec::{Reader, put_binary, put_varint};
use crate::entry::ENTRY_BYTES_MAX;

pub(super) type Result<T> = std::result::Result<T, FrameError>;

/// An encoding.
pub(super) trait Encoding<'a> {
    type Value;
    fn read(reader: &mut Reader<'a>) -> Result<Self::Value>;
    fn write(bytes: &mut Vec<u8>, value: &Self::Value) -> Result<()>;
}

/// One entry of a DOWNLOAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// An entry in full.
    Entry {
        /// Client that wrote it.
        client: u32,
        /// Its encoding, with the effective stamp as its stamp.
        entry: &'a [u8],
    },
    /// An entry of the receiver, which has the operations.
    Own {
        /// Number among the receiver's entries.
        client_seq: u64,
        /// Effective stamp.
        stamp: u64,
    },
}

/// A varint.
pub(super) struct Number;
/// A varint from `MIN` to `MAX`.
pub(super) struct Within<const MIN: u64, const MAX: u64>;
/// A varint of 32 bits, at least `MIN`.
pub(super) struct Small<const MIN: u32>;
/// A varint of 16 bits.
pub(super) struct CodeNumber;
/// A varint that is at least 1.
pub(super) struct Positive;
/// Eight bytes.
pub(super) struct Fixed;
/// A byte that is 0 or 1.
pub(super) struct Flag;
/// The byte of an action.
pub(super) struct ActionNumber;
/// A text of at most `MAX` bytes.
pub(super) struct Text<const MAX: usize>;
/// A part of a snapshot.
pub(super) struct Part;
/// The root of a snapshot, or none.
pub(super) struct Root;
/// The entries of an UPLOAD.
pub(super) struct EntryList;
/// The items of a DOWNLOAD.
pub(super) struct ItemList;

impl<'a> Encoding<'a> for Number {
    type Value = u64;
    fn read(reader: &mut Reader<'a>) -> Result<u64> {
        Ok(reader.varint()?)
    }
    fn write(bytes: &mut Vec<u8>, value: &u64) -> Result<()> {
        put_varint(bytes, *value);
        Ok(())
    }
}

impl<'a, const MIN: u64, const MAX: u64> Encoding<'a> for Within<MIN, MAX> {
    type Value = u64;
    fn read(reader: &mut Reader<'a>) -> Result<u64> {
        let value = reader.varint()?;
        if (MIN..=MAX).contains(&value) { Ok(value) } else { Err(FrameLimit::Number.into()) }
    }
    fn write(bytes: &mut Vec<u8>, value: &u64) -> Result<()> {
        if !(MIN..=MAX).contains(value) {
            return Err(FrameLimit::Number.into());
        }
        put_varint(bytes, *value);
        Ok(())
    }
}

impl<'a, const MIN: u32> Encoding<'a> for Small<MIN> {
    type Value = u32;
    fn read(reader: &mut Reader<'a>) -> Result<u32> {
        let value = reader.u32()?;
        if value >= MIN { Ok(value) } else { Err(FrameProblem::Value.into()) }
    }
    fn write(bytes: &mut Vec<u8>, value: &u32) -> Result<()> {
        if *value < MIN {
            return Err(FrameProblem::Value.into());
        }
        put_varint(bytes, (*value).into());
        Ok(())
    }
}

impl<'a> Encoding<'a> for CodeNumber {
    type Value = Code;
    fn read(reader: &mut Reader<'a>) -> Result<Code> {
        let value = reader.varint()?;
        Ok(Code(u16::try_from(value).map_err(|_| FrameProblem::Number)?))
    }
    fn write(bytes: &mut Vec<u8>, value: &Code) -> Result<()> {
        put_varint(bytes, value.0.into());
        Ok(())
    }
}

impl<'a> Encoding<'a> for Positive {
    type Value = u64;
    fn read(reader: &mut Reader<'a>) -> Result<u64> {
        let value = reader.varint()?;
        if value > 0 { Ok(value) } else { Err(FrameProblem::Value.into()) }
    }
    fn write(bytes: &mut Vec<u8>, value: &u64) -> Result<()> {
        if *value == 0 {
            return Err(FrameProblem::Value.into());
        }
        put_varint(bytes, *value);
        Ok(())
    }
}

impl<'a> Encoding<'a> for Fixed {
    type Value = u64;
    fn read(reader: &mut Reader<'a>) -> Result<u64> {
        Ok(u64::from_le_bytes(reader.array()?))
    }
    fn write(bytes: &mut Vec<u8>, value: &u64) -> Result<()> {
        bytes.extend(value.to_le_bytes());
        Ok(())
    }
}

impl<'a> Encoding<'a> for Flag {
    type Value = bool;
    fn read(reader: &mut Reader<'a>) -> Result<bool> {
        match reader.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(FrameProblem::Value.into()),
        }
    }
    fn write(bytes: &mut Vec<u8>, value: &bool) -> Result<()> {
        bytes.push(u8::from(*value));
        Ok(())
    }
}

impl<'a> Encoding<'a> for ActionNumber {
    type Value = Action;
    fn read(reader: &mut Reader<'a>) -> Result<Action> {
        let number = usize::from(reader.u8()?);
        Ok(Action::ALL.get(number).copied().ok_or(FrameProblem::Value)?)
    }
    fn write(bytes: &mut Vec<u8>, value: &Action) -> Result<()> {
        bytes.push(value.number());
        Ok(())
    }
}

impl<'a, const MAX: usize> Encoding<'a> for Text<MAX> {
    type Value = &'a str;
    fn read(reader: &mut Reader<'a>) -> Result<&'a str> {
        let bytes = reader.binary()?;
        if bytes.len() > MAX {
            return Err(FrameLimit::TextBytes.into());
        }
        Ok(std::str::from_utf8(bytes).map_err(|_| FrameProblem::Utf8)?)
    }
    fn write(bytes: &mut Vec<u8>, value: &&'a str) -> Result<()> {
        if value.len() > MAX {
            return Err(FrameLimit::TextBytes.into());
        }
        put_binary(bytes, value.as_bytes());
        Ok(())
    }
}

impl<'a> Encoding<'a> for Part {
    type Value = &'a [u8];
    fn read(reader: &mut Reader<'a>) -> Result<&'a [u8]> {
        let part = reader.binary()?;
        if part.len() <= PART_BYTES_MAX { Ok(part) } else { Err(FrameLimit::PartBytes.into()) }
    }
    fn write(bytes: &mut Vec<u8>, value: &&'a [u8]) -> Result<()> {
        if value.len() > PART_BYTES_MAX {
            return Err(FrameLimit::PartBytes.into());
        }
        put_binary(bytes, value);
        Ok(())
    }
}

impl<'a> Encoding<'a> for Root {
    type Value = Option<[u8; 32]>;
    fn read(reader: &mut Reader<'a>) -> Result<Option<[u8; 32]>> {
        Ok(if Flag::read(reader)? { Some(reader.array()?) } else { None })
    }
    fn write(bytes: &mut Vec<u8>, value: &Option<[u8; 32]>) -> Result<()> {
        bytes.push(u8::from(value.is_some()));
        bytes.extend(value.iter().flatten());
        Ok(())
    }
}

impl<'a> Encoding<'a> for EntryList {
    type Value = Vec<&'a [u8]>;
    fn read(reader: &mut Reader<'a>) -> Result<Vec<&'a [u8]>> {
        let count = read_count(reader)?;
        (0..count).map(|_| read_entry(reader)).collect()
    }
    fn write(bytes: &mut Vec<u8>, value: &Vec<&'a [u8]>) -> Result<()> {
        write_count(bytes, value.len())?;
        value.iter().try_for_each(|entry| write_entry(bytes, entry))
    }
}

impl<'a> Encoding<'a> for ItemList {
    type Value = Vec<Item<'a>>;
    fn read(reader: &mut Reader<'a>) -> Result<Vec<Item<'a>>> {
        let count = read_count(reader)?;
        let read = |_| {
            Ok(match reader.u8()? {
                0 => Item::Entry { client: Small::<1>::read(reader)?, entry: read_entry(reader)? },
                1 => Item::Own { client_seq: Positive::read(reader)?, stamp: reader.varint()? },
                _ => return Err(FrameProblem::Value.into()),
            })
        };
        (0..count).map(read).collect()
    }
    fn write(bytes: &mut Vec<u8>, value: &Vec<Item<'a>>) -> Result<()> {
        write_count(bytes, value.len())?;
        for item in value {
            match item {
                Item::Entry { client, entry } => {
                    bytes.push(0);
                    Small::<1>::write(bytes, client)?;
                    write_entry(bytes, entry)?;
                }
                Item::Own { client_seq, stamp } => {
                    bytes.push(1);
                    Positive::write(bytes, client_seq)?;
                    put_varint(bytes, *stamp);
                }
            }
        }
        Ok(())
    }
}

/// A count of entries; nothing is allocated for it before the entries are read.
fn read_count(reader: &mut Reader<'_>) -> Result<u64> {
    let count = reader.varint()?;
    let is_allowed = (1..=ENTRIES_MAX as u64).contains(&count);
    if is_allowed { Ok(count) } else { Err(FrameLimit::Entries.into()) }
}

fn write_count(bytes: &mut Vec<u8>, count: usize) -> Result<()> {
    if !(1..=ENTRIES_MAX).contains(&count) {
        return Err(FrameLimit::Entries.into());
    }
    put_varint(bytes, count as u64);
    Ok(())
}

fn read_entry<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8]> {
    let entry = reader.binary()?;
    let is_allowed = (1..=ENTRY_BYTES_MAX).contains(&entry.len());
    if is_allowed { Ok(entry) } else { Err(FrameLimit::EntryBytes.into()) }
}

fn write_entry(bytes: &mut Vec<u8>, entry: &[u8]) -> Result<()> {
    if !(1..=ENTRY_BYTES_MAX).contains(&entry.len()) {
        return Err(FrameLimit::EntryBytes.into());
    }
    put_binary(bytes, entry);
    Ok(())
}

/// The text of a reason, message or path.
pub(super) type LongText = Text<TEXT_BYTES_MAX>;
