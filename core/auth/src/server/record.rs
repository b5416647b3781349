//! Records of accounts and logins in the trees of a store.
//!
//! - H10 Passwords and tokens are stored as hashes only.
//! - H12 A name leads to one account, because names are keys.
//!
//! Specified in docs/server.md#stored-data.

use super::refresh_token::{LoginId, Tag};
use crate::credentials::provider;
use crate::fault::{self, Fault};
use crate::json::{Object, Value};
use crate::secret::Secret;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use fastness::{Bytes, Error, StoreSnapshot, Time, TreeMut, WriteTxn};
use std::fmt;

pub(super) const ACCOUNTS: &str = "accounts";
pub(super) const NAMES: &str = "names";
pub(super) const LOGINS: &str = "logins";
pub(super) const LOGINS_OF_ACCOUNT: &str = "held";
pub(super) const GRANTS: &str = "grants";
pub(super) const SERVER: &str = "server";

/// Version of the format of all trees.
pub(super) const FORMAT: &[u8] = b"1";

/// Record of an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Account {
    pub(super) name: Secret,
    pub(super) is_admin: bool,
    /// Whether the generated password has not been used for a login yet.
    pub(super) is_unused: bool,
    /// Whether logins are refused.
    pub(super) is_blocked: bool,
    /// Hash of the password with its parameters.
    pub(super) password: String,
}

/// Record of a login.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct LoginRecord {
    pub(super) identity: String,
    pub(super) expires: Time,
    /// Tag of the current token.
    pub(super) current: Tag,
    /// Tags of the successors of the current token, oldest first.
    pub(super) next: Vec<Tag>,
    /// Tag of the predecessor of the current token, and the end of its grace period.
    pub(super) late: Option<(Tag, Time)>,
}

/// Failure of the server.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AccountsError {
    /// The store failed.
    Store(Error),
    /// The source of random bytes failed.
    RandomSource,
    /// A password could not be hashed.
    Hash,
    /// The file contains other data than accounts: what is wrong with it.
    NotAnAccountFile(&'static str),
}

/// Source of records: a snapshot or a write transaction.
pub(super) trait ReadRecords {
    fn record(&mut self, tree: &str, key: &[u8]) -> Result<Option<Bytes>, AccountsError>;

    fn account(&mut self, identity: &str) -> Result<Option<Account>, AccountsError> {
        let bytes = self.record(ACCOUNTS, identity.as_bytes())?;
        bytes.map(|bytes| Account::read(&bytes)).transpose()
    }

    /// Returns the identity of a name.
    fn named(&mut self, name: &Secret) -> Result<Option<String>, AccountsError> {
        let Some(bytes) = self.record(NAMES, &name_key(name))? else { return Ok(None) };
        let identity = String::from_utf8(bytes.to_vec());
        identity
            .map(Some)
            .map_err(|_| AccountsError::NotAnAccountFile("a name leads to no identity"))
    }

    fn login(&mut self, id: &LoginId) -> Result<Option<LoginRecord>, AccountsError> {
        let bytes = self.record(LOGINS, id)?;
        bytes.map(|bytes| LoginRecord::read(&bytes)).transpose()
    }
}

impl ReadRecords for StoreSnapshot {
    fn record(&mut self, tree: &str, key: &[u8]) -> Result<Option<Bytes>, AccountsError> {
        Ok(self.tree(tree).get(key)?)
    }
}

impl ReadRecords for WriteTxn {
    fn record(&mut self, tree: &str, key: &[u8]) -> Result<Option<Bytes>, AccountsError> {
        Ok(self.tree(tree)?.get(key)?)
    }
}

/// Returns the key of a name: the provider, a zero byte and the name.
pub(super) fn name_key(name: &Secret) -> Vec<u8> {
    [provider::PASSWORD.as_bytes(), b"\0", name.expose().as_bytes()].concat()
}

/// Returns the key of a login in the list of its account.
pub(super) fn account_login_key(identity: &str, login: &LoginId) -> Vec<u8> {
    [identity.as_bytes(), login].concat()
}

/// Returns the key of a grant: the identity, a zero byte and the path of the database.
pub(super) fn grant_key(identity: &str, path: &str) -> Vec<u8> {
    [identity.as_bytes(), b"\0", path.as_bytes()].concat()
}

/// Returns the account of a login or a name, which must exist.
pub(super) fn account_of(
    records: &mut dyn ReadRecords,
    identity: &str,
) -> Result<Account, AccountsError> {
    records.account(identity)?.ok_or(AccountsError::NotAnAccountFile("a login without an account"))
}

/// Returns the entries of a tree.
pub(super) fn entries_of(tree: &TreeMut<'_>) -> Result<Vec<(Bytes, Bytes)>, AccountsError> {
    Ok(tree.range(..)?.collect::<Result<_, Error>>()?)
}

/// Returns the logins of an account, oldest first.
pub(super) fn logins_of(tree: &TreeMut<'_>, identity: &str) -> Result<Vec<LoginId>, AccountsError> {
    let first = account_login_key(identity, &[0; 16]);
    let last = account_login_key(identity, &[0xff; 16]);
    let mut logins = Vec::new();
    for entry in tree.range(first.as_slice()..=last.as_slice())? {
        let (key, _) = entry?;
        let id = key.get(identity.len()..).and_then(|id| LoginId::try_from(id).ok());
        logins.push(id.ok_or(AccountsError::NotAnAccountFile("a login without a name"))?);
    }
    Ok(logins)
}

impl Account {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, AccountsError> {
        let object = Object::read_strictly(bytes);
        let read = object.as_ref().and_then(|object| {
            let fields = object.fields();
            Some(Self {
                name: fields.string("name")?.into(),
                is_admin: fields.truth("is_admin")?,
                is_unused: fields.truth("unused")?,
                // Accounts of earlier versions have no such field.
                is_blocked: fields.truth("blocked").unwrap_or_default(),
                password: fields.string("password")?.to_owned(),
            })
        });
        read.ok_or(AccountsError::NotAnAccountFile("an account that is none"))
    }

    pub(super) fn put(&self, txn: &mut WriteTxn, identity: &str) -> Result<(), AccountsError> {
        let object = Object::new()
            .with_secret("name", &self.name)
            .with("is_admin", self.is_admin)
            .with("unused", self.is_unused)
            .with_text("password", &self.password);
        let object = if self.is_blocked { object.with("blocked", true) } else { object };
        txn.tree(ACCOUNTS)?.insert(identity.as_bytes(), object.write().expose())?;
        Ok(())
    }
}

impl LoginRecord {
    fn read(bytes: &[u8]) -> Result<Self, AccountsError> {
        let object = Object::read_strictly(bytes);
        let read = object.as_ref().and_then(|object| {
            let fields = object.fields();
            let next = if fields.is_null("next") { Vec::new() } else { fields.texts("next")? };
            let late = match fields.is_null("late") {
                true => None,
                false => Some((tag(fields.string("late")?)?, Time(fields.integer("late_until")?))),
            };
            Some(Self {
                identity: fields.string("identity")?.to_owned(),
                expires: Time(fields.integer("expires")?),
                current: tag(fields.string("current")?)?,
                next: next.iter().map(|text| tag(text)).collect::<Option<_>>()?,
                late,
            })
        });
        read.ok_or(AccountsError::NotAnAccountFile("a login that is none"))
    }

    pub(super) fn put(&self, txn: &mut WriteTxn, id: &LoginId) -> Result<(), AccountsError> {
        let mut object = Object::new()
            .with_text("identity", &self.identity)
            .with("expires", self.expires.0)
            .with_text("current", &Base64UrlUnpadded::encode_string(&self.current));
        if !self.next.is_empty() {
            let next: Value =
                self.next.iter().map(|tag| Base64UrlUnpadded::encode_string(tag)).collect();
            object = object.with("next", next);
        }
        if let Some((late, until)) = &self.late {
            object = object
                .with_text("late", &Base64UrlUnpadded::encode_string(late))
                .with("late_until", until.0);
        }
        txn.tree(LOGINS)?.insert(id, object.write().expose())?;
        Ok(())
    }
}

/// Parses a tag.
fn tag(text: &str) -> Option<Tag> {
    let mut tag = Tag::default();
    let read = Base64UrlUnpadded::decode(text, &mut tag).ok()?.len();
    (read == tag.len()).then_some(tag)
}

/// Removes a login.
pub(super) fn end_login(
    txn: &mut WriteTxn,
    identity: &str,
    id: &LoginId,
) -> Result<(), AccountsError> {
    if !fault::on(Fault::Sv14) {
        txn.tree(LOGINS)?.remove(id)?;
    }
    txn.tree(LOGINS_OF_ACCOUNT)?.remove(&account_login_key(identity, id))?;
    Ok(())
}

impl From<Error> for AccountsError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<std::io::Error> for AccountsError {
    fn from(_: std::io::Error) -> Self {
        Self::RandomSource
    }
}

impl std::error::Error for AccountsError {}

impl fmt::Display for AccountsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::RandomSource => f.write_str("the system gives no random bytes; try again later"),
            Self::Hash => f.write_str("a password could not be hashed; check the free memory"),
            Self::NotAnAccountFile(what) => {
                write!(f, "the file holds {what}; is it the accounts of a server?")
            }
        }
    }
}
