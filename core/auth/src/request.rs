//! Requests of the login protocol, as values that any HTTP library can send.
//!
//! - U1 Printing a request shows neither body nor authorization.
//! - U6 A request equals the one of the original client.
//! - U7 A call without a required argument or permission is refused before a request is built.
//!
//! Specified in docs/auth.md#requests.

use crate::auth_url::{AuthUrl, path_part};
use crate::credentials::{Credentials, InfoValue, provider};
use crate::error::RequestError;
use crate::json::Object;
use crate::secret::{Secret, SecretBytes};
use crate::token::{Permission, Token};
use crate::user::User;
use std::fmt;

/// HTTP method of a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Method {
    /// `GET`.
    Get,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
}

/// One HTTP request, ready to send.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    method: Method,
    url: String,
    path_at: usize,
    authorization: Option<Secret>,
    body: Option<SecretBytes>,
}

/// Builder of requests to one auth server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthServer {
    url: AuthUrl,
    app_id: Option<String>,
}

/// First step of a login.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Login {
    /// Send this request; [`crate::response::login`] parses the response.
    Send(Request),
    /// The login is complete: an access token needs no request.
    Complete(User),
}

impl AuthServer {
    /// Creates a builder from the address of a login; an empty path becomes `/auth`.
    ///
    /// # Errors
    /// [`RequestError::Url`] if the address is invalid.
    pub fn new(url: impl Into<String>) -> Result<Self, RequestError> {
        Ok(Self::at(AuthUrl::for_login(url)?))
    }

    /// Creates a builder from the unchanged address of a user.
    #[must_use]
    pub fn at(url: AuthUrl) -> Self {
        Self { url, app_id: Some("unknown".to_owned()) }
    }

    /// Sets the name of the app; the default is `unknown`, and `None` omits it.
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

    /// Starts a login. An access token logs in at once, with all permissions and without expiry.
    #[must_use]
    pub fn login(&self, credentials: &Credentials) -> Login {
        let known = (credentials.provider() == provider::ACCESS_TOKEN)
            .then(|| self.access_token_user(credentials))
            .flatten();
        known.map_or_else(|| Login::Send(self.authenticate(credentials)), Login::Complete)
    }

    /// Builds the request of a login; [`crate::response::login`] parses the response.
    #[must_use]
    pub fn authenticate(&self, credentials: &Credentials) -> Request {
        let mut body = self.body(credentials.provider());
        if let Some(identifier) = credentials.identifier() {
            body = body.with_secret("data", identifier);
        }
        self.post(&body.with_object("user_info", credentials.information_json()))
    }

    /// Builds the request for an access token; [`crate::response::access_token`] parses the
    /// response.
    #[must_use]
    pub fn access_token(&self, refresh_token: &Token, path: &str) -> Request {
        self.post(&self.token_body(refresh_token, path))
    }

    /// Builds the request for an access token that also rotates the refresh token;
    /// [`crate::response::rotation`] parses the response. The original client and server do not
    /// support rotation.
    #[must_use]
    pub fn rotate(&self, refresh_token: &Token, path: &str) -> Request {
        self.post(&self.token_body(refresh_token, path).with("rotate", true))
    }

    /// Builds the request that revokes a token; [`crate::response::revoke`] parses the response.
    /// The request contains the token of this moment, so a later token is never affected.
    #[must_use]
    pub fn revoke(&self, refresh_token: &Token) -> Request {
        let body = Object::new().with_secret("token", &refresh_token.value);
        let request = self.request(Method::Post, self.url.join("revoke"));
        request.authorized(refresh_token).with_body(&body)
    }

    /// Builds the request that changes the password of the token's user;
    /// [`crate::response::change_password`] parses the response.
    #[must_use]
    pub fn change_password(&self, refresh_token: &Token, password: &Secret) -> Request {
        let body = Object::new().with_secret("newPassword", password);
        self.put_password(refresh_token, &body)
    }

    /// Builds the request that changes the password of any user. The password of another user
    /// requires an administrator.
    ///
    /// # Errors
    /// [`RequestError::Empty`] if the identity is empty, [`RequestError::NotAdmin`] if the token is
    /// not an administrator's.
    pub fn change_password_of(
        &self,
        admin_token: &Token,
        identity: &str,
        password: &Secret,
    ) -> Result<Request, RequestError> {
        if identity.is_empty() {
            return Err(RequestError::Empty("identity"));
        }
        if identity == admin_token.identity {
            return Ok(self.change_password(admin_token, password));
        }
        if !admin_token.is_admin {
            return Err(RequestError::NotAdmin);
        }
        let body = Object::new().with_secret("newPassword", password);
        Ok(self.put_password(admin_token, &body.with_text("userId", identity)))
    }

    /// Builds the request that looks up a user by provider and id; [`crate::response::look_up`]
    /// parses the response.
    ///
    /// # Errors
    /// [`RequestError::Empty`] and [`RequestError::DotSegment`] if provider or id is not a path
    /// segment, [`RequestError::NotAdmin`] if the token is not an administrator's.
    pub fn look_up(
        &self,
        admin_token: &Token,
        provider: &str,
        provider_id: &str,
    ) -> Result<Request, RequestError> {
        let provider = path_part("provider", provider)?;
        let provider_id = path_part("provider's id", provider_id)?;
        if !admin_token.is_admin {
            return Err(RequestError::NotAdmin);
        }
        // Two slashes, as in the original client.
        let url = self.url.join(&format!("/users/{provider}/{provider_id}"));
        Ok(self.request(Method::Get, url).authorized(admin_token))
    }

    fn access_token_user(&self, credentials: &Credentials) -> Option<User> {
        let Some(InfoValue::Text(value)) = credentials.information().get("_token") else {
            return None;
        };
        let token = Token {
            value: value.clone(),
            identity: credentials.identifier()?.expose().to_owned(),
            path: String::new(),
            expires_seconds: i64::MAX,
            permissions: Permission::KNOWN.to_vec(),
            is_admin: credentials.information().get("_isAdmin") == Some(&InfoValue::Bool(true)),
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

    /// Builds a POST to the address itself, which needs no authorization.
    fn post(&self, body: &Object) -> Request {
        self.request(Method::Post, self.url.as_str().to_owned()).with_body(body)
    }

    const fn request(&self, method: Method, url: String) -> Request {
        Request { method, url, path_at: self.url.path_at(), authorization: None, body: None }
    }
}

/// Returns whether a token is a valid header value.
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

    /// Returns the full URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns path and query, as in the request line.
    #[must_use]
    pub fn target(&self) -> String {
        let target = &self.url[self.path_at..];
        let slash = if target.starts_with('/') { "" } else { "/" };
        format!("{slash}{target}")
    }

    /// Returns names and values of the headers. A value may contain a token; do not log it.
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

    /// Returns the JSON body, or an empty slice. It may contain secrets; do not log it.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.body.as_ref().map_or(&[], SecretBytes::expose)
    }
}

impl Method {
    /// Returns the name of the method.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
    fn missing_fields_are_omitted_and_a_missing_password_is_null() {
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
        assert_eq!(server().change_password_of(&me, "you", &password), Err(RequestError::NotAdmin));
        let empty = server().change_password_of(&admin, "", &password);
        assert_eq!(empty, Err(RequestError::Empty("identity")));
        let other = server().change_password_of(&admin, "you", &password).unwrap();
        assert_eq!(body(&other), r#"{"newPassword":"p","userId":"you"}"#);
        assert_eq!((other.method(), &*other.target()), (Method::Put, "/auth/password"));

        assert_eq!(server().look_up(&me, "password", "bob"), Err(RequestError::NotAdmin));
        for (provider, id) in [("", "bob"), ("password", "")] {
            assert!(matches!(server().look_up(&admin, provider, id), Err(RequestError::Empty(_))));
        }
        assert!(matches!(server().look_up(&admin, "..", "x"), Err(RequestError::DotSegment(_))));
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
    fn an_access_token_logs_in_without_a_request() {
        let credentials = Credentials::access_token("at", "id", true);
        let Login::Complete(user) = server().login(&credentials) else { panic!("it asks") };
        assert_eq!((user.identity(), user.is_admin()), ("id", true));
        assert_eq!(user.url.as_str(), "http://h:9080/auth");
        assert_eq!((user.token.value.expose(), user.token.expires()), ("at", Time::NEVER));
        assert_eq!(user.token.permissions, Permission::KNOWN);
        assert!(matches!(server().login(&Credentials::debug()), Login::Send(_)));
    }
}
