//! Requests that change accounts: one transaction each, which repeats every check.
//!
//! - H1 The response follows the durable commit; a refusal waits until the data that it read is
//!   durable.
//! - H2 The transaction compares the password hash with the one that was checked.
//! - H3 A token that was revoked meanwhile changes nothing.
//! - H5 A revocation ends exactly the login of its token.
//! - H6 A presented successor becomes the current token; its predecessor is refused for a grace
//!   period, and any older token ends the login.
//! - H12 The transaction that takes a name checks that it is free.

use super::accounts::{
    Accounts, Caller, PresentedToken, SUCCESSORS_MAX, SUPERSEDED_GRACE, TokenState, may_change,
    refused_for_now,
};
use super::api_request::ApiRequest;
use super::name::ADMIN_NAME;
use super::record::{
    Account, AccountsError, LOGINS_OF_ACCOUNT, LoginRecord, NAMES, ReadRecords as _,
    account_login_key, account_of, end_login, logins_of, name_key,
};
use super::refresh_token::new_login;
use super::response::{Event, Response};
use super::step::{Change, CommitJob, PasswordHasher, wrong_password};
use crate::error_code::ErrorCode;
use crate::fault::{self, Fault};
use crate::json::Object;
use crate::secret::Secret;
use crate::token::{Permission, Token};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use fastness::{Time, WriteTxn};
use std::fmt::Write as _;
use zeroize::Zeroizing;

pub(super) type Outcome<T> = Result<T, AccountsError>;

impl Accounts {
    /// Commits a change and returns the response once the commit is durable.
    #[must_use]
    pub fn commit(&self, now: Time, job: CommitJob) -> Response {
        self.apply(now, job.0).unwrap_or_else(Response::failed)
    }

    fn apply(&self, now: Time, change: Change) -> Outcome<Response> {
        let mut commit = Commit::begin(self, now)?;
        let response = match change {
            Change::Register { name, hash } => commit.register(name, hash),
            Change::LogIn { identity, hash } => commit.log_in(&identity, &hash),
            Change::Revoke { refresh } => commit.revoke(&refresh),
            Change::SetPassword { refresh, identity, hash } => {
                commit.change_password(&refresh, identity.as_deref(), hash)
            }
            Change::Present(request) => commit.present_and_respond(&request),
        }?;
        // A transaction without changes still waits until the data that it read is durable.
        commit.txn.commit_with(fault::accounts::durability())?;
        Ok(response)
    }

    /// Creates the administrator if there is none, and sets a new random password until the first
    /// login. Returns the password; `None` after the first login.
    ///
    /// # Errors
    /// Errors of the store and the hasher.
    pub fn ensure_admin(&self, hasher: &dyn PasswordHasher) -> Outcome<Option<Secret>> {
        // The time matters to logins only.
        let mut commit = Commit::begin(self, Time(0))?;
        let name = Secret::from(ADMIN_NAME);
        let found = match commit.txn.named(&name)? {
            Some(identity) => Some((account_of(&mut commit.txn, &identity)?, identity)),
            None => None,
        };
        if found.as_ref().is_some_and(|(account, _)| !account.is_unused) {
            return Ok(None);
        }
        let mut bytes = Zeroizing::new([0; 18 + 16]);
        self.entropy.fill(&mut *bytes)?;
        let (secret, salt) = bytes.split_at(18);
        let secret = Secret::new(Base64UrlUnpadded::encode_string(secret));
        let salt = salt.try_into().map_err(|_| AccountsError::Hash)?;
        let password = hasher.hash(&secret, &salt).map_err(|_| AccountsError::Hash)?;
        let account =
            Account { name, is_admin: true, is_unused: true, is_blocked: false, password };
        match found {
            Some((_, identity)) => account.put(&mut commit.txn, &identity)?,
            None => drop(commit.add(&account)?),
        }
        commit.txn.commit()?;
        Ok(Some(secret))
    }
}

/// Transaction of one change.
pub(super) struct Commit<'a> {
    accounts: &'a Accounts,
    pub(super) txn: WriteTxn,
    now: Time,
}

impl<'a> Commit<'a> {
    pub(super) fn begin(accounts: &'a Accounts, now: Time) -> Outcome<Self> {
        Ok(Self { accounts, txn: accounts.store.write()?, now })
    }

    fn register(&mut self, name: Secret, hash: String) -> Outcome<Response> {
        if self.txn.named(&name)?.is_some() && !fault::on(Fault::Sv06) {
            return Ok(Response::refused(ErrorCode::EXISTING_ACCOUNT));
        }
        let (is_admin, is_unused, is_blocked) = (false, false, false);
        let account = Account { name, is_admin, is_unused, is_blocked, password: hash };
        let identity = self.add(&account)?;
        let token = self.start_login(&identity, false)?;
        Ok(login_response(&token, Event::Registered(identity)))
    }

    /// Adds an account under a free name.
    pub(super) fn add(&mut self, account: &Account) -> Outcome<String> {
        let mut bytes = [0; 16];
        self.accounts.entropy.fill(&mut bytes)?;
        let identity = bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
            write!(text, "{byte:02x}").expect("H12: a string takes what is written");
            text
        });
        account.put(&mut self.txn, &identity)?;
        self.txn.tree(NAMES)?.insert(&name_key(&account.name), identity.as_bytes())?;
        Ok(identity)
    }

    fn log_in(&mut self, identity: &str, hash: &str) -> Outcome<Response> {
        let mut account = account_of(&mut self.txn, identity)?;
        if account.password != hash && !fault::on(Fault::Sv01) {
            return Ok(wrong_password(identity.to_owned()));
        }
        if account.is_blocked {
            let refused = Response::refused(ErrorCode::ACCESS_DENIED);
            let refused = refused.with_hint("an administrator has blocked the account");
            return Ok(refused.with_event(Event::Denied(identity.to_owned())));
        }
        if account.is_unused {
            account.is_unused = false;
            account.put(&mut self.txn, identity)?;
        }
        let token = self.start_login(identity, account.is_admin)?;
        Ok(login_response(&token, Event::LoggedIn(identity.to_owned())))
    }

    /// Starts a login and ends expired and surplus ones.
    fn start_login(&mut self, identity: &str, is_admin: bool) -> Outcome<Token> {
        let mut active = Vec::new();
        for id in logins_of(&self.txn.tree(LOGINS_OF_ACCOUNT)?, identity)? {
            match self.txn.login(&id)? {
                Some(login) if login.expires > self.now => active.push(id),
                Some(_) | None => end_login(&mut self.txn, identity, &id)?,
            }
        }
        let surplus = (active.len() + 1).saturating_sub(self.accounts.policy.logins_max.max(1));
        for id in active.iter().take(surplus) {
            if fault::on(Fault::Sv15) {
                continue;
            }
            end_login(&mut self.txn, identity, id)?;
        }
        let id = new_login(self.now, &*self.accounts.entropy)?;
        let token = self.accounts.tokens.make(&id, &*self.accounts.entropy)?;
        let login = LoginRecord {
            identity: identity.to_owned(),
            expires: self.now.plus(self.accounts.policy.refresh_ttl),
            current: self.accounts.tokens.tag(&token),
            next: Vec::new(),
            late: None,
        };
        login.put(&mut self.txn, &id)?;
        self.txn.tree(LOGINS_OF_ACCOUNT)?.insert(&account_login_key(identity, &id), b"")?;
        Ok(refresh_token(token.text(), &login, is_admin))
    }

    fn revoke(&mut self, refresh: &Secret) -> Outcome<Response> {
        let Some(token) = self.accounts.tokens.read(refresh) else { return Ok(expired()) };
        let id = token.login();
        // Any token of the login ends it, rotated ones included.
        let Some(login) = self.txn.login(&id)? else { return Ok(expired()) };
        let logins = logins_of(&self.txn.tree(LOGINS_OF_ACCOUNT)?, &login.identity)?;
        let ended = fault::accounts::ended_login(id, &logins);
        end_login(&mut self.txn, &login.identity, &ended)?;
        Ok(Response::granted(&Object::new(), Event::Revoked(login.identity)))
    }

    /// Presents a token: a successor becomes the current token, an older token ends the login.
    fn present(&mut self, refresh: &Secret) -> Outcome<Result<PresentedToken, Response>> {
        let Some(mut presented) = self.accounts.present(self.now, refresh, &mut self.txn)? else {
            return Ok(Err(expired()));
        };
        let (id, login) = (presented.token.login(), &mut presented.login);
        match presented.state {
            TokenState::Current => {}
            TokenState::Successor => {
                login.late = Some((login.current, self.now.plus(SUPERSEDED_GRACE)));
                login.current = self.accounts.tokens.tag(&presented.token);
                login.next.clear();
                login.put(&mut self.txn, &id)?;
                presented.state = TokenState::Current;
            }
            TokenState::Superseded(_) | TokenState::Early(_) => {
                return Ok(Err(refused_for_now(presented.state).unwrap_or_else(expired)));
            }
            TokenState::Reused => {
                if !fault::on(Fault::Sv02) {
                    end_login(&mut self.txn, &login.identity, &id)?;
                }
                return Ok(Err(expired().with_event(Event::Reused(login.identity.clone()))));
            }
        }
        Ok(Ok(presented))
    }

    fn change_password(
        &mut self,
        refresh: &Secret,
        identity: Option<&str>,
        hash: String,
    ) -> Outcome<Response> {
        let presented = match self.present(refresh)? {
            Ok(presented) => presented,
            Err(response) => return Ok(response),
        };
        let by = presented.login.identity;
        if let Err(refusal) = may_change(&mut self.txn, &by, identity)? {
            return Ok(refusal);
        }
        let of = identity.unwrap_or(&by);
        let account = account_of(&mut self.txn, of)?;
        Account { is_unused: false, password: hash, ..account }.put(&mut self.txn, of)?;
        let own_login = (of == by).then(|| presented.token.login());
        for id in logins_of(&self.txn.tree(LOGINS_OF_ACCOUNT)?, of)? {
            if own_login != Some(id) && !fault::on(Fault::Sv05) {
                end_login(&mut self.txn, of, &id)?;
            }
        }
        let event = Event::PasswordChanged { of: of.to_owned(), by: by.clone() };
        Ok(Response::granted(&Object::new(), event))
    }

    fn present_and_respond(&mut self, request: &ApiRequest) -> Outcome<Response> {
        let Some(refresh) = request.refresh() else { return Ok(expired()) };
        let presented = match self.present(refresh)? {
            Ok(presented) => presented,
            Err(response) => return Ok(response),
        };
        let (by, id) = (presented.login.identity.clone(), presented.token.login());
        let caller = Caller { now: self.now, identity: &by };
        let response = self.accounts.respond(caller, request, &mut self.txn)?;
        let ApiRequest::AccessToken { path, rotate: true, .. } = request else {
            return Ok(response);
        };
        if response.status() != 200 {
            return Ok(response);
        }
        let token = self.accounts.tokens.make(&id, &*self.accounts.entropy)?;
        let mut login = presented.login;
        if !login.next.is_empty() && fault::on(Fault::Sv07) {
            login.next.clear();
        }
        login.next.push(self.accounts.tokens.tag(&token));
        // The responses to the oldest ones were lost.
        let surplus = login.next.len().saturating_sub(SUCCESSORS_MAX);
        login.next.drain(..surplus);
        login.put(&mut self.txn, &id)?;
        let is_admin = account_of(&mut self.txn, &by)?.is_admin;
        let path = super::file_path::resolve(path, &by).unwrap_or_default();
        let access = self.accounts.access_token(caller, path, is_admin);
        let refresh = refresh_token(token.text(), &login, is_admin);
        let body = Object::new()
            .with_object("access_token", access.write())
            .with_object("refresh_token", refresh.write());
        Ok(Response::granted(&body, Event::Rotated(by)))
    }
}

fn expired() -> Response {
    Response::refused(ErrorCode::EXPIRED_REFRESH_TOKEN)
}

fn refresh_token(value: Secret, login: &LoginRecord, is_admin: bool) -> Token {
    Token {
        value,
        identity: login.identity.clone(),
        path: String::new(),
        expires_seconds: login.expires.0.div_euclid(1000),
        permissions: vec![Permission::Refresh],
        is_admin,
    }
}

fn login_response(token: &Token, event: Event) -> Response {
    Response::granted(&Object::new().with_object("refresh_token", token.write()), event)
}
