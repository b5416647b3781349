//! Errors of the start of a server.

use fastness::Error;
use fastness_auth::server::AccountsError;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Error of the start of a server. Its message says what to do.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The data folder or its key is unusable.
    Data(PathBuf, io::Error),
    /// The account file exists, but its key does not.
    KeyMissing(PathBuf),
    /// The key of the accounts exists, but the account file does not.
    AccountsMissing {
        /// Path of the account file.
        accounts: PathBuf,
        /// Path of its key.
        key: PathBuf,
    },
    /// Other users may read or replace the key, which has this mode.
    KeyNotPrivate(PathBuf, u32),
    /// There is no account file, and the call creates none.
    NoAccounts(PathBuf),
    /// The account file does not open.
    Accounts(AccountsError),
    /// The costs of argon2id are out of range.
    HashCosts,
    /// A TLS file is unusable.
    Tls(PathBuf, String),
    /// Listening on the address failed.
    Listen(SocketAddr, io::Error),
    /// The system refused threads or random bytes.
    System(io::Error),
}

impl From<AccountsError> for StartError {
    fn from(error: AccountsError) -> Self {
        Self::Accounts(error)
    }
}

impl From<Error> for StartError {
    fn from(error: Error) -> Self {
        Self::Accounts(error.into())
    }
}

impl std::error::Error for StartError {}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(path, error) => {
                write!(f, "{}: cannot be used for accounts: {error}", path.display())
            }
            Self::KeyMissing(path) => write!(
                f,
                "{}: is not there, but the accounts are; put their key back, or name it",
                path.display()
            ),
            Self::AccountsMissing { accounts, key } => write!(
                f,
                "{}: does not exist, but its key does; restore the accounts from a backup, or \
                 delete {} to begin without accounts",
                accounts.display(),
                key.display()
            ),
            Self::KeyNotPrivate(path, mode) => write!(
                f,
                "{}: other users may use it (mode {mode:o}); run chmod 600 on it, and replace the \
                 key if they are not trusted",
                path.display()
            ),
            Self::NoAccounts(path) => write!(
                f,
                "{}: does not exist; name the data folder of a server, or start one to create it",
                path.display()
            ),
            Self::Accounts(error) => error.fmt(f),
            Self::HashCosts => f.write_str("argon2id takes 8 KiB of memory and 1 pass at least"),
            Self::Tls(path, what) => write!(f, "{}: {what}", path.display()),
            Self::Listen(address, error) => write!(f, "cannot listen at {address}: {error}"),
            Self::System(error) => write!(f, "the system does not allow a server: {error}"),
        }
    }
}
