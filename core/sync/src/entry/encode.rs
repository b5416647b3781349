//! Encoding of entries, operation by operation.

use super::context::{self, Context};
use super::error::{self, EntryError, Limit};
use super::operation::{
    Anchor, Change, ElementId, Entry, Header, Key, ObjectRef, Operation, PropertyType, Scalar,
    ScalarType, Value,
};
use crate::codec::{put_binary, put_signed, put_varint};
use std::collections::BTreeMap;

/// Encodes an entry.
///
/// # Errors
/// [`EntryError::Limit`] if it exceeds a limit.
pub fn encode(entry: &Entry<'_>) -> Result<Vec<u8>, EntryError> {
    let mut encoder = Encoder::new(entry.header)?;
    entry.operations.iter().try_for_each(|operation| encoder.push(operation))?;
    encoder.finish()
}

/// Encodes an entry as its operations come in. After an error it is of no use.
#[derive(Debug)]
pub struct Encoder<'a> {
    bytes: Vec<u8>,
    names: BTreeMap<&'a str, u64>,
    context: Context<'a>,
    count: usize,
}

const fn limit<T>(limit: Limit) -> Result<T, EntryError> {
    Err(EntryError::Limit(limit))
}

impl<'a> Encoder<'a> {
    /// Begins an entry.
    ///
    /// # Errors
    /// [`Limit::ClientSeq`] if the number is 0.
    pub fn new(header: Header) -> Result<Self, EntryError> {
        if header.client_seq == 0 {
            return limit(Limit::ClientSeq);
        }
        let mut bytes = vec![context::VERSION];
        put_varint(&mut bytes, header.client_seq);
        put_varint(&mut bytes, header.base);
        put_varint(&mut bytes, header.stamp);
        Ok(Self { bytes, names: BTreeMap::new(), context: Context::default(), count: 0 })
    }

    /// Appends an operation.
    ///
    /// # Errors
    /// [`EntryError::Limit`] if the entry exceeds a limit with it.
    pub fn push(&mut self, operation: &Operation<'a>) -> Result<(), EntryError> {
        if self.count == error::OPERATIONS_MAX {
            return limit(Limit::Operations);
        }
        self.count += 1;
        match operation {
            Operation::AddClass { class, primary_key } => {
                self.put_class(context::ADD_CLASS, class)?;
                let Some(key) = primary_key else {
                    self.bytes.push(0);
                    return self.check_size();
                };
                self.bytes.push(1 + 2 * u8::from(key.is_string) + u8::from(key.nullable));
                self.put_name(key.property)?;
            }
            Operation::AddProperty { class, property, kind } => {
                let flags = self.context.property_flags(property);
                self.put_class(context::ADD_PROPERTY | flags, class)?;
                self.put_property(property)?;
                self.put_type(kind)?;
            }
            Operation::Create(target) => self.put_target(context::CREATE, target)?,
            Operation::Delete(target) => self.put_target(context::DELETE, target)?,
            Operation::Change { target, property, change } => {
                let flags = self.context.property_flags(property);
                let mut insert = 0;
                if let Change::ListInsert { element, anchor, .. } = *change {
                    insert = self.context.insert_flags(element, anchor);
                }
                self.put_target(code(change) | flags | insert, target)?;
                self.put_property(property)?;
                self.put_change(change, insert != 0)?;
            }
        }
        self.check_size()
    }

    /// Returns the encoded entry.
    ///
    /// # Errors
    /// [`Limit::Empty`] if it has no operation.
    pub fn finish(self) -> Result<Vec<u8>, EntryError> {
        if self.count == 0 { limit(Limit::Empty) } else { Ok(self.bytes) }
    }

    fn check_size(&self) -> Result<(), EntryError> {
        let fits = self.bytes.len() <= error::ENTRY_BYTES_MAX;
        if fits { Ok(()) } else { limit(Limit::EntryBytes) }
    }

    fn put_name(&mut self, name: &'a str) -> Result<(), EntryError> {
        if let Some(index) = self.names.get(name) {
            put_varint(&mut self.bytes, index << 1 | 1);
            return Ok(());
        }
        if name.is_empty() || name.len() > error::NAME_BYTES_MAX {
            return limit(Limit::NameBytes);
        }
        self.names.insert(name, self.names.len() as u64);
        put_varint(&mut self.bytes, (name.len() as u64) << 1);
        self.bytes.extend_from_slice(name.as_bytes());
        Ok(())
    }

    fn put_class(&mut self, head: u8, class: &'a str) -> Result<(), EntryError> {
        let flags = self.context.class_flags(class);
        self.bytes.push(head | flags);
        if flags == 0 {
            self.put_name(class)?;
        }
        self.context.enter_class(class);
        Ok(())
    }

    fn put_target(&mut self, head: u8, target: &ObjectRef<'a>) -> Result<(), EntryError> {
        let flags = self.context.object_flags(target);
        self.bytes.push(head | flags);
        if flags == 0 {
            self.put_name(target.class)?;
        }
        if flags != context::SAME_OBJECT {
            self.put_key(&target.key)?;
        }
        self.context.enter_object(*target);
        Ok(())
    }

    fn put_key(&mut self, key: &Key<'_>) -> Result<(), EntryError> {
        match key {
            Key::Null => self.bytes.push(0),
            Key::Int(key) => {
                self.bytes.push(1);
                put_signed(&mut self.bytes, key.wrapping_sub(self.context.int_key));
            }
            Key::String(key) => {
                if key.len() > error::KEY_BYTES_MAX {
                    return limit(Limit::KeyBytes);
                }
                self.bytes.push(2);
                put_binary(&mut self.bytes, key.as_bytes());
            }
            Key::Generated(id) => {
                self.bytes.push(3);
                self.put_element(*id);
            }
        }
        Ok(())
    }

    fn put_property(&mut self, property: &'a str) -> Result<(), EntryError> {
        if self.context.property != Some(property) {
            self.put_name(property)?;
        }
        self.context.property = Some(property);
        Ok(())
    }

    fn put_type(&mut self, kind: &PropertyType<'a>) -> Result<(), EntryError> {
        match kind {
            PropertyType::Scalar(scalar) => self.put_scalar(*scalar, 0),
            PropertyType::Counter => self.bytes.push(15),
            PropertyType::Link(class) => {
                self.bytes.push(12);
                self.put_name(class)?;
            }
            PropertyType::LinkList(class) => {
                self.bytes.push(13);
                self.put_name(class)?;
            }
            PropertyType::List(scalar) => self.put_scalar(*scalar, 128),
        }
        Ok(())
    }

    fn put_scalar(&mut self, scalar: Scalar, list: u8) {
        let kind = match scalar.kind {
            ScalarType::Int => 0,
            ScalarType::Bool => 1,
            ScalarType::String => 2,
            ScalarType::Binary => 4,
            ScalarType::Timestamp => 8,
            ScalarType::Float => 9,
            ScalarType::Double => 10,
        };
        self.bytes.extend([list | kind, u8::from(scalar.nullable)]);
    }

    fn put_change(&mut self, change: &Change<'a>, is_next: bool) -> Result<(), EntryError> {
        match change {
            Change::Set(value) => self.put_value(value)?,
            Change::Increment(by) => put_signed(&mut self.bytes, *by),
            Change::ListInsert { element, anchor, value } => {
                if !is_next {
                    self.put_element(*element);
                    self.put_anchor(*anchor);
                }
                self.put_value(value)?;
                self.context.inserted = Some(*element);
            }
            Change::ListSet { element, value } => {
                self.put_element(*element);
                self.put_value(value)?;
            }
            Change::ListRemove { element } => self.put_element(*element),
            Change::ListMove { element, anchor } => {
                self.put_element(*element);
                self.put_anchor(*anchor);
            }
        }
        Ok(())
    }

    fn put_element(&mut self, element: ElementId) {
        put_varint(&mut self.bytes, element.author.into());
        put_varint(&mut self.bytes, element.number);
    }

    fn put_anchor(&mut self, anchor: Anchor) {
        match anchor {
            Anchor::Head => self.bytes.push(0),
            Anchor::After(element) => {
                self.bytes.push(1);
                self.put_element(element);
            }
            Anchor::Before(element) => {
                self.bytes.push(2);
                self.put_element(element);
            }
        }
    }

    fn put_value(&mut self, value: &Value<'a>) -> Result<(), EntryError> {
        match value {
            Value::Null => self.bytes.push(0),
            Value::Bool(value) => self.bytes.push(1 + u8::from(*value)),
            Value::Int(value) => {
                self.bytes.push(3);
                put_signed(&mut self.bytes, *value);
            }
            Value::Float(value) => {
                self.bytes.push(4);
                self.bytes.extend(value.to_bits().to_le_bytes());
            }
            Value::Double(value) => {
                self.bytes.push(5);
                self.bytes.extend(value.to_bits().to_le_bytes());
            }
            Value::String(value) => {
                self.bytes.push(6);
                put_binary(&mut self.bytes, value.as_bytes());
            }
            Value::Binary(value) => {
                self.bytes.push(7);
                put_binary(&mut self.bytes, value);
            }
            Value::Timestamp { seconds, nanoseconds } => {
                if *nanoseconds >= 1_000_000_000 {
                    return limit(Limit::Nanoseconds);
                }
                self.bytes.push(8);
                put_signed(&mut self.bytes, *seconds);
                put_varint(&mut self.bytes, (*nanoseconds).into());
            }
            Value::Link(target) => {
                self.bytes.push(9);
                self.put_name(target.class)?;
                self.put_key(&target.key)?;
            }
        }
        Ok(())
    }
}

const fn code(change: &Change<'_>) -> u8 {
    match change {
        Change::Set(_) => context::SET,
        Change::Increment(_) => context::INCREMENT,
        Change::ListInsert { .. } => context::LIST_INSERT,
        Change::ListSet { .. } => context::LIST_SET,
        Change::ListRemove { .. } => context::LIST_REMOVE,
        Change::ListMove { .. } => context::LIST_MOVE,
    }
}
