//! Key of a user store in the key store of the platform.
//!
//! - E3 Every copy of the bytes that this crate holds is zeroed.

use fastness::{Key, OsRandom, RandomSource as _};
use keyring_core::Entry;
use std::error::Error;
use std::fmt;
use zeroize::Zeroizing;

/// Bytes of a key.
const KEY_BYTES: usize = 64;

/// The reason why a key store gave no key.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeyStoreError {
    /// The key store failed, is locked, or there is none.
    Store(keyring_core::Error),
    /// The entry holds a secret of another length, and is left as it is.
    NotAKey {
        /// The length of the secret.
        bytes: usize,
    },
    /// The system has no random bytes.
    Random(std::io::Error),
}

impl fmt::Display for KeyStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "the key store of the platform: {error}"),
            Self::NotAKey { bytes } => write!(
                f,
                "the entry of the key store holds {bytes} bytes, not a key of {KEY_BYTES}; name \
                 another entry"
            ),
            Self::Random(error) => write!(f, "no random bytes for a key: {error}"),
        }
    }
}

impl Error for KeyStoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Random(error) => Some(error),
            Self::NotAKey { .. } => None,
        }
    }
}

/// Returns the key in an entry of the platform's key store. Without a secret in the entry,
/// generates a random key and stores it there.
///
/// The app chooses the key store: it makes a store of a crate that implements [`keyring_core`] for
/// the platform (Keychain, Credential Manager, Secret Service), and an entry in it. Key stores have
/// no call that creates an entry only if there is none, so the first call of an app must not run in
/// two processes at once.
///
/// ```
/// use fastness_client::open_or_create_key_in;
/// use keyring_core::{Entry, mock};
///
/// keyring_core::set_default_store(mock::Store::new()?); // here a store of your platform
/// let entry = Entry::new("com.example.notes", "user store")?;
/// let options = fastness::StoreOptions::new().key(open_or_create_key_in(&entry)?);
/// let dir = tempfile::tempdir()?;
/// drop(options.create(dir.path().join("users.fastness"))?);
///
/// let options = fastness::StoreOptions::new().key(open_or_create_key_in(&entry)?);
/// options.open(dir.path().join("users.fastness"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`KeyStoreError`]. An entry that holds something else is never replaced.
pub fn open_or_create_key_in(entry: &Entry) -> Result<Key, KeyStoreError> {
    match read(entry) {
        Err(KeyStoreError::Store(keyring_core::Error::NoEntry)) => create(entry),
        read => read,
    }
}

fn read(entry: &Entry) -> Result<Key, KeyStoreError> {
    let secret = Zeroizing::new(entry.get_secret().map_err(KeyStoreError::Store)?);
    let key = secret[..].try_into().map(Zeroizing::new);
    let key: Zeroizing<[u8; KEY_BYTES]> =
        key.map_err(|_| KeyStoreError::NotAKey { bytes: secret.len() })?;
    Ok(Key::new(*key))
}

fn create(entry: &Entry) -> Result<Key, KeyStoreError> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    OsRandom.fill(&mut *bytes).map_err(KeyStoreError::Random)?;
    entry.set_secret(&*bytes).map_err(KeyStoreError::Store)?;
    // A key that the store does not return would lock the app out of its own files.
    read(entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyring_core::{Error as StoreError, mock};
    use std::sync::Arc;

    fn entry() -> Entry {
        let store: Arc<keyring_core::CredentialStore> = mock::Store::new().unwrap();
        Entry::new_in_store(&store, "notes", "users").unwrap()
    }

    #[test]
    fn a_key_is_made_once_and_opens_the_store_again() {
        let (dir, entry) = (tempfile::tempdir().unwrap(), entry());
        let options = || fastness::StoreOptions::new().key(open_or_create_key_in(&entry).unwrap());
        drop(options().create(dir.path().join("users")).unwrap());
        drop(options().open(dir.path().join("users")).unwrap());
        assert_eq!(entry.get_secret().unwrap().len(), KEY_BYTES);
    }

    #[test]
    fn another_secret_is_left_as_it_is() {
        let entry = entry();
        entry.set_password("of another app").unwrap();
        let error = open_or_create_key_in(&entry).unwrap_err();
        assert!(matches!(error, KeyStoreError::NotAKey { bytes: 14 }), "{error}");
        assert_eq!(entry.get_password().unwrap(), "of another app");
    }

    #[test]
    fn a_store_that_fails_makes_no_key() {
        let entry = entry();
        let credential = entry.as_any().downcast_ref::<mock::Cred>().unwrap();
        credential.set_error(StoreError::NoStorageAccess("locked".into()));
        let error = open_or_create_key_in(&entry).unwrap_err();
        assert!(error.to_string().contains("key store of the platform"), "{error}");
        assert!(matches!(entry.get_secret(), Err(StoreError::NoEntry)));
    }
}
