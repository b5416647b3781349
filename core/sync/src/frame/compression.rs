//! Compression of bodies by Zstandard, and decompression into at most the announced length.

use super::error::{BODY_BYTES_MAX, COMPRESSED_BYTES_MIN, FrameError, FrameLimit, FrameProblem};
use super::field::Result;
use crate::codec::{Reader, put_varint};

/// The default of the library.
const LEVEL: i32 = 3;

/// The compressed form of a body, if that is shorter.
pub(super) fn compress(body: &[u8]) -> Result<Option<Vec<u8>>> {
    if body.len() < COMPRESSED_BYTES_MIN {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    put_varint(&mut bytes, body.len() as u64);
    let compressed = zstd::bulk::compress(body, LEVEL);
    bytes.extend(compressed.map_err(|_| FrameError::from(FrameProblem::Compression))?);
    Ok(if bytes.len() < body.len() { Some(bytes) } else { None })
}

/// The body without compression. The length that the sender announces bounds the memory.
pub(super) fn decompress(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut reader = Reader::new(bytes);
    let length = usize::try_from(reader.varint()?).map_err(|_| FrameLimit::BodyBytes)?;
    if length > BODY_BYTES_MAX {
        return Err(FrameLimit::BodyBytes.into());
    }
    if length < COMPRESSED_BYTES_MIN {
        return Err(FrameProblem::Compression.into());
    }
    let data = bytes.get(reader.at()..).unwrap_or_default();
    let body = zstd::bulk::decompress(data, length).map_err(|_| FrameProblem::Compression)?;
    if body.len() == length { Ok(body) } else { Err(FrameProblem::Compression.into()) }
}
