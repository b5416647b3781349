//! Hash chains over entries: one over the history, one over the entries of each client.
//!
//! Two histories with one salt at a seq are equal up to it, so one number tells whether a replica
//! and a server have the same past. Specification: docs/protocol.md#hash-chains.

use ring::digest::{Context, SHA256};

/// Salt of seq 0, before any entry.
pub const FIRST_SALT: u64 = 0;

/// Returns the salt of an entry from the salt before it. The entry has its effective stamp.
#[must_use]
pub fn salt(before: u64, client: u32, entry: &[u8]) -> u64 {
    hash(&[&before.to_le_bytes(), &client.to_le_bytes(), entry])
}

/// Returns the chain hash of a client's entries from the one before the last of them. The entry is
/// as the client wrote it; the chain begins with the client's salt.
#[must_use]
pub fn chain_hash(before: u64, entry: &[u8]) -> u64 {
    hash(&[&before.to_le_bytes(), entry])
}

/// Returns the hash of the stream of a snapshot, which its last part names.
#[must_use]
pub fn stream_hash(stream: &[u8]) -> [u8; 32] {
    let mut digest = Digest::default();
    digest.update(stream);
    digest.finish()
}

/// The first eight bytes of SHA-256, as a number.
fn hash(parts: &[&[u8]]) -> u64 {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let digest = context.finish();
    digest.as_ref().iter().take(8).rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A SHA-256 over bytes that come in parts.
pub(crate) struct Digest(Context);

impl Default for Digest {
    fn default() -> Self {
        Self(Context::new(&SHA256))
    }
}

impl Digest {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(self.0.finish().as_ref());
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_document() {
        // hashlib.sha256(bytes(8) + bytes([7, 0, 0, 0]) + b"abc").digest()[:8]
        let expected = [0xec, 0x35, 0x92, 0x4a, 0x77, 0x11, 0xc3, 0x32];
        assert_eq!(salt(FIRST_SALT, 7, b"abc").to_le_bytes(), expected);
        // hashlib.sha256((1).to_bytes(8, "little") + b"abc").digest()[:8]
        let expected = [0x22, 0xa5, 0xc7, 0x04, 0x5b, 0xc3, 0x6a, 0x32];
        assert_eq!(chain_hash(1, b"abc").to_le_bytes(), expected);
    }
}
