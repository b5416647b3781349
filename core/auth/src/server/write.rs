//! The calls that change something: each one commit, decided within it.
//!
//! - H1 The answer is given after the commit is durable; a refusal too waits for what it rests on.
//! - H2 A password that was changed since it was checked is not the account's.
//! - H3 A token that was revoked meanwhile changes nothing.
//! - H5 What ends a login names it.
//! - H6 Presenting a successor makes it the token of its login; the one before is refused for a
//!   while, and whatever is older ends the login.
//! - H12 Whether a name is taken is looked up in the transaction that takes it.

use super::accounts::{
    ADMIN_NAME, Accounts, LATE, Place, Presented, SUCCESSORS_MAX, account_of, late, may_change,
};
use super::answer::{Answer, Event};
use super::call::Call;
use super::record::{
    Account, AccountsError, HELD, LoginRecord, NAMES, Records as _, end_login, held, held_key,
    name_key,
};
use super::step::{PasswordHasher, Write, WriteJob};
use super::token_keys::{LoginId, new_login};
use crate::error_code::ErrorCode;
use crate::json::Object;
use crate::secret::Secret;
use crate::token::{Permission, Token};
use base64ct::{Base64UrlUnpadded, Encoding as _};
use fastness::fault::{self, Fault};
use fastness::{Time, WriteTxn};
use std::fmt::Write as _;
use zeroize::Zeroizing;

type Outcome<T> = Result<T, AccountsError>;

/// Which logins of an account a change of its password ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spare {
    Login(LoginId),
    None,
}

impl Accounts {
    /// Commits a change, and answers once it is durable.
    #[must_use]
    pub fn write(&self, now: Time, job: WriteJob) -> Answer {
        self.commit(now, job.0).unwrap_or_else(Answer::failed)
    }

    fn commit(&self, now: Time, write: Write) -> Outcome<Answer> {
        let mut txn = self.store.write()?;
        let answer = match write {
            Write::Register { name, hash } => self.register(&mut txn, now, (name, hash)),
            Write::LogIn { identity, hash } => self.log_in(&mut txn, now, (&identity, &hash)),
            Write::Revoke { refresh } => self.revoke(&mut txn, &refresh),
            Write::ChangePassword { refresh, identity, hash } => {
                self.change_password(&mut txn, now, (&refresh, identity.as_deref(), hash))
            }
            Write::Present(call) => self.present_and_answer(&mut txn, now, &call),
        }?;
        // A transaction that changed nothing still waits for what it read to be durable.
        if fault::on(Fault::Sv03) {
            txn.commit_with(fastness::Durability::None)
        } else {
            txn.commit()
        }?;
        Ok(answer)
    }

    fn register(
        &self,
        txn: &mut WriteTxn,
        now: Time,
        (name, hash): (Secret, String),
    ) -> Outcome<Answer> {
        if txn.named(&name)?.is_some() && !fault::on(Fault::Sv06) {
            return Ok(Answer::refused(ErrorCode::EXISTING_ACCOUNT));
        }
        let account = Account { name, is_admin: false, is_unused: false, password: hash };
        let identity = self.add(txn, &account)?;
        let token = self.begin_login(txn, now, (&identity, false))?;
        Ok(login_answer(&token, Event::Registered(identity)))
    }

    /// Adds an account; its name is free.
    fn add(&self, txn: &mut WriteTxn, account: &Account) -> Outcome<String> {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes)?;
        let identity = bytes.iter().fold(String::with_capacity(32), |mut text, byte| {
            write!(text, "{byte:02x}").expect("H12: a string takes what is written");
            text
        });
        account.put(txn, &identity)?;
        txn.tree(NAMES)?.insert(&name_key(&account.name), identity.as_bytes())?;
        Ok(identity)
    }

    fn log_in(
        &self,
        txn: &mut WriteTxn,
        now: Time,
        (identity, hash): (&str, &str),
    ) -> Outcome<Answer> {
        let mut account = account_of(txn, identity)?;
        if account.password != hash && !fault::on(Fault::Sv01) {
            return Ok(Answer::refused(ErrorCode::INVALID_CREDENTIALS));
        }
        if account.is_unused {
            account.is_unused = false;
            account.put(txn, identity)?;
        }
        let token = self.begin_login(txn, now, (identity, account.is_admin))?;
        Ok(login_answer(&token, Event::LoggedIn(identity.to_owned())))
    }

    /// Begins a login, and ends those that have expired or are too many.
    fn begin_login(
        &self,
        txn: &mut WriteTxn,
        now: Time,
        (identity, is_admin): (&str, bool),
    ) -> Outcome<Token> {
        let mut kept = Vec::new();
        for id in held(&txn.tree(HELD)?, identity)? {
            match txn.login(&id)? {
                Some(login) if login.expires > now => kept.push(id),
                Some(_) | None => end_login(txn, identity, &id)?,
            }
        }
        let surplus = (kept.len() + 1).saturating_sub(self.policy.logins_max.max(1));
        for id in kept.iter().take(surplus) {
            if fault::on(Fault::Sv15) {
                continue;
            }
            end_login(txn, identity, id)?;
        }
        let id = new_login(now, &*self.entropy)?;
        let token = self.tokens.make(&id, &*self.entropy)?;
        let login = LoginRecord {
            identity: identity.to_owned(),
            expires: now.plus(self.policy.refresh_ttl),
            current: self.tokens.tag(&token),
            next: Vec::new(),
            late: None,
        };
        login.put(txn, &id)?;
        txn.tree(HELD)?.insert(&held_key(identity, &id), b"")?;
        Ok(refresh_token(token.text(), &login, is_admin))
    }

    fn revoke(&self, txn: &mut WriteTxn, refresh: &Secret) -> Outcome<Answer> {
        let Some(token) = self.tokens.read(refresh) else { return Ok(gone()) };
        let id = token.login();
        // Whichever token of the login it is, also one that was exchanged: its bearer logs out.
        let Some(login) = txn.login(&id)? else { return Ok(gone()) };
        let newest = held(&txn.tree(HELD)?, &login.identity)?.last().copied();
        let ended = newest.filter(|newest| *newest != id && fault::on(Fault::Sv04)).unwrap_or(id);
        end_login(txn, &login.identity, &ended)?;
        Ok(Answer::granted(&Object::new(), Event::Revoked(login.identity)))
    }

    /// Presents a token: a successor becomes the current one, an older one ends its login.
    fn take(
        &self,
        txn: &mut WriteTxn,
        now: Time,
        refresh: &Secret,
    ) -> Outcome<Result<Presented, Answer>> {
        let Some(mut presented) = self.present(now, refresh, txn)? else { return Ok(Err(gone())) };
        let (id, login) = (presented.token.login(), &mut presented.login);
        match presented.place {
            Place::Current => {}
            Place::Next => {
                login.late = Some((login.current, now.plus(LATE)));
                login.current = self.tokens.tag(&presented.token);
                login.next.clear();
                login.put(txn, &id)?;
                presented.place = Place::Current;
            }
            Place::Late(pause) => return Ok(Err(late(pause))),
            Place::Old => {
                if !fault::on(Fault::Sv02) {
                    end_login(txn, &login.identity, &id)?;
                }
                return Ok(Err(gone().with_event(Event::Reused(login.identity.clone()))));
            }
        }
        Ok(Ok(presented))
    }

    fn change_password(
        &self,
        txn: &mut WriteTxn,
        now: Time,
        (refresh, identity, hash): (&Secret, Option<&str>, String),
    ) -> Outcome<Answer> {
        let presented = match self.take(txn, now, refresh)? {
            Ok(presented) => presented,
            Err(answer) => return Ok(answer),
        };
        let by = presented.login.identity;
        if let Err(code) = may_change(txn, &by, identity)? {
            return Ok(Answer::refused(code));
        }
        let of = identity.unwrap_or(&by);
        let account = account_of(txn, of)?;
        Account { is_unused: false, password: hash, ..account }.put(txn, of)?;
        let spare = if of == by { Spare::Login(presented.token.login()) } else { Spare::None };
        for id in held(&txn.tree(HELD)?, of)? {
            if spare != Spare::Login(id) && !fault::on(Fault::Sv05) {
                end_login(txn, of, &id)?;
            }
        }
        let event = Event::PasswordChanged { of: of.to_owned(), by: by.clone() };
        Ok(Answer::granted(&Object::new(), event))
    }

    fn present_and_answer(&self, txn: &mut WriteTxn, now: Time, call: &Call) -> Outcome<Answer> {
        let Some(refresh) = call.refresh() else { return Ok(gone()) };
        let presented = match self.take(txn, now, refresh)? {
            Ok(presented) => presented,
            Err(answer) => return Ok(answer),
        };
        let (by, id) = (presented.login.identity.clone(), presented.token.login());
        let answer = self.answer(now, (call, &by), txn)?;
        let Call::AccessToken { path, rotate: true, .. } = call else { return Ok(answer) };
        if answer.status() != 200 {
            return Ok(answer);
        }
        let token = self.tokens.make(&id, &*self.entropy)?;
        let mut login = presented.login;
        if !login.next.is_empty() && fault::on(Fault::Sv07) {
            login.next.clear();
        }
        login.next.push(self.tokens.tag(&token));
        // The answers to the oldest were lost, or nobody would ask so often.
        let surplus = login.next.len().saturating_sub(SUCCESSORS_MAX);
        login.next.drain(..surplus);
        login.put(txn, &id)?;
        let is_admin = account_of(txn, &by)?.is_admin;
        let path = super::file_path::resolved(path, &by).unwrap_or_default();
        let access = self.access_token(now, &by, (path, is_admin));
        let refresh = refresh_token(token.text(), &login, is_admin);
        let body = Object::new()
            .with_object("access_token", access.write())
            .with_object("refresh_token", refresh.write());
        Ok(Answer::granted(&body, Event::Exchanged(by)))
    }

    /// Gives the administrator a new password, as long as nobody has logged in with the last one;
    /// makes the account if there is none. Returns the password, or nothing if it is in use.
    ///
    /// # Errors
    /// If the store or the hasher fail.
    pub fn appoint_admin(&self, hasher: &dyn PasswordHasher) -> Outcome<Option<Secret>> {
        let mut txn = self.store.write()?;
        let name = Secret::from(ADMIN_NAME);
        let found = match txn.named(&name)? {
            Some(identity) => Some((account_of(&mut txn, &identity)?, identity)),
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
        let account = Account { name, is_admin: true, is_unused: true, password };
        match found {
            Some((_, identity)) => account.put(&mut txn, &identity)?,
            None => drop(self.add(&mut txn, &account)?),
        }
        txn.commit()?;
        Ok(Some(secret))
    }
}

fn gone() -> Answer {
    Answer::refused(ErrorCode::EXPIRED_REFRESH_TOKEN)
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

fn login_answer(token: &Token, event: Event) -> Answer {
    Answer::granted(&Object::new().with_object("refresh_token", token.write()), event)
}
