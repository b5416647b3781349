//! A compact encoding of store files: runs of zeros are counted, seals are omitted.
//!
//! A fuzzer learns slowly from 30 KiB with little information. An input is therefore a byte of
//! flags and the clear content of the pages; the body seals every page, bottom-up. So inputs are
//! small, and any mutation reaches the content behind the seals.

use fastness::{Key, PAGE_BYTES, inspect};

/// The file is encrypted.
const ENCRYPTED: u8 = 1;
/// The rest is the raw file.
const RAW: u8 = 2;
/// The last bytes of the input damage the sealed file.
const DAMAGED: u8 = 4;
/// The file is sparse: zeros without end follow its bytes.
const SPARSE: u8 = 8;

/// Maximum length of a file, in bytes.
const IMAGE_BYTES_MAX: usize = 64 * PAGE_BYTES;
/// Shorter runs of zeros are stored as literals.
const ZEROS_MIN: usize = 6;
const PATCH_BYTES: usize = 4;
const PATCHES: usize = 2;

/// A store file before it is sealed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Image {
    flags: u8,
    pub(super) bytes: Vec<u8>,
    patches: Vec<u8>,
}

impl Image {
    /// Decodes a sealed file. Unreachable pages of an encrypted file are omitted, because their
    /// content is unknown.
    pub(super) fn of_file(file: &[u8], encrypted: bool) -> Self {
        let mut bytes = file.to_vec();
        if encrypted {
            inspect::unseal(&mut bytes, &file_key());
            let pages = bytes.chunks_mut(PAGE_BYTES).zip(file.chunks(PAGE_BYTES));
            pages.skip(3).filter(|(opened, sealed)| opened == sealed).for_each(|(page, _)| {
                page.fill(0);
            });
        }
        Self { flags: u8::from(encrypted), bytes, patches: Vec::new() }
    }

    /// Reads any bytes.
    pub(super) fn read(input: &[u8]) -> Self {
        let (flags, rest) =
            input.split_first().map_or((RAW, input), |(flags, rest)| (*flags, rest));
        if flags & RAW != 0 {
            return Self { flags, bytes: rest.to_vec(), patches: Vec::new() };
        }
        let patched = if flags & DAMAGED != 0 { rest.len().min(PATCHES * PATCH_BYTES) } else { 0 };
        let (rest, patches) = rest.split_at(rest.len() - patched);
        Self { flags, bytes: expand(rest), patches: patches.to_vec() }
    }

    /// Encodes the image; [`Image::read`] is the inverse.
    pub(super) fn write(&self) -> Vec<u8> {
        let body = if self.is_raw() { self.bytes.clone() } else { shorten(&self.bytes) };
        [&[self.flags][..], &body, &self.patches].concat()
    }

    pub(super) const fn is_raw(&self) -> bool {
        self.flags & RAW != 0
    }

    pub(super) const fn is_encrypted(&self) -> bool {
        self.flags & ENCRYPTED != 0
    }

    /// Tells whether zeros without end follow the bytes.
    pub(super) const fn is_sparse(&self) -> bool {
        self.flags & SPARSE != 0
    }

    /// Makes zeros without end follow the bytes.
    pub(super) const fn make_sparse(&mut self) {
        self.flags |= SPARSE;
    }

    /// Returns the file: seals every page, then applies the damage.
    pub(super) fn into_file(mut self) -> Vec<u8> {
        if self.is_raw() {
            return self.bytes;
        }
        let key = self.is_encrypted().then(file_key);
        inspect::reseal(&mut self.bytes, key.as_ref());
        for patch in self.patches.chunks_exact(PATCH_BYTES) {
            let at = usize::from(patch[0]) * PAGE_BYTES
                + usize::from(u16::from_le_bytes([patch[1], patch[2]])) % PAGE_BYTES;
            if let Some(byte) = self.bytes.get_mut(at) {
                *byte ^= patch[3];
            }
        }
        self.bytes
    }
}

/// The encoding repeats: number of zeros (16 bits), number of literals (16 bits), literals.
fn expand(mut input: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(([a, b, c, d], rest)) = input.split_first_chunk() {
        let zeros = usize::from(u16::from_le_bytes([*a, *b]));
        let literals = usize::from(u16::from_le_bytes([*c, *d])).min(rest.len());
        let (head, tail) = rest.split_at(literals);
        bytes.resize(bytes.len() + zeros, 0);
        bytes.extend_from_slice(head);
        input = tail;
        if bytes.len() > IMAGE_BYTES_MAX {
            break;
        }
    }
    bytes.truncate(IMAGE_BYTES_MAX);
    bytes.resize(bytes.len().next_multiple_of(PAGE_BYTES), 0);
    bytes
}

fn shorten(bytes: &[u8]) -> Vec<u8> {
    let zeros_at = |at: usize| bytes[at..].iter().take_while(|byte| **byte == 0).count();
    let short = |len: usize| u16::try_from(len).unwrap_or(u16::MAX);
    let mut output = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let zeros = short(zeros_at(at));
        at += usize::from(zeros);
        let start = at;
        while at < bytes.len() && at - start < usize::from(u16::MAX) {
            let zeros = if bytes[at] == 0 { zeros_at(at) } else { 0 };
            if zeros >= ZEROS_MIN || at + zeros == bytes.len() {
                break;
            }
            at += zeros.max(1);
        }
        // A run of zeros may exceed the count.
        at = at.min(start + usize::from(u16::MAX));
        output.extend_from_slice(&zeros.to_le_bytes());
        output.extend_from_slice(&short(at - start).to_le_bytes());
        output.extend_from_slice(&bytes[start..at]);
    }
    output
}

/// The key of all encrypted inputs.
#[must_use]
pub fn file_key() -> Key {
    Key::new([0x6b; 64])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_survive_being_written_short() {
        let mut page = vec![0; 3 * PAGE_BYTES];
        page[7] = 1;
        page[9] = 2;
        page[5_000..6_000].fill(3);
        let short = shorten(&page);
        assert!(short.len() < 1_100, "{}", short.len());
        assert!(expand(&short) == page);
        for bytes in [vec![0; PAGE_BYTES], vec![9; 2 * PAGE_BYTES], Vec::new()] {
            assert!(expand(&shorten(&bytes)) == bytes);
        }
        let long: Vec<u8> = (0..50 * PAGE_BYTES).map(|at| u8::from(at % 4 != 0)).collect();
        assert!(expand(&shorten(&long)) == long);
    }

    #[test]
    fn any_bytes_expand_to_few_pages() {
        let many = vec![0xff; 100_000];
        assert!(expand(&many).len() <= IMAGE_BYTES_MAX);
        assert!(expand(&[1, 0]).is_empty());
        assert_eq!(expand(&[0, 0, 9, 0, 5]).len(), PAGE_BYTES);
    }
}
