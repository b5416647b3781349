//! Data folder of a server: the account file and its key.
//!
//! - H1 The key is durable before the first account.
//! - H16 Accounts without their key, and a key without its accounts, are errors.
//!
//! Specified in docs/server.md#stored-data.

use crate::config::Config;
use crate::error::StartError;
use fastness::{Key, Store, StoreOptions};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::path::Path;

/// Name of the account file.
pub const ACCOUNTS_FILE: &str = "accounts.fastness";

/// Name of the file with the generated key: 64 bytes.
pub const KEY_FILE: &str = "key";

/// Name of the key until the account file exists.
const UNFINISHED_KEY_FILE: &str = ".key";

/// Open account file.
pub(crate) struct OpenData {
    pub(crate) store: Store,
    /// Key of the file, for copies of it.
    pub(crate) key: Key,
}

/// Opens the account file of the data folder, or creates it, and the folder of backups.
pub(crate) fn open(config: &Config) -> Result<OpenData, StartError> {
    let folder = config.data.as_path();
    let failed = |error| StartError::Data(folder.to_path_buf(), error);
    create_private_folder(folder).map_err(failed)?;
    if let Some(backup) = &config.backup {
        let failed = |error| StartError::Data(backup.clone(), error);
        create_private_folders(backup).map_err(failed)?;
    }
    let accounts = folder.join(ACCOUNTS_FILE);
    let key = match &config.key {
        Some(key) => key.clone(),
        None => folder_key(folder, &accounts)?,
    };
    let store = StoreOptions::new().key(key.clone()).open_or_create(accounts)?;
    if config.key.is_none() {
        publish_key(folder).map_err(failed)?;
    }
    Ok(OpenData { store, key })
}

/// Opens the account file of the data folder, which must exist.
pub(crate) fn open_existing(config: &Config) -> Result<OpenData, StartError> {
    let accounts = config.data.join(ACCOUNTS_FILE);
    if accounts.exists() { open(config) } else { Err(StartError::NoAccounts(accounts)) }
}

/// Returns the key in the folder; generates one if the folder has no accounts either.
///
/// The key gets its name after the account file, so a key without accounts means that they were
/// lost.
fn folder_key(folder: &Path, accounts: &Path) -> Result<Key, StartError> {
    let path = folder.join(KEY_FILE);
    match Key::read_file(&path) {
        Ok(key) => {
            check_private(&path)?;
            if accounts.exists() {
                return Ok(key);
            }
            Err(StartError::AccountsMissing { accounts: accounts.to_path_buf(), key: path })
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StartError::Data(path, error)),
        // The first start was interrupted.
        Err(_) if accounts.exists() => Key::read_file(folder.join(UNFINISHED_KEY_FILE))
            .map_err(|_| StartError::KeyMissing(path)),
        Err(_) => make_key(folder).map_err(|error| StartError::Data(folder.to_path_buf(), error)),
    }
}

/// Creates the folder for its owner only; warns if others may enter an existing one.
fn create_private_folder(folder: &Path) -> io::Result<()> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    match private_builder().create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    if !fs::metadata(folder)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    if let Some(mode) = mode_for_others(folder)? {
        let mode = format!("{mode:o}");
        let folder = folder.display();
        tracing::warn!(%folder, mode, "others may enter the data folder; run chmod 700 on it");
    }
    Ok(())
}

/// Creates a folder and those above it that do not exist for their owner only, durably.
pub(crate) fn create_private_folders(folder: &Path) -> io::Result<()> {
    // The folder above a relative path of one name is the current one.
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        create_private_folders(parent)?;
    }
    match private_builder().create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

/// Refuses a key that other users may read or replace.
fn check_private(path: &Path) -> Result<(), StartError> {
    match mode_for_others(path) {
        Ok(None) => Ok(()),
        Ok(Some(mode)) => Err(StartError::KeyNotPrivate(path.to_path_buf(), mode)),
        Err(error) => Err(StartError::Data(path.to_path_buf(), error)),
    }
}

/// Returns the mode of a file if it grants anything to users other than its owner.
#[cfg(unix)]
fn mode_for_others(path: &Path) -> io::Result<Option<u32>> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(path)?.permissions().mode() & 0o777;
    Ok((mode & 0o077 != 0).then_some(mode))
}

#[cfg(not(unix))]
fn mode_for_others(_: &Path) -> io::Result<Option<u32>> {
    Ok(None)
}

#[cfg(unix)]
fn private_builder() -> DirBuilder {
    use std::os::unix::fs::DirBuilderExt as _;
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

#[cfg(not(unix))]
fn private_builder() -> DirBuilder {
    DirBuilder::new()
}

/// Generates a key with mode 0600 under a temporary name, durable before the first account.
fn make_key(folder: &Path) -> io::Result<Key> {
    let unfinished = folder.join(UNFINISHED_KEY_FILE);
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    Key::create_file(&unfinished)
}

/// Gives a generated key its name, now that the account file exists.
fn publish_key(folder: &Path) -> io::Result<()> {
    if folder.join(KEY_FILE).exists() {
        return Ok(());
    }
    fs::rename(folder.join(UNFINISHED_KEY_FILE), folder.join(KEY_FILE))?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn config() -> (TempDir, Config) {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::new(dir.path().join("a/b"), ([127, 0, 0, 1], 0));
        (dir, config)
    }

    #[cfg(unix)]
    fn set_mode(path: &Path, mode: u32) {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_key_is_made_once_for_the_owner_only_and_never_made_up() {
        let (_dir, config) = config();
        drop(open(&config).unwrap());
        let key = config.data.join(KEY_FILE);
        let made = fs::read(&key).unwrap();
        assert_eq!(made.len(), 64);
        drop(open(&config).unwrap());
        assert_eq!(fs::read(&key).unwrap(), made);
        fs::remove_file(&key).unwrap();
        assert!(matches!(open(&config), Err(StartError::KeyMissing(_))));
        assert!(!key.exists());
        let put = |bytes: &[u8]| {
            fs::write(&key, bytes).unwrap();
            #[cfg(unix)]
            set_mode(&key, 0o600);
        };
        put(&[0; 63]);
        assert!(matches!(open(&config), Err(StartError::Data(_, _))));
        put(&[0; 64]);
        assert!(matches!(open(&config), Err(StartError::Accounts(_))), "another key");
    }

    #[test]
    fn accounts_are_never_made_up_for_a_key() {
        let (_dir, config) = config();
        drop(open(&config).unwrap());
        let accounts = config.data.join(ACCOUNTS_FILE);
        fs::remove_file(&accounts).unwrap();
        let error = open(&config).map(|_| ()).unwrap_err();
        assert!(matches!(error, StartError::AccountsMissing { .. }), "{error}");
        assert!(!accounts.exists());
        fs::remove_file(config.data.join(KEY_FILE)).unwrap();
        drop(open(&config).unwrap());
    }

    #[test]
    fn an_interrupted_first_start_is_completed() {
        let (_dir, config) = config();
        drop(open(&config).unwrap());
        let (key, unfinished) = (config.data.join(KEY_FILE), config.data.join(UNFINISHED_KEY_FILE));
        // The accounts exist, but their key has no name yet.
        fs::rename(&key, &unfinished).unwrap();
        drop(open(&config).unwrap());
        assert!(key.exists() && !unfinished.exists());
        // Neither exists but a part of a key.
        fs::remove_file(&key).unwrap();
        fs::remove_file(config.data.join(ACCOUNTS_FILE)).unwrap();
        fs::write(&unfinished, [0; 10]).unwrap();
        drop(open(&config).unwrap());
        assert_eq!(fs::read(&key).unwrap().len(), 64);
    }

    #[cfg(unix)]
    #[test]
    fn folder_and_key_are_for_their_owner_only() {
        let (_dir, config) = config();
        drop(open(&config).unwrap());
        let key = config.data.join(KEY_FILE);
        assert_eq!(mode_for_others(&config.data).unwrap(), None);
        assert_eq!(mode_for_others(&key).unwrap(), None);
        for mode in [0o640, 0o604, 0o620] {
            set_mode(&key, mode);
            let error = open(&config).map(|_| ()).unwrap_err();
            assert!(matches!(error, StartError::KeyNotPrivate(_, found) if found == mode));
        }
    }
}
