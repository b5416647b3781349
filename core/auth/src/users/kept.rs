//! What must survive the process: who is logged in, and which tokens are still to be revoked.
//!
//! - U14 A revocation is the user as of the moment of the logout, token included.
//!
//! Specified in docs/auth.md#the-user-store.

use super::event::UserId;
use crate::error::Refusal;
use crate::token::Token;
use crate::user::User;
use fastness::Time;
use std::collections::BTreeMap;

/// Users and revocations, each under a number that grows with time.
#[derive(Clone, Default, Debug)]
pub struct Kept {
    pub(super) users: BTreeMap<u64, User>,
    pub(super) revocations: BTreeMap<u64, User>,
}

impl Kept {
    /// Returns whoever is logged in, also those whose token has expired, by first login.
    pub fn users(&self) -> impl Iterator<Item = &User> {
        self.users.values()
    }

    /// Returns whose tokens are to be revoked, with the token, by logout.
    pub fn revocations(&self) -> impl Iterator<Item = &User> {
        self.revocations.values()
    }

    /// Returns a user who is logged in.
    #[must_use]
    pub fn user(&self, id: &UserId) -> Option<&User> {
        self.users().find(|user| is(user, id))
    }

    /// Returns the only user who is logged in, if the token has not expired.
    ///
    /// # Errors
    /// [`Refusal::SeveralUsers`] if there are more, expired or not.
    pub fn current(&self, now: Time) -> Result<Option<&User>, Refusal> {
        match self.users.len() {
            0 | 1 => Ok(self.users().find(|user| user.is_valid(now))),
            _ => Err(Refusal::SeveralUsers),
        }
    }

    /// Adds a user, or gives one a new token.
    pub(super) fn put(&mut self, user: User) {
        let known = self.users.iter().find(|(_, known)| **known == user);
        let number = known.map_or_else(|| self.next(), |(number, _)| *number);
        self.users.insert(number, user);
    }

    /// Gives a user who is logged in another token of the same login.
    pub(super) fn renew(&mut self, id: &UserId, token: Token) {
        if let Some(user) = self.users.values_mut().find(|user| is(user, id)) {
            user.token = token;
        }
    }

    /// Takes a user away and leaves a revocation; returns whether there was one.
    pub(super) fn log_out(&mut self, id: &UserId) -> Option<u64> {
        let number = *self.users.iter().find(|(_, user)| is(user, id))?.0;
        let revocation = self.next();
        let user = self.users.remove(&number)?;
        self.revocations.insert(revocation, user);
        Some(revocation)
    }

    /// What only a planted fault does: takes back a logout.
    pub(super) fn revive(&mut self, id: &UserId) {
        let found = self.revocations.values().rfind(|user| is(user, id)).cloned();
        found.into_iter().for_each(|user| self.put(user));
    }

    /// A number greater than all.
    fn next(&self) -> u64 {
        let last = |map: &BTreeMap<u64, User>| map.last_key_value().map_or(0, |(last, _)| *last);
        last(&self.users).max(last(&self.revocations)) + 1
    }
}

fn is(user: &User, id: &UserId) -> bool {
    user.identity() == id.identity && user.url == id.url
}
