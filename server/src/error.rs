//! Why a server does not start: a sentence that says what to do.

use fastness::Error;
use fastness_auth::server::AccountsError;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a server does not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The folder of the accounts, or the key in it, cannot be used.
    Data(PathBuf, io::Error),
    /// There are accounts, but no key.
    KeyMissing(PathBuf),
    /// The accounts cannot be opened.
    Accounts(AccountsError),
    /// The costs of hashing are out of bounds.
    HashCosts,
    /// A file for TLS cannot be used.
    Tls(PathBuf, String),
    /// The address cannot be listened at.
    Listen(SocketAddr, io::Error),
    /// The system gives no threads or random bytes.
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
            Self::Accounts(error) => error.fmt(f),
            Self::HashCosts => f.write_str("argon2id takes 8 KiB of memory and 1 pass at least"),
            Self::Tls(path, what) => write!(f, "{}: {what}", path.display()),
            Self::Listen(address, error) => write!(f, "cannot listen at {address}: {error}"),
            Self::System(error) => write!(f, "the system does not allow a server: {error}"),
        }
    }
}
