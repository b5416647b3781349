//! The users of a program over time: who is logged in, which tokens await revocation, which
//! sessions run. Written from docs/auth.md#users-over-time.
//!
//! The model leaves open when a request is sent, and how often.

/// Identifies a user: the number of a server, and the server's identity for the user.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UserKey {
    /// The server.
    pub server: usize,
    /// The server's identity for the user.
    pub identity: String,
}

/// The result of a login.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// The refresh token.
    pub token: String,
    /// Expiry, in milliseconds.
    pub expires: i64,
    /// Whether the user is an administrator.
    pub is_admin: bool,
}

/// The reason why a call is refused locally.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CallRefusal {
    /// The user is not logged in.
    NotLoggedIn,
    /// The call needs an administrator.
    NotAdmin,
    /// More than one user is logged in.
    SeveralUsers,
}

/// An open file.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Session {
    number: u8,
    user_key: UserKey,
    changed_at: u64,
}

/// The users of a program.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Users {
    active: Vec<(UserKey, Grant)>,
    pending: Vec<(UserKey, Grant)>,
    sessions: Vec<Session>,
    /// Number of changes to sessions.
    change_count: u64,
}

impl Users {
    /// Applies a successful login; a known user gets the new token. Returns the sessions that start
    /// or restart.
    pub fn log_in(&mut self, user_key: UserKey, grant: Grant) -> Vec<u8> {
        match self.active.iter_mut().find(|(user, _)| *user == user_key) {
            Some(user) => user.1 = grant,
            None => self.active.push((user_key.clone(), grant)),
        }
        self.record_change(&user_key)
    }

    /// Applies an exchange: the user has another token of the same login.
    pub fn exchange(&mut self, user_key: &UserKey, grant: Grant) {
        let user = self.active.iter_mut().find(|(user, _)| user == user_key);
        user.into_iter().for_each(|user| user.1 = grant.clone());
    }

    /// Logs the user out; returns the parked sessions, none if the user is not logged in.
    pub fn log_out(&mut self, user_key: &UserKey) -> Vec<u8> {
        let Some(at) = self.active.iter().position(|(user, _)| user == user_key) else {
            return Vec::new();
        };
        self.pending.push(self.active.remove(at));
        self.record_change(user_key)
    }

    /// Applies the server's answer to a revocation.
    pub fn settle_revocation(&mut self, token: &str) {
        self.pending.retain(|(_, grant)| grant.token != token);
    }

    /// Opens a session; closes the previous one with its number.
    pub fn open(&mut self, number: u8, user_key: UserKey) {
        self.close(number);
        self.change_count += 1;
        self.sessions.push(Session { number, user_key, changed_at: self.change_count });
        self.sessions.sort_by_key(|session| session.number);
    }

    /// Closes a session.
    pub fn close(&mut self, number: u8) {
        self.sessions.retain(|session| session.number != number);
    }

    /// Restarts the process.
    pub fn restart(&mut self) {
        self.sessions.clear();
    }

    /// Returns the logged-in users, in the order of their logins.
    #[must_use]
    pub fn active(&self) -> &[(UserKey, Grant)] {
        &self.active
    }

    /// Returns the login of a user, if any.
    #[must_use]
    pub fn grant(&self, user_key: &UserKey) -> Option<&Grant> {
        self.active.iter().find(|(user, _)| user == user_key).map(|(_, grant)| grant)
    }

    /// Returns the pending revocations, with the revoked logins.
    #[must_use]
    pub fn pending(&self) -> &[(UserKey, Grant)] {
        &self.pending
    }

    /// Returns the only user, if the token has not expired.
    ///
    /// # Errors
    /// [`CallRefusal::SeveralUsers`].
    pub fn current_user(&self, now: i64) -> Result<Option<&UserKey>, CallRefusal> {
        match &self.active[..] {
            [] => Ok(None),
            [(user_key, grant)] => Ok((grant.expires > now).then_some(user_key)),
            [_, _, ..] => Err(CallRefusal::SeveralUsers),
        }
    }

    /// Returns the users whose token has not expired.
    pub fn valid_users(&self, now: i64) -> impl Iterator<Item = &UserKey> {
        let valid_users = self.active.iter().filter(move |(_, grant)| grant.expires > now);
        valid_users.map(|(user_key, _)| user_key)
    }

    /// Returns the token for a call of a user, if the user may make it.
    ///
    /// # Errors
    /// The reason of the refusal.
    pub fn authorize(&self, user_key: &UserKey, needs_admin: bool) -> Result<&Grant, CallRefusal> {
        let grant = self.grant(user_key).ok_or(CallRefusal::NotLoggedIn)?;
        if needs_admin && !grant.is_admin { Err(CallRefusal::NotAdmin) } else { Ok(grant) }
    }

    /// Returns the open sessions, parked or not.
    pub fn sessions(&self) -> impl Iterator<Item = (u8, &UserKey)> {
        self.sessions.iter().map(|session| (session.number, &session.user_key))
    }

    /// Returns the token of a running session; none if it is closed or parked.
    #[must_use]
    pub fn running(&self, number: u8) -> Option<&Grant> {
        let session = self.sessions.iter().find(|session| session.number == number)?;
        self.grant(&session.user_key)
    }

    /// Returns the counter of the last change of a session: only later requests serve it.
    #[must_use]
    pub fn changed_at(&self, number: u8) -> Option<u64> {
        let session = self.sessions.iter().find(|session| session.number == number);
        session.map(|session| session.changed_at)
    }

    /// Records a change of all sessions of a user; returns them.
    fn record_change(&mut self, user_key: &UserKey) -> Vec<u8> {
        self.change_count += 1;
        let (changed_at, sessions) = (self.change_count, self.sessions.iter_mut());
        let touched = sessions.filter(|session| session.user_key == *user_key).map(|session| {
            session.changed_at = changed_at;
            session.number
        });
        touched.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user_key(identity: &str) -> UserKey {
        UserKey { server: 0, identity: identity.to_owned() }
    }

    fn grant(token: &str) -> Grant {
        Grant { token: token.to_owned(), expires: 100, is_admin: false }
    }

    #[test]
    fn a_logout_leaves_the_token_of_its_moment() {
        let mut users = Users::default();
        users.log_in(user_key("a"), grant("1"));
        users.log_in(user_key("a"), grant("2"));
        users.open(7, user_key("a"));
        assert_eq!(users.log_out(&user_key("a")), [7]);
        users.log_in(user_key("a"), grant("3"));
        assert_eq!(users.pending(), [(user_key("a"), grant("2"))]);
        assert_eq!(users.running(7), Some(&grant("3")));
        users.settle_revocation("2");
        assert_eq!((users.pending().len(), users.active().len()), (0, 1));
    }

    #[test]
    fn several_users_have_no_current_one() {
        let mut users = Users::default();
        assert_eq!(users.current_user(0), Ok(None));
        users.log_in(user_key("a"), grant("1"));
        assert_eq!(
            (users.current_user(99), users.current_user(100)),
            (Ok(Some(&user_key("a"))), Ok(None))
        );
        users.log_in(user_key("b"), grant("2"));
        assert_eq!(users.current_user(100), Err(CallRefusal::SeveralUsers));
    }
}
