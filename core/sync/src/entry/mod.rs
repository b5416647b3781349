//! An entry: one write transaction, in a compact, self-describing, canonical encoding.
//!
//! Names are written once per entry, so no schema is needed to read it. Each entry has exactly one
//! encoding: any bytes are either an error or the encoding of the entry that they decode to.
//!
//! - EN1 Decoding any bytes is total, and encoding the decoded entry gives the same bytes.
//! - EN2 An entry that is encoded decodes to itself.
//! - EN3 Every limit is an error on both sides.
//!
//! Specification: docs/protocol.md#entry. Vectors: `tests/vectors/entries.json`.

mod context;
mod decode;
mod encode;
pub(crate) mod error;
mod operation;
mod text;

pub use decode::{Operations, decode};
pub use encode::{Encoder, encode};
pub use error::{
    ENTRY_BYTES_MAX, EntryError, KEY_BYTES_MAX, Limit, NAME_BYTES_MAX, OPERATIONS_MAX, Problem,
};
pub use operation::{
    Anchor, Change, ElementId, Entry, Header, Key, ObjectRef, Operation, PrimaryKey, PropertyType,
    Scalar, ScalarType, Value,
};
