//! The encryption layer alone, for fuzz targets and benches: it seals a page as a commit does.

use crate::codec::put_at;
use crate::crypto::Key;
use crate::crypto::{self, FileKeys, PageIdentity, RandomSource, Seal};
use crate::crypto::{FileSalt, HEAD_BYTES};
use crate::unit::{CommitId, PAGE_BYTES, PageId};
use std::io;

/// Seals and opens pages of an imaginary file.
#[derive(Debug)]
pub struct TestSealer(crypto::FileSealer);

/// A random source that always returns one salt.
#[derive(Debug)]
pub(super) struct Fixed(pub(super) [u8; HEAD_BYTES]);

impl RandomSource for Fixed {
    fn fill(&self, bytes: &mut [u8]) -> io::Result<()> {
        if bytes.len() != HEAD_BYTES {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        put_at(bytes, 0, &self.0);
        Ok(())
    }
}

impl TestSealer {
    /// Creates the sealer of a file with this key, or of a plain file.
    #[must_use]
    pub fn new(key: Option<&Key>) -> Self {
        let salt: FileSalt = [0x5a; 32];
        Self(crypto::FileSealer::new(salt, key.map(|key| FileKeys::derive(key, &salt, b"inspect"))))
    }

    /// Seals a page in place under a salt, and returns its seal.
    ///
    /// # Panics
    /// Never, as the salt has the requested length.
    pub fn seal(
        &self,
        (page, birth): (PageId, CommitId),
        salt: [u8; 16],
        bytes: &mut [u8; PAGE_BYTES],
    ) -> [u8; 16] {
        let mut batch = self.0.batch(&Fixed(salt)).expect("E1: the salt has its length");
        batch.seal(PageIdentity { page, birth }, bytes).0
    }

    /// Opens a page in place, and returns whether its seal matches.
    #[must_use]
    pub fn open(
        &self,
        (page, birth): (PageId, CommitId),
        seal: [u8; 16],
        bytes: &mut [u8; PAGE_BYTES],
    ) -> bool {
        self.0.open(PageIdentity { page, birth }, Seal(seal), bytes)
    }
}
