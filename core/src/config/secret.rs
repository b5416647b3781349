//! The bytes of a key as a configuration keeps them: comparable and hashable, never printed (O3).

use super::hash;
use crate::crypto::Key;
use crate::error::{ArgumentError, Result};
use std::fmt;
use zeroize::Zeroize as _;

#[derive(Clone)]
pub(super) struct Secret(Box<[u8; 64]>);

impl Secret {
    /// Copies a key.
    pub(super) fn copy(bytes: &[u8]) -> Result<Self> {
        // Filled in place, so that no copy is left on the stack.
        let mut secret = Self(Box::new([0; 64]));
        if bytes.len() != secret.0.len() {
            return Err(ArgumentError::EncryptionKeyLength { bytes: bytes.len() }.into());
        }
        secret.0.copy_from_slice(bytes);
        Ok(secret)
    }

    /// Copies the key for the store.
    pub(super) fn key(&self) -> Key {
        Key::new(*self.0)
    }

    pub(super) fn hash(&self) -> i32 {
        hash::bytes(&self.0[..])
    }

    fn wipe(&mut self) {
        self.0.zeroize();
    }
}

impl PartialEq for Secret {
    /// Compares in constant time.
    fn eq(&self, other: &Self) -> bool {
        let pairs = self.0.iter().zip(other.0.iter());
        pairs.fold(0, |differing, (one, two)| differing | (one ^ two)) == 0
    }
}

impl Eq for Secret {}

impl Drop for Secret {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn secrets_are_zeroed_before_they_are_dropped() {
        let mut secret = Secret::copy(&[7; 64]).unwrap();
        secret.wipe();
        assert_eq!(secret.0, Box::new([0; 64]));
    }

    /// O3
    #[test]
    #[cfg(target_os = "linux")]
    fn a_dropped_secret_leaves_no_bytes_in_freed_memory() {
        let memory = fastness_testkit::OwnMemory::open();
        let secret = Secret::copy(&[0xa5; 64]).unwrap();
        for secret in [secret.clone(), secret] {
            let address = std::ptr::from_ref(&*secret.0).addr();
            drop(secret);
            assert!(memory.is_cleared(address, 0xa5), "O3");
        }
    }

    #[test]
    fn a_difference_is_found_in_every_byte() {
        let secret = Secret::copy(&[7; 64]).unwrap();
        for at in 0..64 {
            let mut other = [7; 64];
            other[at] = 6;
            assert_ne!(secret, Secret::copy(&other).unwrap(), "{at}");
        }
        assert_eq!(secret, secret.clone());
    }
}
