//! What is kept about accounts and logins, as values in the trees of a store.
//!
//! - H10 Of passwords and tokens only hashes are kept.
//! - H12 A name leads to one account, since names are keys.
//!
//! Specified in docs/server.md#what-is-kept.

use super::token_keys::{LoginId, Tag};
use crate::credentials::provider;
use crate::json::{Object, Value};
use crate::secret::Secret;
use base64ct::{Base64UrlUnpadded, Encoding as _};
use fastness::fault::{self, Fault};
use fastness::{Bytes, Error, Snapshot, Time, TreeMut, WriteTxn};
use std::fmt;

pub(super) const ACCOUNTS: &str = "accounts";
pub(super) const NAMES: &str = "names";
pub(super) const LOGINS: &str = "logins";
pub(super) const HELD: &str = "held";
pub(super) const SERVER: &str = "server";

/// The version of all these trees.
pub(super) const FORMAT: &[u8] = b"1";

/// An account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Account {
    pub(super) name: Secret,
    pub(super) is_admin: bool,
    /// Nobody has logged in with the password that was made for it.
    pub(super) is_unused: bool,
    /// The hash of the password, which says how it was made.
    pub(super) password: String,
}

/// A login: what a name and a password were exchanged for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct LoginRecord {
    pub(super) identity: String,
    pub(super) expires: Time,
    /// Of the token that is good.
    pub(super) current: Tag,
    /// Of the tokens it was exchanged for, until one of them is presented; the oldest first.
    pub(super) next: Vec<Tag>,
    /// Of the token that was current before, and until when it may come late.
    pub(super) late: Option<(Tag, Time)>,
}

/// Why the server itself failed.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum AccountsError {
    /// The store failed.
    Store(Error),
    /// The source of random bytes failed.
    RandomSource,
    /// A password could not be hashed.
    Hash,
    /// The file holds something else than accounts: what of it is not as it should be.
    NotAccounts(&'static str),
}

/// Where records are read: a snapshot, or the transaction that changes them.
pub(super) trait Records {
    fn record(&mut self, tree: &str, key: &[u8]) -> Result<Option<Bytes>, AccountsError>;

    fn account(&mut self, identity: &str) -> Result<Option<Account>, AccountsError> {
        let bytes = self.record(ACCOUNTS, identity.as_bytes())?;
        bytes.map(|bytes| Account::read(&bytes)).transpose()
    }

    /// Returns the identity behind a name.
    fn named(&mut self, name: &Secret) -> Result<Option<String>, AccountsError> {
        let Some(bytes) = self.record(NAMES, &name_key(name))? else { return Ok(None) };
        let identity = String::from_utf8(bytes.to_vec());
        identity.map(Some).map_err(|_| AccountsError::NotAccounts("a name leads to no identity"))
    }

    fn login(&mut self, id: &LoginId) -> Result<Option<LoginRecord>, AccountsError> {
        let bytes = self.record(LOGINS, id)?;
        bytes.map(|bytes| LoginRecord::read(&bytes)).transpose()
    }
}

impl Records for Snapshot {
    fn record(&mut self, tree: &str, key: &[u8]) -> Result<Option<Bytes>, AccountsError> {
        Ok(self.tree(tree).get(key)?)
    }
}

impl Records for WriteTxn {
    fn record(&mut self, tree: &str, key: &[u8]) -> Result<Option<Bytes>, AccountsError> {
        Ok(self.tree(tree)?.get(key)?)
    }
}

/// The key of a name: after its provider, of which there is one.
pub(super) fn name_key(name: &Secret) -> Vec<u8> {
    [provider::PASSWORD.as_bytes(), b"\0", name.expose().as_bytes()].concat()
}

/// The key of a login among those of its account.
pub(super) fn held_key(identity: &str, login: &LoginId) -> Vec<u8> {
    [identity.as_bytes(), login].concat()
}

/// Returns the logins that an account holds, oldest first.
pub(super) fn held(tree: &TreeMut<'_>, identity: &str) -> Result<Vec<LoginId>, AccountsError> {
    let first = held_key(identity, &[0; 16]);
    let last = held_key(identity, &[0xff; 16]);
    let mut logins = Vec::new();
    for entry in tree.range(first.as_slice()..=last.as_slice())? {
        let (key, _) = entry?;
        let id = key.get(identity.len()..).and_then(|id| LoginId::try_from(id).ok());
        logins.push(id.ok_or(AccountsError::NotAccounts("a login without a name"))?);
    }
    Ok(logins)
}

impl Account {
    fn read(bytes: &[u8]) -> Result<Self, AccountsError> {
        let object = Object::read_strictly(bytes);
        let read = object.as_ref().and_then(|object| {
            let fields = object.fields();
            Some(Self {
                name: fields.string("name")?.into(),
                is_admin: fields.truth("is_admin")?,
                is_unused: fields.truth("unused")?,
                password: fields.string("password")?.to_owned(),
            })
        });
        read.ok_or(AccountsError::NotAccounts("an account that is none"))
    }

    pub(super) fn put(&self, txn: &mut WriteTxn, identity: &str) -> Result<(), AccountsError> {
        let object = Object::new()
            .with_secret("name", &self.name)
            .with("is_admin", self.is_admin)
            .with("unused", self.is_unused)
            .with_text("password", &self.password);
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
        read.ok_or(AccountsError::NotAccounts("a login that is none"))
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

/// Reads a tag as it is written.
fn tag(text: &str) -> Option<Tag> {
    let mut tag = Tag::default();
    let read = Base64UrlUnpadded::decode(text, &mut tag).ok()?.len();
    (read == tag.len()).then_some(tag)
}

/// Takes a login away.
pub(super) fn end_login(
    txn: &mut WriteTxn,
    identity: &str,
    id: &LoginId,
) -> Result<(), AccountsError> {
    if !fault::on(Fault::Sv14) {
        txn.tree(LOGINS)?.remove(id)?;
    }
    txn.tree(HELD)?.remove(&held_key(identity, id))?;
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
            Self::Hash => f.write_str("a password could not be hashed; is there enough memory?"),
            Self::NotAccounts(what) => {
                write!(f, "the file holds {what}; is it the accounts of a server?")
            }
        }
    }
}
