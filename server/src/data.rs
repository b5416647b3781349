//! Data folder of a server: the account file and its key.
//!
//! - H1 The key is durable before the first account.
//!
//! Specified in docs/server.md#stored-data.

use crate::config::Config;
use crate::error::StartError;
use fastness::{Key, OsRandom, RandomSource as _, Store, StoreOptions};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use zeroize::Zeroizing;

/// Name of the account file.
pub const ACCOUNTS_FILE: &str = "accounts.fastness";

/// Name of the file with the generated key: 64 bytes.
pub const KEY_FILE: &str = "key";

/// Opens the account file of the data folder, or creates it.
pub(crate) fn open(config: &Config) -> Result<Store, StartError> {
    let folder = config.data.as_path();
    let failed = |error| StartError::Data(folder.to_path_buf(), error);
    fs::create_dir_all(folder).map_err(failed)?;
    let accounts = folder.join(ACCOUNTS_FILE);
    let key = match &config.key {
        Some(key) => key.clone(),
        None => {
            let path = folder.join(KEY_FILE);
            match read_key(&path) {
                Ok(key) => key,
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StartError::Data(path, error));
                }
                Err(_) if accounts.exists() => return Err(StartError::KeyMissing(path)),
                Err(_) => make_key(folder).map_err(failed)?,
            }
        }
    };
    Ok(StoreOptions::new().key(key).open_or_create(accounts)?)
}

fn read_key(path: &Path) -> io::Result<Key> {
    let mut bytes = Zeroizing::new([0; 64]);
    let mut file = File::open(path)?;
    file.read_exact(&mut *bytes)?;
    Ok(Key::new(*bytes))
}

/// Generates a key file with mode 0600, under a temporary name first, so that the key is complete
/// or absent.
fn make_key(folder: &Path) -> io::Result<Key> {
    let mut bytes = Zeroizing::new([0; 64]);
    OsRandom.fill(&mut *bytes)?;
    let unfinished = folder.join(".key");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = private(OpenOptions::new().write(true).create_new(true)).open(&unfinished)?;
    file.write_all(&*bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, folder.join(KEY_FILE))?;
    File::open(folder)?.sync_all()?;
    Ok(Key::new(*bytes))
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
    fn a_key_is_made_once_for_the_owner_only_and_never_made_up() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::new(dir.path().join("a/b"), ([127, 0, 0, 1], 0));
        drop(open(&config).unwrap());
        let key = config.data.join(KEY_FILE);
        let made = fs::read(&key).unwrap();
        assert_eq!(made.len(), 64);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        }
        drop(open(&config).unwrap());
        assert_eq!(fs::read(&key).unwrap(), made);
        fs::remove_file(&key).unwrap();
        assert!(matches!(open(&config), Err(StartError::KeyMissing(_))));
        assert!(!key.exists());
        fs::write(&key, [0; 63]).unwrap();
        assert!(matches!(open(&config), Err(StartError::Data(_, _))));
        fs::write(&key, [0; 64]).unwrap();
        assert!(matches!(open(&config), Err(StartError::Accounts(_))), "another key");
    }
}
