//! The accounts of a server: what is decided from what is stored, without changing it.
//!
//! - H3 H4 A token is good if it is genuine, stored, and has not expired; nothing is cached.
//! - H8 Whether somebody is an administrator is read from the account, at every call.

use super::answer::{Answer, Event};
use super::call::Call;
use super::file_path;
use super::record::{Account, AccountsError, FORMAT, LoginRecord, Records, SERVER};
use super::signed::{Claims, Signer};
use super::step::{HashJob, HashTask, Make, Step, Write, WriteJob};
use super::token_keys::{Genuine, TokenKeys};
use crate::credentials::provider;
use crate::error_code::ErrorCode;
use crate::json::Object;
use crate::secret::Secret;
use crate::token::{Permission, Token};
use fastness::fault::{self, Fault};
use fastness::{RandomSource, Store, Time};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// The name of the administrator that a new server has.
pub const ADMIN_NAME: &str = "realm-admin";

/// How long a token that was replaced may still come late: longer than clients wait for answers.
pub(super) const LATE: Duration = Duration::from_secs(60);

/// So many successors of a token are good, until one of them is presented.
pub(super) const SUCCESSORS_MAX: usize = 8;

/// How long tokens live, and how many logins an account may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Of access tokens, which cannot be taken back: ten minutes.
    pub access_ttl: Duration,
    /// Of refresh tokens: ten years.
    pub refresh_ttl: Duration,
    /// The oldest login of an account ends when there would be more than this: 100.
    pub logins_max: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            access_ttl: Duration::from_secs(600),
            refresh_ttl: Duration::from_secs(10 * 365 * 86_400),
            logins_max: 100,
        }
    }
}

/// The accounts of a server, in a store.
pub struct Accounts {
    pub(super) store: Store,
    pub(super) entropy: Arc<dyn RandomSource>,
    pub(super) policy: Policy,
    pub(super) tokens: TokenKeys,
    signer: Signer,
}

/// A refresh token that was presented, and belongs to a login.
pub(super) struct Presented {
    pub(super) token: Genuine,
    pub(super) login: LoginRecord,
    pub(super) place: Place,
}

/// Where a token stands in its login.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It is the one.
    Current,
    /// The current one was exchanged for it, and no such successor has been presented yet.
    Next,
    /// The current one replaced it just now; for so long it only comes late.
    Late(Duration),
    /// It was exchanged before, or forgotten.
    Old,
}

impl Accounts {
    /// Takes a store: a new one, or one that was taken before.
    ///
    /// # Errors
    /// [`AccountsError::NotAccounts`] if it holds something else; otherwise if it cannot be read
    /// or, when it is new, written.
    pub fn open(
        store: Store,
        entropy: Arc<dyn RandomSource>,
        policy: Policy,
    ) -> Result<Self, AccountsError> {
        let root = root_key(&store, &*entropy)?;
        let (tokens, signer) = (TokenKeys::new(&root), Signer::new(&root));
        Ok(Self { store, entropy, policy, tokens, signer })
    }

    /// Returns what signs access tokens, and reads them.
    #[must_use]
    pub const fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Tells whether something can be written: not after a failure that left the disk unknown.
    ///
    /// # Errors
    /// Why not.
    pub fn check_health(&self) -> Result<(), AccountsError> {
        self.store.write()?.abort();
        Ok(())
    }

    /// Begins to answer a call. Reads, and does nothing else.
    #[must_use]
    pub fn begin(&self, now: Time, call: Call) -> Step {
        let mut records = self.store.snapshot();
        self.decide(now, call, &mut records).unwrap_or_else(|e| Step::Answer(Answer::failed(e)))
    }

    fn decide(
        &self,
        now: Time,
        call: Call,
        records: &mut dyn Records,
    ) -> Result<Step, AccountsError> {
        match call {
            Call::Register { name, password } => {
                if records.named(&name)?.is_some() {
                    return Ok(Step::Answer(Answer::refused(ErrorCode::EXISTING_ACCOUNT)));
                }
                let (salt, then) = (self.salt()?, Make::Account { name });
                Ok(Step::Hash(HashJob { password, task: HashTask::Make { salt, then } }))
            }
            Call::LogIn { name, password } => {
                let account = match records.named(&name)? {
                    Some(identity) => {
                        let account = account_of(records, &identity)?;
                        Some((identity, account.password))
                    }
                    None if fault::on(Fault::Sv10) => {
                        let refused = Answer::refused(ErrorCode::INVALID_CREDENTIALS);
                        return Ok(Step::Answer(refused));
                    }
                    None => None,
                };
                let task = HashTask::Check { account, salt: self.salt()? };
                Ok(Step::Hash(HashJob { password, task }))
            }
            Call::Revoke { refresh } => match self.tokens.read(&refresh) {
                Some(_) => Ok(Step::Write(WriteJob(Write::Revoke { refresh }))),
                None => Ok(Step::Answer(Answer::refused(ErrorCode::EXPIRED_REFRESH_TOKEN))),
            },
            Call::ChangePassword { .. } | Call::AccessToken { .. } | Call::LookUp { .. } => {
                self.presented_with(now, call, records)
            }
        }
    }

    /// Begins to answer a call that is made with a refresh token.
    fn presented_with(
        &self,
        now: Time,
        call: Call,
        records: &mut dyn Records,
    ) -> Result<Step, AccountsError> {
        let presented = match call.refresh() {
            Some(refresh) => self.present(now, refresh, records)?,
            None => None,
        };
        let Some(presented) = presented else {
            return Ok(Step::Answer(Answer::refused(ErrorCode::EXPIRED_REFRESH_TOKEN)));
        };
        if let Place::Late(pause) = presented.place {
            return Ok(Step::Answer(late(pause)));
        }
        let by = &presented.login.identity;
        let is_current = presented.place == Place::Current;
        match call {
            // The commit after the hash takes the token, also if it is a successor.
            Call::ChangePassword { refresh, identity, password }
                if presented.place != Place::Old =>
            {
                if let Err(code) = may_change(records, by, identity.as_deref())? {
                    return Ok(Step::Answer(Answer::refused(code)));
                }
                let (salt, then) = (self.salt()?, Make::Password { refresh, identity });
                Ok(Step::Hash(HashJob { password, task: HashTask::Make { salt, then } }))
            }
            Call::AccessToken { rotate: false, .. } | Call::LookUp { .. } if is_current => {
                self.answer(now, (&call, by), records).map(Step::Answer)
            }
            Call::AccessToken { .. }
            | Call::LookUp { .. }
            | Call::ChangePassword { .. }
            | Call::Register { .. }
            | Call::LogIn { .. }
            | Call::Revoke { .. } => Ok(Step::Write(WriteJob(Write::Present(call)))),
        }
    }

    /// Reads a token, and where it stands; `None` unless it is of a login that goes on.
    pub(super) fn present(
        &self,
        now: Time,
        refresh: &Secret,
        records: &mut dyn Records,
    ) -> Result<Option<Presented>, AccountsError> {
        let Some(token) = self.tokens.read(refresh) else { return Ok(None) };
        let login = records.login(&token.login())?;
        let goes_on = |login: &LoginRecord| login.expires > now || fault::on(Fault::Sv09);
        let Some(login) = login.filter(goes_on) else { return Ok(None) };
        let is = |tag| self.tokens.is(&token, tag);
        let place = match &login.late {
            _ if is(&login.current) => Place::Current,
            _ if login.next.iter().any(is) => Place::Next,
            Some((late, until)) if *until > now && is(late) && !fault::on(Fault::Sv08) => {
                // A clock that was put back makes nobody wait longer than that.
                Place::Late(until.since(now).min(LATE))
            }
            Some(_) | None => Place::Old,
        };
        Ok(Some(Presented { token, login, place }))
    }

    /// Answers a call that needs nothing but to be answered, for whoever makes it.
    pub(super) fn answer(
        &self,
        now: Time,
        (call, by): (&Call, &str),
        records: &mut dyn Records,
    ) -> Result<Answer, AccountsError> {
        match call {
            Call::AccessToken { path, .. } => {
                let is_admin = account_of(records, by)?.is_admin;
                let Some(path) = file_path::resolved(path, by) else {
                    let hint = "`path` is none that a file can have";
                    return Ok(Answer::refused(ErrorCode::INVALID_PARAMETERS).with_hint(hint));
                };
                if !is_admin && !file_path::is_of(&path, by) {
                    return Ok(Answer::refused(ErrorCode::ACCESS_DENIED));
                }
                let token = self.access_token(now, by, (path, is_admin));
                let body = Object::new().with_object("access_token", token.write());
                Ok(Answer::granted(&body, Event::Granted(by.to_owned())))
            }
            Call::LookUp { provider, name, .. } => look_up(records, by, (provider, name)),
            Call::Register { .. }
            | Call::LogIn { .. }
            | Call::Revoke { .. }
            | Call::ChangePassword { .. } => Ok(Answer::refused(ErrorCode::BAD_REQUEST)),
        }
    }

    pub(super) fn access_token(
        &self,
        now: Time,
        identity: &str,
        (path, is_admin): (String, bool),
    ) -> Token {
        let permissions = vec![Permission::Upload, Permission::Download, Permission::Manage];
        let claims = Claims {
            identity: identity.to_owned(),
            path,
            permissions,
            expires_seconds: now.plus(self.policy.access_ttl).0.div_euclid(1000),
            is_admin,
        };
        let value = self.signer.sign(&claims);
        let Claims { identity, path, permissions, expires_seconds, is_admin } = claims;
        Token { value, identity, path, expires_seconds, permissions, is_admin }
    }

    fn salt(&self) -> Result<[u8; 16], AccountsError> {
        let mut salt = [0; 16];
        self.entropy.fill(&mut salt)?;
        Ok(salt)
    }
}

/// Answers who presents a token that was replaced just now: neither granted nor held against them.
pub(super) fn late(pause: Duration) -> Answer {
    Answer::later(ErrorCode::SERVICE_UNAVAILABLE, pause).with_hint("the token was exchanged")
}

/// Returns the account that a login or a name leads to, which is there.
pub(super) fn account_of(
    records: &mut dyn Records,
    identity: &str,
) -> Result<Account, AccountsError> {
    records.account(identity)?.ok_or(AccountsError::NotAccounts("a login without an account"))
}

/// Tells who may change whose password, or with which code that is refused.
pub(super) fn may_change(
    records: &mut dyn Records,
    by: &str,
    of: Option<&str>,
) -> Result<Result<(), ErrorCode>, AccountsError> {
    let Some(of) = of.filter(|of| *of != by) else { return Ok(Ok(())) };
    if !account_of(records, by)?.is_admin {
        return Ok(Err(ErrorCode::ACCESS_DENIED));
    }
    Ok(records.account(of)?.map(drop).ok_or(ErrorCode::UNKNOWN_ACCOUNT))
}

fn look_up(
    records: &mut dyn Records,
    by: &str,
    (asked, name): (&str, &Secret),
) -> Result<Answer, AccountsError> {
    if !account_of(records, by)?.is_admin && !fault::on(Fault::Sv13) {
        return Ok(Answer::refused(ErrorCode::ACCESS_DENIED));
    }
    let identity = if asked == provider::PASSWORD { records.named(name)? } else { None };
    let Some(identity) = identity else {
        return Ok(Answer::refused(ErrorCode::UNKNOWN_ACCOUNT));
    };
    let body = Object::new()
        .with_text("userId", &identity)
        .with("isAdmin", account_of(records, &identity)?.is_admin)
        .with_object("metadata", Object::new());
    Ok(Answer::granted(&body, Event::LookedUp(identity)))
}

/// Returns the key behind all others; made when the store is new.
fn root_key(
    store: &Store,
    entropy: &dyn RandomSource,
) -> Result<Zeroizing<[u8; 32]>, AccountsError> {
    let mut txn = store.write()?;
    let mut root = Zeroizing::new([0; 32]);
    let mut tree = txn.tree(SERVER)?;
    if let Some(format) = tree.get(b"format")? {
        if *format != *FORMAT {
            return Err(AccountsError::NotAccounts("accounts of another version"));
        }
        let key = tree.get(b"key")?.filter(|key| key.len() == root.len());
        root.copy_from_slice(&key.ok_or(AccountsError::NotAccounts("no key"))?);
        return Ok(root);
    }
    if store.snapshot().tree_names().next().is_some() {
        return Err(AccountsError::NotAccounts("trees of something else"));
    }
    entropy.fill(&mut *root)?;
    tree.insert(b"format", FORMAT)?;
    tree.insert(b"key", &*root)?;
    txn.commit()?;
    Ok(root)
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts")
            .field("store", &self.store)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
