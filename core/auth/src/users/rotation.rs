//! Refresh token rotation: requests, and handling of their responses.
//!
//! - U18 One rotation per user is in flight, and no other request uses the token meanwhile. After
//!   a failure the old token stays in use, because it is still valid.
//!
//! Specified in docs/auth.md#refresh-token-rotation.

use super::event::{HttpOutcome, SessionId, UserId};
use super::rotation_schedule::Deferred;
use super::state_machine::{Context, Purpose, Session, Users};
use crate::error::AuthError;
use crate::fault::{self, Fault};
use crate::refresh::RequestId;
use crate::response;
use crate::token::Token;
use fastness::Time;

impl Users {
    /// Handles the response to a rotation: stores the successor, if there is one.
    pub(super) fn on_rotation(
        &mut self,
        now: Time,
        session: SessionId,
        answer: &HttpOutcome,
    ) -> Result<Token, AuthError> {
        let user = self.sessions.get(&session).map(|session| session.user.clone());
        let Some(user) = user else { return Err(AuthError::malformed(None, "no session")) };
        let read = answer.read(|status, body| {
            let (token, refresh) = response::rotation(status, body)?;
            match refresh {
                Some(other) if other.identity != user.identity => {
                    Err(AuthError::malformed(Some(status), "a token of another user"))
                }
                refresh => Ok((token, refresh)),
            }
        });
        match read {
            Ok((token, refresh)) => {
                if let Some(refresh) = refresh
                    && !fault::on(Fault::Cl03)
                {
                    self.persisted.renew(&user, refresh);
                }
                self.rotations.succeeded(now, user);
                Ok(token)
            }
            Err(error) => {
                self.rotations.failed(now, user);
                Err(error)
            }
        }
    }

    /// Requests an access token for a session, with a rotation if it is due and no other request of
    /// the user is in flight. During a rotation the request waits.
    pub(super) fn request_token(
        &mut self,
        context: &mut Context<'_>,
        session: SessionId,
        id: RequestId,
    ) {
        let Some(Session { user, path, .. }) = self.sessions.get(&session) else { return };
        let Ok((server, known)) = self.logged_in_user(user) else {
            panic!("U15: a parked session asks")
        };
        let is_used = || {
            let mut in_flight = self.in_flight.values();
            in_flight.any(|purpose| self.user_of(purpose) == Some(user)) && !fault::on(Fault::Cl05)
        };
        let (request, purpose) = if self.rotations.is_due(context.now, user) && !is_used() {
            (server.rotate(&known.token, path), Purpose::Rotation(session, id))
        } else {
            (server.access_token(&known.token, path), Purpose::Token(session, id))
        };
        if self.must_wait(&purpose) {
            self.rotations.deferred.push(Deferred::Token(session, id));
        } else {
            self.send(context, purpose, request);
        }
    }

    /// Returns the user whose token a request uses.
    fn user_of<'a>(&'a self, purpose: &'a Purpose) -> Option<&'a UserId> {
        match purpose {
            Purpose::ChangePassword(_, user) | Purpose::LookUp(_, user) => Some(user),
            Purpose::Token(session, _) | Purpose::Rotation(session, _) => {
                self.sessions.get(session).map(|session| &session.user)
            }
            Purpose::LogIn(..) | Purpose::Revocation(_) => None,
        }
    }

    /// Returns whether a request must wait for a rotation of its user.
    pub(super) fn must_wait(&self, purpose: &Purpose) -> bool {
        let Some(user) = self.user_of(purpose) else { return false };
        let waits = self.in_flight.values().any(|other| {
            matches!(other, Purpose::Rotation(..)) && self.user_of(other) == Some(user)
        });
        waits && !fault::on(Fault::Cl02)
    }

    /// Starts the waiting requests again; each may have to wait for another rotation.
    pub(super) fn resume_deferred(&mut self, context: &mut Context<'_>) {
        for waiting in std::mem::take(&mut self.rotations.deferred) {
            match waiting {
                Deferred::Token(session, id) => self.request_token(context, session, id),
                Deferred::Call(call, what) => self.call(context, call, what),
            }
        }
    }
}
