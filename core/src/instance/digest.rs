//! Digests of whole files, and copies of them, byte for byte.

use crate::vfs::{VfsFile, read_whole, write_whole};
use std::io;
use xxhash_rust::xxh3::Xxh3;

/// Bytes that are copied or compared at a time.
const CHUNK_BYTES: usize = 1 << 18;

/// The digest of a file: XXH3 with 128 bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digest(pub(super) [u8; 16]);

impl Digest {
    pub(super) fn of(file: &dyn VfsFile) -> io::Result<Self> {
        let mut hasher = Xxh3::new();
        for_each_chunk(file, |bytes, _| {
            hasher.update(bytes);
            Ok(true)
        })?;
        Ok(Self(hasher.digest128().to_le_bytes()))
    }
}

/// Copies all bytes into an empty file, and returns their digest.
pub(super) fn copy_bytes(source: &dyn VfsFile, target: &dyn VfsFile) -> io::Result<Digest> {
    let mut hasher = Xxh3::new();
    for_each_chunk(source, |bytes, at| {
        hasher.update(bytes);
        write_whole(target, bytes, at).map(|()| true)
    })?;
    Ok(Digest(hasher.digest128().to_le_bytes()))
}

/// Compares two files byte by byte.
pub(super) fn are_equal(one: &dyn VfsFile, two: &dyn VfsFile) -> io::Result<bool> {
    if one.len()? != two.len()? {
        return Ok(false);
    }
    let mut other = vec![0; CHUNK_BYTES];
    for_each_chunk(one, |bytes, at| {
        let other = &mut other[..bytes.len()];
        Ok(read_whole(two, other, at)? && other == bytes)
    })
}

/// Reads a file in chunks until `body` returns false; returns whether it read all of them.
fn for_each_chunk(
    file: &dyn VfsFile,
    mut body: impl FnMut(&[u8], u64) -> io::Result<bool>,
) -> io::Result<bool> {
    let (len, mut at) = (file.len()?, 0);
    let mut bytes = vec![0; CHUNK_BYTES];
    while at < len {
        let count = usize::try_from(len - at).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let bytes = &mut bytes[..count];
        if !read_whole(file, bytes, at)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !body(bytes, at)? {
            return Ok(false);
        }
        at += count as u64;
    }
    Ok(true)
}
