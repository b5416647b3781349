//! Decoding of entries: total, and strict, so that an entry has one encoding.

use super::context::{self, Context};
use super::error::{self, EntryError, Limit, Problem};
use super::operation::{
    Anchor, Change, ElementId, Entry, Header, Key, ObjectRef, Operation, PrimaryKey, PropertyType,
    Scalar, ScalarType, Value,
};
use crate::codec::{Reader, put_varint};
use std::collections::BTreeSet;

/// Decodes an entry.
///
/// # Errors
/// [`EntryError`] if the bytes are not the encoding of an entry.
pub fn decode(bytes: &[u8]) -> Result<Entry<'_>, EntryError> {
    let operations = Operations::new(bytes)?;
    let header = operations.header();
    Ok(Entry { header, operations: operations.collect::<Result<_, _>>()? })
}

/// The operations of an encoded entry, decoded one at a time. After an error it ends.
#[derive(Debug)]
pub struct Operations<'a> {
    reader: Reader<'a>,
    header: Header,
    names: Vec<&'a str>,
    /// The names again, to find one that is written twice.
    known: BTreeSet<&'a str>,
    context: Context<'a>,
    count: usize,
    has_failed: bool,
}

type Decoded<T> = Result<T, Failure>;

/// An error whose offset is not noted yet.
enum Failure {
    Limit(Limit),
    Problem(Problem),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl<'a> Operations<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`EntryError`] if the bytes are too long or no header.
    pub fn new(bytes: &'a [u8]) -> Result<Self, EntryError> {
        if bytes.len() > error::ENTRY_BYTES_MAX {
            return Err(EntryError::Limit(Limit::EntryBytes));
        }
        let mut reader = Reader::new(bytes);
        let header = match read_header(&mut reader) {
            Ok(header) => header,
            Err(failure) => return Err(failure.at(&reader)),
        };
        Ok(Self {
            reader,
            header,
            names: Vec::new(),
            known: BTreeSet::new(),
            context: Context::default(),
            count: 0,
            has_failed: false,
        })
    }

    /// Returns the header.
    #[must_use]
    pub const fn header(&self) -> Header {
        self.header
    }

    /// Returns the bytes of the entry with another stamp: the effective one of the server, or the
    /// one of the author.
    ///
    /// # Errors
    /// [`Limit::EntryBytes`] if they are too many.
    pub fn with_stamp(bytes: &[u8], stamp: u64) -> Result<Vec<u8>, EntryError> {
        let mut reader = Reader::new(bytes);
        let Header { client_seq, base, .. } = match read_header(&mut reader) {
            Ok(header) => header,
            Err(failure) => return Err(failure.at(&reader)),
        };
        let operations = bytes.get(reader.at()..).unwrap_or_default();
        let mut stamped = vec![context::VERSION];
        [client_seq, base, stamp].iter().for_each(|number| put_varint(&mut stamped, *number));
        stamped.extend_from_slice(operations);
        let fits = stamped.len() <= error::ENTRY_BYTES_MAX;
        if fits { Ok(stamped) } else { Err(EntryError::Limit(Limit::EntryBytes)) }
    }

    fn operation(&mut self) -> Decoded<Operation<'a>> {
        if self.count == error::OPERATIONS_MAX {
            return Err(Failure::Limit(Limit::Operations));
        }
        self.count += 1;
        let head = self.reader.u8()?;
        let code = head & context::CODE_MASK;
        let flags = head & !context::CODE_MASK;
        let meaningful = match code {
            context::ADD_CLASS => context::SAME_CLASS,
            context::ADD_PROPERTY => context::SAME_CLASS | context::SAME_PROPERTY,
            context::CREATE | context::DELETE => context::SAME_CLASS | context::SAME_OBJECT,
            context::LIST_INSERT => !context::CODE_MASK,
            context::SET..=context::LIST_MOVE => !context::CODE_MASK & !context::NEXT,
            _ => return Err(Problem::Code.into()),
        };
        if flags & !meaningful != 0 {
            return Err(Problem::Flag.into());
        }
        match code {
            context::ADD_CLASS => self.add_class(flags),
            context::ADD_PROPERTY => {
                let class = self.class(flags)?;
                let property = self.property(flags)?;
                Ok(Operation::AddProperty { class, property, kind: self.property_type()? })
            }
            context::CREATE => Ok(Operation::Create(self.target(flags)?)),
            context::DELETE => Ok(Operation::Delete(self.target(flags)?)),
            _ => {
                let target = self.target(flags)?;
                let property = self.property(flags)?;
                let change = self.change(code, flags)?;
                Ok(Operation::Change { target, property, change })
            }
        }
    }

    fn add_class(&mut self, flags: u8) -> Decoded<Operation<'a>> {
        let class = self.class(flags)?;
        let code = self.reader.u8()?;
        let primary_key = match code {
            0 => None,
            1..=4 => {
                let (is_string, nullable) = (code > 2, code % 2 == 0);
                Some(PrimaryKey { property: self.name()?, is_string, nullable })
            }
            _ => return Err(Problem::Code.into()),
        };
        Ok(Operation::AddClass { class, primary_key })
    }

    fn name(&mut self) -> Decoded<&'a str> {
        let head = self.reader.varint()?;
        let number = usize::try_from(head >> 1).map_err(|_| Problem::Name)?;
        if head & 1 == 1 {
            return Ok(self.names.get(number).copied().ok_or(Problem::Name)?);
        }
        if number == 0 || number > error::NAME_BYTES_MAX {
            return Err(Failure::Limit(Limit::NameBytes));
        }
        let name = text(self.reader.take(number)?)?;
        if !self.known.insert(name) {
            return Err(Problem::Name.into());
        }
        self.names.push(name);
        Ok(name)
    }

    fn class(&mut self, flags: u8) -> Decoded<&'a str> {
        let held = self.context.class.filter(|_| flags & context::SAME_CLASS != 0);
        let class = match held {
            Some(class) => class,
            None => self.name()?,
        };
        if self.context.class_flags(class) != flags & context::SAME_CLASS {
            return Err(Problem::Flag.into());
        }
        self.context.enter_class(class);
        Ok(class)
    }

    fn target(&mut self, flags: u8) -> Decoded<ObjectRef<'a>> {
        let flags = flags & (context::SAME_CLASS | context::SAME_OBJECT);
        let class = match (flags, self.context.class) {
            (0, _) => self.name()?,
            (context::SAME_CLASS | context::SAME_OBJECT, Some(class)) => class,
            _ => return Err(Problem::Flag.into()),
        };
        let key = match (flags, self.context.key) {
            (context::SAME_OBJECT, Some(key)) => key,
            (context::SAME_OBJECT, None) => return Err(Problem::Flag.into()),
            _ => self.key()?,
        };
        let target = ObjectRef { class, key };
        if self.context.object_flags(&target) != flags {
            return Err(Problem::Flag.into());
        }
        self.context.enter_object(target);
        Ok(target)
    }

    fn key(&mut self) -> Decoded<Key<'a>> {
        Ok(match self.reader.u8()? {
            0 => Key::Null,
            1 => Key::Int(self.context.int_key.wrapping_add(self.reader.signed()?)),
            2 => {
                let key = text(self.reader.binary()?)?;
                if key.len() > error::KEY_BYTES_MAX {
                    return Err(Failure::Limit(Limit::KeyBytes));
                }
                Key::String(key)
            }
            3 => Key::Generated(self.element()?),
            _ => return Err(Problem::Code.into()),
        })
    }

    fn property(&mut self, flags: u8) -> Decoded<&'a str> {
        let flags = flags & context::SAME_PROPERTY;
        let property = match (flags, self.context.property) {
            (0, _) => self.name()?,
            (_, Some(property)) => property,
            (_, None) => return Err(Problem::Flag.into()),
        };
        if self.context.property_flags(property) != flags {
            return Err(Problem::Flag.into());
        }
        self.context.property = Some(property);
        Ok(property)
    }

    fn property_type(&mut self) -> Decoded<PropertyType<'a>> {
        let code = self.reader.u8()?;
        Ok(match code {
            12 => PropertyType::Link(self.name()?),
            13 => PropertyType::LinkList(self.name()?),
            15 => PropertyType::Counter,
            _ if code < 128 => PropertyType::Scalar(self.scalar(code)?),
            _ => PropertyType::List(self.scalar(code - 128)?),
        })
    }

    fn scalar(&mut self, code: u8) -> Decoded<Scalar> {
        let kind = match code {
            0 => ScalarType::Int,
            1 => ScalarType::Bool,
            2 => ScalarType::String,
            4 => ScalarType::Binary,
            8 => ScalarType::Timestamp,
            9 => ScalarType::Float,
            10 => ScalarType::Double,
            _ => return Err(Problem::Code.into()),
        };
        match self.reader.u8()? {
            nullable @ (0 | 1) => Ok(Scalar { kind, nullable: nullable == 1 }),
            _ => Err(Problem::Code.into()),
        }
    }

    fn change(&mut self, code: u8, flags: u8) -> Decoded<Change<'a>> {
        Ok(match code {
            context::SET => Change::Set(self.value()?),
            context::INCREMENT => Change::Increment(self.reader.signed()?),
            context::LIST_INSERT => return self.insert(flags),
            context::LIST_SET => Change::ListSet { element: self.element()?, value: self.value()? },
            context::LIST_REMOVE => Change::ListRemove { element: self.element()? },
            _ => Change::ListMove { element: self.element()?, anchor: self.anchor()? },
        })
    }

    fn insert(&mut self, flags: u8) -> Decoded<Change<'a>> {
        let (element, anchor) = match (flags & context::NEXT, self.context.inserted) {
            (0, _) => (self.element()?, self.anchor()?),
            (_, Some(last)) => (self.context.next().ok_or(Problem::Flag)?, Anchor::After(last)),
            (_, None) => return Err(Problem::Flag.into()),
        };
        if self.context.insert_flags(element, anchor) != flags & context::NEXT {
            return Err(Problem::Flag.into());
        }
        let value = self.value()?;
        self.context.inserted = Some(element);
        Ok(Change::ListInsert { element, anchor, value })
    }

    fn element(&mut self) -> Decoded<ElementId> {
        Ok(ElementId { author: self.reader.u32()?, number: self.reader.varint()? })
    }

    fn anchor(&mut self) -> Decoded<Anchor> {
        Ok(match self.reader.u8()? {
            0 => Anchor::Head,
            1 => Anchor::After(self.element()?),
            2 => Anchor::Before(self.element()?),
            _ => return Err(Problem::Code.into()),
        })
    }

    fn value(&mut self) -> Decoded<Value<'a>> {
        Ok(match self.reader.u8()? {
            0 => Value::Null,
            1 => Value::Bool(false),
            2 => Value::Bool(true),
            3 => Value::Int(self.reader.signed()?),
            4 => Value::Float(f32::from_bits(u32::from_le_bytes(self.reader.array()?))),
            5 => Value::Double(f64::from_bits(u64::from_le_bytes(self.reader.array()?))),
            6 => Value::String(text(self.reader.binary()?)?),
            7 => Value::Binary(self.reader.binary()?),
            8 => {
                let (seconds, nanoseconds) = (self.reader.signed()?, self.reader.u32()?);
                if nanoseconds >= 1_000_000_000 {
                    return Err(Failure::Limit(Limit::Nanoseconds));
                }
                Value::Timestamp { seconds, nanoseconds }
            }
            9 => Value::Link(ObjectRef { class: self.name()?, key: self.key()? }),
            _ => return Err(Problem::Code.into()),
        })
    }
}

impl<'a> Iterator for Operations<'a> {
    type Item = Result<Operation<'a>, EntryError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed || (self.reader.is_empty() && self.count > 0) {
            return None;
        }
        let operation = match self.reader.is_empty() {
            true => Err(Failure::Limit(Limit::Empty)),
            false => self.operation(),
        };
        Some(operation.map_err(|failure| {
            self.has_failed = true;
            failure.at(&self.reader)
        }))
    }
}

impl Failure {
    const fn at(self, reader: &Reader<'_>) -> EntryError {
        match self {
            Self::Limit(limit) => EntryError::Limit(limit),
            Self::Problem(problem) => EntryError::Malformed { at: reader.at(), problem },
        }
    }
}

fn read_header(reader: &mut Reader<'_>) -> Decoded<Header> {
    if reader.u8()? != context::VERSION {
        return Err(Problem::Version.into());
    }
    let header =
        Header { client_seq: reader.varint()?, base: reader.varint()?, stamp: reader.varint()? };
    if header.client_seq == 0 {
        return Err(Failure::Limit(Limit::ClientSeq));
    }
    Ok(header)
}

fn text(bytes: &[u8]) -> Decoded<&str> {
    Ok(std::str::from_utf8(bytes).map_err(|_| Problem::Utf8)?)
}
