//! The users of a program over time: who is logged in, which tokens await revocation, which
//! sessions run. Written from docs/auth.md#users-over-time.
//!
//! The model leaves open when a request is sent, and how often.

/// Identifies a user: the number of a server, and the server's identity for the user.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Who {
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
pub enum Refusal {
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
    who: Who,
    since: u64,
}

/// The users of a program.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Users {
    active: Vec<(Who, Grant)>,
    pending: Vec<(Who, Grant)>,
    sessions: Vec<Session>,
    /// Number of changes to sessions.
    events: u64,
}

impl Users {
    /// Applies a successful login; a known user gets the new token. Returns the sessions that start
    /// or restart.
    pub fn log_in(&mut self, who: Who, grant: Grant) -> Vec<u8> {
        match self.active.iter_mut().find(|(known, _)| *known == who) {
            Some(known) => known.1 = grant,
            None => self.active.push((who.clone(), grant)),
        }
        self.touch(&who)
    }

    /// Applies an exchange: the user has another token of the same login.
    pub fn exchange(&mut self, who: &Who, grant: Grant) {
        let known = self.active.iter_mut().find(|(known, _)| known == who);
        known.into_iter().for_each(|known| known.1 = grant.clone());
    }

    /// Logs the user out; returns the parked sessions, none if the user is not logged in.
    pub fn log_out(&mut self, who: &Who) -> Vec<u8> {
        let Some(at) = self.active.iter().position(|(known, _)| known == who) else {
            return Vec::new();
        };
        self.pending.push(self.active.remove(at));
        self.touch(who)
    }

    /// Applies the server's answer to a revocation.
    pub fn settle(&mut self, token: &str) {
        self.pending.retain(|(_, grant)| grant.token != token);
    }

    /// Opens a session; closes the previous one with its number.
    pub fn open(&mut self, number: u8, who: Who) {
        self.close(number);
        self.events += 1;
        self.sessions.push(Session { number, who, since: self.events });
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
    pub fn active(&self) -> &[(Who, Grant)] {
        &self.active
    }

    /// Returns the login of a user, if any.
    #[must_use]
    pub fn grant(&self, who: &Who) -> Option<&Grant> {
        self.active.iter().find(|(known, _)| known == who).map(|(_, grant)| grant)
    }

    /// Returns the pending revocations, with the revoked logins.
    #[must_use]
    pub fn pending(&self) -> &[(Who, Grant)] {
        &self.pending
    }

    /// Returns the only user, if the token has not expired.
    ///
    /// # Errors
    /// [`Refusal::SeveralUsers`].
    pub fn current(&self, now: i64) -> Result<Option<&Who>, Refusal> {
        match &self.active[..] {
            [] => Ok(None),
            [(who, grant)] => Ok((grant.expires > now).then_some(who)),
            [_, _, ..] => Err(Refusal::SeveralUsers),
        }
    }

    /// Returns the users whose token has not expired.
    pub fn valid(&self, now: i64) -> impl Iterator<Item = &Who> {
        let valid = self.active.iter().filter(move |(_, grant)| grant.expires > now);
        valid.map(|(who, _)| who)
    }

    /// Returns the token for a call of a user, if the user may make it.
    ///
    /// # Errors
    /// The reason of the refusal.
    pub fn may(&self, who: &Who, needs_admin: bool) -> Result<&Grant, Refusal> {
        let grant = self.grant(who).ok_or(Refusal::NotLoggedIn)?;
        if needs_admin && !grant.is_admin { Err(Refusal::NotAdmin) } else { Ok(grant) }
    }

    /// Returns the open sessions, parked or not.
    pub fn sessions(&self) -> impl Iterator<Item = (u8, &Who)> {
        self.sessions.iter().map(|session| (session.number, &session.who))
    }

    /// Returns the token of a running session; none if it is closed or parked.
    #[must_use]
    pub fn running(&self, number: u8) -> Option<&Grant> {
        let session = self.sessions.iter().find(|session| session.number == number)?;
        self.grant(&session.who)
    }

    /// Returns the counter of the last change of a session: only later requests serve it.
    #[must_use]
    pub fn since(&self, number: u8) -> Option<u64> {
        let session = self.sessions.iter().find(|session| session.number == number);
        session.map(|session| session.since)
    }

    /// Records a change of all sessions of a user; returns them.
    fn touch(&mut self, who: &Who) -> Vec<u8> {
        self.events += 1;
        let (since, sessions) = (self.events, self.sessions.iter_mut());
        let touched = sessions.filter(|session| session.who == *who).map(|session| {
            session.since = since;
            session.number
        });
        touched.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(identity: &str) -> Who {
        Who { server: 0, identity: identity.to_owned() }
    }

    fn grant(token: &str) -> Grant {
        Grant { token: token.to_owned(), expires: 100, is_admin: false }
    }

    #[test]
    fn a_logout_leaves_the_token_of_its_moment() {
        let mut users = Users::default();
        users.log_in(who("a"), grant("1"));
        users.log_in(who("a"), grant("2"));
        users.open(7, who("a"));
        assert_eq!(users.log_out(&who("a")), [7]);
        users.log_in(who("a"), grant("3"));
        assert_eq!(users.pending(), [(who("a"), grant("2"))]);
        assert_eq!(users.running(7), Some(&grant("3")));
        users.settle("2");
        assert_eq!((users.pending().len(), users.active().len()), (0, 1));
    }

    #[test]
    fn several_users_have_no_current_one() {
        let mut users = Users::default();
        assert_eq!(users.current(0), Ok(None));
        users.log_in(who("a"), grant("1"));
        assert_eq!((users.current(99), users.current(100)), (Ok(Some(&who("a"))), Ok(None)));
        users.log_in(who("b"), grant("2"));
        assert_eq!(users.current(100), Err(Refusal::SeveralUsers));
    }
}
