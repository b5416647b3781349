//! When refresh tokens are exchanged, and who waits meanwhile.
//!
//! - U18 One exchange of a user's token is under way, and nobody else uses the token meanwhile.
//!   After a failure the token that is there is used as it is, for a while: it is still good.
//!
//! Specified in docs/auth.md#exchanging-refresh-tokens.

use super::event::{Answer, Call, CallId, Output, SessionId, UserId};
use super::machine::{Purpose, Session, Users};
use crate::answer;
use crate::backoff::PAUSE_MAX;
use crate::error::AuthError;
use crate::refresh::RequestId;
use crate::token::Token;
use fastness::Time;
use fastness::fault::{self, Fault};
use std::collections::BTreeMap;
use std::time::Duration;

/// What needs a token that is being exchanged.
#[derive(Clone, Debug)]
pub(super) enum Waiting {
    Token(SessionId, RequestId),
    Call(CallId, Call),
}

/// When the token of each user is exchanged, if ever.
#[derive(Clone, Default, Debug)]
pub(super) struct Exchanges {
    every: Option<Duration>,
    /// Not before; whoever is missing is due.
    due: BTreeMap<UserId, Time>,
    /// In the order in which they came.
    pub(super) waiting: Vec<Waiting>,
}

impl Exchanges {
    pub(super) fn every(age: Duration) -> Self {
        Self { every: Some(age), ..Self::default() }
    }

    pub(super) fn is_due(&self, now: Time, user: &UserId) -> bool {
        let Some(every) = self.every else { return false };
        // A clock that was put back makes no token older than it may become.
        let latest = now.plus(every.max(PAUSE_MAX));
        self.due.get(user).is_none_or(|due| *due <= now || *due > latest)
    }

    /// The user has a token that is new.
    pub(super) fn worked(&mut self, now: Time, user: UserId) {
        if let Some(every) = self.every {
            self.due.insert(user, now.plus(every));
        }
    }

    /// The user has the token from before.
    pub(super) fn failed(&mut self, now: Time, user: UserId) {
        self.due.insert(user, now.plus(PAUSE_MAX));
    }
}

impl Waiting {
    pub(super) const fn call(&self) -> Option<CallId> {
        match self {
            Self::Token(..) => None,
            Self::Call(call, _) => Some(*call),
        }
    }
}

impl Users {
    /// Takes the answer to an exchange: the user has another token, if there is one in it.
    pub(super) fn exchanged(
        &mut self,
        now: Time,
        session: SessionId,
        answer: &Answer,
    ) -> Result<Token, AuthError> {
        let user = self.sessions.get(&session).map(|session| session.user.clone());
        let Some(user) = user else { return Err(AuthError::unreadable(None, "no session")) };
        let read = answer.read(|status, body| {
            let (token, refresh) = answer::exchange(status, body)?;
            match refresh {
                Some(other) if other.identity != user.identity => {
                    Err(AuthError::unreadable(Some(status), "a token of somebody else"))
                }
                refresh => Ok((token, refresh)),
            }
        });
        match read {
            Ok((token, refresh)) => {
                if let Some(refresh) = refresh
                    && !fault::on(Fault::Cl03)
                {
                    self.kept.renew(&user, refresh);
                }
                self.exchanges.worked(now, user);
                Ok(token)
            }
            Err(error) => {
                self.exchanges.failed(now, user);
                Err(error)
            }
        }
    }

    /// Asks for a token for a session, when nobody exchanges its user's token; or exchanges that,
    /// when it is due and nobody else uses it.
    pub(super) fn ask(
        &mut self,
        now: Time,
        (session, id): (SessionId, RequestId),
        outputs: &mut Vec<Output>,
    ) {
        let Some(Session { user, path, .. }) = self.sessions.get(&session) else { return };
        let Ok((server, known)) = self.known(user) else { panic!("U15: a parked session asks") };
        let is_used = || {
            let mut in_flight = self.in_flight.values();
            in_flight.any(|purpose| self.user_of(purpose) == Some(user)) && !fault::on(Fault::Cl05)
        };
        let (request, purpose) = if self.exchanges.is_due(now, user) && !is_used() {
            (server.exchange(&known.token, path), Purpose::Exchange(session, id))
        } else {
            (server.access_token(&known.token, path), Purpose::Token(session, id))
        };
        if self.has_to_wait(&purpose) {
            self.exchanges.waiting.push(Waiting::Token(session, id));
        } else {
            self.send(purpose, request, outputs);
        }
    }

    /// Returns the user whose token a request is made with.
    fn user_of<'a>(&'a self, purpose: &'a Purpose) -> Option<&'a UserId> {
        match purpose {
            Purpose::ChangePassword(_, user) | Purpose::LookUp(_, user) => Some(user),
            Purpose::Token(session, _) | Purpose::Exchange(session, _) => {
                self.sessions.get(session).map(|session| &session.user)
            }
            Purpose::LogIn(..) | Purpose::Revocation(_) => None,
        }
    }

    /// Whether a request needs a token that is being exchanged.
    pub(super) fn has_to_wait(&self, purpose: &Purpose) -> bool {
        let Some(user) = self.user_of(purpose) else { return false };
        let waits = self.in_flight.values().any(|other| {
            matches!(other, Purpose::Exchange(..)) && self.user_of(other) == Some(user)
        });
        waits && !fault::on(Fault::Cl02)
    }

    /// Lets those go on that waited for an exchange which is over; they may have to wait again.
    pub(super) fn release(&mut self, now: Time, outputs: &mut Vec<Output>) {
        for waiting in std::mem::take(&mut self.exchanges.waiting) {
            match waiting {
                Waiting::Token(session, id) => self.ask(now, (session, id), outputs),
                Waiting::Call(call, what) => self.call(now, (call, what), outputs),
            }
        }
    }
}
