//! Mutual exclusion of calls while a refresh token is exchanged.

use super::super::Violation;
use super::super::promises::U18;
use super::message::{Purpose, RoundTrip};
use super::program::{Asked, Program};
use fastness_models::auth::UserKey;
use fastness_models::auth_server::ServerCall;
use std::rc::Rc;

impl Program<'_> {
    /// Returns the first call that no exchange blocks, with the current token.
    pub(super) fn released(&mut self) -> Option<Asked> {
        let is_free =
            |asked: &Asked| asked.by.as_ref().is_none_or(|(user_key, _)| !self.exchanges(user_key));
        let at = self.waiting.iter().position(is_free)?;
        let mut asked = self.waiting.remove(at);
        let grant = asked.by.as_ref().and_then(|(user_key, _)| self.model.grant(user_key));
        let now = grant.map(|grant| grant.token.clone()).unwrap_or_default();
        if let ServerCall::ChangePassword(token, ..) | ServerCall::LookUp(token, _) = &mut asked.ask
        {
            *token = now;
        }
        Some(asked)
    }

    /// Checks that no other request uses a token while it is exchanged, and that no exchange starts
    /// while the token is in use.
    pub(super) fn mind_turns(&self, round_trip: &RoundTrip) -> Result<(), Violation> {
        let Some(token) = round_trip.token() else { return Ok(()) };
        let is_same =
            |live: &&Rc<RoundTrip>| live.server == round_trip.server && live.token() == Some(token);
        let mut others = self.live.values().filter(is_same);
        if others.any(|other| other.exchanges() || round_trip.exchanges()) {
            let text = format!("{:?} is sent while its token is in use", round_trip.ask);
            return Err(Violation::new(U18.id, text));
        }
        Ok(())
    }

    /// Returns blocked calls, with their user and whether they need an administrator.
    pub(super) fn held_back(&self) -> impl Iterator<Item = (&Asked, &UserKey, bool)> {
        self.waiting.iter().filter_map(|asked| {
            let (user_key, needs_admin) = asked.by.as_ref()?;
            Some((asked, user_key, *needs_admin))
        })
    }

    /// Whether a user's refresh token is being exchanged.
    pub(super) fn exchanges(&self, user_key: &UserKey) -> bool {
        let is_of = |live: &Rc<RoundTrip>| match live.purpose {
            Purpose::Token(session, _) => self.user(session).as_ref() == Some(user_key),
            _ => false,
        };
        self.live.values().any(|live| live.exchanges() && is_of(live))
    }
}
