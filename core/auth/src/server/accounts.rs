//! Accounts of a server: the read-only part of each request.
//!
//! - H3 H4 A token is valid if it is authentic, stored and not expired; there is no cache.
//! - H8 Every request reads from the account whether the user is an administrator.

use super::access_token::{Claims, Signer};
use super::api_request::ApiRequest;
use super::file_path;
use super::record::{Account, AccountsError, FORMAT, LoginRecord, ReadRecords, SERVER};
use super::refresh_token::{RefreshTokenKeys, VerifiedToken};
use super::response::{Event, Response};
use super::step::{Change, CommitJob, HashJob, HashTask, NewHash, Step};
use crate::credentials::provider;
use crate::error_code::ErrorCode;
use crate::fault::{self, Fault};
use crate::json::Object;
use crate::secret::Secret;
use crate::token::{Permission, Token};
use fastness::{RandomSource, Store, Time};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Name of the administrator of a new server.
pub const ADMIN_NAME: &str = "realm-admin";

/// Time for which a superseded token is refused without ending its login; longer than the
/// time-outs of clients.
pub(super) const SUPERSEDED_GRACE: Duration = Duration::from_secs(60);

/// Number of successors of a token that are valid until one of them is presented.
pub(super) const SUCCESSORS_MAX: usize = 8;

/// Lifetimes of tokens, and logins per account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Lifetime of access tokens, which cannot be revoked: ten minutes.
    pub access_ttl: Duration,
    /// Lifetime of refresh tokens: ten years.
    pub refresh_ttl: Duration,
    /// Logins per account: 100. A further login ends the oldest one.
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

/// Accounts of a server, in a store.
pub struct Accounts {
    pub(super) store: Store,
    pub(super) entropy: Arc<dyn RandomSource>,
    pub(super) policy: Policy,
    pub(super) tokens: RefreshTokenKeys,
    signer: Signer,
}

/// Presented refresh token of an active login.
pub(super) struct PresentedToken {
    pub(super) token: VerifiedToken,
    pub(super) login: LoginRecord,
    pub(super) state: TokenState,
}

/// Authenticated caller of a request.
#[derive(Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) now: Time,
    pub(super) identity: &'a str,
}

/// User to look up.
struct UserName<'a> {
    provider: &'a str,
    name: &'a Secret,
}

/// State of a refresh token within its login.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenState {
    /// The current token.
    Current,
    /// A successor of the current token; no successor has been presented yet.
    Successor,
    /// The predecessor of the current token, within the remaining grace period.
    Superseded(Duration),
    /// An older token.
    Reused,
}

impl Accounts {
    /// Opens the accounts in a store, or initializes an empty one.
    ///
    /// # Errors
    /// [`AccountsError::NotAnAccountFile`] if the store contains other data, and errors of the
    /// store.
    pub fn open(
        store: Store,
        entropy: Arc<dyn RandomSource>,
        policy: Policy,
    ) -> Result<Self, AccountsError> {
        let root = root_key(&store, &*entropy)?;
        let (tokens, signer) = (RefreshTokenKeys::new(&root), Signer::new(&root));
        Ok(Self { store, entropy, policy, tokens, signer })
    }

    /// Returns the signer of access tokens.
    #[must_use]
    pub const fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Checks that the store accepts writes. It does not after a failure that left the state of the
    /// disk unknown.
    ///
    /// # Errors
    /// The error of the store.
    pub fn check_health(&self) -> Result<(), AccountsError> {
        self.store.write()?.abort();
        Ok(())
    }

    /// Starts a request. This step only reads.
    #[must_use]
    pub fn start(&self, now: Time, call: ApiRequest) -> Step {
        let mut records = self.store.snapshot();
        self.decide(now, call, &mut records).unwrap_or_else(|e| Step::Respond(Response::failed(e)))
    }

    fn decide(
        &self,
        now: Time,
        call: ApiRequest,
        records: &mut dyn ReadRecords,
    ) -> Result<Step, AccountsError> {
        match call {
            ApiRequest::Register { name, password } => {
                if records.named(&name)?.is_some() {
                    return Ok(Step::Respond(Response::refused(ErrorCode::EXISTING_ACCOUNT)));
                }
                let (salt, then) = (self.salt()?, NewHash::Account { name });
                Ok(Step::Hash(HashJob { password, task: HashTask::Create { salt, then } }))
            }
            ApiRequest::LogIn { name, password } => {
                let account = match records.named(&name)? {
                    Some(identity) => {
                        let account = account_of(records, &identity)?;
                        Some((identity, account.password))
                    }
                    None if fault::on(Fault::Sv10) => {
                        let refused = Response::refused(ErrorCode::INVALID_CREDENTIALS);
                        return Ok(Step::Respond(refused));
                    }
                    None => None,
                };
                let task = HashTask::Verify { account, salt: self.salt()? };
                Ok(Step::Hash(HashJob { password, task }))
            }
            ApiRequest::Revoke { refresh } => match self.tokens.read(&refresh) {
                Some(_) => Ok(Step::Commit(CommitJob(Change::Revoke { refresh }))),
                None => Ok(Step::Respond(Response::refused(ErrorCode::EXPIRED_REFRESH_TOKEN))),
            },
            ApiRequest::ChangePassword { .. }
            | ApiRequest::AccessToken { .. }
            | ApiRequest::LookUp { .. } => self.presented_with(now, call, records),
        }
    }

    /// Starts a request that presents a refresh token.
    fn presented_with(
        &self,
        now: Time,
        call: ApiRequest,
        records: &mut dyn ReadRecords,
    ) -> Result<Step, AccountsError> {
        let presented = match call.refresh() {
            Some(refresh) => self.present(now, refresh, records)?,
            None => None,
        };
        let Some(presented) = presented else {
            return Ok(Step::Respond(Response::refused(ErrorCode::EXPIRED_REFRESH_TOKEN)));
        };
        if let TokenState::Superseded(pause) = presented.state {
            return Ok(Step::Respond(superseded(pause)));
        }
        let by = &presented.login.identity;
        let is_current = presented.state == TokenState::Current;
        match call {
            // The commit after the hash presents the token, also if it is a successor.
            ApiRequest::ChangePassword { refresh, identity, password }
                if presented.state != TokenState::Reused =>
            {
                if let Err(code) = may_change(records, by, identity.as_deref())? {
                    return Ok(Step::Respond(Response::refused(code)));
                }
                let (salt, then) = (self.salt()?, NewHash::Password { refresh, identity });
                Ok(Step::Hash(HashJob { password, task: HashTask::Create { salt, then } }))
            }
            ApiRequest::AccessToken { rotate: false, .. } | ApiRequest::LookUp { .. }
                if is_current =>
            {
                self.respond(Caller { now, identity: by }, &call, records).map(Step::Respond)
            }
            ApiRequest::AccessToken { .. }
            | ApiRequest::LookUp { .. }
            | ApiRequest::ChangePassword { .. }
            | ApiRequest::Register { .. }
            | ApiRequest::LogIn { .. }
            | ApiRequest::Revoke { .. } => Ok(Step::Commit(CommitJob(Change::Present(call)))),
        }
    }

    /// Reads a token and its state; `None` unless its login is active.
    pub(super) fn present(
        &self,
        now: Time,
        refresh: &Secret,
        records: &mut dyn ReadRecords,
    ) -> Result<Option<PresentedToken>, AccountsError> {
        let Some(token) = self.tokens.read(refresh) else { return Ok(None) };
        let login = records.login(&token.login())?;
        let goes_on = |login: &LoginRecord| login.expires > now || fault::on(Fault::Sv09);
        let Some(login) = login.filter(goes_on) else { return Ok(None) };
        let is = |tag| self.tokens.is(&token, tag);
        let state = match &login.late {
            _ if is(&login.current) => TokenState::Current,
            _ if login.next.iter().any(is) => TokenState::Successor,
            Some((late, until)) if *until > now && is(late) && !fault::on(Fault::Sv08) => {
                // After a clock step backwards the wait is bounded by the grace period.
                TokenState::Superseded(until.since(now).min(SUPERSEDED_GRACE))
            }
            Some(_) | None => TokenState::Reused,
        };
        Ok(Some(PresentedToken { token, login, state }))
    }

    /// Responds to a read-only request of an authenticated user.
    pub(super) fn respond(
        &self,
        caller: Caller<'_>,
        request: &ApiRequest,
        records: &mut dyn ReadRecords,
    ) -> Result<Response, AccountsError> {
        let by = caller.identity;
        match request {
            ApiRequest::AccessToken { path, .. } => {
                let is_admin = account_of(records, by)?.is_admin;
                let Some(path) = file_path::resolve(path, by) else {
                    let hint = "`path` is none that a file can have";
                    return Ok(Response::refused(ErrorCode::INVALID_PARAMETERS).with_hint(hint));
                };
                if !is_admin && !file_path::belongs_to(&path, by) {
                    return Ok(Response::refused(ErrorCode::ACCESS_DENIED));
                }
                let token = self.access_token(caller, path, is_admin);
                let body = Object::new().with_object("access_token", token.write());
                Ok(Response::granted(&body, Event::Granted(by.to_owned())))
            }
            ApiRequest::LookUp { provider, name, .. } => {
                look_up(records, by, &UserName { provider, name })
            }
            ApiRequest::Register { .. }
            | ApiRequest::LogIn { .. }
            | ApiRequest::Revoke { .. }
            | ApiRequest::ChangePassword { .. } => Ok(Response::refused(ErrorCode::BAD_REQUEST)),
        }
    }

    pub(super) fn access_token(&self, caller: Caller<'_>, path: String, is_admin: bool) -> Token {
        let permissions = vec![Permission::Upload, Permission::Download, Permission::Manage];
        let claims = Claims {
            identity: caller.identity.to_owned(),
            path,
            permissions,
            expires_seconds: caller.now.plus(self.policy.access_ttl).0.div_euclid(1000),
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

/// Refuses a superseded token within its grace period; the login continues.
pub(super) fn superseded(pause: Duration) -> Response {
    Response::later(ErrorCode::SERVICE_UNAVAILABLE, pause).with_hint("the token was exchanged")
}

/// Returns the account of a login or a name, which must exist.
pub(super) fn account_of(
    records: &mut dyn ReadRecords,
    identity: &str,
) -> Result<Account, AccountsError> {
    records.account(identity)?.ok_or(AccountsError::NotAnAccountFile("a login without an account"))
}

/// Checks the permission to change a password; returns the code of a refusal.
pub(super) fn may_change(
    records: &mut dyn ReadRecords,
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
    records: &mut dyn ReadRecords,
    by: &str,
    user: &UserName<'_>,
) -> Result<Response, AccountsError> {
    if !account_of(records, by)?.is_admin && !fault::on(Fault::Sv13) {
        return Ok(Response::refused(ErrorCode::ACCESS_DENIED));
    }
    let identity =
        if user.provider == provider::PASSWORD { records.named(user.name)? } else { None };
    let Some(identity) = identity else {
        return Ok(Response::refused(ErrorCode::UNKNOWN_ACCOUNT));
    };
    let body = Object::new()
        .with_text("userId", &identity)
        .with("isAdmin", account_of(records, &identity)?.is_admin)
        .with_object("metadata", Object::new());
    Ok(Response::granted(&body, Event::LookedUp(identity)))
}

/// Returns the root key; generates one in a new store.
fn root_key(
    store: &Store,
    entropy: &dyn RandomSource,
) -> Result<Zeroizing<[u8; 32]>, AccountsError> {
    let mut txn = store.write()?;
    let mut root = Zeroizing::new([0; 32]);
    let mut tree = txn.tree(SERVER)?;
    if let Some(format) = tree.get(b"format")? {
        if *format != *FORMAT {
            return Err(AccountsError::NotAnAccountFile("accounts of another version"));
        }
        let key = tree.get(b"key")?.filter(|key| key.len() == root.len());
        root.copy_from_slice(&key.ok_or(AccountsError::NotAnAccountFile("no key"))?);
        return Ok(root);
    }
    if store.snapshot().tree_names().next().is_some() {
        return Err(AccountsError::NotAnAccountFile("trees of something else"));
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
