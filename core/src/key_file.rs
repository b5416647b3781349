//! Keys: generated at random, and kept in files.
//!
//! - E3 Every copy of the bytes is zeroed.
//! - V5 A file of a key is created under an unused name, readable by its owner only.

use crate::crypto::{Key, OsRandom, RandomSource as _};
use crate::vfs::{Access, OsVfs, Vfs as _, read_whole, write_whole};
use std::io;
use std::path::Path;
use zeroize::Zeroizing;

/// Bytes of a key.
const KEY_BYTES: usize = 64;

impl Key {
    /// Generates a key from the random source of the system.
    ///
    /// # Errors
    /// If the system has no random bytes.
    pub fn generate() -> io::Result<Self> {
        Ok(Self::new(*random_bytes()?))
    }

    /// Reads a key from a file of 64 bytes.
    ///
    /// # Errors
    /// `InvalidData` if the file has another length; otherwise as the system reports.
    pub fn read_file(path: impl AsRef<Path>) -> io::Result<Self> {
        let file = OsVfs.open(path.as_ref(), Access::Read)?;
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        if file.len()? != KEY_BYTES as u64 || !read_whole(&*file, &mut *bytes, 0)? {
            let text = "the file is not a key of 64 bytes";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(Self::new(*bytes))
    }

    /// Generates a key and stores it in a new file that only its owner can read. The file is
    /// durable when the call returns.
    ///
    /// ```
    /// # use fastness::{Key, StoreOptions};
    /// let dir = tempfile::tempdir()?;
    /// let key = Key::create_file(dir.path().join("key"))?;
    /// StoreOptions::new().key(key).create(dir.path().join("store"))?;
    ///
    /// let key = Key::read_file(dir.path().join("key"))?;
    /// StoreOptions::new().key(key).open(dir.path().join("store"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `AlreadyExists` if the file exists; otherwise as the system reports. The file may be there
    /// after an error, and is no key then.
    pub fn create_file(path: impl AsRef<Path>) -> io::Result<Self> {
        let (path, bytes) = (path.as_ref(), random_bytes()?);
        let file = OsVfs.open(path, Access::CreateNew)?;
        write_whole(&*file, &*bytes, 0)?;
        file.sync()?;
        OsVfs.sync_dir(path)?;
        Ok(Self::new(*bytes))
    }
}

fn random_bytes() -> io::Result<Zeroizing<[u8; KEY_BYTES]>> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    OsRandom.fill(&mut *bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_key_file_has_64_bytes_and_is_for_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        drop(Key::create_file(&path).unwrap());
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.len() == 64 && bytes.iter().any(|byte| *byte != 0));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let error = Key::create_file(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "the key stays");
        for length in [0, 63, 65] {
            std::fs::write(&path, vec![1; length]).unwrap();
            let error = Key::read_file(&path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{length} bytes");
        }
        let error = Key::read_file(dir.path().join("none")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
