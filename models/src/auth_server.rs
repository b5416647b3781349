//! The accounts of a server: who may do what, when, with which token. Written from docs/server.md.
//!
//! A call has a beginning, at which it may be refused, and an end, at which it takes effect or is
//! refused all the same; others may end in between. Identities and tokens are the server's to
//! choose: they come in with its answers.

/// The name or the password is wrong.
pub const INVALID_CREDENTIALS: i64 = 611;
/// There is no such account.
pub const UNKNOWN_ACCOUNT: i64 = 612;
/// The name is taken.
pub const EXISTING_ACCOUNT: i64 = 613;
/// Only an administrator may.
pub const ACCESS_DENIED: i64 = 614;
/// The token is not good.
pub const EXPIRED_REFRESH_TOKEN: i64 = 615;

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// To make an account and log in: name, password.
    Register(String, String),
    /// To log in: name, password.
    LogIn(String, String),
    /// A token for a file: refresh token, path.
    Token(String, String),
    /// To end a login: refresh token.
    Revoke(String),
    /// To change a password: refresh token, whose if not one's own, the new one.
    ChangePassword(String, Option<String>, String),
    /// To look somebody up: refresh token, name.
    LookUp(String, String),
}

/// What comes of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// A login.
    LogIn {
        /// Whose; nothing if nobody has heard of it yet.
        identity: Option<String>,
        /// When its token expires, in seconds.
        expires: i64,
        /// Whether it is an administrator's.
        is_admin: bool,
    },
    /// A token for a file.
    Token {
        /// Whose.
        identity: String,
        /// Which file.
        path: String,
        /// When it expires, in seconds.
        expires: i64,
    },
    /// It is done.
    Done,
    /// A login was to be ended that had expired: done, or [`EXPIRED_REFRESH_TOKEN`].
    Expired,
    /// The account that was looked up.
    Found {
        /// What the server calls it; nothing if nobody has heard of it yet.
        identity: Option<String>,
        /// Whether it is an administrator's.
        is_admin: bool,
    },
    /// It is refused, with a code.
    Refused(i64),
}

/// A call between its beginning and its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Begun {
    ask: Ask,
    refused: Option<i64>,
    /// How often the password had been changed.
    changes: u32,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Account {
    name: String,
    password: String,
    identity: Option<String>,
    is_admin: bool,
    changes: u32,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Login {
    account: usize,
    /// Nothing if the answer was lost.
    token: Option<String>,
    expires: i64,
    is_over: bool,
}

/// The accounts of a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accounts {
    accounts: Vec<Account>,
    logins: Vec<Login>,
    access_ttl: i64,
    refresh_ttl: i64,
}

impl Begun {
    /// Returns what was asked.
    #[must_use]
    pub const fn ask(&self) -> &Ask {
        &self.ask
    }

    /// Returns why it was refused at its beginning, if it was.
    #[must_use]
    pub const fn refused(&self) -> Option<i64> {
        self.refused
    }
}

impl Accounts {
    /// Makes a server whose tokens live so long, in ms, and its administrator.
    #[must_use]
    pub fn new((access_ttl, refresh_ttl): (i64, i64), (name, password): (&str, &str)) -> Self {
        let admin = Account {
            name: name.to_owned(),
            password: password.to_owned(),
            identity: None,
            is_admin: true,
            changes: 0,
        };
        Self { accounts: vec![admin], logins: Vec::new(), access_ttl, refresh_ttl }
    }

    /// Begins a call.
    #[must_use]
    pub fn begin(&self, now: i64, ask: Ask) -> Begun {
        let changes = match &ask {
            Ask::LogIn(name, _) => self.named(name).map_or(0, |at| self.accounts[at].changes),
            Ask::Register(..)
            | Ask::Token(..)
            | Ask::Revoke(_)
            | Ask::ChangePassword(..)
            | Ask::LookUp(..) => 0,
        };
        Begun { refused: self.refusal(now, &ask), changes, ask }
    }

    /// Ends a call. A login that is granted gets the identity and the token of the answer.
    pub fn end(&mut self, now: i64, begun: &Begun, fresh: Option<(&str, &str)>) -> Reply {
        if let Some(code) = begun.refused.or_else(|| self.refusal(now, &begun.ask)) {
            return Reply::Refused(code);
        }
        match &begun.ask {
            Ask::Register(name, password) => {
                let (name, password) = (name.clone(), password.clone());
                let account =
                    Account { name, password, identity: None, is_admin: false, changes: 0 };
                self.accounts.push(account);
                self.log_in(now, self.accounts.len() - 1, fresh)
            }
            Ask::LogIn(name, _) => match self.named(name) {
                Some(at) if self.accounts[at].changes == begun.changes => {
                    self.log_in(now, at, fresh)
                }
                Some(_) | None => Reply::Refused(INVALID_CREDENTIALS),
            },
            Ask::Token(token, path) => self.token(now, token, path),
            Ask::Revoke(token) => {
                let at = self.login(token);
                let login = at.map(|at| &mut self.logins[at]);
                let expired = login.as_ref().is_some_and(|login| login.expires <= now);
                login.into_iter().for_each(|login| login.is_over = true);
                if expired { Reply::Expired } else { Reply::Done }
            }
            Ask::ChangePassword(token, of, password) => {
                self.change_password(token, of.as_deref(), password);
                Reply::Done
            }
            Ask::LookUp(_, name) => match self.named(name).map(|at| &self.accounts[at]) {
                Some(found) => {
                    Reply::Found { identity: found.identity.clone(), is_admin: found.is_admin }
                }
                None => Reply::Refused(UNKNOWN_ACCOUNT),
            },
        }
    }

    /// Returns the password of an account.
    #[must_use]
    pub fn password(&self, name: &str) -> Option<&str> {
        self.named(name).map(|at| &*self.accounts[at].password)
    }

    /// Returns what the account of a name is known as.
    #[must_use]
    pub fn identity(&self, name: &str) -> Option<&str> {
        self.named(name).and_then(|at| self.accounts[at].identity.as_deref())
    }

    /// Returns the names of all accounts.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.accounts.iter().map(|account| &*account.name)
    }

    /// Returns all tokens that were given out, and whether they are good.
    pub fn tokens(&self, now: i64) -> impl Iterator<Item = (&str, bool)> {
        self.logins.iter().filter_map(move |login| {
            let is_good = !login.is_over && login.expires > now;
            login.token.as_deref().map(|token| (token, is_good))
        })
    }

    /// Returns whether a token is good.
    #[must_use]
    pub fn is_good(&self, now: i64, token: &str) -> bool {
        self.tokens(now).any(|(known, is_good)| is_good && known == token)
    }

    /// Returns whether an account is known by this identity.
    #[must_use]
    pub fn has_identity(&self, identity: &str) -> bool {
        self.accounts.iter().any(|account| account.identity.as_deref() == Some(identity))
    }

    /// Returns whether a token was given out before.
    #[must_use]
    pub fn knows(&self, token: &str) -> bool {
        self.logins.iter().any(|login| login.token.as_deref() == Some(token))
    }

    /// Why a call is refused as things are.
    fn refusal(&self, now: i64, ask: &Ask) -> Option<i64> {
        let (token, needs_admin) = match ask {
            Ask::Register(name, _) => {
                return self.named(name).map(|_| EXISTING_ACCOUNT);
            }
            Ask::LogIn(name, password) => {
                let fits = self.password(name) == Some(password);
                return (!fits).then_some(INVALID_CREDENTIALS);
            }
            Ask::Revoke(token) => {
                let goes_on = self.login(token).is_some_and(|at| !self.logins[at].is_over);
                return (!goes_on).then_some(EXPIRED_REFRESH_TOKEN);
            }
            Ask::Token(token, _) => (token, false),
            Ask::ChangePassword(token, of, _) => (token, of.is_some()),
            Ask::LookUp(token, _) => (token, true),
        };
        if !self.is_good(now, token) {
            return Some(EXPIRED_REFRESH_TOKEN);
        }
        let by = &self.accounts[self.logins[self.login(token)?].account];
        let mut of = None;
        if let Ask::ChangePassword(_, Some(other), _) = ask {
            of = Some(other).filter(|other| by.identity.as_ref() != Some(*other));
        }
        if needs_admin && !by.is_admin && (of.is_some() || matches!(ask, Ask::LookUp(..))) {
            return Some(ACCESS_DENIED);
        }
        let is_known =
            |of: &String| self.accounts.iter().any(|account| account.identity.as_ref() == Some(of));
        (!of.is_none_or(is_known)).then_some(UNKNOWN_ACCOUNT)
    }

    fn named(&self, name: &str) -> Option<usize> {
        self.accounts.iter().position(|account| account.name == name)
    }

    fn login(&self, token: &str) -> Option<usize> {
        self.logins.iter().position(|login| login.token.as_deref() == Some(token))
    }

    fn log_in(&mut self, now: i64, at: usize, fresh: Option<(&str, &str)>) -> Reply {
        let account = &mut self.accounts[at];
        let identity = account.identity.clone();
        if let (None, Some((identity, _))) = (&identity, fresh) {
            account.identity = Some(identity.to_owned());
        }
        let is_admin = account.is_admin;
        let expires = now.saturating_add(self.refresh_ttl);
        let token = fresh.map(|(_, token)| token.to_owned());
        self.logins.push(Login { account: at, token, expires, is_over: false });
        Reply::LogIn { identity, expires: expires.div_euclid(1000), is_admin }
    }

    fn token(&self, now: i64, token: &str, path: &str) -> Reply {
        let Some(login) = self.login(token).map(|at| &self.logins[at]) else {
            return Reply::Refused(EXPIRED_REFRESH_TOKEN);
        };
        let by = &self.accounts[login.account];
        let identity = by.identity.clone().unwrap_or_default();
        let path = match path.strip_prefix("/~/") {
            Some(rest) => format!("/{identity}/{rest}"),
            None => path.to_owned(),
        };
        if !by.is_admin && !path.starts_with(&format!("/{identity}/")) {
            return Reply::Refused(ACCESS_DENIED);
        }
        let expires = now.saturating_add(self.access_ttl).div_euclid(1000);
        Reply::Token { identity, path, expires }
    }

    fn change_password(&mut self, token: &str, of: Option<&str>, password: &str) {
        let Some(mine) = self.login(token) else { return };
        let by = self.logins[mine].account;
        let is = |account: &Account| account.identity.as_deref() == of;
        let of = of.and_then(|_| self.accounts.iter().position(is)).unwrap_or(by);
        self.accounts[of].password = password.to_owned();
        self.accounts[of].changes += 1;
        for (index, login) in self.logins.iter_mut().enumerate() {
            login.is_over |= login.account == of && index != mine;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(server: &mut Accounts, ask: Ask, fresh: Option<(&str, &str)>) -> Reply {
        let begun = server.begin(0, ask);
        server.end(0, &begun, fresh)
    }

    fn server() -> Accounts {
        let mut server = Accounts::new((1000, 5000), ("root", "r"));
        let register = Ask::Register("a".to_owned(), "p".to_owned());
        call(&mut server, register, Some(("A", "1")));
        server
    }

    #[test]
    fn a_change_of_password_ends_every_other_login() {
        let mut server = server();
        let log_in = |password: &str| Ask::LogIn("a".to_owned(), password.to_owned());
        call(&mut server, log_in("p"), Some(("A", "2")));
        let held = server.begin(0, log_in("p"));
        call(&mut server, Ask::ChangePassword("2".to_owned(), None, "q".to_owned()), None);
        assert_eq!((server.is_good(0, "1"), server.is_good(0, "2")), (false, true));
        assert_eq!(server.end(0, &held, None), Reply::Refused(INVALID_CREDENTIALS));
        assert!(server.is_good(4999, "2") && !server.is_good(5000, "2"));
    }

    #[test]
    fn what_is_revoked_stays_revoked_and_ends_nothing_else() {
        let mut server = server();
        call(&mut server, Ask::LogIn("a".to_owned(), "p".to_owned()), Some(("A", "2")));
        assert_eq!(call(&mut server, Ask::Revoke("1".to_owned()), None), Reply::Done);
        let again = call(&mut server, Ask::Revoke("1".to_owned()), None);
        assert_eq!(again, Reply::Refused(EXPIRED_REFRESH_TOKEN));
        assert_eq!((server.is_good(0, "1"), server.is_good(0, "2")), (false, true));
    }

    #[test]
    fn only_an_administrator_reaches_others() {
        let mut server = server();
        let change =
            |of: &str| Ask::ChangePassword("1".to_owned(), Some(of.to_owned()), "q".to_owned());
        assert_eq!(call(&mut server, change("B"), None), Reply::Refused(ACCESS_DENIED));
        assert_eq!(call(&mut server, change("A"), None), Reply::Done);
        let look_up = Ask::LookUp("1".to_owned(), "root".to_owned());
        assert_eq!(call(&mut server, look_up, None), Reply::Refused(ACCESS_DENIED));
    }
}
