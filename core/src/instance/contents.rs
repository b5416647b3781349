//! Contents of whole files: checksum, copy and comparison.

use crate::vfs::{VfsFile, read_whole, write_whole};
use xxhash_rust::xxh3::Xxh3;

/// Bytes that are copied or compared at once.
const PIECE_BYTES: usize = 1 << 18;

/// Checksum of a copy: XXH3 with 128 bits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sum(pub(super) [u8; 16]);

impl Sum {
    /// Reads a whole file.
    pub(super) fn of(file: &dyn VfsFile) -> std::io::Result<Self> {
        let mut sum = Xxh3::new();
        pieces(file, |bytes, _| {
            sum.update(bytes);
            Ok(true)
        })?;
        Ok(Self(sum.digest128().to_le_bytes()))
    }
}

/// Calls `piece` for each piece of a file.
fn pieces(
    file: &dyn VfsFile,
    mut piece: impl FnMut(&[u8], u64) -> std::io::Result<bool>,
) -> std::io::Result<bool> {
    let (len, mut at) = (file.len()?, 0);
    let mut bytes = vec![0; PIECE_BYTES];
    while at < len {
        let count = usize::try_from(len - at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let bytes = &mut bytes[..count];
        if !read_whole(file, bytes, at)? {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if !piece(bytes, at)? {
            return Ok(false);
        }
        at += count as u64;
    }
    Ok(true)
}

/// Copies all bytes of a file, and returns their checksum.
pub(super) fn copy_bytes(source: &dyn VfsFile, target: &dyn VfsFile) -> std::io::Result<Sum> {
    let mut sum = Xxh3::new();
    pieces(source, |bytes, at| {
        sum.update(bytes);
        write_whole(target, bytes, at).map(|()| true)
    })?;
    Ok(Sum(sum.digest128().to_le_bytes()))
}

/// Returns whether two files hold the same bytes.
pub(super) fn are_equal(one: &dyn VfsFile, two: &dyn VfsFile) -> std::io::Result<bool> {
    if one.len()? != two.len()? {
        return Ok(false);
    }
    let mut there = vec![0; PIECE_BYTES];
    pieces(one, |bytes, at| {
        let there = &mut there[..bytes.len()];
        Ok(read_whole(two, there, at)? && there == bytes)
    })
}
