//! Persistent part of the state machine: logged-in users and pending revocations.
//!
//! - U14 A revocation is a copy of the user at the moment of the logout, token included.
//!
//! Specified in docs/auth.md#the-user-store.

use super::event::UserId;
use crate::error::RequestError;
use crate::token::Token;
use crate::user::User;
use fastness::Time;
use std::collections::BTreeMap;

/// Logged-in users and pending revocations, each under an ascending sequence number.
#[derive(Clone, Default, Debug)]
pub struct PersistedUsers {
    pub(super) users: BTreeMap<u64, User>,
    pub(super) revocations: BTreeMap<u64, User>,
}

impl PersistedUsers {
    /// Returns all logged-in users, expired ones included, in order of their first login.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values()
    }

    /// Returns the pending revocations in order of logout.
    pub fn revocations(&self) -> impl Iterator<Item = &User> {
        self.revocations.values()
    }

    /// Returns the logged-in user with this id.
    #[must_use]
    pub fn user(&self, id: &UserId) -> Option<&User> {
        self.users().find(|user| matches(user, id))
    }

    /// Returns the only logged-in user, unless the token has expired.
    ///
    /// # Errors
    /// [`RequestError::MultipleUsers`] if several users are logged in, expired or not.
    pub fn current(&self, now: Time) -> Result<Option<&User>, RequestError> {
        match self.users.len() {
            0 | 1 => Ok(self.users().find(|user| user.is_valid(now))),
            _ => Err(RequestError::MultipleUsers),
        }
    }

    /// Adds a user, or replaces the token of a known one.
    pub(super) fn put(&mut self, user: User) {
        let known = self.users.iter().find(|(_, known)| **known == user);
        let number = known.map_or_else(|| self.next(), |(number, _)| *number);
        self.users.insert(number, user);
    }

    /// Replaces the token of a logged-in user within the same login.
    pub(super) fn renew(&mut self, id: &UserId, token: Token) {
        if let Some(user) = self.users.values_mut().find(|user| matches(user, id)) {
            user.token = token;
        }
    }

    /// Replaces a user by a revocation and returns its number; `None` if the user is not logged in.
    pub(super) fn log_out(&mut self, id: &UserId) -> Option<u64> {
        let number = *self.users.iter().find(|(_, user)| matches(user, id))?.0;
        let revocation = self.next();
        let user = self.users.remove(&number)?;
        self.revocations.insert(revocation, user);
        Some(revocation)
    }

    /// Reverts a logout. Only a planted fault calls it.
    pub(crate) fn revert_logout(&mut self, id: &UserId) {
        let found = self.revocations.values().rfind(|user| matches(user, id)).cloned();
        found.into_iter().for_each(|user| self.put(user));
    }

    /// Returns the next sequence number.
    fn next(&self) -> u64 {
        let last = |map: &BTreeMap<u64, User>| map.last_key_value().map_or(0, |(last, _)| *last);
        last(&self.users).max(last(&self.revocations)) + 1
    }
}

fn matches(user: &User, id: &UserId) -> bool {
    user.identity() == id.identity && user.url == id.url
}
