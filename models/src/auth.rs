//! Users over time on the side of a program: who is logged in, which tokens are still to be
//! revoked, which sessions run. Written from docs/auth.md#users-over-time.
//!
//! What is asked when, and how often, it leaves open.

/// Who somebody is: the number of a server, and what that server calls the user.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Who {
    /// The server.
    pub server: usize,
    /// What it calls the user.
    pub identity: String,
}

/// What a login gave.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// The text of the refresh token.
    pub token: String,
    /// When it expires, in ms.
    pub expires: i64,
    /// Whether it is an administrator's.
    pub is_admin: bool,
}

/// Why a call is not even asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The user is not logged in.
    NotLoggedIn,
    /// Only an administrator may.
    NotAdmin,
    /// More than one user is logged in.
    SeveralUsers,
}

/// A file that is open.
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
    /// Counts what happened to sessions.
    events: u64,
}

impl Users {
    /// A login was answered: who was there already has the new token. Returns the sessions that
    /// begin, or begin anew.
    pub fn log_in(&mut self, who: Who, grant: Grant) -> Vec<u8> {
        match self.active.iter_mut().find(|(known, _)| *known == who) {
            Some(known) => known.1 = grant,
            None => self.active.push((who.clone(), grant)),
        }
        self.touch(&who)
    }

    /// An exchange was answered: who is logged in has another token of the same login.
    pub fn exchange(&mut self, who: &Who, grant: Grant) {
        let known = self.active.iter_mut().find(|(known, _)| known == who);
        known.into_iter().for_each(|known| known.1 = grant.clone());
    }

    /// The user logs out; returns the sessions that are parked, none if nobody is logged in.
    pub fn log_out(&mut self, who: &Who) -> Vec<u8> {
        let Some(at) = self.active.iter().position(|(known, _)| known == who) else {
            return Vec::new();
        };
        self.pending.push(self.active.remove(at));
        self.touch(who)
    }

    /// The server has answered the revocation of a token.
    pub fn settle(&mut self, token: &str) {
        self.pending.retain(|(_, grant)| grant.token != token);
    }

    /// A session was opened; what had its number is closed.
    pub fn open(&mut self, number: u8, who: Who) {
        self.close(number);
        self.events += 1;
        self.sessions.push(Session { number, who, since: self.events });
        self.sessions.sort_by_key(|session| session.number);
    }

    /// A session was closed.
    pub fn close(&mut self, number: u8) {
        self.sessions.retain(|session| session.number != number);
    }

    /// The process died, and another began.
    pub fn restart(&mut self) {
        self.sessions.clear();
    }

    /// Returns who is logged in, in the order in which they came.
    #[must_use]
    pub fn active(&self) -> &[(Who, Grant)] {
        &self.active
    }

    /// Returns what the user logged in with, if that is so.
    #[must_use]
    pub fn grant(&self, who: &Who) -> Option<&Grant> {
        self.active.iter().find(|(known, _)| known == who).map(|(_, grant)| grant)
    }

    /// Returns whose tokens are to be revoked, and what they had logged in with.
    #[must_use]
    pub fn pending(&self) -> &[(Who, Grant)] {
        &self.pending
    }

    /// Returns the only user, if the token is still good.
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

    /// Returns whose token is still good.
    pub fn valid(&self, now: i64) -> impl Iterator<Item = &Who> {
        let valid = self.active.iter().filter(move |(_, grant)| grant.expires > now);
        valid.map(|(who, _)| who)
    }

    /// Returns which token a call is made with, if somebody may make it.
    ///
    /// # Errors
    /// Why it is not made.
    pub fn may(&self, who: &Who, needs_admin: bool) -> Result<&Grant, Refusal> {
        let grant = self.grant(who).ok_or(Refusal::NotLoggedIn)?;
        if needs_admin && !grant.is_admin { Err(Refusal::NotAdmin) } else { Ok(grant) }
    }

    /// Returns the sessions that are open, parked or not.
    pub fn sessions(&self) -> impl Iterator<Item = (u8, &Who)> {
        self.sessions.iter().map(|session| (session.number, &session.who))
    }

    /// Returns what a session asks for tokens with; nothing if it is closed or parked.
    #[must_use]
    pub fn running(&self, number: u8) -> Option<&Grant> {
        let session = self.sessions.iter().find(|session| session.number == number)?;
        self.grant(&session.who)
    }

    /// Returns since when a session is as it is: only what was asked for since then is for it.
    #[must_use]
    pub fn since(&self, number: u8) -> Option<u64> {
        let session = self.sessions.iter().find(|session| session.number == number);
        session.map(|session| session.since)
    }

    /// Something happened to all sessions of a user, which are returned.
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
