//! Rights of users on the databases of a server.
//!
//! - H24 A session is bound only to a database that its user may open.
//!
//! Specified in docs/protocol.md#websocket.

use super::accounts::Accounts;
use super::file_path;
use super::record::{AccountsError, ReadRecords as _};

/// Path of a database, resolved for a user.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DatabasePath(String);

/// Rights of an account that may use the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccountRights {
    /// Whether the account may open the databases of all users.
    pub is_admin: bool,
}

impl DatabasePath {
    /// Replaces `~` in the first segment by the identity; `None` if the path is invalid.
    #[must_use]
    pub fn resolve(path: &str, identity: &str) -> Option<Self> {
        file_path::resolve(path, identity).map(Self)
    }

    /// Returns the path, which begins with `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Tells whether the database belongs to a user.
    #[must_use]
    pub fn belongs_to(&self, identity: &str) -> bool {
        file_path::belongs_to(&self.0, identity)
    }
}

impl AccountRights {
    /// Tells whether the account with this identity may open a database.
    #[must_use]
    pub fn may_open(self, path: &DatabasePath, identity: &str) -> bool {
        self.is_admin || path.belongs_to(identity)
    }
}

impl Accounts {
    /// Returns the rights of an account; `None` if it is blocked or does not exist.
    ///
    /// # Errors
    /// The error of the store.
    pub fn rights(&self, identity: &str) -> Result<Option<AccountRights>, AccountsError> {
        let account = self.store.snapshot().account(identity)?;
        let account = account.filter(|account| !account.is_blocked);
        Ok(account.map(|account| AccountRights { is_admin: account.is_admin }))
    }
}
