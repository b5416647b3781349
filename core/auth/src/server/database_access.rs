//! Rights of users on the databases of a server.
//!
//! - H24 A session is bound only to a database that its user may open.
//!
//! Specified in docs/protocol.md#websocket and docs/server.md#stored-data.

use super::accounts::Accounts;
use super::commit::Outcome;
use super::file_path;
use super::record::{AccountsError, GRANTS, ReadRecords, grant_key};
use fastness::{TreeMut, WriteTxn};

/// Path of a database, resolved for a user.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DatabasePath(String);

/// Right on a database.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DatabaseRight {
    /// The user may read.
    Read,
    /// The user may read and write.
    Write,
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
}

impl DatabaseRight {
    /// Returns the word of a record.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    pub(super) fn parse(word: &[u8]) -> Option<Self> {
        match word {
            b"read" => Some(Self::Read),
            b"write" => Some(Self::Write),
            _ => None,
        }
    }
}

impl Accounts {
    /// Tells whether an account exists and is not blocked.
    ///
    /// # Errors
    /// The error of the store.
    pub fn is_active(&self, identity: &str) -> Result<bool, AccountsError> {
        let account = self.store.snapshot().account(identity)?;
        Ok(account.is_some_and(|account| !account.is_blocked))
    }

    /// Returns the right of an account on a database: all of an administrator and of the owner, or
    /// the one that was granted. An account that is blocked or does not exist has none.
    ///
    /// # Errors
    /// The error of the store.
    pub fn right_on(
        &self,
        path: &DatabasePath,
        identity: &str,
    ) -> Result<Option<DatabaseRight>, AccountsError> {
        let mut records = self.store.snapshot();
        let account = records.account(identity)?.filter(|account| !account.is_blocked);
        let Some(account) = account else { return Ok(None) };
        if account.is_admin || file_path::belongs_to(&path.0, identity) {
            return Ok(Some(DatabaseRight::Write));
        }
        let Some(word) = records.record(GRANTS, &grant_key(identity, &path.0))? else {
            return Ok(None);
        };
        let right = DatabaseRight::parse(&word);
        right.map(Some).ok_or(AccountsError::NotAnAccountFile("a grant of another version"))
    }
}

/// Grants a right on a database, or revokes it.
pub(super) fn set_grant(
    txn: &mut WriteTxn,
    (identity, path): (&str, &DatabasePath),
    right: Option<DatabaseRight>,
) -> Outcome<()> {
    let key = grant_key(identity, path.as_str());
    let mut grants = txn.tree(GRANTS)?;
    if let Some(right) = right {
        grants.insert(&key, right.word().as_bytes())?;
    } else {
        grants.remove(&key)?;
    }
    Ok(())
}

/// Revokes all grants of an account.
pub(super) fn remove_grants(grants: &mut TreeMut<'_>, identity: &str) -> Outcome<()> {
    let (first, end) = (grant_key(identity, ""), grant_key(identity, "\u{7f}"));
    let mut keys = Vec::new();
    for entry in grants.range(first.as_slice()..end.as_slice())? {
        keys.push(entry?.0);
    }
    for key in keys {
        grants.remove(&key)?;
    }
    Ok(())
}
