//! What is asked of a server, as requests that any HTTP library can send.
//!
//! - U1 Printing a request shows neither body nor authorization.
//! - U6 A request is what the original client sends.
//! - U7 What only an administrator may ask, or what lacks an argument, is no request.
//!
//! Specified in docs/auth.md#requests.

use crate::address::{AuthUrl, path_part};
use crate::credentials::{Credentials, Info, provider};
use crate::error::Refusal;
use crate::json::Object;
use crate::secret::{Secret, SecretBytes};
use crate::token::{Permission, Token};
use crate::user::User;
use std::fmt;

/// How a request is made.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Method {
    /// Reads.
    Get,
    /// Asks for something to be done.
    Post,
    /// Replaces.
    Put,
}

/// One request, to be sent as it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    method: Method,
    url: String,
    path_at: usize,
    authorization: Option<Secret>,
    body: Option<SecretBytes>,
}

/// A server with accounts, and the name of the app that asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthServer {
    url: AuthUrl,
    app_id: Option<String>,
}

/// What a login needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Login {
    /// This has to be asked; see [`crate::answer::login`].
    Ask(Request),
    /// Nothing: an access token says it all.
    Done(User),
}

impl AuthServer {
    /// Takes the address to log in at; where its path is empty it becomes `/auth`.
    ///
    /// # Errors
    /// [`Refusal::Address`] if it is not one.
    pub fn new(url: impl Into<String>) -> Result<Self, Refusal> {
        Ok(Self::at(AuthUrl::for_login(url)?))
    }

    /// Takes the address of a user who logged in before, as it is.
    #[must_use]
    pub fn at(url: AuthUrl) -> Self {
        Self { url, app_id: Some("unknown".to_owned()) }
    }

    /// Gives the app a name, `unknown` unless told otherwise; `None` leaves it out.
    #[must_use]
    pub fn app_id(mut self, app_id: Option<&str>) -> Self {
        self.app_id = app_id.map(str::to_owned);
        self
    }

    /// Returns the address.
    #[must_use]
    pub const fn url(&self) -> &AuthUrl {
        &self.url
    }

    /// Begins a login. An access token makes a user at once, who has all permissions for ever.
    #[must_use]
    pub fn login(&self, credentials: &Credentials) -> Login {
        let known = (credentials.provider() == provider::ACCESS_TOKEN)
            .then(|| self.access_token_user(credentials))
            .flatten();
        known.map_or_else(|| Login::Ask(self.authenticate(credentials)), Login::Done)
    }

    /// Asks for the user that credentials stand for; [`crate::answer::login`] reads the answer.
    #[must_use]
    pub fn authenticate(&self, credentials: &Credentials) -> Request {
        let mut body = self.body(credentials.provider());
        if let Some(identifier) = credentials.identifier() {
            body = body.with_secret("data", identifier);
        }
        self.post(&body.with_object("user_info", credentials.information_json()))
    }

    /// Asks for a token for one file, first or again; [`crate::answer::access_token`] reads the
    /// answer.
    #[must_use]
    pub fn access_token(&self, refresh_token: &Token, path: &str) -> Request {
        self.post(&self.token_body(refresh_token, path))
    }

    /// Asks for a token for one file, and for a refresh token in place of this one;
    /// [`crate::answer::exchange`] reads the answer. The original client never asks so, and its
    /// server would not know it.
    #[must_use]
    pub fn exchange(&self, refresh_token: &Token, path: &str) -> Request {
        self.post(&self.token_body(refresh_token, path).with("rotate", true))
    }

    /// Asks that a token be accepted no more; [`crate::answer::revoke`] reads the answer. The
    /// request holds the token as it is now: a later one is not touched, whenever this is sent.
    #[must_use]
    pub fn revoke(&self, refresh_token: &Token) -> Request {
        let body = Object::new().with_secret("token", &refresh_token.value);
        let request = self.request(Method::Post, self.url.join("revoke"));
        request.authorized(refresh_token).with_body(&body)
    }

    /// Changes the password of the token's user; [`crate::answer::change_password`] reads the
    /// answer.
    #[must_use]
    pub fn change_password(&self, refresh_token: &Token, password: &Secret) -> Request {
        let body = Object::new().with_secret("newPassword", password);
        self.put_password(refresh_token, &body)
    }

    /// Changes the password of any user, as an administrator; one's own as anybody.
    ///
    /// # Errors
    /// [`Refusal::Empty`] without an identity, [`Refusal::NotAdmin`] unless it is an
    /// administrator's token.
    pub fn change_password_of(
        &self,
        admin_token: &Token,
        identity: &str,
        password: &Secret,
    ) -> Result<Request, Refusal> {
        if identity.is_empty() {
            return Err(Refusal::Empty("identity"));
        }
        if identity == admin_token.identity {
            return Ok(self.change_password(admin_token, password));
        }
        if !admin_token.is_admin {
            return Err(Refusal::NotAdmin);
        }
        let body = Object::new().with_secret("newPassword", password);
        Ok(self.put_password(admin_token, &body.with_text("userId", identity)))
    }

    /// Looks up the user that a provider knows under an id; [`crate::answer::look_up`] reads the
    /// answer.
    ///
    /// # Errors
    /// [`Refusal::Empty`] and [`Refusal::Dots`] if provider or id are no part of a path,
    /// [`Refusal::NotAdmin`] unless it is an administrator's token.
    pub fn look_up(
        &self,
        admin_token: &Token,
        provider: &str,
        provider_id: &str,
    ) -> Result<Request, Refusal> {
        let provider = path_part("provider", provider)?;
        let provider_id = path_part("provider's id", provider_id)?;
        if !admin_token.is_admin {
            return Err(Refusal::NotAdmin);
        }
        // Two slashes, as the original client has it.
        let url = self.url.join(&format!("/users/{provider}/{provider_id}"));
        Ok(self.request(Method::Get, url).authorized(admin_token))
    }

    fn access_token_user(&self, credentials: &Credentials) -> Option<User> {
        let Some(Info::Text(value)) = credentials.information().get("_token") else { return None };
        let token = Token {
            value: value.clone(),
            identity: credentials.identifier()?.expose().to_owned(),
            path: String::new(),
            expires_seconds: i64::MAX,
            permissions: Permission::KNOWN.to_vec(),
            is_admin: credentials.information().get("_isAdmin") == Some(&Info::Bool(true)),
        };
        Some(User { url: self.url.clone(), token })
    }

    fn body(&self, provider: &str) -> Object {
        let body = Object::new().with_text("provider", provider);
        match &self.app_id {
            Some(app_id) => body.with_text("app_id", app_id),
            None => body,
        }
    }

    fn token_body(&self, refresh_token: &Token, path: &str) -> Object {
        self.body(provider::REALM)
            .with_secret("data", &refresh_token.value)
            .with_text("path", path)
            .with_object("user_info", Object::new())
    }

    fn put_password(&self, token: &Token, body: &Object) -> Request {
        self.request(Method::Put, self.url.join("password")).authorized(token).with_body(body)
    }

    /// Posts to the address itself, for which nobody has to be known.
    fn post(&self, body: &Object) -> Request {
        self.request(Method::Post, self.url.as_str().to_owned()).with_body(body)
    }

    const fn request(&self, method: Method, url: String) -> Request {
        Request { method, url, path_at: self.url.path_at(), authorization: None, body: None }
    }
}

/// Whether a token can be the value of a header.
fn is_header(value: &Secret) -> bool {
    !value.is_empty() && value.expose().bytes().all(|byte| byte.is_ascii_graphic())
}

impl Request {
    fn authorized(mut self, token: &Token) -> Self {
        self.authorization = Some(&token.value).filter(|value| is_header(value)).cloned();
        self
    }

    fn with_body(mut self, body: &Object) -> Self {
        self.body = Some(body.write());
        self
    }

    /// Returns the method.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// Returns the whole address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns path and query, as they stand in the first line of a request.
    #[must_use]
    pub fn target(&self) -> String {
        let target = &self.url[self.path_at..];
        let slash = if target.starts_with('/') { "" } else { "/" };
        format!("{slash}{target}")
    }

    /// Returns names and values of the headers. They may hold a token: not for logs.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let content = match self.body {
            Some(_) => "application/json; charset=utf-8",
            None => "application/json",
        };
        let authorization = self.authorization.as_ref();
        [("Content-Type", content), ("Accept", "application/json")]
            .into_iter()
            .chain(authorization.map(|token| ("Authorization", token.expose())))
    }

    /// Returns the body: JSON, or nothing. It may hold a token or a password: not for logs.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.body.as_ref().map_or(&[], SecretBytes::expose)
    }
}

impl Method {
    /// Returns the word that HTTP has for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Time;

    fn token(value: &str, is_admin: bool) -> Token {
        Token {
            value: value.into(),
            identity: "me".to_owned(),
            path: String::new(),
            expires_seconds: 0,
            permissions: Vec::new(),
            is_admin,
        }
    }

    fn server() -> AuthServer {
        AuthServer::new("http://h:9080").unwrap()
    }

    fn body(request: &Request) -> &str {
        std::str::from_utf8(request.body()).unwrap()
    }

    #[test]
    fn what_is_missing_is_left_out_and_a_missing_password_is_null() {
        let nameless = server().app_id(None);
        let request = nameless.authenticate(&Credentials::debug());
        assert_eq!(body(&request), r#"{"provider":"debug","user_info":{}}"#);
        let credentials = Credentials::username_password("u", None, false).unwrap();
        let request = server().authenticate(&credentials);
        assert!(body(&request).contains(r#""user_info":{"password":null,"register":false}"#));
        assert!(body(&request).contains(r#""app_id":"unknown""#));
    }

    #[test]
    fn the_header_is_there_only_where_it_is_needed_and_can_be() {
        let has = |request: &Request| request.headers().any(|(name, _)| name == "Authorization");
        let me = token("t", false);
        assert!(!has(&server().access_token(&me, "/p")));
        assert!(!has(&server().authenticate(&Credentials::debug())));
        assert!(has(&server().revoke(&me)) && has(&server().change_password(&me, &"p".into())));
        for unfit in ["", "a b", "a\r\nX: y", "é"] {
            assert!(!has(&server().revoke(&token(unfit, false))), "{unfit:?}");
        }
        let admin = token("admin.t", true);
        let look_up = server().look_up(&admin, "password", "bob@h").unwrap();
        assert!(look_up.headers().any(|header| header == ("Authorization", "admin.t")));
        assert_eq!(look_up.url(), "http://h:9080/auth//users/password/bob@h");
        assert_eq!(look_up.target(), "/auth//users/password/bob@h");
        assert_eq!(look_up.body(), b"");
    }

    #[test]
    fn a_target_begins_with_a_slash() {
        for (url, target) in [("http://h", "/"), ("http://h?x", "/?x"), ("http://h/a", "/a")] {
            let bare = AuthServer::at(AuthUrl::parse(url).unwrap());
            assert_eq!(bare.authenticate(&Credentials::debug()).target(), target);
        }
    }

    #[test]
    fn only_administrators_ask_about_others() {
        let (me, admin) = (token("t", false), token("t", true));
        let password = Secret::from("p");
        let own = server().change_password_of(&me, "me", &password).unwrap();
        assert_eq!(own, server().change_password(&me, &password));
        assert_eq!(server().change_password_of(&me, "you", &password), Err(Refusal::NotAdmin));
        let empty = server().change_password_of(&admin, "", &password);
        assert_eq!(empty, Err(Refusal::Empty("identity")));
        let other = server().change_password_of(&admin, "you", &password).unwrap();
        assert_eq!(body(&other), r#"{"newPassword":"p","userId":"you"}"#);
        assert_eq!((other.method(), &*other.target()), (Method::Put, "/auth/password"));

        assert_eq!(server().look_up(&me, "password", "bob"), Err(Refusal::NotAdmin));
        for (provider, id) in [("", "bob"), ("password", "")] {
            assert!(matches!(server().look_up(&admin, provider, id), Err(Refusal::Empty(_))));
        }
        assert!(matches!(server().look_up(&admin, "..", "x"), Err(Refusal::Dots(_))));
    }

    #[test]
    fn a_revocation_holds_the_token_of_its_moment() {
        let mut user = User { url: server().url().clone(), token: token("first", false) };
        let revoke = server().revoke(&user.token);
        user.token = token("second", false);
        assert_eq!(body(&revoke), r#"{"token":"first"}"#);
        assert!(revoke.headers().any(|header| header == ("Authorization", "first")));
    }

    #[test]
    fn an_access_token_is_a_login_that_asks_nobody() {
        let credentials = Credentials::access_token("at", "id", true);
        let Login::Done(user) = server().login(&credentials) else { panic!("it asks") };
        assert_eq!((user.identity(), user.is_admin()), ("id", true));
        assert_eq!(user.url.as_str(), "http://h:9080/auth");
        assert_eq!((user.token.value.expose(), user.token.expires()), ("at", Time::NEVER));
        assert_eq!(user.token.permissions, Permission::KNOWN);
        assert!(matches!(server().login(&Credentials::debug()), Login::Ask(_)));
    }
}
