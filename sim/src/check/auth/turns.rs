//! Mutual exclusion of calls while a refresh token is exchanged.

use super::super::Violation;
use super::super::promises::U18;
use super::parcel::{Exchange, Purpose};
use super::program::{Asked, Program};
use fastness_models::auth::Who;
use fastness_models::auth_server::Ask;
use std::rc::Rc;

impl Program<'_> {
    /// Returns the first call that no exchange blocks, with the current token.
    pub(super) fn released(&mut self) -> Option<Asked> {
        let is_free = |asked: &Asked| asked.by.as_ref().is_none_or(|(who, _)| !self.exchanges(who));
        let at = self.waiting.iter().position(is_free)?;
        let mut asked = self.waiting.remove(at);
        let grant = asked.by.as_ref().and_then(|(who, _)| self.model.grant(who));
        let now = grant.map(|grant| grant.token.clone()).unwrap_or_default();
        if let Ask::ChangePassword(token, ..) | Ask::LookUp(token, _) = &mut asked.ask {
            *token = now;
        }
        Some(asked)
    }

    /// Checks that no other request uses a token while it is exchanged, and that no exchange starts
    /// while the token is in use.
    pub(super) fn mind_turns(&self, exchange: &Exchange) -> Result<(), Violation> {
        let Some(token) = exchange.token() else { return Ok(()) };
        let is_same =
            |live: &&Rc<Exchange>| live.server == exchange.server && live.token() == Some(token);
        let mut others = self.live.values().filter(is_same);
        if others.any(|other| other.exchanges() || exchange.exchanges()) {
            let text = format!("{:?} is sent while its token is in use", exchange.ask);
            return Err(Violation::new(U18.id, text));
        }
        Ok(())
    }

    /// Returns blocked calls, with their user and whether they need an administrator.
    pub(super) fn held_back(&self) -> impl Iterator<Item = (&Asked, &Who, bool)> {
        self.waiting.iter().filter_map(|asked| {
            let (who, needs_admin) = asked.by.as_ref()?;
            Some((asked, who, *needs_admin))
        })
    }

    /// Whether a user's refresh token is being exchanged.
    pub(super) fn exchanges(&self, who: &Who) -> bool {
        let is_of = |live: &Rc<Exchange>| match live.purpose {
            Purpose::Token(session, _) => self.user(session).as_ref() == Some(who),
            _ => false,
        };
        self.live.values().any(|live| live.exchanges() && is_of(live))
    }
}
