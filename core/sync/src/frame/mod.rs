//! Frames: the messages that a client and a server exchange, in one connection for many sessions.
//!
//! The bytes of one message of the transport come in. A [`Packet`] checks their number,
//! decompresses the body within its announced length, and decodes it as a [`Frame`] that borrows
//! from it. The entries inside are only bounded here; they are decoded where they are applied.
//!
//! - FR1 Decoding any bytes is total; encoding the frame without compression gives the same body.
//! - FR2 A frame that is encoded decodes to itself, compressed or not.
//! - FR3 Every limit is an error on both sides, checked before memory is taken for its value.
//!
//! Specification: docs/protocol.md#frames. Vectors: `tests/vectors/frames.json`.

mod code;
mod compression;
mod error;
mod field;
mod message;
mod packet;

pub use code::{Action, Code};
pub use error::{
    BODY_BYTES_MAX, COMPRESSED_BYTES_MIN, ENTRIES_MAX, FRAME_BYTES_MAX, FrameError, FrameLimit,
    FrameProblem, LABEL_BYTES_MAX, PART_BYTES_MAX, TEXT_BYTES_MAX, TOKEN_BYTES_MAX,
};
pub use field::Item;
pub use message::{
    Ack, Auth, AuthOk, BATCH_BYTES, Bind, CREDIT_BYTES, Credit, Download, Empty, Failed, Hello,
    Identity, Mark, Message, Ping, Pong, Progress, Reject, Resume, Resumed, SnapshotGet,
    SnapshotPart, Upload, Welcome,
};
pub use packet::{Compression, EncodedFrame, Extension, Frame, Packet};
