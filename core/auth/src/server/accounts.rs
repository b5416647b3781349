//! Accounts of a server: the read-only part of each request.
//!
//! - H3 H4 A token is valid if it is authentic, stored and not expired, and its login does not
//!   begin in the future; there is no cache.
//! - H8 Every request reads from the account whether the user is an administrator.

use super::access_token::{CLOCK_SKEW_MAX, Claims, Signer};
use super::api_request::{ApiRequest, LookUpForm};
use super::file_path;
use super::name;
use super::record::{AccountsError, LoginRecord, ReadRecords, SERVER, account_of};
use super::refresh_token::{RefreshTokenKeys, VerifiedToken};
use super::response::{Event, Response};
use super::server_keys::{SIGNING_KEYS, normalize_names, root_key, signing_keys, stored_root};
use super::step::{Change, CommitJob, HashJob, HashTask, NewHash, Step};
use crate::credentials::provider;
use crate::error_code::ErrorCode;
use crate::fault::{self, Fault};
use crate::json::Object;
use crate::secret::Secret;
use crate::token::{Permission, Token};
use fastness::{Key, RandomSource, Store, Time};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// Time for which a superseded token is refused without ending its login; longer than the
/// time-outs of clients.
pub(super) const SUPERSEDED_GRACE: Duration = Duration::from_secs(60);

/// Longest pause before a retry with a token whose login begins in the future.
const EARLY_PAUSE_MAX: Duration = Duration::from_secs(300);

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
    /// Whether clients may create accounts: yes.
    pub registration: bool,
    /// Characters that a new password has at least: 1.
    pub password_chars_min: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            access_ttl: Duration::from_secs(600),
            refresh_ttl: Duration::from_secs(10 * 365 * 86_400),
            logins_max: 100,
            registration: true,
            password_chars_min: 1,
        }
    }
}

impl Policy {
    /// Refuses a new password that is too short.
    fn refused_password(&self, password: &Secret) -> Option<Response> {
        let least = self.password_chars_min;
        if password.expose().chars().count() >= least || fault::on(Fault::Sv19) {
            return None;
        }
        let hint = format!("a password has {least} characters at least");
        Some(Response::refused(ErrorCode::INVALID_PARAMETERS).with_hint(&hint))
    }
}

/// Accounts of a server, in a store.
pub struct Accounts {
    pub(super) store: Store,
    pub(super) entropy: Arc<dyn RandomSource>,
    pub(super) policy: Policy,
    pub(super) tokens: RefreshTokenKeys,
    pub(super) signer: RwLock<Arc<Signer>>,
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
    form: LookUpForm,
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
    /// The login begins in the future, by this much: the clock was ahead then, or is behind now.
    Early(Duration),
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
        normalize_names(&store)?;
        let keys = signing_keys(&mut store.snapshot(), &root)?;
        let signer = RwLock::new(Arc::new(Signer::new(&keys, policy.access_ttl)));
        let tokens = RefreshTokenKeys::new(&root);
        Ok(Self { store, entropy, policy, tokens, signer })
    }

    /// Returns the signer of access tokens; another one after a rotation of its key.
    #[must_use]
    pub fn signer(&self) -> Arc<Signer> {
        Arc::clone(&self.signer.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Copies the accounts into a new file, encrypted with `key`, while they are in use.
    ///
    /// # Errors
    /// The error of the store, for example if the file exists.
    pub fn copy(&self, target: impl AsRef<Path>, key: &Key) -> Result<(), AccountsError> {
        Ok(self.store.copy(target, Some(key))?)
    }

    /// Returns whether a refresh token is the current one of an administrator.
    #[must_use]
    pub fn is_admin(&self, now: Time, refresh: &Secret) -> bool {
        self.administrator(now, refresh).is_ok()
    }

    /// Returns the identity of the administrator whose current refresh token this is.
    ///
    /// # Errors
    /// The refusal: the token is not the current one of a login (615), its account is no
    /// administrator (614), or the accounts cannot be read (500).
    pub fn administrator(&self, now: Time, refresh: &Secret) -> Result<String, Box<Response>> {
        let mut records = self.store.snapshot();
        let failed = |error| Box::new(Response::failed(error));
        let presented = self.present(now, refresh, &mut records).map_err(failed)?;
        let presented = presented.filter(|presented| presented.state == TokenState::Current);
        let Some(PresentedToken { login, .. }) = presented else {
            return Err(Box::new(Response::refused(ErrorCode::EXPIRED_REFRESH_TOKEN)));
        };
        let account = account_of(&mut records, &login.identity).map_err(failed)?;
        if account.is_admin {
            return Ok(login.identity);
        }
        let denied = Event::Denied(login.identity);
        Err(Box::new(Response::refused(ErrorCode::ACCESS_DENIED).with_event(denied)))
    }

    /// Replaces the key that signs access tokens. Tokens that were issued before stay valid until
    /// they expire, unless the key is replaced again.
    ///
    /// # Errors
    /// The error of the store or of the random source; the key is then unchanged.
    pub fn rotate_signing_key(&self, now: Time) -> Result<(), AccountsError> {
        let mut txn = self.store.write()?;
        let root = stored_root(&mut txn)?;
        let mut keys = signing_keys(&mut txn, &root)?;
        let record = keys.rotate(now, &*self.entropy)?;
        txn.tree(SERVER)?.insert(SIGNING_KEYS, &record)?;
        // While the transaction is open, no other rotation is under way.
        let signer = Arc::new(Signer::new(&keys, self.policy.access_ttl));
        let mut current = self.signer.write().unwrap_or_else(PoisonError::into_inner);
        txn.commit()?;
        *current = signer;
        Ok(())
    }

    /// Checks that the store accepts writes: commits the time of the check.
    ///
    /// # Errors
    /// The error of the store: the disk is full or fails, or its state is unknown since a failure.
    pub fn check_health(&self, now: Time) -> Result<(), AccountsError> {
        let mut txn = self.store.write()?;
        txn.tree(SERVER)?.insert(b"health", &now.0.to_be_bytes())?;
        txn.commit()?;
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
                if !self.policy.registration && !fault::on(Fault::Sv18) {
                    let hint = "an administrator of the server creates accounts";
                    let refused = Response::refused(ErrorCode::ACCESS_DENIED);
                    return Ok(Step::Respond(refused.with_hint(hint)));
                }
                if let Some(refused) = self.policy.refused_password(&password) {
                    return Ok(Step::Respond(refused));
                }
                if name::is_reserved(&name) || records.named(&name)?.is_some() {
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
        if let Some(refused) = refused_for_now(presented.state) {
            return Ok(Step::Respond(refused));
        }
        let by = &presented.login.identity;
        let is_current = presented.state == TokenState::Current;
        match call {
            // The commit after the hash presents the token, also if it is a successor.
            ApiRequest::ChangePassword { refresh, identity, password }
                if presented.state != TokenState::Reused =>
            {
                if let Err(refusal) = may_change(records, by, identity.as_deref())? {
                    return Ok(Step::Respond(refusal));
                }
                if let Some(refused) = self.policy.refused_password(&password) {
                    return Ok(Step::Respond(refused));
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
        let early = token.began().since(now.plus(CLOCK_SKEW_MAX));
        let state = match &login.late {
            _ if !early.is_zero() && !fault::on(Fault::Sv21) => TokenState::Early(early),
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
                    return Ok(denied(by));
                }
                let token = self.access_token(caller, path, is_admin);
                let body = Object::new().with_object("access_token", token.write());
                Ok(Response::granted(&body, Event::Granted(by.to_owned())))
            }
            ApiRequest::LookUp { provider, name, form, .. } => {
                look_up(records, by, &UserName { provider, name, form: *form })
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
            issued_seconds: caller.now.0.div_euclid(1000),
            expires_seconds: caller.now.plus(self.policy.access_ttl).0.div_euclid(1000),
            is_admin,
        };
        let value = self.signer().sign(&claims);
        let Claims { identity, path, permissions, expires_seconds, is_admin, .. } = claims;
        Token { value, identity, path, expires_seconds, permissions, is_admin }
    }

    fn salt(&self) -> Result<[u8; 16], AccountsError> {
        let mut salt = [0; 16];
        self.entropy.fill(&mut salt)?;
        Ok(salt)
    }
}

/// Refuses a token that may be valid later; its login continues. A superseded one gets a pause
/// until the end of its grace period.
pub(super) fn refused_for_now(state: TokenState) -> Option<Response> {
    let (pause, hint) = match state {
        TokenState::Superseded(pause) => (pause, "the token was exchanged"),
        TokenState::Early(early) => {
            (early.min(EARLY_PAUSE_MAX), "the login is of the future; check the server's clock")
        }
        TokenState::Current | TokenState::Successor | TokenState::Reused => return None,
    };
    Some(Response::later(ErrorCode::SERVICE_UNAVAILABLE, pause).with_hint(hint))
}

/// Refuses what only an administrator may do.
fn denied(by: &str) -> Response {
    Response::refused(ErrorCode::ACCESS_DENIED).with_event(Event::Denied(by.to_owned()))
}

/// Checks the permission to change a password; returns a refusal.
pub(super) fn may_change(
    records: &mut dyn ReadRecords,
    by: &str,
    of: Option<&str>,
) -> Result<Result<(), Response>, AccountsError> {
    let Some(of) = of.filter(|of| *of != by) else { return Ok(Ok(())) };
    if !account_of(records, by)?.is_admin {
        return Ok(Err(denied(by)));
    }
    let found = records.account(of)?.map(drop);
    Ok(found.ok_or_else(|| Response::refused(ErrorCode::UNKNOWN_ACCOUNT)))
}

fn look_up(
    records: &mut dyn ReadRecords,
    by: &str,
    user: &UserName<'_>,
) -> Result<Response, AccountsError> {
    if !account_of(records, by)?.is_admin && !fault::on(Fault::Sv13) {
        return Ok(denied(by));
    }
    let identity =
        if user.provider == provider::PASSWORD { records.named(user.name)? } else { None };
    let Some(identity) = identity else {
        return Ok(Response::refused(ErrorCode::UNKNOWN_ACCOUNT));
    };
    let account = account_of(records, &identity)?;
    let body = match user.form {
        LookUpForm::TwoSlashes => Object::new()
            .with_text("userId", &identity)
            .with("isAdmin", account.is_admin)
            .with_object("metadata", Object::new()),
        LookUpForm::OneSlash => {
            // The released client requires both lists, and exactly two fields of each element.
            let known = Object::new()
                .with_text("provider", user.provider)
                .with_secret("provider_id", &account.name);
            Object::new()
                .with_text("user_id", &identity)
                .with("is_admin", account.is_admin)
                .with("metadata", Vec::<bool>::new())
                .with_list("accounts", [known])
        }
    };
    let event = Event::LookedUp { of: identity, by: by.to_owned() };
    Ok(Response::granted(&body, event))
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts")
            .field("store", &self.store)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
