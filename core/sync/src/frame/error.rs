//! Limits and errors of frames: an error is a limit that is exceeded, or the kind of malformed
//! bytes. Each has the code of the protocol with which a receiver refuses the frame.

use super::code::Code;
use crate::entry::error::{ENTRY_BYTES_MAX, Problem};
use std::fmt;

/// Most bytes of a frame.
pub const FRAME_BYTES_MAX: usize = 2 << 20;
/// Most bytes of a body without compression.
pub const BODY_BYTES_MAX: usize = 2 << 20;
/// Fewest bytes of a body without compression that a compressed frame has.
pub const COMPRESSED_BYTES_MIN: usize = 512;
/// Most entries of an UPLOAD, and items of a DOWNLOAD.
pub const ENTRIES_MAX: usize = 65_535;
/// Most bytes of an access token.
pub const TOKEN_BYTES_MAX: usize = 8 << 10;
/// Most bytes of the path of a database, a reason and a message.
pub const TEXT_BYTES_MAX: usize = 1 << 10;
/// Most bytes of the name of a library or user, and of a log reference.
pub const LABEL_BYTES_MAX: usize = 255;
/// Most bytes of a part of a snapshot.
pub const PART_BYTES_MAX: usize = 1 << 20;

/// Reason for which a frame cannot be encoded or decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The frame is too large, or a number of it out of range.
    Limit(FrameLimit),
    /// The bytes are no frame: their sender is wrong or newer.
    Malformed(FrameProblem),
}

/// A limit of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameLimit {
    /// A frame has at most [`FRAME_BYTES_MAX`] bytes.
    FrameBytes,
    /// A body has at most [`BODY_BYTES_MAX`] bytes without compression.
    BodyBytes,
    /// An entry has 1 to 1 MiB.
    EntryBytes,
    /// An UPLOAD or DOWNLOAD has 1 to [`ENTRIES_MAX`] entries.
    Entries,
    /// A text exceeds the limit of its field.
    TextBytes,
    /// A part of a snapshot has at most [`PART_BYTES_MAX`] bytes.
    PartBytes,
    /// A number is below or above the limits of its field.
    Number,
}

/// Kind of malformed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameProblem {
    /// They end early.
    Truncated,
    /// They continue after the frame's fields.
    Trailing,
    /// The type is unknown.
    Type,
    /// An unknown flag is set.
    Flag,
    /// The session number is 0 in a frame of a session, or not 0 in one of the connection.
    Session,
    /// A number is not in its shortest form or has too many bits.
    Number,
    /// A text is not UTF-8.
    Utf8,
    /// A value has no meaning for its field, or contradicts another field.
    Value,
    /// Extensions are none, not in ascending order, or of an impossible feature.
    Extension,
    /// The body does not decompress to its length.
    Compression,
}

impl FrameError {
    /// Returns the code with which the frame is refused.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Limit(_) => Code::LIMIT_EXCEEDED,
            Self::Malformed(FrameProblem::Type) => Code::UNKNOWN_TYPE,
            Self::Malformed(FrameProblem::Session) => Code::BAD_SESSION,
            Self::Malformed(FrameProblem::Compression) => Code::BAD_COMPRESSION,
            Self::Malformed(
                FrameProblem::Truncated
                | FrameProblem::Trailing
                | FrameProblem::Flag
                | FrameProblem::Number
                | FrameProblem::Utf8
                | FrameProblem::Value
                | FrameProblem::Extension,
            ) => Code::MALFORMED_FRAME,
        }
    }
}

impl From<FrameLimit> for FrameError {
    fn from(limit: FrameLimit) -> Self {
        Self::Limit(limit)
    }
}

impl From<FrameProblem> for FrameError {
    fn from(problem: FrameProblem) -> Self {
        Self::Malformed(problem)
    }
}

impl From<Problem> for FrameError {
    fn from(problem: Problem) -> Self {
        Self::Malformed(match problem {
            Problem::Truncated => FrameProblem::Truncated,
            Problem::Number => FrameProblem::Number,
            Problem::Utf8 => FrameProblem::Utf8,
            Problem::Version | Problem::Code | Problem::Name | Problem::Flag => FrameProblem::Value,
        })
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limit(FrameLimit::FrameBytes) => {
                write!(f, "a frame has at most {FRAME_BYTES_MAX} bytes")
            }
            Self::Limit(FrameLimit::BodyBytes) => {
                write!(f, "the body of a frame has at most {BODY_BYTES_MAX} bytes")
            }
            Self::Limit(FrameLimit::EntryBytes) => {
                write!(f, "an entry has 1 to {ENTRY_BYTES_MAX} bytes")
            }
            Self::Limit(FrameLimit::Entries) => {
                write!(f, "a frame of entries has 1 to {ENTRIES_MAX} of them")
            }
            Self::Limit(FrameLimit::TextBytes) => f.write_str("a text of the frame is too long"),
            Self::Limit(FrameLimit::PartBytes) => {
                write!(f, "a part of a snapshot has at most {PART_BYTES_MAX} bytes")
            }
            Self::Limit(FrameLimit::Number) => f.write_str("a number is outside of its limits"),
            Self::Malformed(problem) => {
                let problem = match problem {
                    FrameProblem::Truncated => "it ends early",
                    FrameProblem::Trailing => "it continues after its fields",
                    FrameProblem::Type => "its type is unknown",
                    FrameProblem::Flag => "a flag is unknown",
                    FrameProblem::Session => "its type does not fit its session number",
                    FrameProblem::Number => "a number is not in its shortest form",
                    FrameProblem::Utf8 => "a text is not UTF-8",
                    FrameProblem::Value => "a value is unknown or contradicts another one",
                    FrameProblem::Extension => "its extensions are not in order",
                    FrameProblem::Compression => "its body does not decompress to its length",
                };
                write!(f, "malformed frame: {problem}")
            }
        }
    }
}

impl std::error::Error for FrameError {}
