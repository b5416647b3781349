//! The accounts of a server: permissions, passwords and tokens over time. Written from
//! docs/server.md.
//!
//! A call has a start, which may refuse it, and an end, which applies or refuses it; other calls
//! may end in between. The server chooses identities and tokens, so they come from its answers.

pub use crate::auth_calls::{ServerCall, ServerReply, StartedCall};

/// A parameter is invalid, such as a password that is too short.
pub const INVALID_PARAMETERS: i64 = 601;
/// Wrong name or password.
pub const INVALID_CREDENTIALS: i64 = 611;
/// No such account.
pub const UNKNOWN_ACCOUNT: i64 = 612;
/// The name is taken.
pub const EXISTING_ACCOUNT: i64 = 613;
/// The call needs an administrator.
pub const ACCESS_DENIED: i64 = 614;
/// The token is not valid.
pub const EXPIRED_REFRESH_TOKEN: i64 = 615;

/// The token was exchanged a moment ago; retry.
pub const RETRY_LATER: i64 = 503;

/// How long a replaced token gets [`RETRY_LATER`], in milliseconds.
const LATE_MS: i64 = 60_000;
/// How far in the future a login may begin, in milliseconds, because clocks are corrected.
const SKEW_MS: i64 = 60_000;
/// Maximum number of valid successors of a token.
const SUCCESSORS_MAX: usize = 8;

#[derive(Clone, PartialEq, Eq, Debug)]
struct Account {
    name: String,
    password: String,
    identity: Option<String>,
    is_admin: bool,
    changes: u32,
}

/// A login; tokens of lost answers are unknown.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Login {
    account: usize,
    current: Option<String>,
    /// Successors of the current token, none of them presented yet.
    next: Vec<Option<String>>,
    /// The previous token, and until when it gets [`RETRY_LATER`].
    superseded: Option<(String, i64)>,
    /// Exchanged tokens, and dropped successors.
    old: Vec<String>,
    /// Whether a stranger has one of its tokens, or a successor was dropped.
    is_shared: bool,
    began: i64,
    expires: i64,
    is_ended: bool,
}

/// The state of a token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenState {
    /// The token of its login.
    Current,
    /// A successor that was not presented yet.
    Next,
    /// Replaced a moment ago; its user must retry.
    Superseded,
    /// Exchanged; presenting it ends the login.
    Old,
    /// Not valid.
    Gone,
    /// Its login begins in the future: a clock is or was wrong, and its user must retry.
    Early,
}

/// The accounts of a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accounts {
    accounts: Vec<Account>,
    logins: Vec<Login>,
    policy: TokenPolicy,
}

/// Lifetimes in milliseconds, and the limit of logins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TokenPolicy {
    /// Tokens for files.
    pub access_ttl: i64,
    /// Logins.
    pub refresh_ttl: i64,
    /// Maximum number of logins of an account; more end the oldest.
    pub logins_max: usize,
    /// Whether clients may create accounts.
    pub registration: bool,
    /// Minimum number of characters of a new password.
    pub password_chars_min: usize,
}

impl TokenPolicy {
    fn refusal_of_password(&self, password: &str) -> Option<i64> {
        (password.chars().count() < self.password_chars_min).then_some(INVALID_PARAMETERS)
    }
}

impl Accounts {
    /// Creates a server with its administrator.
    #[must_use]
    pub fn new(policy: TokenPolicy, name: &str, password: &str) -> Self {
        let admin = Account {
            name: name.to_owned(),
            password: password.to_owned(),
            identity: None,
            is_admin: true,
            changes: 0,
        };
        Self { accounts: vec![admin], logins: Vec::new(), policy }
    }

    /// Starts a call.
    #[must_use]
    pub fn begin(&self, now: i64, server_call: ServerCall) -> StartedCall {
        let mut changes = 0;
        let refused = match &server_call {
            ServerCall::Register(..) if !self.policy.registration => Some(ACCESS_DENIED),
            ServerCall::Register(name, password) => {
                let taken = self.named(name).map(|_| EXISTING_ACCOUNT);
                self.policy.refusal_of_password(password).or(taken)
            }
            ServerCall::LogIn(name, password) => {
                changes = self.named(name).map_or(0, |at| self.accounts[at].changes);
                let fits = self.password(name) == Some(password);
                (!fits).then_some(INVALID_CREDENTIALS)
            }
            ServerCall::ChangePassword(token, of, password) => match self.token_state(now, token) {
                TokenState::Gone => Some(EXPIRED_REFRESH_TOKEN),
                TokenState::Superseded | TokenState::Early => Some(RETRY_LATER),
                TokenState::Old => None,
                TokenState::Current | TokenState::Next => {
                    let by = self.login(token).map(|at| self.logins[at].account);
                    by.and_then(|by| self.refusal_of_change(by, of.as_deref()))
                        .or_else(|| self.policy.refusal_of_password(password))
                }
            },
            ServerCall::Token(token, _)
            | ServerCall::Exchange(token, _)
            | ServerCall::LookUp(token, _) => match self.token_state(now, token) {
                TokenState::Gone => Some(EXPIRED_REFRESH_TOKEN),
                TokenState::Superseded | TokenState::Early => Some(RETRY_LATER),
                TokenState::Current | TokenState::Next | TokenState::Old => None,
            },
            ServerCall::Revoke(_) => None,
        };
        StartedCall { server_call, refused, changes }
    }

    /// Ends a call. A granted login gets the identity and the token of the answer.
    pub fn end(
        &mut self,
        now: i64,
        started: &StartedCall,
        issued: Option<(&str, &str)>,
    ) -> ServerReply {
        if let Some(code) = started.refused {
            return ServerReply::Refused(code);
        }
        self.outcome(now, started, issued).unwrap_or_else(ServerReply::Refused)
    }

    fn outcome(
        &mut self,
        now: i64,
        started: &StartedCall,
        issued: Option<(&str, &str)>,
    ) -> Result<ServerReply, i64> {
        match &started.server_call {
            ServerCall::Register(name, _) if self.named(name).is_some() => Err(EXISTING_ACCOUNT),
            ServerCall::Register(name, password) => {
                let (name, password) = (name.clone(), password.clone());
                let account =
                    Account { name, password, identity: None, is_admin: false, changes: 0 };
                self.accounts.push(account);
                Ok(self.log_in(now, self.accounts.len() - 1, issued))
            }
            ServerCall::LogIn(name, _) => match self.named(name) {
                Some(at) if self.accounts[at].changes == started.changes => {
                    Ok(self.log_in(now, at, issued))
                }
                Some(_) | None => Err(INVALID_CREDENTIALS),
            },
            ServerCall::Token(token, path) => {
                let at = self.present(now, token)?;
                self.token(now, at, path)
            }
            ServerCall::Exchange(token, path) => {
                let at = self.present(now, token)?;
                let ServerReply::Token { identity, path, expires } = self.token(now, at, path)?
                else {
                    return Err(ACCESS_DENIED);
                };
                let login = &mut self.logins[at];
                login.next.push(issued.map(|(_, token)| token.to_owned()));
                if login.next.len() > SUCCESSORS_MAX {
                    login.old.extend(login.next.remove(0));
                    login.is_shared = true;
                }
                let login_expires = login.expires.div_euclid(1000);
                Ok(ServerReply::Exchange { identity, path, expires, login_expires })
            }
            ServerCall::Revoke(token) => {
                let at = self.login(token).filter(|at| !self.logins[*at].is_ended);
                let login = &mut self.logins[at.ok_or(EXPIRED_REFRESH_TOKEN)?];
                login.is_ended = true;
                Ok(if login.expires <= now { ServerReply::Expired } else { ServerReply::Done })
            }
            ServerCall::ChangePassword(token, of, password) => {
                let at = self.present(now, token)?;
                let by = self.logins[at].account;
                match self.refusal_of_change(by, of.as_deref()) {
                    Some(code) => return Err(code),
                    None => self.change_password(at, of.as_deref(), password),
                }
                Ok(ServerReply::Done)
            }
            ServerCall::LookUp(token, name) => {
                let by = self.present(now, token)?;
                if !self.accounts[self.logins[by].account].is_admin {
                    return Err(ACCESS_DENIED);
                }
                let found = &self.accounts[self.named(name).ok_or(UNKNOWN_ACCOUNT)?];
                Ok(ServerReply::Found {
                    identity: found.identity.clone(),
                    is_admin: found.is_admin,
                })
            }
        }
    }

    /// Returns the password of an account.
    #[must_use]
    pub fn password(&self, name: &str) -> Option<&str> {
        self.named(name).map(|at| &*self.accounts[at].password)
    }

    /// Returns the identity of the account with this name.
    #[must_use]
    pub fn identity(&self, name: &str) -> Option<&str> {
        self.named(name).and_then(|at| self.accounts[at].identity.as_deref())
    }

    /// Returns the names of all accounts.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.accounts.iter().map(|account| &*account.name)
    }

    /// Returns all issued tokens with their states.
    pub fn tokens(&self, now: i64) -> impl Iterator<Item = (&str, TokenState)> {
        let tokens = self.logins.iter().flat_map(Login::tokens);
        tokens.map(move |token| (token, self.token_state(now, token)))
    }

    /// Returns the state of a token.
    #[must_use]
    pub fn token_state(&self, now: i64, token: &str) -> TokenState {
        let Some(login) = self.login(token).map(|at| &self.logins[at]) else {
            return TokenState::Gone;
        };
        if login.is_ended || login.expires <= now {
            return TokenState::Gone;
        }
        if login.began > now.saturating_add(SKEW_MS) {
            return TokenState::Early;
        }
        let is = |known: &Option<String>| known.as_deref() == Some(token);
        match &login.superseded {
            _ if is(&login.current) => TokenState::Current,
            _ if login.next.iter().any(is) => TokenState::Next,
            Some((superseded, until)) if superseded == token && *until > now => {
                TokenState::Superseded
            }
            Some(_) | None => TokenState::Old,
        }
    }

    /// Marks the login of a token as shared with a stranger.
    pub fn share(&mut self, token: &str) {
        if let Some(at) = self.login(token) {
            self.logins[at].is_shared = true;
        }
    }

    /// Returns whether the login of a token was never shared.
    #[must_use]
    pub fn is_ones_own(&self, token: &str) -> bool {
        self.login(token).is_some_and(|at| !self.logins[at].is_shared)
    }

    /// Returns whether an account has this identity.
    #[must_use]
    pub fn has_identity(&self, identity: &str) -> bool {
        self.accounts.iter().any(|account| account.identity.as_deref() == Some(identity))
    }

    /// Returns whether a token was issued.
    #[must_use]
    pub fn knows(&self, token: &str) -> bool {
        self.login(token).is_some()
    }

    /// Presents a token: a successor becomes the token of the login, an older token ends the login.
    fn present(&mut self, now: i64, token: &str) -> Result<usize, i64> {
        let token_state = self.token_state(now, token);
        let at = self.login(token).ok_or(EXPIRED_REFRESH_TOKEN)?;
        let login = &mut self.logins[at];
        match token_state {
            TokenState::Current => {}
            TokenState::Next => {
                let others = login.next.drain(..).flatten().filter(|other| other != token);
                login.old.extend(others);
                login.old.extend(login.superseded.take().map(|(superseded, _)| superseded));
                let before = login.current.replace(token.to_owned());
                login.superseded = before.map(|before| (before, now.saturating_add(LATE_MS)));
            }
            TokenState::Superseded | TokenState::Early => return Err(RETRY_LATER),
            TokenState::Old => {
                login.is_ended = true;
                return Err(EXPIRED_REFRESH_TOKEN);
            }
            TokenState::Gone => return Err(EXPIRED_REFRESH_TOKEN),
        }
        Ok(at)
    }

    /// Returns the reason why an account may not change a password.
    fn refusal_of_change(&self, by: usize, of: Option<&str>) -> Option<i64> {
        let by = &self.accounts[by];
        let of = of.filter(|of| by.identity.as_deref() != Some(*of))?;
        match (by.is_admin, self.has_identity(of)) {
            (false, _) => Some(ACCESS_DENIED),
            (true, false) => Some(UNKNOWN_ACCOUNT),
            (true, true) => None,
        }
    }

    fn named(&self, name: &str) -> Option<usize> {
        self.accounts.iter().position(|account| account.name == name)
    }

    fn login(&self, token: &str) -> Option<usize> {
        self.logins.iter().position(|login| login.tokens().any(|known| known == token))
    }

    fn log_in(&mut self, now: i64, at: usize, issued: Option<(&str, &str)>) -> ServerReply {
        let account = &mut self.accounts[at];
        let identity = account.identity.clone();
        if let (None, Some((identity, _))) = (&identity, issued) {
            account.identity = Some(identity.to_owned());
        }
        let is_admin = account.is_admin;
        let goes_on = |login: &Login| login.account == at && !login.is_ended && login.expires > now;
        let held = self.logins.iter().filter(|login| goes_on(login)).count();
        let surplus = (held + 1).saturating_sub(self.policy.logins_max);
        let mut oldest: Vec<_> = self.logins.iter_mut().filter(|login| goes_on(login)).collect();
        // A clock that steps back makes a later login an older one.
        oldest.sort_by_key(|login| login.began);
        oldest.into_iter().take(surplus).for_each(|login| login.is_ended = true);
        let expires = now.saturating_add(self.policy.refresh_ttl);
        let current = issued.map(|(_, token)| token.to_owned());
        self.logins.push(Login {
            account: at,
            current,
            next: Vec::new(),
            superseded: None,
            old: Vec::new(),
            is_shared: false,
            began: now,
            expires,
            is_ended: false,
        });
        ServerReply::LogIn { identity, expires: expires.div_euclid(1000), is_admin }
    }

    fn token(&self, now: i64, at: usize, path: &str) -> Result<ServerReply, i64> {
        let by = &self.accounts[self.logins[at].account];
        let identity = by.identity.clone().unwrap_or_default();
        let path = match path.strip_prefix("/~/") {
            Some(rest) => format!("/{identity}/{rest}"),
            None => path.to_owned(),
        };
        if !by.is_admin && !path.starts_with(&format!("/{identity}/")) {
            return Err(ACCESS_DENIED);
        }
        let expires = now.saturating_add(self.policy.access_ttl).div_euclid(1000);
        Ok(ServerReply::Token { identity, path, expires })
    }

    fn change_password(&mut self, mine: usize, of: Option<&str>, password: &str) {
        let by = self.logins[mine].account;
        let is = |account: &Account| account.identity.as_deref() == of;
        let of = of.and_then(|_| self.accounts.iter().position(is)).unwrap_or(by);
        self.accounts[of].password = password.to_owned();
        self.accounts[of].changes += 1;
        for (index, login) in self.logins.iter_mut().enumerate() {
            login.is_ended |= login.account == of && index != mine;
        }
    }
}

impl Login {
    /// Returns all known tokens.
    fn tokens(&self) -> impl Iterator<Item = &str> {
        let superseded = self.superseded.iter().map(|(superseded, _)| superseded);
        let next = self.next.iter().flatten();
        self.current.iter().chain(next).chain(superseded).chain(&self.old).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::TokenState::{Current, Early, Gone, Next, Old, Superseded};
    use super::*;

    fn call(
        server: &mut Accounts,
        server_call: ServerCall,
        issued: Option<(&str, &str)>,
    ) -> ServerReply {
        let started = server.begin(0, server_call);
        server.end(0, &started, issued)
    }

    fn server() -> Accounts {
        let mut server = Accounts::new(
            TokenPolicy {
                access_ttl: 1000,
                refresh_ttl: 5000,
                logins_max: 3,
                registration: true,
                password_chars_min: 1,
            },
            "root",
            "r",
        );
        let register = ServerCall::Register("a".to_owned(), "p".to_owned());
        call(&mut server, register, Some(("A", "1")));
        server
    }

    #[test]
    fn a_change_of_password_ends_every_other_login() {
        let mut server = server();
        let log_in = |password: &str| ServerCall::LogIn("a".to_owned(), password.to_owned());
        call(&mut server, log_in("p"), Some(("A", "2")));
        let held = server.begin(0, log_in("p"));
        call(&mut server, ServerCall::ChangePassword("2".to_owned(), None, "q".to_owned()), None);
        assert_eq!((server.token_state(0, "1"), server.token_state(0, "2")), (Gone, Current));
        assert_eq!(server.end(0, &held, None), ServerReply::Refused(INVALID_CREDENTIALS));
        assert_eq!((server.token_state(4999, "2"), server.token_state(5000, "2")), (Current, Gone));
    }

    #[test]
    fn a_revoked_token_stays_revoked_and_ends_no_other_login() {
        let mut server = server();
        call(&mut server, ServerCall::LogIn("a".to_owned(), "p".to_owned()), Some(("A", "2")));
        assert_eq!(call(&mut server, ServerCall::Revoke("1".to_owned()), None), ServerReply::Done);
        let again = call(&mut server, ServerCall::Revoke("1".to_owned()), None);
        assert_eq!(again, ServerReply::Refused(EXPIRED_REFRESH_TOKEN));
        assert_eq!((server.token_state(0, "1"), server.token_state(0, "2")), (Gone, Current));
    }

    #[test]
    fn only_an_administrator_reaches_others() {
        let mut server = server();
        let change = |of: &str| {
            ServerCall::ChangePassword("1".to_owned(), Some(of.to_owned()), "q".to_owned())
        };
        assert_eq!(call(&mut server, change("B"), None), ServerReply::Refused(ACCESS_DENIED));
        assert_eq!(call(&mut server, change("A"), None), ServerReply::Done);
        let look_up = ServerCall::LookUp("1".to_owned(), "root".to_owned());
        assert_eq!(call(&mut server, look_up, None), ServerReply::Refused(ACCESS_DENIED));
    }

    #[test]
    fn an_exchanged_token_is_good_until_its_successor_is_presented() {
        let mut server = server();
        let exchange = |token: &str| ServerCall::Exchange(token.to_owned(), "/~/x".to_owned());
        call(&mut server, exchange("1"), Some(("A", "2")));
        call(&mut server, exchange("1"), Some(("A", "3")));
        let token_states =
            |server: &Accounts, now| ["1", "2", "3"].map(|token| server.token_state(now, token));
        assert_eq!(token_states(&server, 0), [Current, Next, Next]);
        call(&mut server, ServerCall::Token("3".to_owned(), "/~/x".to_owned()), None);
        assert_eq!(token_states(&server, 0), [Superseded, Old, Current]);
        assert_eq!(call(&mut server, exchange("1"), None), ServerReply::Refused(RETRY_LATER));
        let again = call(&mut server, exchange("2"), None);
        assert_eq!(again, ServerReply::Refused(EXPIRED_REFRESH_TOKEN));
        assert_eq!(token_states(&server, 0), [Gone, Gone, Gone]);
    }

    #[test]
    fn a_minute_later_the_token_before_is_an_old_one() {
        let mut policy = server();
        policy.policy.refresh_ttl = 1_000_000;
        call(&mut policy, ServerCall::LogIn("a".to_owned(), "p".to_owned()), Some(("A", "4")));
        let exchange = ServerCall::Exchange("4".to_owned(), "/~/x".to_owned());
        call(&mut policy, exchange, Some(("A", "5")));
        call(&mut policy, ServerCall::Token("5".to_owned(), "/~/x".to_owned()), None);
        assert_eq!(
            (policy.token_state(59_999, "4"), policy.token_state(60_000, "4")),
            (Superseded, Old)
        );
    }

    #[test]
    fn a_login_of_the_future_waits_and_is_not_lost() {
        let mut server = server();
        let log_in = ServerCall::LogIn("a".to_owned(), "p".to_owned());
        let held = server.begin(70_000, log_in);
        server.policy.refresh_ttl = 1_000_000;
        server.end(70_000, &held, Some(("A", "2")));
        assert_eq!(
            (server.token_state(9_999, "2"), server.token_state(10_000, "2")),
            (Early, Current)
        );
        let token = ServerCall::Token("2".to_owned(), "/~/x".to_owned());
        assert_eq!(call(&mut server, token, None), ServerReply::Refused(RETRY_LATER));
        assert_eq!(server.token_state(70_000, "2"), Current);
    }

    #[test]
    fn too_many_logins_end_the_oldest() {
        let mut server = server();
        for token in ["2", "3", "4"] {
            call(
                &mut server,
                ServerCall::LogIn("a".to_owned(), "p".to_owned()),
                Some(("A", token)),
            );
        }
        assert_eq!((server.token_state(0, "1"), server.token_state(0, "2")), (Gone, Current));
    }
}
