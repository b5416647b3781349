//! The user's key, and the keys that are derived from it for one file (HKDF).

use super::{FileSalt, HEAD_BYTES};
use crate::conc::{Arc, Swap};
use crate::error::{ArgumentError, Result};
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use std::fmt;
use zeroize::Zeroize as _;

/// A key of 64 bytes. It is zeroed when dropped and never printed.
#[derive(Clone)]
pub struct Key(Box<[u8; 64]>);

impl Key {
    /// Creates a key from 64 bytes, which must be random.
    #[must_use]
    pub fn new(bytes: [u8; 64]) -> Self {
        Self(Box::new(bytes))
    }

    /// Creates a key from a slice.
    ///
    /// # Errors
    /// [`ArgumentError::EncryptionKeyLength`] unless the slice has 64 bytes.
    pub fn from_slice(bytes: &[u8]) -> Result<Self> {
        match bytes.try_into() {
            Ok(bytes) => Ok(Self::new(bytes)),
            Err(_) => Err(ArgumentError::EncryptionKeyLength { bytes: bytes.len() }.into()),
        }
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Key check value in the prelude. It distinguishes a wrong key from a damaged file.
pub(crate) type KeyCheck = [u8; 16];

struct CheckLen;

impl KeyType for CheckLen {
    fn len(&self) -> usize {
        size_of::<KeyCheck>()
    }
}

/// Entries of the cache of derived keys. The pages of one batch share a key.
const CACHE_LEN: usize = 256;

/// The keys of one file.
pub(crate) struct FileKeys {
    pages: Prk,
    check: KeyCheck,
    cache: Box<[Swap<DerivedKey>]>,
}

/// The key of a batch of pages.
struct DerivedKey {
    salt: [u8; HEAD_BYTES],
    key: LessSafeKey,
}

impl FileKeys {
    /// Derives the keys; `identity` is the part of the prelude that the derivation includes.
    pub(crate) fn derive(key: &Key, salt: &FileSalt, identity: &[u8]) -> Self {
        let root = Salt::new(HKDF_SHA256, salt).extract(&key.0[..]);
        let pages = root
            .expand(&[b"fastness pages", identity], HKDF_SHA256)
            .expect("E2: the length asked for is allowed")
            .into();
        let mut check = KeyCheck::default();
        root.expand(&[b"fastness check", identity], CheckLen)
            .and_then(|okm| okm.fill(&mut check))
            .expect("E2: the length asked for is allowed");
        Self { pages, check, cache: (0..CACHE_LEN).map(|_| Swap::default()).collect() }
    }

    pub(crate) const fn check(&self) -> &KeyCheck {
        &self.check
    }

    /// Runs `body` with the key that is derived from `salt`, which is cached.
    pub(crate) fn with<T>(
        &self,
        salt: &[u8; HEAD_BYTES],
        body: impl FnOnce(&LessSafeKey) -> T,
    ) -> T {
        let slot = &self.cache[usize::from(salt[0]) % CACHE_LEN];
        let cached = slot.load();
        if let Some(derived) = &*cached
            && derived.salt == *salt
        {
            return body(&derived.key);
        }
        let derived = Arc::new(DerivedKey { salt: *salt, key: self.expand(salt) });
        slot.store(Some(Arc::clone(&derived)));
        body(&derived.key)
    }

    /// Returns the bytes of the derived keys in memory.
    #[cfg(any(test, feature = "inspect"))]
    pub(crate) fn derived_bytes(&self) -> usize {
        let cached = self.cache.iter().filter(|slot| slot.load().is_some()).count();
        cached * (size_of::<DerivedKey>() + 2 * size_of::<usize>())
    }

    fn expand(&self, salt: &[u8; HEAD_BYTES]) -> LessSafeKey {
        let okm = self
            .pages
            .expand(std::slice::from_ref(&salt.as_slice()), &AES_256_GCM)
            .map(UnboundKey::from)
            .expect("E2: the length asked for is allowed");
        LessSafeKey::new(okm)
    }
}

impl fmt::Debug for FileKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FileKeys(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_prints_its_bytes() {
        assert_eq!(format!("{:?}", Key::new([0x41; 64])), "Key(..)");
    }

    /// E3
    #[test]
    #[cfg(target_os = "linux")]
    fn a_dropped_key_leaves_no_bytes_in_freed_memory() {
        let memory = fastness_testkit::OwnMemory::open();
        let key = Key::new([0xa5; 64]);
        for key in [key.clone(), key] {
            let address = std::ptr::from_ref(&*key.0).addr();
            drop(key);
            assert!(memory.is_cleared(address, 0xa5), "E3");
        }
    }

    #[test]
    fn a_key_has_64_bytes() {
        assert!(Key::from_slice(&[0; 64]).is_ok());
        let error = Key::from_slice(&[0; 63]).unwrap_err();
        assert_eq!(error, ArgumentError::EncryptionKeyLength { bytes: 63 }.into());
    }

    #[test]
    fn the_check_depends_on_key_salt_and_identity() {
        let check = |key: u8, salt: u8, identity: u8| {
            *FileKeys::derive(&Key::new([key; 64]), &[salt; 32], &[identity]).check()
        };
        assert_eq!(check(1, 1, 1), check(1, 1, 1));
        assert_ne!(check(1, 1, 1), check(2, 1, 1));
        assert_ne!(check(1, 1, 1), check(1, 2, 1));
        assert_ne!(check(1, 1, 1), check(1, 1, 2));
    }
}
