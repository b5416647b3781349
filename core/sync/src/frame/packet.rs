//! The bytes of a frame: its head, compression and extensions around a message.

use super::compression;
use super::error::{BODY_BYTES_MAX, FRAME_BYTES_MAX, FrameError, FrameLimit, FrameProblem};
use super::field::Result;
use super::message::{Message, Scope, scope};
use crate::codec::{Reader, put_binary, put_varint};
use std::borrow::Cow;

/// Type of the frame that opens a session.
const BIND: u8 = 5;
/// Type of the frame that asks for the completion of a download.
const MARK: u8 = 14;
/// Types of the frames that acknowledge entries, or carry them or a part of a snapshot.
const PROGRESSES: [u8; 3] = [10, 12, 16];
const COMPRESSED: u8 = 1;
const EXTENDED: u8 = 2;
/// Features are the numbers below this.
const FEATURES: u8 = 64;

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Session, 0 for a frame of the connection.
    pub session: u32,
    /// Content.
    pub message: Message<'a>,
    /// Fields of negotiated features, in ascending order of their features.
    pub extensions: Vec<Extension<'a>>,
}

/// A field of a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    /// The feature, from 0 to 63.
    pub feature: u8,
    /// Content, in the encoding of the feature.
    pub bytes: &'a [u8],
}

/// The bytes of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedFrame {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Number of bytes of the body without compression: the price of a download.
    pub body_bytes: usize,
}

/// Whether a sender compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Never: the frame has its one encoding.
    Never,
    /// If the frame is long enough and becomes shorter.
    Auto,
}

impl<'a> Frame<'a> {
    /// Makes a frame without extensions.
    #[must_use]
    pub const fn new(session: u32, message: Message<'a>) -> Self {
        Self { session, message, extensions: Vec::new() }
    }

    /// Encodes the frame.
    ///
    /// # Errors
    /// [`FrameError`] if it exceeds a limit or contradicts itself.
    pub fn encode(&self, compression: Compression) -> Result<Vec<u8>> {
        Ok(self.encode_measured(compression)?.bytes)
    }

    /// Encodes the frame, and counts the bytes of its body without compression.
    ///
    /// # Errors
    /// [`FrameError`] if it exceeds a limit or contradicts itself.
    pub fn encode_measured(&self, compression: Compression) -> Result<EncodedFrame> {
        let code = self.message.code();
        check_session(code, self.session)?;
        let mut head = vec![code, 0];
        put_varint(&mut head, self.session.into());
        let mut body = Vec::new();
        self.message.write(&mut body)?;
        if !self.extensions.is_empty() {
            head[1] |= EXTENDED;
            self.write_extensions(&mut body)?;
        }
        if body.len() > BODY_BYTES_MAX {
            return Err(FrameLimit::BodyBytes.into());
        }
        let body_bytes = body.len();
        if compression == Compression::Auto
            && let Some(compressed) = compression::compress(&body)?
        {
            head[1] |= COMPRESSED;
            body = compressed;
        }
        head.extend(body);
        if head.len() > FRAME_BYTES_MAX {
            return Err(FrameLimit::FrameBytes.into());
        }
        Ok(EncodedFrame { bytes: head, body_bytes })
    }

    fn write_extensions(&self, body: &mut Vec<u8>) -> Result<()> {
        put_varint(body, self.extensions.len() as u64);
        let mut last = None;
        for Extension { feature, bytes } in &self.extensions {
            if *feature >= FEATURES || last >= Some(*feature) {
                return Err(FrameProblem::Extension.into());
            }
            last = Some(*feature);
            body.push(*feature);
            put_binary(body, bytes);
        }
        Ok(())
    }
}

/// The bytes of a frame whose head is valid and whose body is decompressed; a [`Frame`] borrows
/// from it.
#[derive(Clone, Debug)]
pub struct Packet<'a> {
    code: u8,
    session: u32,
    is_extended: bool,
    body: Cow<'a, [u8]>,
}

impl<'a> Packet<'a> {
    /// Reads the head of a frame, and decompresses its body.
    ///
    /// # Errors
    /// [`FrameError`] if the bytes are no frame. Their number is checked first, the length of the
    /// body before it is decompressed.
    pub fn open(bytes: &'a [u8]) -> Result<Self> {
        if bytes.len() > FRAME_BYTES_MAX {
            return Err(FrameLimit::FrameBytes.into());
        }
        let mut reader = Reader::new(bytes);
        let (code, flags) = (reader.u8()?, reader.u8()?);
        if scope(code).is_none() {
            return Err(FrameProblem::Type.into());
        }
        if flags & !(COMPRESSED | EXTENDED) != 0 {
            return Err(FrameProblem::Flag.into());
        }
        let session = reader.u32()?;
        check_session(code, session)?;
        let body = bytes.get(reader.at()..).unwrap_or_default();
        let body = match flags & COMPRESSED {
            0 if body.len() > BODY_BYTES_MAX => return Err(FrameLimit::BodyBytes.into()),
            0 => Cow::Borrowed(body),
            _ => Cow::Owned(compression::decompress(body)?),
        };
        Ok(Self { code, session, is_extended: flags & EXTENDED != 0, body })
    }

    /// Copies the body unless it was decompressed, so that the packet outlives its bytes.
    #[must_use]
    pub fn into_owned(self) -> Packet<'static> {
        let Self { code, session, is_extended, body } = self;
        Packet { code, session, is_extended, body: Cow::Owned(body.into_owned()) }
    }

    /// Returns the session, 0 for a frame of the connection.
    #[must_use]
    pub const fn session(&self) -> u32 {
        self.session
    }

    /// Tells whether the frame opens a session.
    #[must_use]
    pub const fn is_bind(&self) -> bool {
        self.code == BIND
    }

    /// Tells whether the frame asks for the completion of a download.
    #[must_use]
    pub const fn is_mark(&self) -> bool {
        self.code == MARK
    }

    /// Tells whether the frame is an acknowledgement, a download or a part of a snapshot.
    #[must_use]
    pub fn is_progress(&self) -> bool {
        PROGRESSES.contains(&self.code)
    }

    /// Returns the number of bytes of the body without compression: the price of a download.
    #[must_use]
    pub fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// Decodes the body.
    ///
    /// # Errors
    /// [`FrameError`] if it is not the encoding of a message.
    pub fn frame(&self) -> Result<Frame<'_>> {
        let mut reader = Reader::new(&self.body);
        let message = Message::read(self.code, &mut reader)?;
        let extensions = if self.is_extended { read_extensions(&mut reader)? } else { Vec::new() };
        if !reader.is_empty() {
            return Err(FrameProblem::Trailing.into());
        }
        Ok(Frame { session: self.session, message, extensions })
    }
}

fn read_extensions<'a>(reader: &mut Reader<'a>) -> Result<Vec<Extension<'a>>> {
    let count = reader.varint()?;
    if count == 0 || count > FEATURES.into() {
        return Err(FrameProblem::Extension.into());
    }
    let mut extensions: Vec<Extension<'a>> = Vec::new();
    for _ in 0..count {
        let (feature, bytes) = (reader.u8()?, reader.binary()?);
        let last = extensions.last().map(|extension| extension.feature);
        if feature >= FEATURES || last >= Some(feature) {
            return Err(FrameProblem::Extension.into());
        }
        extensions.push(Extension { feature, bytes });
    }
    Ok(extensions)
}

fn check_session(code: u8, session: u32) -> Result<()> {
    let fits = match scope(code) {
        Some(Scope::Connection) => session == 0,
        Some(Scope::Session) => session > 0,
        Some(Scope::Any) | None => true,
    };
    if fits { Ok(()) } else { Err(FrameError::Malformed(FrameProblem::Session)) }
}
