//! Compares the state of a program after each event with its model.

use super::super::promises::{U11, U15, U17, U18};
use super::message::Purpose;
use super::program::Program;
use crate::check::definition::Violation;
use fastness_auth::users::PersistedUsers;
use fastness_auth::{BACKOFF_MAX, RequestError, Time, User};
use fastness_models::auth::{Grant, UserKey, Users as Model};
use fastness_models::auth_server::ServerCall;
use std::collections::BTreeSet;

impl Program<'_> {
    /// Compares users and sessions with the model.
    pub(super) fn audit(&self, now: Time) -> Result<(), Violation> {
        self.compare_users(&self.model).map_err(|text| Violation::new(U17.id, text))?;
        let users = self.users().users();
        let current = match users.current(now) {
            Ok(user) => Ok(user.and_then(|user| self.user_key(user))),
            Err(RequestError::MultipleUsers) => Err(()),
            Err(other) => {
                return Err(Violation::new(U17.id, format!("the current user is {other}")));
            }
        };
        let expected = self.model.current_user(now.0).map(Option::<&UserKey>::cloned).map_err(drop);
        if current != expected {
            let text = format!("the current user is {current:?}, expected {expected:?}");
            return Err(Violation::new(U17.id, text));
        }
        let valid: Vec<UserKey> = users.valid(now).filter_map(|user| self.user_key(user)).collect();
        let expected: Vec<UserKey> = self.model.valid_users(now.0).cloned().collect();
        if valid != expected {
            let text = format!("the valid users are {valid:?}, expected {expected:?}");
            return Err(Violation::new(U17.id, text));
        }
        for in_flight in self.in_flight.values() {
            let Purpose::Token(session, since) = in_flight.purpose else { continue };
            if self.model.running(session).is_none()
                || self.model.changed_at(session) != Some(since)
            {
                let text = format!("session {session} waits for the answer to an outdated request");
                return Err(Violation::new(U15.id, text));
            }
        }
        if let Some((expected_request, ..)) =
            self.blocked_calls().find(|(_, user_key, _)| !self.exchanges(user_key))
        {
            let text = format!(
                "{:?} waits for an exchange, but none is in flight",
                expected_request.purpose
            );
            return Err(Violation::new(U18.id, text));
        }
        let idle_items = self.idle_items();
        if !idle_items.is_empty() && self.deadline().is_none() {
            let text = format!("no request or deadline serves {idle_items:?}");
            return Err(Violation::new(U11.id, text));
        }
        Ok(())
    }

    /// Returns sessions and revocations with neither a request in flight nor a final failure.
    fn idle_items(&self) -> BTreeSet<String> {
        let has_failed =
            |session: u8| self.failed.get(&session).copied() == self.model.changed_at(session);
        let sessions = self.model.sessions().filter(|(session, user_key)| {
            let waits =
                self.has_request(*session) || has_failed(*session) || self.exchanges(user_key);
            !waits && self.model.running(*session).is_some()
        });
        let revokes = |token: &str| {
            let call = ServerCall::Revoke(token.to_owned());
            self.in_flight.values().any(|round_trip| round_trip.server_call == call)
        };
        let pending = self.model.pending().iter().filter(|(_, grant)| !revokes(&grant.token));
        sessions
            .map(|(session, _)| format!("session {session}"))
            .chain(pending.map(|(user_key, _)| format!("the revocation of {user_key:?}")))
            .collect()
    }

    /// After a wake-up no deadline is overdue, and the next one is within the longest pause or the
    /// lifetime of a token.
    pub(super) fn audit_deadlines(&self, now: Time) -> Result<(), Violation> {
        let Some(deadline) = self.deadline() else { return Ok(()) };
        let latest = self.expires.values().copied().max().unwrap_or(i64::MIN);
        let latest = Time(latest).max(now.plus(BACKOFF_MAX));
        if deadline <= now || deadline > latest {
            let text = format!("after a wake-up at {now:?} the deadline is {deadline:?}");
            return Err(Violation::new(U11.id, text));
        }
        Ok(())
    }

    /// Compares the persisted users, tokens included.
    pub(super) fn compare_users(&self, model: &Model) -> Result<(), String> {
        let kept: &PersistedUsers = self.users().users().persisted();
        let lists = [
            ("users", self.grants(kept.users()), model.active()),
            ("revocations", self.grants(kept.revocations()), model.pending()),
        ];
        for (name, found, expected) in lists {
            if found != expected {
                return Err(format!("the {name} are {found:?}, expected {expected:?}"));
            }
        }
        Ok(())
    }

    fn grants<'a>(&self, users: impl Iterator<Item = &'a User>) -> Vec<(UserKey, Grant)> {
        let matches = |user: &User| {
            let user_key = self.user_key(user)?;
            let token = user.token.value.expose().to_owned();
            let (expires, is_admin) = (user.token.expires().0, user.is_admin());
            Some((user_key, Grant { token, expires, is_admin }))
        };
        users.filter_map(matches).collect()
    }
}
