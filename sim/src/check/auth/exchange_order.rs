//! Mutual exclusion of calls while a refresh token is exchanged.

use super::super::promises::U18;
use super::message::{Purpose, RoundTrip};
use super::program::{ExpectedRequest, Program};
use crate::check::definition::Violation;
use fastness_models::auth::UserKey;
use fastness_models::auth_server::ServerCall;
use std::rc::Rc;

impl Program<'_> {
    /// Returns the first call that no exchange blocks, with the current token.
    pub(super) fn next_unblocked_call(&mut self) -> Option<ExpectedRequest> {
        let is_free = |expected_request: &ExpectedRequest| {
            expected_request.by.as_ref().is_none_or(|(user_key, _)| !self.exchanges(user_key))
        };
        let at = self.waiting.iter().position(is_free)?;
        let mut expected_request = self.waiting.remove(at);
        let grant =
            expected_request.by.as_ref().and_then(|(user_key, _)| self.model.grant(user_key));
        let now = grant.map(|grant| grant.token.clone()).unwrap_or_default();
        if let ServerCall::ChangePassword(token, ..) | ServerCall::LookUp(token, _) =
            &mut expected_request.server_call
        {
            *token = now;
        }
        Some(expected_request)
    }

    /// Checks that no other request uses a token while it is exchanged, and that no exchange starts
    /// while the token is in use.
    pub(super) fn check_exchange_order(&self, round_trip: &RoundTrip) -> Result<(), Violation> {
        let Some(token) = round_trip.token() else { return Ok(()) };
        let is_same = |in_flight: &&Rc<RoundTrip>| {
            in_flight.server == round_trip.server && in_flight.token() == Some(token)
        };
        let mut others = self.in_flight.values().filter(is_same);
        if others.any(|other| other.exchanges() || round_trip.exchanges()) {
            let text = format!("{:?} is sent while its token is in use", round_trip.server_call);
            return Err(Violation::new(U18.id, text));
        }
        Ok(())
    }

    /// Returns blocked calls, with their user and whether they need an administrator.
    pub(super) fn blocked_calls(&self) -> impl Iterator<Item = (&ExpectedRequest, &UserKey, bool)> {
        self.waiting.iter().filter_map(|expected_request| {
            let (user_key, needs_admin) = expected_request.by.as_ref()?;
            Some((expected_request, user_key, *needs_admin))
        })
    }

    /// Whether a user's refresh token is being exchanged.
    pub(super) fn exchanges(&self, user_key: &UserKey) -> bool {
        let is_of = |in_flight: &Rc<RoundTrip>| match in_flight.purpose {
            Purpose::Token(session, _) => self.user(session).as_ref() == Some(user_key),
            _ => false,
        };
        self.in_flight.values().any(|in_flight| in_flight.exchanges() && is_of(in_flight))
    }
}
