//! Operations as text for people. Text of an app is quoted and escaped, so it shows no control
//! characters and does not reorder the text beside it.

use super::operation::{Change, Key, ObjectRef, Operation, Value};
use std::fmt;

impl fmt::Display for Operation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::AddClass { class, .. } => write!(f, "add class {class}"),
            Self::AddProperty { class, property, .. } => {
                write!(f, "add property {class}.{property}")
            }
            Self::Create(target) => write!(f, "create {}", Shown(target)),
            Self::Delete(target) => write!(f, "delete {}", Shown(target)),
            Self::Change { target, property, change } => {
                let (verb, value) = described(change);
                write!(f, "{verb} {}.{property}", Shown(target))?;
                value.map_or(Ok(()), |value| write!(f, " = {}", Shown(value)))
            }
        }
    }
}

const fn described(change: Change<'_>) -> (&'static str, Option<Value<'_>>) {
    match change {
        Change::Set(value) => ("set", Some(value)),
        Change::Increment(by) => ("increment", Some(Value::Int(by))),
        Change::ListInsert { value, .. } => ("insert into", Some(value)),
        Change::ListSet { value, .. } => ("set an element of", Some(value)),
        Change::ListRemove { .. } => ("remove an element of", None),
        Change::ListMove { .. } => ("move an element of", None),
    }
}

/// A part of an operation, as text.
struct Shown<T>(T);

impl fmt::Display for Shown<ObjectRef<'_>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let class = self.0.class;
        match self.0.key {
            Key::Null => write!(f, "{class}(null)"),
            Key::Int(key) => write!(f, "{class}({key})"),
            Key::String(key) => write!(f, "{class}({key:?})"),
            Key::Generated(id) => write!(f, "{class}({}/{})", id.author, id.number),
        }
    }
}

impl fmt::Display for Shown<Value<'_>> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Int(value) => write!(f, "{value}"),
            Value::Float(value) => write!(f, "{value}"),
            Value::Double(value) => write!(f, "{value}"),
            Value::String(value) => write!(f, "{value:?}"),
            Value::Binary(value) => write!(f, "{} bytes", value.len()),
            Value::Timestamp { seconds, nanoseconds } => write!(f, "{seconds}.{nanoseconds:09} s"),
            Value::Link(target) => write!(f, "{}", Shown(target)),
        }
    }
}
