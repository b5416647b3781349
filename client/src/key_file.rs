//! Key of a user store in a file, for systems without a key store.

use fastness::Key;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Returns the key in a file of 64 bytes. Without the file, generates a random key and stores it
/// for the owner only, durable before the call returns.
///
/// Prefer the key store of the platform: a file protects copies of the store, but not the machine.
///
/// # Errors
/// If the file cannot be read or created, or is not a key.
pub fn open_or_create_key(path: impl AsRef<Path>) -> io::Result<Key> {
    let path = path.as_ref();
    match Key::read_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
        read => read,
    }
}

fn create(path: &Path) -> io::Result<Key> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    // An earlier start may have ended here.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let key = Key::create_file(&unfinished)?;
    // Unlike a rename, a link replaces no key that another process has created meanwhile.
    let linked = fs::hard_link(&unfinished, path);
    fs::remove_file(&unfinished)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Key::read_file(path),
        outcome => outcome?,
    }
    File::open(folder)?.sync_all()?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_for_its_owner_and_opens_the_store_again() {
        let dir = tempfile::tempdir().unwrap();
        let (path, store) = (dir.path().join("key"), dir.path().join("store"));
        let options = || fastness::StoreOptions::new().key(open_or_create_key(&path).unwrap());
        drop(options().create(&store).unwrap());
        drop(options().open(&store).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        for length in [0, 63, 65] {
            fs::write(&path, vec![1; length]).unwrap();
            assert!(open_or_create_key(&path).is_err(), "{length} bytes");
        }
        assert!(open_or_create_key(dir.path().join("none/key")).is_err());
    }
}
