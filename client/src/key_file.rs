//! Key of a user store in a file, for systems without a key store.

use fastness::{Key, OsRandom, RandomSource as _};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// Bytes of a key.
const KEY_BYTES: usize = 64;

/// Returns the key in a file of 64 bytes. Without the file, generates a random key and stores it
/// for the owner only, durable before the call returns.
///
/// Prefer the key store of the platform: a file protects copies of the store, but not the machine.
///
/// # Errors
/// If the file cannot be read or created, or is not a key.
pub fn open_or_create_key(path: impl AsRef<Path>) -> io::Result<Key> {
    let path = path.as_ref();
    match read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
        read => read,
    }
}

fn read(path: &Path) -> io::Result<Key> {
    // Room for one byte more shows a longer file.
    let mut bytes = Vec::with_capacity(KEY_BYTES + 1);
    let limit = u64::try_from(KEY_BYTES + 1).unwrap_or(u64::MAX);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    let key = Key::from_slice(&bytes);
    bytes.fill(0);
    key.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the file is not a key of 64 bytes"))
}

fn create(path: &Path) -> io::Result<Key> {
    let mut bytes = [0; KEY_BYTES];
    OsRandom.fill(&mut bytes)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".new");
    // An earlier start may have ended here.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = private(OpenOptions::new().write(true).create_new(true)).open(&unfinished)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    // Unlike a rename, a link replaces no key that another process has created meanwhile.
    let linked = fs::hard_link(&unfinished, path);
    fs::remove_file(&unfinished)?;
    let key = Key::new(bytes);
    bytes.fill(0);
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return read(path),
        outcome => outcome?,
    }
    File::open(folder)?.sync_all()?;
    Ok(key)
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
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
