//! The prelude, which is the unencrypted part of the file header: magic bytes, version, salt.
//!
//! Page 0 begins with the prelude, and each slot page has a copy. So one damaged page never
//! destroys the salt, without which no page can be decrypted.

use super::FORMAT_VERSION;
use crate::codec::{Reader, Writer};
use crate::crypto::{FileSalt, KeyCheck};
use crate::unit::PAGE_BYTES;
use xxhash_rust::xxh3::xxh3_128;

pub(crate) const PRELUDE_BYTES: usize = 88;

/// Offset of the prelude's copy in a slot page.
pub(crate) const PRELUDE_COPY_AT: u64 = 2048;

const MAGIC: &[u8; 12] = b"Fastness\r\n\x1a\n";
const FLAG_ENCRYPTED: u32 = 1;
const CHECKSUM_AT: usize = 72;

/// Version, identity and kind of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Prelude {
    pub(crate) version: u32,
    pub(crate) encrypted: bool,
    pub(crate) salt: FileSalt,
    pub(crate) check: KeyCheck,
}

/// The reason that bytes are not a prelude.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NoPrelude {
    /// They do not begin with the magic bytes.
    Foreign,
    /// They begin with the magic bytes, but the checksum or a field is wrong.
    Damaged,
}

impl Prelude {
    pub(crate) const fn new(encrypted: bool, salt: FileSalt, check: KeyCheck) -> Self {
        Self { version: FORMAT_VERSION, encrypted, salt, check }
    }

    /// Returns the fields that the derivation of keys includes: all before the salt.
    pub(crate) fn identity(&self) -> Vec<u8> {
        self.encode_body().into_bytes()[..24].to_vec()
    }

    fn encode_body(&self) -> Writer {
        let mut writer = Writer::with_capacity(PRELUDE_BYTES);
        writer.put(MAGIC);
        writer.u32(self.version);
        writer.u32(if self.encrypted { FLAG_ENCRYPTED } else { 0 });
        writer.u32(u32::try_from(PAGE_BYTES).expect("K2: a page size fits in 32 bits"));
        writer.put(&self.salt);
        writer.put(&self.check);
        writer
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut writer = self.encode_body();
        let sum = xxh3_128(writer.bytes());
        writer.put(&sum.to_le_bytes());
        writer.into_bytes()
    }

    /// Decodes a prelude. The checksum has the same offset and algorithm in every format version,
    /// so a newer version is not mistaken for damage; its other fields are ignored.
    pub(crate) fn decode(bytes: &[u8; PRELUDE_BYTES]) -> Result<Self, NoPrelude> {
        let (body, sum) = bytes.split_at(CHECKSUM_AT);
        if !body.starts_with(MAGIC) {
            return Err(NoPrelude::Foreign);
        }
        if xxh3_128(body).to_le_bytes() != sum {
            return Err(NoPrelude::Damaged);
        }
        Self::fields(body).ok_or(NoPrelude::Damaged)
    }

    fn fields(body: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(body);
        reader.take(MAGIC.len())?;
        let version = reader.u32()?;
        let flags = reader.u32()?;
        let page_bytes = reader.u32()?;
        let prelude = Self {
            version,
            encrypted: flags & FLAG_ENCRYPTED != 0,
            salt: reader.array()?,
            check: reader.array()?,
        };
        let known = flags & !FLAG_ENCRYPTED == 0
            && usize::try_from(page_bytes) == Ok(PAGE_BYTES)
            && version > 0;
        (known || version > FORMAT_VERSION).then_some(prelude)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prelude_survives_encoding_and_every_flip_is_noticed() {
        let prelude = Prelude::new(true, [7; 32], [9; 16]);
        let bytes: [u8; PRELUDE_BYTES] = prelude.encode().try_into().unwrap();
        assert_eq!(Prelude::decode(&bytes), Ok(prelude));
        for bit in 0..PRELUDE_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let expect =
                if bit / 8 < MAGIC.len() { NoPrelude::Foreign } else { NoPrelude::Damaged };
            assert_eq!(Prelude::decode(&flipped), Err(expect), "bit {bit}");
        }
    }
}
